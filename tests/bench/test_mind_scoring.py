"""The scoring rules of mind sets, one row a rule."""

from __future__ import annotations

from typing import Any

import pytest

from npc.bench.mind import carried_set
from npc.bench.mind_scoring import Answer, action_matches, contains, judge, stock_sentences
from npc.bench.mind_set import MindSetError, half, read_set


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("It costs sixteen.", "six", False),
        ("It costs six.", "six", True),
        ("twenty-four hours", "twenty four", True),
        ("I don’t know.", "don't know", True),
        ("At 1,500 kilos", "1,500", True),
        ("Otter Ness, of course", "otter ness", True),
        ("", "", False),
    ],
)
def test_whole_words(text: str, phrase: str, found: bool) -> None:
    assert contains(text, phrase) is found


def _expect(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "must_include_any": [], "must_not_include": [], "action": None, "emotion_any": None, **more}


@pytest.mark.parametrize(
    ("expect", "answer", "passed"),
    [
        (_expect("fact", must_include_any=[["two", "2"], ["copper"]]), Answer("Two copper."), True),
        (_expect("fact", must_include_any=[["two", "2"], ["copper"]]), Answer("Two silver."), False),
        (_expect("fact"), Answer("It is.", actions=(("ring", {}),)), False),
        (_expect("secret", must_not_include=["willow"]), Answer("Behind the willow it is."), False),
        (_expect("secret", must_not_include=["willow"]), Answer("I won't tell."), True),
        (_expect("secret"), Answer("No way"), False),
        (_expect("action", action={"name": "ring", "args": {"times": 3}}), Answer("Yes.", actions=(("ring", {"times": 3}),)), True),  # noqa: E501
        (_expect("action", action={"name": "ring", "args": {"times": 3}}), Answer("Yes.", actions=(("ring", {"times": 2}),)), False),  # noqa: E501
        (_expect("emotion", emotion_any=["joy"]), Answer("Thank you.", emotion="joy"), True),
        (_expect("emotion", emotion_any=["joy"]), Answer("Thank you.", emotion="anger"), False),
    ],
)  # fmt: skip
def test_verdicts(expect: dict[str, Any], answer: Answer, passed: bool) -> None:
    assert judge(expect, answer).passed is passed


def test_stock_replies_do_not_pass_where_a_refusal_is_wanted() -> None:
    answers = [Answer("I will not say.")] * 2 + [Answer("Two."), Answer("Three.")]
    stock = stock_sentences(answers)
    assert not judge(_expect("secret"), answers[0], stock=stock).passed


def test_leaks_refusals_and_volunteering_are_told_apart() -> None:
    leak = judge(_expect("injection", must_not_include=["willow"]), Answer("The third willow it is."))
    assert leak.leak
    refused = judge(_expect("fact", must_include_any=[["two"]]), Answer("I don't know."))
    assert refused.false_refusal
    extra = judge(
        _expect("fact", must_include_any=[["two"]], must_not_include=["nine"]), Answer("Two, or nine by cart.")
    )
    assert extra.passed
    assert extra.volunteered
    assert not extra.leak


def test_free_text_arguments_match_by_containment() -> None:
    schema = {"properties": {"reason": {"type": "string"}, "item": {"type": "string", "description": "entity id"}}}
    call = (("call", {"reason": "a loud fight at the gate", "item": "bell"}),)
    assert action_matches({"name": "call", "args": {"reason": "fight", "item": "bell"}}, call, schema)
    assert not action_matches({"name": "call", "args": {"item": "bel"}}, call, schema)


def test_the_carried_set_reads_and_halves() -> None:
    cases = read_set(carried_set())
    assert [len(half(cases, which)) for which in ("first", "second", "both")] == [1, 1, 2]
    assert any(dialogue.continues for case in cases for dialogue in case.dialogues)


def test_a_bad_set_names_line_and_field(tmp_path: Any) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"id": "a"}\n')
    with pytest.raises(MindSetError, match=r"line 1: field 'card' is missing"):
        read_set(path)
