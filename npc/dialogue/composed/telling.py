"""How a chosen statement is told: in the speaker's own person, the part that was asked for or the whole, cited by word
span, with doubt where it is only near or only half believed.

    fact ──┬─ one part stands far above the others ──> the part       "An oyster loaf costs five pearls."
           ├─ the parts are as likely meant ─────────> the whole      "Kelp bread costs two pearls, and oyster …"
           ├─ another fact is as likely meant ───────> both, where they are short
           └─ confidence below a half ───────────────> as hearsay     "I wouldn't swear to it, but …"
    saying ──> told back with what else its turn told          scene ──> named, with what is seen of it
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from npc.dialogue.composed import phrases, recall, unsure
from npc.dialogue.composed.deeds import Line
from npc.dialogue.composed.features import Candidate, Leaning, Scored
from npc.dialogue.composed.polarity import verdict
from npc.dialogue.composed.question import Question, leans
from npc.dialogue.composed.reply import Reply, behind, cite
from npc.dialogue.composed.select import Choice, is_comparison, same_fact
from npc.dialogue.composed.speech import in_first_person, shortened
from npc.dialogue.knowledge.grammar import opening
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.knowledge.words import STOPWORDS, tokens
from npc.dialogue.memory.extract import name_in
from npc.dialogue.memory.store import PlayerMemory

#: Words of a biography sentence that are said at most; facts are said whole up to `_FACT_WORDS`.
_BIOGRAPHY_WORDS, _FACT_WORDS = 30, 30
#: Log-odds within which two facts are as likely meant, and both are said: 7 % of the turns, and 1 in 120 of the facts
#: right that was not (cross-validated; 1.0 gives half as much more for 2 % of the turns more).
_EITHER = 0.7
#: Log-odds within which two sayings of the player's are as likely meant, and above which, from "nothing", the second is
#: told too: 8 more of 583 recalls hold what was asked for, 55 of 500 replies are longer.
_EITHER_SAID, _SAID_TOO = 1.2, -1.5
#: Spread of the scores of a fact's parts below which the whole fact is said, where the turn leans on the talk before:
#: longer, but never the wrong half (of 59 such follow-ups the whole is right in 51, the best part in 30).
_WHOLE = 3.0
#: The same where the turn stands by itself: of 42 facts so told from 1.0 on the best part is right in 36 and the whole
#: in 37, and the whole names a neighbour that the player did not ask for.
_WHOLE_ALONE = 1.25
#: Belief in a fact below which it is told as hearsay.
_BELIEVED = 0.5
#: Asks for a name, as far as words tell: "Call me Dot, everyone does" is then told back as the name alone.
_OF_A_NAME = re.compile(r"\b(?:names?|call|called)\b|\bwho (?:am i|i am)\b", re.I)
#: Words with a topic in a turn that stands by itself; "dear?" leans on what was told.
_ALONE = 2


class Teller:
    """Tells what was chosen in one turn. `players` are the player's earlier turns, `said` the last replies."""

    def __init__(
        self,
        knowledge: Knowledge,
        memory: PlayerMemory | None,
        question: Question,
        players: Sequence[str],
        said: Sequence[str],
        style: phrases.Style,
        line: Line,
        chance: random.Random,
    ) -> None:
        self._knowledge, self._memory, self._question, self._players = knowledge, memory, question, players
        self._said, self._style, self._line, self._chance = said, style, line, chance

    def tell(self, choice: Choice, best: Scored, leaning: Leaning | None = None) -> Reply:
        """The best statement, said. `leaning`: what the turn may lean on."""
        candidate = best.candidate
        if candidate.origin == "said":
            return self.remembered(candidate.text, _also_said(choice, best))
        if candidate.origin == "scene":
            return self._scene(candidate)
        speaker = self._knowledge.speaker
        if candidate.origin == "self":
            said = shortened(in_first_person(candidate.text, speaker, about_self=True), _BIOGRAPHY_WORDS)
            return Reply(said, "self")
        parts = list(same_fact(choice, best))
        fact = self._knowledge.fact(candidate.fact_id or "")
        text = candidate.text
        if candidate.of > 1 and len(parts) == candidate.of and self._wants_all(parts, leaning):
            whole = fact.text if fact else text
            text = whole if len(whole.split()) <= _FACT_WORDS else text
        said = shortened(in_first_person(text, speaker), _FACT_WORDS)
        if fact is not None and fact.confidence < _BELIEVED:
            line = phrases.pick(unsure.HEARSAY, self._chance, self._said, self._style)
            return cite(Reply(unsure.worded(line, said), "fact"), unsure.inside(line, said), fact.id, fact.source)
        opening = verdict(self._question, choice.asking, text)
        if not opening and self._question.corrected is not None:
            opening = phrases.pick(phrases.CORRECTED, self._chance, self._said, self._style)
        reply = Reply(f"{opening} {said}".strip(), "fact")
        return cite(reply, said, candidate.fact_id or "", candidate.source)

    def with_second(self, choice: Choice, best: Scored, leaning: Leaning | None) -> Reply:
        """The best statement, and another fact behind it that could as well be meant: better both than a guess."""
        reply = self.tell(choice, best, leaning)
        also = _nearly_as_good(choice, best)
        if also is None or best.candidate.origin not in ("fact", "self"):
            return reply
        more = self.tell(choice, also, leaning)
        if len(reply.text.split()) + len(more.text.split()) > _FACT_WORDS:
            return reply
        return replace(behind(reply, more), route=reply.route, slots=reply.slots)

    def with_doubt(self, choice: Choice, best: Scored, leaning: Leaning | None) -> Reply:
        """The nearest thing known, as no more than that (see `unsure.py`)."""
        told = self.tell(choice, best, leaning)
        if best.candidate.origin == "said":
            text = told.slots.get("text", "")
            return self._line(unsure.RECALLED, "hedged", text=text) if text else told
        spans = [told.text.split()[c.word_start : c.word_end] for c in told.citations]
        said = " ".join(spans[0]) if spans else told.text
        lines = unsure.lines(self._question.wanted, misfit=best.features.get("misfit", 0.0) > 0, curt=self._style.curt)
        line = phrases.pick(lines, self._chance, self._said, self._style)
        reply = Reply(unsure.worded(line, said), "hedged")
        fact = self._knowledge.fact(best.candidate.fact_id or "")
        return cite(reply, unsure.inside(line, said), fact.id, fact.source) if fact is not None else reply

    def remembered(self, said: str, also: str = "") -> Reply:
        """What the player said, told back; `also` is another saying that could as well be meant."""
        name = name_in(said)
        if name is not None and (recall.is_name(said) or _OF_A_NAME.search(self._question.asking)):
            return self._line(phrases.NAME, "memory", value=name)
        if recall.quoted(said):
            return self._line(phrases.ASKED, "memory", text=said)
        pieces = recall.whole(said, self._players, self._memory)
        if also and also not in pieces and not recall.quoted(also) and recall.together([*pieces, also]):
            pieces = [*pieces, also]
        return self._line(phrases.TOLD, "memory", text=recall.in_your_words(pieces))

    def _wants_all(self, parts: Sequence[Scored], leaning: Leaning | None) -> bool:
        """Whether to say the whole fact: the question weighs its parts, or none stands far above the others."""
        if is_comparison(self._question.asking) or _of_one_thing([p.candidate.text for p in parts]):
            return True
        spread = max(p.score for p in parts) - min(p.score for p in parts)
        return spread < (_WHOLE if leaning is not None and self._leans() else _WHOLE_ALONE)

    def _leans(self) -> bool:
        question = self._question
        topics = sum(word not in STOPWORDS for word in tokens(question.asking))
        return not question.asking or question.elliptical or question.corrected is not None or leans(question) or (
            topics < _ALONE
        )  # fmt: skip

    def _scene(self, candidate: Candidate) -> Reply:
        if candidate.key in ("scene/place", "scene/time"):
            return Reply(candidate.text, "scene")
        name, _, description = candidate.text.rstrip(".").partition(": ")
        thing = name if not name.startswith("The ") else "the " + name[4:]
        if not description:
            return self._line(phrases.SCENE, "scene", thing=thing)
        return self._line(phrases.SCENE, "scene", thing=f"{thing}, {description}")


def _also_said(choice: Choice, best: Scored) -> str:
    """Another saying of the player's that could as well be meant; "" without one."""
    second = next((s for s in choice.ranked if s.candidate.origin == "said" and s is not best), None)
    if second is None or not best.score - _EITHER_SAID < second.score or second.score < choice.nothing + _SAID_TOO:
        return ""
    return second.candidate.text


def _of_one_thing(parts: Sequence[str]) -> bool:
    """Whether a fact's parts say several things of one: "Lunch is at noon and is cooked by Ida", not "A costs two and B
    three" nor "Entry is six pounds for adults and two for children". Of 117 such facts that answered, the whole held
    what was asked for in 117 and the best part in 103, and no whole named a neighbour."""
    read = [opening(part) for part in parts]
    return len({subject for subject, _ in read}) == 1 and len({verb for _, verb in read}) == len(read)


def _nearly_as_good(choice: Choice, best: Scored) -> Scored | None:
    """Another fact that could as well be meant."""
    own = best.candidate.fact_id or best.candidate.key
    others = (s for s in choice.ranked if (s.candidate.fact_id or s.candidate.key) != own)
    second = next(others, None)
    if second is None or second.candidate.origin not in ("fact", "self"):
        return None
    near = best.score - second.score < _EITHER and second.score > choice.nothing
    return second if near and not is_comparison(choice.asking) else None
