"""How a character speaks, as one of the model's manners, read from the card."""

from __future__ import annotations

import re

from npc.dialogue.character import Character

#: In this order: the first that the speaking style names wins, then the personality decides.
_STYLES = (
    ("curt", r"\b(blunt|curt|terse|clipped|gruff|few words|laconic|short-spoken|monosyllab\w+|brusque)\b"),
    ("dry", r"\b(dry|wry|sardonic|sarcastic|deadpan|ironic|witty|mocking)\b"),
    ("formal", r"\b(formal|precise|correct|courteous|courtly|polite|official|measured|stiff|professional|dignified)\b"),
    ("warm", r"\b(warm|gentle|kind|motherly|fatherly|soft|caring|tender|affectionate|hearty|cheerful)\b"),
    ("eager", r"\b(eager|excited|enthusiastic|breathless|bubbly|lively|chatty|talkative|quick|energetic)\b"),
)


def manner_of(character: Character) -> str:
    """One of `contract.MANNERS`."""
    style = character.speaking_style.lower()
    found = [(match.start(), manner) for manner, pattern in _STYLES if (match := re.search(pattern, style))]
    if found:
        return min(found)[1]
    trait = character.personality
    if trait.agreeableness >= 0.75:
        return "warm"
    if trait.extraversion >= 0.75:
        return "eager"
    if trait.agreeableness <= 0.25:
        return "curt"
    return "formal" if trait.conscientiousness >= 0.85 else "plain"
