"""Which choice, or which thing in view, an argument means where the request does not name it.

    "Hand me those yellow things."        oilskins       described, not named
    "Please call the doctor who reads it" dr_sharma      a fact says who reads it
    "Then chuck her some tripe."          pepper         what the talk was about

Every choice is weighed by what speaks for it (shared words, meaning of word and whole, the taught encoder, facts that
name it, how lately it was spoken of or used), and "none of them" stands beside; `npc.training.arguments` trained the
weights. What the player names in full needs none of this (`actions_slots`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from npc.dialogue.interface import Action
from npc.dialogue.knowledge.words import STOPWORDS, content, stem, tokens
from npc.dialogue.scene import SceneState

#: (a text, names of things with a description each) -> how near the text is in meaning to each.
Nearness = Callable[[str, Sequence[tuple[str, str]]], Sequence[float]]
#: How near the turn, read behind the talk before it by the taught encoder, is to each of some texts.
Taught = Callable[[Sequence[str]], Sequence[float]]

#: Points back to something.
ANAPHORA = re.compile(
    r"\b(?:that|this|the same|the other) (?:one|way|berth|place|side)\b|\b(?:it|that|them|one|him|her|he|she)\b", re.I
)
#: Probability from which a choice is taken, and what must part it from the next.
TAKEN = 0.4
_POINTS_BACK = re.compile(
    r"\b(?:it|that|this|them|those|these|one|ones|him|her|he|she|his|hers|same|again|there|such)\b", re.I
)
_NOT_THAT = re.compile(r"\bnot (?:the |that |my |a )?$|\b(?:instead of|rather than|but not|except) (?:the |a )?$", re.I)


@dataclass(frozen=True, slots=True)
class Option:
    """Something an argument could be: its value, its name in words, and what is known of it by sight."""

    value: Any
    name: str
    description: str = ""
    wanted: bool = False
    """Of a kind that the action speaks of."""
    attended: bool = False

    @property
    def whole(self) -> str:
        return f"{self.name}: {self.description}" if self.description else self.name


@dataclass(frozen=True, slots=True)
class Talk:
    """What an argument may be taken from beside the request: earlier texts, and the action of each earlier exchange
    (None where nothing was done), newest first; and facts that the player may hear."""

    heard: Sequence[str] = ()
    done: Sequence[Action | None] = ()
    known: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What slots may be filled from beside the request."""

    scene: SceneState
    last_reply: str = ""
    facts: Sequence[str] = ()
    """Texts the player may hear, nearest first."""
    turn: str = ""
    """The whole turn the request stands in: "The skiff is drifting! Throw it a line!"."""
    before: tuple[str, str] = ("", "")
    """The exchange before this turn: the player's words and the reply."""
    nearness: Nearness | None = None
    """Where there is an encoder: how near a text is in meaning to each of some others."""
    taught: Taught | None = None
    """Where there is a taught encoder: how near the turn is to some texts."""
    player_words: str = ""
    """The player's earlier words of this conversation, for "the two of us"."""
    talk: Talk = Talk()
    """What was spoken of and done lately, and the facts the player may hear."""


def weighed(
    options: Sequence[Option],
    text: str,
    talk: Talk,
    nearness: Nearness,
    taught: Taught,
    ruled: Any = None,
) -> list[dict[str, float]]:
    """Features of "none of them" first, then of each option. `ruled` is the value the rules of the slots take from
    the talk, where they take one."""
    said = [stem(word) for word in content(text)]
    back = float(bool(_POINTS_BACK.search(text)))
    near = list(nearness(text, [(o.name, o.description) for o in options]))
    direct = list(taught([o.whole for o in options]))
    known = list(talk.known)
    answers = list(taught(known)) if known else []
    about = [_stems(fact) for fact in known]
    rows = []
    for number, option in enumerate(options):
        named = _stems(option.name)
        described = _stems(option.description)
        hits = [word for word in said if word in named]
        telling = [score for score, stems in zip(answers, about, strict=True) if named and named <= stems]
        shared = [len(stems & set(said)) for stems in about if named and named <= stems]
        rows.append(
            {
                "named": len(set(hits)) / max(1, len(named)),
                "described": sum(word in described for word in said) / max(1, len(said)),
                "denied": float(_denied(option, text)),
                "near": near[number],
                "taught": direct[number],
                "told": max(telling, default=0.0),
                "told_words": min(3, max(shared, default=0)) / 3.0,
                "lately": _lately(named, talk.heard),
                "lately_back": back * _lately(named, talk.heard),
                "done": _used(option.value, talk.done),
                "done_back": back * _used(option.value, talk.done),
                "wanted": float(option.wanted),
                "attended": float(option.attended),
                "attended_back": back * float(option.attended),
                "ruled": float(ruled is not None and option.value == ruled),
            }
        )
    for name in ("near", "taught", "told", "lately"):
        values = sorted((row[name] for row in rows), reverse=True)
        for row in rows:
            best_other = values[1] if row[name] == values[0] and len(values) > 1 else values[0]
            row[f"{name}_lead"] = row[name] - best_other if len(values) > 1 else 0.0
    none = {
        "none": 1.0,
        "none_few": 1.0 / max(1, len(options)),
        "none_back": back,
        "none_words": min(6, len(said)) / 6.0,
        "none_ruled": float(ruled is not None),
    }
    return [none, *rows]


def chosen(rows: Sequence[Mapping[str, float]]) -> tuple[int | None, float]:
    """Index of the option that is most likely meant, and its probability; None where none reaches `TAKEN`."""
    weights = _weights()
    scores = [sum(weights.get(name, 0.0) * value for name, value in row.items()) for row in rows]
    top = max(scores)
    odds = [math.exp(score - top) for score in scores]
    best = max(range(1, len(rows)), key=lambda i: odds[i], default=0)
    share = odds[best] / sum(odds) if best else 0.0
    return (best - 1, share) if best and share >= TAKEN else (None, share)


@lru_cache(maxsize=1)
def _weights() -> Mapping[str, float]:
    """Trained by `npc.training.arguments`."""
    found = json.loads((files("npc.dialogue") / "data" / "arguments.json").read_text("utf-8"))
    return {str(name): float(value) for name, value in found.items()}


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in tokens(text) if word not in STOPWORDS)


def _lately(named: frozenset[str], heard: Sequence[str]) -> float:
    """1 for what the last text named, less for what an earlier one did, 0 for what was not spoken of."""
    for age, text in enumerate(heard):
        if named and named <= _stems(text):
            return 1.0 / (1.0 + 0.5 * age)
    return 0.0


def _used(value: Any, done: Sequence[Action | None]) -> float:
    for age, action in enumerate(done):
        if action is not None and value in action.arguments.values():
            return 1.0 / (1.0 + age)
    return 0.0


def _denied(option: Option, text: str) -> bool:
    """ "Not the red one." """
    for word in tokens(option.name):
        match = re.search(rf"\b{re.escape(word)}\b", text, re.I)
        if match is not None and _NOT_THAT.search(text[: match.start()]):
            return True
    return False
