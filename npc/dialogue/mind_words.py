"""Which words the recogniser should expect from a player who talks to this character: names and goods, no secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable

from npc.dialogue.character import Character
from npc.dialogue.knowledge.words import names_in
from npc.dialogue.scene import SceneState

#: pocketsphinx searches every added word; past a few hundred, added names begin to be heard where there are none.
MAX_WORDS = 250


def bias_words(character: Character, scene: SceneState) -> tuple[str, ...]:
    """Most important first: own name, lexicon, people, names in open facts, things in view, choices of actions."""
    found: dict[str, None] = {}

    def add(texts: Iterable[str]) -> None:
        for text in texts:
            for word in re.findall(r"[A-Za-z][A-Za-z'’-]+", text):
                found.setdefault(word.replace("’", "'"), None)

    add([character.name])
    add(character.lexicon)
    add(tie.name for tie in character.relationships)
    for fact in character.facts:
        if not fact.is_secret:
            add(_capitalised(fact.text))
    add(_capitalised(character.biography[:20_000]))
    add(entity.name for entity in scene.entities[:200])
    for action in character.actions:
        for schema in action.parameters.get("properties", {}).values():
            add(str(choice).replace("_", " ") for choice in schema.get("enum", ()))
    return tuple(found)[:MAX_WORDS]


def _capitalised(text: str) -> list[str]:
    lower = set(names_in(text))
    return [word for word in re.findall(r"[A-Z][A-Za-z'’-]+", text) if word.lower().split("'")[0] in lower]
