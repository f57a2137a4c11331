"""Deciding about one turn before a word is chosen: safety, reading, action, feeling. Pure but for the call ids it
draws.

    turn ─clean─> judge ──unsafe──────────────────────────┐
                    └─ok─> read ─> select action ─> feel ─┴─> Draft (Context for a Responder, or a fixed line)

A draft changes nothing: `CharacterMind.commit` takes its emotion over once the reply was heard. So a draft made while
the player still speaks, and thrown away, leaves no trace.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from npc.dialogue.actions import Decision
from npc.dialogue.actions_choice import Surroundings, Talk
from npc.dialogue.actions_select import ActionSelector
from npc.dialogue.character import ActionSpec, Character
from npc.dialogue.clauses import split_sentences
from npc.dialogue.composed.grounding import is_empty_assent, move_of, offered
from npc.dialogue.composed.likeness import Likeness, context_before
from npc.dialogue.composed.question import understand, without_guess
from npc.dialogue.composed.sayings import sayings
from npc.dialogue.conditions import Situation
from npc.dialogue.context import Act, Context, Exchange
from npc.dialogue.emotion import EmotionState
from npc.dialogue.emotion_appraisal import Happening, appraise
from npc.dialogue.emotion_reading import DeliveryHabit, PlayerReader, Reading, struck_by
from npc.dialogue.interface import Action, PlayerTurn
from npc.dialogue.knowledge.parts import parts
from npc.dialogue.knowledge.words import STOPWORDS, content, tokens
from npc.dialogue.memory.amend import amendment, settled
from npc.dialogue.safety import Moderator, Verdict, clean
from npc.dialogue.scene import SceneState
from npc.inference.encoder import SentenceEncoder

_YES = re.compile(
    r"^\W*(?:yes|yeah|yep|yup|sure|please do|do it|go ahead|ok(?:ay)?|of course|aye|certainly|right)\b", re.I
)
_NO = re.compile(r"^\W*(?:no|nope|nah|don't|do not|stop|wait|never mind|leave it|better not)\b", re.I)

_TALK = frozenset({"insult", "praise", "thanks", "sympathy", "apology", "good_news", "bad_news", "distress"})

#: A remark that asks for nothing, where it plainly strikes.
_REMARK = re.compile(
    r"(?:(?:oh|ah|well|wow|and|but|so),? )*"
    r"(?:i (?:\w+ )?(?:think|love|like|adore|admire|hate|find)(?! to\b)|i(?:'ve| have) never|you(?:'re| are|r)?"
    r"|what an?|how|that(?:'s| is)?|these|those|this) (?!.*\bplease\b)[^?,;:]*$",
    re.I,
)
#: Parts of facts that an argument may be read out of: "the red gate leads to the mill" alone names one gate.
_KNOWN = 120

#: How a verdict strikes the character: (reaction, strength).
_STRIKES: Mapping[str, tuple[str, float]] = {
    "injection": ("manipulation", 0.6),
    "self_harm": ("distress", 1.0),
    "abuse": ("distress", 1.0),
    "sexual": ("danger", 0.6),
    "minors": ("danger", 1.0),
    "violence": ("danger", 0.9),
    "illegal": ("danger", 0.8),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """What the mind is in when a turn comes: everything a draft depends on beside the turn."""

    scene: SceneState
    emotion: EmotionState
    situation: Situation
    history: tuple[Exchange, ...] = ()
    habit: DeliveryHabit = DeliveryHabit()
    pending: Decision = Decision()
    """An action that waits for the player's yes, or for an argument that was asked for."""
    lately: tuple[Action | None, ...] = ()
    """What was done in each of the last replies, oldest first."""
    event: str = ""
    """What just happened and wants a remark, for a turn without words."""
    standing: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Draft:
    """Decisions about a turn. `fixed` is said word for word; where it is empty a Responder answers `context`."""

    context: Context
    emotion: EmotionState
    reading: Reading
    verdict: Verdict
    decision: Decision
    fixed: str = ""
    action: Action | None = None
    urgent: bool = False
    lines: tuple[str, ...] = ()
    """Authored lines of the story, said word for word after the reply."""

    def notes(self) -> dict[str, Any]:
        """For the inspector."""
        decision = self.decision
        return {
            "reading": {"reaction": self.reading.reaction, **self.reading.witnesses},
            "safety": {"kind": self.verdict.kind, "rule": self.verdict.rule},
            "decision": {
                "kind": decision.kind,
                "action": decision.spec.name if decision.spec else None,
                "reason": decision.reason,
                "score": round(decision.score, 3),
            },
        }


class Drafter:
    """Makes drafts for one character."""

    def __init__(
        self,
        character: Character,
        reader: PlayerReader,
        moderator: Moderator,
        selector: ActionSelector,
        encoder: SentenceEncoder | None = None,
        likeness: Likeness | None = None,
    ) -> None:
        self._encoder, self._likeness = encoder, likeness
        self._character = character
        self._reader = reader
        self._moderator = moderator
        self._selector = self._own_selector = selector
        self._further: tuple[ActionSpec, ...] = ()
        self._selector_for: tuple[ActionSpec, ...] = self._further
        self._choosing = threading.Lock()
        known = [part for fact in character.facts if not fact.is_secret for part in parts(fact.text)]
        about = [*known, *split_sentences(character.biography[:20_000])]
        self._open_facts = tuple((set(content(text)), text) for text in about)
        self._known = tuple(known[:_KNOWN])

    def equip(self, actions: tuple[ActionSpec, ...]) -> None:
        """Further actions in place of those given before. Their texts are read with the next draft."""
        self._further = actions

    def _selecting(self) -> ActionSelector:
        """On a worker thread, of which a draft and thinking ahead have one each."""
        with self._choosing:
            if self._selector_for is not self._further:
                own, self._selector_for = self._own_selector, self._further
                self._selector = own.with_further(self._further) if self._further else own
            return self._selector

    def draft(self, turn: PlayerTurn, moment: Moment) -> Draft:
        """Decide about a turn (10-40 ms with the sentence encoder: call it on a worker thread)."""
        self._read_ahead(turn.text, moment.history)
        verdict = self._moderator.judge(turn.text)
        text = clean(turn.text)
        turn = replace(turn, text=text)
        reading = self._reader.read(text, moment.habit, turn.delivery)
        decision = Decision()
        if verdict.kind == "ok" and text:
            decision = self._decide(text, moment)
            if decision.kind == "refuse" and decision.spec is None and decision.fact_id is None and _is_talk(reading):
                # "Burn it and sell phone covers, grandad": nothing is wanted that could be refused.
                decision = Decision()
            if decision.kind == "call" and _is_talk(reading) and _REMARK.match(text) is not None:
                # "I think your lamps are beautiful." asks for none to be lit.
                decision = Decision()
        strikes = self._strikes(verdict, reading, decision, text)
        dominance = moment.emotion.affect().dominance
        impulses = [
            impulse
            for happening in strikes
            for impulse in appraise(happening, self._character, dominance, moment.situation.relationship)
        ]
        emotion = moment.emotion.feel(impulses, moment.now)
        context = Context(
            turn=turn,
            act=_act(verdict, decision),
            reaction=strikes[0].reaction if strikes else "none",
            action=decision.action if decision.kind == "call" else None,
            refusal=decision.reason if decision.kind == "refuse" else "",
            refusal_fact=decision.fact_id,
            offer=_shall_i(decision, moment.scene) if decision.kind == "offer" else "",
            scripted=verdict.line,
            scene=moment.scene,
            history=moment.history,
            affect=emotion.affect(),
            standing=moment.standing,
            variables=moment.variables,
            actions=self._further,
            seed=moment.seed,
            event=moment.event if not text else "",
        )
        return Draft(
            context,
            emotion,
            reading,
            verdict,
            decision,
            fixed=self._fixed(verdict, decision, moment),
            action=context.action,
            urgent=reading.reaction == "alarm",
        )

    def _read_ahead(self, text: str, history: Sequence[Exchange]) -> None:
        """Encode in one pass what safety, reading, action, answer and memory will each look at, and in another what the
        taught encoder will: a pass mostly waits for the weights, so six texts together cost little more than one."""
        text = clean(text)[:1_500]
        if self._encoder is not None and text:
            asking = understand(text).asking
            words = [word for word in dict.fromkeys(tokens(text)) if word not in STOPWORDS and word.isalpha()]
            looked_at = [text, asking, without_guess(asking), *split_sentences(text)[:6], *struck_by(text)]
            self._encoder.encode([*looked_at, *sayings([text]), *words])
        if self._likeness is not None and text:
            self._likeness.read(text, context_before(history), also=sayings([e.player for e in history[-1:]]))

    def _decide(self, text: str, moment: Moment) -> Decision:
        pending = moment.pending
        if pending.kind == "confirm" and pending.action is not None:
            if _YES.match(text):
                return replace(pending, kind="call")
            if _NO.match(text):
                return Decision()
        last = moment.history[-1].reply if moment.history else ""
        if move_of(text) is not None or is_empty_assent(text, last):
            return Decision()
        players = [exchange.player for exchange in moment.history]
        said = "\n".join(exchange.player for exchange in moment.history[-6:])
        before = context_before(moment.history)
        recent = [part for e in reversed(moment.history[-4:]) for part in (e.read, e.player)]
        talk = Talk(recent, moment.lately[::-1], self._known)
        around = Surroundings(
            moment.scene, last, self._near(f"{text} {last}"), before=before, player_words=said, talk=talk
        )
        selector = self._selecting()
        done = pending.action if pending.kind == "confirm" else moment.lately[-1] if moment.lately else None
        if done is not None and (found := selector.redone(done, text, around, moment.situation)):
            return found
        if amendment(text, settled(players), players[-1] if players else "") is not None:
            return Decision()
        if pending.kind == "ask" and (found := selector.completed(pending, text, around, moment.situation)):
            return found
        return selector.select(text, around, moment.situation)

    def _near(self, text: str) -> tuple[str, ...]:
        """Open facts that share most words with the request: where slots may be filled from."""
        words = set(content(text))
        scored = [(len(words & about), fact) for about, fact in self._open_facts]
        ranked = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])
        return tuple(fact for _, fact in ranked[:4])

    def _strikes(self, verdict: Verdict, reading: Reading, decision: Decision, text: str) -> tuple[Happening, ...]:
        if verdict.kind in _STRIKES:
            reaction, strength = _STRIKES[verdict.kind]
            return (Happening(reaction, strength, text),)
        found = []
        if reading.reaction != "none" and not (decision.kind == "refuse" and reading.strength < 0.6):
            found.append(Happening(reading.reaction, reading.strength, text))
        if decision.kind == "refuse":
            found.append(Happening("danger", 0.8 if decision.fact_id or not decision.spec else 0.4, text))
        return tuple(found)

    def _fixed(self, verdict: Verdict, decision: Decision, moment: Moment) -> str:
        if verdict.line:
            return verdict.line
        choose = random.Random(moment.seed).choice
        guard = self._character.guardrails
        if verdict.kind == "avoid":
            return choose(guard.decline or ("I'd rather not talk about that.",))
        if decision.kind == "refuse" and decision.spec is not None and decision.spec.refuse and not decision.fact_id:
            return decision.spec.refuse
        if decision.kind == "ask" and decision.spec is not None:
            return _question(decision.spec, decision.reason)
        if decision.kind == "confirm":
            return _shall_i(decision, moment.scene)
        if decision.kind == "call" and decision.spec is not None and decision.spec.say and decision.action is not None:
            return _filled(choose(decision.spec.say), decision.action, moment.scene)
        return ""


def _is_talk(reading: Reading) -> bool:
    """Whether the words plainly strike, as praise, an insult or news do, and need not be a request."""
    return reading.strength >= 0.6 and reading.reaction in _TALK


def _act(verdict: Verdict, decision: Decision) -> Act:
    if verdict.kind == "injection":
        return "injection"
    if verdict.kind not in ("ok", "avoid"):
        return "unsafe"
    return {"call": "action", "refuse": "action_refused"}.get(decision.kind, "open")  # type: ignore[return-value]


def spoken_value(value: object, scene: SceneState) -> str:
    """An argument as it is said: the name of an entity, an enum without underscores."""
    entity = scene.everything.get(value) if isinstance(value, str) else None
    return entity.name if entity is not None else str(value).replace("_", " ")


#: Parameters that are somebody.
_WHOM = frozenset({"who", "whom", "person", "whose"})


def _question(spec: ActionSpec, parameter: str) -> str:
    """What to ask when a parameter is missing."""
    schema = spec.parameters.get("properties", {}).get(parameter.replace(" ", "_"), {})
    if "enum" in schema and len(schema["enum"]) <= 4:
        choices = [str(choice).replace("_", " ") for choice in schema["enum"]]
        which = "Who is it" if parameter in _WHOM else f"Which {parameter}"
        return f"{which}: {', '.join(choices[:-1])} or {choices[-1]}?" if len(choices) > 1 else choices[0]
    if schema.get("type") in ("integer", "number"):
        if parameter in ("number", "count", "quantity", "amount"):
            return "How many?"
        return (
            f"How many {parameter}?"
            if parameter.endswith("s") or parameter == "people"
            else f"What {parameter} shall it be?"
        )
    if parameter in _WHOM:
        return "Whom do you mean?"
    return f"Which {parameter} do you mean?"


def _filled(line: str, action: Action, scene: SceneState) -> str:
    for name, value in action.arguments.items():
        line = line.replace(f"{{{name}}}", spoken_value(value, scene))
    line = re.sub(r"\s*\{\w+\}", "", line)
    return line[:1].upper() + line[1:]


def _shall_i(decision: Decision, scene: SceneState) -> str:
    if decision.spec is None or decision.action is None:
        return ""
    return f"Shall I {_spell(decision.spec, decision.action, scene)}?"


def _spell(spec: ActionSpec, action: Action, scene: SceneState) -> str:
    values = ", ".join(spoken_value(value, scene) for value in action.arguments.values())
    return f"{offered(spec)}{f' ({values})' if values else ''}"
