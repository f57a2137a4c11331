"""Rules among the facts that speak against a deed: "Nightshade is never given to strangers", "at most thirty days"."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from npc.dialogue.actions import names_entity
from npc.dialogue.actions_request import groups_of, is_common
from npc.dialogue.actions_slots import Filled
from npc.dialogue.character import ActionSpec, Character, Fact
from npc.dialogue.emotion_reading import Encoder
from npc.dialogue.knowledge.words import content, numbers_in, stem, tokens
from npc.dialogue.scene import SceneState

_FORBIDS = re.compile(
    r"\b(?:no|nobody|none|never|not|cannot|can't|must not|may not|forbidden|prohibited|not allowed|banned|only|except"
    r"|unless|without|at most|no more than|full up|sold out|out of (?:order|stock|use))\b",
    re.IGNORECASE,
)
_NONE_LEFT = re.compile(r"\b(?:full up|sold out|out of (?:order|stock|use))\b", re.I)
#: A clause that speaks of what an earlier one named.
_LEANS = re.compile(r"^\W*(?:it|they|this|these|that|those|he|she|nobody|no one|never|not|none|only|but)\b", re.I)
#: A fact that opens with its case: "When the lamp is lit, nobody may …".
_IN_CASE = re.compile(r"^(?:when|whenever|if|while|once|as long as) [^,]+, ", re.I)
#: Where a rule goes on to say in which case it holds ("while the baby is asleep") or does not ("without gloves", "only
#: to members"). What stands behind the latter is no part of what is forbidden.
_CASE = re.compile(
    r"\b(?P<lifted>without|unless|until|except|only (?:to|for|by))\b|\b(?:while|when|whenever|if|during)\b", re.I
)
_NEGATIVE = re.compile(r"\b(?:no|not|nobody|never|isn't|aren't|haven't|hasn't|don't)\b", re.I)
#: Words of rules, and numbers, that say nothing of what a rule is about.
_RULE_WORDS_TEXT = "no nobody none never not cannot only except unless without most more nothing anybody anyone"
_RULE_WORDS = frozenset(stem(word) for word in _RULE_WORDS_TEXT.split())
_LIMIT = re.compile(
    r"\b(?:at most|limited to|no more than|only|up to|maximum(?: of)?|never more than)\s+(?:about )?(\w+)", re.I
)
#: The same without "only", which may limit something else: "ink of oak lasts a hundred years, ink of squid only ten".
_UPPER = re.compile(r"\b(?:at most|limited to|no more than|maximum(?: of)?|never more than)\s+(?:about )?(\w+)", re.I)
#: Participles whose stem is no verb.
_BASES = {
    "given": "give", "sold": "sell", "lent": "lend", "taken": "take", "shown": "show", "told": "tell",
    "brought": "bring", "sent": "send", "woken": "wake", "fed": "feed", "thrown": "throw", "lit": "light",
}  # fmt: skip
_TIMES = {"once": 1.0, "twice": 2.0, "thrice": 3.0}
_OPPOSITES = (
    ("open", "close"),
    ("raise", "lower"),
    ("start", "stop"),
    ("lock", "unlock"),
    ("give", "take"),
    ("light", "stop"),
)


class Bans:
    """The open facts of a character that forbid or limit something. `verbs` are those of its actions, by name."""

    def __init__(self, character: Character, encoder: Encoder | None, verbs: Mapping[str, frozenset[str]]) -> None:
        self._encoder, self._verbs = encoder, verbs
        self._forbidding = tuple((f, _rule(f.text)) for f in character.facts if not f.is_secret and _rule(f.text))

    def against(
        self,
        text: str,
        spec: ActionSpec | None = None,
        filled: Filled | None = None,
        scene: SceneState | None = None,
        turn: str = "",
    ) -> Fact | None:
        """The open fact that speaks against the request: it forbids, and it is about the same deed and thing. `turn`:
        the whole turn the request stands in, which may say that a rule does not hold."""
        said = _about(text)
        best, best_score = None, 0.0
        for fact, rule in self._forbidding:
            case = _CASE.search(rule, 1)
            about = _about(rule[: case.start()] if case is not None and case["lifted"] else rule)
            shared = len(said & about)
            if case is not None and _lifted(turn or text, rule[case.start() :], bool(case["lifted"])):
                continue
            whole = fact.text if _LEANS.match(rule) and not _names_choices(spec, rule) else rule
            thing = spec is not None and _bans_the_thing(spec, filled, whole, scene)
            if spec is not None and _over_limit(text, rule):
                return fact
            if not shared and not thing:
                continue
            near = shared / max(2, len(said))
            if self._encoder is not None:
                pair = self._encoder.encode([text, fact.text])
                near = float(np.dot(pair[0], pair[1]))
            if filled is not None and _about_another_choice(spec, filled, fact.text):
                continue
            if spec is None:
                # Better no reason than a wrong one: near in meaning, and about a thing the player named.
                score = shared + 4.0 * max(0.0, near - 0.3) if near >= 0.4 else 0.0
                bar = 1.4
            else:
                limit = _limit_of(rule)
                if limit is not None and any(value > limit for value, _ in numbers_in(text)):
                    return fact
                verbs = {stem(v) for v in self._verbs[spec.name]} | {stem(v) for v in tokens(text)}
                same_deed = shared >= 2 and bool(verbs & about)
                if thing and (near >= 0.25 or _same_group(self._verbs[spec.name], fact.text)):
                    same_deed = not _opposite(self._verbs[spec.name], fact.text)
                score = shared + near if _strong_ban(fact.text) and (same_deed or near >= 0.5) else 0.0
                bar = 0.0
            if score > max(best_score, bar):
                best, best_score = fact, score
        return best


def _about(text: str) -> set[str]:
    """What a text is about: its content words but numbers and words of rules."""
    return {word for word in content(text) if word not in _RULE_WORDS and not numbers_in(word)}


#: Says how things stand: "the baby's not here", "I'm in the kitchen now", "I've no horse".
_STANDS = re.compile(
    r"\b(?:i'm|i am|i've|i have|he's|she's|it's|they're|we're|there's|(?:is|are|has|have|'s)(?: not|n't| no)?)\b", re.I
)


def _lifted(text: str, case: str, exception: bool) -> bool:
    """Whether the player says that a rule does not hold for them: "no, the baby's not here" of "no singing while
    baby Noor is asleep", "I am a member" of "lent only to members". `exception`: the rule does not hold in the case."""
    of_case = _about(case)
    wanted = exception != bool(_NEGATIVE.search(case))
    sentences = [s for s in re.split(r"(?<=[.!?])\s+|, ", text) if not s.rstrip().endswith("?")]
    told = [s for s in sentences if _STANDS.search(s) and of_case & _about(s)]
    return any(bool(_NEGATIVE.search(s)) != wanted for s in told)


def _rule(text: str) -> str:
    """The clauses of a fact that forbid or limit: "A single is two pounds, and nobody rides for nothing" says nothing
    against two singles. "" where none does."""
    main = _IN_CASE.sub("", text)
    return ", ".join(clause for clause in re.split(r"[;:] |, (?:and|but|so) ", main) if _FORBIDS.search(clause))


def _bans_the_thing(spec: ActionSpec, filled: Filled | None, text: str, scene: SceneState | None) -> bool:
    """Whether the fact names the very thing the action would take ("Nightshade is never given to strangers")."""
    words = set(tokens(text))
    for name, schema in spec.parameters.get("properties", {}).items():
        value = filled.arguments.get(name) if filled is not None else None
        entity = scene.everything.get(value) if scene is not None and names_entity(schema) and value else None
        named = (
            entity.name if entity is not None else str(value).replace("_", " ") if "enum" in schema and value else ""
        )
        if named and set(tokens(named)) <= words:
            return True
        if (
            named
            and _NONE_LEFT.search(text)
            and {stem(word) for word in tokens(named)} <= {stem(word) for word in words}
        ):
            return True
    return False


def _names_choices(spec: ActionSpec | None, rule: str) -> bool:
    """Whether the forbidding clause itself names one of the action's choices: then it forbids no other one of them."""
    if spec is None:
        return False
    words = set(tokens(rule))
    choices = [choice for schema in spec.parameters.get("properties", {}).values() for choice in schema.get("enum", ())]
    return any(set(tokens(str(choice).replace("_", " "))) <= words for choice in choices)


def _same_group(verbs: frozenset[str], text: str) -> bool:
    mine = {group for verb in verbs for group in groups_of(verb)}
    words = (_BASES.get(word, word) for word in tokens(text))
    return any(mine & groups_of(word) or mine & groups_of(stem(word)) for word in words if is_common(stem(word)))


def _opposite(verbs: frozenset[str], text: str) -> bool:
    """ "Never open the valve" does not forbid closing it."""
    mine = {group for verb in verbs for group in groups_of(verb)}
    theirs = {group for word in tokens(text) for group in groups_of(stem(word))}
    return opposed(frozenset(mine), frozenset(theirs))


def opposed(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    return any((a in mine and b in theirs) or (b in mine and a in theirs) for a, b in _OPPOSITES)


def _about_another_choice(spec: ActionSpec | None, filled: Filled, text: str) -> bool:
    """ "The right shutter must not be forced" says nothing about the left one."""
    if spec is None:
        return False
    words = set(tokens(text))
    for name, schema in spec.parameters.get("properties", {}).items():
        chosen = filled.arguments.get(name)
        others = [choice for choice in schema.get("enum", ()) if choice != chosen]
        if chosen is None or set(tokens(str(chosen))) & words:
            continue
        if any(set(tokens(str(choice).replace("_", " "))) <= words for choice in others):
            return True
    return False


def _limit_of(text: str) -> float | None:
    words = [match.group(1).lower() for match in _UPPER.finditer(text)]
    limits = [number for word in words for number, _ in numbers_in(word)]
    limits += [_TIMES[word] for word in words if word in _TIMES]
    return min(limits, default=None)


def _over_limit(asked: str, rule: str) -> bool:
    """ "Sixty days" against "at most thirty days": the same unit, and more of it."""
    for match in _LIMIT.finditer(rule):
        allowed = numbers_in(match.group(1))
        unit = re.match(r"\s*(\w+)", rule[match.end() :])
        if not allowed or unit is None:
            continue
        words = tokens(asked)
        for value, index in numbers_in(asked):
            following = words[index + 1] if index + 1 < len(words) else ""
            if value > allowed[0][0] and stem(following) == stem(unit.group(1).lower()):
                return True
    return False


def _strong_ban(text: str) -> bool:
    return bool(
        re.match(r"^\s*(?:no|nobody|none|never)\b", text, re.IGNORECASE)
        or re.search(
            r"\b(?:may not|must not|never|no longer|forbidden|prohibited|not allowed|nobody|cannot|full up|sold out"
            r"|out of (?:order|stock|use))\b"
            # "Opened by the master only"; "lent only to members"; "is not handed to anyone".
            r"|\b(?:is|are) (?:\w+ed|\w+en|lent|sold|let|shown) (?:[\w' -]{0,20} )?"
            r"(?:(?:by|to|for) [\w' -]{2,30} (?:only|alone)|only (?:by|to|for))\b"
            r"|\b(?:by|to) [\w' -]{2,30} (?:only|alone)\b|\bonly by\b"
            r"|\b(?:is|are) not (?:\w+ed|given|lent|sold|let)\b(?! (?:in|by|at|under|with)\b)",
            text,
            re.IGNORECASE,
        )
    )
