"""Teaching the sentence encoder: what is compared, how a training goes on, how encoders are joined and judged."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from npc.dialogue.composed.features import stated
from npc.dialogue.composed.likeness import Behind
from npc.inference.encoder import MiniLM, encoder_status, load_encoder

torch = pytest.importorskip("torch")

from npc.training import likeness, yardstick  # noqa: E402
from npc.training import turns as turns_module  # noqa: E402
from npc.training.taught import MATRICES, Taught  # noqa: E402
from npc.training.turns import Choice, choices_of, left_out, small_worlds, written_minds  # noqa: E402

pytestmark = pytest.mark.skipif(not encoder_status().available, reason="the sentence encoder is not installed")

WORLD = """W Ida Moor | boatman | Landing | noon
F A rowing boat costs six pounds an hour.
F The kiosk sells tea.
F Umbrellas stand by the door.
F The oars cost two pounds, and the skiff costs nine.
P What do you want for a boat? => 1
P And where do I get something hot? => +2
P Who owns the kiosk? => ?
"""


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return load_encoder()


@pytest.fixture
def turns() -> list[Choice]:
    return [c for c in choices_of(small_worlds(WORLD)[0]) if c.kind != "first"]


def _changed(encoder: MiniLM, seed: int) -> Taught:
    torch.manual_seed(seed)
    model = Taught(encoder, rank=2)
    with torch.no_grad():
        for name, part in model.low.items():
            if name.endswith("_b"):
                part.copy_(torch.randn_like(part) * 0.05)
    return model


def test_a_table_allows_what_stands_to_choose_and_nothing(turns: list[Choice]) -> None:
    table = likeness.table_of(turns)
    assert table.allowed[:, 0].all()
    for row, choice in enumerate(turns):
        allowed = {table.texts[i - 1] for i in table.allowed[row].nonzero().flatten().tolist() if i}
        assert allowed == set(stated(choice.candidates))
    assert Behind("The oars cost two pounds.", "The skiff costs nine.") in table.texts
    assert table.right[:, 0].tolist() == [False, False, True]
    assert [table.texts[int(table.right[row].int().argmax()) - 1] for row in (0, 1)] == [
        "A rowing boat costs six pounds an hour.",
        "The kiosk sells tea.",
    ]


def test_words_are_hidden_in_training_only_and_never_the_closing_mark() -> None:
    ids = [101, *range(2000, 2060), 102]
    assert likeness.masked(ids, None) == ids
    hidden = [likeness.masked(ids, random.Random(seed)) for seed in range(40)]
    assert all(len(row) == len(ids) and row[-1] == 102 for row in hidden)
    assert all(new in (old, 103) for row in hidden for new, old in zip(row, ids, strict=True))
    assert any(103 in row for row in hidden)
    assert any(row == ids for row in hidden)


def test_a_training_that_was_interrupted_ends_where_an_unbroken_one_does(
    encoder: MiniLM, turns: list[Choice], tmp_path: Path
) -> None:
    kept, passes = tmp_path / "kept.pt", likeness.Passes(3, 5)
    torch.manual_seed(0)
    unbroken = Taught(encoder, rank=2, dropped=0.2)
    first = {name: part.clone() for name, part in unbroken.state_dict().items()}
    assert likeness.run([turns], unbroken, passes, kept, minutes=60.0)
    resumed = Taught(encoder, rank=2, dropped=0.2)
    resumed.load_state_dict(first)
    assert not likeness.run([turns], resumed, passes, kept, minutes=0.0)
    # The second part starts from other numbers: all that counts is in the file.
    resumed = Taught(encoder, rank=2, dropped=0.2)
    with pytest.raises(SystemExit, match="another training"):
        likeness.run([turns], resumed, likeness.Passes(4, 5), kept, minutes=0.0)
    assert not likeness.run([turns], resumed, passes, kept, minutes=0.0)
    assert likeness.run([turns], resumed, passes, kept, minutes=0.0)
    assert not kept.exists()
    for name, part in unbroken.state_dict().items():
        assert torch.equal(part, resumed.state_dict()[name]), name


def test_fresh_worlds_are_passed_twice_and_the_others_in_two_epochs_once(turns: list[Choice]) -> None:
    worlds = [[replace(choice, world=f"w{number}") for choice in turns] for number in range(9)]
    passes = likeness.Passes(2, 7, fresh=frozenset({"w3", "w8"}))
    for epoch in (0, 1):
        assert sorted(i for i in passes.steps(worlds, epoch) if i in (3, 8)) == [3, 3, 8, 8]
    others = [i for epoch in (0, 1) for i in passes.steps(worlds, epoch) if i not in (3, 8)]
    assert sorted(others) == [0, 1, 2, 4, 5, 6, 7]
    assert sorted(likeness.Passes(1, 7).steps(worlds, 0)) == list(range(9))
    assert passes.steps(worlds, 1) == likeness.Passes(2, 7, fresh=passes.fresh).steps(worlds, 1)


def test_fresh_worlds_want_weights_to_start_from(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        likeness.main(["--fresh", "46"])
    assert "--start" in capsys.readouterr().err


def test_a_training_does_not_go_on_over_other_words(
    encoder: MiniLM, turns: list[Choice], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, passes = tmp_path / "kept.pt", likeness.Passes(3, 5)
    model = Taught(encoder, rank=2)
    assert not likeness.run([turns], model, passes, kept, minutes=0.0)
    mended = [replace(turns[0], text="What is a boat?"), *turns[1:]]
    with pytest.raises(SystemExit, match="another training"):
        likeness.run([mended], model, passes, kept, minutes=0.0)

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half a state")
        raise OSError("no space left on device")

    # What was kept before stands, whatever becomes of the next epoch.
    before = kept.read_bytes()
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        likeness.run([turns], model, passes, kept, minutes=0.0)
    assert kept.read_bytes() == before


def test_what_is_left_out_is_named_by_file() -> None:
    out = left_out()
    trained = {mind.id for mind in written_minds()["train"]}
    assert out < trained
    assert len(out) >= 16
    assert {number for number in range(100, 132) if turns_module._is_left_out(number)} == {
        104, 106, 107, 108, 109, 110, 111, 114, 123, 126, 129,
    }  # fmt: skip
    assert {choices[0].world for choices in yardstick.worlds_left_out(every=9)} <= out


def test_a_statement_learns_which_turn_it_answers_by_its_lead_over_nothing() -> None:
    # Two turns, statements 1 and 2: turn 0 is answered by 1, turn 1 by nothing; 2 answers no turn.
    allowed = torch.tensor([[True, True, True], [True, True, False]])
    right = torch.tensor([[False, True, False], [True, False, False]])
    scores = torch.tensor([[0.0, 2.0, 5.0], [1.0, 2.0, 0.0]])
    leads = torch.tensor([2.0, 1.0])
    assert torch.isclose(likeness._claimed(scores, allowed, right), leads.logsumexp(0) - leads[0])
    # Every turn raised by as much as its "nothing" is the same to it.
    assert torch.isclose(
        likeness._claimed(scores + torch.tensor([[3.0], [-1.0]]), allowed, right), leads.logsumexp(0) - 2
    )
    nobody = likeness._claimed(scores, allowed, torch.tensor([[True, False, False]] * 2))
    assert nobody == 0.0


def test_joined_weights_are_the_mean_of_the_changes(encoder: MiniLM, tmp_path: Path) -> None:
    models = [_changed(encoder, seed) for seed in (1, 2)]
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for model, path in zip(models, paths, strict=True):
        model.save(path)
    joined = Taught.load(encoder, paths, scale=0.5)
    for name in ("0_qkv_w", "5_down_w"):
        full = [m.low[f"{name}_a"].half().float() @ m.low[f"{name}_b"].half().float() for m in models]
        found = joined.low[f"{name}_a"] @ joined.low[f"{name}_b"]
        assert torch.allclose(found, 0.5 * (full[0] + full[1]) / 2, atol=1e-4)


def test_a_joined_encoder_is_cut_to_its_largest_directions(encoder: MiniLM, tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed}.safetensors" for seed in (1, 2)]
    for seed, path in enumerate(paths):
        _changed(encoder, seed).save(path)
    joined = Taught.load(encoder, paths)
    before = {name: part.detach().clone() for name, part in joined.low.items()}
    # Two trainings of rank two: four directions hold them whole, three do not.
    assert joined.cut(4) < 1e-6
    full = before["0_qkv_w_a"] @ before["0_qkv_w_b"]
    assert torch.allclose(joined.low["0_qkv_w_a"] @ joined.low["0_qkv_w_b"], full, atol=1e-4)
    lost = joined.cut(3)
    assert 0.0 < lost < 0.25
    assert joined.low["0_qkv_w_a"].shape[1] == 3
    with torch.no_grad():
        gone = (joined.low["0_qkv_w_a"] @ joined.low["0_qkv_w_b"] - full).square().sum() / full.square().sum()
    assert float(gone) <= lost + 1e-6


def test_matrices_trained_themselves_are_kept_whole(encoder: MiniLM, turns: list[Choice], tmp_path: Path) -> None:
    model, other = _changed(encoder, 4), _changed(encoder, 5)
    before, _, _ = yardstick.scored(model, turns)
    changed = 0.5 * (model.low["0_qkv_w_a"] @ model.low["0_qkv_w_b"]).detach().numpy()
    model.loosened()
    assert np.allclose(yardstick.scored(model, turns)[0], before, atol=0.3)
    with pytest.raises(ValueError, match="whole changes"):
        model.cut(2)
    # A byte a number is within half a step of a 127th of its column's largest.
    paths = [tmp_path / "whole.safetensors", tmp_path / "low.safetensors"]
    model.save(paths[0])
    written = Taught.load(encoder, paths[:1])
    kept = written.whole["0_qkv_w"].detach().numpy() - encoder.weights.layers[0].qkv_w
    assert (np.abs(kept - changed) <= np.abs(changed).max(0) / 250).all()
    assert np.allclose(yardstick.scored(written, turns)[0], before, atol=0.3)
    # Whole and low-rank changes are joined, too: the mean of both.
    other.save(paths[1])
    joined = Taught.load(encoder, paths).whole["0_qkv_w"].detach().numpy() - encoder.weights.layers[0].qkv_w
    second = 0.5 * (other.low["0_qkv_w_a"] @ other.low["0_qkv_w_b"]).detach().numpy()
    assert np.allclose(joined, (changed + second) / 2, atol=1e-3)


def test_a_step_trains_the_matrices_at_their_own_rate(encoder: MiniLM, turns: list[Choice], tmp_path: Path) -> None:
    model = _changed(encoder, 5).loosened()
    before = {name: part.detach().clone() for name, part in model.named_parameters()}
    assert set(before) == {"attend", "nothing", "mix"} | {f"whole.{n}_{m}" for n in range(6) for m in MATRICES}
    likeness.run([turns], model, likeness.Passes(1, 5), tmp_path / "kept.pt", minutes=60.0)
    # One step of a twentieth of the full rate: Adam's first step is as long as its rate, but for what decays.
    moved = {name: float((part - before[name]).detach().abs().max()) for name, part in model.named_parameters()}
    assert 0.0 < moved["whole.0_qkv_w"] < 1.1 * likeness.MATRICES_RATE / 20 < moved["mix"]


@pytest.mark.parametrize("whole", [False, True])
def test_the_trained_score_is_the_one_the_character_uses(
    encoder: MiniLM, turns: list[Choice], tmp_path: Path, whole: bool
) -> None:
    from npc.dialogue.composed.likeness import Likeness

    model = _changed(encoder, 3)
    if whole:
        model.loosened()
    model.save(tmp_path / "one.safetensors")
    scores, _, _ = yardstick.scored(Taught.load(encoder, [tmp_path / "one.safetensors"]), turns)
    used = Likeness(encoder, tmp_path / "one.safetensors")
    texts = likeness.table_of(turns).texts
    for row, choice in enumerate(turns):
        leads = used.compare(used.read(choice.text, choice.before), texts)[:, 2]
        # The training computes in bfloat16: three digits of scores around ten.
        assert np.allclose(scores[row, 1:] - scores[row, 0], leads, atol=0.3)


def test_whole_changes_are_written_but_not_cut(
    encoder: MiniLM, turns: list[Choice], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _changed(encoder, 6).loosened().save(tmp_path / "a.safetensors")
    argv = [str(tmp_path / "a.safetensors"), "--write", str(tmp_path / "b.safetensors")]
    with pytest.raises(SystemExit):
        yardstick.main([*argv, "--rank", "4"])
    assert "low-rank" in capsys.readouterr().err
    assert yardstick.main(argv) == 0
    first, again = (Taught.load(encoder, [tmp_path / f"{name}.safetensors"]) for name in "ab")
    assert np.allclose(yardstick.scored(first, turns)[0], yardstick.scored(again, turns)[0], atol=0.1)


def test_figures_of_the_yardstick(turns: list[Choice]) -> None:
    table = likeness.table_of(turns)
    judged = yardstick.Judged()
    scores = np.zeros((3, 1 + len(table.texts)), dtype=np.float32)
    scores[0, 1 + table.texts.index("A rowing boat costs six pounds an hour.")] = 3.0
    scores[1, 1 + table.texts.index("Umbrellas stand by the door.")] = 1.0
    scores[2, 1 + table.texts.index("The kiosk sells tea.")] = 2.0
    for row, choice in enumerate(turns):
        judged.add(choice, scores[row], table.allowed[row].numpy(), table.right[row].numpy())
    found = judged.figures()
    assert (found["fact"], found["followup"], found["ranked"], found["turns"]) == (1.0, 0.0, 0.5, 2.0)
    # One answer stands above the near miss and one below; only the right one above it is kept.
    assert (found["parted"], found["kept"]) == (0.5, 0.5)
    assert math.isnan(yardstick.Judged(["fact"], [True], [1.0]).figures()["parted"])
