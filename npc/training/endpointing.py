"""Train the embedded end-of-turn detector.

    python -m npc.training.endpointing --corpus DIR [--cache FILE] [--sentences 1500] [--heard 0.1]

1. Text: logistic regression on cut and whole turns of the corpus (`endpointing_text`).
2. Sound: sentences of the corpus are spoken by Flite in many voices with light noise and a pause where people pause,
   streamed through the voice-activity detector and the recogniser as in a session, and looked at 200 ms into the
   pause and into the silence after the end. A logistic regression mixes text and prosody on four fifths of the
   sentences; the rest gives the printed operating curve.
The corpus is a folder of `*.jsonl.gz` whose records hold `turns` as [speaker, text] pairs.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import scipy.optimize

from npc.asr.interface import StreamingRecognizer
from npc.asr.pocketsphinx import PocketsphinxRecognizer
from npc.audio import prosody
from npc.audio.clock import LISTEN_RATE
from npc.audio.pcm import Pcm16, to_int16
from npc.audio.prosody import PauseProsody
from npc.audio.resample import resample
from npc.audio.vad import FRAME, SileroVad, VoiceActivityDetector, VoiceGate
from npc.conversation.endpointing import embedded
from npc.conversation.endpointing.embedded import INPUTS, Curve, Weights, inputs
from npc.conversation.endpointing.interface import Pause
from npc.conversation.endpointing.text import TextModel, words_of
from npc.phonetics.wordclass import word_class
from npc.training import endpointing_sentences
from npc.training.endpointing_text import drawn_samples, half_misheard, misheard, samples, train, turns
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest

#: How the wait follows from P(complete): chosen on recognised synthetic turns (`npc bench turns`, seeds 7 and 8) for a
#: 95th percentile of about 700 ms, of which a twentieth of the ends may take 1.2 s.
CURVE = Curve(((0.12, 1200.0), (0.16, 600.0), (0.5, 600.0), (0.62, 300.0), (0.95, 200.0)))
_LOOK = LISTEN_RATE * 200 // 1000
_PAUSE = LISTEN_RATE * 600 // 1000
_LATE = LISTEN_RATE * 300 // 1000


@dataclass(frozen=True, slots=True)
class Look:
    """What a session knows 200 ms into a silence, and whether the turn was over (`label` 1)."""

    label: int
    group: int
    truth: str
    text: str
    confidence: float
    speech: int
    prosody: PauseProsody

    def pause(self, silence: int = _LOOK) -> Pause:
        return Pause(silence, self.speech, self.text, 0, 0, self.confidence, 0.0, self.prosody)


def speakable(text: str) -> bool:
    """A turn a player could say: 3 to 16 plain words, mostly in everyday vocabulary."""
    words = words_of(text)
    return 3 <= len(words) <= 16 and text.isascii() and not any(mark in text for mark in '()[]*_~/\\<>&%$#"')


def cut_place(words: list[str], breaks: set[int], rng: np.random.Generator) -> int:
    """Index of the word before which the speaker pauses; 0 for no pause. Clause boundaries are four times as likely."""
    weights = np.zeros(len(words))
    for at in range(1, len(words)):
        after, here = word_class(words[at]), word_class(words[at - 1])
        strong = at in breaks or here == "filler" or after in ("coordinator", "subordinator", "wh", "so")
        weights[at] = 4.0 if strong else 2.0 if after in ("preposition", "to") or here == "say" else 0.5
    return int(rng.choice(len(words), p=weights / weights.sum())) if len(words) > 1 else 0


def voice(rng: np.random.Generator) -> FliteSettings:
    """A speaker: one of three voices, faster or slower, higher or lower."""
    return FliteSettings(
        str(rng.choice(["slt", "rms", "awb"])),
        rate=float(rng.uniform(0.9, 1.12)),
        pitch_semitones=float(rng.uniform(-2.5, 2.5)),
        pitch_range=float(rng.uniform(0.9, 1.25)),
    )


def spoken(marked: str, rng: np.random.Generator) -> tuple[Pcm16, int, int, list[str]]:
    """(sound, sample where the inner pause is cut in, number of words before it, words) of one sentence at 16 kHz. Bars
    in the text are the places to pause; without one, places are chosen by what the words are."""
    speaker = FliteVoice(voice(rng))
    bars = [len(words_of(piece)) for piece in marked.split("|")[:-1]]
    text = marked.replace("| ", "")
    audio: list[Pcm16] = []
    ends: list[tuple[int, int]] = []
    for chunk in speaker.synthesize(SpeechRequest(text)):
        audio.append(chunk.pcm)
        ends += [(word.text_end, word.span.end) for word in chunk.words]
    sound = resample(np.concatenate(audio), speaker.sample_rate, LISTEN_RATE)
    scale = LISTEN_RATE / speaker.sample_rate
    words = words_of(text)
    if len(ends) != len(words):
        return sound, 0, 0, words
    breaks = {n + 1 for n, (end, _) in enumerate(ends) if text[end : end + 1] in (",", ";", ":")}
    before = int(np.cumsum(bars)[rng.integers(len(bars))]) if bars else cut_place(words, breaks, rng)
    return sound, round(ends[before - 1][1] * scale) if before else 0, before, words


def looks(
    pcm: Pcm16,
    marks: list[tuple[int, int, str]],
    group: int,
    vad: VoiceActivityDetector,
    recognizer: StreamingRecognizer | None,
    carry: object | None,
) -> tuple[list[Look], object | None]:
    """Stream `pcm` as a session does; look `_LOOK` into each marked silence (sample where it begins, label, truth)."""
    stream = recognizer.open(carry=carry) if recognizer is not None else None
    ears, gate = vad.open(), VoiceGate()
    text, confidence, first, last = "", 1.0, -1, 0
    found = []
    waiting = list(marks)
    try:
        for at in range(0, pcm.size - FRAME + 1, FRAME):
            frame = pcm[at : at + FRAME]
            for seen in ears.push(frame):
                if gate.step(seen.probability):
                    first = seen.start if first < 0 else first
                    last = seen.end
            heard = stream.accept(frame) if stream is not None else None
            text, confidence = (heard.text, heard.confidence) if heard is not None else (text, confidence)
            if waiting and at + FRAME >= waiting[0][0] + _LOOK:
                mark, label, truth = waiting.pop(0)
                if first >= 0 and abs(last - mark) < _LATE:
                    voice_ = prosody.measure(pcm[:last])
                    found.append(Look(label, group, truth, text if stream else truth, 1.0, last - first, voice_))
        if stream is not None:
            stream.finish()
            carry = stream.carry()
        return found, carry
    finally:
        if stream is not None:
            stream.close()


def synthetic(corpus: Path, count: int, heard: float, seed: int) -> Iterator[Look]:
    """Looks at `count` spoken sentences, a third of the corpus and the rest of our grammars, each with an inner pause
    and an end. The recogniser reads the share `heard` of them (2 s of CPU each); the others' text is what was said."""
    rng = np.random.default_rng(seed)
    sentences = sorted({text.strip() for text in turns(corpus) if speakable(text)})
    typed = [sentences[i] for i in rng.permutation(len(sentences))[: count // 3]]
    drawn = [endpointing_sentences.draw(rng) for _ in range(count - len(typed))]
    chosen = [str(text) for text in rng.permutation(np.array(typed + drawn, dtype=object))]
    vad, recognizer = SileroVad(), PocketsphinxRecognizer(decoders=1)
    carry: object | None = None
    try:
        for number, text in enumerate(chosen):
            sound, cut, before, words = spoken(text, rng)
            level = 10 ** (rng.uniform(-30, -18) / 20) / max(1e-4, float(np.sqrt(np.mean((sound / 32768.0) ** 2))))
            lead, rest = np.zeros(LISTEN_RATE * 3 // 10), np.zeros(_PAUSE)
            voiced = int(np.flatnonzero(np.abs(sound) > 300)[-1])
            clean = np.concatenate([lead, sound[:cut], rest if cut else rest[:0], sound[cut:], rest]) / 32768.0 * level
            noise = rng.normal(0, 10 ** (rng.uniform(-62, -48) / 20), clean.size)
            marks = [(lead.size + cut, 0, " ".join(words[:before]))] if cut else []
            marks.append((lead.size + voiced + (_PAUSE if cut else 0), 1, " ".join(words)))
            group = zlib.crc32(text.encode())
            listening = rng.random() < heard
            seen, carry = looks(to_int16(clean + noise), marks, group, vad, recognizer if listening else None, carry)
            yield from seen
            if number % 50 == 49:
                print(f"{number + 1} of {count} sentences spoken and heard", file=sys.stderr)
    finally:
        recognizer.close()


def fit(data: list[Look], text: TextModel, penalty: float = 2e-3) -> tuple[tuple[float, ...], float]:
    """Logistic regression over `INPUTS`, both classes weighing the same. A fifth of the looks is repeated without
    prosody and a fifth without text, so that the detector can do without either."""
    rows, truth = [], []
    for number, look in enumerate(data):
        whole = look.pause()
        rows.append(inputs(whole, text.logit(look.text)))
        truth.append(look.label)
        if number % 5 == 0:
            rows.append(inputs(Pause(_LOOK, look.speech, look.text), text.logit(look.text)))
            truth.append(look.label)
        if number % 5 == 1:
            rows.append(inputs(Pause(_LOOK, look.speech, prosody=look.prosody), 0.0))
            truth.append(look.label)
    x, y = np.array(rows), np.array(truth, dtype=np.float64)
    weight = np.where(y == 1, 1 / y.sum(), 1 / (1 - y).sum())

    def loss(theta: np.ndarray) -> float:
        logit = x @ theta[:-1] + theta[-1]
        return float(weight @ (np.logaddexp(0.0, logit) - y * logit) + penalty * theta[:-1] @ theta[:-1])

    theta = scipy.optimize.minimize(loss, np.zeros(x.shape[1] + 1), method="L-BFGS-B").x
    return tuple(round(float(value), 4) for value in theta[:-1]), round(float(theta[-1]), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="keep the spoken looks here and read them when the file exists")
    parser.add_argument("--sentences", type=int, default=1500)
    parser.add_argument("--heard", type=float, default=0.1, help="share of the sentences that the recogniser reads")
    parser.add_argument("--turns", type=int, default=140_000, help="turns of the corpus for the text model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(embedded.__file__).with_name("model.json.gz"))
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    everything = list(turns(options.corpus))
    chosen = [everything[i] for i in rng.permutation(len(everything))[: options.turns]]
    data_text = [sample for text in chosen for sample in samples(text, rng)]
    weights, bias = train(half_misheard([*data_text, *drawn_samples(options.turns // 5, rng)], rng))
    text = TextModel(weights, bias)
    print(f"text model: {len(weights)} weights")
    if options.cache and options.cache.exists():
        rows = [json.loads(line) for line in options.cache.read_text().splitlines()]
        data = [Look(**{**row, "prosody": PauseProsody(**row["prosody"])}) for row in rows]
    else:
        data = []
        for look in synthetic(options.corpus, options.sentences, options.heard, options.seed):
            data.append(look)
            if options.cache:
                with options.cache.open("a") as file:
                    file.write(json.dumps(asdict(look)) + "\n")
    vocabulary = [word for look in data for word in words_of(look.truth)]
    data = [
        replace(look, text=" ".join(misheard(words_of(look.truth), rng, vocabulary)))
        if look.text == look.truth
        else look
        for look in data
    ]
    held = [look for look in data if look.group % 5 == 0]
    mix, mix_bias = fit([look for look in data if look.group % 5], text)
    detector = embedded.EmbeddedDetector(Weights(weights, bias, mix, mix_bias, CURVE))
    print(dict(zip(INPUTS, mix, strict=True)), mix_bias)
    for label, name in ((1, "ends"), (0, "inner pauses")):
        waits = [detector.judge(look.pause()).until * 1000 / LISTEN_RATE for look in held if look.label == label]
        print(f"held-out {name} ({len(waits)}): wait ms at 5/25/50/75/95 %", np.percentile(waits, (5, 25, 50, 75, 95)))
    embedded.save(options.out, Weights(weights, bias, mix, mix_bias, CURVE))
    print(f"wrote {options.out} ({options.out.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
