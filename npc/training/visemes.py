"""Train the audio-only viseme network: `python -m npc.training.visemes [--sentences N] [--out FILE]`.

Speech with known phones comes from the embedded voices: word salads from the CMU dictionary, so that every phone
meets every neighbour, said with varied rate, pitch, vocal tract and breath, then degraded (gain, tilt, noise).
Targets are the phones' visemes at each frame's centre. Two runs: one without one voice, to measure on a speaker
never heard, and one on all voices, which ships. Both print accuracy beside the best mapping that knows only the
loudness.

Everything is numpy: 45,000 weights, a few minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.articulation import articulations
from npc.animation.audio import CONTEXT, HOP, MELS, Network, RunningMean, log_mel, windows_of
from npc.animation.interface import OCULUS15
from npc.phonetics.lexicon import default_lexicon
from npc.phonetics.phones import Phone
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

VOICES: Final = ("slt", "rms", "awb")
HIDDEN: Final = 128
_EPOCHS: Final = 14
_BATCH: Final = 512


@dataclass(frozen=True, slots=True)
class Utterance:
    """Degraded PCM's log-mel frames [n, MELS], the frame level in dB [n] and the true viseme of each frame [n]."""

    voice: str
    mel: Floats
    level: Floats
    target: Ints


def frame_targets(phones: tuple[Phone, ...], frames: int) -> Ints:
    """Viseme index of each 10 ms frame (centre k * HOP) of 16 kHz phones; both halves of a diphthong count."""
    target = np.zeros(frames, np.int64)
    for phone in phones:
        arts = articulations(phone.ipa)
        cut = phone.span.start + (phone.span.end - phone.span.start) * (0.55 if len(arts) == 2 else 1.0 / len(arts))
        for k in range(-(-phone.span.start // HOP), -(-phone.span.end // HOP)):
            if k < frames:
                target[k] = OCULUS15.index(arts[0 if k * HOP < cut else -1].viseme)
    return target


def _degrade(pcm: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int16]:
    """Another gain (-18 .. +3 dB), a spectral tilt (one-zero filter) and noise at 15-50 dB below speech."""
    wave = pcm.astype(np.float64)
    tilt = rng.uniform(-0.5, 0.5)
    wave[1:] += tilt * wave[:-1]
    wave *= 10.0 ** (rng.uniform(-18.0, 3.0) / 20.0)
    level = np.sqrt(np.mean(wave**2)) + 1.0
    wave += rng.normal(0.0, level * 10.0 ** (-rng.uniform(15.0, 50.0) / 20.0), len(wave))
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


def _settings(voice: str, rng: np.random.Generator, plain: bool) -> FliteSettings:
    if plain:
        return FliteSettings(voice)
    return FliteSettings(
        voice,
        rate=float(rng.uniform(0.8, 1.3)),
        pitch_semitones=float(rng.uniform(-6.0, 6.0)),
        tract=float(rng.uniform(0.82, 1.22)),
        breath=float(rng.choice([0.0, 0.0, 0.3])),
    )


def say(voice: str, count: int, seed: int, plain: bool = False) -> list[Utterance]:
    """`count` utterances of one voice. `plain`: its own habit and clean audio."""
    rng = np.random.default_rng([seed, VOICES.index(voice)])
    words = sorted(w for w in default_lexicon() if w.isalpha() and 2 <= len(w) <= 9)
    if not words:
        raise RuntimeError(
            "the dictionary of the pocketsphinx package is needed for training: pip install pocketsphinx"
        )
    result = []
    for _ in range(count):
        text = " ".join(str(w) for w in rng.choice(words, size=int(rng.integers(5, 10)))) + "."
        engine = FliteVoice(_settings(voice, rng, plain))
        chunks = list(engine.synthesize(SpeechRequest(text)))
        engine.close()
        pcm = np.concatenate([c.pcm for c in chunks])
        pcm = pcm if plain else _degrade(pcm, rng)
        mel = log_mel(np.concatenate([np.zeros(200, np.int16), pcm, np.zeros(200, np.int16)]))
        phones = tuple(p for c in chunks for p in c.phones)
        level = (10.0 / np.log(10.0)) * np.log(np.exp(mel).sum(axis=1))
        result.append(Utterance(voice, mel, level.astype(np.float32), frame_targets(phones, len(mel))))
    return result


def _windows(utterances: list[Utterance], prior: Floats) -> tuple[Floats, Ints]:
    xs, ys = [], []
    quiet = np.full((CONTEXT, MELS), -8.0, np.float32)
    for u in utterances:
        normal = RunningMean(prior).run(u.mel)
        xs.append(windows_of(np.concatenate([quiet, normal, quiet])).astype(np.float16))
        ys.append(u.target)
    return np.concatenate(xs), np.concatenate(ys)


def _prior(utterances: list[Utterance]) -> Floats:
    frames = np.concatenate([u.mel for u in utterances])
    loud = frames[frames.mean(axis=1) > np.median(frames.mean(axis=1)) - 2.0]
    return np.asarray(loud.mean(axis=0), dtype=np.float32)


def train(utterances: list[Utterance], seed: int) -> Network:
    """Fit the network by Adam with a linearly falling step; classes weigh by the square root of their rarity."""
    rng = np.random.default_rng(seed)
    prior = _prior(utterances)
    x, y = _windows(utterances, prior)
    some = x[rng.choice(len(x), min(len(x), 20_000), replace=False)].astype(np.float32)
    scale = np.asarray(1.0 / (some.std(axis=0) + 1e-3), dtype=np.float32)
    inputs, classes = x.shape[1], len(OCULUS15)
    share = np.bincount(y, minlength=classes) / len(y)
    weight = np.where(share > 0, (1.0 / classes / np.maximum(share, 1e-6)) ** 0.25, 0.0).astype(np.float32)
    p = [
        rng.normal(0, np.sqrt(2.0 / inputs), (inputs, HIDDEN)).astype(np.float32), np.zeros(HIDDEN, np.float32),
        rng.normal(0, np.sqrt(1.0 / HIDDEN), (HIDDEN, classes)).astype(np.float32), np.zeros(classes, np.float32),
    ]  # fmt: skip
    m, v = [np.zeros_like(a) for a in p], [np.zeros_like(a) for a in p]
    steps, step = _EPOCHS * (len(x) // _BATCH), 0
    for epoch in range(_EPOCHS):
        order = rng.permutation(len(x))
        loss = 0.0
        for first in range(0, len(x) - _BATCH + 1, _BATCH):
            pick = order[first : first + _BATCH]
            xb, yb = x[pick].astype(np.float32) * scale, y[pick]
            hidden = np.maximum(xb @ p[0] + p[1], 0.0)
            keep = (rng.random(hidden.shape) > 0.2).astype(np.float32) / 0.8
            dropped = hidden * keep
            logits = dropped @ p[2] + p[3]
            logits -= logits.max(axis=1, keepdims=True)
            prob = np.exp(logits)
            prob /= prob.sum(axis=1, keepdims=True)
            wb = weight[yb]
            loss += float(-(wb * np.log(prob[np.arange(_BATCH), yb] + 1e-9)).mean())
            d = prob
            d[np.arange(_BATCH), yb] -= 1.0
            d *= (wb / _BATCH)[:, None]
            dh = (d @ p[2].T) * keep * (hidden > 0)
            grads = [xb.T @ dh, dh.sum(axis=0), dropped.T @ d, d.sum(axis=0)]
            step += 1
            rate = 2e-3 * (1.0 - step / (steps + 1))
            for k, g in enumerate(grads):
                m[k] = 0.9 * m[k] + 0.1 * g
                v[k] = 0.999 * v[k] + 0.001 * g * g
                p[k] -= rate * (m[k] / (1 - 0.9**step)) / (np.sqrt(v[k] / (1 - 0.999**step)) + 1e-8)
        print(f"epoch {epoch + 1}/{_EPOCHS}: loss {loss / (len(x) // _BATCH):.4f}", flush=True)
    return Network(prior, scale, p[0], p[1], p[2], p[3])


def accuracy(net: Network, utterances: list[Utterance]) -> float:
    """Share of frames whose most probable viseme (averaged over three frames) is the true one."""
    right = total = 0
    for u in utterances:
        x, y = _windows([u], net.prior)
        scores = net.scores(x.astype(np.float32))
        padded = np.concatenate([scores[:1], scores, scores[-1:]])
        best = (padded[:-2] + padded[1:-1] + padded[2:]).argmax(axis=1)
        right += int((best == y).sum())
        total += len(y)
    return right / total


def loudness_baseline(learn: list[Utterance], test: list[Utterance]) -> float:
    """Frame accuracy of the best mapping from level (12 bins relative to the utterance's peak) to viseme."""

    def bins(u: Utterance) -> Ints:
        return np.asarray(np.clip((u.level.max() - u.level) / 4.0, 0, 11), dtype=np.int64)

    counts = np.zeros((12, len(OCULUS15)))
    for u in learn:
        np.add.at(counts, (bins(u), u.target), 1)
    table = counts.argmax(axis=1)
    right = sum(int((table[bins(u)] == u.target).sum()) for u in test)
    return right / sum(len(u.target) for u in test)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="npc.training.visemes", description="train the audio-only viseme network")
    parser.add_argument("--sentences", type=int, default=260, help="training utterances per voice")
    parser.add_argument("--held-out", default="awb", choices=VOICES, help="voice left out of the first run")
    parser.add_argument("--out", type=Path, default=Path("npc/animation/weights/visemes.npz"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    started = time.monotonic()
    learn = {voice: say(voice, options.sentences, options.seed) for voice in VOICES}
    test = {voice: say(voice, 30, options.seed + 1000, plain=True) for voice in VOICES}
    others = [u for voice in VOICES if voice != options.held_out for u in learn[voice]]
    unseen = train(others, options.seed)
    everyone = [u for voice in VOICES for u in learn[voice]]
    net = train(everyone, options.seed)
    heard = [u for voice in VOICES for u in test[voice]]
    report = {
        "training_utterances": len(everyone),
        "frames": int(sum(len(u.target) for u in everyone)),
        "held_out_sentences": {
            "accuracy": round(accuracy(net, heard), 4),
            "loudness_baseline": round(loudness_baseline(everyone, heard), 4),
        },
        "held_out_voice": {
            "voice": options.held_out,
            "accuracy": round(accuracy(unseen, test[options.held_out]), 4),
            "loudness_baseline": round(loudness_baseline(others, test[options.held_out]), 4),
        },
        "seconds": round(time.monotonic() - started),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    arrays = {k: getattr(net, k) for k in ("prior", "scale", "w1", "b1", "w2", "b2")}
    np.savez_compressed(options.out, **{k: v.astype(np.float16) for k, v in arrays.items()})
    options.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
