"""What a Responder is given for one turn: everything the mind decided before words are chosen.

The facade (`mind.py`) fills it; `composed` and `llm` read it. Nothing in it can be changed, and nothing that this
character may not tell this player now is in `knowledge`: the gate stands before it (see `knowledge/gate.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from npc.animation.interface import Affect
from npc.dialogue.character import ActionSpec
from npc.dialogue.interface import Action, PlayerTurn

#: What the player's turn is to the character, decided by safety, actions and emotion before a reply is composed.
Act = Literal["open", "action", "action_refused", "injection", "unsafe"]


class EntityView(Protocol):
    """A thing in the scene, as a reply may name it."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...


class SceneView(Protocol):
    """What the character can see: where, when, the visible things and the one attended to (an entity id)."""

    @property
    def location(self) -> str: ...
    @property
    def time(self) -> str: ...
    @property
    def entities(self) -> Sequence[EntityView]: ...
    @property
    def attention(self) -> str | None: ...


def in_focus(scene: SceneView, limit: int) -> tuple[EntityView, ...]:
    """The first `limit` things of a scene, what is attended to among them: of ten thousand, that one must not be
    missing."""
    first = tuple(scene.entities[:limit])
    if scene.attention is None or any(thing.id == scene.attention for thing in first):
        return first
    attended = next((thing for thing in scene.entities[limit:] if thing.id == scene.attention), None)
    return first if attended is None else (*first[:-1], attended)


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier player turn with the reply as heard, and the facts the reply cited. `plain` is the composer's own
    reply where a wording model said it in other words."""

    player: str
    reply: str = ""
    fact_ids: tuple[str, ...] = ()
    plain: str = ""

    @property
    def read(self) -> str:
        """The reply that later turns are understood by: what was told, not how it was put."""
        return self.plain or self.reply


@dataclass(frozen=True, slots=True)
class Context:
    """One turn. `history` is oldest first and excludes `turn`; `standing` holds what the game or the stored
    relationship says (`relationship` -> "trusted"/…, any other game flags): never what the player claims.

    act "action": `action` is about to be done, compose its spoken line. "action_refused": `refusal` is the reason in
    plain words or "" (cite `refusal_fact` when a fact is the reason). "injection"/"unsafe": deflect in character
    (`scripted` is the fixed safe line where one must be used). `reaction` is how the turn strikes the character
    (insult, praise, thanks, threat, sympathy, bad_news, good_news, apology, plea, none).
    """

    turn: PlayerTurn
    act: Act = "open"
    reaction: str = "none"
    action: Action | None = None
    refusal: str = ""
    refusal_fact: str | None = None
    scripted: str = ""
    scene: SceneView | None = None
    history: tuple[Exchange, ...] = ()
    affect: Affect = Affect()
    offer: str = ""
    """A question that offers what was perhaps meant ("Shall I ring the bell?"), where there is nothing else to say."""
    standing: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    actions: tuple[ActionSpec, ...] = ()
    """What the client of this talk can do besides the character's own actions."""
    seed: int = 0
    event: str = ""
    """Plain words for what just happened, when the turn has none: remark on it (a result, a thing seen, a silence)."""
    whisper: str = ""
    """An instructor's hint, to be followed where the character can; never read out as it stands."""
    said: str = ""
    """Words of this reply that were already spoken by another model before it failed: go on from there."""

    @property
    def told(self) -> frozenset[str]:
        """The facts that were cited to the player earlier in this talk."""
        return frozenset(fact for exchange in self.history for fact in exchange.fact_ids)
