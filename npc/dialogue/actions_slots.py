"""Filling an action's parameters from what was said, what is in the scene, and what the talk was just about.

Where a value is looked for, in this order, and never past the first source that gives one:

    the request itself  >  (for "that one", or when nothing was said) the last reply  >  facts near the request
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from npc.dialogue.actions import names_entity
from npc.dialogue.actions_choice import Nearness, Option, Talk, Taught, chosen, weighed
from npc.dialogue.character import ActionSpec, Entity
from npc.dialogue.knowledge.words import content, numbers_in, stem, tokens
from npc.dialogue.memory.extract import name_in
from npc.dialogue.scene import SceneState

_ANAPHORA = re.compile(
    r"\b(?:that|this|the same|the other) (?:one|way|berth|place|side)\b|\b(?:it|that|them|one|him|her|he|she)\b", re.I
)
_THAT_ONE = re.compile(r"\b(?:that|this|the same|the other|the first|the second|such an?) one\b|\bthe same\b", re.I)
_NOT_A_NUMBER = re.compile(
    r"\b(that|this|the|which|another|other|any|no|every|each|red|blue|green|black|white|big|small|long|old|new) one\b"
    r"|\b(?:the|a|that|this|my|your) (?!\w*number)[a-z-]+ one\b(?! (?:hundred|thousand))"
    r"|\bone (?:of|more thing|thing|moment|second|day|time)\b|\bat once\b",
    re.IGNORECASE,
)
#: "Fetch me a sandwich": something new, not what is looked at.
_SOMETHING_ELSE = re.compile(
    r"\b(?:an?|some|any|another) (?!bit|little|moment|second|look|hand|word|favou?r)\w+", re.IGNORECASE
)
_HALF_DOZEN = re.compile(r"\bhalf(?: a|-a)?[ -]dozen\b", re.I)
#: One thing though it is a pair: "a new pair, please".
_ONE_PAIR = re.compile(r"\b(?:new|old|other|another|clean|dry|fresh|first|second) pair\b(?! of (?:us|them))", re.I)
_CORRECTION = re.compile(
    r"\b(?:no,|no wait,?|i mean|make (?:that|it)|rather,|sorry,|that makes|that'?s"
    r"|(?:so |and )?(?:all told|altogether|in all))\s",
    re.IGNORECASE,
)
_SUCH_ONE = re.compile(r"\bthe \w+ (?:one|thing|bit|stuff)\b", re.IGNORECASE)
_WORD_NUMBERS = {
    "once": 1, "twice": 2, "thrice": 3, "couple": 2, "pair": 2, "both": 2, "dozen": 12, "single": 1,
}  # fmt: skip
_COUNT_NAMES = frozenset(
    {"quantity", "count", "number", "amount", "times", "turns", "pieces", "units", "copies", "visitors"}
)
_NEGATION = re.compile(r"\bnot (?:the |a |my )?$|\binstead of (?:the |a )?$|\brather than (?:the |a )?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Filled:
    """Arguments found, names of required ones that were not, values out of range (name -> complaint), and a quality.

    `said` counts parameters whose value the player named; `unused` are numbers said that no parameter took.
    """

    arguments: Mapping[str, Any]
    missing: tuple[str, ...]
    out_of_range: Mapping[str, str]
    said: int
    unused: tuple[float, ...]


#: Without the taught encoder a value nobody named is taken by meaning when it is this near and leads the next one by
#: so much.
_NEAR, _LEAD = 0.3, 0.04
#: Things in view that are looked at for one argument.
_THINGS = 40


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


def fill(spec: ActionSpec, text: str, around: Surroundings) -> Filled:
    """Fill the parameters of `spec` from `text`."""
    properties: Mapping[str, Any] = spec.parameters.get("properties", {})
    required = set(spec.parameters.get("required", []))
    arguments: dict[str, Any] = {}
    bad: dict[str, str] = {}
    said = 0
    corrected = _CORRECTION.split(text)[-1]
    numbers = _numbers(corrected) or _numbers(text) or _numbers(around.turn)
    integers = [name for name, schema in properties.items() if schema["type"] in ("integer", "number")]
    taken: set[float] = set()
    for name, schema in properties.items():
        value: Any = None
        from_player = False
        if "enum" in schema or names_entity(schema):
            value, from_player, options = by_rule(spec, name, text, around)
            if not from_player and (name in required or names_entity(schema)):
                value, from_player = _meant(options, text, around, value)
        elif schema["type"] in ("integer", "number"):
            value, from_player, complaint = _number(name, schema, text, numbers, taken, len(integers), around)
            if complaint:
                bad[name] = complaint
            if value is not None:
                taken.add(float(value))
                value = int(value) if schema["type"] == "integer" else value
        elif schema["type"] == "boolean":
            value = not re.search(r"\b(?:not|don't|without|off|no)\b", text, re.IGNORECASE)
        else:
            person = _person(around) if stem(name.split("_")[-1]) in _PEOPLE else ""
            value, from_player = person or _free_text(name, text), True
        if value is not None:
            arguments[name] = value
            said += from_player
    missing = tuple(name for name in properties if name in required and name not in arguments)
    return Filled(arguments, missing, bad, said, tuple(n for n in numbers if n not in taken))


def by_rule(spec: ActionSpec, name: str, text: str, around: Surroundings) -> tuple[Any | None, bool, Sequence[Option]]:
    """What rules give for a parameter of choices or things, whether the player named it, and all it could be."""
    schema = spec.parameters["properties"][name]
    if "enum" in schema:
        value, named = _enum(
            name, schema["enum"], _in_digits(text), around, name in spec.parameters.get("required", ())
        )
        if value is None and _names_a_goal(text):
            return None, False, []
        return value, named, [Option(choice, str(choice).replace("_", " ")) for choice in schema["enum"]]
    entity, named = _entity(spec, text, around)
    return (entity.id if entity is not None else None), named, _things(spec, around)


#: "four seven one": digits read out one by one.
_DIGIT = "(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
_SPELT = re.compile(rf"\b(?:{_DIGIT}[ -]){{2,}}{_DIGIT}\b", re.I)
_DIGITS = {"zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
           "seven": "7", "eight": "8", "nine": "9"}  # fmt: skip
#: Spans in nights or days.
_SPANS = ((r"a fortnight", 14), (r"a week(?!end)", 7), (r"the weekend|a weekend", 2), (r"a month", 30))
#: "One for me and one for the missus."
_ONE_EACH = re.compile(r"\b(?:one|another) for (?:me|my|us|him|her|them|the|our|his|\w+)\b", re.I)
_CLOCKED = frozenset(
    stem(word) for word in ("minutes", "hour", "time", "room", "berth", "lane", "gate", "number", "run")
)
_MINUTES = (
    (r"three quarters of an hour", 45),
    (r"half an hour", 30),
    (r"(?:a )?quarter of an hour", 15),
    (r"an hour", 60),
)
_AFTERNOON = re.compile(r"\b(?:in the (?:afternoon|evening)|p\.?m\b|at night|tonight|this (?:afternoon|evening))", re.I)


def _said_numbers(name: str, schema: Mapping[str, Any], text: str) -> list[float]:
    """Numbers that the parameter's name lets one read out of words: spans in minutes, hours of the evening, "twice",
    "all the way up"."""
    low, high = schema.get("minimum"), schema.get("maximum")
    kind = stem(name.split("_")[-1])
    if kind in (stem("nights"), stem("days")):
        return [float(value) for pattern, value in _SPANS if re.search(rf"\b{pattern}\b", text, re.I)][:1]
    if len(each := _ONE_EACH.findall(text)) > 1 and kind not in _CLOCKED:
        return [float(len(each))]
    if kind == stem("minutes"):
        return [float(value) for pattern, value in _MINUTES if re.search(rf"\b{pattern}\b", text, re.I)][:1]
    if kind in (stem("hour"), stem("time")) and name != "times" and high is not None and _AFTERNOON.search(text):
        return [value + 12 for value in _numbers(text) if value < 12 and value + 12 <= high]
    if name == "times":
        return [float(_WORD_NUMBERS[word]) for word in tokens(text) if word in ("once", "twice", "thrice")][:1]
    if low is not None and high is not None and high - low >= 50:
        if re.search(r"\ball the way (?:up|open)\b|\bfull(?:y| up| on)?\b|\bto the (?:top|maximum)\b", text, re.I):
            return [float(high)]
        if re.search(r"\ball the way (?:down|shut|off)\b|\bto nothing\b", text, re.I):
            return [float(low)]
        if re.search(r"\bhalf(?:way)?\b(?! past| an hour| a)", text, re.I):
            return [float(low + (high - low) // 2)]
    return []


def _in_digits(text: str) -> str:
    """ "Room three oh seven" is room 307."""
    return _SPELT.sub(lambda m: "".join(_DIGITS[word] for word in re.split(r"[ -]", m.group(0).lower())), text)


def _numbers(text: str) -> list[float]:
    text = re.sub(r"\b([a-z]+)['’](?:ll|d)\b", r"\1", text, flags=re.I)
    masked = _ONE_PAIR.sub(" ", _NOT_A_NUMBER.sub(" ", _HALF_DOZEN.sub("6", text)))
    masked = _in_digits(masked)
    found = [value for value, _ in numbers_in(masked)]
    found += [value for word in re.findall(r"\b(\w{3,})pence\b", masked.lower()) for value, _ in numbers_in(word)]
    found += [float(_WORD_NUMBERS[word]) for word in tokens(masked) if word in _WORD_NUMBERS]
    # "Get me one for five people": beside another number, a bare "one" is most often a thing.
    loose = re.search(r"\b[Oo]ne\b(?! hundred| thousand)", masked) is not None
    return sorted(found, key=lambda value: value == 1.0) if loose else found


def _number(
    name: str,
    schema: Mapping[str, Any],
    text: str,
    numbers: Sequence[float],
    taken: set[float],
    rivals: int,
    around: Surroundings,
) -> tuple[float | None, bool, str]:
    low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    free = [value for value in numbers if value not in taken and (schema["type"] == "number" or value.is_integer())]
    for value in _said_numbers(name, schema, text):
        if low <= value <= high:
            return value, True, ""
    # "Seven of us, so twenty-eight litres": the number beside the parameter's name.
    near = _beside(name, text, free) if rivals > 1 or len(set(free)) > 1 else None
    for value in [near] if near is not None else free:
        if low <= value <= high:
            return value, True, ""
    if free and rivals == 1:
        return None, True, f"{_plain(free[0])} is not between {_plain(low)} and {_plain(high)}"
    words = set(tokens(text))
    if {"us", "we", "my", "our"} & words and (
        match := re.search(r"\b(?:the )?(\w+) of us\b", around.player_words, re.I)
    ):
        told = _numbers(match.group(1))
        if told and low <= told[0] <= high:
            return told[0], True, ""
    counted = name.endswith("s") and stem(name) in {stem(word) for word in tokens(text)}
    if counted or name in _COUNT_NAMES or stem(name) in {stem(count) for count in _COUNT_NAMES}:
        # "a lamp", "the lamp", "one": a count nobody said is one.
        return (1.0, False, "") if low <= 1 <= high else (None, False, "")
    if _ANAPHORA.search(text) or not free:
        for source in (around.last_reply, *around.facts[:2]):
            # A bare number of a fact counts only beside the parameter's name or its like.
            beside = _beside(name, source, [v for v in _numbers(source) if low <= v <= high])
            if beside is not None:
                return beside, False, ""
        candidates = [v for v in _numbers(around.last_reply) if low <= v <= high]
        if len(set(candidates)) == 1 and _ANAPHORA.search(text):
            return candidates[0], False, ""
    return None, False, ""


def _beside(name: str, text: str, values: Sequence[float]) -> float | None:
    """The value that stands next to the parameter's name ("berth nine", "three divers")."""
    words = tokens(text)
    marks = {stem(part) for part in name.split("_")}
    places = [index for index, word in enumerate(words) if stem(word) in marks]
    best: float | None = None
    distance = 4
    for value, index in numbers_in(_NOT_A_NUMBER.sub(lambda m: " ".join("x" * len(tokens(m.group()))), text)):
        if value in values:
            for place in places:
                if abs(place - index) < distance:
                    best, distance = value, abs(place - index)
    return best


def _enum(name: str, choices: Sequence[Any], text: str, around: Surroundings, needed: bool) -> tuple[Any | None, bool]:
    found = _choice(choices, text)
    if found is not None:
        return found, True
    if not needed:
        return None, False
    if len(choices) == 1:
        return choices[0], False
    # "Put me in that one" means what was just said; otherwise facts about the thing asked for come before the last
    # reply.
    leans = bool(_THAT_ONE.search(text))
    if _names_a_goal(text):
        # "A ticket to the moon": a value was named that is no choice; none is made up from elsewhere.
        return None, False
    sources = (around.last_reply, *around.facts[:4]) if leans else (*around.facts[:4], around.last_reply)
    for source in sources:
        if source and ((leans and source is around.last_reply) or _shares_topic(name, text, source)):
            named = [choice for choice in choices if _choice([choice], source) is not None]
            # A source that names two of the choices decides nothing.
            if len(named) == 1:
                return named[0], False
    return None, False


def _names_a_goal(text: str) -> bool:
    """ "To the moon", and not "to have"."""
    goal = re.search(r"\bto (?:the )?([a-z]{3,})\b", text, re.IGNORECASE)
    return goal is not None and goal.group(1).lower() not in (
        "get", "have", "see", "buy", "take", "you", "him", "her", "them",
    )  # fmt: skip


def _choice(choices: Sequence[Any], text: str) -> Any | None:
    """The choice whose words stand in the text: all of them, else the one with most; a negated one never."""
    stems = [stem(word) for word in tokens(text)]
    joined = " ".join(tokens(text))
    best, best_score = None, 0.0
    for choice in choices:
        words = tokens(str(choice).replace("_", " "))
        hits = [word for word in words if stem(word) in stems]
        if not hits:
            continue
        before = joined.split(hits[0])[0] if hits[0] in joined else ""
        if _NEGATION.search(before):
            continue
        score = len(hits) / len(words) + 0.01 * len(words)
        # A choice that is only half said must not beat silence when it shares a common word.
        if score > best_score and (len(hits) == len(words) or len(hits) / len(words) >= 0.5):
            best, best_score = choice, score
    return best


def _shares_topic(name: str, text: str, source: str) -> bool:
    there = set(content(source))
    return bool(there & set(content(text))) or bool(there & {stem(part) for part in name.split("_")})


def _entity(spec: ActionSpec, text: str, around: Surroundings) -> tuple[Entity | None, bool]:
    referents = list(around.scene.refer(text))
    named = [r for r in referents if r.by != "attention"]
    if not named and around.turn != text:
        earlier_words = [r for r in around.scene.refer(around.turn) if r.by == "name" and r.score >= 0.5]
        referents = earlier_words or referents
    # "close_valve" wants valves: a kind named by the action goes first.
    wanted = _wanted(spec)
    kinds = [r for r in referents if wanted & set(_stems((r.entity.kind, r.entity.name)))]
    if kinds and kinds[0].score >= 0.6 * referents[0].score:
        referents = kinds
    referents = [r for r in referents if not _negated(text, r.entity)] or referents
    if not named and _SOMETHING_ELSE.search(text):
        return None, False
    best = referents[0] if referents else None
    if (best is None or (best.by == "attention" and best.score < 0.4)) and _ANAPHORA.search(text):
        # "That one" is what was just spoken of, unless the player says that it is what is looked at.
        spoken = around.scene.refer(around.last_reply)
        if spoken and spoken[0].by == "name" and spoken[0].score >= 0.5:
            return spoken[0].entity, False
    # One word of a description is thin ("half past four", "a half-full jar"), unless the player says "the green one".
    bar = 0.45 if best is not None and best.by == "description" and not _SUCH_ONE.search(text) else 0.3
    if best is not None and best.score >= bar:
        return best.entity, best.by != "attention"
    return None, False


def _things(spec: ActionSpec, around: Surroundings) -> list[Option]:
    """Things in view as choices; those of a kind the action speaks of ("close_valve" wants valves) are marked."""
    wanted = _wanted(spec)
    things = [entity for entity in around.scene.entities if entity.visible][:_THINGS]
    return [
        Option(
            entity.id, entity.name, entity.description,
            wanted=bool(wanted & set(_stems((entity.kind, entity.name)))),
            attended=entity.id == around.scene.attention,
        )
        for entity in things
    ]  # fmt: skip


def _wanted(spec: ActionSpec) -> set[str]:
    return {stem(word) for word in tokens(f"{spec.name.replace('_', ' ')} {spec.description}")}


def _meant(options: Sequence[Option], text: str, around: Surroundings, ruled: Any) -> tuple[Any | None, bool]:
    """The option that is meant though the request does not name it, and whether the player's words say so; `ruled` is
    what the talk before gives by rule."""
    if len(options) < 2 or around.nearness is None:
        return ruled, False
    if around.taught is None:
        at = _nearest(text, [(o.name, o.description) for o in options], around) if ruled is None else None
    else:
        at, _ = chosen(weighed(options, text, around.talk, around.nearness, around.taught, ruled))
        # A thing looked at, or spoken of last, was weighed there; a choice that a fact near the request names stands.
        ruled = None if any(option.description or option.attended for option in options) else ruled
    return (options[at].value, True) if at is not None else (ruled, False)


def _nearest(text: str, others: Sequence[tuple[str, str]], around: Surroundings) -> int | None:
    """Which of the others is nearest in meaning, where one plainly is."""
    if around.nearness is None or len(others) < 2:
        return None
    scores = list(around.nearness(text, others))
    ranked = sorted(range(len(others)), key=lambda i: -scores[i])
    first, second = ranked[:2]
    return first if scores[first] >= _NEAR and scores[first] - scores[second] >= _LEAD else None


def _stems(texts: Iterable[str]) -> list[str]:
    return [stem(word) for text in texts for word in tokens(text)]


def _negated(text: str, entity: Entity) -> bool:
    return any(
        re.search(rf"\bnot (?:the |that |my )?(?:\w+ )?{re.escape(word)}\b", text, re.IGNORECASE)
        for word in tokens(entity.name)
    )


def _free_text(name: str, text: str) -> str:
    """What a free-text parameter is about: quoted words, else what follows a marker, else the whole request."""
    quoted = re.search(r"[\"“]([^\"”]{2,200})[\"”]|(?<!\w)'([^']{2,200})'(?!\w)", text)
    if quoted:
        return (quoted.group(1) or quoted.group(2)).strip()
    marked = re.search(r":\s+(.{3,300})$", text) or re.search(
        r"\b(?:because|that|saying|reads?|about|for)\s+(?!(?:in|on|down|to|for|me)\b)(.{3,300})$", text, re.IGNORECASE
    )
    found = marked.group(1) if marked else text
    return found.strip(" .!?\"'")[:300] or name


#: Free text that is somebody's name.
_PEOPLE = frozenset(stem(word) for word in ("name", "who", "whom", "person", "guest", "passenger", "player", "patient"))
_NAMED = re.compile(
    r"\b(?:[Nn]ame(?:'s| is|:| of)?|called|for|[Ii]t's|I'm|I am|under|down as|[Pp]ut|it is)\s+((?:[A-Z][\w'’-]+\s?)+)"
)


def _person(around: Surroundings) -> str:
    """The name given in the turn ("Put him on the list. Ruprecht Vane."), else the player's own name."""
    turn = around.turn
    marked = list(_NAMED.finditer(turn))
    alone = [m.group(0) for m in re.finditer(r"(?<=[.!?,:] )(?!I\b)(?:[A-Z][\w'’-]+ ?){1,4}(?=[.!?]|$)", turn)]
    found = [*(m.group(1) for m in marked), *alone]
    found = found or [
        m.group(0) for m in re.finditer(r"(?<=[a-z] )(?!I\b|I['’])[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*", turn)
    ]
    own = name_in(around.player_words) or name_in(turn) if re.search(r"\b(me|my|i'm|i am)\b", turn, re.I) else None
    return (found[-1].strip() if found else own or "").strip()


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
