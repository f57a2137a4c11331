"""Which of two passes is believed."""

from __future__ import annotations

import pytest

from npc.asr.interface import Hypothesis
from npc.asr.passes import LOW, believed


def heard(text: str, confidence: float) -> Hypothesis:
    return Hypothesis(text, confidence=confidence)


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (heard("where is Velkora", 0.8), heard("where is the core", 0.7), "where is Velkora"),
        (heard("where is helpful", 0.6), heard("where is Velkora", 0.7), "where is Velkora"),
        (heard("where is helpful", LOW - 0.01), heard("where is Velkora", 0.1), "where is Velkora"),
        (heard("", 0.9), heard("hello", 0.2), "hello"),
        (heard("hello", 0.7), heard("yellow", 0.7), "hello"),
    ],
)
def test_the_surer_pass_is_believed_and_the_second_where_the_first_is_unsure(
    first: Hypothesis, second: Hypothesis, wanted: str
) -> None:
    assert believed(first, second).text == wanted
