"""Train the embedded end-of-turn detector.

    python -m npc.training.endpointing --corpus DIR [--cache FILE] [--turns 240]

1. Text: logistic regression on cut and whole turns of the corpus (`endpointing_text`).
2. Mixing: sentences that nothing was learned from (`endpointing_held`) are spoken, a third of them with a pause, and
   heard as in a session (`listening`); a logistic regression over `embedded.INPUTS` tells ends from pauses.
3. Curve: of the step-shaped curves that keep the wait within `MEDIAN_MS` and `LATE_MS`, the one that cuts fewest of
   the same turns.
The voice half is trained before by `endpointing_voice`. The corpus is a folder of `*.jsonl.gz` whose records hold
`turns` as [speaker, text] pairs.
"""

from __future__ import annotations

import argparse
import itertools
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.optimize

from npc.asr.pocketsphinx import PocketsphinxRecognizer
from npc.audio.clock import LISTEN_RATE
from npc.audio.vad import FRAME, SileroVad
from npc.conversation.endpointing import embedded
from npc.conversation.endpointing.embedded import INPUTS, Curve, Weights, inputs
from npc.conversation.endpointing.interface import LONGEST_MS, Pause
from npc.conversation.endpointing.text import TextModel
from npc.training.endpointing_held import FLOWING, PAUSING
from npc.training.endpointing_sound import pause_place, say, sounded, speaker
from npc.training.endpointing_text import drawn_samples, half_misheard, samples, train, turns
from npc.training.listening import PATIENT_S, Known, listened

#: Bounds of the wait from the last voiced sample, at the median and the 95th percentile: what is left of 500 and 800 ms
#: for the rest of the way (`npc bench latency`: after the decision 55 ms at the median, 120 ms wanted at most).
MEDIAN_MS, LATE_MS = 440.0, 710.0
#: Waits when sure. Shorter ones gain nothing: the recogniser's final text comes 130 ms into the silence and a draft of
#: the reply some 60 ms later, so that what is won before the decision is lost behind it.
SURE_MS = (280.0, 320.0)
#: Turns of one session in which the recogniser gets to know a voice.
_SESSION = 12
_MS = LISTEN_RATE / 1000


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """A turn as a session hears it, and one past its last loud sample."""

    known: list[Known]
    end: int

    def pauses(self) -> Iterator[tuple[list[Known], int]]:
        """The frames of each silence, and whether it is the end of the turn (1) or a pause (0)."""
        for last, frames in itertools.groupby(self.known, key=lambda known: known.last):
            yield list(frames), int(last >= self.end - FRAME)


def heard(count: int, seed: int) -> Iterator[HeardTurn]:
    """`count` turns of held sentences, a third of them with a pause; the recogniser begins anew every twelve turns."""
    rng = np.random.default_rng(seed)
    vad, recognizer = SileroVad(), PocketsphinxRecognizer(decoders=1, deadline_s=PATIENT_S)
    stopping, flowing = _endless(PAUSING, rng), _endless((*FLOWING, *PAUSING), rng)
    try:
        for number in range(count):
            if number % _SESSION == 0:
                carry: object | None = None
            marked = next(stopping if number % 3 == 2 else flowing)
            said = say(marked.replace("| ", ""), speaker(rng))
            if said is None:
                continue
            turn = sounded(said, pause_place(marked, said, rng) if number % 3 == 2 else 0, rng)
            known, carry = listened(turn.pcm, vad, recognizer, carry)
            yield HeardTurn(known, turn.end)
            if number % 20 == 19:
                print(f"{number + 1} of {count} turns heard", file=sys.stderr, flush=True)
    finally:
        recognizer.close()


def _endless(texts: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    while True:
        yield from (texts[int(at)] for at in rng.permutation(len(texts)))


def mixed(data: Sequence[HeardTurn], text: TextModel, penalty: float = 1e-2) -> tuple[tuple[float, ...], float]:
    """Logistic regression over `INPUTS` at the first and the last frame of each silence of up to 400 ms, both classes
    weighing the same. Every look is repeated without its sound and without its text, so that either will do alone. Of
    five penalties this one had the lowest loss in six-fold cross-validation (docs/log.md)."""
    rows, truth = [], []
    for turn in data:
        for frames, label in turn.pauses():
            early = [known.pause for known in frames if known.pause.silence <= 400 * _MS]
            for pause in (early[0], early[-1]):
                without_sound = Pause(pause.silence, pause.speech, pause.text)
                without_text = Pause(pause.silence, pause.speech, ending=pause.ending)
                for look in (pause, pause, pause, without_sound, without_text):
                    rows.append(inputs(look, text.logit(look.text)))
                    truth.append(label)
    x, y = np.array(rows), np.array(truth, dtype=np.float64)
    weight = np.where(y == 1, 1 / y.sum(), 1 / (1 - y).sum())

    def loss(theta: np.ndarray) -> float:
        logit = x @ theta[:-1] + theta[-1]
        return float(weight @ (np.logaddexp(0.0, logit) - y * logit) + penalty * theta[:-1] @ theta[:-1])

    theta = scipy.optimize.minimize(loss, np.zeros(x.shape[1] + 1), method="L-BFGS-B").x
    return tuple(round(float(value), 4) for value in theta[:-1]), round(float(theta[-1]), 4)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a curve does to turns: how many it cuts off, and the waits of the others in ms."""

    cut: int
    waits: np.ndarray

    def within(self, median: float, late: float) -> bool:
        return bool(self.waits.size and np.all(np.percentile(self.waits, (50, 95)) <= (median, late)))


def outcome(data: Sequence[HeardTurn], chances: Sequence[Sequence[float]], curve: Curve) -> Outcome:
    """`chances` holds P(complete) for every frame of every turn."""
    points = np.array(curve.points)
    cut, waits = 0, []
    for turn, chance in zip(data, chances, strict=True):
        until = np.interp(chance, points[:, 0], points[:, 1]) * _MS
        over = [known.at for known, wait in zip(turn.known, until, strict=True) if known.pause.silence >= wait]
        if over and over[0] < turn.end - FRAME:
            cut += 1
        elif over:
            waits.append((over[0] - turn.end) / _MS)
    return Outcome(cut, np.array(waits))


def best_curve(data: Sequence[HeardTurn], chances: Sequence[Sequence[float]], median: float, late: float) -> Curve:
    """The curve of four steps (open, in doubt, falling, sure) that cuts fewest turns within the bounds, then the one
    that waits least."""
    ends = np.concatenate(
        [
            [chance for chance, known in zip(row, turn.known, strict=True) if known.last >= turn.end - FRAME][-1:]
            for turn, row in zip(data, chances, strict=True)
        ]
    )
    opens = np.quantile(ends, (0.02, 0.03, 0.045, 0.06, 0.08, 0.1))
    marks = np.quantile(ends, (0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75))
    found: tuple[tuple[int, float], Curve] | None = None
    for low, doubt, sure in itertools.product(opens, (480.0, 520.0, 560.0, 600.0, 640.0), SURE_MS):
        for falls, level in itertools.combinations(marks, 2):
            first = min(low + 0.005, float(falls))
            shape = [(low, float(LONGEST_MS)), (first, doubt), (float(falls), doubt), (float(level), sure)]
            curve = Curve(tuple((round(float(p), 4), wait) for p, wait in shape))
            seen = outcome(data, chances, curve)
            if seen.within(median, late):
                rank = (seen.cut, float(seen.waits.mean()))
                if found is None or rank < found[0]:
                    found = rank, curve
    if found is None:
        raise ValueError(f"no curve keeps the wait within {median:g} and {late:g} ms: raise the bounds")
    return found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="keep the heard turns here and read them when the file exists")
    parser.add_argument("--turns", type=int, default=240, help="held turns spoken and heard (2 s of CPU each)")
    parser.add_argument("--typed", type=int, default=140_000, help="turns of the corpus for the text model")
    parser.add_argument("--text-of", type=Path, help="take the text model of this file instead of training one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(embedded.__file__).with_name("model.json.gz"))
    options = parser.parse_args()
    if options.text_of:
        known = embedded.load(options.text_of)
        weights, bias = dict(known.text), known.text_bias
    else:
        rng = np.random.default_rng(options.seed)
        try:
            everything = list(turns(options.corpus))
        except FileNotFoundError as error:
            parser.error(f"--corpus {error}")
        chosen = [everything[i] for i in rng.permutation(len(everything))[: options.typed]]
        typed = [sample for text in chosen for sample in samples(text, rng)]
        weights, bias = train(half_misheard([*typed, *drawn_samples(options.typed // 5, rng)], rng))
    text = TextModel(weights, bias)
    print(f"text model: {len(weights)} weights")
    if options.cache and options.cache.exists():
        data: list[HeardTurn] = pickle.loads(options.cache.read_bytes())
    else:
        data = list(heard(options.turns, options.seed))
        if options.cache:
            options.cache.write_bytes(pickle.dumps(data))
    mix, mix_bias = mixed(data, text)
    print(dict(zip(INPUTS, mix, strict=True)), mix_bias)
    detector = embedded.EmbeddedDetector(Weights(weights, bias, mix, mix_bias, Curve(((0.5, 500.0),))))
    chances = [[detector.judge(known.pause).complete for known in turn.known] for turn in data]
    curve = best_curve(data, chances, MEDIAN_MS, LATE_MS)
    seen = outcome(data, chances, curve)
    late = np.percentile(seen.waits, (50, 90, 95))
    print(f"{curve}\n{seen.cut} of {len(data)} turns cut, wait ms at 50/90/95 %: {late}")
    embedded.save(options.out, Weights(weights, bias, mix, mix_bias, curve))
    print(f"wrote {options.out} ({options.out.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
