"""Voices without phone times get their face from the sound (`reply.perform`), clause by clause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from npc.animation import ARKIT52, FaceAnimator
from npc.conversation.reply import perform
from npc.conversation.score import Score
from npc.dialogue.interface import Clause
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechChunk, SpeechRequest

RATE = 24_000
JAW = ARKIT52.index("jawOpen")
CLOSE = ARKIT52.index("mouthClose")


class Timeless:
    """Flite as a remote voice would be: sound in pieces of `seconds`, no phones, no words."""

    name = "timeless"

    def __init__(self, seconds: float) -> None:
        self._voice, self._seconds = FliteVoice(FliteSettings("slt")), seconds
        self.sample_rate: int = self._voice.sample_rate
        self.languages: Sequence[str] = ("en",)

    def synthesize(self, request: SpeechRequest) -> Iterator[SpeechChunk]:
        pcm = np.concatenate([chunk.pcm for chunk in self._voice.synthesize(request)])
        size = round(self._seconds * self.sample_rate)
        yield from (SpeechChunk(pcm[at : at + size]) for at in range(0, len(pcm), size))

    def close(self) -> None:
        self._voice.close()


def spoken(voice: Timeless, *texts: str) -> tuple[Score, np.ndarray]:
    face, score, frames = FaceAnimator().open(RATE, 60, 1), Score(RATE, True), []
    for text in texts:
        clause = Clause(text)
        score.begin(clause)
        for piece in perform(voice, SpeechRequest(text), clause, RATE, score.length, face):
            score.push(piece.pcm, piece.words)
            score.animate(piece.face)
            frames += [piece.face.blendshapes.frames] if piece.face.blendshapes is not None else []
        score.end()
    end = face.finish(score.length)
    score.finish(end)
    assert end.blendshapes is not None
    return score, np.concatenate([*frames, end.blendshapes.frames])


@pytest.mark.parametrize("seconds", [10.0, 0.1], ids=["whole", "streamed"])
def test_a_voice_without_phones_moves_the_face(seconds: float) -> None:
    score, frames = spoken(Timeless(seconds), "Bob made my puppy a map.", "Open the window.")
    assert abs(len(frames) / 60 - (score.length / RATE + 0.25)) < 0.1
    assert frames[:, JAW].max() > 60
    assert frames[:, CLOSE].max() > 10, "a bilabial closes"
    assert not frames[-1].any()
    visemes = [cue for cue in score.take(10**9) if cue.kind == "viseme"]
    assert len({cue.name for cue in visemes}) > 5


def test_streamed_and_whole_agree() -> None:
    _, whole = spoken(Timeless(10.0), "Bob made my puppy a map.")
    _, streamed = spoken(Timeless(0.1), "Bob made my puppy a map.")
    # Loudness is measured by the piece, so amplitudes differ a little; the movements are the same.
    assert np.corrcoef(whole[:, JAW].astype(float), streamed[:, JAW].astype(float))[0, 1] > 0.9


def test_a_gesture_finds_a_beat_without_known_stress() -> None:
    face = FaceAnimator().open(RATE, 60, 1)
    clause = replace(Clause("The harbour is far away, over there by the old wall."), gesture="point")
    pieces = list(perform(Timeless(10.0), SpeechRequest(clause.text), clause, RATE, 0, face))
    body = [cue for piece in pieces for cue in piece.face.body]
    assert any(cue.kind == "gesture" and cue.name == "point" for cue in body)
