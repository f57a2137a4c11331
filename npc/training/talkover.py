"""Train the network that hears who speaks over the character (`npc.conversation.talkover`).

    python -m npc.training.talkover [--cache FILE] [--clips 15000] [--epochs 30] [--workers N]

    character   ▇▇▇▇▇▇▇▇▇▇▇▇▇┃ paused ┃▇▇▇▇      Flite, heard through a loudspeaker and a room, or not heard
    player             ▂▇▇▇▁                     nothing, a noise, a sign of listening, words of a talker
    label       nobody │  who, and 0.3 s after it │ not judged │ nobody

One clip in six runs through the echo guard and the voice-activity detector as in a session, with pauses of the reply
as a session makes them; five are short, heard over headphones, and teach to tell listeners from talkers. Texts, levels,
rooms and seeds are other than those of `npc bench interrupt`. Flite speaks in three voices, varied in pace, pitch and
tract. A twentieth of the clips is held out. Needs torch; 0.1 s of CPU a clip.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.audio.echo import EchoGuard
from npc.audio.vad import FRAME, SileroVad, VoiceGate
from npc.conversation import network_file, talkover
from npc.conversation.talkover import Who
from npc.training import endpointing_sentences
from npc.training.endpointing_sound import speaker
from npc.training.noises import noise
from npc.training.rooms import Samples, impulse_response, room_noise, to_pcm
from npc.training.talkover_texts import listening, talking
from npc.tts.interface import SpeechRequest

#: Frames of a long clip and of a short one: 4.5 and 1.5 s.
FRAMES, SHORT = 141, 46
_BATCH = 120
#: How often each is heard over the character.
_SHARES = {Who.NOBODY: 0.36, Who.NOISE: 0.14, Who.LISTENER: 0.2, Who.TALKER: 0.3}
_SHORT_SHARES = {Who.NOBODY: 0.0, Who.NOISE: 0.1, Who.LISTENER: 0.45, Who.TALKER: 0.45}
_AFTER = LISTEN_RATE * 320 // 1000
_UNJUDGED = LISTEN_RATE * 300 // 1000


@dataclass(frozen=True, slots=True)
class Clip:
    """Inputs [frames, INPUTS], labels and weights of every frame; the frame of the onset (-1: nobody came)."""

    inputs: NDArray[np.float16]
    labels: NDArray[np.int8]
    weights: NDArray[np.float16]
    onset: int


def clips(count: int, seed: int, workers: int) -> Iterator[Clip]:
    """`count` clips, made by so many processes."""
    jobs = [((seed, begin), min(_BATCH, count - begin)) for begin in range(0, count, _BATCH)]
    # Flite is not safe in threads, and a fork of a process that holds it is not safe either.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for number, made in enumerate(pool.imap(batch, jobs), 1):
            yield from made
            print(f"{number} of {len(jobs)} batches made", file=sys.stderr, flush=True)


def batch(job: tuple[tuple[int, int], int]) -> list[Clip]:
    """Clips of one seed; a character speaks for ten of them."""
    seed, count = job
    rng = np.random.default_rng(seed)
    vad, made = SileroVad(), list[Clip]()
    for number in range(count):
        if number % 10 == 0:
            character = _reply(rng)
        made.append(_clip(rng, character, vad) if number % 6 == 0 else _headphones(rng, character, vad))
    return made


def _reply(rng: np.random.Generator) -> Samples:
    """Twenty seconds of a character."""
    who, parts, size = speaker(rng), list[Samples](), 0
    while size < 20 * LISTEN_RATE:
        text = endpointing_sentences.draw(rng).replace("| ", "")
        parts.append(np.concatenate([chunk.pcm for chunk in who.synthesize(SpeechRequest(text))]).astype(np.float64))
        size += parts[-1].size
    return np.concatenate(parts)


def _player(rng: np.random.Generator, who: Who) -> tuple[Samples, int, int]:
    """A sound on the int16 scale and its first and last loud samples (10 ms within 40 dB of the loudest)."""
    if who is Who.NOISE:
        made = noise(rng) * 10 ** rng.uniform(2.8, 4.3)
    else:
        text, spelt = listening(rng) if who is Who.LISTENER else (talking(rng), ())
        request = SpeechRequest(text, lexicon=spelt)
        made = np.concatenate([chunk.pcm for chunk in speaker(rng).synthesize(request)]).astype(np.float64)
        power = _powers(made)
        level = np.sqrt(power[power > power.max() * 1e-3].mean())
        made *= 32768.0 * 10 ** (rng.uniform(-35.0, -15.0) / 20.0) / level
    power = _powers(made)
    loud = np.flatnonzero(power > power.max() * 1e-4)
    step = LISTEN_RATE // 100
    return made, int(loud[0]) * step, min(made.size, (int(loud[-1]) + 1) * step)


def _powers(sound: Samples) -> Samples:
    edges = np.arange(0, sound.size, LISTEN_RATE // 100)
    return np.asarray(np.add.reduceat(sound**2, edges) / np.diff(np.append(edges, sound.size)))


class _Loudspeaker:
    """Plays the reply, stands still while it is paused, and comes back through a room (or not at all)."""

    _SIZE = 16_384

    def __init__(self, rng: np.random.Generator, reply: Samples) -> None:
        begin = int(rng.integers(0, reply.size - (FRAMES + 2) * FRAME))
        self._reply, self._at = reply[begin:], 0
        self._echo = np.zeros(FRAME + self._SIZE)
        self._kernel: NDArray[np.complex128] | None = None
        if rng.random() < 0.6:
            response = impulse_response(int(rng.integers(2**31)), float(rng.uniform(0.1, 0.35)))
            delay = np.zeros(int(rng.uniform(0.015, 0.45) * LISTEN_RATE))
            kernel = np.concatenate([delay, response * 10 ** (rng.uniform(-24.0, -4.0) / 20.0)])
            self._kernel = np.fft.rfft(kernel[: self._SIZE - FRAME], self._SIZE)

    def step(self, playing: bool) -> tuple[Samples, Samples]:
        """(what is played, what comes back) in the next frame."""
        played = np.zeros(FRAME)
        if playing:
            played = self._reply[self._at : self._at + FRAME]
            self._at += FRAME
        if self._kernel is not None:
            self._echo[: self._SIZE] += np.fft.irfft(np.fft.rfft(played, self._SIZE) * self._kernel, self._SIZE)
        back = self._echo[:FRAME].copy()
        self._echo = np.append(self._echo[FRAME:], np.zeros(FRAME))
        return played, back


def _clip(rng: np.random.Generator, reply: Samples, vad: SileroVad) -> Clip:
    who = _drawn(rng, _SHARES)
    player, start, end = (np.zeros(0), 0, 0) if who is Who.NOBODY else _player(rng, who)
    speaks_from = int(rng.integers(2, 8))
    # Many come in the first second, while the echo is not known yet.
    comes = speaks_from * FRAME + int(
        LISTEN_RATE * (rng.uniform(0.1, 1.0) if rng.random() < 0.25 else rng.uniform(0.8, 3.0))
    )
    first, last = comes + start, comes + end
    heard = _microphone(rng, FRAMES, comes, player)
    speakers, guard, ears = _Loudspeaker(rng, reply), EchoGuard(), vad.open()
    features, pausing = talkover.Features(), _Pauses(rng, who)
    rows = np.zeros((FRAMES, talkover.INPUTS), np.float16)
    for number in range(FRAMES):
        span = slice(number * FRAME, (number + 1) * FRAME)
        playing = number >= speaks_from and not pausing.paused
        played, back = speakers.step(playing)
        if playing:
            guard.sent(to_pcm(played), number * FRAME)
        sound = to_pcm(heard[span] + back)
        seen = guard.heard(sound)
        (voice,) = ears.push(seen.cleaned)
        ours = np.zeros(FRAME) if seen.ours is None else seen.ours
        frame = talkover.Frame(sound, seen.cleaned, ours, seen.own_voice, seen.delay is not None, voice.probability)
        rows[number] = features.step(frame)
        pausing.step(number >= speaks_from, voice.probability, seen.own_voice, first <= number * FRAME + FRAME)
    labels, weights = _labels(who, first, last, FRAMES)
    weights[:speaks_from] = 0.0
    return Clip(rows[:FRAMES], labels, weights, -1 if who is Who.NOBODY else first // FRAME)


def _headphones(rng: np.random.Generator, reply: Samples, vad: SileroVad) -> Clip:
    """A short sound over a character that does not come back; the echo guard has its doubts at most."""
    who = _drawn(rng, _SHORT_SHARES)
    player, start, end = _player(rng, who)
    comes = int(rng.integers(3 * FRAME, 10 * FRAME))
    heard = _microphone(rng, SHORT, comes, player)
    begin = int(rng.integers(0, reply.size - SHORT * FRAME))
    until = (comes + start) // FRAME + int(rng.integers(2, 6))
    doubt = rng.uniform(0.0, 0.5) if rng.random() < 0.35 else 0.0
    ears, features = vad.open(), talkover.Features()
    rows = np.zeros((SHORT, talkover.INPUTS), np.float16)
    for number in range(SHORT):
        sound = to_pcm(heard[number * FRAME : (number + 1) * FRAME])
        ours = reply[begin + number * FRAME :][:FRAME] / 32768.0 if number < until else np.zeros(FRAME)
        (voice,) = ears.push(sound)
        own = doubt * rng.uniform(0.7, 1.0)
        rows[number] = features.step(talkover.Frame(sound, sound, ours, own, False, voice.probability))
    labels, weights = _labels(who, comes + start, comes + end, SHORT)
    return Clip(rows, labels, weights, (comes + start) // FRAME)


def _drawn(rng: np.random.Generator, shares: Mapping[Who, float]) -> Who:
    return Who(int(rng.choice(len(shares), p=list(shares.values()))))


def _microphone(rng: np.random.Generator, frames: int, comes: int, player: Samples) -> Samples:
    """The room's noise, with the player from sample `comes` on."""
    level = 32768.0 * 10 ** (rng.uniform(-74.0, -46.0) / 20.0)
    heard = room_noise(int(rng.integers(2**31)), frames * FRAME, level).astype(np.float64)
    part = player[: max(0, heard.size - comes)]
    heard[comes : comes + part.size] += part
    return heard


class _Pauses:
    """When a session pauses the reply: two voiced frames that are not ours. It goes on after a while, or not at all."""

    def __init__(self, rng: np.random.Generator, who: Who) -> None:
        self._rng, self._who = rng, who
        self._gate, self._voiced, self._left = VoiceGate(), 0, 0
        self._spurious = int(rng.integers(15, FRAMES)) if rng.random() < 0.2 else -1

    @property
    def paused(self) -> bool:
        return self._left > 0

    def step(self, speaking: bool, speech: float, own: float, player: bool) -> None:
        """The frame that was just heard."""
        self._spurious -= 1
        self._left = max(0, self._left - 1)
        self._voiced = self._voiced + 1 if self._gate.step(speech) else 0
        noticed = (self._voiced >= 2 and own < 0.6) or self._spurious == 0
        if speaking and noticed and not self.paused:
            stays = player and self._who is Who.TALKER and self._rng.random() < 0.7
            self._left = FRAMES if stays else int(self._rng.integers(6, 18))


def _labels(who: Who, first: int, last: int, frames: int) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    labels, weights = np.zeros(frames, np.int8), np.full(frames, 0.3, np.float16)
    if who is Who.NOBODY:
        return labels, weights
    for number in range(frames):
        begin, end = number * FRAME, (number + 1) * FRAME
        if end <= first + LISTEN_RATE // 200:
            continue
        if begin < last + _AFTER:
            labels[number] = who
            since = end - first
            # The first half second decides; the frame in which a sound begins holds too little of it.
            weights[number] = 0.3 if since < FRAME else 1.0 if since < LISTEN_RATE * 6 // 10 else 0.4
        elif begin < last + _AFTER + _UNJUDGED:
            weights[number] = 0.0
    return labels, weights


def _network() -> Any:
    from torch import nn

    class Network(nn.Module):
        """The shape of `talkover.Network`."""

        def __init__(self, dense: int = 96, size: int = 128) -> None:
            super().__init__()
            self.dense, self.drop = nn.Linear(talkover.INPUTS, dense), nn.Dropout(0.2)
            self.gru, self.out = nn.GRU(dense, size, batch_first=True), nn.Linear(size, len(Who))

        def forward(self, given: Any) -> Any:
            import torch

            states, _ = self.gru(self.drop(torch.relu(self.dense(given))))
            return self.out(self.drop(states))

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
    """Clips of one length; a twentieth of them is held out."""

    def __init__(self, data: Sequence[Clip]) -> None:
        import torch

        self.inputs = torch.tensor(np.array([clip.inputs for clip in data]))
        self.labels = torch.tensor(np.array([clip.labels for clip in data]), dtype=torch.long)
        self.weights = torch.tensor(np.array([clip.weights for clip in data]), dtype=torch.float32)
        held = np.arange(len(data)) % 20 == 0
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
    data: Sequence[Clip], epochs: int, seed: int, begin: Path | None = None, size: int = 64
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
            logits = block.asked(network(_varied(block.inputs[rows].float())))
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), block.labels[rows], reduction="none")
            weights = block.weights[rows]
            optimiser.zero_grad()
            ((losses * weights).sum() / weights.sum()).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        if epoch % 4 == 3 or epoch == epochs - 1:
            network.eval()
            for block in blocks:
                with torch.no_grad():
                    chances = torch.softmax(network(block.inputs[block.rest].float()), 2).numpy()
                told = told_apart(block.kept, chances)
                print(f"epoch {epoch + 1}, {block.labels.shape[1]} frames: {told}", file=sys.stderr, flush=True)
    return exported(network)


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
    parser.add_argument("--cache", type=Path, action="append", help="clips, made when missing; repeatable")
    parser.add_argument("--clips", type=int, default=15_000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--begin", type=Path, help="go on from these weights, half as fast")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(talkover.__file__).with_name("talkover.npz"))
    options = parser.parse_args()
    data: list[Clip] = []
    for number, path in enumerate(options.cache or [None]):
        data += _cached(path, options.clips, options.seed + number, options.workers)
    print(f"{len(data)} clips", file=sys.stderr)
    network_file.save(options.out, fit(data, options.epochs, options.seed, options.begin))
    print(f"wrote {options.out} ({options.out.stat().st_size} bytes)")


def _cached(path: Path | None, count: int, seed: int, workers: int) -> list[Clip]:
    if path is None or not path.exists():
        made = list(clips(count, seed, workers))
        if path is not None:
            path.write_bytes(pickle.dumps(made))
        return made
    kept: list[Clip] = pickle.loads(path.read_bytes())
    return kept


if __name__ == "__main__":
    main()
