"""The mind as the conversation loop sees it.

One `Mind` lives per session and character. The loop tells it what happened (`observe`), what was said to it
(`respond`), and afterwards what the player really heard (`commit`); history and memory are written from `commit` alone.

Reply text is clean: tags, stage directions and tool syntax were stripped inside `dialogue`, once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from npc.animation.interface import Affect


@dataclass(frozen=True, slots=True)
class Citation:
    """A fact that supports the words `[word_start, word_end)` of the clause (0-based, whitespace-separated words)."""

    fact_id: str
    source: str
    word_start: int
    word_end: int


@dataclass(frozen=True, slots=True)
class Action:
    """A game action placed before word `at_word` of its clause; `at_word` = number of words means after the clause.

    `arguments` already satisfy the action's JSON Schema.
    """

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    at_word: int = 0


@dataclass(frozen=True, slots=True)
class Clause:
    """One speakable piece of a reply. A reply is its clauses' texts joined by single spaces.

    `by` names the character that says it where several play in one session; empty for the session's own. `filler`
    holds the floor ("Let me think.") while the mind is still busy: it is spoken and heard, and no part of the answer.
    """

    text: str
    affect: Affect = Affect()
    citations: tuple[Citation, ...] = ()
    actions: tuple[Action, ...] = ()
    gesture: str | None = None
    by: str = ""
    filler: bool = False


@dataclass(frozen=True, slots=True)
class PlayerTurn:
    """What the player said or typed, as the recogniser has it, plus delivery where it was spoken.

    `delivery` holds measurements of the voice by name: rate_wps, pitch_hz, pitch_slope, energy_db, pause_ratio.
    `tentative`: the turn is not over; the answer is a draft until `decided`.
    """

    turn_id: str
    text: str
    spoken: bool
    confidence: float = 1.0
    delivery: Mapping[str, float] = field(default_factory=dict)
    speaker: str | None = None
    tentative: bool = False


@dataclass(frozen=True, slots=True)
class HeardReply:
    """What became of a reply: the words the player heard, and whether it was cut short."""

    turn_id: str
    response_id: str
    text: str
    interrupted: bool
    actions_done: tuple[str, ...] = ()
    actions_cancelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorldEvent:
    """Something the character perceives outside speech.

    kind "scene": `data` is a scene delta (see `npc.scene.update`); "event": `data` has text or trigger, salience in
    [0, 1] and react; "action_result": call_id, ok, output; "save" / "load": slot; "silence": seconds; "whisper": text
    of a hint; "tick": time passed that the story waited for; "level": the story's level of difficulty from now on.
    """

    kind: Literal["scene", "event", "action_result", "save", "load", "silence", "whisper", "tick", "level"]
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MindState:
    """Snapshot for the wire and the inspector."""

    affect: Affect
    player_affect: Affect
    notes: Mapping[str, Any] = field(default_factory=dict)
    narrative: tuple[Mapping[str, Any], ...] = ()
    """`npc.narrative` payloads that became due since the last snapshot."""


@runtime_checkable
class ThinksAhead(Protocol):
    """A Responder that can begin before the turn is over; a Mind over one has `decided` and `speculation` too."""

    async def anticipate(self, context: Any) -> None:
        """The turn as far as it was heard. Changes nothing but what is ready early."""

    def decided(self) -> None:
        """The turn is over; what was answered to the tentative turn is the answer."""

    def speculation(self) -> Mapping[str, float]:
        """What thinking ahead won and wasted in the last turn, by the names of `npc.metrics`; handed out once."""


@runtime_checkable
class Placed(Protocol):
    """A Mind that can say where it is, to one that goes on in its place for another player."""

    def place(self) -> Mapping[str, Any]:
        """The scene delta that brings a mind just opened to what this one sees; empty where nothing has changed. The
        player's own (relationship, belongings, flags) is not in it."""


class Responder(Protocol):
    """Turns a prepared context into clauses: `llm` (any LanguageModel), `composed` (retrieval and composition)."""

    name: str

    def respond(self, context: Any) -> AsyncIterator[Clause]: ...


@runtime_checkable
class Mind(Protocol):
    """A character in one conversation with one player. Methods are called from the session's task only."""

    character_id: str

    def bias_words(self) -> tuple[str, ...]:
        """Names and words the recogniser should expect, most important first."""

    def greet(self) -> AsyncIterator[Clause]:
        """The line spoken when a session opens, or nothing."""

    def listen(self, partial: str) -> None:
        """The player is still speaking; think ahead (prefill, retrieval). Must return at once (< 1 ms)."""

    def respond(self, turn: PlayerTurn) -> AsyncIterator[Clause]:
        """Answer. The first clause comes as early as it can; closing the iterator cancels the rest.

        Nothing is remembered from here: a reply the player never heard leaves no trace.
        """

    async def observe(self, event: WorldEvent) -> bool:
        """Take in an event. True when the character wants to say something about it now."""

    async def commit(self, turn: PlayerTurn | None, reply: HeardReply | None) -> None:
        """What was said by the player and what was heard of the reply: write history, memory, emotion."""

    def state(self) -> MindState:
        """The current state; `narrative` entries are handed out once."""

    async def close(self) -> None:
        """Flush memory; release."""
