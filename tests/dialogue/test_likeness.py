"""The taught encoder: the same numbers by the long way, and its weights fit the encoder they were taught on."""

from __future__ import annotations

import numpy as np
import pytest

from npc.dialogue.composed.features import Candidate, stated
from npc.dialogue.composed.likeness import Behind, Likeness, context_before, context_of, load_likeness
from npc.dialogue.context import Exchange
from npc.inference.encoder import MiniLM, encoder_status, load_encoder

pytestmark = pytest.mark.skipif(not encoder_status().available, reason="the sentence encoder is not installed")

STATEMENTS = ("A small berth costs forty credits a day.", "The clinic is on Ring Three.", "My name is Quill.")


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return load_encoder()


@pytest.fixture(scope="module")
def likeness(encoder: MiniLM) -> Likeness:
    found = load_likeness(encoder)
    assert found is not None
    return found


def test_states_average_to_the_sentence_vector(encoder: MiniLM) -> None:
    states = encoder.states([encoder.ids(text) for text in STATEMENTS])
    for text, rows in zip(STATEMENTS, states, strict=True):
        mean = rows.mean(axis=0)
        assert np.allclose(mean / np.linalg.norm(mean), encoder.encode([text])[0], atol=1e-5)


def test_an_unchanged_copy_is_the_same_encoder(encoder: MiniLM) -> None:
    copy = encoder.changed(lambda number, name: np.zeros(1, dtype=np.float32))
    assert np.allclose(copy.encode(STATEMENTS), encoder.encode(STATEMENTS), atol=1e-6)


def test_compare_equals_the_naive_sum(likeness: Likeness) -> None:
    asked = likeness.read("What do you want for a little one?", ("Have you a berth?", "We have two kinds."))
    found = likeness.compare(asked, STATEMENTS)
    for row, text in zip(found, STATEMENTS, strict=True):
        states = likeness.encoder.states([likeness.encoder.ids(text)])[0]
        unit = states / np.linalg.norm(states, axis=1, keepdims=True)
        best = sum(w * max(float(t @ s) for s in unit) for w, t in zip(asked.weights, asked.tokens, strict=True))
        mean = states.mean(axis=0)
        assert row[0] == pytest.approx(float(mean @ asked.mean / np.linalg.norm(mean)), abs=1e-4)
        assert row[1] == pytest.approx(best, abs=1e-4)


def test_only_the_turn_itself_is_compared(likeness: Likeness) -> None:
    long = ("word " * 300, "answer " * 300)
    assert len(context_of(likeness.encoder, *long)) <= 52
    asked = likeness.read("And the clinic?", long)
    assert len(asked.tokens) == len(likeness.encoder.ids("And the clinic?")) - 1
    assert float(asked.weights.sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_question_finds_its_answer(likeness: Likeness) -> None:
    for question, right in (
        ("Where do I see a doctor?", 1),
        ("who am i talking to", 2),
        ("How dear is it to dock?", 0),
    ):
        scores = likeness.compare(likeness.read(question), STATEMENTS)[:, 2]
        assert int(scores.argmax()) == right, question


def test_statements_learnt_beside_a_turn_are_the_same(encoder: MiniLM, likeness: Likeness) -> None:
    fresh = ("A rowing boat is let by the hour.", "Umbrellas stand by the door.")
    asked = likeness.read("What about a rowing boat, then?", also=fresh)
    beside = likeness.compare(asked, fresh)
    states = likeness.encoder.states([likeness.encoder.ids(text) for text in fresh])
    for row, own in zip(beside, states, strict=True):
        mean = own.mean(axis=0)
        assert row[0] == pytest.approx(float(mean @ asked.mean / np.linalg.norm(mean)), abs=1e-4)


def test_a_turn_after_thanks_is_read_with_what_was_told_before() -> None:
    told = Exchange("When do you open?", "At nine.", ("f1",))
    thanks = Exchange("Oh lovely, thank you.", "You're welcome.")
    asked = Exchange("Have you a cat?", "I don't know.")
    assert context_before(()) == ("", "")
    assert context_before((told,)) == ("When do you open?", "At nine.")
    assert context_before((told, thanks)) == ("When do you open? At nine.", "Oh lovely, thank you.")
    assert context_before((told, asked)) == ("Have you a cat?", "I don't know.")
    assert context_before((thanks,)) == ("Oh lovely, thank you.", "You're welcome.")


def test_statements_let_go_are_read_again(likeness: Likeness, monkeypatch: pytest.MonkeyPatch) -> None:
    """More statements than are kept, some of them known from before."""
    asked = likeness.read("Where's the clinic?")
    texts = [*STATEMENTS, *(f"Berth {n} is free." for n in range(5))]
    whole = likeness.compare(asked, texts)
    monkeypatch.setattr("npc.dialogue.composed.likeness._KEPT", 2)
    likeness.learn(["The mule is called Bishop."])
    assert np.allclose(likeness.compare(asked, texts), whole, atol=1e-5)
    assert np.allclose(likeness.compare(asked, [*texts, "A new one."])[:-1], whole, atol=1e-5)


def test_a_later_part_is_read_behind_the_part_before(encoder: MiniLM, likeness: Likeness) -> None:
    whole = ("The ramp was laid in the flood year.", "The slope of the floor comes from that.")
    candidates = [
        Candidate("f1/0", whole[0], "fact", "f1", part=0, of=2),
        Candidate("f1/1", whole[1], "fact", "f1", part=1, of=2),
        Candidate("f2/0", STATEMENTS[0], "fact", "f2"),
        # The first part of this fact is not among them: nothing to read it behind.
        Candidate("f3/1", STATEMENTS[1], "fact", "f3", part=1, of=2),
    ]
    assert stated(candidates) == [whole[0], Behind(*whole), *STATEMENTS[:2]]
    asked = likeness.read("Why does everything roll off this table?")
    alone, behind = likeness.compare(asked, [whole[1], Behind(*whole)])
    assert not np.allclose(alone, behind, atol=1e-3)
    context = context_of(encoder, whole[0], "")
    own = likeness.encoder.states([[*context, *encoder.ids(whole[1])[1:]]])[0][len(context) :]
    mean = own.mean(axis=0)
    assert behind[0] == pytest.approx(float(mean @ asked.mean / np.linalg.norm(mean)), abs=1e-4)
