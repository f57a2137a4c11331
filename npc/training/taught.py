"""MiniLM with changes to its matrices as a torch module: what `npc.training.likeness` trains, low-rank changes (Hu et
al. 2021) or the matrices themselves (`loosened`), whose changes are kept in one byte a number.

    texts ── packed, like lengths together ── 6 layers ── token states ── compared as `composed.likeness` does

Everything is computed in bfloat16 over frozen weights of the same kind; what is trained is kept in single precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from npc.dialogue.composed.likeness import RANK, change_of
from npc.inference.encoder import MiniLM

MATRICES = ("qkv_w", "out_w", "up_w", "down_w")
#: Score of the two parts at the start: cosines of MiniLM lie in about 0-0.8, a softmax wants a spread of some ten.
SCALE = 12.0
#: Rows are padded to a multiple of this many tokens, so that few lengths are met.
_STEP = 4

_functional = torch.nn.functional


@dataclass(frozen=True, slots=True)
class Packed:
    """Texts read in one pass: states [tokens, width], where each text begins, and how many tokens it has."""

    states: torch.Tensor
    starts: tuple[int, ...]
    lengths: tuple[int, ...]

    def tokens(self, rows: Sequence[int], skip: Sequence[int] | None = None) -> torch.Tensor:
        """Places of the tokens of some texts, end to end, without the first `skip` of each."""
        skip = skip or [0] * len(rows)
        spans = [
            np.arange(self.starts[row] + first, self.starts[row] + self.lengths[row])
            for row, first in zip(rows, skip, strict=True)
        ]
        return torch.from_numpy(np.concatenate(spans))


@dataclass(frozen=True, slots=True)
class Shown:
    """Statements of a pass: a number that keeps what is behind the end from being the best match [statements, longest],
    unit token states, and unit means."""

    empty: torch.Tensor
    tokens: torch.Tensor
    means: torch.Tensor


class Taught(torch.nn.Module):
    """The encoder and what it compares by."""

    def __init__(self, base: MiniLM, rank: int = RANK, dropped: float = 0.0) -> None:
        super().__init__()
        self.base, self.dropped = base, dropped
        self.heads, self.width = base.weights.heads, base.dimensions
        self.frozen = [
            {name: torch.from_numpy(np.ascontiguousarray(getattr(layer, name))).bfloat16()
             for name in (*MATRICES, "qkv_b", "out_b", "up_b", "down_b")}
            | {f"{norm}_{i}": torch.from_numpy(getattr(layer, norm)[i]).bfloat16()
               for norm in ("norm1", "norm2") for i in (0, 1)}
            for layer in base.weights.layers
        ]  # fmt: skip
        self.words = torch.from_numpy(base.weights.words)
        self.positions = torch.from_numpy(base.weights.positions + base.weights.types[0])
        self.norm = [torch.from_numpy(part) for part in base.weights.norm]
        self.low, self.whole = torch.nn.ParameterDict(), torch.nn.ParameterDict()
        for number, layer in enumerate(self.frozen):
            for name in MATRICES:
                inputs, outputs = layer[name].shape
                self.low[f"{number}_{name}_a"] = torch.nn.Parameter(torch.randn(inputs, rank) / inputs**0.5)
                self.low[f"{number}_{name}_b"] = torch.nn.Parameter(torch.zeros(rank, outputs))
        width = self.width
        self.attend = torch.nn.Parameter(torch.zeros(width))
        self.nothing = torch.nn.Parameter(torch.zeros(width + 1))
        self.mix = torch.nn.Parameter(torch.tensor([SCALE, SCALE]))

    def _times(self, x: torch.Tensor, number: int, name: str) -> torch.Tensor:
        layer = self.frozen[number]
        if self.whole:
            return torch.addmm(layer[name[:-1] + "b"], x, self.whole[f"{number}_{name}"].bfloat16())
        a, b = self.low[f"{number}_{name}_a"].bfloat16(), (0.5 * self.low[f"{number}_{name}_b"]).bfloat16()
        if self.training and self.dropped:
            a = _functional.dropout(a, self.dropped)
        return torch.addmm(torch.addmm(layer[name[:-1] + "b"], x, layer[name]), x @ a, b)

    def forward(self, ids: Sequence[Sequence[int]]) -> Packed:
        """Read texts, each by itself."""
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        starts, at = [0] * len(ids), 0
        groups: list[tuple[int, int, int, torch.Tensor]] = []
        words, places = [], []
        while order:
            length = -(-len(ids[order[0]]) // _STEP) * _STEP
            count = sum(len(ids[row]) <= length for row in order)
            table, bias = np.zeros((count, length), np.int64), np.zeros((count, 1, 1, length), np.float32)
            for line, row in enumerate(order[:count]):
                table[line, : len(ids[row])] = ids[row]
                bias[line, ..., len(ids[row]) :] = -1e4
                starts[row] = at + line * length
            words.append(table.reshape(-1))
            places.append(np.tile(np.arange(length), count))
            groups.append((at, count, length, torch.from_numpy(bias).bfloat16()))
            at, order = at + table.size, order[count:]
        x = (
            self.words[torch.from_numpy(np.concatenate(words))]
            + self.positions[torch.from_numpy(np.concatenate(places))]
        )
        x = _functional.layer_norm(x, (self.width,), self.norm[0], self.norm[1], 1e-12).bfloat16()
        head, norm, width = self.width // self.heads, _functional.layer_norm, (self.width,)
        for number, layer in enumerate(self.frozen):
            qkv = self._times(x, number, "qkv_w")
            mixed = []
            for first, count, length, masked in groups:
                parts = qkv[first : first + count * length].view(count, length, 3, self.heads, head)
                q, k, v = parts.permute(2, 0, 3, 1, 4)
                weights = torch.softmax(q @ k.transpose(-1, -2) * head**-0.5 + masked, -1)
                mixed.append((weights @ v).transpose(1, 2).reshape(count * length, self.width))
            x = x + self._times(torch.cat(mixed), number, "out_w")
            x = norm(x, width, layer["norm1_0"], layer["norm1_1"], 1e-12)
            hidden = _functional.gelu(self._times(x, number, "up_w"))
            x = x + self._times(hidden, number, "down_w")
            x = norm(x, width, layer["norm2_0"], layer["norm2_1"], 1e-12)
        return Packed(x, tuple(starts), tuple(len(row) for row in ids))

    def scores(self, packed: Packed, turns: Sequence[int], own: Sequence[int], shown: Shown) -> torch.Tensor:
        """[turns, 1 + statements], "nothing" first, for rows of one pass; `own` is where a turn's own tokens begin."""
        means, best, nothing = self.compared(packed, turns, own, shown)
        return torch.cat([nothing[:, None], self.mix[0] * means + self.mix[1] * best], 1)

    def compared(
        self, packed: Packed, turns: Sequence[int], own: Sequence[int], shown: Shown
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cosines of the means and weighted best matches [turns, statements], and the score of "nothing" [turns]."""
        states = packed.states.float()
        tokens = states[packed.tokens(turns, own)]
        counts = torch.tensor([packed.lengths[row] - first for row, first in zip(turns, own, strict=True)])
        owner = torch.repeat_interleave(torch.arange(len(turns)), counts)

        def summed(values: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(turns), *values.shape[1:]).index_add(0, owner, values)

        heard = _unit(summed(tokens))
        flat = shown.tokens.view(-1, self.width)
        near = (_unit(tokens).bfloat16() @ flat.bfloat16().T).float().view(len(tokens), *shown.tokens.shape[:2])
        raised = torch.exp(tokens @ self.attend - (tokens @ self.attend).detach().max())
        weight = raised / summed(raised)[owner]
        best = summed(weight[:, None] * (near + shown.empty).amax(-1))
        nothing = heard @ self.nothing[:-1] + self.nothing[-1] + self.mix.sum() * 0.45
        return heard @ shown.means.T, best, nothing

    def shown(self, packed: Packed, statements: Sequence[int], own: Sequence[int] | None = None) -> Shown:
        """The statements of a pass, made ready to be compared; `own` is where a statement's own tokens begin (0)."""
        own = own or [0] * len(statements)
        longest = max(packed.lengths[row] - first for row, first in zip(statements, own, strict=True))
        spans = [_padded(packed, row, first, longest) for row, first in zip(statements, own, strict=True)]
        places = torch.from_numpy(np.stack(spans))
        told = packed.states.float()[places.clamp_min(0)] * (places >= 0)[..., None]
        return Shown(torch.where(places < 0, -9.0, 0.0), _unit(told), _unit(told.sum(1)))

    @classmethod
    def load(cls, base: MiniLM, paths: Sequence[Path], scale: float = 1.0) -> Taught:
        """Weights as they were saved, the low-rank changes times `scale`; of several files the mean of the changes
        (their ranks side by side) and of the rest."""
        from safetensors.numpy import load_file

        files = [{name: array.astype(np.float32) for name, array in load_file(path).items()} for path in paths]
        found = cls(base, rank=1)
        if any("0_qkv_w" in arrays for arrays in files):
            found._loosened(lambda n, name: scale * np.mean([change_of(arrays, n, name) for arrays in files], axis=0))
        for name in found.low:
            joined = np.concatenate([arrays[name] for arrays in files], axis=1 if name.endswith("_a") else 0)
            part = joined * np.float32(scale / len(files) if name.endswith("_b") else 1.0)
            found.low[name] = torch.nn.Parameter(torch.from_numpy(part))
        for name in ("attend", "nothing", "mix"):
            mean = np.mean([arrays[name] for arrays in files], axis=0)
            setattr(found, name, torch.nn.Parameter(torch.from_numpy(mean)))
        return found

    def _first(self, number: int, name: str) -> NDArray[np.float32]:
        """A matrix of the encoder as it was before any change."""
        first: NDArray[np.float32] = getattr(self.base.weights.layers[number], name)
        return first

    def _loosened(self, change: Callable[[int, str], NDArray[np.float32]]) -> None:
        for number in range(len(self.frozen)):
            for name in MATRICES:
                matrix = (self._first(number, name) + change(number, name)).astype(np.float32)
                self.whole[f"{number}_{name}"] = torch.nn.Parameter(torch.from_numpy(matrix))
        self.low = torch.nn.ParameterDict()

    def loosened(self) -> Taught:
        """The same, with every matrix trained itself from here on. Returns itself."""
        if not self.whole:
            low = {name: part.detach().numpy() for name, part in self.low.items()}
            self._loosened(lambda number, name: change_of(low, number, name))
        return self

    def cut(self, rank: int) -> float:
        """Keep the best low-rank changes of this rank (singular value decomposition). Returns the share of their
        squared size that is lost, of the matrix that loses most. Raises ValueError where matrices were trained
        themselves: their changes have no few directions."""
        if self.whole:
            raise ValueError("these weights hold whole changes of the matrices: they cannot be cut to a rank")
        lost = 0.0
        for name in [name for name in self.low if name.endswith("_a")]:
            other = f"{name[:-1]}b"
            left, inner = torch.linalg.qr(self.low[name].detach())
            right, outer = torch.linalg.qr(self.low[other].detach().T)
            u, size, v = torch.linalg.svd(inner @ outer.T)
            root = size[:rank].sqrt()
            self.low[name] = torch.nn.Parameter(left @ u[:, :rank] * root)
            self.low[other] = torch.nn.Parameter(root[:, None] * (v[:rank] @ right.T))
            lost = max(lost, float(size[rank:].square().sum() / size.square().sum()))
        return lost

    def save(self, path: Path) -> None:
        """Low-rank changes in half precision, whole ones in one byte a number and a scale a column (`change_of`)."""
        from safetensors.numpy import save_file

        # In rows: the file takes the bytes as they lie, also those of a matrix that lies in columns.
        arrays = {name: np.ascontiguousarray(part.detach().numpy(), np.float16) for name, part in self.low.items()}
        for at, part in self.whole.items():
            number, name = at.split("_", 1)
            change = part.detach().numpy() - self._first(int(number), name)
            scale = np.maximum(np.abs(change).max(0), 1e-12) / 127
            arrays[at] = np.ascontiguousarray(np.rint(change / scale), np.int8)
            arrays[f"{at}_scale"] = scale.astype(np.float32)
        for name in ("attend", "nothing", "mix"):
            arrays[name] = getattr(self, name).detach().numpy().astype(np.float32)
        save_file(arrays, path, metadata={"base": self.base.id, "data": "npc/training/data, written for this project"})


def _unit(states: torch.Tensor) -> torch.Tensor:
    return _functional.normalize(states, dim=-1)


def _padded(packed: Packed, row: int, first: int, length: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of a text's tokens from the first of its own on, -1 behind its end."""
    places = np.full(length, -1, np.int64)
    count = packed.lengths[row] - first
    places[:count] = np.arange(packed.starts[row] + first, packed.starts[row] + packed.lengths[row])
    return places
