"""Mamba-2 behind the same `Step`: a backbone whose memory does not grow with the conversation (Dao and Gu 2024).

    x ─ RMSNorm ─ in_proj ─┬ gate ───────────────────────────────┐
                           ├ x B C ─ causal conv ─ silu ─ scan ──┴ gated RMSNorm ─ out_proj ─ + x
                           └ dt ─ softplus ───────────┘

A sequence's page is its state: the last inputs of each convolution and the matrix of each head, as float32. Linear
layers run on the packed formats and kernels of the transformer (quantised alike); the recurrence is
kernels/cpu/scan.inc, or NumPy without kernels. Token by token in both, so results do not depend on chunks, batch or
neighbours.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npc.inference import kernels
from npc.inference.checkpoint import Checkpoint
from npc.inference.config import CheckpointError, end_tokens, read_json
from npc.inference.formats import WeightError, pack, unpack
from npc.inference.kernels import CScan, Floats, Format, Matrix
from npc.inference.reference import linear as reference_linear
from npc.inference.reference import rms_norm, silu
from npc.inference.step import Batch, Result

ARCHITECTURE = "Mamba2ForCausalLM"


@dataclass(frozen=True, slots=True)
class MambaConfig:
    """Sizes of one model. `positions` bounds a conversation only in the engine's counters; the state does not grow."""

    hidden: int
    layers: int
    heads: int
    head_dim: int
    state: int
    groups: int
    kernel: int
    vocab: int
    eps: float
    tied: bool
    dt_limit: tuple[float, float]
    end_tokens: tuple[int, ...]
    positions: int = 1 << 20

    @property
    def inner(self) -> int:
        """Channels of the recurrence."""
        return self.heads * self.head_dim

    @property
    def conv(self) -> int:
        """Channels of the convolution: x, B and C."""
        return self.inner + 2 * self.groups * self.state


def is_mamba(folder: Path) -> bool:
    """Whether the model directory holds a Mamba-2 checkpoint. Raises CheckpointError for a broken config."""
    return ARCHITECTURE in (read_json(folder).get("architectures") or ())


def parse_mamba(raw: Mapping[str, Any], name: str = "config.json") -> MambaConfig:
    """Check and normalise the fields of a config.json. Raises CheckpointError naming `name`."""

    def whole(key: str, default: int | None = None) -> int:
        value = raw.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CheckpointError(f"{name}: {key} must be a positive integer, not {value!r}")
        return value

    if raw.get("hidden_act", "silu") not in ("silu", "swish"):
        raise CheckpointError(f"{name}: hidden_act {raw['hidden_act']!r} is not supported (silu is)")
    limits = raw.get("time_step_limit") or (0.0, float("inf"))
    try:
        low, high = (float(limit) for limit in limits)
        eps = float(raw.get("layer_norm_epsilon", 1e-5))
        expand = float(raw.get("expand", 2))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{name}: time_step_limit, layer_norm_epsilon or expand: {error}") from None
    config = MambaConfig(
        hidden=whole("hidden_size"),
        layers=whole("num_hidden_layers"),
        heads=whole("num_heads"),
        head_dim=whole("head_dim", 64),
        state=whole("state_size", 128),
        groups=whole("n_groups", 8),
        kernel=whole("conv_kernel", 4),
        vocab=whole("vocab_size"),
        eps=eps,
        tied=bool(raw.get("tie_word_embeddings", False)),
        dt_limit=(low, high),
        end_tokens=end_tokens(raw, name),
    )
    if config.inner != int(expand * config.hidden) or config.heads % config.groups:
        raise CheckpointError(
            f"{name}: {config.heads} heads of {config.head_dim} in {config.groups} groups do not fit a hidden size of"
            f" {config.hidden}"
        )
    return config


@dataclass(frozen=True, slots=True)
class MambaLayer:
    """One layer: matrices packed, the rest float32. `conv` is channels x kernel."""

    norm: Floats
    inward: Matrix
    outward: Matrix
    conv: Floats
    conv_bias: Floats
    dt_bias: Floats
    decay: Floats
    skip: Floats
    gated_norm: Floats


@dataclass(frozen=True, slots=True)
class MambaWeights:
    """All of a model. `head is embedding` when tied."""

    embedding: Matrix
    head: Matrix
    final_norm: Floats
    layers: tuple[MambaLayer, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all packed matrices."""
        both = [self.embedding] if self.head is self.embedding else [self.embedding, self.head]
        return sum(m.packed.nbytes for m in [*both, *(m for x in self.layers for m in (x.inward, x.outward))])


def mamba_weights(
    config: MambaConfig, tensors: Mapping[str, Floats], format: Format, threads: int = 1, where: str = "checkpoint"
) -> MambaWeights:
    """Pack a checkpoint's tensors (Hugging Face names). Raises CheckpointError naming the tensor."""

    def get(name: str, *shape: int) -> Floats:
        if name not in tensors:
            raise CheckpointError(f"{where}: tensor {name} is missing")
        value = np.ascontiguousarray(tensors[name], np.float32)
        if value.shape != shape:
            raise CheckpointError(f"{where}: tensor {name} has shape {value.shape}, the config says {shape}")
        if not np.isfinite(value).all():
            raise CheckpointError(f"{where}: tensor {name} holds NaN or infinity")
        return value

    def matrix(name: str, rows: int, cols: int) -> Matrix:
        bias = get(f"{name}.bias", rows) if f"{name}.bias" in tensors else None
        try:
            return pack(format, get(f"{name}.weight", rows, cols), bias, None, threads, name)
        except WeightError as error:
            raise CheckpointError(f"{where}: {error}") from None

    def layer(i: int) -> MambaLayer:
        base = f"backbone.layers.{i}."
        mixer = base + "mixer."
        biased = mixer + "conv1d.bias" in tensors
        return MambaLayer(
            norm=get(base + "norm.weight", config.hidden),
            inward=matrix(mixer + "in_proj", config.inner + config.conv + config.heads, config.hidden),
            outward=matrix(mixer + "out_proj", config.hidden, config.inner),
            conv=get(mixer + "conv1d.weight", config.conv, 1, config.kernel)[:, 0],
            conv_bias=get(mixer + "conv1d.bias", config.conv) if biased else np.zeros(config.conv, np.float32),
            dt_bias=get(mixer + "dt_bias", config.heads),
            decay=-np.exp(get(mixer + "A_log", config.heads)),
            skip=get(mixer + "D", config.heads),
            gated_norm=get(mixer + "norm.weight", config.inner),
        )

    embedding = matrix("backbone.embeddings", config.vocab, config.hidden)
    tied = config.tied or "lm_head.weight" not in tensors
    return MambaWeights(
        embedding,
        embedding if tied else matrix("lm_head", config.vocab, config.hidden),
        get("backbone.norm_f.weight", config.hidden),
        tuple(layer(i) for i in range(config.layers)),
    )


def load_mamba(folder: Path, format: Format, threads: int) -> tuple[MambaConfig, MambaWeights]:
    """Config and weights of a model directory. Raises CheckpointError."""
    config = parse_mamba(read_json(folder), str(folder / "config.json"))
    return config, mamba_weights(config, Checkpoint(folder), format, threads, str(folder))


class MambaStep:
    """The step of a Mamba-2 model. Not for two threads at a time. One page is one state."""

    recurrent = True

    def __init__(self, config: MambaConfig, weights: MambaWeights, *, pages: int) -> None:
        self.config, self.weights, self.pages, self.positions = config, weights, pages, config.positions
        self._level = kernels.best_level()
        self._table = unpack(weights.embedding)
        self._conv = np.zeros((pages, config.layers, config.kernel - 1, config.conv), np.float32)
        self._state = np.zeros((pages, config.layers, config.heads, config.head_dim, config.state), np.float32)
        self._held = np.zeros(pages, np.int64)

    @property
    def page_bytes(self) -> int:
        """Bytes of one state."""
        return int(self._conv[0].nbytes + self._state[0].nbytes)

    def hurry(self, wanted: bool) -> None:
        """See Step: no step is given up, for a state cannot be taken back."""

    def copy_page(self, source: int, target: int) -> None:
        """Copy a state."""
        for array in (self._conv, self._state, self._held):
            array[target] = array[source]

    def close(self) -> None:
        """Nothing to free."""

    def forward(self, batch: Batch) -> Result:
        """Run one step. Raises ValueError on rows out of range, or that do not follow the state they name."""
        spans = self._spans(batch)
        if batch.adapters is not None and any(batch.adapters):
            raise ValueError("adapters are not supported on a state-space model")
        x = self._table[batch.tokens]
        taps = []
        for i, layer in enumerate(self.weights.layers):
            x = x + self._mixer(i, layer, rms_norm(x, layer.norm, self.config.eps), spans)
            for row, steer in enumerate(batch.steering or ()):
                if steer is not None:
                    x[row] += np.float32(steer[1]) * steer[0][i]
            if batch.want_taps:
                taps.append(x.copy())
        for page, _, end, position in spans:
            self._held[page] = position + end
        last = rms_norm(x, self.weights.final_norm, self.config.eps)
        logits = self._linear(self.weights.head, last[batch.outputs]) if len(batch.outputs) else None
        return Result(logits, np.stack(taps) if batch.want_taps else None, last if batch.want_last else None)

    def _spans(self, batch: Batch) -> list[tuple[int, int, int, int]]:
        """(page, first row, row behind the last, position of row 0 if it were the span's) of each sequence."""
        if not len(batch.tokens) or batch.tokens.min() < 0 or batch.tokens.max() >= self.config.vocab:
            raise ValueError("a batch needs rows, and tokens of the vocabulary")
        edges = np.flatnonzero(np.diff(batch.sequences)) + 1
        spans = []
        for first, end in zip([0, *edges], [*edges, len(batch.tokens)], strict=True):
            page, at = int(batch.tables[batch.sequences[first], 0]), int(batch.positions[first])
            if not 0 <= page < self.pages or (batch.positions[first:end] != np.arange(at, at + end - first)).any():
                raise ValueError("a sequence has no state where it needs one, or rows that do not follow each other")
            if at == 0:
                self._conv[page], self._state[page] = 0, 0
            elif self._held[page] != at:
                raise ValueError(f"the state of this sequence is after {self._held[page]} tokens, not {at}")
            spans.append((page, int(first), int(end), at - int(first)))
        return spans

    def _linear(self, matrix: Matrix, x: Floats) -> Floats:
        if self._level is None:
            return reference_linear(matrix, x)
        return kernels.linear(matrix, x, self._level)

    def _mixer(self, i: int, layer: MambaLayer, x: Floats, spans: list[tuple[int, int, int, int]]) -> Floats:
        k = self.config
        whole = self._linear(layer.inward, x)
        gate, xbc, dt = np.split(whole, [k.inner, k.inner + k.conv], axis=1)
        dt = np.logaddexp(dt + layer.dt_bias, np.float32(0)).clip(*k.dt_limit).astype(np.float32)
        mixed = np.empty((len(x), k.inner), np.float32)
        for page, first, end, _ in spans:
            past = np.concatenate([self._conv[page, i], xbc[first:end]])
            self._conv[page, i] = past[end - first :]
            rows: Floats = np.zeros((end - first, k.conv), np.float32)
            for tap in range(k.kernel):
                rows += past[tap : tap + end - first] * layer.conv[:, tap]
            u, b, c_ = np.split(silu(rows + layer.conv_bias), [k.inner, k.inner + k.groups * k.state], axis=1)
            mixed[first:end] = self._scan(layer, u, dt[first:end], b, c_, self._state[page, i])
        gated = (mixed * silu(gate)).reshape(len(x), k.groups, -1)
        inverse = 1.0 / np.sqrt((gated * gated).mean(-1, keepdims=True, dtype=np.float32) + np.float32(k.eps))
        return self._linear(layer.outward, (gated * inverse).reshape(len(x), -1) * layer.gated_norm)

    def _scan(self, layer: MambaLayer, x: Floats, dt: Floats, b: Floats, c_: Floats, state: Floats) -> Floats:
        """The recurrence over the rows of one sequence; changes `state`."""
        k, lib = self.config, kernels.load()
        x, dt, b, c_ = (np.ascontiguousarray(v, np.float32) for v in (x, dt, b, c_))
        decay = np.exp(dt * layer.decay).astype(np.float32)
        if lib is None or self._level is None or k.state % 16:
            return scan_reference(x, dt, decay, b, c_, layer.skip, state, k.groups)
        y = np.empty_like(x)
        arrays = (x, dt, decay, b, c_, layer.skip, state, y)
        call = CScan(len(x), k.heads, k.head_dim, k.state, k.groups, *(v.ctypes.data for v in arrays))
        lib.npc_scan(c.byref(call), int(self._level))
        return y


def scan_reference(
    x: Floats, dt: Floats, decay: Floats, b: Floats, c_: Floats, skip: Floats, state: Floats, groups: int
) -> Floats:
    """What kernels/cpu/scan.inc does, in NumPy: x tokens x (heads head_dim), dt and decay tokens x heads, b and c
    tokens x (groups width), state heads x head_dim x width (changed)."""
    heads, head_dim, width = state.shape
    y = np.empty_like(x)
    for t in range(len(x)):
        u = x[t].reshape(heads, head_dim)
        of = [np.repeat(v[t].reshape(groups, 1, width), heads // groups, 0) for v in (b, c_)]
        state *= decay[t][:, None, None]
        state += (dt[t][:, None] * u)[..., None] * of[0]
        y[t] = ((state * of[1]).sum(-1) + skip[:, None] * u).reshape(-1)
    return y
