"""MiniLM with low-rank changes (Hu et al. 2021) and a reader on top, as a torch module: what `likeness` trains.

    texts ── packed, like lengths together ── 6 layers ──> token states        (the taught encoder)
                                    │ states after 3, 4, 5 layers
    turn after 3 layers ── 3 layers whose keys are its context, itself and ONE statement ──> how well that answers

The reader reads a turn again with one statement in sight. The statement is not read anew: what it shows are its states
on the way through the encoder, so that all a turn costs is its own few tokens (`npc.dialogue.composed.reader`).
Everything is computed in bfloat16 over frozen weights of the same kind; what is trained is kept in single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from npc.dialogue.composed.likeness import RANK
from npc.dialogue.composed.reader import FIRST_JOINT, HIDDEN, READER_RANK
from npc.inference.encoder import MiniLM

MATRICES = ("qkv_w", "out_w", "up_w", "down_w")
#: Score of the two parts at the start: cosines of MiniLM lie in about 0-0.8, a softmax wants a spread of some ten.
SCALE = 12.0
#: Rows are padded to a multiple of this many tokens, so that few lengths are met.
_STEP = 4

_functional = torch.nn.functional


@dataclass(frozen=True, slots=True)
class Packed:
    """Texts read in one pass: states after each layer from `FIRST_JOINT` on, [tokens, width] each; where each text
    begins, and how many tokens it has."""

    layers: tuple[torch.Tensor, ...]
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


class Taught(torch.nn.Module):
    """The encoder, the marks it compares by, and the reader."""

    def __init__(self, base: MiniLM, rank: int = RANK, reader_rank: int = READER_RANK) -> None:
        super().__init__()
        self.base = base
        self.heads, self.width = base._heads, base.dimensions
        self.frozen = [
            {name: torch.from_numpy(np.ascontiguousarray(getattr(layer, name))).bfloat16()
             for name in (*MATRICES, "qkv_b", "out_b", "up_b", "down_b")}
            | {f"{norm}_{i}": torch.from_numpy(getattr(layer, norm)[i]).bfloat16()
               for norm in ("norm1", "norm2") for i in (0, 1)}
            for layer in base._layers
        ]  # fmt: skip
        self.words = torch.from_numpy(base._words)
        self.positions = torch.from_numpy(base._positions)
        self.norm = [torch.from_numpy(part) for part in base._norm]
        self.low = torch.nn.ParameterDict()
        for number in range(len(self.frozen)):
            self._add(f"{number}", number, rank)
        for number in range(FIRST_JOINT, len(self.frozen)):
            self._add(f"read_{number}", number, reader_rank)
        width = self.width
        self.attend = torch.nn.Parameter(torch.zeros(width))
        self.nothing = torch.nn.Parameter(torch.zeros(width + 1))
        self.mix = torch.nn.Parameter(torch.tensor([SCALE, SCALE]))
        self.read_mark = torch.nn.Parameter(torch.zeros(width))
        self.read_inner = torch.nn.Parameter(torch.randn(2 * width + 1, HIDDEN) / width**0.5)
        self.read_outer = torch.nn.Parameter(torch.randn(HIDDEN) / HIDDEN**0.5)

    def _add(self, key: str, number: int, rank: int) -> None:
        for name in MATRICES:
            inputs, outputs = self.frozen[number][name].shape
            self.low[f"{key}_{name}_a"] = torch.nn.Parameter(torch.randn(inputs, rank) / inputs**0.5)
            self.low[f"{key}_{name}_b"] = torch.nn.Parameter(torch.zeros(rank, outputs))

    def _times(self, x: torch.Tensor, key: str, number: int, name: str, columns: slice = slice(None)) -> torch.Tensor:
        a, b = self.low[f"{key}_{name}_a"].bfloat16(), (0.5 * self.low[f"{key}_{name}_b"]).bfloat16()
        layer = self.frozen[number]
        plain = torch.addmm(layer[name[:-1] + "b"][columns], x, layer[name][:, columns])
        return torch.addmm(plain, x @ a, b[:, columns])

    def _after(self, x: torch.Tensor, mixed: torch.Tensor, key: str, number: int) -> torch.Tensor:
        """The rest of a layer behind its attention."""
        layer, width = self.frozen[number], (self.width,)
        norm = _functional.layer_norm
        x = norm(x + self._times(mixed, key, number, "out_w"), width, layer["norm1_0"], layer["norm1_1"], 1e-12)
        hidden = _functional.gelu(self._times(x, key, number, "up_w"))
        x = x + self._times(hidden, key, number, "down_w")
        return norm(x, width, layer["norm2_0"], layer["norm2_1"], 1e-12)

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
        head, kept = self.width // self.heads, []
        for number in range(len(self.frozen)):
            if number >= FIRST_JOINT:
                kept.append(x)
            qkv = self._times(x, f"{number}", number, "qkv_w")
            mixed = []
            for first, count, length, masked in groups:
                parts = qkv[first : first + count * length].view(count, length, 3, self.heads, head)
                q, k, v = parts.permute(2, 0, 3, 1, 4)
                weights = torch.softmax(q @ k.transpose(-1, -2) * head**-0.5 + masked, -1)
                mixed.append((weights @ v).transpose(1, 2).reshape(count * length, self.width))
            x = self._after(x, torch.cat(mixed), f"{number}", number)
        return Packed((*kept, x), tuple(starts), tuple(len(row) for row in ids))

    def scores(
        self, packed: Packed, turns: Sequence[int], own: Sequence[int], statements: Sequence[int]
    ) -> torch.Tensor:
        """[turns, 1 + statements], "nothing" first, for rows of one pass; `own` is where a turn's own tokens begin."""
        unit, states = _functional.normalize, packed.layers[-1].float()
        longest = max(packed.lengths[row] for row in statements)
        table = torch.from_numpy(np.stack([_padded(packed, row, longest) for row in statements]))
        empty = torch.where(table < 0, -9.0, 0.0)
        told = states[table.clamp_min(0)] * (table >= 0)[..., None]
        means = unit(told.sum(1), dim=-1)
        tokens = states[packed.tokens(turns, own)]
        counts = torch.tensor([packed.lengths[row] - first for row, first in zip(turns, own, strict=True)])
        owner = torch.repeat_interleave(torch.arange(len(turns)), counts)

        def summed(values: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(turns), *values.shape[1:]).index_add(0, owner, values)

        heard = unit(summed(tokens), dim=-1)
        flat = unit(told, dim=-1).view(-1, self.width)
        near = (unit(tokens, dim=-1).bfloat16() @ flat.bfloat16().T).float().view(len(tokens), len(statements), longest)
        raised = torch.exp(tokens @ self.attend - (tokens @ self.attend).detach().max())
        weight = raised / summed(raised)[owner]
        best = summed(weight[:, None] * (near + empty).amax(-1))
        nothing = heard @ self.nothing[:-1] + self.nothing[-1] + self.mix.sum() * 0.45
        return torch.cat([nothing[:, None], self.mix[0] * (heard @ means.T) + self.mix[1] * best], 1)

    def read(
        self, packed: Packed, turns: Sequence[int], own: Sequence[int], sights: Sequence[Sequence[int]]
    ) -> list[torch.Tensor]:
        """For each turn one number per statement in its `sights` (rows of the pass): how far it answers the turn."""
        head = self.width // self.heads
        shown = sorted({row for rows in sights for row in rows})
        place = {row: i for i, row in enumerate(shown)}
        longest = max(packed.lengths[row] for row in shown)
        table = torch.from_numpy(np.stack([_padded(packed, row, longest) for row in shown]))
        empty = torch.where(table < 0, -1e4, 0.0).bfloat16()
        sizes = [packed.lengths[row] - first for row, first in zip(turns, own, strict=True)]
        repeated = [packed.tokens([row], [first]).repeat(len(rows))
                    for row, first, rows in zip(turns, own, sights, strict=True)]  # fmt: skip
        x = packed.layers[0][torch.cat(repeated)]
        bounds = np.cumsum([0, *(size * len(rows) for size, rows in zip(sizes, sights, strict=True))])
        for layer, number in enumerate(range(FIRST_JOINT, len(self.frozen))):
            key, keys_values = f"read_{number}", slice(self.width, None)
            qkv = self._times(x, key, number, "qkv_w")
            states = packed.layers[layer]
            told = states.index_select(0, table.clamp_min(0).view(-1)) + self.read_mark.bfloat16()
            told = self._times(told, key, number, "qkv_w", keys_values).view(len(shown), longest, 2, self.heads, head)
            behind = torch.cat([torch.arange(packed.starts[row], packed.starts[row] + first)
                                for row, first in zip(turns, own, strict=True)])  # fmt: skip
            before = self._times(states.index_select(0, behind), key, number, "qkv_w", keys_values)
            mixed, at = [], 0
            for i, rows in enumerate(sights):
                count, size = len(rows), sizes[i]
                q, k, v = qkv[bounds[i] : bounds[i + 1]].view(count, size, 3, self.heads, head).permute(2, 0, 3, 1, 4)
                chosen = torch.tensor([place[row] for row in rows])
                seen = told.index_select(0, chosen).permute(2, 0, 3, 1, 4)
                past = before[at : at + own[i]].view(1, own[i], 2, self.heads, head).permute(2, 0, 3, 1, 4)
                past = past.expand(2, count, self.heads, own[i], head)
                at += own[i]
                bias = torch.cat([torch.zeros(count, own[i] + size).bfloat16(), empty[chosen]], 1)[:, None, None]
                weights = torch.softmax(
                    q @ torch.cat([past[0], k, seen[0]], 2).transpose(-1, -2) * head**-0.5 + bias, -1
                )
                heard = weights @ torch.cat([past[1], v, seen[1]], 2)
                mixed.append(heard.transpose(1, 2).reshape(count * size, self.width))
            x = self._after(x, torch.cat(mixed), key, number)
        found = []
        for i, rows in enumerate(sights):
            states = x[bounds[i] : bounds[i + 1]].view(len(rows), sizes[i], self.width).float()
            pooled = torch.cat([states.mean(1), states[:, -1]], 1)
            hidden = torch.tanh(pooled @ self.read_inner[:-1] + self.read_inner[-1])
            found.append(hidden @ self.read_outer)
        return found

    def save(self, path: Path) -> None:
        """Half precision."""
        from safetensors.numpy import save_file

        arrays = {name: part.detach().numpy().astype(np.float16) for name, part in self.low.items()}
        for name in ("attend", "nothing", "mix", "read_mark", "read_inner", "read_outer"):
            arrays[name] = getattr(self, name).detach().numpy().astype(np.float32)
        save_file(arrays, path, metadata={"base": self.base.id, "data": "npc/training/data, written for this project"})


def _padded(packed: Packed, row: int, length: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of a text's tokens, -1 behind its end."""
    places = np.full(length, -1, np.int64)
    places[: packed.lengths[row]] = np.arange(packed.starts[row], packed.starts[row] + packed.lengths[row])
    return places
