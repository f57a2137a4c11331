"""Several characters in one scenario: one is spoken to, the others stand by. Implements `Mind`.

    turn "Tam, is it locked out?" ─▶ addressed ─▶ that character's mind answers, in its own voice
    story, history, flags ─────────▶ handed over: all of them heard what was said, and the story is one

Who is spoken to stays so until somebody else is addressed: by name in a turn ("Tam, …", "… , Dana?"), or with the event
`address` (`npc.event {trigger: "address", data: {character: ID}}`). Being talked about is not being addressed: "I told
Tam" changes nothing. A draft for a turn that is not over yet decides nothing: only `commit` does.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

from npc.animation.interface import Affect
from npc.dialogue.character import Character
from npc.dialogue.interface import Clause, HeardReply, MindState, PlayerTurn, WorldEvent
from npc.dialogue.mind import CharacterMind

#: What all characters share: they were there. Feelings and standing are each one's own.
_SHARED = ("story", "history", "flags", "turns")
#: Turns answered and not committed yet.
_MAX_ASKED = 8
_BEFORE_NAME = (
    r"(?:(?:hey|hi|hello|and|so|but|now|okay|ok|right|well|thanks|thank you|sorry|please|excuse me|you too)[,.!]? )*"
)
#: Words before a name at the end of a turn by which it is talked about, not to.
_ABOUT = (
    "to with of about for from and or is was are called call tell told ask asked by at like the my your his her our "
    "named meet met know see saw that than not says said"
)
_TALKED_ABOUT = frozenset(_ABOUT.split())
#: Words after a name at the beginning of a turn that tell of somebody: "Tam said …", "Dana's order".
_TELLS = re.compile(
    r"(?:'s|’s)|\s+(?:is|was|has|had|said|says|told|tells|thinks|wants|wanted|and|or|did|does|went|will|never|always)\b",
    re.I,
)


def names_of(character: Character, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a character answers to: full name, first and last name, and what the scenario adds."""
    parts = [part for part in character.name.split() if len(part) > 2 and not part.endswith(".")]
    return tuple(dict.fromkeys([character.name, *parts, *more]))


def addressed(text: str, names: Mapping[str, tuple[str, ...]], current: str) -> str:
    """Id of the character that a turn speaks to; the last one addressed counts, `current` where nobody is."""
    found = (-1, current)
    for character, own in names.items():
        for name in own:
            word = re.escape(name)
            for match in re.finditer(rf"(?<!\w){word}(?!\w)", text, re.I):
                if _vocative(text, match.start(), match.end()) and match.start() > found[0]:
                    found = (match.start(), character)
    return found[1]


def _vocative(text: str, start: int, end: int) -> bool:
    before, after = text[:start], text[end:]
    sentence = re.split(r"[.!?]\s+", before)[-1]
    if re.fullmatch(_BEFORE_NAME, sentence, re.I):
        return bool(re.match(r"\s*[,.!?:;…-]", after)) or not (_TELLS.match(after) or (sentence and not after.strip()))
    closed = bool(re.match(r"\s*(?:[.!?]|$)", after))
    words = re.findall(r"[\w']+", sentence.lower())
    if before.rstrip().endswith(","):
        return closed or bool(re.match(r"\s*,", after))
    return closed and not text[end:].strip(" .!?") and bool(words) and words[-1] not in _TALKED_ABOUT


class Ensemble:
    """The first character is the one the session is opened with; it has the story until another is addressed."""

    def __init__(
        self,
        members: Mapping[str, CharacterMind],
        names: Mapping[str, tuple[str, ...]],
        changed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._members, self._names = dict(members), names
        self._first = self.character_id = next(iter(self._members))
        self._asked: dict[str, str] = {}
        self.active = self._first
        self.changed = changed
        """Told the id of who is spoken to from now on."""

    @property
    def character(self) -> Character:
        """The one that is spoken to."""
        return self._now.character

    @property
    def _now(self) -> CharacterMind:
        return self._members[self.active]

    # -- Mind ----------------------------------------------------------------------------------------------------------

    def bias_words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(word for member in self._members.values() for word in member.bias_words()))

    def greet(self) -> AsyncIterator[Clause]:
        return self._now.greet()

    def listen(self, partial: str) -> None:
        self._members[addressed(partial, self._names, self.active)].listen(partial)

    async def respond(self, turn: PlayerTurn) -> AsyncIterator[Clause]:
        who = addressed(turn.text, self._names, self.active)
        self._asked[turn.turn_id] = who
        while len(self._asked) > _MAX_ASKED:
            self._asked.pop(next(iter(self._asked)))
        member = self._heard_all(who)
        async for clause in member.respond(turn):
            yield replace(clause, by="" if who == self._first else who)

    async def observe(self, event: WorldEvent) -> bool:
        if event.kind == "event" and event.data.get("trigger") == ADDRESS:
            given = event.data.get("data") or {}
            self._turn_to(str(given.get("character", "")))
            return False
        if event.kind == "scene":
            for member in self._members.values():
                if member is not self._now:
                    await member.observe(event)
        return await self._now.observe(event)

    async def commit(self, turn: PlayerTurn | None, reply: HeardReply | None) -> None:
        turn_id = turn.turn_id if turn is not None else reply.turn_id if reply is not None else ""
        self._turn_to(self._asked.pop(turn_id, self.active))
        await self._now.commit(turn, reply)

    def state(self) -> MindState:
        return self._now.state()

    async def close(self) -> None:
        for member in self._members.values():
            await member.close()

    # -- as a mind of a scenario ---------------------------------------------------------------------------------------

    def decided(self) -> None:
        for member in self._members.values():
            member.decided()

    def speculation(self) -> Mapping[str, float]:
        return self._now.speculation()

    @property
    def player_affect(self) -> Affect:
        """What was read in the trainee's last turn."""
        return self._now.player_affect

    def story_due(self) -> float | None:
        return self._now.story_due()

    def snapshot(self) -> dict[str, Any]:
        return {"active": self.active, "members": {name: one.snapshot() for name, one in self._members.items()}}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Go on from a snapshot. Raises ValueError for what is none."""
        members, active = data.get("members"), data.get("active")
        if not isinstance(members, Mapping) or set(members) != set(self._members) or active not in self._members:
            raise ValueError("not the state of these characters")
        for name, one in self._members.items():
            one.restore(members[name])
        self.active = str(active)
        self.changed(self.active)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _heard_all(self, who: str) -> CharacterMind:
        """The member, with what the others and it share as it stands now."""
        member = self._members[who]
        if who != self.active:
            now = self._now.snapshot()
            member.restore({**member.snapshot(), **{name: now[name] for name in _SHARED}})
        return member

    def _turn_to(self, who: str) -> None:
        if who in self._members and who != self.active:
            self._heard_all(who)
            self.active = who
            self.changed(who)


#: Trigger of the event by which a client says who is spoken to.
ADDRESS = "address"
