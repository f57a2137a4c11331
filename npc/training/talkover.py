"""Train the network that hears who speaks over the character (`npc.conversation.talkover`).

    python -m npc.training.talkover --cache DIR [--clips 24000] [--epochs 14] [--workers N]

It learns from sounds over a character (`talkover_clips`) to say in every frame who is heard, and beside it, through a
second head that is thrown away afterwards, which phone the player says: the same words begin "no, the red one" and "no
way", and who knows the phones tells them apart from fewer examples. A twentieth of the clips is held out. Needs torch;
0.06 s of CPU a clip, and 0.7 s an epoch and thousand clips.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from npc.conversation import network_file, talkover
from npc.conversation.talkover import Who
from npc.phonetics.arpabet import PHONES39
from npc.training.talkover_clips import SHORT, Clip, clips

#: What the phones weigh beside who is heard.
_PHONES_WEIGH: Final = 0.3


def _network() -> Any:
    from torch import nn

    class Network(nn.Module):
        """The shape of `talkover.Network`."""

        def __init__(self, dense: int = 96, size: int = 128) -> None:
            super().__init__()
            self.dense, self.drop = nn.Linear(talkover.INPUTS, dense), nn.Dropout(0.2)
            self.gru, self.out = nn.GRU(dense, size, batch_first=True), nn.Linear(size, len(Who))
            self.phones = nn.Linear(size, len(PHONES39) + 1)

        def forward(self, given: Any) -> tuple[Any, Any]:
            """Logits of who, and of the player's phone, [batch, frames, ...]."""
            import torch

            states, _ = self.gru(self.drop(torch.relu(self.dense(given))))
            states = self.drop(states)
            return self.out(states), self.phones(states)

    return Network()


def _named(network: Any) -> dict[str, Any]:
    """The network's tensors under the names of `talkover.Network`."""
    return {
        "dense": network.dense.weight, "dense_bias": network.dense.bias,
        "input": network.gru.weight_ih_l0, "input_bias": network.gru.bias_ih_l0,
        "state": network.gru.weight_hh_l0, "state_bias": network.gru.bias_hh_l0,
        "out": network.out.weight, "out_bias": network.out.bias,
    }  # fmt: skip


def exported(network: Any) -> dict[str, NDArray[np.float32]]:
    """Weights as `talkover.Network` wants them."""
    return {name: tensor.detach().numpy() for name, tensor in _named(network).items()}


def _varied(inputs: Any) -> Any:
    """Other microphones: a gain, a coloured spectrum and a noise floor for what is heard, the same in a clip; sessions
    without an echo judge."""
    import torch

    bands, size = talkover.BANDS, len(inputs)
    mics = slice(0, 5 * bands)
    colour = 0.04 * torch.randn(size, 1, bands).cumsum(2)
    colour = colour - colour.mean(2, keepdim=True) + 0.12 * torch.randn(size, 1, 1)
    varied = inputs.clone()
    varied[:, :, mics] += colour.repeat(1, 1, 5)
    floor = torch.rand(size, 1, 1) * 0.9 - 2.6
    varied[:, :, mics] = torch.logaddexp(4 * varied[:, :, mics], 4 * floor) / 4
    deaf = torch.rand(size) < 0.1
    varied[deaf, :, 5 * bands : 6 * bands] = varied[:, :, 5 * bands : 6 * bands].min()
    numbers = 6 * bands
    varied[deaf, :, numbers : numbers + 2] = 0.0
    varied[deaf, :, numbers + 5] = inputs[:, :, numbers + 5].min()
    return varied


class _Block:
    """Clips of one length; a twentieth of them is held out, twenty in a row: neighbours are the same words."""

    def __init__(self, data: Sequence[Clip]) -> None:
        import torch

        self.inputs = torch.tensor(np.array([clip.inputs for clip in data]))
        self.labels = torch.tensor(np.array([clip.labels for clip in data]), dtype=torch.long)
        self.weights = torch.tensor(np.array([clip.weights for clip in data]), dtype=torch.float32)
        self.phones = torch.tensor(np.array([clip.phones for clip in data]), dtype=torch.long)
        held = np.arange(len(data)) // 20 % 20 == 0
        self.learned, self.rest = np.flatnonzero(~held), np.flatnonzero(held)
        self.kept = [clip for clip, out in zip(data, held, strict=True) if out]
        self.short = self.labels.shape[1] == SHORT
        if self.short:
            self.weights[self.labels == Who.NOBODY] = 0.0

    def asked(self, logits: Any) -> Any:
        """Short clips are always heard without an echo: they teach what kind of sound it is, not whether it is ours."""
        if self.short:
            logits[..., Who.NOBODY] = -20.0
        return logits


def fit(
    data: Sequence[Clip], epochs: int, seed: int, begin: Path | None = None, size: int = 96
) -> dict[str, NDArray[np.float32]]:
    """Train on nineteen of twenty clips, from the weights of `begin` where given; prints how the rest is told apart."""
    import torch

    torch.manual_seed(seed)
    lengths = sorted({len(clip.labels) for clip in data})
    blocks = [_Block([clip for clip in data if len(clip.labels) == length]) for length in lengths]
    network = _network()
    if begin is not None:
        with np.load(begin) as stored, torch.no_grad():
            for name, tensor in _named(network).items():
                tensor.copy_(torch.tensor(stored[name].astype(np.float32)))
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    highest = 4e-3 if begin is None else 2e-3
    steps = sum(len(block.learned) // size for block in blocks)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, highest, total_steps=epochs * steps + 1)
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        network.train()
        batches = [(block, rows) for block in blocks for rows in _batches(rng.permutation(block.learned), size)]
        for at in rng.permutation(len(batches)):
            block, rows = batches[at]
            optimiser.zero_grad()
            _loss(network, block, rows).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        if epoch % 4 == 3 or epoch == epochs - 1:
            network.eval()
            for block in blocks:
                with torch.no_grad():
                    chances = torch.softmax(network(block.inputs[block.rest].float())[0], 2).numpy()
                told = told_apart(block.kept, chances)
                print(f"epoch {epoch + 1}, {block.labels.shape[1]} frames: {told}", file=sys.stderr, flush=True)
    return exported(network)


def _loss(network: Any, block: _Block, rows: NDArray[np.intp]) -> Any:
    """Cross-entropy of who by the weights of the frames, and a part of that of the phones where they are known."""
    from torch.nn.functional import cross_entropy

    who, phones = network(_varied(block.inputs[rows].float()))
    losses = cross_entropy(block.asked(who).transpose(1, 2), block.labels[rows], reduction="none")
    weights, known = block.weights[rows], block.phones[rows]
    spoken = cross_entropy(phones.transpose(1, 2), known, ignore_index=-1, reduction="sum") / (known >= 0).sum().clamp(
        1
    )
    return (losses * weights).sum() / weights.sum() + _PHONES_WEIGH * spoken


def _batches(order: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    for begin in range(0, len(order) - size + 1, size):
        yield order[begin : begin + size]


def told_apart(data: Sequence[Clip], chances: NDArray[np.floating]) -> str:
    """Areas under the curve, so many ms after the onset: talkers against all other sounds and against listeners alone,
    and a player's voice against nobody and noises."""
    from npc.training.endpointing_voice import area

    told = []
    kinds = np.array([clip.labels[clip.onset + 1] if clip.onset >= 0 else 0 for clip in data])
    onsets = np.array([clip.onset if clip.onset >= 0 else 60 for clip in data])
    sound, spoken, talks = kinds > 0, kinds >= Who.LISTENER, (kinds == Who.TALKER) * 1.0
    for later in (2, 3, 5, 8, 11, 14):
        at = np.minimum(onsets + later, chances.shape[1] - 1)
        talker = chances[np.arange(len(data)), at, Who.TALKER]
        voice = talker + chances[np.arange(len(data)), at, Who.LISTENER]
        told.append(
            f"{32 * later} ms: talkers {area(talker[sound], talks[sound]):.3f} (of spoken sounds "
            f"{area(talker[spoken], talks[spoken]):.3f}), voices {area(voice, spoken * 1.0):.3f}"
        )
    return "; ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the clips; those in it are not remade")
    parser.add_argument("--clips", type=int, default=24_000)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--begin", type=Path, help="go on from these weights, half as fast")
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--out", type=Path, default=Path(talkover.__file__).with_name("talkover.npz"))
    options = parser.parse_args()
    data = clips(options.cache, options.clips, options.seed, options.workers)
    print(f"{len(data)} clips", file=sys.stderr)
    network_file.save(options.out, fit(data, options.epochs, options.seed, options.begin))
    print(f"wrote {options.out} ({options.out.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
