"""What every `Synthesizer` must do, whatever is behind it. Test modules of engines call these with a loaded voice."""

from __future__ import annotations

import itertools
import threading

import numpy as np

from npc.tts.interface import Prosody, SpeechChunk, SpeechRequest, Synthesizer

TEXT = "Good evening, traveller, what brings you to our village?"


def check_all(voice: Synthesizer, *, word_times: bool, phone_times: bool, rate_error: float = 0.25) -> None:
    """Run the whole suite."""
    check_shape(voice)
    check_times(voice, word_times=word_times, phone_times=phone_times)
    check_nothing_to_say(voice)
    check_prosody(voice, rate_error)
    check_closing_early(voice)
    check_threads(voice)


def say(voice: Synthesizer, text: str = TEXT, prosody: Prosody | None = None) -> list[SpeechChunk]:
    return list(voice.synthesize(SpeechRequest(text, prosody or Prosody())))


def samples(chunks: list[SpeechChunk]) -> int:
    return sum(chunk.pcm.size for chunk in chunks)


def check_shape(voice: Synthesizer) -> None:
    """A Synthesizer with a rate and languages; what it yields is int16 mono, neither empty, silent nor clipped."""
    assert isinstance(voice, Synthesizer)
    assert voice.name
    assert voice.sample_rate >= 8_000
    assert voice.languages
    chunks = say(voice)
    assert all(chunk.pcm.dtype == np.int16 and chunk.pcm.ndim == 1 for chunk in chunks)
    assert samples(chunks) > voice.sample_rate // 2
    pcm = np.concatenate([chunk.pcm for chunk in chunks]).astype(float)
    assert np.sqrt(np.mean(pcm**2)) > 100
    assert np.mean(np.abs(pcm) >= 32_767) < 0.001


def check_times(voice: Synthesizer, *, word_times: bool, phone_times: bool) -> None:
    """Words cover the text once and in order inside the audio; phones tile the audio; both come with their piece."""
    chunks = say(voice)
    words = [word for chunk in chunks for word in chunk.words]
    phones = [phone for chunk in chunks for phone in chunk.phones]
    if word_times:
        assert [TEXT[word.text_start : word.text_end].strip(",?") for word in words] == [
            part.strip(",?") for part in TEXT.split()
        ]
        assert all(a.span.end <= b.span.start for a, b in itertools.pairwise(words))
        assert 0 <= words[0].span.start < words[-1].span.end <= samples(chunks)
    if phone_times:
        assert phones[0].span.start == 0
        assert all(a.span.end == b.span.start for a, b in itertools.pairwise(phones))
        assert phones[-1].span.end == samples(chunks)
        assert sum(bool(phone.ipa) for phone in phones) > 20
    at = 0
    for chunk in chunks:
        assert all(at <= item.span.start <= at + chunk.pcm.size for item in (*chunk.phones, *chunk.words))
        at += chunk.pcm.size


def check_nothing_to_say(voice: Synthesizer) -> None:
    """Text without anything speakable gives no words, and at most a breath of silence."""
    for text in ("", "  ", "…", "?!"):
        chunks = say(voice, text)
        assert samples(chunks) < voice.sample_rate
        assert not any(chunk.words for chunk in chunks)


def check_prosody(voice: Synthesizer, rate_error: float) -> None:
    """A faster rate is shorter by about as much; more energy is louder, and both stay within int16."""
    plain, fast, loud = (say(voice, TEXT, p) for p in (Prosody(), Prosody(rate=1.5), Prosody(energy=1.5)))
    ratio = samples(plain) / samples(fast)
    assert abs(ratio / 1.5 - 1.0) < rate_error, ratio
    level = [np.concatenate([chunk.pcm for chunk in chunks]).astype(float).std() for chunks in (plain, loud)]
    assert level[1] > 1.2 * level[0]


def check_closing_early(voice: Synthesizer) -> None:
    """Closing the iterator after its first piece leaves the voice usable."""
    pieces = voice.synthesize(SpeechRequest(TEXT))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert samples(say(voice)) > 0


def check_threads(voice: Synthesizer) -> None:
    """Two threads each get a whole clause of their own."""
    expected = [samples(say(voice, text)) for text in ("One fish.", "Two fishes and a boat.")]
    got: dict[int, int] = {}

    def speak(index: int, text: str) -> None:
        got[index] = samples(say(voice, text))

    threads = [threading.Thread(target=speak, args=pair) for pair in enumerate(("One fish.", "Two fishes and a boat."))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for index, size in enumerate(expected):
        assert abs(got[index] - size) <= 0.1 * size
