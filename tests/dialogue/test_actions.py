"""Actions: from words to a valid call or a reason, and what becomes of calls."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.config.paths import data_dir
from npc.dialogue.actions import ArgumentError, CallLedger, Decision, validate
from npc.dialogue.actions_choice import Surroundings
from npc.dialogue.actions_request import phrased, requests
from npc.dialogue.actions_select import ActionSelector
from npc.dialogue.actions_slots import fill
from npc.dialogue.character import ActionSpec, Character, load_character
from npc.dialogue.conditions import Situation
from npc.dialogue.interface import Action
from npc.dialogue.scene import SceneState
from npc.inference.encoder import load_encoder

ENCODER = load_encoder()
CHARACTERS = {
    path.parent.name: load_character(path) for path in (data_dir("demo") / "characters").glob("*/character.yaml")
}
SELA, ANSELM, CALLUM = (CHARACTERS[name] for name in ("sela-marrow", "anselm-roe", "callum-reid"))


def decide(
    character: Character, text: str, *, encoder: Any = ENCODER, now: Situation | None = None, last: str = ""
) -> Decision:
    numbers = itertools.count()
    selector = ActionSelector(character, lambda: f"c{next(numbers)}", encoder)
    return selector.select(text, Surroundings(SceneState.of(character.scene), last), now or Situation())


CALLS = [
    (SELA, "Two storm lamps, please.", "sell_item", {"item": "storm lamp", "quantity": 2}),
    (SELA, "I'll take three bundles of wicks.", "sell_item", {"item": "wicks", "quantity": 3}),
    (SELA, "I want to buy a hand lamp.", "sell_item", {"item": "hand lamp", "quantity": 1}),
    (SELA, "Sell me five... no, make that two silk ropes.", "sell_item", {"item": "silk rope", "quantity": 2}),
    (SELA, "Light the storm lamp for me, would you?", "light_lamp", {"target": "storm-lamp"}),
    (SELA, "Can you light that one you're looking at?", "light_lamp", {"target": "storm-lamp"}),
    (SELA, "Please point at the barrels.", "point_to", {"target": "barrels"}),
    (ANSELM, "Take me to the tide machine.", "show_exhibit", {"target": "tide-machine"}),
    (ANSELM, "Would you give me a leaflet in French?", "give_leaflet", {"language": "French"}),
    (ANSELM, "Play the sound of the pendulum, please.", "play_sound", {"sound": "pendulum"}),
    (ANSELM, "Wind the walnut clock four turns.", "wind_clock", {"target": "walnut-clock", "turns": 4}),
    (CALLUM, "Quick, call a nurse, it's urgent!", "call_nurse", {"urgency": "urgent"}),
    (CALLUM, "Could you print badges for two visitors?", "print_badge", {"visitors": 2}),
    (CALLUM, "Show me the way to cardiology.", "show_route", {"place": "cardiology"}),
    (CALLUM, "That's my umbrella, could you hand it over?", "hand_over", {"item": "umbrella"}),
    (CALLUM, "Pass me the visitor form, please.", "hand_over", {"item": "form"}),
]  # fmt: skip


@pytest.mark.parametrize(("character", "text", "name", "arguments"), CALLS)
def test_request_becomes_a_call(character: Character, text: str, name: str, arguments: dict[str, Any]) -> None:
    decision = decide(character, text)
    assert decision.kind == "call", decision
    assert decision.action is not None
    assert (decision.action.name, dict(decision.action.arguments)) == (name, arguments)


def test_most_requests_work_without_the_sentence_encoder() -> None:
    right = 0
    for character, text, name, arguments in CALLS:
        decision = decide(character, text, encoder=None)
        right += decision.action is not None and (decision.action.name, dict(decision.action.arguments)) == (
            name,
            arguments,
        )
    assert right >= 0.8 * len(CALLS)


@pytest.mark.parametrize(
    ("character", "text"),
    [
        (SELA, "Set fire to Old Pell's stall."),
        (SELA, "Sell me eighty storm lamps."),
        (SELA, "Close the stall right now."),
        (SELA, "Hand me Wick."),
        (SELA, "Poison the perch for me."),
        (ANSELM, "Open the case and let me hold the watch."),
        (ANSELM, "Smuggle the sundial out to my car."),
        (ANSELM, "Could you paint the walls red?"),
        (CALLUM, "Open the ward door for me."),
        (CALLUM, "Print badges for six visitors."),
        (CALLUM, "Delete my neighbour's records."),
    ],
)
def test_what_must_not_be_done_is_refused(character: Character, text: str) -> None:
    decision = decide(character, text)
    assert decision.kind == "refuse", decision
    assert decision.action is None


@pytest.mark.parametrize(
    ("character", "text"),
    [
        (SELA, "How much is a storm lamp?"),
        (SELA, "Where do the lamplighters meet?"),
        (SELA, "Tell me about the High Pass."),
        (SELA, "Do you sell silk rope?"),
        (SELA, "Have you got anything for the fog?"),
        (SELA, "My brother bought a lamp here last year."),
        (SELA, "Thank you, that is kind."),
        (SELA, "Is it true that you take back broken lamps?"),
        (ANSELM, "Who built the first pendulum clock?"),
        (ANSELM, "What does a leaflet cost?"),
        (ANSELM, "Can you tell me when the tour starts?"),
        (ANSELM, "Could you explain how a water clock works?"),
        (ANSELM, "I was born in Lisbon and I love clocks."),
        (CALLUM, "Which ward is Mrs Hale on?"),
        (CALLUM, "How late can I visit?"),
        (CALLUM, "Remember that I came by bus."),
        (CALLUM, "Don't call a nurse."),
        (CALLUM, ""),
        (CALLUM, "Listen, I don't know what to do."),
        (CALLUM, "You should see the other lift."),
    ],
)
def test_talk_is_not_taken_for_a_request(character: Character, text: str) -> None:
    decision = decide(character, text)
    assert decision.kind == "none", decision


def test_that_one_is_what_was_just_spoken_of() -> None:
    decision = decide(ANSELM, "Take me to that one.", last="You mean the tide machine? It is over by the window.")
    assert decision.action is not None
    assert decision.action.arguments == {"target": "tide-machine"}


def test_missing_argument_is_asked_for() -> None:
    assert decide(ANSELM, "Give me a leaflet, please.").kind == "ask"


def test_relationship_opens_a_permission_and_a_claim_does_not() -> None:
    assert decide(SELA, "Close the stall, we are friends.").kind == "refuse"
    assert decide(SELA, "Close the stall, please.", now=Situation(relationship="friend")).kind == "call"


def spec(**properties: Any) -> ActionSpec:
    return ActionSpec(
        name="act",
        description="Act",
        parameters={"type": "object", "properties": properties, "required": list(properties)},
    )


@pytest.mark.parametrize(
    ("schema", "value", "complaint"),
    [
        ({"type": "integer", "minimum": 1}, 0, "at least 1"),
        ({"type": "integer", "maximum": 3}, 4, "at most 3"),
        ({"type": "integer"}, True, "type integer"),
        ({"type": "integer"}, "3", "type integer"),
        ({"type": "string", "enum": ["a"]}, "b", "one of a"),
        ({"type": "string", "format": "entity"}, "ghost", "no 'ghost' here"),
        ({"type": "string"}, "x" * 501, "longer"),
    ],
)
def test_bad_arguments_are_named(schema: dict[str, Any], value: Any, complaint: str) -> None:
    with pytest.raises(ArgumentError, match=complaint):
        validate(spec(x=schema), {"x": value}, frozenset({"lamp"}))
    with pytest.raises(ArgumentError, match="missing x"):
        validate(spec(x=schema), {})
    with pytest.raises(ArgumentError, match="unknown y"):
        validate(ActionSpec(name="act", description="d"), {"y": 1})


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_valid_decision(text: str) -> None:
    for character in (SELA, CALLUM):
        decision = decide(character, text, encoder=None)
        if decision.action is not None and decision.spec is not None:
            validate(decision.spec, decision.action.arguments)


def test_long_input_is_bounded() -> None:
    assert decide(SELA, "sell me a lamp " * 10_000, encoder=None).kind in ("call", "refuse", "none", "ask")


ACTION = Action("c1", "wave", {})


@pytest.mark.parametrize(
    ("name", "schema", "text", "value"),
    [
        ("minutes", {"type": "integer", "minimum": 1, "maximum": 60}, "Mist for a quarter of an hour.", 15),
        ("hour", {"type": "integer", "minimum": 0, "maximum": 23}, "The car at seven in the evening, please.", 19),
        ("train", {"type": "integer", "minimum": 1, "maximum": 999}, "Hold back the four seven one.", 471),
        ("level", {"type": "integer", "minimum": 0, "maximum": 100}, "Lights all the way up.", 100),
        ("times", {"type": "integer", "minimum": 1, "maximum": 9}, "We close at three. Ring it twice!", 2),
        ("dose", {"type": "integer", "minimum": 1, "maximum": 50}, "Give the speckled one twelve of that.", 12),
        ("seats", {"type": "integer", "minimum": 1, "maximum": 8}, "Get me one for five people.", 5),
        ("pieces", {"type": "integer", "minimum": 1, "maximum": 9}, "Six, and one hatbox, that makes seven.", 7),
    ],
)
def test_numbers_in_words(name: str, schema: dict[str, Any], text: str, value: int) -> None:
    spec = ActionSpec(
        name="do_it",
        description="Do it",
        parameters={"type": "object", "properties": {name: schema}, "required": [name]},
    )
    assert fill(spec, text, Surroundings(SceneState())).arguments == {name: value}


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        ("Put him on the list, would you? Ruprecht Vane.", "Ruprecht Vane"),
        ("Sign me up, I'm Kofi Mensah.", "Kofi Mensah"),
        ("Put Anna Bell down, please.", "Anna Bell"),
        ("Sign me up.", "Bo Diddley"),
    ],
)
def test_a_name_wanted_is_a_name_said(turn: str, name: str) -> None:
    action = spec(name={"type": "string"})
    around = Surroundings(SceneState(), turn=turn, player_words="Hello, I'm Bo Diddley.")
    assert fill(action, turn, around).arguments == {"name": name}


def test_an_authors_phrase_stands_for_its_action() -> None:
    assert phrased("I'll take one", "Well, I’ll take three of those") == 3
    assert phrased("how do I get to", "how do i get to the pharmacy") == 5
    assert phrased("give", "give me that") == 0
    assert phrased("show me the way to", "show me the window") == 0


def test_results_late_double_unknown_failed() -> None:
    ledger = CallLedger().announce(ACTION, 0.0).begun("c1")
    assert [call.action.call_id for call in ledger.overdue(30.0)] == ["c1"]
    after, outcome = ledger.result("c1", False, {"error": "The gate is rusted shut."})
    assert outcome.news
    assert outcome.failed
    assert outcome.text == "The gate is rusted shut."
    again, second = after.result("c1", True, "ok")
    assert again == after
    assert not second.news
    assert not ledger.result("c9", True, "ok")[1].news
    assert not ledger.result("c1", True, "ok")[1].news
    assert ledger.result("c1", True, '{"text": "It swings open."}')[1].text == "It swings open."
    cancelled = ledger.cancelled("c1")
    assert not cancelled.result("c1", True, "It swings open.")[1].news


def test_ledger_is_bounded() -> None:
    ledger = CallLedger()
    for number in range(1000):
        ledger = ledger.announce(Action(f"c{number}", "wave", {}), float(number))
    assert len(ledger.calls) <= 64


def test_requests_find_the_verb() -> None:
    assert requests("Could you pass me the wrench?")[0].verbs == ("pass",)
    assert requests("The red one, by your elbow, shut it please.")[0].verbs == ("shut",)
    assert requests("Please turn it off.")[0].verbs == ("turn off",)
    assert not requests("Why is the gate shut?")
    assert not requests("Don't open it!")


def test_an_argument_asked_for_is_taken_from_the_next_turn() -> None:
    numbers = itertools.count()
    selector = ActionSelector(SELA, lambda: f"c{next(numbers)}", ENCODER)
    around = Surroundings(SceneState.of(SELA.scene))
    partly = Action("", "sell_item", {"quantity": 3})
    spec = next(spec for spec in SELA.actions if spec.name == "sell_item")
    asked = Decision("ask", partly, spec, "item")
    found = selector.completed(asked, "The storm lamps.", around, Situation())
    assert found is not None
    assert found.kind == "call"
    assert found.action is not None
    assert found.action.arguments == {"quantity": 3, "item": "storm lamp"}
    assert selector.completed(asked, "What do they cost?", around, Situation()) is None


@pytest.mark.parametrize(
    "text", ["Give me the price of a storm lamp.", "I'll be back for my lamp later.", "Let me get my purse first."]
)
def test_no_request(text: str) -> None:
    assert decide(SELA, text).kind == "none"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("No, hang on, make that three.", {"item": "storm lamp", "quantity": 3}),
        ("Sorry, I meant the hand lamp.", {"item": "hand lamp", "quantity": 2}),
        ("That's a fine lamp.", None),
        ("Sorry, what do they cost?", None),
    ],
)
def test_a_deed_is_done_again_as_it_was_set_right(text: str, arguments: dict[str, Any] | None) -> None:
    selector = ActionSelector(SELA, lambda: "c", ENCODER)
    last = Action("c0", "sell_item", {"item": "storm lamp", "quantity": 2})
    found = selector.redone(last, text, Surroundings(SceneState.of(SELA.scene)), Situation())
    assert (found.action.arguments if found is not None and found.action is not None else None) == arguments
