"""Scenes and conditions: deltas, reference, ten thousand things, and conditions that open nothing by mistake."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.dialogue.character import Entity, Scene
from npc.dialogue.conditions import Situation, holds, is_sentence, problem_of
from npc.dialogue.scene import MAX_ENTITIES, SceneState

SHED = SceneState.of(
    Scene(
        location="shed",
        entities=(
            Entity(id="chest_l", kind="chest", name="left chest", description="an oak chest"),
            Entity(id="chest_r", kind="chest", name="right chest", description="a blue chest, locked"),
            Entity(id="ghost", name="ghost", visible=False),
            Entity(id="locker4", kind="locker", name="locker four"),
        ),
        attention="chest_r",
    )
)


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("open the left chest", "chest_l"),
        ("the blue one, please", "chest_r"),
        ("give me that", "chest_r"),
        ("the one you're looking at", "chest_r"),
        ("what is in locker four?", "locker4"),
        ("show me the ghost", None),
        ("at half past four", None),
        ("", None),
    ],
)
def test_words_point_at_things(phrase: str, wanted: str | None) -> None:
    found = SHED.refer(phrase)
    assert (found[0].entity.id if found else None) == wanted


def test_deltas_change_add_remove_and_complain() -> None:
    state, problems = SHED.apply(
        {
            "entities": [
                {"id": "chest_l", "state": {"open": True}, "held_by": None},
                {"id": "lamp", "name": "lamp"},
                {"id": "ghost", "removed": True},
                {"id": "nobody", "visible": True},
                {"id": "chest_r", "position": [1, 2]},
                "nonsense",
            ],
            "time": "night",
            "location": 5,
            "attention": "nobody",
        }
    )
    assert state.everything["chest_l"].state == {"open": True}
    assert "lamp" in state.everything
    assert "ghost" not in state.everything
    assert state.time == "night"
    assert state.location == "shed"
    assert len(problems) == 5
    assert any("there is no entity 'nobody'" in text for text in problems)
    assert "lamp" not in SHED.everything
    gone, _ = state.apply({"entities": [{"id": "chest_r", "removed": True}]})
    assert gone.attention is None


@pytest.mark.parametrize(
    "delta",
    [
        {"attention": ["chest_l"]},
        {"attention": 5},
        {"entities": [{"id": "chest_l", "position": "far"}, {"id": 3}, None]},
        {"entities": [{"id": "chest_l", "state": [1]}, {"id": "chest_l", "aliases": "one"}]},
        {"entities": 5, "location": 3, "player": [], "state": "x"},
    ],
)
def test_a_bad_delta_is_a_complaint_and_never_an_error(delta: dict[str, Any]) -> None:
    state, problems = SHED.apply(delta)
    assert problems
    assert state.entities == SHED.entities


@given(
    st.lists(st.sampled_from(["chest", "door", "boy", "lamp", "cat"]), max_size=5, unique=True),
    st.lists(st.sampled_from(["chest", "door", "boy", "lamp", "cat"]), max_size=5, unique=True),
    st.booleans(),
)
def test_the_delta_since_a_scene_makes_the_later_of_it(before: list[str], after: list[str], held: bool) -> None:
    one, _ = SceneState(location="hall").apply({"entities": [{"id": name, "name": name} for name in before]})
    given_now = [{"id": name, "name": f"old {name}", "held_by": "player" if held else None} for name in after]
    two, _ = SceneState(time="dusk").apply({"entities": given_now, "attention": after[0] if after else None})
    made, problems = one.apply(two.since(one))
    assert not problems
    assert (dict(made.everything), made.attention, made.time) == (dict(two.everything), two.attention, "dusk")
    assert two.since(two) == {}


def test_ten_thousand_entities() -> None:
    state, problems = SceneState().apply(
        {"entities": [{"id": f"jar{n}", "kind": "jar", "name": f"jar number {n}"} for n in range(10_000)]}
    )
    assert not problems
    assert state.refer("bring me jar number 7031")[0].entity.id == "jar7031"
    _, problems = state.apply({"entities": [{"id": f"x{n}", "name": "x"} for n in range(MAX_ENTITIES)]})
    assert "already holds" in problems[0]


NOW = Situation(
    relationship="friend",
    flags={"met": True, "off": "false"},
    variables={"gold": 5, "name": "Max", "stored": "false"},
    scene=SHED.apply(
        {"entities": [{"id": "chest_l", "held_by": "player", "state": {"open": True}}], "time": "late at night"}
    )[0],
    said="I know the word, it's nine-toes!",
    told=frozenset({"f1"}),
    turns=3,
    elapsed=61.0,
)


@pytest.mark.parametrize(
    "condition",
    [
        None,
        [],
        "relationship:friend",
        "relationship:stranger",
        "flag:met",
        "not flag:off",
        "var:gold>=5",
        "var:name=max",
        "scene:chest_l.open=true",
        "scene:chest_r",
        "not scene:ghost",
        "holds:chest_l",
        "said:'nine toes'",
        "told:f1",
        "time:night",
        "turns>=3",
        "elapsed>60",
        {"all": ["flag:met", {"not": "flag:off"}]},
        {"any": ["flag:x", "turns=3"]},
        {"all": "flag:met"},
        {"any": "turns=3"},
        "var:stored=false",
        "var:name!=moritz",
    ],
)
def test_true_conditions(condition: Any) -> None:
    assert holds(condition, NOW)


@pytest.mark.parametrize(
    "condition",
    [
        "relationship:trusted",
        "relationship:lover",
        "flag:nothing",
        "flag:off",
        "var:gold>5",
        "var:none>=0",
        "var:gold",
        "scene:chest_r.open=true",
        "scene:nothing",
        "said:'nine'x",
        "said:'toes nine'",
        "said:''",
        "told:f2",
        "time:day",
        "turns>3",
        "wants to be friends",
        "not wants to be friends",
        {"some": []},
        {"all": ["flag:met", "flag:x"]},
        {"all": "flag:x"},
        "var:stored=true",
        "var:none=false",
        "var:none!=5",
        "scene:chest_r.locked=false",
        True,
        5,
        {"all": 5},
    ],
)
def test_false_conditions(condition: Any) -> None:
    assert not holds(condition, NOW)


def test_sentences_are_told_apart() -> None:
    assert is_sentence("says the password 'x'")
    assert not is_sentence("flag:x")
    assert problem_of("says the password") is not None
    assert problem_of({"all": ["flag:x", "turns>=2"]}) is None
    assert problem_of({"all": "flag:x"}) is None


@pytest.mark.parametrize("condition", [5, True, {"all": 5}, "var:gold==5", "var:gold=>5", "scene:door.open==true"])
def test_what_could_never_hold_is_a_problem(condition: Any) -> None:
    assert problem_of(condition) is not None


@given(st.text(max_size=60))
def test_any_condition_is_judged_without_error(text: str) -> None:
    assert holds(text, Situation()) in (True, False)
    problem_of(text)
