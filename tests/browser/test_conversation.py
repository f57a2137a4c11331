"""The page as a person uses it: a spoken conversation of three turns through a fake microphone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from npc.asr import load
from npc.audio.resample import Resampler
from npc.audio.wav import write_wav
from npc.phonetics.normalize import spoken_words
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest
from tests.browser.hands import DESKTOP, opened, until

#: Anselm speaks with the voice that the embedded recogniser reads back best.
CHARACTER = "anselm-roe"
TURNS = ("What is your name?", "When does the museum close?", "Thank you, and where are you from?")
#: Seconds of silence after each turn: the character answers in them.
GAP_S = 9.0
ROWS = "((who) => document.querySelectorAll(`#transcript li.${who}`).length)"
#: Keeps what the page received, beside playing it, from the first sample of its first session: a warm server greets
#: before a script could be put in by hand.
RECORD = """
Object.defineProperty(globalThis, 'npcPage', { configurable: true, set(page) {
  Object.defineProperty(globalThis, 'npcPage', { value: page });
  page.received = new Map();
  page.errors = [];
  let session;
  Object.defineProperty(page, 'session', { configurable: true, get: () => session, set(opened) {
    session = opened;
    session?.on('audio', ({ ordinal, pcm }) => {
      page.received.set(ordinal, page.received.get(ordinal) ?? []);
      page.received.get(ordinal).push(pcm.slice());
    });
    session?.on('error', ({ error }) => page.errors.push(error.message));
  } });
} });
"""


def spoken_turns(path: Path) -> Path:
    voice = FliteVoice(FliteSettings("rms"))
    pieces = [np.zeros(int(2.5 * voice.sample_rate), np.int16)]
    for text in TURNS:
        pieces += [chunk.pcm for chunk in voice.synthesize(SpeechRequest(text))]
        pieces.append(np.zeros(int(GAP_S * voice.sample_rate), np.int16))
    write_wav(path, np.concatenate(pieces), voice.sample_rate)
    return path


def words_of(text: str) -> list[str]:
    return ["".join(c for c in word.lower() if c.isalnum()) for word in text.split()]


def word_error(reference: list[str], heard: list[str]) -> float:
    """Levenshtein distance over words, divided by the reference's length."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1] / max(1, len(reference))


def transcribe(items: list[np.ndarray[Any, np.dtype[np.int16]]], rate: int) -> str:
    """What the embedded recogniser hears in the items, in one session: cepstral means are carried on."""
    recogniser = load("pocketsphinx")
    carry, texts = None, []
    # The first item is heard twice: a session that has heard nothing yet does not know the microphone.
    for pcm in [items[0], *items]:
        resampler = Resampler(rate, 16_000)
        stream = recogniser.open(carry=carry)
        stream.accept(np.concatenate([resampler.push(pcm), resampler.flush()]))
        first = stream.finish()
        texts.append((stream.refine() or first).text)
        carry = stream.carry()
        stream.close()
    recogniser.close()
    return " ".join(texts[1:])


def test_three_spoken_turns(server: str, chromium: str, shots: Path, tmp_path: Path) -> None:
    microphone = spoken_turns(tmp_path / "player.wav")
    url = f"{server}/?character={CHARACTER}&raw"
    with opened(chromium, url, viewport=DESKTOP, microphone=microphone, first=RECORD) as page:
        # The greeting shows that the mind is there: a fresh server indexes its characters first.
        until(page, f"{ROWS}('them') >= 1", 60_000)
        page.click("#mic")
        whole_ms = 1000 * (2.5 + len(TURNS) * (GAP_S + 2.5))
        until(page, f"{ROWS}('you') >= 1 && document.body.dataset.state === 'speaking'", whole_ms)
        page.wait_for_timeout(900)
        page.screenshot(path=str(shots / "conversation.png"))
        # The greeting and three answers.
        until(page, f"{ROWS}('you') >= 3 && {ROWS}('them') >= 4", whole_ms)
        page.wait_for_timeout(2_000)
        until(page, "document.body.dataset.state !== 'speaking'", 30_000)
        said = page.eval_on_selector_all("#transcript li.them > span", "rows => rows.map((row) => row.textContent)")
        received = page.evaluate(
            "() => [...globalThis.npcPage.received.values()].map((frames) => frames.flatMap((pcm) => [...pcm]))"
        )
        assert not page.evaluate("() => globalThis.npcPage.errors")
    assert len(said) >= 4
    heard = transcribe([np.array(pcm, np.int16) for pcm in received], 24_000)
    error = word_error(words_of(" ".join(spoken_words(" ".join(said)))), words_of(heard))
    assert error < 0.35, f"{error:.2f} of the words of {said} as {heard!r}"
