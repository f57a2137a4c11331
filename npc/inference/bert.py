"""A BERT encoder: token ids to token states, on the CPU kernels where they are the faster way, else in NumPy.

    tokens ─ embeddings ─ layers × [attention ─ add&norm ─ GELU feed-forward ─ add&norm] ─ token states

`states_reference` is the definition; kernels/cpu/encoder.inc computes it with bfloat16 products on the tile unit, with
INT8 weights and inputs of two bytes elsewhere. A text's states never depend on what is read beside it.
"""

from __future__ import annotations

import ctypes as c
import functools
import itertools
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.inference import kernels
from npc.inference.blas import use_one_thread
from npc.inference.build import BuildError, library
from npc.inference.kernels import Floats, Level

#: Matrices of a layer, [inputs, outputs]; each has a bias named with _b.
MATRICES = ("qkv_w", "out_w", "up_w", "down_w")
#: Tokens that go through NumPy's matrices together.
_TOGETHER = 1024
#: From this level on the kernels are faster than NumPy's BLAS. Matrix products of 60 tokens through six layers of 384
#: on one core that has all levels: tile unit 1.0 ms, AVX-512 5.4, AVX2 42; OpenBLAS on AVX-512 11.3.
_FASTER_FROM = Level.AVX512


@dataclass(frozen=True, slots=True)
class BertLayer:
    """Weights of a layer as `x @ w + b` wants them; `qkv_w` holds queries, keys and values side by side."""

    qkv_w: Floats
    qkv_b: Floats
    out_w: Floats
    out_b: Floats
    norm1: tuple[Floats, Floats]
    up_w: Floats
    up_b: Floats
    down_w: Floats
    down_b: Floats
    norm2: tuple[Floats, Floats]


@dataclass(frozen=True, slots=True)
class BertWeights:
    """An encoder's weights in single precision: tables of words, positions and token types, and the layers."""

    words: Floats
    positions: Floats
    types: Floats
    norm: tuple[Floats, Floats]
    layers: tuple[BertLayer, ...]
    heads: int
    eps: float

    @property
    def width(self) -> int:
        """Numbers of a token's state."""
        return int(self.words.shape[1])

    def changed(self, change: Callable[[int, str], Floats]) -> BertWeights:
        """With `change(number, name)` added to the matrices (MATRICES) of each layer."""
        layers = (
            replace(layer, **{name: getattr(layer, name) + change(number, name) for name in MATRICES})
            for number, layer in enumerate(self.layers)
        )
        return replace(self, layers=tuple(layers))


def bert_of(tensors: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> BertWeights:
    """From the tensors of a Hugging Face BERT (with or without "bert." before their names) and its config.json.

    Raises KeyError naming what is missing."""
    arrays = {name.removeprefix("bert."): np.asarray(value, np.float32) for name, value in tensors.items()}

    def matrix(*names: str) -> Floats:
        return np.ascontiguousarray(np.concatenate([arrays[f"{name}.weight"] for name in names]).T)

    def bias(*names: str) -> Floats:
        return np.concatenate([arrays[f"{name}.bias"] for name in names])

    def norm(name: str) -> tuple[Floats, Floats]:
        return arrays[f"{name}.weight"], arrays[f"{name}.bias"]

    def layer(prefix: str) -> BertLayer:
        attention = [f"{prefix}attention.self.{part}" for part in ("query", "key", "value")]
        out, up, down = (f"{prefix}{name}.dense" for name in ("attention.output", "intermediate", "output"))
        return BertLayer(
            matrix(*attention), bias(*attention), matrix(out), bias(out), norm(f"{prefix}attention.output.LayerNorm"),
            matrix(up), bias(up), matrix(down), bias(down), norm(f"{prefix}output.LayerNorm"),
        )  # fmt: skip

    return BertWeights(
        words=np.ascontiguousarray(arrays["embeddings.word_embeddings.weight"]),
        positions=np.ascontiguousarray(arrays["embeddings.position_embeddings.weight"]),
        types=np.ascontiguousarray(arrays["embeddings.token_type_embeddings.weight"]),
        norm=norm("embeddings.LayerNorm"),
        layers=tuple(layer(f"encoder.layer.{number}.") for number in range(int(config["num_hidden_layers"]))),
        heads=int(config["num_attention_heads"]),
        eps=float(config["layer_norm_eps"]),
    )


class Encoder:
    """Token states by the kernels of `level` (None: the best of this machine if they beat NumPy here, else NumPy).

    Thread-safe; calls from several threads run beside each other, each on the caller's thread alone. With kernels the
    layers of `weights` are packed and not kept."""

    def __init__(self, weights: BertWeights, level: Level | None = None) -> None:
        use_one_thread()
        self.level = chosen_level(weights) if level is None else level
        """The kernels' instruction level; None where NumPy does it."""
        self.width = weights.width
        self._tables = (weights.words, weights.positions, weights.types)
        self._run: Callable[[Sequence[int], NDArray[np.int32], NDArray[np.int32] | None], list[Floats]]
        if self.level is None:
            self._run = functools.partial(states_reference, weights)
        else:
            self._run = _Kernel(weights, self.level).states

    def states(self, ids: Sequence[Sequence[int]], token_types: Sequence[Sequence[int]] | None = None) -> list[Floats]:
        """States [length, width] of the last layer for each row of token ids; `token_types`: like `ids`, 0 without.

        Raises ValueError for ids or types outside their tables and rows longer than the positions."""
        lengths = [len(row) for row in ids]
        tokens, types = _flat(ids), None if token_types is None else _flat(token_types)
        words, positions, kinds = self._tables
        if max(lengths, default=0) > len(positions):
            raise ValueError(f"a text has {max(lengths)} tokens; the encoder has positions for {len(positions)}")
        if token_types is not None and [len(row) for row in token_types] != lengths:
            raise ValueError("token_types must have one number for every token")
        for name, numbers, table in (("token id", tokens, words), ("token type", types, kinds)):
            if numbers is not None and len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(table):
                raise ValueError(f"a {name} is outside 0..{len(table) - 1}")
        if not len(tokens):
            return [np.empty((0, self.width), np.float32) for _ in ids]
        return self._run(lengths, tokens, types)


def chosen_level(weights: BertWeights | None = None) -> Level | None:
    """The kernels' level an Encoder of these weights (None: of the usual shapes) takes here; None for NumPy."""
    level = kernels.best_level()
    if level is None or level < _FASTER_FROM or (weights is not None and not _fits(weights)):
        return None
    return level


def runs_on() -> str:
    """What computes encoders here, in words. Compiles nothing."""
    try:
        library(build=False)
    except (BuildError, FileNotFoundError):
        return "numpy until the kernels are compiled (python -m npc.inference.build)"
    level = chosen_level()
    return "numpy" if level is None else f"CPU kernels ({level.name}, {'bfloat16' if level is Level.AMX else 'INT8'})"


def _fits(weights: BertWeights) -> bool:
    """Whether the kernels take these shapes: widths of whole operands of the tile unit, heads of whole vectors."""
    width, inner = weights.width, weights.layers[0].up_w.shape[1] if weights.layers else 0
    return width % 32 == 0 and inner % 32 == 0 and width % weights.heads == 0 and width // weights.heads % 16 == 0


def _flat(rows: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    return np.fromiter(itertools.chain.from_iterable(rows), np.int32)


def _split(states: Floats, lengths: Sequence[int]) -> list[Floats]:
    return np.split(states, np.cumsum(lengths)[:-1])


class _CLayer(c.Structure):
    """NpcEncoderLayer."""

    _fields_ = [
        *((name, c.c_void_p) for name in ("qkv", "qkv_bias", "out", "out_bias", "norm1_gain", "norm1_bias")),
        *((name, c.c_void_p) for name in ("up", "up_bias", "down", "down_bias", "norm2_gain", "norm2_bias")),
    ]


class _CModel(c.Structure):
    """NpcEncoderModel."""

    _fields_ = [
        *((name, c.c_int32) for name in ("width", "heads", "inner", "layers", "vocab", "positions", "types")),
        ("eps", c.c_float),
        *((name, c.c_void_p) for name in ("words", "places", "kinds", "norm_gain", "norm_bias")),
        ("layer", c.POINTER(_CLayer)),
    ]


class _Kernel:
    """Packed weights in the library, and the call."""

    def __init__(self, weights: BertWeights, level: Level) -> None:
        lib = kernels.load()
        if lib is None or not _fits(weights):
            raise ValueError("there are no CPU kernels for this encoder: leave the level out to run it on NumPy")
        self._lib, self._width = lib, weights.width
        self._tables = [np.ascontiguousarray(t, np.float32) for t in (weights.words, weights.positions, weights.types)]
        held: list[Floats] = []

        def at(array: Floats) -> int:
            held.append(np.ascontiguousarray(array, np.float32))
            return held[-1].ctypes.data

        layers = (_CLayer * len(weights.layers))(
            *(
                _CLayer(
                    at(x.qkv_w), at(x.qkv_b), at(x.out_w), at(x.out_b), at(x.norm1[0]), at(x.norm1[1]),
                    at(x.up_w), at(x.up_b), at(x.down_w), at(x.down_b), at(x.norm2[0]), at(x.norm2[1]),
                )
                for x in weights.layers
            )
        )  # fmt: skip
        model = _CModel(
            weights.width, weights.heads, weights.layers[0].up_w.shape[1], len(layers), *(len(t) for t in self._tables),
            weights.eps, *(t.ctypes.data for t in self._tables), at(weights.norm[0]), at(weights.norm[1]), layers,
        )  # fmt: skip
        self._handle = lib.npc_encoder_create(c.byref(model), int(level))
        if not self._handle:
            raise ValueError(f"the encoder cannot be packed for {level.name}: a weight is not finite, or no such level")
        weakref.finalize(self, lib.npc_encoder_destroy, self._handle)

    def states(
        self, lengths: Sequence[int], tokens: NDArray[np.int32], types: NDArray[np.int32] | None
    ) -> list[Floats]:
        """States of texts whose tokens lie end to end."""
        out, sizes = np.empty((len(tokens), self._width), np.float32), np.asarray(lengths, np.int32)
        status = self._lib.npc_encode(
            self._handle, len(sizes), sizes.ctypes.data, tokens.ctypes.data,
            None if types is None else types.ctypes.data, out.ctypes.data,
        )  # fmt: skip
        if status:
            raise ValueError(self._lib.npc_error(status).decode())
        return _split(out, lengths)


def states_reference(
    weights: BertWeights, lengths: Sequence[int], tokens: NDArray[np.int32], types: NDArray[np.int32] | None = None
) -> list[Floats]:
    """States of texts whose tokens lie end to end, in NumPy: the definition the kernels are tested against.

    Texts of different lengths go through the matrices together and only attend apart: a pass over one sentence mostly
    waits for the weights, so six cost little more. No padding ever enters the sums.
    """
    starts = np.concatenate([[0], np.cumsum(lengths)])
    found: dict[int, Floats] = {row: np.empty((0, weights.width), np.float32) for row in range(len(lengths))}
    batches: list[list[int]] = [[]]
    for row in sorted((row for row, length in enumerate(lengths) if length), key=lambda row: lengths[row]):
        if sum(lengths[other] for other in batches[-1]) + lengths[row] > _TOGETHER:
            batches.append([])
        batches[-1].append(row)
    for batch in filter(None, batches):
        places = np.concatenate([np.arange(starts[row], starts[row + 1]) for row in batch])
        kinds = np.zeros(len(places), np.int32) if types is None else types[places]
        states = _layered(weights, [lengths[row] for row in batch], tokens[places], kinds)
        found.update(zip(batch, states, strict=True))
    return [found[row] for row in range(len(lengths))]


def _layered(
    weights: BertWeights, lengths: Sequence[int], tokens: NDArray[np.int32], types: NDArray[np.int32]
) -> list[Floats]:
    """Texts, shortest first, to their states."""
    width, heads = weights.width, weights.heads
    head = width // heads
    scale = np.float32(1.0 / np.sqrt(head))
    groups, first = [], 0
    for length, rows in itertools.groupby(lengths):
        count = len(list(rows))
        groups.append((first, count, length))
        first += count * length
    places = weights.positions[np.concatenate([np.arange(length) for length in lengths])]
    x = _normalise(weights.words[tokens] + (places + weights.types[types]), *weights.norm, weights.eps)
    mixed = np.empty_like(x)
    for layer in weights.layers:
        qkv = x @ layer.qkv_w + layer.qkv_b
        for at, count, length in groups:
            end = at + count * length
            parts = qkv[at:end].reshape(count, length, 3, heads, head).transpose(2, 0, 3, 1, 4)
            scores = (parts[0] * scale) @ parts[1].swapaxes(-1, -2)
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            mixed[at:end] = (scores @ parts[2]).transpose(0, 2, 1, 3).reshape(count * length, width)
        x = _normalise(x + mixed @ layer.out_w + layer.out_b, *layer.norm1, weights.eps)
        hidden = _gelu(x @ layer.up_w + layer.up_b)
        x = _normalise(x + hidden @ layer.down_w + layer.down_b, *layer.norm2, weights.eps)
    return _split(x, lengths)


def _normalise(x: Floats, gain: Floats, bias: Floats, eps: float) -> Floats:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    normal: Floats = centred / np.sqrt(variance + np.float32(eps)) * gain + bias
    return normal


def _gelu(x: Floats) -> Floats:
    """x · Φ(x), with erf by Abramowitz & Stegun 7.1.26 (absolute error below 1.5e-7), which numpy lacks."""
    z = np.abs(x) * np.float32(0.7071067811865476)
    t = 1.0 / (1.0 + np.float32(0.3275911) * z)
    poly = t * (
        np.float32(0.254829592)
        + t
        * (
            np.float32(-0.284496736)
            + t * (np.float32(1.421413741) + t * (np.float32(-1.453152027) + t * np.float32(1.061405429)))
        )
    )
    erf = np.copysign(1.0 - poly * np.exp(-z * z), x)
    result: Floats = (np.float32(0.5) * x * (1.0 + erf)).astype(np.float32)
    return result
