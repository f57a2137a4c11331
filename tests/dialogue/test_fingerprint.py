"""Hashes of what replies rest on."""

from __future__ import annotations

from npc.dialogue.character import Character
from npc.dialogue.fingerprint import fingerprints


def test_a_changed_character_has_another_hash_and_the_same_mind() -> None:
    card = {"id": "bo", "name": "Bo", "role": "baker", "biography": "Bo bakes."}
    one, same = (fingerprints(Character.model_validate(card)) for _ in range(2))
    other = fingerprints(Character.model_validate({**card, "facts": [{"id": "f", "text": "Rye costs two."}]}))
    assert one == same
    assert set(one) == {"character", "mind"}
    assert one["mind"] == other["mind"]
    assert one["character"] != other["character"]
