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


@dataclass(frozen=True, slots=True)
class Shown:
    """Statements of a pass: places of their tokens [statements, longest] (-1 behind the end), a number that keeps what
    is behind the end from being the best match, unit token states, and unit means."""

    places: torch.Tensor
    empty: torch.Tensor
    tokens: torch.Tensor
    means: torch.Tensor


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
        self.read_outer = torch.nn.Parameter(torch.zeros(HIDDEN))
        # At first a turn hardly looks at the statement: reading starts as the comparison of what was read alone.
        self.read_gate = torch.nn.Parameter(torch.full((len(self.frozen) - FIRST_JOINT, self.heads), -2.0))

    def _add(self, key: str, number: int, rank: int) -> None:
        for name in MATRICES:
            inputs, outputs = self.frozen[number][name].shape
            self.low[f"{key}_{name}_a"] = torch.nn.Parameter(torch.randn(inputs, rank) / inputs**0.5)
            self.low[f"{key}_{name}_b"] = torch.nn.Parameter(torch.zeros(rank, outputs))

    def _times(
        self, x: torch.Tensor, number: int, name: str, *, reading: bool, only: slice = slice(None)
    ) -> torch.Tensor:
        """x through one matrix as taught (`only`: some of its outputs); the reader changes that further."""
        layer = self.frozen[number]
        y = torch.addmm(layer[name[:-1] + "b"][only], x, layer[name][:, only])
        for key in (f"{number}", f"read_{number}") if reading else (f"{number}",):
            a, b = self.low[f"{key}_{name}_a"].bfloat16(), (0.5 * self.low[f"{key}_{name}_b"]).bfloat16()
            y = torch.addmm(y, x @ a, b[:, only])
        return y

    def _after(self, x: torch.Tensor, mixed: torch.Tensor, number: int, *, reading: bool) -> torch.Tensor:
        """The rest of a layer behind its attention."""
        layer, width = self.frozen[number], (self.width,)
        norm = _functional.layer_norm
        x = norm(
            x + self._times(mixed, number, "out_w", reading=reading), width, layer["norm1_0"], layer["norm1_1"], 1e-12
        )
        hidden = _functional.gelu(self._times(x, number, "up_w", reading=reading))
        x = x + self._times(hidden, number, "down_w", reading=reading)
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
            qkv = self._times(x, number, "qkv_w", reading=False)
            mixed = []
            for first, count, length, masked in groups:
                parts = qkv[first : first + count * length].view(count, length, 3, self.heads, head)
                q, k, v = parts.permute(2, 0, 3, 1, 4)
                weights = torch.softmax(q @ k.transpose(-1, -2) * head**-0.5 + masked, -1)
                mixed.append((weights @ v).transpose(1, 2).reshape(count * length, self.width))
            x = self._after(x, torch.cat(mixed), number, reading=False)
        return Packed((*kept, x), tuple(starts), tuple(len(row) for row in ids))

    def scores(self, packed: Packed, turns: Sequence[int], own: Sequence[int], shown: Shown) -> torch.Tensor:
        """[turns, 1 + statements], "nothing" first, for rows of one pass; `own` is where a turn's own tokens begin."""
        states = packed.layers[-1].float()
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
        return torch.cat([self._nothing(heard)[:, None], self.mix[0] * (heard @ shown.means.T) + self.mix[1] * best], 1)

    def _nothing(self, heard: torch.Tensor) -> torch.Tensor:
        """Score of "nothing known answers", by the unit mean of a turn."""
        return heard @ self.nothing[:-1] + self.nothing[-1] + self.mix.sum() * 0.45

    def shown(self, packed: Packed, statements: Sequence[int]) -> Shown:
        """The statements of a pass, made ready to be compared."""
        longest = max(packed.lengths[row] for row in statements)
        places = torch.from_numpy(np.stack([_padded(packed, row, longest) for row in statements]))
        told = packed.layers[-1].float()[places.clamp_min(0)] * (places >= 0)[..., None]
        return Shown(places, torch.where(places < 0, -9.0, 0.0), _unit(told), _unit(told.sum(1)))

    def read(
        self, packed: Packed, turns: Sequence[int], own: Sequence[int], shown: Shown, sights: Sequence[Sequence[int]]
    ) -> list[torch.Tensor]:
        """For each turn one number per statement in its `sights` (numbers in `shown`): log-odds that it answers."""
        head, longest = self.width // self.heads, shown.places.shape[1]
        used = sorted({at for line in sights for at in line})
        chosen = [torch.tensor([used.index(at) for at in line]) for line in sights]
        places = shown.places[used]
        sizes = [packed.lengths[row] - first for row, first in zip(turns, own, strict=True)]
        repeated = [packed.tokens([row], [first]).repeat(len(line))
                    for row, first, line in zip(turns, own, sights, strict=True)]  # fmt: skip
        x = packed.layers[0][torch.cat(repeated)]
        bounds = np.cumsum([0, *(size * len(line) for size, line in zip(sizes, sights, strict=True))])
        behind = torch.cat([torch.arange(packed.starts[row], packed.starts[row] + first)
                            for row, first in zip(turns, own, strict=True)])  # fmt: skip
        values = slice(self.width, None)
        for layer, number in enumerate(range(FIRST_JOINT, len(self.frozen))):
            qkv = self._times(x, number, "qkv_w", reading=True)
            states = packed.layers[layer]
            told = states.index_select(0, places.clamp_min(0).view(-1)) + self.read_mark.bfloat16()
            told = self._times(told, number, "qkv_w", reading=True, only=values)
            told = told.view(len(used), longest, 2, self.heads, head)
            before = self._times(states.index_select(0, behind), number, "qkv_w", reading=True, only=values)
            gate = self.read_gate[layer].bfloat16()[:, None, None]
            mixed, at = [], 0
            for i, line in enumerate(chosen):
                count, size = len(line), sizes[i]
                q, k, v = qkv[bounds[i] : bounds[i + 1]].view(count, size, 3, self.heads, head).permute(2, 0, 3, 1, 4)
                seen = told.index_select(0, line).permute(2, 0, 3, 1, 4)
                past = before[at : at + own[i]].view(1, own[i], 2, self.heads, head).permute(2, 0, 3, 1, 4)
                past = past.expand(2, count, self.heads, own[i], head)
                at += own[i]
                near = q @ torch.cat([past[0], k], 2).transpose(-1, -2) * head**-0.5
                empty = torch.where(places[line] < 0, -1e4, 0.0).bfloat16()[:, None, None]
                far = q @ seen[0].transpose(-1, -2) * head**-0.5 + gate + empty
                weights = torch.softmax(torch.cat([near, far], -1), -1)
                heard = weights @ torch.cat([past[1], v, seen[1]], 2)
                mixed.append(heard.transpose(1, 2).reshape(count * size, self.width))
            x = self._after(x, torch.cat(mixed), number, reading=True)
        found = []
        last = packed.layers[-1].float()
        for i, numbers in enumerate(map(torch.tensor, sights)):
            states = x[bounds[i] : bounds[i + 1]].view(len(numbers), sizes[i], self.width).float()
            weight = torch.softmax(states @ self.attend, -1)
            near = _unit(states) @ shown.tokens[numbers].transpose(-1, -2) + shown.empty[numbers][:, None]
            like = self.mix[0] * (_unit(states.mean(1)) * shown.means[numbers]).sum(-1)
            like = like + self.mix[1] * (weight * near.amax(-1)).sum(-1)
            heard = _unit(last[packed.tokens([turns[i]], [own[i]])].mean(0))
            pooled = torch.cat([states.mean(1), states[:, -1]], 1)
            hidden = torch.tanh(pooled @ self.read_inner[:-1] + self.read_inner[-1])
            found.append(like - self._nothing(heard) + hidden @ self.read_outer)
        return found

    def save(self, path: Path) -> None:
        """Half precision."""
        from safetensors.numpy import save_file

        arrays = {name: part.detach().numpy().astype(np.float16) for name, part in self.low.items()}
        for name in ("attend", "nothing", "mix", "read_mark", "read_gate", "read_inner", "read_outer"):
            arrays[name] = getattr(self, name).detach().numpy().astype(np.float32)
        save_file(arrays, path, metadata={"base": self.base.id, "data": "npc/training/data, written for this project"})


def _unit(states: torch.Tensor) -> torch.Tensor:
    return _functional.normalize(states, dim=-1)


def _padded(packed: Packed, row: int, length: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of a text's tokens, -1 behind its end."""
    places = np.full(length, -1, np.int64)
    places[: packed.lengths[row]] = np.arange(packed.starts[row], packed.starts[row] + packed.lengths[row])
    return places
