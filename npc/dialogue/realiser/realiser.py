"""The composed reply in the trained model's words: what is told stays the composer's choice, how it is told is learnt.

    Reply (route, facts) ─ plan ─> Prompt + values ─ model under grammar ─> tokens ─ render ─ check ─┬─> Reply
       authored lines, scripts: untouched            up to TRIES seeds <─────────── objection ───────┘
                                                                     all refused: the composer's words

The model never sees a fact it is not to tell, nor any name or number: it places references. A reply of the model has
the route "model:ROUTE"; one where every try was refused keeps the composer's words and has "fallback:ROUTE".
"""

from __future__ import annotations

import logging
import re
import zlib
from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace

from npc.dialogue.character import Character
from npc.dialogue.composed import phrases
from npc.dialogue.composed.persona import asked_of_self
from npc.dialogue.composed.reply import Reply
from npc.dialogue.context import Context
from npc.dialogue.interface import Citation
from npc.dialogue.memory.extract import name_in
from npc.dialogue.realiser.check import objection
from npc.dialogue.realiser.contract import INDICES, LONG_CLAUSE, Frame, Prompt, plain
from npc.dialogue.realiser.grammar import Bounds, ReferenceGrammar
from npc.dialogue.realiser.link import link, nouns, parse
from npc.dialogue.realiser.manner import manner_of
from npc.dialogue.realiser.model import DialogueModel
from npc.dialogue.realiser.render import Rendered, lowered, render
from npc.dialogue.realiser.talk import Near, TalkGuard
from npc.inference.interface import ModelError

log = logging.getLogger(__name__)

TRIES = 4
#: Lean to the bare fact, in logits: a character that is calm says what it knows and no more.
_BARE_CALM, _BARE_MOVED = 1.5, 0.5
#: Words around a clause that is long already.
_BESIDE_LONG = 4
#: Earlier turns of the talk that the model reads, and the tokens they may take.
_TURNS_READ, _TOKENS_READ = 2, 120
#: Routes whose reply is all stock words: the intent has the same name.
_SAME = frozenset(("unknown", "locked", "injection", "forgotten", "hello", "thanks", "goodbye", "insult", "praise",
                   "apology", "threat", "sympathy", "bad_news", "good_news", "heard"))  # fmt: skip
#: Replies to these must have three words or more: "no" is no answer to a demand, "no idea" none to a question.
_GUARDED = frozenset(("locked", "injection", "refused", "refused_why", "unknown"))
#: Not knowing, with what is known beside: the composer's words, unless it was small talk.
_UNSURE = frozenset(("invited", "hedged"))
_FIRST_NOUN = 5
#: Topics whose small talk suits somebody who is troubled; on any other the composer's words of comfort are better.
_TENDER = frozenset(("sad", "lonely", "ill", "tired", "scared", "cold", "heat", "hungry", "thirsty", "rain"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What the model is to say: the intent, what may be referred to and what each reference is in words."""

    intent: str
    player: str
    frames: tuple[Frame, ...] = ()
    values: dict[tuple[str, int], str] = field(default_factory=dict)
    nouns: tuple[int, ...] = ()
    polarity: str = ""
    own_price: bool = True
    topic: str = ""
    standing: frozenset[int] = frozenset()
    bare: float = 0.0


class TrainedRealiser:
    """Implements `composed.responder.Realiser` for one character in one session."""

    def __init__(
        self, model: DialogueModel, character: Character, guard: TalkGuard, *, adapter: str | None = None
    ) -> None:
        """`adapter`: a name given to `model.add_adapter`, for a character with a voice of their own."""
        self._model, self._guard, self._adapter = model, guard, adapter
        self._character = character
        self._speaks = model.speaks(adapter)
        self._manner = manner_of(character)
        self._address = phrases.style_of(character).address
        self._authored = _authored(character)
        self._names = frozenset(w.lower() for w in re.findall(r"[A-Za-z]+", character.name))
        self._blocks: OrderedDict[str, list[int]] = OrderedDict()
        self.objections: Counter[str] = Counter()

    def realise(self, context: Context, reply: Reply) -> Reply | None:
        """The reply in other words; the reply itself as "fallback:…" when none would do; None where the words are an
        author's and stay as they are."""
        plan = self._plan(context, reply)
        if plan is None:
            return None
        plan = replace(plan, bare=_BARE_CALM if context.affect.label == "neutral" else _BARE_MOVED)
        prompt = self._prompt(context, plan)
        said = [exchange.reply for exchange in context.history[-12:]]
        told = (*(exchange.player for exchange in context.history), context.turn.text)
        named = any(name_in(text) is not None for text in told)
        first = zlib.crc32(f"{context.seed}/{len(context.history)}/{context.turn.text}".encode())
        block = self._model.encode(prompt.text())
        before = self._before(context, len(block))
        # The first seed alone; where it will not do, the others side by side, in their order.
        for seeds in ([first], [first + attempt for attempt in range(1, TRIES)]):
            try:
                tried = self._model.write_several([*before, *block], [(self._grammar(plan), seed) for seed in seeds],
                                                  adapter=self._adapter)  # fmt: skip
            except ModelError as error:
                log.warning("the dialogue model failed", extra={"error": str(error)})
                self.objections["failed"] += 1
                break
            for tokens in tried:
                why = "no end"
                if tokens is not None:
                    written = render(tokens, plan.values, self._address, self._model.vocabulary)
                    why = objection(written, plan.intent, plan.polarity, words=self._speaks, said=said,
                                    own_price=plan.own_price, named=named)  # fmt: skip
                    why = why or self._guard.objection(plan.intent, plan.topic, written.own)
                    if not why:
                        self._keep(written.text, [*block, *tokens, self._model.vocabulary.id["<end>"]])
                        return Reply(written.text, f"model:{reply.route}", _cited(written, reply), reply.slots)
                self.objections[why] += 1
        return replace(reply, route=f"fallback:{reply.route}")

    # --- the prompt --------------------------------------------------------------------------------------------

    def _prompt(self, context: Context, plan: Plan) -> Prompt:
        return Prompt(context.affect.label, self._manner, plan.intent, plan.player, plan.frames, plan.polarity,
                      bool(self._address))  # fmt: skip

    def _before(self, context: Context, room: int) -> list[int]:
        """Blocks of the last turns as they were written, newest last, where this realiser wrote them."""
        found: list[int] = []
        for exchange in reversed(context.history[-_TURNS_READ:]):
            block = self._blocks.get(exchange.reply)
            if block is None or len(found) + len(block) > min(_TOKENS_READ, self._model.positions - room - 64):
                break
            found = [*block, *found]
        return found

    def _keep(self, text: str, block: list[int]) -> None:
        self._blocks[text] = block
        while len(self._blocks) > 16:
            self._blocks.popitem(last=False)

    def _grammar(self, plan: Plan) -> ReferenceGrammar:
        words = {key: len(value.split()) for key, value in plan.values.items()}
        clauses = sum(words.get(("c", frame.index), 0) for frame in plan.frames)
        most = min(24, max(18, clauses + _BESIDE_LONG)) if clauses < 20 else clauses + _BESIDE_LONG
        return ReferenceGrammar(self._model.vocabulary, plan.frames, words, nouns=plan.nouns,
                                address=bool(self._address), standing=plan.standing, bare=plan.bare,
                                bounds=Bounds(3 if plan.intent in _GUARDED else 1, most))  # fmt: skip

    # --- what is to be said ------------------------------------------------------------------------------------

    def _plan(self, context: Context, reply: Reply) -> Plan | None:
        text = context.turn.text
        if context.scripted or context.event or not text:
            return None
        if self._is_authored(context, reply) or reply.route in _UNSURE:
            # An author's words stay, but for "I don't know" to what is plainly asked in passing ("do you sing?").
            near = self._guard.near(text, asked=True) if reply.route in ("unknown", *_UNSURE) else None
            return self._small_talk(text, near) if near is not None and near.topic.intent == "chat" else None
        match reply.route:
            case "fact":
                return self._fact(text, reply)
            case "self":
                return self._instead_of_name(text, reply) or self._self(text, reply)
            case "refused":
                return self._refused(text, reply)
            case "action":
                return self._action(context, reply)
            case "scene":
                return self._thing("scene", text, reply.slots.get("thing", ""))
            case "memory":
                if "value" in reply.slots:
                    return Plan("name", plain(text, self._names), (Frame(0, ("v",)),), {("v", 0): reply.slots["value"]})
                return self._clauses("told", text, [reply.slots.get("text", "")])
            case "heard" | "unknown" | "comfort":
                return self._talk(text, reply)
            case route if route in _SAME:
                return self._spoken(route, text)
            case _:
                return None

    def _is_authored(self, context: Context, reply: Reply) -> bool:
        if context.refusal and reply.text == context.refusal:
            return True
        return any(pattern.fullmatch(reply.text) for pattern in self._authored)

    def _spoken(self, intent: str, text: str) -> Plan:
        return Plan(intent, plain(text, self._names))

    def _talk(self, text: str, reply: Reply) -> Plan | None:
        """Small talk is what resembles small talk. Any other question that nothing answers stays unknown, and any
        other statement the composer's."""
        unknown = reply.route == "unknown"
        near = self._guard.near(text, asked=unknown)
        if reply.route == "comfort" and (near is None or near.topic.name not in _TENDER):
            return None
        if near is None:
            return self._spoken("unknown", text) if unknown else None
        return self._small_talk(text, near)

    def _small_talk(self, text: str, near: Near) -> Plan:
        _, found = nouns(text, _FIRST_NOUN)
        if found and near.marked != near.words:
            index, value = next(iter(found.items()))
            return Plan(near.topic.intent, near.marked.replace("<n>", f"<n><#{index}>"), values={("n", index): value},
                        nouns=(index,), topic=near.topic.name)  # fmt: skip
        return Plan(near.topic.intent, near.words, topic=near.topic.name)

    def _instead_of_name(self, text: str, reply: Reply) -> Plan | None:
        """Small talk where the composer, having nothing better, would only say who it is without being asked."""
        role = self._character.role.lower()
        introduces = self._character.name in reply.text or role in reply.text.lower()
        if not introduces or asked_of_self(text) is not None:
            return None
        near = self._guard.near(text, asked=True)
        return self._small_talk(text, near) if near is not None else None

    def _fact(self, text: str, reply: Reply) -> Plan | None:
        if not reply.citations:
            return None
        span = reply.citations[0]
        words = reply.text.split()
        opening, said = " ".join(words[: span.word_start]), " ".join(words[span.word_start : span.word_end])
        if span.word_end < len(words):
            return None
        polarity = (
            "" if not opening else "yes" if opening.startswith("Yes") else "no" if opening.startswith("No") else "fix"
        )
        found = parse(said, text)
        if found is None:
            return self._clauses("fact", text, [said], polarity)
        thing, verb, value = found
        frame = Frame(0, ("e", "v", "c"), verb, long=len(said.split()) >= LONG_CLAUSE)
        values = {("e", 0): thing, ("v", 0): value, ("c", 0): said}
        return Plan("fact", link(text, thing, 0, self._names), (frame,), values, polarity=polarity, own_price=False)

    def _self(self, text: str, reply: Reply) -> Plan | None:
        if asked_of_self(text) == "mood":
            return self._spoken("feel", text)
        sentences = [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", reply.text) if part.strip()]
        if len(sentences) > 2 or sum(len(part.split()) for part in sentences) > 23:
            return None
        return self._clauses("self", text, sentences)

    def _clauses(self, intent: str, text: str, clauses: list[str], polarity: str = "") -> Plan | None:
        if not all(clause.strip() for clause in clauses) or len(clauses) > INDICES // 2:
            return None
        frames = tuple(Frame(i, ("c",), long=len(c.split()) >= LONG_CLAUSE) for i, c in enumerate(clauses))
        values = {("c", i): clause for i, clause in enumerate(clauses)}
        standing = frozenset(i for i, clause in enumerate(clauses) if clause[:1].isupper() and _may_be_name(clause))
        return Plan(intent, plain(text, self._names), frames, values, polarity=polarity, standing=standing)

    def _refused(self, text: str, reply: Reply) -> Plan | None:
        why = reply.slots.get("why")
        return self._clauses("refused_why", text, [why]) if why else Plan("refused", plain(text, self._names))

    def _action(self, context: Context, reply: Reply) -> Plan | None:
        thing = reply.slots.get("thing", "")
        if not thing or context.action is None:
            return Plan("do", plain(context.turn.text, self._names))
        named = thing if thing[:1].isupper() else f"the {thing}"
        handing = re.search(r"hand|give|pass|lend", context.action.name) is not None
        return self._thing("hand" if handing else "point", context.turn.text, named)

    def _thing(self, intent: str, text: str, thing: str) -> Plan | None:
        if not thing:
            return None
        return Plan(intent, plain(text, self._names), (Frame(0, ("e",)),), {("e", 0): thing})


def _may_be_name(clause: str) -> bool:
    """Whether a sentence begins with a word that keeps its capital, and is not "I"."""
    return lowered(clause) == clause and not re.match(r"I\b", clause)


def _cited(written: Rendered, reply: Reply) -> tuple[Citation, ...]:
    """The reply's citation moved to where its clause, or thing and value, stand now."""
    spans = [(start, end) for part, _, start, end in written.spans if part in "cewv"]
    if not reply.citations or not spans:
        return ()
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    return (replace(reply.citations[0], word_start=first, word_end=last),)


def _authored(character: Character) -> tuple[re.Pattern[str], ...]:
    """Patterns of every line that an author wrote for this character to say."""
    lines = [*character.unknown, *character.farewell, *character.greeting, *character.guardrails.decline]
    lines += [line for talk in character.small_talk for line in talk.say]
    lines += [fact.deflect for fact in character.facts if fact.deflect]
    lines += [line for spec in character.actions for line in (*spec.say, spec.refuse) if line]
    return tuple(re.compile(re.sub(r"\\\{\w+\\\}", ".*", re.escape(line))) for line in dict.fromkeys(lines))
