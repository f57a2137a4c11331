"""eSpeak NG, where its extra is installed: the contract, several languages, names spoken as the lexicon says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed (pip install 'npc[espeak]')")

from npc.tts.espeak import EspeakSettings, EspeakVoice
from npc.tts.interface import Prosody, SpeechRequest
from tests.tts.contract import check_all


@pytest.fixture(scope="module")
def voice() -> EspeakVoice:
    return EspeakVoice()


def test_the_contract(voice: EspeakVoice) -> None:
    check_all(voice, word_times=True, phone_times=True)


@pytest.mark.parametrize(
    ("language", "text", "sound"),
    [("de", "Guten Abend, schöne Frau.", "ʃ"), ("fr", "Bonjour, mon ami.", "ʒ"), ("es", "Hola, señor.", "ɲ")],
)
def test_other_languages_have_words_and_phones_too(language: str, text: str, sound: str) -> None:
    chunks = list(EspeakVoice(EspeakSettings(voice=language)).synthesize(SpeechRequest(text)))
    words = [text[w.text_start : w.text_end] for chunk in chunks for w in chunk.words]
    assert words == text.split()
    assert any(sound in phone.ipa for chunk in chunks for phone in chunk.phones)


def test_numbers_are_one_word_of_the_text(voice: EspeakVoice) -> None:
    text = "The 42 ships cost $3.50 each, Éowyn — truly."
    chunks = list(voice.synthesize(SpeechRequest(text)))
    words = [w for chunk in chunks for w in chunk.words]
    assert [text[w.text_start : w.text_end] for w in words] == text.replace("— ", "").split()
    forty_two = words[1].span.length
    assert forty_two > words[0].span.length


def test_names_are_said_as_the_lexicon_says_and_nobody_else_can_feed_phonemes(voice: EspeakVoice) -> None:
    lexicon = (("Zhavik", "ZH AE1 V IH0 K"),)
    chunks = list(voice.synthesize(SpeechRequest("Ask Zhavik, please.", lexicon=lexicon)))
    symbols = "".join(phone.ipa for chunk in chunks for phone in chunk.phones)
    assert "ʒævɪk" in symbols
    assert len([w for chunk in chunks for w in chunk.words]) == 3
    spelt = list(voice.synthesize(SpeechRequest("[[h@l'oU]]")))
    assert "həloʊ" not in "".join(phone.ipa for chunk in spelt for phone in chunk.phones)


def test_pitch_moves_and_all_voices_are_equally_loud(voice: EspeakVoice) -> None:
    other = EspeakVoice(EspeakSettings(voice="de"))
    request = SpeechRequest("We row alone in winter.")
    levels = [np.concatenate([c.pcm for c in v.synthesize(request)]).astype(float).std() for v in (voice, other)]
    assert 0.5 < levels[0] / levels[1] < 2.0
    high = SpeechRequest("We row alone in winter.", Prosody(pitch_semitones=5.0))
    a, b = (np.concatenate([c.pcm for c in voice.synthesize(r)]) for r in (request, high))
    assert a.tobytes() != b.tobytes()


def test_a_voice_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no voice 'klingonish'"):
        EspeakVoice(EspeakSettings(voice="klingonish"))
