"""Flite's times are exact, its pieces are the whole, and it says the same thing twice in the same samples."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npc.tts import flite as module
from npc.tts.finish import MAX_TEXT, soft_limit
from npc.tts.flite import RATE, VOICES, FliteSettings, FliteVoice
from npc.tts.interface import Pcm16, Prosody, SpeechChunk, SpeechRequest

pytestmark = pytest.mark.usefixtures("flite")

TEXT = "Dr. Zhavik's 42 swords cost $3.50 — well-known, isn't it?"


@pytest.fixture(scope="module")
def voice(flite: None) -> Iterator[FliteVoice]:
    made = FliteVoice(FliteSettings("slt"))
    yield made
    made.close()


def pcm_of(chunks: list[SpeechChunk]) -> Pcm16:
    return np.concatenate([chunk.pcm for chunk in chunks])


def pitch_hz(pcm: Pcm16) -> float:
    """Median F0 of the voiced 40 ms frames, by autocorrelation."""
    found = []
    for at in range(0, pcm.size - 640, 160):
        frame = pcm[at : at + 640].astype(float)
        if frame.std() < 500:
            continue
        frame -= frame.mean()
        lag = np.correlate(frame, frame, "full")[639:]
        best = 40 + int(np.argmax(lag[40:290]))
        if lag[best] > 0.5 * lag[0]:
            found.append(RATE / best)
    return float(np.median(found))


@pytest.mark.parametrize("name", VOICES)
def test_phones_tile_the_audio_and_words_tile_the_text(name: str) -> None:
    chunks = list(FliteVoice(FliteSettings(name)).synthesize(SpeechRequest(TEXT)))
    phones = [phone for chunk in chunks for phone in chunk.phones]
    words = [word for chunk in chunks for word in chunk.words]
    assert phones[0].span.start == 0
    assert all(a.span.end == b.span.start for a, b in itertools.pairwise(phones))
    assert phones[-1].span.end == sum(chunk.pcm.size for chunk in chunks)
    assert [TEXT[w.text_start : w.text_end] for w in words] == TEXT.replace(" —", "").split()
    assert all(a.span.end <= b.span.start for a, b in itertools.pairwise(words))


def test_phones_and_words_come_with_the_piece_in_which_they_begin(voice: FliteVoice) -> None:
    at = 0
    for chunk in voice.synthesize(SpeechRequest(TEXT)):
        for span in [item.span for item in (*chunk.phones, *chunk.words)]:
            assert at <= span.start <= at + chunk.pcm.size
        at += chunk.pcm.size


def test_streaming_equals_batch_and_the_same_twice(voice: FliteVoice, monkeypatch: pytest.MonkeyPatch) -> None:
    request = SpeechRequest(TEXT, Prosody(rate=1.2, pitch_semitones=2.0))
    streamed = pcm_of(list(voice.synthesize(request)))
    monkeypatch.setattr(module, "_PIECE", 10_000_000)
    whole = list(voice.synthesize(request))
    assert len(whole) == 2  # the vocoder's one piece, and the pause after it
    np.testing.assert_array_equal(streamed, pcm_of(whole))


def test_leading_silence_is_short_and_the_pause_follows_the_mark(voice: FliteVoice) -> None:
    def edges(text: str) -> tuple[int, int]:
        phones = [phone for chunk in voice.synthesize(SpeechRequest(text)) for phone in chunk.phones]
        assert phones[0].ipa == phones[-1].ipa == ""
        return phones[0].span.length, phones[-1].span.length

    assert all(edges(text)[0] <= RATE * 0.026 for text in ("Hello there.", "Apples", "So, yes?"))
    assert edges("Hello there.")[1] == RATE * 120 // 1000
    assert edges("Hello there,")[1] == RATE * 60 // 1000
    assert edges("Hello there")[1] == RATE * 40 // 1000


@pytest.mark.parametrize("name", VOICES)
def test_prosody_is_heard(name: str) -> None:
    """rms models F0 in a way that ignores Flite's own pitch settings; ours works for every voice."""
    voice = FliteVoice(FliteSettings(name))

    def say(**prosody: float) -> Pcm16:
        return pcm_of(list(voice.synthesize(SpeechRequest("The rain never came again.", Prosody(**prosody)))))

    plain, high, fast, loud = say(), say(pitch_semitones=4.0), say(rate=1.5), say(energy=1.6)
    assert pitch_hz(high) / pitch_hz(plain) == pytest.approx(2 ** (4 / 12), rel=0.08)
    assert fast.size / plain.size == pytest.approx(1 / 1.5, rel=0.08)
    assert np.sqrt(np.mean(loud.astype(float) ** 2)) > 1.4 * np.sqrt(np.mean(plain.astype(float) ** 2))
    assert np.abs(loud.astype(int)).max() < 32767


def test_a_character_says_names_in_its_own_way_also_twice_running(voice: FliteVoice) -> None:
    """Regression: Flite drops the second of two neighbouring words with the same given phones."""
    request = SpeechRequest("Zhavik Zhavik", lexicon=(("Zhavik", "ZH AE1 V IH0 K"),))
    phones = [phone for chunk in voice.synthesize(request) for phone in chunk.phones]
    assert [phone.ipa for phone in phones if phone.ipa] == ["ʒ", "æ", "v", "ɪ", "k"] * 2
    assert [phone.stress for phone in phones if phone.ipa == "æ"] == [1, 1]


def test_formants_move_without_the_pitch() -> None:
    plain, small = (FliteVoice(FliteSettings("slt", tract=tract)) for tract in (1.0, 1.2))
    a, b = (pcm_of(list(v.synthesize(SpeechRequest("We rarely row alone in winter.")))) for v in (plain, small))
    assert a.size == b.size
    assert pitch_hz(b) == pytest.approx(pitch_hz(a), rel=0.05)
    assert not np.array_equal(a, b)


def test_closing_early_stops_the_work_and_frees_the_library(voice: FliteVoice) -> None:
    before = threading.active_count()
    chunks = voice.synthesize(
        SpeechRequest("A long clause that nobody wants to hear to its end, not even the one who says it.")
    )
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert pcm_of(list(voice.synthesize(SpeechRequest("Next.")))).size > 0


def test_many_threads_get_what_one_gets(voice: FliteVoice) -> None:
    texts = [f"Thread number {n} says a sentence of its own." for n in range(6)]
    alone = [pcm_of(list(voice.synthesize(SpeechRequest(text)))) for text in texts]
    together: dict[int, Pcm16] = {}

    def speak(n: int) -> None:
        together[n] = pcm_of(list(voice.synthesize(SpeechRequest(texts[n]))))

    threads = [threading.Thread(target=speak, args=(n,)) for n in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for n, expected in enumerate(alone):
        np.testing.assert_array_equal(together[n], expected)


def test_bad_input_is_named(voice: FliteVoice) -> None:
    with pytest.raises(ValueError, match=str(MAX_TEXT)):
        list(voice.synthesize(SpeechRequest("a " * MAX_TEXT)))
    with pytest.raises(ValueError, match="at most 120 s are said"):
        list(voice.synthesize(SpeechRequest("77 " * (MAX_TEXT // 3))))
    assert sum(chunk.pcm.size for chunk in voice.synthesize(SpeechRequest("x" * MAX_TEXT))) < 30 * RATE
    with pytest.raises(ValueError, match="QX"):
        list(voice.synthesize(SpeechRequest("Zog", lexicon=(("Zog", "QX OW1"),))))
    with pytest.raises(ValueError, match="slt, rms, awb"):
        FliteSettings("nobody")
    with pytest.raises(ValueError, match=r"tract must lie in \[0.8, 1.25\]"):
        FliteSettings("slt", tract=2.0)
    assert list(voice.synthesize(SpeechRequest("… !"))) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=60))
def test_any_text_is_spoken_or_silent_but_never_breaks(voice: FliteVoice, text: str) -> None:
    chunks = list(voice.synthesize(SpeechRequest(text)))
    phones = [phone for chunk in chunks for phone in chunk.phones]
    assert sum(phone.span.length for phone in phones) == sum(chunk.pcm.size for chunk in chunks)


@given(st.lists(st.floats(-20, 20), max_size=50))
def test_the_limiter_keeps_order_and_never_wraps(values: list[float]) -> None:
    samples = np.array(sorted(values), dtype=np.float64)
    limited = soft_limit(samples.copy())
    assert (np.diff(limited.astype(int)) >= 0).all()
    quiet = np.abs(samples) <= 0.7
    np.testing.assert_array_equal(limited[quiet], np.rint(samples[quiet] * 32767))
