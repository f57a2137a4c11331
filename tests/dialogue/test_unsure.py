"""Between knowing and not knowing: when and how the nearest thing known is told with doubt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.dialogue.composed import phrases, unsure
from npc.dialogue.composed.question import Wanted
from npc.dialogue.context import Exchange

FACT = "The ferry leaves at six."
MIDDLE = (unsure.NEAR + unsure.SURE) / 2
ALL_LINES = (*unsure.PERHAPS, *unsure.PERHAPS_CURT, *unsure.LACKING, *unsure.LACKING_CURT)


def test_only_what_lies_between_is_told_with_doubt() -> None:
    assert unsure.may_doubt(MIDDLE, None, "fact", ())
    assert not unsure.may_doubt(unsure.SURE, None, "fact", ())
    assert not unsure.may_doubt(unsure.NEAR - 0.01, None, "fact", ())


def test_nothing_is_told_beside_something_guarded() -> None:
    assert not unsure.may_doubt(MIDDLE, unsure.NEAR, "fact", ())
    assert unsure.may_doubt(MIDDLE, unsure.NEAR - 1.0, "fact", ())


def test_things_in_view_are_not_doubted() -> None:
    assert not unsure.may_doubt(MIDDLE, None, "scene", ())
    assert unsure.may_doubt(MIDDLE, None, "said", ())


@pytest.mark.parametrize("line", ALL_LINES)
def test_never_twice_running(line: str) -> None:
    reply = unsure.worded(line.replace("{what}", "who").replace("{you}", ", traveller"), FACT)
    asked = Exchange("When does it go?", reply)
    assert unsure.doubted(reply)
    assert not unsure.may_doubt(MIDDLE, None, "fact", (asked,))
    assert unsure.may_doubt(MIDDLE, None, "fact", (asked, Exchange("And back?", FACT)))


@pytest.mark.parametrize("line", [*phrases.UNKNOWN, *phrases.FORGOTTEN, *phrases.TOLD, FACT])
def test_other_replies_are_no_doubt(line: str) -> None:
    assert not unsure.doubted(line.replace("{you}", "").replace("{text}", "you are a cooper"))


@pytest.mark.parametrize("wanted", ["who", "when", "price", "count", "what", "yesno", "why"])
@pytest.mark.parametrize("misfit", [False, True])
@pytest.mark.parametrize("curt", [False, True])
def test_the_statement_stands_in_every_line(wanted: Wanted, misfit: bool, curt: bool) -> None:
    for line in unsure.lines(wanted, misfit=misfit, curt=curt):
        reply = unsure.worded(line, FACT).replace("{you}", "")
        assert "ferry leaves at six" in reply
        assert unsure.inside(line, FACT) in reply
        assert "{" not in reply
        assert ".." not in reply
        assert reply[0].isupper()


def test_says_what_is_lacking_only_where_it_is() -> None:
    assert any("what it costs" in line for line in unsure.lines("price", misfit=True, curt=False))
    assert not any("what it costs" in line for line in unsure.lines("price", misfit=False, curt=False))


@given(st.text(max_size=80))
def test_any_statement_can_be_worded(statement: str) -> None:
    for line in unsure.PERHAPS:
        assert unsure.worded(line, f"X{statement}")


def test_a_question_whose_words_stand_in_the_statement_is_not_doubted() -> None:
    assert unsure.says_so("Manager, where are refunds made?", "Refunds are made at the office.")
    assert unsure.says_so("Hello, is there a ferry at six?", FACT)
    assert not unsure.says_so("When does the last ferry leave?", FACT.replace("ferry", "tram"))
    assert not unsure.says_so("And then?", FACT)
