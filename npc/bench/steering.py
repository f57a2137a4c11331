"""`npc bench steering`: dose and response of four directions on the embedded dialogue model.

learn    hidden states along replies to prompts that differ in their marks: [joy](eager) against [relief](plain)
steer    prompts of other turns, marked neutral and plain, at five strengths, with several seeds
judge    a classifier a trait, trained on written replies that the model never read (`npc.inference.traits`); beside
         it, for valence, the word-emotion classifier trained on GoEmotions
marks    how replies to the marks themselves are judged: what the model can show of the trait at all
cost     perplexity of what was said, to the unsteered model
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from npc.bench.harness import Bench, Option, Run, log, machine
from npc.bench.steering_plot import plot
from npc.dialogue.emotion import VAD
from npc.dialogue.emotion_words import load_word_emotions
from npc.dialogue.realiser.contract import Prompt
from npc.dialogue.realiser.model import MOST_TOKENS, DialogueModel, model_folder, model_status
from npc.inference.dose import STRENGTHS, Dose, Judge, monotone, replies, response
from npc.inference.encoder import EncoderError, load_encoder
from npc.inference.kernels import Format
from npc.inference.native import NativeSettings, load_weights, open_step
from npc.inference.steering import Direction, learn_along
from npc.inference.step import Step
from npc.inference.traits import TraitJudges

Mark = tuple[str, str]
#: direction -> pairs of marks that ask for more and for less, a mark being a mood and a manner. Glad and bitter moods
#: stand on both sides of arousal and of assertiveness, so that neither is valence under another name.
CONTRASTS: Final[dict[str, tuple[tuple[Mark, Mark], ...]]] = {
    "valence": (
        (("joy", "plain"), ("sadness", "plain")),
        (("joy", "warm"), ("disgust", "warm")),
        (("joy", "curt"), ("disgust", "curt")),
    ),
    "arousal": (
        (("joy", "eager"), ("relief", "plain")),
        (("anger", "eager"), ("sadness", "plain")),
        (("surprise", "eager"), ("relief", "dry")),
    ),
    "formality": (
        (("neutral", "formal"), ("neutral", "warm")),
        (("trust", "formal"), ("trust", "plain")),
        (("joy", "formal"), ("joy", "eager")),
    ),
    "assertiveness": (
        (("pride", "curt"), ("shame", "plain")),
        (("pride", "plain"), ("fear", "plain")),
        (("neutral", "curt"), ("shame", "warm")),
    ),
}
Turns = tuple[tuple[str, str], ...]
#: (intent, the player's words), plain as the model reads them. Directions are learnt from these …
LEARN: Final[Turns] = (
    ("hello", "good morning"), ("feel", "how are you"), ("thanks", "thanks for everything"), ("goodbye", "see you"),
    ("praise", "you are very good at this"), ("insult", "you are a fool"), ("apology", "i was wrong"),
    ("bad_news", "there was an accident"), ("good_news", "it worked"), ("threat", "i'll hurt you"),
    ("do", "please light the lamp"), ("protest", "that's not what i asked"), ("heard", "it's cold in here"),
    ("heard", "i'm very hungry"), ("heard", "i'm so happy today"), ("heard", "something is following me"),
    ("heard", "i have two brothers"), ("heard", "i hate my boss"), ("chat", "tell me a joke"),
    ("chat", "can i sit here"), ("chat", "what's your favourite animal"), ("heard", "just kidding"),
    ("heard", "i had a strange dream"), ("heard", "i disagree"),
)  # fmt: skip
#: … and tested on these.
TEST: Final[Turns] = (
    ("hello", "hello there"), ("feel", "how do you feel"), ("thanks", "thank you for your help"),
    ("goodbye", "i have to go now"), ("praise", "well done"), ("insult", "you know nothing"), ("apology", "i'm sorry"),
    ("bad_news", "my father is dead"), ("good_news", "we won"), ("threat", "give me the money or else"),
    ("do", "close the door"), ("protest", "not so fast"), ("heard", "it's raining again"),
    ("heard", "i'm so tired today"),
    ("heard", "i'm bored to death"), ("heard", "i feel sick"), ("heard", "i just arrived"), ("heard", "i lost my way"),
    ("chat", "sing me a song"), ("chat", "what should i do"), ("chat", "what do you think about it"),
    ("heard", "i promise i'll come back"), ("heard", "i baked a cake"), ("heard", "you're right"),
)  # fmt: skip
#: Replies to each turn at each strength and seed.
REPEATS: Final = 6
SEEDS: Final = 3
PLAIN: Final[Mark] = ("neutral", "plain")
#: Tokens of a reply at most, as in the dialogue model.
LONGEST: Final = MOST_TOKENS


def _pleasure(texts: Sequence[str]) -> float:
    """Mean pleasure of the emotions that the word-emotion classifier reads."""
    words = load_word_emotions()
    read = [words.emotions(text) for text in texts]
    return float(np.mean([sum(share * VAD[name][0] for name, share in one.items() if name in VAD) for one in read]))


class _Subject:
    """The dialogue model under test: prompts in its marks, replies as text."""

    def __init__(self, folder: Path) -> None:
        status = model_status(folder)
        if not status.available:
            raise SystemExit(f"npc bench steering: {status.detail}")
        settings = NativeSettings(format=Format.INT8, context=256, cache_mib=32, threads=1)
        self.model = DialogueModel(folder)
        config, weights = load_weights(folder, settings)
        self.step: Step = open_step(config, weights, settings)
        self.ends = frozenset((self.model.vocabulary.id["<end>"],))

    def prompts(self, marks: Sequence[Mark], turns: Turns) -> list[list[int]]:
        """One prompt a mark and turn."""
        return [self.model.encode(Prompt(*mark, intent, words).text()) for mark in marks for intent, words in turns]

    def learn(self, name: str, seed: int) -> Direction:
        """The direction from its marks, over the turns of LEARN and what either mark has said there, in every layer but
        the first, which hardly knows of the marks yet."""
        sides = []
        for marks in zip(*CONTRASTS[name], strict=True):
            asked = self.prompts(marks, LEARN)
            said = replies(self.step, asked, None, max_tokens=LONGEST, ends=self.ends, seed=seed)
            sides.append(list(zip(asked, said, strict=True)))
        more, less = sides
        return learn_along(self.step, name, more, less, range(1, self.step.config.layers))

    def respond(
        self,
        direction: Direction,
        judge: Judge | None,
        seed: int,
        *,
        marks: Sequence[Mark] = (PLAIN,),
        strengths: Sequence[float] = STRENGTHS,
    ) -> list[Dose]:
        """Doses over the turns of TEST under some marks."""
        asked = self.prompts(marks, TEST) * REPEATS
        return response(
            self.step,
            direction,
            asked,
            self._decode,
            judge,
            strengths=strengths,
            max_tokens=LONGEST,
            ends=self.ends,
            seed=seed,
        )

    def close(self) -> None:
        """Free both engines."""
        self.step.close()
        self.model.close()

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self.model.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()


def measure(run: Run) -> dict[str, Any]:
    """Learn and test the four directions."""
    judges: TraitJudges | None = None
    try:
        judges = TraitJudges(load_encoder())
    except EncoderError as error:
        log.print(f"no judges, scores are left out: {error}")
    subject = _Subject(run.options.get("model") or model_folder())
    seeds = [run.seed + 1000 * i for i in range(run.options.get("seeds", SEEDS))]
    found: dict[str, Any] = {}
    for name, pairs in CONTRASTS.items():
        direction = subject.learn(name, run.seed)
        judge = judges.judge(name) if judges is not None else None
        tables = [subject.respond(direction, judge, seed) for seed in seeds]
        marked = [
            subject.respond(direction, judge, run.seed, marks=marks, strengths=(0.0,))[0]
            for marks in zip(*pairs, strict=True)
        ]
        found[name] = _summary(tables) | {"marks": {"more": _figure(marked[0]), "less": _figure(marked[1])}}
        if name == "valence":
            second = [[replace(d, score=_pleasure(d.texts)) for d in table] for table in tables]
            found[name]["by_word_emotions"] = _summary(second)
        log.print(f"{name}: {found[name]['rank_correlation']}, by seed {found[name]['by_seed']}")
    result = {
        "machine": machine(),
        "model": subject.model.card,
        "replies_a_dose": len(TEST) * REPEATS * len(seeds),
        "seeds": seeds,
        "directions": found,
    }
    subject.close()
    if run.out is not None:
        plot(result, Path(run.out) / "steering.svg")
    return result


def _figure(dose: Dose) -> float | None:
    return None if math.isnan(dose.score) else round(dose.score, 4)


def _rank(table: Sequence[Dose]) -> float | None:
    return None if any(math.isnan(dose.score) for dose in table) else round(monotone(table), 3)


def _summary(tables: Sequence[Sequence[Dose]]) -> dict[str, Any]:
    """Doses averaged over seeds, with the rank correlation of dose and score: of the means, and of each seed."""
    means = [
        replace(
            doses[0],
            score=float(np.mean([d.score for d in doses])),
            perplexity=float(np.exp(np.mean([np.log(d.perplexity) for d in doses]))),
        )
        for doses in zip(*tables, strict=True)
    ]
    return {
        "rank_correlation": _rank(means),
        "by_seed": [_rank(table) for table in tables],
        "doses": [
            {
                "strength": d.strength,
                "score": _figure(d),
                "perplexity": round(d.perplexity, 2),
                "sample": d.texts[0],
            }
            for d in means
        ],
    }


def report(result: dict[str, Any]) -> str:
    """One line a dose."""
    lines = [f"{result['replies_a_dose']} replies a dose over {len(result['seeds'])} seeds; scores 0..1"]
    for name, found in result["directions"].items():
        lines.append(
            f"{name}: rank correlation of dose and score {found['rank_correlation']} (by seed {found['by_seed']}); "
            f"marks {found['marks']}"
        )
        lines.extend(
            f"  {d['strength']:+.1f}  score {d['score']}  perplexity {d['perplexity']}  {d['sample']!r}"
            for d in found["doses"]
        )
        if "by_word_emotions" in found:
            beside = [f"{d['score']:+.3f}" for d in found["by_word_emotions"]["doses"]]
            lines.append(f"  pleasure of the word emotions at the same doses: {' '.join(beside)}")
    return "\n".join(lines)


BENCH = Bench(
    "steering",
    "dose and response of steering directions on the embedded dialogue model",
    measure,
    report,
    (
        Option("--seeds", f"seeds that are averaged (default {SEEDS})", {"type": int, "default": SEEDS}),
        Option("--model", "folder of another dialogue model (default: the shipped one)", {"type": Path}),
    ),
)
