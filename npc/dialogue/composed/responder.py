"""The composed Responder: understand the turn, pick what to say, say it in the character's own person.

    turn ─┬─ injection / unsafe / action ────────────────────────────> a line of its kind
          ├─ asks about the player ──── memory ──────────────────────> "You told me …"
          ├─ asks ─── gate ── candidates ── choose ─┬─ a statement ──> said in person, cited
          │                                         ├─ a locked one ─> declines
          │                                         └─ nothing ──────> admits not knowing
          └─ says ──────────────────────────────────────────────────> answers the feeling, or takes note

Everything is decided by rules and trained weights; the same context and seed give the same words.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from npc.dialogue.character import Character
from npc.dialogue.composed import phrases
from npc.dialogue.composed.features import Candidate, Leaning, Scored
from npc.dialogue.composed.persona import asked_of_self, introduce
from npc.dialogue.composed.polarity import verdict
from npc.dialogue.composed.question import Question, is_asking, understand
from npc.dialogue.composed.recollect import asks_of_player, recollect
from npc.dialogue.composed.select import Choice, choose, compare, is_comparison, same_fact
from npc.dialogue.composed.speech import decapitalised, in_first_person, shortened
from npc.dialogue.composed.wanted import fits
from npc.dialogue.context import Context
from npc.dialogue.interface import Citation, Clause
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.knowledge.words import content, tokens
from npc.dialogue.memory.extract import clauses as clauses_said
from npc.dialogue.memory.extract import extract
from npc.dialogue.memory.records import Memory
from npc.dialogue.memory.store import PlayerMemory

#: Words of a biography sentence that are said at most; facts are said whole up to `_FACT_WORDS`.
_BIOGRAPHY_WORDS, _FACT_WORDS = 22, 26
#: Log-odds by which a candidate must beat "nothing" when the turn asks, and when it only says something.
_ASKED, _SAID = 0.0, 1.0


class Realiser(Protocol):
    """A trained model that may put a chosen reply into other words; None where it would rather not."""

    def realise(self, context: Context, reply: Reply) -> Reply | None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """The words, the facts cited by word span, and the route that led there (for the bench and the inspector)."""

    text: str
    route: str
    citations: tuple[Citation, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict)
    """What was filled into a stock line (thing, value, text, why), for a realiser that words it anew."""


class ComposedResponder:
    """Answers for one character and one player. Holds no state of the talk: that is in the context and the memory."""

    name = "composed"

    def __init__(
        self,
        character: Character,
        knowledge: Knowledge,
        memory: PlayerMemory | None = None,
        *,
        realiser: Realiser | None = None,
    ) -> None:
        self._character, self._knowledge, self._memory = character, knowledge, memory
        self._realiser = realiser
        self._style = phrases.style_of(character)
        self.route = ""

    async def respond(self, context: Context) -> AsyncIterator[Clause]:
        """The reply as clauses, one a sentence. Composing runs on a worker thread."""
        reply = await asyncio.to_thread(self.compose, context)
        self.route = reply.route
        for clause in clauses(reply, context):
            yield clause

    def compose(self, context: Context) -> Reply:
        """The whole reply at once. Pure but for reading memory and caches."""
        reply = _Turn(self, context).reply()
        better = self._realiser.realise(context, reply) if self._realiser is not None else None
        return better or reply


class _Turn:
    """One turn being answered."""

    def __init__(self, owner: ComposedResponder, context: Context) -> None:
        self._character, self._knowledge = owner._character, owner._knowledge
        self._style, self._memory = owner._style, owner._memory
        self._context = context
        self._chance = random.Random(f"{context.seed}/{len(context.history)}/{context.turn.text}")
        self._said = [exchange.reply for exchange in context.history[-12:]]
        self._question: Question = understand(context.turn.text)

    def reply(self) -> Reply:
        context = self._context
        if context.scripted:
            return Reply(context.scripted, "scripted")
        if context.act == "unsafe":
            return self._line(self._character.guardrails.decline or phrases.LOCKED, "safety")
        if context.act == "injection":
            return self._line(phrases.INJECTION, "injection")
        if context.act == "action":
            return self._action()
        if context.act == "action_refused":
            return self._refusal()
        first = self._first_questions()
        if first is not None:
            return first
        remembered = self._from_memory()
        if remembered is not None:
            return remembered
        if not self._question.asking and self._question.corrected is None:
            return self._spoken_to()
        return self._answer(_ASKED) or self._unknown()

    def _line(self, lines: Sequence[str], route: str, **values: str) -> Reply:
        line = phrases.pick(lines, self._chance, self._said, self._style)
        for name, value in values.items():
            line = line.replace("{" + name + "}", value).replace(
                "{" + name.capitalize() + "}", value[:1].upper() + value[1:]
            )
        return Reply(line, route, slots=values)

    def _unknown(self) -> Reply:
        return self._line(self._character.unknown or phrases.UNKNOWN, "unknown")

    # --- deeds -------------------------------------------------------------------------------------------------

    def _action(self) -> Reply:
        action = self._context.action
        if action is None:
            return self._line(phrases.ACTION, "action")
        scene = self._context.scene
        entities = {entity.id: entity.name for entity in scene.entities} if scene else {}
        spec = next((spec for spec in self._character.actions if spec.name == action.name), None)
        spoken = {
            name: entities.get(str(value), str(value).replace("_", " ")) for name, value in action.arguments.items()
        }
        if spec is not None and spec.say:
            line = phrases.pick(spec.say, self._chance, self._said, self._style)
            return Reply(re.sub(r"\{(\w+)\}", lambda m: spoken.get(m.group(1), ""), line), "action")
        thing = next((entities[str(value)] for value in action.arguments.values() if str(value) in entities), "")
        if thing and re.search(r"hand|give|pass|lend", action.name):
            return self._line(phrases.HANDING, "action", thing=thing)
        if thing and re.search(r"point|show|look", action.name):
            return self._line(phrases.POINTING, "action", thing=thing)
        return self._line(phrases.ACTION, "action")

    def _refusal(self) -> Reply:
        context = self._context
        fact = self._knowledge.fact(context.refusal_fact) if context.refusal_fact else None
        if fact is not None and not fact.guarded:
            said = in_first_person(fact.text, self._knowledge.speaker)
            reply = self._line(phrases.REFUSED_WHY, "refused", why=said)
            return _cite(reply, said, fact.id, fact.source)
        if context.refusal:
            return Reply(context.refusal, "refused")
        return self._line(phrases.REFUSED, "refused")

    def _first_questions(self) -> Reply | None:
        """Who are you, what do you do, where are we, how are you; and the card's own small talk."""
        text = self._context.turn.text
        for talk in self._character.small_talk:
            if any(_same_words(text, when) for when in talk.when):
                return self._line(talk.say, "small_talk")
        kind = asked_of_self(self._question.asking or text)
        if kind is None:
            return None
        prices = []
        if kind == "wares":
            index = self._knowledge.index(self._context.scene)
            speaker = self._knowledge.speaker
            prices = [
                in_first_person(c.text, speaker)
                for c in index.candidates
                if c.origin == "fact" and not self._guarded(c) and fits("price", c.text, "", index.meaning.likeness) > 0
            ]
        words = introduce(kind, self._character, self._knowledge.speaker, self._context, prices, self._chance)
        return Reply(words, "self") if words else None

    def _guarded(self, candidate: Candidate) -> bool:
        fact = self._knowledge.fact(candidate.fact_id or "")
        return fact is None or fact.guarded

    # --- memory ------------------------------------------------------------------------------------------------

    def _memories(self) -> list[Memory]:
        """What was noted of the player, and every other thing they said in this talk without asking."""
        noted = self._memory.all() if self._memory is not None else []
        known = {memory.text for memory in noted}
        said = [
            Memory(f"said/{number}/{i}", "fact", text, float(number), salience=0.3)
            for number, exchange in enumerate(self._context.history)
            for i, text in enumerate(clauses_said(exchange.player))
            if text not in known and len(text.split()) >= 3 and not is_asking(text)
        ]
        return [*said, *noted]

    def _from_memory(self) -> Reply | None:
        index = self._knowledge.index(self._context.scene)
        own = self._own_words()
        found = recollect(self._question, [*self._memories(), *own], index.meaning, self._knowledge.encoder)
        if found is None:
            return None
        if found.words:
            if found.is_name:
                return self._line(phrases.NAME, "memory", value=found.words)
            return self._line(phrases.TOLD, "memory", text=decapitalised(found.words))
        if asks_of_player(self._question):
            answer = self._answer(2.0)
            return answer or self._line(phrases.FORGOTTEN, "forgotten")
        return None

    def _own_words(self) -> list[Memory]:
        """What the player said in this very turn ("I'm Dario. So what do you call me?")."""
        return [
            Memory(f"now/{i}", note.kind, note.text, 0.0, note.subject, note.value)
            for i, note in enumerate(extract(self._context.turn.text))
        ]

    # --- knowledge ---------------------------------------------------------------------------------------------

    def _choose(self, leaning: Leaning | None, allowed: frozenset[str]) -> Choice:
        scene = self._context.scene
        place = f"{scene.location if scene else ''} {self._character.role} {self._character.world}"
        query = self._question.asking or self._question.text
        if leaning is not None and self._question.elliptical:
            query = f"{leaning.asking} {query}"
        index = self._knowledge.index_for(query, scene, allowed)
        return choose(index, self._question, place=place, now=scene.time if scene else "", leaning=leaning)

    def _answer(self, threshold: float) -> Reply | None:
        """The best known answer, a deflection when it is a locked one, or None."""
        context = self._context
        said = [*(exchange.player for exchange in context.history), context.turn.text]
        allowed = self._knowledge.open(said, context.standing, context.scene)
        before = self._knowledge.open(said[:-1], context.standing, context.scene)
        leaning = self._leaning()
        everything = self._choose(leaning, allowed)
        open_ones = tuple(s for s in everything.ranked if self._is_open(s.candidate.fact_id, allowed))
        locked = next((s for s in everything.ranked if s not in open_ones), None)
        choice = _favour(replace(everything, ranked=open_ones), allowed - before)
        best = compare(choice) or choice.best
        if locked is not None and locked.score > max(choice.nothing, best.score if best else choice.nothing):
            fact = self._knowledge.fact(locked.candidate.fact_id or "")
            return Reply(fact.deflect, "locked") if fact and fact.deflect else self._line(phrases.LOCKED, "locked")
        if best is None or best.score - choice.nothing < threshold:
            return None
        return self._tell(choice, best)

    def _is_open(self, fact_id: str | None, allowed: frozenset[str]) -> bool:
        if fact_id is None or fact_id in allowed:
            return True
        # Documents' facts are gated inside their search: what arrives here unguarded is open.
        return fact_id not in self._knowledge.by_id

    def _leaning(self) -> Leaning | None:
        """What the last answered turn asked and was told."""
        for exchange in reversed(self._context.history[-3:]):
            before = understand(exchange.player)
            if not (before.asking or before.corrected or exchange.fact_ids):
                continue
            index = self._knowledge.index(self._context.scene)
            told = [c for c in index.candidates if c.fact_id in exchange.fact_ids]
            said = _said_part(told, exchange.reply)
            return Leaning(
                before.asking or before.text, said.text if said else exchange.reply, (said.key,) if said else ()
            )
        return None

    def _tell(self, choice: Choice, best: Scored) -> Reply:
        candidate = best.candidate
        if candidate.origin == "scene":
            return self._scene(candidate)
        speaker = self._knowledge.speaker
        if candidate.origin == "self":
            said = shortened(in_first_person(candidate.text, speaker, about_self=True), _BIOGRAPHY_WORDS)
            return Reply(said, "self")
        parts = list(same_fact(choice, best))
        text = candidate.text
        if candidate.of > 1 and len(parts) == candidate.of and self._wants_all(parts, best):
            fact = self._knowledge.fact(candidate.fact_id or "")
            whole = fact.text if fact else text
            text = whole if len(whole.split()) <= _FACT_WORDS else text
        said = shortened(in_first_person(text, speaker), _FACT_WORDS)
        opening = verdict(self._question, choice.asking, text)
        if not opening and self._question.corrected is not None:
            opening = phrases.pick(phrases.CORRECTED, self._chance, self._said, self._style)
        reply = Reply(f"{opening} {said}".strip(), "fact")
        return _cite(reply, said, candidate.fact_id or "", candidate.source)

    def _wants_all(self, parts: Sequence[Scored], best: Scored) -> bool:
        """Whether the question is about the whole fact: it weighs the parts, or both fit equally well."""
        if is_comparison(self._question.asking):
            return True
        if self._question.elliptical or self._question.corrected:
            return False
        spread = max(p.score for p in parts) - min(p.score for p in parts)
        return spread < 0.6 and best.features.get("soft", 0.0) > 0

    def _scene(self, candidate: Candidate) -> Reply:
        name, _, description = candidate.text.rstrip(".").partition(": ")
        thing = name if not name.startswith("The ") else "the " + name[4:]
        if not description:
            return self._line(phrases.SCENE, "scene", thing=thing)
        return self._line(phrases.SCENE, "scene", thing=f"{thing}, {description}")

    # --- talk --------------------------------------------------------------------------------------------------

    def _spoken_to(self) -> Reply:
        """The player says something without asking."""
        context, text = self._context, self._context.turn.text.lower()
        by_reaction = {
            "insult": phrases.INSULT, "praise": phrases.PRAISE, "thanks": phrases.THANKS, "threat": phrases.THREAT,
            "apology": phrases.APOLOGY, "sympathy": phrases.SYMPATHY, "bad_news": phrases.BAD_NEWS,
            "good_news": phrases.GOOD_NEWS,
        }  # fmt: skip
        if context.reaction in by_reaction:
            return self._line(by_reaction[context.reaction], context.reaction)
        if re.search(r"\b(thank you|thanks|cheers|much obliged)\b", text):
            return self._line(phrases.THANKS, "thanks")
        if re.search(r"\b(goodbye|bye|farewell|see you|good night|i must go|i'm off now)\b", text):
            return self._line(self._character.farewell or phrases.GOODBYE, "goodbye")
        told = self._answer(_SAID)
        if told is not None:
            return told
        if re.match(r"^\W*(hello|hi|hey|good (morning|day|evening|afternoon)|morning|evening|greetings)\b", text):
            return self._line(phrases.HELLO, "hello")
        return self._line(phrases.HEARD, "heard")


#: Log-odds for a secret whose condition this very turn fulfilled: it is what the player is after.
_JUST_UNLOCKED = 9.0


def _favour(choice: Choice, unlocked: frozenset[str]) -> Choice:
    """Raise what has just been unlocked."""
    if not unlocked:
        return choice
    raised = [replace(s, score=s.score + _JUST_UNLOCKED * (s.candidate.fact_id in unlocked)) for s in choice.ranked]
    return replace(choice, ranked=tuple(sorted(raised, key=lambda s: -s.score)))


def _same_words(said: str, when: str) -> bool:
    """Whether an authored trigger is what was said, up to punctuation and a few words around it."""
    wanted, given = content(when) or tokens(when), content(said) or tokens(said)
    return bool(wanted) and set(wanted) <= set(given) and len(given) <= len(wanted) + 2


def _said_part(told: Sequence[Candidate], reply: str) -> Candidate | None:
    """Which part of the cited fact was really said."""
    words = set(re.findall(r"\w+", reply.lower()))
    return max(
        told, key=lambda c: len(words & set(re.findall(r"\w+", c.text.lower()))) / len(c.text.split()), default=None
    )


def _cite(reply: Reply, said: str, fact_id: str, source: str) -> Reply:
    start = len(reply.text[: reply.text.find(said)].split()) if said in reply.text else 0
    span = Citation(fact_id, source, start, start + len(said.split()))
    return replace(reply, citations=(span,))


def clauses(reply: Reply, context: Context) -> list[Clause]:
    """Sentences of a reply as clauses, citations shifted to their clause, the action placed before its first word."""
    pieces = [piece for piece in re.split(r"(?<=[.!?])\s+(?=[A-Z\"'])", reply.text) if piece.strip()] or [reply.text]
    found, at = [], 0
    for number, piece in enumerate(pieces):
        size = len(piece.split())
        spans = tuple(
            replace(c, word_start=max(0, c.word_start - at), word_end=min(size, c.word_end - at))
            for c in reply.citations
            if c.word_start < at + size and c.word_end > at
        )
        actions = (context.action,) if number == 0 and context.act == "action" and context.action else ()
        found.append(Clause(piece, context.affect, spans, actions))
        at += size
    return found
