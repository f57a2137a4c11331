"""Train the network that hears who speaks over the character (`npc.conversation.talkover`).

    python -m npc.training.talkover [--cache FILE] [--clips 8000] [--epochs 30] [--workers N]

    character   ▇▇▇▇▇▇▇▇▇▇▇▇▇┃ paused ┃▇▇▇▇      Flite, heard through a loudspeaker and a room, or not heard
    player             ▂▇▇▇▁                     nothing, a noise, a sign of listening, words of a talker
    label       nobody │  who, and 0.3 s after it │ not judged │ nobody

Every clip runs through the echo guard and the voice-activity detector as in a session, with pauses of the reply as a
session makes them. Texts, levels, rooms and seeds are other than those of `npc bench interrupt`. Flite speaks in three
voices, varied in pace, pitch and tract. A twentieth of the clips is held out. Needs torch; 0.3 s of CPU a clip.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.audio.echo import EchoGuard
from npc.audio.vad import FRAME, SileroVad, VoiceGate
from npc.conversation import talkover
from npc.conversation.talkover import Who
from npc.training import endpointing_sentences
from npc.training.endpointing_sound import speaker
from npc.training.noises import noise
from npc.training.rooms import Samples, impulse_response, room_noise, to_pcm
from npc.training.talkover_texts import listening, talking
from npc.tts.interface import SpeechRequest

#: Frames a clip: 4.5 s.
FRAMES = 141
_BATCH = 100
#: How often each is heard over the character.
_SHARES = {Who.NOBODY: 0.2, Who.NOISE: 0.2, Who.LISTENER: 0.26, Who.TALKER: 0.34}
_AFTER = LISTEN_RATE * 320 // 1000
_UNJUDGED = LISTEN_RATE * 300 // 1000


@dataclass(frozen=True, slots=True)
class Clip:
    """Inputs [FRAMES, INPUTS], labels and weights of every frame; the frame of the onset (-1: nobody came)."""

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
        made.append(_clip(rng, character, vad))
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
    who = Who(int(rng.choice(len(_SHARES), p=list(_SHARES.values()))))
    player, start, end = (np.zeros(0), 0, 0) if who is Who.NOBODY else _player(rng, who)
    speaks_from = int(rng.integers(2, 8))
    # Many come in the first second, while the echo is not known yet.
    comes = speaks_from * FRAME + int(
        LISTEN_RATE * (rng.uniform(0.1, 1.0) if rng.random() < 0.25 else rng.uniform(0.8, 3.0))
    )
    first, last = comes + start, comes + end
    microphone = room_noise(
        int(rng.integers(2**31)), FRAMES * FRAME, 32768.0 * 10 ** (rng.uniform(-74.0, -46.0) / 20.0)
    )
    heard = microphone.astype(np.float64)
    part = player[: max(0, heard.size - comes)]
    heard[comes : comes + part.size] += part
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
    labels, weights = _labels(who, first, last)
    weights[:speaks_from] = 0.0
    return Clip(rows[:FRAMES], labels, weights, -1 if who is Who.NOBODY else first // FRAME)


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


def _labels(who: Who, first: int, last: int) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    labels, weights = np.zeros(FRAMES, np.int8), np.full(FRAMES, 0.3, np.float16)
    if who is Who.NOBODY:
        return labels, weights
    for number in range(FRAMES):
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

        def __init__(self, dense: int = 96, size: int = 96) -> None:
            super().__init__()
            self.dense, self.drop = nn.Linear(talkover.INPUTS, dense), nn.Dropout(0.2)
            self.gru, self.out = nn.GRU(dense, size, batch_first=True), nn.Linear(size, len(Who))

        def forward(self, given: Any) -> Any:
            import torch

            states, _ = self.gru(self.drop(torch.relu(self.dense(given))))
            return self.out(self.drop(states))

    return Network()


def exported(network: Any) -> dict[str, NDArray[np.float32]]:
    """Weights as `talkover.Network` wants them."""
    network = network.cpu()
    named = {
        "dense": network.dense.weight, "dense_bias": network.dense.bias,
        "input": network.gru.weight_ih_l0, "input_bias": network.gru.bias_ih_l0,
        "state": network.gru.weight_hh_l0, "state_bias": network.gru.bias_hh_l0,
        "out": network.out.weight, "out_bias": network.out.bias,
    }  # fmt: skip
    return {name: tensor.detach().numpy() for name, tensor in named.items()}


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


def fit(data: Sequence[Clip], epochs: int, seed: int, size: int = 64) -> dict[str, NDArray[np.float32]]:
    """Train on nineteen of twenty clips; prints how the rest is told apart."""
    import torch

    torch.manual_seed(seed)
    inputs = torch.tensor(np.array([clip.inputs for clip in data]))
    labels = torch.tensor(np.array([clip.labels for clip in data]), dtype=torch.long)
    weights = torch.tensor(np.array([clip.weights for clip in data]), dtype=torch.float32)
    held = np.arange(len(data)) % 20 == 0
    learned, rest = np.flatnonzero(~held), np.flatnonzero(held)
    network = _network()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * (len(learned) // size) + 1)
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        network.train()
        order = rng.permutation(learned)
        for begin in range(0, len(order) - size + 1, size):
            rows = order[begin : begin + size]
            logits = network(_varied(inputs[rows].float()))
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels[rows], reduction="none")
            optimiser.zero_grad()
            ((losses * weights[rows]).sum() / weights[rows].sum()).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        if epoch % 5 == 4 or epoch == epochs - 1:
            network.eval()
            with torch.no_grad():
                chances = torch.softmax(network(inputs[rest].float()), 2).numpy()
            kept = [clip for clip, out in zip(data, held, strict=True) if out]
            print(
                f"epoch {epoch + 1}: {told_apart(kept, chances)}",
                file=sys.stderr,
                flush=True,
            )
    return exported(network)


def told_apart(data: Sequence[Clip], chances: NDArray[np.floating]) -> str:
    """Area under the curve of talkers against everybody else, so many frames after the onset; and of a player's voice
    against nobody and noises, where it matters: from the second frame on."""
    from npc.training.endpointing_voice import area

    told = []
    kinds = np.array([clip.labels[clip.onset + 1] if clip.onset >= 0 else 0 for clip in data])
    onsets = np.array([clip.onset if clip.onset >= 0 else 60 for clip in data])
    sound, spoken, talks = kinds > 0, kinds >= Who.LISTENER, (kinds == Who.TALKER) * 1.0
    for later in (2, 3, 5, 8, 11, 14):
        at = np.minimum(onsets + later, FRAMES - 1)
        talker = chances[np.arange(len(data)), at, Who.TALKER]
        voice = talker + chances[np.arange(len(data)), at, Who.LISTENER]
        told.append(
            f"{32 * later} ms: talkers {area(talker[sound], talks[sound]):.3f} (of spoken sounds "
            f"{area(talker[spoken], talks[spoken]):.3f}), voices {area(voice, spoken * 1.0):.3f}"
        )
    return "; ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, action="append", help="clips (.npz), made when missing; repeatable")
    parser.add_argument("--clips", type=int, default=8_000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(talkover.__file__).with_name("talkover.npz"))
    options = parser.parse_args()
    data: list[Clip] = []
    for number, path in enumerate(options.cache or [None]):
        data += _cached(path, options.clips, options.seed + number, options.workers)
    print(f"{len(data)} clips", file=sys.stderr)
    talkover.save(options.out, fit(data, options.epochs, options.seed))
    print(f"wrote {options.out} ({options.out.stat().st_size} bytes)")


def _cached(path: Path | None, count: int, seed: int, workers: int) -> list[Clip]:
    if path is None or not path.exists():
        made = list(clips(count, seed, workers))
        if path is not None:
            np.savez_compressed(
                path,
                inputs=np.array([clip.inputs for clip in made]),
                labels=np.array([clip.labels for clip in made]),
                weights=np.array([clip.weights for clip in made]),
                onsets=np.array([clip.onset for clip in made]),
            )
        return made
    with np.load(path) as stored:
        rows = zip(stored["inputs"], stored["labels"], stored["weights"], stored["onsets"], strict=True)
        return [Clip(inputs, labels, weights, int(onset)) for inputs, labels, weights, onset in rows]


if __name__ == "__main__":
    main()
