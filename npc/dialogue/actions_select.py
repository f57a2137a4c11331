"""From the player's request to a decision: which action, with which arguments, or why not. No language model.

Each action is scored against each request: by what the taught encoder says of it (`composed.likeness`), by its verb
(same, synonym), by how its parameters fill and by shared words; trained weights (`npc.training.deeds`) make one
probability of that. Without an encoder a fixed sum of verb, parameters and words stands in. Then come the reasons
against it, in this order: it is not for the player to ask, a precondition fails, a fact forbids it, an argument is
impossible or missing.

A request for a deed that no action covers is refused as well: the character must not say "done" to what it cannot do.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from npc.dialogue.actions import ArgumentError, Decision, names_entity, takes_text, validate
from npc.dialogue.actions_bans import Bans
from npc.dialogue.actions_choice import Surroundings
from npc.dialogue.actions_forms import (
    AND_THE,
    ASKS,
    DANGEROUS,
    FORBIDS,
    FRAGMENT,
    OWN_ALONE,
    OWN_DEED,
    SETS_RIGHT,
    SETS_RIGHT_NOT,
    forms,
)
from npc.dialogue.actions_meaning import SAME_VERB, Meaning
from npc.dialogue.actions_numbers import left_of, numbers_of
from npc.dialogue.actions_permission import not_permitted
from npc.dialogue.actions_request import GENERIC, Request, groups_of, is_common, phrased, requests
from npc.dialogue.actions_slots import Filled, fill
from npc.dialogue.actions_words import covered, foreign, names_something_else, own_verbs, own_words, sentence, specific
from npc.dialogue.character import ActionSpec, Character, Entity
from npc.dialogue.composed.deeds import deed_text
from npc.dialogue.composed.likeness import Asked, Likeness
from npc.dialogue.conditions import Situation
from npc.dialogue.emotion_reading import Encoder
from npc.dialogue.interface import Action
from npc.dialogue.knowledge.words import content, tokens

#: Score from which an action is taken to be meant. A synonym verb and one filled parameter give 0.62; nearness of
#: meaning alone gives at most 0.35.
TAKEN = 0.5
#: Trained probability from which it is taken where the turn asks with the action's own verb. On 61 characters that
#: neither encoder nor weights saw, 0.90 of 453 requests are meant and right from here on and 0.991 of the other turns
#: left alone; from 0.5 on 0.87 and 0.995.
REQUESTED = 0.4
#: The same where the form of the turn is no request, or the verb is another: meaning alone speaks for it.
MEANT = 0.45
#: What it takes for "I'll fetch it myself" (6 of 55 such turns asked for a deed), and for "and the silver one?" behind
#: something told: of three such turns above MEANT none did.
ASKED_ON = 0.9
#: Score from which an action is offered where the character has nothing else to say. Cross-validated, 42 of 208 turns
#: between this and MEANT asked for the action.
OFFERED = 0.25
#: Fixed sum from which an order by the action's own verb is taken without more.
SURE = 0.75
#: What an author's own phrase for an action is worth where everything it needs is said: more than any other reading.
PHRASED = 0.95
#: Weights of verb, parameters, shared words, meaning.
_VERB, _SLOTS, _WORDS, _MEANING = 0.45, 0.25, 0.15, 0.35

_IMMOVABLE = re.compile(
    r"\b(?:fixture|person|animal|vehicle|building|door|sign|furniture|machine|robot|valve|hazard|plant|statue)\b", re.I
)
_HANDS_OVER = frozenset({"give"})


@dataclass(frozen=True, slots=True)
class _Scored:
    spec: ActionSpec
    request: Request
    filled: Filled
    score: float
    verb: float
    features: Mapping[str, float] = field(default_factory=dict)
    phrased: bool = False
    """An author's phrase for the action stands in the turn."""


#: What else the turn could mean: the best trained score of any fact, thing or saying for this reading of the turn.
Rival = Callable[[Asked], float]


@lru_cache(maxsize=1)
def _weights() -> Mapping[str, float]:
    """Trained by `npc.training.deeds`: feature -> weight of the log-odds that this action is meant."""
    found = json.loads((files("npc.dialogue") / "data" / "deeds.json").read_text("utf-8"))
    return {str(name): float(value) for name, value in found.items()}


class ActionSelector:
    """Chooses actions for one character. Immutable after construction; `new_id` names calls."""

    def __init__(
        self,
        character: Character,
        new_id: Callable[[], str],
        encoder: Encoder | None = None,
        likeness: Likeness | None = None,
        rival: Rival = lambda asked: 0.0,
    ) -> None:
        self._likeness, self._rival = likeness, rival
        self._deeds = [deed_text(spec) for spec in character.actions]
        if likeness is not None:
            likeness.learn(self._deeds)
        self._character = character
        self._new_id = new_id
        self._encoder = encoder
        self._verbs = {spec.name: own_verbs(spec) for spec in character.actions}
        self.own_verbs = frozenset(verb for verbs in self._verbs.values() for verb in verbs)
        self._words = {spec.name: own_words(spec) for spec in character.actions}
        self._meaning = Meaning(character.actions, encoder)
        self._bans = Bans(character, encoder, self._verbs)

    def with_further(self, actions: Sequence[ActionSpec]) -> ActionSelector:
        """One that chooses among these as well. Reads their texts: some milliseconds each."""
        able = self._character.model_copy(update={"actions": (*self._character.actions, *actions)})
        return ActionSelector(able, self._new_id, self._encoder, self._likeness, self._rival)

    def select(self, text: str, around: Surroundings, now: Situation) -> Decision:
        """Decide about a turn. Looks at the first 1,500 characters."""
        text = text[:1_500]
        around = replace(around, turn=text)
        if OWN_ALONE.match(text.replace("’", "'")):
            return Decision()
        asked = requests(text, self.own_verbs)
        harm = _harm(text, around)
        scored = [self._phrased(s, text) for s in self.scored(text, asked, around) if not harm or _harmful(s.spec)]
        best = max(scored, key=lambda s: s.score, default=None)
        if not asked and FORBIDS.search(text):
            return Decision()
        if best is not None and best.score >= self._bar(best, asked, around):
            return self._judge(best, around, now)
        plain = max(scored, key=lambda s: s.features.get("sum", s.score), default=None)
        # The verb itself, said as an order, with everything it needs: meant whatever the rest of the turn is like.
        clear = plain is not None and plain.features.get("sum", 0.0) >= SURE and plain.verb >= SAME_VERB
        if plain is not None and clear and plain.request.firm and not plain.filled.missing:
            return self._judge(plain, around, now)
        deed = next((request for request in asked if request.firm), None)
        wanted = deed or next((r for r in asked if DANGEROUS.search(r.text)), None)
        if wanted is None or not self._is_deed(wanted):
            return self._offer(best, around, now)
        fact = self._bans.against(wanted.text)
        perhaps = self._offer(best, around, now) if fact is None and not harm else Decision()
        if perhaps.kind == "offer":
            return perhaps
        return Decision("refuse", reason=fact.text if fact else "", fact_id=fact.id if fact else None)

    def _offer(self, best: _Scored | None, around: Surroundings, now: Situation) -> Decision:
        """What was perhaps meant, to be offered; none where it could not be done as it stands."""
        if best is None or best.score < OFFERED or best.filled.missing or best.features.get("wh", 1.0):
            return Decision()
        decision = self._judge(best, around, now)
        return replace(decision, kind="offer") if decision.kind in ("call", "confirm") else Decision()

    def completed(self, asked: Decision, text: str, around: Surroundings, now: Situation) -> Decision | None:
        """What was asked for ("Which lamp do you mean?") and is named now; None where the turn names nothing that
        fits, or asks back."""
        spec, name = asked.spec, asked.reason.replace(" ", "_")
        words = tokens(text)
        if spec is None or not words or len(words) > _ANSWER_WORDS or ASKS.match(text):
            return None
        around = self.sensing(text, around)
        asked_anew = requests(text, self.own_verbs)
        if any(
            r.firm and not self._verbs[spec.name] & set(r.verbs) and self.own_verbs & set(r.verbs) for r in asked_anew
        ):
            return None
        found = fill(_only(spec, name), text, around)
        if name not in found.arguments or not (found.said or _ANAPHORA_ANSWER.search(text)):
            return None
        before = dict(asked.action.arguments) if asked.action is not None else {}
        whole = Filled({**before, name: found.arguments[name]}, (), found.out_of_range, found.said, ())
        missing = tuple(n for n in spec.parameters.get("required", ()) if n not in whole.arguments)
        request = Request(("",), text, text, True)
        return self._judge(_Scored(spec, request, replace(whole, missing=missing), 1.0, 1.0), around, now)

    def redone(self, last: Action, text: str, around: Surroundings, now: Situation) -> Decision | None:
        """The last deed again with what the player sets right ("No, make that three"); None for other turns."""
        spec = next((spec for spec in self._character.actions if spec.name == last.name), None)
        if spec is None or len(tokens(text)) > _SET_RIGHT_WORDS or not SETS_RIGHT.search(text) or ASKS.match(text):
            return None
        around = self.sensing(text, around)
        changed: dict[str, Any] = {}
        for name, schema in spec.parameters.get("properties", {}).items():
            if takes_text(schema) or name not in last.arguments:
                continue
            found = fill(_only(spec, name), SETS_RIGHT_NOT.sub(" ", text), around)
            if found.said and found.arguments.get(name) not in (None, last.arguments[name]):
                changed[name] = found.arguments[name]
        if not changed:
            return None
        whole = Filled({**last.arguments, **changed}, (), {}, len(changed), ())
        request = Request(("",), text, text, True)
        return self._judge(_Scored(spec, request, whole, 1.0, 1.0), around, now)

    def call(self, spec: ActionSpec, filled: Filled, around: Surroundings, score: float = 1.0) -> Decision:
        """The call itself, validated. An argument that does not satisfy the schema is a refusal, never a call."""
        try:
            arguments = validate(spec, filled.arguments, frozenset(e.id for e in around.scene.entities))
        except ArgumentError as error:
            return Decision("refuse", spec=spec, reason=str(error), score=score)
        action = Action(self._new_id(), spec.name, arguments)
        return Decision("confirm" if spec.confirm else "call", action, spec, score=score)

    def scored(self, text: str, asked: Sequence[Request], around: Surroundings) -> list[_Scored]:
        """Every action with its probability of being meant, for the request that speaks for it most."""
        around = self.sensing(text, around)
        if self._likeness is None:
            return [self._score(spec, request, text, around) for request in asked for spec in self._character.actions]
        read = self._likeness.read(text, around.before)
        taught = self._likeness.compare(read, self._deeds)[:, 2] if self._deeds else np.zeros(0, np.float32)
        rival = self._rival(read)
        found = []
        readings = asked or (Request(("",), text, text, False),)
        bests = [
            max((self._score(spec, request, text, around) for request in readings), key=lambda s: s.score)
            for spec in self._character.actions
        ]
        for number, best in enumerate(bests):
            verbs = [other.verb for i, other in enumerate(bests) if i != number]
            others = [float(score) for i, score in enumerate(taught) if i != number]
            all_said = float(best.filled.said > 0 and not best.filled.missing)
            f = {
                "bias": 1.0,
                "taught": _squash(float(taught[number])),
                "over_rival": _squash(float(taught[number]) - rival),
                "over_others": _squash(float(taught[number]) - max(others, default=0.0)),
                "sum": best.score,
                "verb": best.verb,
                "verb_lead": best.verb - max(verbs, default=0.0),
                "asked": float(bool(asked)),
                "firm": float(any(request.firm for request in asked)),
                "missing": float(bool(best.filled.missing)),
                "said": float(best.filled.said > 0),
                "all_said": all_said,
                **(form := forms(text)),
                **{f"{name}_said": form[name] * all_said for name in _WITH_ARGUMENTS},
                "unused": float(bool(_not_used(best.filled, text))),
                "texty": float(any(takes_text(p) for p in best.spec.parameters.get("properties", {}).values())),
                "cover": covered(self._words[best.spec.name], best.filled, text, around),
                "foreign": float(foreign(best.spec, self._words[best.spec.name], best.request, around)),
                **_again(best, around.talk.done, text),
            }
            weights = _weights()
            odds = sum(weights.get(name, 0.0) * value for name, value in f.items())
            found.append(replace(best, score=1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, odds)))), features=f))
        return found

    def sensing(self, text: str, around: Surroundings) -> Surroundings:
        """The surroundings of a turn with both ways of telling what is near in meaning."""
        around = replace(around, turn=text, nearness=self._meaning.near if self._encoder is not None else None)
        if self._likeness is None:
            return around
        likeness, read = self._likeness, self._likeness.read(text, around.before)
        return replace(around, taught=lambda others: [float(n) for n in likeness.compare(read, others)[:, 1]])

    @staticmethod
    def _phrased(scored: _Scored, text: str) -> _Scored:
        """What the author wrote down as asking for an action asks for it, once what it needs is said; the longest
        phrase first."""
        length = max((phrased(phrase, text) for phrase in scored.spec.phrases), default=0)
        needs = bool(scored.spec.parameters.get("required"))
        if not length or scored.filled.missing or (needs and not scored.filled.said):
            return scored
        return replace(scored, score=max(scored.score, PHRASED + 0.001 * length), phrased=True)

    def _score(self, spec: ActionSpec, request: Request, text: str, around: Surroundings) -> _Scored:
        verbs = self._verbs[spec.name]
        wanted = frozenset(group for verb in request.verbs for group in groups_of(verb))
        own = frozenset(group for verb in verbs for group in groups_of(verb))
        verb = 1.0 if verbs & set(request.verbs) else 0.85 if wanted & own else 0.0
        if verb == 0.0:
            verb = self._meaning.verb(verbs, request.verbs)
        named = set(content(" ".join(spec.name.split("_")[1:]))) & set(content(request.text))
        vague = "" in request.verbs or bool(GENERIC & set(request.verbs)) or not is_common(request.verbs[0])
        if verb == 0.0 and vague:
            # "Leave a note", "the lights down, please", "get the medic": the object says which deed is meant.
            verb = 0.6 if named else 0.55
        filled = fill(spec, request.text, around)
        if filled.missing and request.text != text:
            wider = fill(spec, text, around)
            filled = wider if len(wider.missing) < len(filled.missing) else filled
        names = [n for n in spec.parameters.get("properties", {}) if n in spec.parameters.get("required", [])]
        slots = 0.6 if not names else (len(names) - len(filled.missing)) / len(names) * (1.0 if filled.said else 0.5)
        said = set(content(request.text))
        shared = len(said & self._words[spec.name]) / max(1, min(3, len(said)))
        meaning = max(0.0, (self._meaning.deed(spec.name, request.text) - 0.2) / 0.5)
        score = _VERB * verb + _SLOTS * slots + _WORDS * min(1.0, shared) + _MEANING * min(1.0, meaning)
        if verb == 0.55 and not filled.said:
            score = min(score, TAKEN - 0.01)
        if specific(spec) and not named and not filled.said and not filled.arguments:
            # "Give me the cash box" is not what give_map is for.
            score -= 0.25
        if verb == 0.0:
            # A different verb means a different deed, unless the meaning is very near.
            score = min(score, TAKEN - 0.01) if meaning < 0.75 or filled.missing else score
        if filled.missing:
            score -= 0.15
        if _not_used(filled, request.text):
            score -= 0.05
        return _Scored(spec, request, filled, score, verb)

    def _bar(self, best: _Scored, asked: Sequence[Request], around: Surroundings) -> float:
        """From which score the best action is taken."""
        if self._likeness is not None and around.before[1] and AND_THE.match(around.turn):
            return ASKED_ON
        if self._likeness is not None and not asked and around.before[1] and FRAGMENT.match(around.turn):
            return ASKED_ON
        if not asked and OWN_DEED.match(around.turn.strip()):
            return ASKED_ON
        if self._likeness is None:
            return TAKEN - 0.1 if best.verb >= 0.8 and not best.filled.missing else TAKEN
        return REQUESTED if best.phrased or (asked and best.verb >= SAME_VERB) else MEANT

    def _judge(self, best: _Scored, around: Surroundings, now: Situation) -> Decision:
        spec, filled = best.spec, best.filled
        refused = not_permitted(spec, now)
        if refused is not None:
            return refused
        if filled.out_of_range:
            name, complaint = next(iter(filled.out_of_range.items()))
            return Decision("refuse", spec=spec, reason=f"{name}: {complaint}", score=best.score)
        fact = self._bans.against(best.request.text, spec, filled, around.scene, around.turn)
        if fact is not None:
            return Decision("refuse", spec=spec, reason=fact.text, fact_id=fact.id, score=best.score)
        if filled.missing and names_something_else(
            spec, self._words[spec.name], filled.missing[0], best.request, around
        ):
            return Decision("refuse", spec=spec, score=best.score)
        if filled.missing:
            # What was said already is kept for the turn that names the rest.
            partly = Action("", spec.name, dict(filled.arguments))
            return Decision("ask", partly, spec, filled.missing[0].replace("_", " "), score=best.score)
        entity = self._entity_of(spec, filled, around)
        if entity is not None and _HANDS_OVER & {g for v in self._verbs[spec.name] for g in groups_of(v)}:
            if re.search(r"\bout of (?:your |her |his |my )?reach\b", entity.description):
                return Decision("refuse", spec=spec, reason=f"the {entity.name} is out of reach", score=best.score)
            if _IMMOVABLE.search(entity.kind):
                return Decision(
                    "refuse", spec=spec, reason=f"the {entity.name} cannot be handed over", score=best.score
                )
        return self.call(spec, filled, around, best.score)

    def _is_deed(self, request: Request) -> bool:
        verb = request.verbs[0]
        return bool(verb) and (bool(DANGEROUS.search(request.text)) or len(content(request.text)) >= 1)

    @staticmethod
    def _entity_of(spec: ActionSpec, filled: Filled, around: Surroundings) -> Entity | None:
        for name, schema in spec.parameters.get("properties", {}).items():
            if names_entity(schema) and name in filled.arguments:
                return around.scene.everything.get(filled.arguments[name])
        return None


def _harm(text: str, around: Surroundings) -> bool:
    """Whether the turn speaks of harm: "set fire to the stall" is no lighting. What is in view is only named ("that
    pistol on the hook")."""
    there = {word for entity in around.scene.entities for word in tokens(entity.name)}
    return any(match.group().lower() not in there for match in DANGEROUS.finditer(text))


def _harmful(spec: ActionSpec) -> bool:
    """Whether an action itself does what else would be harm."""
    return DANGEROUS.search(sentence(spec).replace("_", " ")) is not None


#: Forms of a turn that ask for a deed where everything it needs is named, and mostly not where it is not.
_WITH_ARGUMENTS = ("order", "is_there", "welcome", "wish", "question")
#: Words of an answer to "Which one do you mean?" at most.
_ANSWER_WORDS = 12
#: Words of a turn that sets a deed right at most.
_SET_RIGHT_WORDS = 24
_ANAPHORA_ANSWER = re.compile(r"\b(?:that|this|it|them|those|these|same|any|either|both|whichever)\b", re.I)


def _only(spec: ActionSpec, name: str) -> ActionSpec:
    """The action with one parameter alone, for reading an answer to a question for it."""
    properties = spec.parameters.get("properties", {})
    return spec.model_copy(
        update={"parameters": {**spec.parameters, "properties": {name: properties[name]}, "required": [name]}}
    )


def _again(best: _Scored, done: Sequence[Action | None], text: str) -> dict[str, float]:
    """How lately the action was done, alone and where the turn is short or names an argument of it: "two of those",
    "and one for her"."""
    ages = [age for age, action in enumerate(done) if action is not None and action.name == best.spec.name]
    lately = 1.0 / (1.0 + ages[0]) if ages else 0.0
    short = len(tokens(text)) <= _SHORT
    return {
        "again": lately,
        "again_short": lately * short,
        "again_said": lately * float(best.filled.said > 0 and not best.filled.missing),
    }


def _not_used(filled: Filled, text: str) -> list[float]:
    """Numbers of the turn that no argument took: "Two storm lamps" asks for none to be lit."""
    values = [float(v) for v in filled.arguments.values() if isinstance(v, int | float) and not isinstance(v, bool)]
    return left_of(numbers_of(text), values)


#: Words of a turn that may lean on the one before: "then do the other one for me as well, please".
_SHORT = 9


def _squash(score: float) -> float:
    """Trained scores lie within some ten; what is far off counts no more than that."""
    return math.tanh(score / 6.0)
