"""Arguments read from whole turns: what the request points back to, whom it names, which of two choices is meant."""

from __future__ import annotations

import pytest

from npc.dialogue.actions_choice import Surroundings
from npc.dialogue.actions_slots import fill
from npc.dialogue.actions_text import free_text, person
from npc.dialogue.character import ActionSpec
from npc.dialogue.scene import SceneState


@pytest.mark.parametrize(
    ("turn", "request_", "text"),
    [
        ("There's a man at Otter Rock. Get the boat to him.", "Get the boat to him.", "There's a man at Otter Rock"),
        ("Would you grant me a padded saddle for my poor back, then?", "", "a padded saddle"),
        ("Tell them that the gate is open.", "", "the gate is open"),
    ],
)
def test_free_text_is_what_the_request_is_about(turn: str, request_: str, text: str) -> None:
    assert free_text("note", request_ or turn, turn) == text


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        ("Follow the Colonel for me tonight.", "the Colonel"),
        ("Find me a bed then: Roland Pike, number five looks soft.", "Roland Pike"),
        ("Write Joan Fuller on your slate, I'll pay on Friday.", "Joan Fuller"),
        ("Telephone the brush company in Leeds for me.", "the brush company"),
    ],
)
def test_somebody_is_named(turn: str, name: str) -> None:
    assert person(Surroundings(SceneState(), turn=turn), "person") == name


@pytest.mark.parametrize(
    ("turn", "side"),
    [
        ("Open the inner one for me, the outer one's shut.", "inner"),
        ("Open the outer one, no, the inner one.", "inner"),
        ("Open the outer one, not the inner one.", "outer"),
    ],
)
def test_of_two_choices_the_one_meant(turn: str, side: str) -> None:
    spec = ActionSpec(
        name="open_gate",
        description="Open a gate",
        parameters={
            "type": "object",
            "properties": {"side": {"type": "string", "enum": ["outer", "inner"]}},
            "required": ["side"],
        },
    )
    assert fill(spec, turn, Surroundings(SceneState(), turn=turn)).arguments == {"side": side}
