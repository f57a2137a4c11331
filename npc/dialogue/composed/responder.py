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
import math
import random
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Protocol

from npc.dialogue import whisper
from npc.dialogue.actions_forms import DANGEROUS
from npc.dialogue.character import Character
from npc.dialogue.composed import phrases, recall, unsure
from npc.dialogue.composed.deeds import announced, refused
from npc.dialogue.composed.features import OWN_LIFE, RECALLS, Candidate, Heard, Leaning, Scored
from npc.dialogue.composed.grounding import COMFORT, PLEASED, ask_about, ground, move_of, takes_leave
from npc.dialogue.composed.likeness import context_before
from npc.dialogue.composed.persona import first_answer, is_personal
from npc.dialogue.composed.question import Question, understand
from npc.dialogue.composed.recollect import wants_name
from npc.dialogue.composed.reply import Reply, behind, clauses
from npc.dialogue.composed.select import Choice, choose, compare, favour, said_part, told_to
from npc.dialogue.composed.speech import decapitalised, in_second_person
from npc.dialogue.composed.telling import Teller
from npc.dialogue.context import Context
from npc.dialogue.interface import Citation, Clause
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.knowledge.words import content, tokens
from npc.dialogue.memory.amend import amendment, settled
from npc.dialogue.memory.extract import name_in
from npc.dialogue.memory.store import PlayerMemory

#: Log-odds by which a candidate must beat "nothing" when the turn asks, when it only says something, and when it says
#: something right after a fact was told ("tomorrow any good", "and the day after that"). Cross-validated, 0.0 tells
#: 0.03 of the facts less than -0.4 and admits 0.05 more of what is not known.
_ASKED, _SAID, _FOLLOWED = 0.0, 1.0, 0.3
#: The same where the player tells of their own life: then a fact is seldom what they are after.
_TOLD_OWN = 2.0
#: The same for something the player said where the character is asked of itself ("Are you married?"): cross-validated,
#: 8 of 22 that stood above "nothing" were right.
_TOLD_BACK = 1.0
#: The same when an instructor wants something brought up: what comes nearest is told.
_TOLD_TO = -4.0
#: The same for the very statement that was told last, where the player only says something ("It's Sunday tomorrow,
#: though."): of 24 turns that ranked it first from here on 11 asked for it again and none was mere talk.
_AGAIN = 1.5
#: Says what one thinks of what was told, and asks for nothing.
_OPINION = re.compile(
    r"^\W*(?:(?:oh|ah|well|hm+|wow|so|but|and),? )*(?:(?:that|this)(?:'s| is| sounds| seems| was)|what an?"
    r"|i (?:think|like|love|hate|see|know|understand|suppose))\b",
    re.I,
)
#: Words at most of a turn that is answered as an introduction: "Good morning, my name's Ravi and this is my first day."
_INTRODUCED = 14
#: Agreeableness from which a character bears an insult.
_AGREEABLE = 0.65

_GREETS = re.compile(
    r"^\W*(?:(?:oh|ah|well),? )?(?:hello|hi|hiya|hey|howdy|good (?:morning|day|evening|afternoon)|morning|evening"
    r"|afternoon|greetings|welcome)\b(?: there| again| to you| all)?",
    re.I,
)

#: Asks of the character.
_YOURS = re.compile(r"\b(you|your|yours|yourself)\b", re.I)


#: Log-odds below "nothing" to which it is told with doubt there: something of the kind was surely said.
_RECALLED = -3.0
#: The same where the player asks of their own life, not for what they said, and a saying stands clear of all that is
#: known by so much: of 21 such turns 8 were answered rightly, 6 had no answer, 7 were something else.
_OF_ONESELF, _CLEAR = -2.0, 0.5
#: Log-odds by which a fact must beat the likest saying where the player asks for what they said.
_OWN_WORDS = 2.0


class Realiser(Protocol):
    """A trained model that may put a chosen reply into other words; None where it would rather not."""

    def realise(self, context: Context, reply: Reply) -> Reply | None: ...


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
        self.plain = ""
        """The last reply before it was worded anew; "" where it was not."""

    async def respond(self, context: Context) -> AsyncIterator[Clause]:
        """The reply as clauses, one a sentence. Composing runs on a worker thread."""
        reply = await asyncio.to_thread(self.compose, context)
        self.route, self.plain = reply.route, reply.plain
        for clause in clauses(reply, context):
            yield clause

    def compose(self, context: Context) -> Reply:
        """The whole reply at once. Pure but for reading memory and caches."""
        followed = _Turn(self, context).followed()
        if followed is not None:
            return followed
        reply = _Turn(self, context).reply()
        better = self._realiser.realise(context, reply) if self._realiser is not None else None
        if better is None:
            return reply
        return replace(better, plain=reply.text if better.text != reply.text else "")


class _Turn:
    """One turn being answered."""

    def __init__(self, owner: ComposedResponder, context: Context) -> None:
        self._owner = owner
        self._character, self._knowledge = owner._character, owner._knowledge
        self._style, self._memory = owner._style, owner._memory
        self._context = context
        self._chance = random.Random(f"{context.seed}/{len(context.history)}/{context.turn.text}")
        self._said = [exchange.reply for exchange in context.history[-12:]]
        self._question: Question = understand(context.turn.text)
        self._players = [exchange.player for exchange in context.history]
        self._teller = Teller(
            self._knowledge, self._memory, self._question, self._players, self._said, self._style, self._line,
            self._chance,
        )  # fmt: skip

    def reply(self) -> Reply:
        context = self._context
        if context.scripted:
            return Reply(context.scripted, "scripted")
        if context.act == "unsafe":
            return self._line(self._character.guardrails.decline or phrases.LOCKED, "safety")
        if context.act == "injection":
            return self._line(phrases.INJECTION, "injection")
        if context.act == "action":
            return announced(context, self._character, self._line)
        if context.act == "action_refused":
            return self._refused()
        first = self._grounded() or self._first_questions()
        if first is not None:
            return first
        players = self._players
        amended = amendment(context.turn.text, settled(players), players[-1] if players else "")
        if amended is not None:
            return self._line(phrases.AMENDED, "heard", text=decapitalised(in_second_person(amended[1])))
        if not self._question.asking and self._question.corrected is None:
            return self._spoken_to()
        if wants_name(self._question, self._knowledge.encoder):
            return self._player_name()
        found = self._answer(_ASKED, doubting=True)
        if found is None and self._recalls():
            return self._line(phrases.FORGOTTEN, "forgotten")
        return found or self._unknown()

    def _refused(self) -> Reply:
        """Why a deed is not done: the reason for it, else what is known that answers the turn ("Could you take my blood
        pressure?"), else that it is not done."""
        context = self._context
        if self._recalls() and (told := self._answer(_ASKED)) is not None and told.route == "memory":
            # "Would you send me up the stairs, after what I said?"
            return told
        if not context.refusal and context.refusal_fact is None and not DANGEROUS.search(context.turn.text):
            bar = _ASKED if context.turn.text.rstrip().endswith("?") else _SAID
            known = self._answer(bar, recalling=bool(self._question.asking))
            if known is not None and (known.citations or known.route in ("self", "locked", "memory")):
                return known
        return refused(context, self._knowledge, self._line)

    def followed(self) -> Reply | None:
        """The reply that a whisper asks for; None without one, or where safety or a deed come first."""
        context = self._context
        direction = whisper.read(context.whisper) if context.whisper else None
        if direction is None or not direction.speaks or context.act != "open" or context.scripted:
            return None
        if direction.say:
            return Reply(direction.say, "whisper")
        stance = {"agree": phrases.AGREED, "refuse": phrases.NOT_AGREED}.get(direction.stance)
        first = self._line(stance, "whisper") if stance is not None else None
        topic = self._topic(direction.topic) if direction.topic else None
        if topic is None:
            return first
        return behind(first or self._spoken_to(), topic)

    def _topic(self, topic: str) -> Reply | None:
        """What the character knows of something and may tell this player."""
        asked = replace(self._context, turn=replace(self._context.turn, text=f"Tell me about {topic}."))
        turn = _Turn(self._owner, asked)
        found = turn._answer(_TOLD_TO)
        return found if found is not None and found.citations else None

    def _line(self, lines: Sequence[str], route: str, /, **values: str) -> Reply:
        line = phrases.pick(lines, self._chance, self._said, self._style)
        for name, value in values.items():
            line = line.replace("{" + name + "}", value).replace(
                "{" + name.capitalize() + "}", value[:1].upper() + value[1:]
            )
        return Reply(line, route, slots=values)

    def _unknown(self) -> Reply:
        if self._context.offer:
            return Reply(self._context.offer, "offer")
        if is_personal(self._context.turn.text):
            return self._line(phrases.RESERVED, "reserved")
        lines = self._character.unknown or phrases.UNKNOWN
        reply = self._line(lines, "unknown")
        last = self._context.history[-1].read if self._context.history else ""
        invited = ask_about(self._character)
        lately = any(invited in said for said in self._said[-8:])
        if invited and not lately and any(phrases.is_of(line, last) for line in lines):
            # The second question in a row that it knows nothing of: say what it does know.
            return replace(reply, text=f"{reply.text} {invited}", route="invited")
        return reply

    def _grounded(self) -> Reply | None:
        """The reply to a turn that needs no fact (see `grounding.py`); None for all others."""
        context = self._context
        move = move_of(context.turn.text)
        if move is None or (move == "help" and context.reaction not in ("none", "plea")):
            return None
        if move == "anything" and (answer := self._answer(_ASKED)) is not None:
            return answer
        if move == "advice" and (answer := self._answer(_SAID, recalling=False)) is not None and answer.citations:
            return answer
        said = [*(exchange.player for exchange in context.history), context.turn.text]
        allowed = self._knowledge.open(said, context.standing, context.scene, context.told)
        index = self._knowledge.index(context.scene)
        free = [c for c in index.candidates if c.origin in ("fact", "self") and not c.key.startswith("card/")]
        free = [c for c in free if c.fact_id is None or c.fact_id in allowed]
        told = [c for c in free if c.fact_id is not None and self._guarded(c)]
        found = ground(move, self._character, context, told if move == "secret" else [c for c in free if c not in told],
                       self._chance)  # fmt: skip
        if found.tell is not None:
            best = Scored(found.tell, 0.0, {})
            return self._teller.tell(Choice((best,), 0.0, ""), best)
        reply = self._line(found.lines, "grounding", **found.values)
        sources = [fact for fact_id in found.fact_ids if (fact := self._knowledge.fact(fact_id)) is not None]
        spans = (Citation(fact.id, fact.source, 0, len(reply.text.split())) for fact in sources)
        return replace(reply, citations=tuple(spans))

    def _first_questions(self) -> Reply | None:
        """Who are you, what do you do, where are we, how are you; and the card's own small talk."""
        text = self._context.turn.text
        for talk in self._character.small_talk:
            if any(_same_words(text, when) for when in talk.when):
                return self._line(talk.say, "small_talk")
        return first_answer(
            self._question.asking or text, self._character, self._knowledge, self._context, self._chance
        )  # fmt: skip

    def _guarded(self, candidate: Candidate) -> bool:
        fact = self._knowledge.fact(candidate.fact_id or "")
        return fact is None or fact.guarded

    def _recalls(self) -> bool:
        """Whether the turn asks in so many words for what the player said before."""
        asking = self._question.asking
        return bool(OWN_LIFE.search(asking) and RECALLS.search(asking))

    def _of_player(self, choice: Choice, best: Scored) -> bool:
        """Whether the turn asks of the player's own life, and something they said stands clear of what is known."""
        known = next((s.score for s in choice.ranked if s.candidate.origin != "said"), -math.inf)
        own = OWN_LIFE.search(self._question.asking) is not None
        return own and best.candidate.origin == "said" and best.score - known >= _CLEAR

    def _of_character(self) -> bool:
        """Whether the turn asks of the character, and neither of the player nor for what was said before."""
        asking = self._question.asking
        return bool(_YOURS.search(asking)) and not OWN_LIFE.search(asking) and not RECALLS.search(self._question.text)

    def _player_name(self) -> Reply:
        """The name the player gave, in this talk or before; or that none was given."""
        stored = self._memory.slot("name") if self._memory is not None else None
        turns = [*(exchange.player for exchange in self._context.history), self._context.turn.text]
        given = [name for name in map(name_in, turns) if name is not None]
        name = stored.value if stored is not None else given[-1] if given else ""
        if name:
            return self._line(phrases.NAME, "memory", value=name)
        return self._answer(_ASKED, doubting=True) or self._line(phrases.FORGOTTEN, "forgotten")

    def _choose(self, leaning: Leaning | None, allowed: frozenset[str]) -> Choice:
        context, scene = self._context, self._context.scene
        place = f"{scene.location if scene else ''} {self._character.role} {self._character.world}"
        query = self._question.asking or self._question.text
        if leaning is not None and self._question.elliptical:
            query = f"{leaning.asking} {query}"
        told = recall.told(self._players, self._memory, self._question)
        index = self._knowledge.index_for(query, scene, allowed, told)
        heard = Heard(context.turn.text, context_before(context.history))
        now = scene.time if scene else ""
        return choose(index, self._question, place=place, now=now, leaning=leaning, heard=heard)

    def _answer(
        self, threshold: float, *, doubting: bool = False, recalling: bool = True, again: float = -math.inf
    ) -> Reply | None:
        """The best known answer, a deflection when it is a locked one, or None. `doubting`: what is only near may be
        told with doubt; `recalling`: what the player said may be told back; `again`: the threshold of what was told
        last."""
        context = self._context
        said = [*(exchange.player for exchange in context.history), context.turn.text]
        allowed = self._knowledge.open(said, context.standing, context.scene, context.told)
        before = self._knowledge.open(said[:-1], context.standing, context.scene, context.told)
        leaning = self._leaning()
        everything = self._choose(leaning, allowed)
        open_ones = tuple(s for s in everything.ranked if self._is_open(s.candidate.fact_id, allowed))
        locked = next((s for s in everything.ranked if not self._is_open(s.candidate.fact_id, allowed)), None)
        told_least = (_TOLD_BACK if self._of_character() else -math.inf) if recalling else math.inf
        open_ones = tuple(
            s for s in open_ones if s.candidate.origin != "said" or s.score - everything.nothing > told_least
        )
        if is_personal(context.turn.text):
            open_ones = tuple(
                s
                for s in open_ones
                if s.candidate.origin != "fact" or s.candidate.about_self or s.score - everything.nothing > _TOLD_OWN
            )
        choice = favour(
            replace(everything, ranked=open_ones), (allowed - before) | told_to(self._question, context.history)
        )
        best = compare(choice) or choice.best
        if locked is not None and locked.score > max(choice.nothing, best.score if best else choice.nothing):
            fact = self._knowledge.fact(locked.candidate.fact_id or "")
            return Reply(fact.deflect, "locked") if fact and fact.deflect else self._line(phrases.LOCKED, "locked")
        if best is None:
            return None
        guarded = locked.score - choice.nothing if locked is not None else None
        if doubting and self._recalls() and (saying := _likest_saying(choice)) is not None:
            best = saying
        margin = best.score - choice.nothing
        own = not self._recalls() or best.candidate.origin == "said"
        near = _RECALLED if self._recalls() else _OF_ONESELF if self._of_player(choice, best) else unsure.NEAR
        said_so = not best.features.get("misfit") and unsure.says_so(self._question.asking, best.candidate.text)
        if doubting and said_so and unsure.between(margin) and (guarded is None or guarded < unsure.NEAR):
            return self._teller.tell(choice, best, leaning)
        if doubting and own and unsure.may_doubt(margin, guarded, best.candidate.origin, context.history, near):
            return self._teller.with_doubt(choice, best, leaning)
        last = leaning.keys if leaning is not None and context.history[-1].fact_ids else ()
        if margin < max(threshold, again if best.candidate.key in last else -math.inf):
            return None
        return self._teller.with_second(choice, best, leaning)

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
            said = said_part(told, exchange.read)
            return Leaning(
                before.asking or before.text, said.text if said else exchange.read, (said.key,) if said else ()
            )
        return None

    def _spoken_to(self) -> Reply:
        """The player says something without asking."""
        context, text = self._context, self._context.turn.text.lower()
        by_reaction = {
            "insult": phrases.INSULT, "praise": phrases.PRAISE, "thanks": phrases.THANKS, "threat": phrases.THREAT,
            "apology": phrases.APOLOGY, "sympathy": phrases.SYMPATHY, "bad_news": phrases.BAD_NEWS,
            "good_news": phrases.GOOD_NEWS,
        }  # fmt: skip
        if context.reaction == "insult" and self._character.personality.agreeableness >= _AGREEABLE:
            return self._line(phrases.INSULT_BORNE, "borne")
        if context.reaction in by_reaction:
            return self._line(by_reaction[context.reaction], context.reaction)
        name = name_in(context.turn.text)
        if name is not None and len(text.split()) <= _INTRODUCED:
            return self._line(PLEASED, "grounding", name=name)
        if re.search(r"\b(thank you|thanks|cheers|much obliged)\b", text):
            return self._line(phrases.THANKS, "thanks")
        if takes_leave(text):
            return self._line(self._character.farewell or phrases.GOODBYE, "goodbye")
        greeting = _GREETS.match(text)
        if greeting is not None and len(tokens(text[greeting.end() :])) <= 2:
            return self._line(phrases.HELLO, "hello")
        following = bool(context.history) and bool(context.history[-1].fact_ids)
        own = OWN_LIFE.search(text) is not None
        # Who is worried or in danger is not after what was spoken of last.
        moved = context.reaction in ("distress", "alarm")
        threshold = _FOLLOWED if following and not moved else _TOLD_OWN if own or moved else _SAID
        again = math.inf if moved or _OPINION.match(text) else _AGAIN
        told = self._answer(threshold, recalling=False, again=again)
        if told is not None:
            return told
        if greeting is not None:
            return self._line(phrases.HELLO, "hello")
        if context.reaction in ("distress", "alarm"):
            return self._line(COMFORT if context.reaction == "distress" else phrases.ALARM, "comfort")
        return Reply(context.offer, "offer") if context.offer else self._line(phrases.HEARD, "heard")


def _likest_saying(choice: Choice) -> Scored | None:
    """What the player said that is likest, where the best of all falls short of an answer: they ask for their own
    words."""
    said = next((s for s in choice.ranked if s.candidate.origin == "said"), None)
    best = choice.best
    if said is None or best is None or (best.candidate.origin != "said" and best.score - said.score > _OWN_WORDS):
        return None
    return said


def _same_words(said: str, when: str) -> bool:
    """Whether an authored trigger is what was said, up to punctuation and a few words around it. "I lost my job" is no
    "do you like your job"."""
    wanted, given = content(when) or tokens(when), content(said) or tokens(said)
    own, asked = {"i", "my", "i'm", "we", "our"}, {"you", "your"}
    if asked & set(tokens(when)) and own & set(tokens(said)) and not asked & set(tokens(said)):
        return False
    return bool(wanted) and set(wanted) <= set(given) and len(given) <= len(wanted) + 2
