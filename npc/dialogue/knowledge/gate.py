"""The gate before retrieval: which secrets this player may be told now.

Doubt means locked. A condition (`tell_to`) is one of

    relationship:trusted      true only by game state or stored relationship, never by what the player claims
    flag:NAME                 true when the game set NAME to a true value; so with the other forms of `conditions.py`
    a sentence                text in single quotes must have been said by the player (whole words); the rest is judged
                              by meaning: the player did it in words, for themselves, not as a question about it, not
                              denied, not imagined and not told of somebody else

    "knows the password 'heron'"          The word is heron.             open
                                          Is that a heron?               locked (a thing in view, merely mentioned)
    "says they are from the council"      I'm from the council.          open
                                          I'm not from the council.      locked
                                          My cousin is from the council. locked
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from npc.dialogue.conditions import Situation, holds, is_sentence
from npc.dialogue.knowledge.facts import Fact
from npc.dialogue.knowledge.gate_words import does, says, sentences, shows
from npc.dialogue.knowledge.words import tokens
from npc.dialogue.scene import SceneState
from npc.inference.encoder import SentenceEncoder

_LADDER = ("hostile", "stranger", "acquaintance", "friend", "trusted")
_QUOTED = re.compile(r"(?<!\w)['‘\"“]([^'‘’\"“”]+(?:'[a-z]+)?[^'‘’\"“”]*)['’\"”](?!\w)")
#: "gives the password Kingfisher Six": said as it stands, though not in quotes.
_PASSWORD = re.compile(
    r"\b(?:password|passphrase|code ?word|countersign|word|phrase)[,:]? ((?:[A-Z][\w-]*)(?: [A-Z][\w-]*)*)$"
)
#: The same in lower case: "gives the password brimstone", but no "gives the word of the order".
_PASSWORD_LOWER = re.compile(
    r"\b(?:password|passphrase|code ?word|countersign|(?:gives?|says?|knows?) the word) "
    r"(?!of\b|for\b|to\b|that\b|they\b|is\b|in\b|at\b|which\b)([\w-]+(?: [\w-]+)?)$"
)
#: "says please three times": the word, and how often.
_REPEATED = re.compile(r"\bsays? (\w+) (twice|two times|three times|thrice)$", re.I)
#: Two things that the player must do: "asks kindly and promises not to scold".
_AND = re.compile(r",? and (?=(?!says so)(?:promises|swears|vows|shows|asks|gives|brings|names|says)\b)")
#: Conditions on what the player holds out, and how one does.
_SHOWN = re.compile(r"\s*(?:shows?|presents?|produces?|brings?)\b")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the game and the stored relationship say: never what the player claims."""

    relationship: str = "stranger"
    flags: Mapping[str, object] = field(default_factory=dict)
    """Flags and variables of the game and the narrative."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What conditions are judged on: the standing, everything the player said in this talk, names in view, the scene,
    and the facts that were told in this talk."""

    standing: Standing
    said: Sequence[str]
    in_view: frozenset[str] = frozenset()
    scene: SceneState = field(default_factory=SceneState)
    told: frozenset[str] | None = None
    """None: not known, so that neither "told:x" nor "not told:x" opens anything."""


def open_facts(facts: Sequence[Fact], ground: Ground, encoder: SentenceEncoder | None = None) -> frozenset[str]:
    """Ids of the facts that may be retrieved now: all unguarded ones and every secret whose condition is met."""
    # The facts of a guarded document share one condition.
    met = {condition: is_met(condition, ground, encoder) for condition in {f.tell_to for f in facts if f.guarded}}
    return frozenset(fact.id for fact in facts if not fact.guarded or met[fact.tell_to])


def is_met(condition: str | None, ground: Ground, encoder: SentenceEncoder | None = None) -> bool:
    """Judge one `tell_to` condition; no condition is never met."""
    if not condition or not condition.strip():
        return False
    condition = condition.strip()
    if match := re.fullmatch(r"relationship:\s*(\w+)", condition):
        wanted, given = match.group(1).lower(), ground.standing.relationship.lower()
        if wanted in _LADDER and given in _LADDER:
            return _LADDER.index(given) >= _LADDER.index(wanted)
        return wanted == given
    if not is_sentence(condition) and not condition.lower().startswith("said:"):
        if ground.told is None and re.search(r"\b(?:told|asked):", condition, re.I):
            return False
        return holds(condition, _situation(ground))
    if re.match(r"(?!said:)\w+:", condition, re.I) and " " not in condition:
        return False
    if match := re.fullmatch(r"said:\s*([^'‘’\"“”]+)", condition, re.I):
        return any(says(line, match.group(1), ground.in_view) for line in ground.said)
    quoted = [text.strip() for text in _QUOTED.findall(condition) if text.strip()]
    quoted += [] if quoted else _PASSWORD.findall(condition) or _PASSWORD_LOWER.findall(condition)
    if repeated := _REPEATED.search(condition):
        times = 2 if repeated[2].lower() in ("twice", "two times") else 3
        return any(tokens(line).count(repeated[1].lower()) >= times for line in ground.said)
    if quoted:
        return all(any(says(line, text, ground.in_view) for line in ground.said) for text in quoted)
    both = _AND.split(condition)
    if len(both) > 1:
        return all(is_met(part, ground, encoder) for part in both)
    if _SHOWN.match(condition):
        return any(shows(line, condition) for line in ground.said)
    return any(does(sentence, line, condition, encoder) for line in ground.said for sentence in sentences(line))


def _situation(ground: Ground) -> Situation:
    """For the plain conditions: what a game says, what is in view, what was said and told."""
    flags = ground.standing.flags
    return Situation(
        relationship=ground.standing.relationship.lower(),
        flags=flags,
        variables=flags,
        scene=ground.scene,
        said="\n".join(ground.said),
        told=ground.told or frozenset(),
        turns=len(ground.said),
    )
