"""What a session's client may change while it lasts: its settings, who the player is, who the character's mind is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from npc.conversation.answering import Answering
from npc.conversation.attending import Attending
from npc.conversation.detection import detector_for, gate_for
from npc.conversation.ground import Ground
from npc.conversation.hearing import Hearing
from npc.conversation.people import PlayerRef, Temperament
from npc.dialogue.interface import Mind, Placed
from npc.dialogue.tools import ClientTool, Equipment, Equippable, Unusable, equipment_of
from npc.protocol import Session


class Terms:
    """Changes the effective session, and what hangs on it."""

    def __init__(self, ground: Ground, hearing: Hearing, attending: Attending, answering: Answering) -> None:
        self._ground, self._hearing, self._attending, self._answering = ground, hearing, attending, answering
        self._equipment = Equipment()

    def listen_as_asked(self) -> None:
        """Ear and listening body as the effective session wants them."""
        session = self._ground.session
        detection = session.audio.input.turn_detection
        self._hearing.configure(detector_for(detection, self._ground.engines.detector), gate_for(detection))
        cues = session.npc.cues if session.npc is not None else None
        self._attending.configure(cues, session.audio.input.format.rate)
        self._hearing.ear.pitched = self._attending.wanted

    def change(self, session: Session) -> None:
        """After `session.update`."""
        old, self._ground.session = self._ground.session, session
        if session.audio.input.format.rate != old.audio.input.format.rate:
            self._hearing.set_rate(session.audio.input.format.rate)
        self._heed()

    def take_interruptions(self, temperament: Temperament) -> None:
        """As this character does."""
        self._ground.engines = replace(self._ground.engines, temperament=temperament)
        self._heed()

    def _heed(self) -> None:
        ground = self._ground
        ground.turn = replace(ground.turn, rules=ground.rules())
        self.listen_as_asked()
        data = {"session": ground.session.model_dump(mode="json"), "rules": asdict(ground.turn.rules)}
        ground.record("session.updated", data)

    def equip(self) -> tuple[Unusable, ...]:
        """The client's functions become what the character can do; those that it can never call come back."""
        session = self._ground.session
        offered = session.tools if session.tool_choice != "none" else ()
        tools = [ClientTool(tool.name, tool.description or "", tool.parameters) for tool in offered]
        self._equipment, unusable = equipment_of(tools)
        self._equip(self._ground.mind)
        return unusable

    def _equip(self, mind: Mind) -> None:
        if isinstance(mind, Equippable):
            mind.equip(self._equipment)

    def set_player(self, player: PlayerRef, *, keep_mind: bool) -> Mapping[str, Any]:
        """Another player than the ticket named, or another wish about privacy: the mind is opened anew, unless it
        is a companion's. Another name is heard with the next turn. Returns what the new mind must be told of the
        scene."""
        before, self._ground.player = self._ground.player, player
        same = replace(player, name=before.name, locale=before.locale) == before
        if same or keep_mind:
            return {}
        mind = self._ground.mind
        scene = mind.place() if isinstance(mind, Placed) else {}
        self.swap_mind(self._ground.engines.open_mind(player))
        return scene

    def swap_mind(self, mind: Mind) -> None:
        """The character goes on as another mind; the old one is closed."""
        old, self._ground.mind = self._ground.mind, mind
        self._equip(mind)
        self._answering.mind = mind
        self._hearing.expect(self._ground.bias())
        self._ground.spawn(old.close())
