"""The streaming aligner against the times of a voice that knows them."""

from __future__ import annotations

import numpy as np
import pytest

from npc.bench.players_text import WORLDS
from npc.tts.aligner import Aligner, pronunciation
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner()


@pytest.mark.parametrize("name", ["slt", "rms", "awb"])
def test_word_times_are_close_to_the_voice_s_own(flite: None, aligner: Aligner, name: str) -> None:
    voice = FliteVoice(FliteSettings(name))
    errors, missing = [], 0
    for text in WORLDS["museum"][:15]:
        text = text.replace("| ", "")
        chunks = list(voice.synthesize(SpeechRequest(text)))
        pcm = np.concatenate([chunk.pcm for chunk in chunks])
        truth = [word for chunk in chunks for word in chunk.words]
        alignment = aligner.begin([text[w.text_start : w.text_end] for w in truth], 16_000)
        early: dict[int, int] = {}
        for start in range(0, pcm.size, 4_000):
            for word, span in alignment.push(pcm[start : start + 4_000]).items():
                early.setdefault(word, span.start)
        found = alignment.finish()
        missing += len(truth) - len(found)
        errors += [abs(span.start - truth[word].span.start) / 16 for word, span in found.items()]
        assert set(early) <= set(found)
    assert missing == 0
    assert np.median(errors) <= 15
    assert np.percentile(errors, 95) <= 60


def test_a_text_that_was_not_said_frees_the_aligner(aligner: Aligner) -> None:
    alignment = aligner.begin(["never", "said"], 24_000)
    alignment.push(np.zeros(2_400, dtype=np.int16))
    alignment.finish()
    assert alignment.finish() == {}
    aligner.begin(["next"], 16_000).finish()


def test_names_are_pronounced_as_the_lexicon_says_or_by_their_letters() -> None:
    assert pronunciation("Zhavik's,", {"zhavik's": ["ZH", "AE1", "V", "IH0", "K", "S"]}) == (
        "ZH",
        "AE",
        "V",
        "IH",
        "K",
        "S",
    )
    assert pronunciation("bridge", {}) == ("B", "R", "IH", "JH")
    assert len(pronunciation("Kettrigan", {})) > 5
    assert len(pronunciation("well-known", {})) > 5
    assert pronunciation("42", {})
