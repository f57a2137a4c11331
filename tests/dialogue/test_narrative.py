"""Narrative graphs: pure steps, authored lines, and a checker that points at the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.config.authored import AuthoredFileError
from npc.config.paths import data_dir
from npc.dialogue.conditions import Situation
from npc.dialogue.narrative import Happening, Narrative, StoryEffects, StoryState, begin, due, step, turn_dial
from npc.dialogue.narrative_check import check_narrative, load_narrative

VISIT = data_dir("demo") / "characters" / "callum-reid" / "visit.narrative.yaml"
TURN = Happening("turn")


def play(story: Narrative, turns: list[tuple[Happening, Situation]]) -> tuple[StoryState, list[StoryEffects]]:
    state, effects = begin(story, 0.0, Situation())
    all_effects = [effects]
    for number, (happening, situation) in enumerate(turns):
        state, effects = step(story, state, happening, float(number), situation)
        all_effects.append(effects)
    return state, all_effects


def kinds(effects: StoryEffects) -> list[str]:
    return [f"{event['kind'].split('_')[0]}:{event['name']}" for event in effects.events]


def test_the_shipped_story_is_sound() -> None:
    assert check_narrative(VISIT) == ()
    assert load_narrative(VISIT).start == "arrival"


def test_visit_with_proof() -> None:
    story = load_narrative(VISIT)
    asked = Situation(said="I am here to see Mrs Hale")
    proof = Situation(said="Mrs Hale, born on the fourth of May")
    told = Situation(said=proof.said, told=frozenset({"cardiology"}))
    state, effects = play(story, [(TURN, asked), (TURN, proof), (TURN, told)])
    assert kinds(effects[0]) == ["section:arrival"]
    assert kinds(effects[1]) == ["objective:purpose_given", "decision:asks_for_patient", "section:identity"]
    assert "date of birth" in effects[1].intents[0]
    assert kinds(effects[2])[:2] == ["objective:birthday_given", "decision:verified"]
    assert state.variables["identity_verified"] is True
    assert state.ended
    assert step(story, state, TURN, 9.0, told) == (state, StoryEffects())


def test_named_event_jumps_and_says_its_line() -> None:
    story = load_narrative(VISIT)
    state, effects = play(story, [(Happening("event", "collapse"), Situation())])
    assert state.section == "emergency"
    assert effects[-1].say == ("Stay with her. I'm calling the emergency team now.",)
    assert "calm" in effects[-1].intents[0]
    assert state.variables["alarm"] is True


def make(**sections: dict[str, Any]) -> Narrative:
    return Narrative.model_validate(
        {"id": "s", "start": "a", "sections": [{"id": name, **body} for name, body in sections.items()]}
    )


def test_a_loop_of_true_decisions_ends() -> None:
    story = make(a={"decisions": [{"id": "x", "to": "b"}]}, b={"decisions": [{"id": "y", "to": "a"}]})
    state, effects = play(story, [(TURN, Situation())])
    assert state.section in ("a", "b")
    assert len(effects[-1].events) <= 16


def test_once_and_repeat() -> None:
    story = make(
        a={
            "triggers": [
                {"event": "bell", "say": "Once."},
                {"event": "bell", "say": "Always.", "repeat": True, "add": {"n": 1}},
            ]
        }
    )
    bell = (Happening("event", "bell"), Situation())
    state, effects = play(story, [bell, bell])
    assert [e.say for e in effects[1:]] == [("Once.", "Always."), ("Always.",)]
    assert state.variables["n"] == 2


BROKEN = """\
id: s
start: a
sections:
  - id: a
    decisions:
      - {id: x, to: b}
      - {id: y, to: nowhere}
  - id: b
  - id: lost
    end: true
  - id: c
    triggers:
      - {event: e, when: "var:gold>=3", go: c}
    objectives:
      - {id: o, text: one, when: "flag:x"}
      - {id: o, text: two, when: "flag:y"}
    timed:
      - {id: t, after: 5, say: Hm.}
      - {id: t, after: 9, say: Well.}
"""


def test_checker_names_file_line_and_trouble(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(BROKEN)
    found = check_narrative(path)
    for line, words in [
        (7, "there is no section 'nowhere'"),
        (8, "'b' is a dead end"),
        (9, "'lost' cannot be reached"),
        (11, "'c' cannot be reached"),
        (11, "no end can be reached from section 'c'"),
        (6, "'x' always holds"),
        (13, "variable 'gold' is never set"),
        (16, "objective 'o' stands in section 'c' too"),
        (19, "timed event 't' stands twice"),
    ]:
        assert any(f"s.yaml:{line}: " in text and words in text for text in found), (line, words, found)
    with pytest.raises(AuthoredFileError, match="nowhere"):
        load_narrative(path)


@pytest.mark.parametrize(
    "when",
    [
        True,
        5,
        "relationship:lover",
        "wants gold",
        "var:gold",
        {"all": ["flag:x", {"some": []}]},
        ["flag:x", "nonsense"],
    ],
)
def test_bad_conditions_are_refused(when: Any) -> None:
    with pytest.raises(ValueError, match=r"condition|relationship|compares|all, any"):
        make(a={"decisions": [{"id": "x", "to": "a", "when": when}]})


happenings = st.sampled_from([TURN, Happening("event", "collapse"), Happening("event", "unknown")])
situations = st.builds(Situation, said=st.sampled_from(["", "hale", "fourth of may hale"]), told=st.just(frozenset()))


@given(st.lists(st.tuples(happenings, situations), max_size=30))
def test_any_course_keeps_to_the_graph(course: list[tuple[Happening, Situation]]) -> None:
    story = load_narrative(VISIT)
    state, effects = play(story, course)
    assert story.section(state.section) is not None
    assert (state, effects) == play(story, course)
    entered = [e["name"] for effect in effects for e in effect.events if e["kind"] == "section_entered"]
    assert entered[-1] == state.section


TIMED = Narrative.model_validate(
    {
        "id": "timed",
        "start": "waiting",
        "dial": {"slow": {"pace": 2.0}, "fast": {"pace": 0.5, "set": {"cross": True}}},
        "variables": {"cross": False},
        "sections": [
            {
                "id": "waiting",
                "timed": [
                    {"id": "quiet", "after": 4, "of": "silence", "say": "Hello?"},
                    {"id": "leave", "after": 20, "go": "gone", "notice": "The door closes."},
                ],
            },
            {"id": "gone", "end": True, "outcome": "failed"},
        ],
    }
)
TIME = Happening("time")


def test_timed_events_come_when_they_are_due_and_once() -> None:
    state, _ = begin(TIMED, 0.0, Situation())
    assert due(TIMED, state, 0.0) == 4.0
    early, nothing = step(TIMED, state, TIME, 3.9, Situation())
    assert nothing == StoryEffects()
    spoken, _ = step(TIMED, early, TURN, 3.95, Situation())
    assert due(TIMED, spoken, 4.0) == pytest.approx(7.95), "silence begins anew when somebody speaks"
    asked, effects = step(TIMED, spoken, TIME, 7.95, Situation())
    assert effects.say == ("Hello?",)
    again, effects = step(TIMED, asked, TIME, 15.0, Situation())
    assert effects == StoryEffects()
    over, effects = step(TIMED, again, TIME, 20.0, Situation())
    assert (over.section, over.ended, effects.notices) == ("gone", True, ("The door closes.",))
    assert due(TIMED, over, 21.0) is None


def test_the_dial_stretches_time_and_is_a_variable() -> None:
    slow, _ = begin(TIMED, 0.0, Situation(), "slow")
    assert due(TIMED, slow, 0.0) == 8.0
    fast, effects = turn_dial(TIMED, slow, "fast")
    assert due(TIMED, fast, 0.0) == 2.0
    assert fast.variables["cross"] is True
    assert fast.variables["difficulty"] == "fast"
    assert kinds(effects) == ["level:fast"]
    with pytest.raises(KeyError):
        begin(TIMED, 0.0, Situation(), "nightmare")
