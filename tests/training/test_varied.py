"""Talks put otherwise: names are others, everywhere the same; contexts are swapped only where nothing leans on them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from npc.training.turns import Choice, choices_of, small_worlds
from npc.training.varied import Names, common_words, names_of, names_of_all, renamed, stands_alone, varied

WORLDS = """W Ida Moor | boatman | Landing | noon
F The boat to Harwick leaves when Bertil rings.
F On Monday the kiosk is shut, says Bertil.
F Nobody may land at Rose Lane.
F A rose grows by the door.
P When can I get over to Harwick by boat? => 1
P and is bertil there today => +2
P Who owns the kiosk by the landing? => ?

W Nils Berg | cook | Galley | dusk
F The soup is salted by Oda alone.
F We buy our herring in Skagen every week.
P Who puts the salt into the soup? => 1
P Where does the herring come from, please? => 2
"""


def worlds() -> list[list[Choice]]:
    return [[c for c in choices_of(mind) if c.kind != "first"] for mind in small_worlds(WORLDS)]


def test_names_are_found_with_what_they_name_and_words_that_are_names_only_by_chance_are_left() -> None:
    first, second = worlds()
    common = common_words([first, second])
    # The place of the scene is told as "Landing", too: behind no word that a place follows.
    assert names_of(first, common) == {"Bertil": False, "Harwick": True, "Landing": False}
    assert names_of(second, common) == {"Oda": False, "Skagen": True, "Galley": False}


def test_a_name_is_another_everywhere_and_of_the_same_kind() -> None:
    first, second = worlds()
    names = names_of_all([first, second])[0]
    texts = [candidate.text for candidate in first[0].candidates]
    met = set()
    for seed in range(60):
        turns, statements = varied(first, texts, names, random.Random(seed))
        everything = " ".join([*statements, *(turn.text for turn in turns)])
        for word in ("harwick", "bertil"):
            met.add((word, word in everything.lower()))
        # Statement and turn agree: either both name the place as it was, or neither does.
        assert ("Harwick" in statements[0]) == ("Harwick" in turns[0].text)
        assert "Monday" in everything
        assert "Rose Lane" in everything
        assert [turn.right for turn in turns] == [turn.right for turn in first]
    assert met == {("harwick", True), ("harwick", False), ("bertil", True), ("bertil", False)}


def test_only_turns_that_stand_by_themselves_are_read_behind_another_exchange() -> None:
    first, second = worlds()
    alone: Sequence[Choice] = [choice for choice in [*first, *second] if stands_alone(choice)]
    assert [choice.text for choice in alone] == [
        "When can I get over to Harwick by boat?",
        "Who puts the salt into the soup?",
        "Where does the herring come from, please?",
    ]
    befores = {choice.before for choice in second} | {("", "")}
    met = set()
    for seed in range(60):
        turns, _ = varied(second, [], Names({}, {}), random.Random(seed))
        met |= {turn.before for turn in turns if turn.text == second[1].text}
        leaning, _ = varied(first, [], Names({}, {}), random.Random(seed))
        assert [turn.before for turn in leaning[1:]] == [turn.before for turn in first[1:]]
    assert met == befores


def test_a_text_written_small_takes_names_written_small() -> None:
    changed = {"Bertil": "Oda"}
    assert renamed("and is bertil there", changed) == "and is oda there"
    assert renamed("Is bertil the Bertil?", changed) == "Is bertil the Oda?"
    assert renamed("Bertilsson is in", changed) == "Bertilsson is in"
    assert renamed("as it was", {}) == "as it was"
