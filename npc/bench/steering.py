"""`npc bench steering`: dose and response of four directions on the embedded dialogue model.

learn    hidden states of prompts whose marks differ in one thing: [joy] against [sadness], (formal) against (eager)
steer    the same prompts, marked neutral and plain, at five strengths
marks    how the judge scores replies to the marks themselves: what the model can show of the trait at all
judge    the trained word-emotion classifier for valence, arousal and assertiveness (by each emotion's place in
         pleasure, arousal and dominance), likeness to example sentences for formality
cost     perplexity of what was said, to the unsteered model
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import npc.inference
from npc.bench.harness import Bench, Run, log, machine
from npc.dialogue.emotion import VAD
from npc.dialogue.emotion_words import load_word_emotions
from npc.dialogue.realiser.contract import Prompt
from npc.dialogue.realiser.model import DialogueModel, model_folder, model_status
from npc.inference.dose import Judge, likeness_judge, monotone, response
from npc.inference.encoder import EncoderError, load_encoder
from npc.inference.kernels import Format
from npc.inference.native import NativeSettings, load_weights, open_step
from npc.inference.steering import learn_direction

#: direction -> (marks of more, marks of less), a mark being a mood and a manner
CONTRASTS: Final[dict[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]]] = {
    "valence": (
        (("joy", "plain"), ("amusement", "plain"), ("relief", "plain")),
        (("sadness", "plain"), ("anger", "plain"), ("disgust", "plain")),
    ),
    "arousal": (
        (("surprise", "plain"), ("anger", "plain"), ("joy", "plain")),
        (("sadness", "plain"), ("neutral", "plain"), ("relief", "plain")),
    ),
    "formality": ((("neutral", "formal"),), (("neutral", "eager"), ("neutral", "warm"))),
    "assertiveness": (
        (("anger", "curt"), ("pride", "curt")),
        (("fear", "plain"), ("shame", "plain")),
    ),
}
_PLACE: Final = {"valence": 0, "arousal": 1, "assertiveness": 2}
#: (intent, the player's words), plain as the model reads them
TURNS: Final = (
    ("hello", "hello there"),
    ("chat", "how are you today"),
    ("chat", "what do you think of the weather"),
    ("feel", "how do you feel about all this"),
    ("thanks", "thank you for your help"),
    ("praise", "you are very good at this"),
    ("insult", "you are a fool"),
    ("bad_news", "my dog died last night"),
    ("good_news", "we won the race"),
    ("sympathy", "you look tired"),
    ("apology", "i am sorry i was late"),
    ("goodbye", "i have to go now"),
)
#: Replies to each turn at each strength: with 4 the order of doses still changed with the seed.
REPEATS: Final = 15


def emotion_judge(place: int) -> Judge:
    """Mean of pleasure (0), arousal (1) or dominance (2) of the emotions that the classifier reads from the words."""
    words = load_word_emotions()

    def judge(texts: Sequence[str]) -> float:
        total = 0.0
        for text in texts:
            read = words.emotions(text)
            total += sum(share * VAD[name][place] for name, share in read.items() if name in VAD)
        return total / max(1, len(texts))

    return judge


def _formality_judge() -> Judge | None:
    try:
        encoder = load_encoder()
    except EncoderError as error:
        log.print(f"no judge of formality: {error}")
        return None
    pairs = json.loads((Path(npc.inference.__file__).parent / "data/directions.json").read_text("utf-8"))["formality"]
    return likeness_judge(encoder, pairs["more"], pairs["less"])


def measure(run: Run) -> dict[str, Any]:
    """Learn and test the four directions."""
    status = model_status()
    if not status.available:
        raise SystemExit(f"npc bench steering: {status.detail}")
    model = DialogueModel(model_folder())
    config, weights = load_weights(model_folder(), NativeSettings(format=Format.INT8))
    step = open_step(config, weights, NativeSettings(format=Format.INT8, context=256, cache_mib=32, threads=1))
    end = frozenset((model.vocabulary.id["<end>"],))

    def prompts(marks: Sequence[tuple[str, str]]) -> list[list[int]]:
        return [model.encode(Prompt(mood, manner, i, words).text()) for mood, manner in marks for i, words in TURNS]

    def decode(tokens: Sequence[int]) -> str:
        return str(model.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()

    found: dict[str, Any] = {}
    for name, (more, less) in CONTRASTS.items():
        direction = learn_direction(step, name, prompts(more), prompts(less))
        judge = emotion_judge(_PLACE[name]) if name in _PLACE else _formality_judge()
        asked = prompts((("neutral", "plain"),)) * REPEATS
        table = response(step, direction, asked, decode, judge, ends=end, seed=run.seed)
        marked = {
            side: response(
                step, direction, prompts(marks) * 5, decode, judge, strengths=(0.0,), ends=end, seed=run.seed
            )
            for side, marks in (("more", more), ("less", less))
        }
        found[name] = {
            "rank_correlation": round(monotone(table), 3) if judge else None,
            "marks": {side: round(doses[0].score, 4) if judge else None for side, doses in marked.items()},
            "doses": [
                {
                    "strength": d.strength,
                    "score": round(d.score, 4) if judge else None,
                    "perplexity": round(d.perplexity, 2),
                    "sample": d.sample,
                }
                for d in table
            ],
        }
        log.print(f"{name}: {found[name]['rank_correlation']}")
    step.close()
    model.close()
    return {"machine": machine(), "model": model.card, "replies_a_dose": len(TURNS) * REPEATS, "directions": found}


def report(result: dict[str, Any]) -> str:
    """One line a dose."""
    lines = []
    for name, found in result["directions"].items():
        lines.append(f"{name}: rank correlation of dose and score {found['rank_correlation']}; marks {found['marks']}")
        lines.extend(
            f"  {d['strength']:+.1f}  score {d['score']}  perplexity {d['perplexity']}  {d['sample']!r}"
            for d in found["doses"]
        )
    return "\n".join(lines)


BENCH = Bench("steering", "dose and response of steering directions on the embedded dialogue model", measure, report)
