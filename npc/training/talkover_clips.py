"""Sounds over a character, as a session hears them: what the talkover network learns from (`npc.training.talkover`).

    character   ▇▇▇▇▇▇▇▇▇▇▇▇▇┃ paused ┃▇▇▇▇      Flite, heard through a loudspeaker and a room, or not heard
    player             ▂▇▇▇▁                     nothing, a noise, a sign of listening, words of a talker
    label       nobody │  who, and 0.3 s after it │ not judged │ nobody
    phones             │r│aɪ │t│                 of the player, nobody's else

One clip in eight runs through the echo guard and the voice-activity detector as in a session, with pauses of the reply
as a session makes them (0.2 s of CPU); seven are short, heard over headphones, two of the same words at other levels in
other noise (0.02 s), and teach to tell listeners from talkers. Texts, levels, rooms and seeds are other than those of
`npc bench interrupt`. Flite speaks in three voices, varied in pace, pitch and tract.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.audio.echo import EchoGuard
from npc.audio.vad import FRAME, SileroVad, VoiceGate
from npc.conversation import talkover
from npc.conversation.talkover import Who
from npc.phonetics.arpabet import PHONES39, from_ipa
from npc.training import endpointing_sentences
from npc.training.endpointing_sound import speaker
from npc.training.noises import noise
from npc.training.rooms import Samples, impulse_response, room_noise, to_pcm
from npc.training.talkover_texts import listening, talking
from npc.tts.interface import SpeechRequest

#: Frames of a long clip and of a short one: 4.5 and 1.5 s.
FRAMES, SHORT = 141, 46
#: Clips of a file of the cache.
_PIECE = 600
#: A long clip and seven short ones.
_ROUND = 8
#: How often each is heard over the character.
_SHARES = {Who.NOBODY: 0.36, Who.NOISE: 0.14, Who.LISTENER: 0.2, Who.TALKER: 0.3}
_SHORT_SHARES = {Who.NOBODY: 0.0, Who.NOISE: 0.1, Who.LISTENER: 0.45, Who.TALKER: 0.45}
_AFTER = LISTEN_RATE * 320 // 1000
_UNJUDGED = LISTEN_RATE * 300 // 1000


@dataclass(frozen=True, slots=True)
class Clip:
    """Inputs [frames, INPUTS], labels and weights of every frame; the frame of the onset (-1: nobody came); the phone
    that the player says in the middle of every frame, as its number in `PHONES39` from 1 on (0: none, -1: unknown)."""

    inputs: NDArray[np.float16]
    labels: NDArray[np.int8]
    weights: NDArray[np.float16]
    onset: int
    phones: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class _Sound:
    """What a player does: samples on the int16 scale, the first and one past the last loud one (10 ms within 40 dB of
    the loudest), and its phones as (number in `PHONES39` from 1 on, first sample, one past the last); noises have none.
    """

    pcm: Samples
    start: int
    end: int
    phones: tuple[tuple[int, int, int], ...] = ()


_NOTHING: Final = _Sound(np.zeros(0), 0, 0)


def clips(folder: Path, count: int, seed: int, workers: int) -> list[Clip]:
    """`count` clips, kept in `folder` piece by piece, so that what was made once need not be again."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed}-{number:03d}.npz" for number in range(-(-count // _PIECE))]
    jobs = [((seed, number), path) for number, path in enumerate(paths) if not path.exists()]
    # Flite is not safe in threads, and a fork of a process that holds it is not safe either.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for number, _ in enumerate(pool.imap_unordered(_made, jobs), 1):
            print(f"{number} of {len(jobs)} pieces made", file=sys.stderr, flush=True)
    return [clip for path in paths for clip in _stored(path)][:count]


def _made(job: tuple[tuple[int, int], Path]) -> None:
    """Write one piece: the long clips, and the short ones."""
    seed, path = job
    made = batch(seed, _PIECE)
    fields: dict[str, NDArray[np.generic]] = {}
    for length in (FRAMES, SHORT):
        these = [clip for clip in made if len(clip.labels) == length]
        for name in ("inputs", "labels", "weights", "onset", "phones"):
            fields[f"{name}_{length}"] = np.array([getattr(clip, name) for clip in these])
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **fields)
    part.rename(path)


def _stored(path: Path) -> Iterator[Clip]:
    with np.load(path) as stored:
        for length in (FRAMES, SHORT):
            columns = [stored[f"{name}_{length}"] for name in ("inputs", "labels", "weights", "onset", "phones")]
            for inputs, labels, weights, onset, phones in zip(*columns, strict=True):
                yield Clip(inputs, labels, weights, int(onset), phones)


def batch(seed: tuple[int, int], count: int) -> list[Clip]:
    """Clips of one seed."""
    rng = np.random.default_rng(seed)
    vad, made = SileroVad(), list[Clip]()
    while len(made) < count:
        if len(made) % (3 * _ROUND) == 0:
            character = _reply(rng)
        made.append(_clip(rng, character, vad))
        while len(made) % _ROUND and len(made) < count:
            made += _headphones(rng, character, vad)[: _ROUND - len(made) % _ROUND]
    return made[:count]


def _reply(rng: np.random.Generator) -> Samples:
    """Twenty seconds of a character."""
    who, parts, size = speaker(rng), list[Samples](), 0
    while size < 20 * LISTEN_RATE:
        text = endpointing_sentences.draw(rng).replace("| ", "")
        parts.append(np.concatenate([chunk.pcm for chunk in who.synthesize(SpeechRequest(text))]).astype(np.float64))
        size += parts[-1].size
    return np.concatenate(parts)


def _said(rng: np.random.Generator, who: Who) -> _Sound:
    """Words of a listener or a talker, at the voice's natural level."""
    text, spelt = listening(rng) if who is Who.LISTENER else (talking(rng), ())
    chunks = list(speaker(rng).synthesize(SpeechRequest(text, lexicon=spelt)))
    phones = tuple(
        (PHONES39.index(from_ipa(phone.ipa).name) + 1, phone.span.start, phone.span.end)
        for chunk in chunks
        for phone in chunk.phones
        if phone.ipa
    )
    return _bounded(np.concatenate([chunk.pcm for chunk in chunks]).astype(np.float64), phones)


def _bounded(made: Samples, phones: tuple[tuple[int, int, int], ...] = ()) -> _Sound:
    power = _powers(made)
    loud = np.flatnonzero(power > power.max() * 1e-4)
    step = LISTEN_RATE // 100
    return _Sound(made, int(loud[0]) * step, min(made.size, (int(loud[-1]) + 1) * step), phones)


def _at_some_level(rng: np.random.Generator, said: _Sound) -> _Sound:
    """From a headset to a whisper across the table."""
    power = _powers(said.pcm)
    level = np.sqrt(power[power > power.max() * 1e-3].mean())
    return replace(said, pcm=said.pcm * (32768.0 * 10 ** (rng.uniform(-35.0, -15.0) / 20.0) / level))


def _player(rng: np.random.Generator, who: Who) -> _Sound:
    if who is Who.NOISE:
        return _bounded(noise(rng) * 10 ** rng.uniform(2.8, 4.3))
    return _at_some_level(rng, _said(rng, who))


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
    player = _NOTHING if who is Who.NOBODY else _player(rng, who)
    speaks_from = int(rng.integers(2, 8))
    # Many come in the first second, while the echo is not known yet.
    comes = speaks_from * FRAME + int(
        LISTEN_RATE * (rng.uniform(0.1, 1.0) if rng.random() < 0.25 else rng.uniform(0.8, 3.0))
    )
    first, last = comes + player.start, comes + player.end
    heard = _microphone(rng, FRAMES, comes, player.pcm)
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
    onset = -1 if who is Who.NOBODY else first // FRAME
    return Clip(rows[:FRAMES], labels, weights, onset, _phones(player, comes, FRAMES))


def _headphones(rng: np.random.Generator, reply: Samples, vad: SileroVad) -> list[Clip]:
    """A short sound over a character that does not come back; what is said is heard a second time, at another level in
    other noise over other words of the character."""
    who = _drawn(rng, _SHORT_SHARES)
    if who is Who.NOISE:
        return [_short(rng, reply, vad, who, _player(rng, who))]
    said = _said(rng, who)
    return [_short(rng, reply, vad, who, _at_some_level(rng, said)) for _ in range(2)]


def _short(rng: np.random.Generator, reply: Samples, vad: SileroVad, who: Who, player: _Sound) -> Clip:
    """The echo guard has its doubts at most."""
    comes = int(rng.integers(3 * FRAME, 10 * FRAME)) - min(player.start, 2 * FRAME)
    heard = _microphone(rng, SHORT, comes, player.pcm)
    begin = int(rng.integers(0, reply.size - SHORT * FRAME))
    until = (comes + player.start) // FRAME + int(rng.integers(2, 6))
    doubt = rng.uniform(0.0, 0.5) if rng.random() < 0.35 else 0.0
    ears, features = vad.open(), talkover.Features()
    rows = np.zeros((SHORT, talkover.INPUTS), np.float16)
    for number in range(SHORT):
        sound = to_pcm(heard[number * FRAME : (number + 1) * FRAME])
        ours = reply[begin + number * FRAME :][:FRAME] / 32768.0 if number < until else np.zeros(FRAME)
        (voice,) = ears.push(sound)
        own = doubt * rng.uniform(0.7, 1.0)
        rows[number] = features.step(talkover.Frame(sound, sound, ours, own, False, voice.probability))
    first, last = comes + player.start, comes + player.end
    labels, weights = _labels(who, first, last, SHORT)
    return Clip(rows, labels, weights, first // FRAME, _phones(player, comes, SHORT))


def _phones(player: _Sound, comes: int, frames: int) -> NDArray[np.int8]:
    """The phone in the middle of every frame."""
    found = np.zeros(frames, np.int8)
    middles = (np.arange(frames) + 0.5) * FRAME - comes
    for phone, start, end in player.phones:
        found[(middles >= start) & (middles < end)] = phone
    return found


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
