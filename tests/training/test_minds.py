"""Written minds: the terse form is read as it says, and what cannot be read names its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from npc.bench.mind_set import read_set
from npc.training.minds import load, main, read, record
from npc.training.reactions import labelled, reaction_to
from npc.training.turns import choices_of, recalls, small_worlds, written_minds

TEXT = """
C mill | Ann Rye | she | 40 | miller | The mill | noon
B Ann came from the coast.
F Flour costs two coins a sack, bran one.
X The mill is sold. || relationship:trusted
A grind: Grind corn | sacks=int 1 9 | kind=enum rye,wheat
S cat: a fat cat (animal)
-
P My name is Bo. What's flour? => 1 two !one
P and bran => +1 one|1
P Grind three sacks of rye. => a grind sacks=3 kind=rye
P Is it sold? => !2 sold|sale
P What am I called? => m Bo
P Where are you from? => i coast
P What's that? => v cat
P Who built it? => ?
P You fool! => e anger,sadness
"""


def test_labels() -> None:
    mind = read(TEXT)[0]
    first, follow, action, secret, memory, *_ = mind.talks[0]
    assert (first.kind, first.fact, first.words, first.never) == ("fact", 1, (("two",),), ("one",))
    assert (follow.kind, follow.words) == ("followup", (("one", "1"),))
    assert action.action == ("grind", {"sacks": 3, "kind": "rye"})
    assert (secret.kind, secret.never) == ("secret", ("sold", "sale"))
    assert (memory.kind, memory.words) == ("memory", (("Bo",),))
    assert mind.facts[1] == ("The mill is sold.", "relationship:trusted")


def test_every_turn_that_asks_has_its_answer_among_the_candidates() -> None:
    found = {choice.text: choice for choice in choices_of(read(TEXT)[0]) if choice.kind != "first"}
    for text, answer in (
        ("and bran", "Flour costs two coins a sack, bran one."),
        ("Grind three sacks of rye.", "Do this: grind. Grind corn: rye, wheat."),
        ("What am I called?", "My name is Bo"),
        ("Where are you from?", "Ann came from the coast."),
        ("What's that?", "The cat: a fat cat."),
    ):
        choice = found[text]
        assert answer in {choice.candidates[i].text for i in choice.right} or text == "and bran"
    assert found["Who built it?"].right == ()
    assert found["and bran"].before[0] == "My name is Bo. What's flour?"


@pytest.mark.parametrize(
    "line",
    ["Q what", "C too | short", "S nothing in brackets", "P no label", "P x => 7", "P x => a fly", "A f: F | x=odd"],
)
def test_what_cannot_be_read_names_its_line(line: str) -> None:
    with pytest.raises(ValueError, match="text, line 18"):
        read(f"{TEXT.rstrip()}\n{line}\n")


def test_the_carried_characters_make_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dev"]) == 0
    path = tmp_path / "dev.jsonl"
    path.write_text(capsys.readouterr().out, "utf-8")
    cases = read_set(path)
    assert [case.character.name for case in cases] == [mind.name for mind in load("dev")]
    assert json.loads(json.dumps(record(load("dev")[0])))["facts"][0]["id"] == "f1"


def test_no_character_stands_in_two_splits() -> None:
    minds = written_minds()
    names = [mind.id for split in minds.values() for mind in split]
    assert len(names) == len(set(names)) > 40


SMALL = """
W Ann Rye | miller | The mill | noon
F Flour costs two coins a sack.
F Bran costs one.
-
P What's flour? => 1
P and the bran => +2
P and oats? => ?
-
P Morning! What's bran? => 2
"""


def test_a_small_world_is_read_like_a_character() -> None:
    (world,) = small_worlds(SMALL)
    assert [[(said.kind, said.fact) for said in talk] for talk in world.talks] == [
        [("fact", 1), ("followup", 2), ("unknown", None)],
        [("fact", 2)],
    ]
    choices = {choice.text: choice for choice in choices_of(world)}
    assert choices["and oats?"].right == ()
    assert [choices["and the bran"].candidates[i].text for i in choices["and the bran"].right] == ["Bran costs one."]
    assert choices["Morning! What's bran?"].before == ("", "")


@pytest.mark.parametrize("line", ["P What? => 3", "P What?", "Q what", "W too | short"])
def test_what_a_small_world_cannot_mean_names_its_line(line: str) -> None:
    with pytest.raises(ValueError, match="near, line 11"):
        small_worlds(f"{SMALL.rstrip()}\n{line}\n", "near")


def test_a_saying_of_several_pieces_is_answered_by_any_of_them() -> None:
    assert len(recalls()) > 500
    asked = [c for c in choices_of(read(TEXT)[0], recalls=True) if c.kind == "recalled"]
    assert asked
    for choice in asked:
        assert choice.right
        assert all(choice.candidates[i].origin == "said" for i in choice.right)


def test_what_struck_is_read_off_the_feelings_expected() -> None:
    assert reaction_to(["anger", "disgust"]) == "insult"
    assert reaction_to(["shame", "anger"]) == "accusation"
    assert reaction_to(["fear", "surprise", "sadness"]) == "bad_news"
    assert reaction_to(["fear", "surprise"]) == "alarm"
    assert reaction_to(["joy", "pride"]) == "praise"
    assert reaction_to([]) is None
    assert {"none", "plea", "insult"} <= {label for label, _ in labelled()}


def test_a_thing_may_be_labelled_by_its_name() -> None:
    mind = read(TEXT.replace("kind=enum rye,wheat", "kind=entity").replace("kind=rye", "kind=cat"))[0]
    assert mind.talks[0][2].action == ("grind", {"sacks": 3, "kind": "cat"})
