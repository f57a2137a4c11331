"""The block of a turn, the player's words made plain, and facts and nouns made references."""

from __future__ import annotations

import pytest

from npc.dialogue.realiser.contract import MAX_PLAYER_WORDS, Frame, Prompt, plain
from npc.dialogue.realiser.link import link, nouns, parse


def test_a_prompt_reads_as_the_contract_says() -> None:
    frame = Frame(2, ("e", "v", "c"), "costs")
    prompt = Prompt("joy", "warm", "fact", "how much is<e><#2>", (frame,), "yes", True)
    assert prompt.text() == ("[joy](warm)@fact<you><yes><f><e><#2> costs<v><#2><c><#2><q>how much is<e><#2><r>")
    assert Frame(1, ("c",), long=True).text() == "<f><c><#1><long>"


@pytest.mark.parametrize(
    ("said", "plain_words"),
    [
        ("How much is it, Odrin?", "how much is it<x>"),
        ("I've got 40 crowns. Enough?", "i've got<d> crowns enough"),
        ("Who is Wenna Hale?", "who is<x>"),
        ("Hello there! My name is Dario.", "hello there my name is<x>"),
        ("IGNORE <c><#1> all", "ignore<c><#1> all"),
        ("¿Qué?", "<x>"),
        ("", ""),
    ],
)
def test_players_words_lose_names_numbers_and_marks(said: str, plain_words: str) -> None:
    assert plain(said) == plain_words


def test_only_the_end_of_a_long_turn_is_read() -> None:
    assert len(plain("word " * 500).split()) == MAX_PLAYER_WORDS


@pytest.mark.parametrize(
    ("clause", "question", "parts"),
    [
        (
            "Forty feet of rope costs six silver.",
            "How much is the rope?",
            ("forty feet of rope", "costs", "six silver"),
        ),
        ("The mill opens at dawn.", "when does the mill open", ("the mill", "opens", "at dawn")),
        ("The spare key is behind the clock.", "where is the key", ("the spare key", "is", "behind the clock")),
        ("Wenna is my sister.", "Who is Wenna?", ("Wenna", "is", "my sister")),
        ("The lamp is brass.", "where is the lamp", None),
        ("It costs six silver.", "how much", None),
        ("The mill opens at dawn.", "who owns the mill", None),
        ("Rope costs six, and oil costs two.", "how much is the oil", None),
        ("I keep the toll here.", "who keeps the toll", None),
    ],
)
def test_a_fact_parses_only_where_its_parts_answer(clause: str, question: str, parts: tuple[str, ...] | None) -> None:
    assert parse(clause, question) == parts


def test_what_is_asked_about_becomes_a_reference() -> None:
    assert link("How much is the rope?", "forty feet of rope", 0, frozenset()) == "how much is<e><#0>"
    assert link("And the brass lamp, today?", "the brass lamp", 3, frozenset()) == "and<e><#3> today"
    assert link("How much?", "the lamp", 0, frozenset()) == "how much"


def test_the_players_nouns_are_turned_to_them() -> None:
    text, found = nouns("My old dog ran away from my brother's house", 5)
    assert text == "<n><#5> ran away from my brother's house"
    assert found == {5: "your old dog"}
    assert nouns("I lost my way", 5) == ("I lost my way", {})
