"""The parts of a session, for those that speak to several of them."""

from __future__ import annotations

from dataclasses import dataclass

from npc.conversation.answering import Answering
from npc.conversation.attending import Attending
from npc.conversation.character_side import CharacterSide
from npc.conversation.company import Company
from npc.conversation.hearing import Hearing
from npc.conversation.terms import Terms
from npc.conversation.turns import Turns


@dataclass(frozen=True, slots=True)
class Parts:
    """Made by the session, in an order in which each knows only those made before it."""

    hearing: Hearing
    attending: Attending
    answering: Answering
    turns: Turns
    character: CharacterSide
    terms: Terms
    company: Company
