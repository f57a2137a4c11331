"""Training data of the rubric's judges, and the taught encoder: what is trained is what runs."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from npc.inference.encoder import EncoderError, MiniLM, load_encoder
from npc.simulation.rubric import Item, RubricEngine
from npc.simulation.rubric.reader import KINDS, Reader
from npc.simulation.rubric.saying import alternatives
from npc.training.rubric_attempts import FormError, read, written_attempts
from npc.training.rubric_data import examples, read_contrasts

FILE = """\
# a comment
== till
@ greet must_say | Greets the customer
e Good morning.
p good morning
@ ask must_ask | Asks what the customer needs
e What do you need?
@ rude must_not_say | Is rude
e Go away.
@ why fact_elicited | Learns why
f The office wants it.

* strong
C Hello.
T Morning! What can I get you? => greet, ask, -rude
C A receipt, the office wants it. => why
* poor
C Hello?
T Clear off. => rude
? ask
"""


def test_attempts_are_read_with_their_labels() -> None:
    strong, poor = read(FILE)
    assert [turn.speaker for turn in strong.turns] == ["character", "trainee", "character"]
    assert strong.does[2] == {"greet", "ask"}
    assert strong.traps[2] == {"rude"}
    assert {item.id: strong.met(item) for item in strong.items} == dict.fromkeys(("greet", "ask", "rude", "why"), True)
    assert {item.id: poor.met(item) for item in poor.items} == {
        "greet": False, "ask": None, "rude": False, "why": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("=> rude", "=> rdue", "line 19: no item rdue"),
        ("* poor", "* awful", "line 17: an attempt is one of"),
        ("@ rude must_not_say", "@ rude never_say", "line 8: an item is"),
        ("C Hello?", "X Hello?", "line 18: unknown mark 'X'"),
        ("wants it. => why", "wants it. => ask", "line 16: ask is must_ask"),
    ],
)
def test_a_line_that_breaks_the_form_is_named(old: str, new: str, complaint: str) -> None:
    with pytest.raises(FormError, match=f"till.txt, {complaint}"):
        read(FILE.replace(old, new), "till.txt")


def test_the_written_attempts_are_whole() -> None:
    found = list(written_attempts())
    assert len(found) >= 96
    for one in found:
        where = f"{one.workplace} {one.number}"
        speakers = [turn.speaker for turn in one.turns]
        assert {"trainee", "character"} == set(speakers), where
        for item in one.items:
            assert item.params.get("fact" if item.kind == "fact_elicited" else "examples"), f"{where} {item.id}"
            observed = item.id not in one.unobserved or not any(item.id in ids for ids in one.does.values())
            assert observed, f"{where}: {item.id} was done and could not be observed"


def test_examples_of_both_kinds_of_data() -> None:
    found = list(examples(None, None))
    assert {one.attempt == "" for one in found} == {True, False}
    assert all(one.lines for one in found)
    assert not any(one.done and one.trap for one in found)
    assert read_contrasts("== a\n@ x must_say | X\ne y\n+ yes\n- no\n")["a"][0].lines == [("yes", True), ("no", False)]


@pytest.fixture(scope="module")
def base() -> MiniLM:
    try:
        return load_encoder()
    except EncoderError as error:
        pytest.skip(str(error))


def test_what_runs_is_what_was_trained(base: MiniLM, tmp_path: Path) -> None:
    """The reader in numpy gives the trained model's logits, to the rounding of half precision."""
    torch = pytest.importorskip("torch")
    from npc.training import rubric_reader as training

    torch.manual_seed(0)
    world = training.worlds([one for one in examples(None, None) if one.workplace == "hotel reception"])[
        "hotel reception"
    ]
    model = training.Taught(base)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    model.train()
    losses = [training._step(model, world, optimiser, random.Random(step)) for step in range(4)]
    assert np.isfinite(losses).all()
    model.eval()
    training.save(model, tmp_path / "reader.safetensors")
    reader = Reader(base, tmp_path / "reader.safetensors")
    items = [item for item in world.items.values() if item.kind in KINDS]
    sentences = [texts[0] for texts, _ in world.turns[:12]]
    with torch.no_grad():
        trained = model.logits(sentences, [training.asked(item) for item in items]).numpy()
    for row, text in zip(trained, sentences, strict=True):
        for value, item in zip(row, items, strict=True):
            shown = tuple(item.params["examples"])
            assert reader.logit(item.kind, shown, alternatives(item.description), text) == pytest.approx(
                value, abs=0.15
            )


def test_the_carried_reader_tells_a_paraphrase_from_a_trap(base: MiniLM) -> None:
    engine = RubricEngine(base)
    assert engine._reader is not None, "the weights are carried"
    item = Item("sorry", "must_say", "Apologises for the delay", {"examples": ["I'm sorry that you had to wait."]})

    def probability(text: str) -> float:
        from npc.simulation.rubric import Turn

        (verdict,) = engine.judge([item], [Turn(1, "trainee", text, 0.0, 2.0)])
        return verdict.confidence if verdict.met else 0.0

    assert probability("We've kept you hanging about, that's our fault, forgive us.") > 0.5
    assert probability("My manager told me to say sorry for the delay.") == 0.0
    assert probability("Do you have a parking ticket?") == 0.0
