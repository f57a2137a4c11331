"""Making the dialogue model: written phrasings, episodes, training from nothing, and what the export is on our core."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from npc.dialogue.realiser.contract import MANNERS, SPECIAL  # noqa: E402
from npc.dialogue.realiser.grammar import Bounds, ReferenceGrammar  # noqa: E402
from npc.dialogue.realiser.model import DialogueModel  # noqa: E402
from npc.inference.checkpoint import Checkpoint  # noqa: E402
from npc.inference.config import read_config  # noqa: E402
from npc.inference.kernels import CacheFormat, Format  # noqa: E402
from npc.inference.reference import ReferenceStep  # noqa: E402
from npc.inference.weights import from_tensors  # noqa: E402
from npc.protocol.names import EMOTIONS  # noqa: E402
from npc.training.mind.__main__ import main  # noqa: E402
from npc.training.mind.adopt import verdict  # noqa: E402
from npc.training.mind.episodes import TAG_WEIGHT, episode, joined, pieces  # noqa: E402
from npc.training.mind.evaluate import evaluate  # noqa: E402
from npc.training.mind.export import load  # noqa: E402
from npc.training.mind.natural import reaction  # noqa: E402
from npc.training.mind.phrasings import every_section, expansions, phrasing_count, sections  # noqa: E402
from npc.training.mind.tokens import batch_at, build_tokenizer  # noqa: E402
from npc.training.mind.train import Plan, Progress, rate_at, train  # noqa: E402
from npc.training.mind.words import THINGS, THINGS_HELD_OUT  # noqa: E402
from tests.inference import tiny  # noqa: E402


def test_every_section_has_forty_phrasings_and_holds_some_out() -> None:
    for section in every_section():
        assert phrasing_count(section) >= 40, section.name
        if len(section.said) >= 5:
            assert section.players(True), section.name
            assert not set(section.players(True)) & set(section.players(False))
    assert not set(THINGS) & set(THINGS_HELD_OUT)


def test_conditions_name_moods_and_manners_that_exist() -> None:
    for name in ("colour", "intents", "facts", "talk"):
        for section in sections(name).values():
            for line in section.replies:
                assert line.moods <= set(EMOTIONS), line
                assert line.manners <= set(MANNERS), line
                assert not re.search(r"\d", line.text), line


def test_expansions_spell_out_alternatives() -> None:
    assert expansions("{a|b} c {d|}") == ("a c d", "a c", "b c d", "b c")


def test_a_lead_that_ends_in_a_comma_goes_on_in_lower_case() -> None:
    assert joined("Well,", "You never know.") == "Well, you never know."
    assert joined("Well,", "I never know.") == "Well, I never know."
    assert joined("Ah.", "You never know.") == "Ah. You never know."
    assert joined("Right,", "<c><#1>.") == "Right, <c><#1>."


def test_replies_spell_no_name_and_no_number_and_refer_only_to_what_is_there() -> None:
    chance = random.Random(3)
    for _ in range(200):
        for turn in episode(chance, turns=6):
            own = re.sub(r"<[a-z]+>(<#\d>)?", "x", turn.reply)
            assert re.fullmatch(r"[A-Za-z' ,.!?:;-]+", own), turn.reply
            assert not re.search(r"[a-z,] (?!I\b)[A-Z]", own), turn.reply
            there = set(re.findall(r"<([cewv])><#(\d)>", "".join(f.text() for f in turn.prompt.frames)))
            assert set(re.findall(r"<([cewv])><#(\d)>", turn.reply)) <= there
            assert ("<you>" in turn.reply) <= turn.prompt.address


def test_held_out_turns_never_use_training_lines() -> None:
    chance = random.Random(5)
    talk = sections("talk")["rain"]
    kept = {spelt for line in talk.players(True) for spelt in expansions(line)}
    trained = {spelt for line in talk.players(False) for spelt in expansions(line)}
    assert kept
    assert not kept & trained
    said = [turn.prompt.player for _ in range(60) for turn in episode(chance, turns=4, held_out=True)]
    things = {word for line in said for word in line.split()} & set(THINGS)
    assert len(things) < 40  # words of the lines themselves, never the slots


def test_references_and_ends_weigh_most() -> None:
    weighed = list(pieces(episode(random.Random(1), turns=8)))
    assert {p.weight for p in weighed if p.text == "<end>"} == {TAG_WEIGHT}
    assert all(p.weight == TAG_WEIGHT for p in weighed if re.fullmatch(r"<[cewvn]><#\d>", p.text))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("That's great! I'm a nurse in Ohio.", "That's great!"),
        ("I'm sorry to hear that.", "I'm sorry to hear that."),
        ("I work at Google.", ""),
        ("It cost 300 dollars!", ""),
        ("Oh, I know what you mean. What happened?", "Oh, I know what you mean. What happened?"),
    ],
)
def test_reactions_claim_nothing(said: str, kept: str) -> None:
    assert reaction(said) == kept


def test_batches_are_a_function_of_seed_and_step() -> None:
    tokenizer = build_tokenizer(1, 700)
    assert all(tokenizer.token_to_id(token) is not None for token in SPECIAL)
    first, again, other = (batch_at(step, 1, tokenizer, 64, 4)[0] for step in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A debug model: some seconds from nothing, then resumed."""
    work = tmp_path_factory.mktemp("mind")
    plan = Plan(work, work / "model", minutes=0.04, width=64, layers=2, length=96, rows=4, vocabulary=700)
    first = train(plan)
    second = train(plan)
    assert second["steps"] > first["steps"] > 0
    assert (work / "loss.csv").read_text().startswith("step,loss")
    return work


def test_the_export_runs_on_our_core_token_for_token(trained: Path) -> None:
    folder = trained / "model"
    config = read_config(folder)
    weights = from_tensors(config, Checkpoint(folder), Format.F32)
    network, _ = load(folder)
    ids = [3, 20, 40, 41, 60, 7, 99]
    with torch.no_grad():
        expected = network(torch.tensor([ids]))[0].numpy()
    ours = tiny.logits(ReferenceStep(config, weights, pages=8, positions=96, cache=CacheFormat.BF16), ids)
    assert np.abs(ours[:, : config.vocab] - expected).max() < 0.05


def test_the_export_writes_under_the_grammar_and_is_evaluated(trained: Path) -> None:
    model = DialogueModel(trained / "model")
    try:
        grammar = ReferenceGrammar(model.vocabulary, (), {}, bounds=Bounds(1, 6))
        tokens = model.write(model.encode("[joy](plain)@hello<q>hello<r>"), grammar, 1)
        assert tokens is None or len(tokens) <= 56
    finally:
        model.close()
    table = evaluate(trained / "model", turns=12)
    assert set(table) == {"seen", "held_out", "talk"}
    assert table["talk"]["without"]["on_subject"] < 0.1
    assert table["seen"]["n"] == 12


def test_nothing_is_exported_where_nothing_was_trained(tmp_path: Path) -> None:
    """A mistyped --work exported a new network with random weights, and said so nowhere."""
    assert main(["export", "--work", str(tmp_path / "typo")]) == 1
    assert not (tmp_path / "typo").exists()


def test_a_run_that_is_stopped_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ended in a traceback, and up to three minutes were lost."""

    def stopped(step: int, *args: Any, **more: Any) -> Any:
        if step == 3:
            raise KeyboardInterrupt
        return batch_at(step, *args, **more)

    monkeypatch.setattr("npc.training.mind.train.batch_at", stopped)
    size = "--width 64 --layers 2 --length 64 --rows 2 --vocabulary 700"
    assert main(["train", "--work", str(tmp_path), "--minutes", "5", *size.split()]) == 130
    assert "goes on from" in capsys.readouterr().err
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3


def test_a_run_may_begin_with_exported_weights(trained: Path, tmp_path: Path) -> None:
    start = trained / "model"
    before = json.loads((start / "card.json").read_text())
    plan = Plan(tmp_path, tmp_path / "model", minutes=0.01, width=64, layers=2, length=96, rows=4, start=start)
    assert train(plan)["tokens"] > before["tokens"]
    with pytest.raises(ValueError, match="say so with --layers"):
        train(Plan(tmp_path / "b", tmp_path / "c", minutes=0.01, width=128, layers=2, start=start))


def _table(subject: float, references: float = 1.0) -> dict[str, dict[str, object]]:
    corner: dict[str, object] = {"references": references, "accepted": 1.0, "mood": 0.8, "on_subject": subject}
    return {"seen": corner, "held_out": corner, "talk": {"with": {"on_subject": 0.5}}}


def test_weights_are_adopted_only_when_the_table_improves() -> None:
    assert verdict(_table(0.6), _table(0.5)) == ""
    assert verdict(_table(0.5), _table(0.5)) == "no better"
    assert verdict(_table(0.9, references=0.9), _table(0.5)).startswith("worse: references")


def test_a_checkpoint_of_another_shape_is_refused(trained: Path) -> None:
    with pytest.raises(ValueError, match="use another --work"):
        train(Plan(trained, trained / "other", minutes=0.01, width=128, layers=2, length=96, rows=4, vocabulary=700))


def test_commands_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--width", "100"])
    broken = tmp_path / "talk.jsonl"
    broken.write_text(json.dumps({"turns": [{"player": "hi"}]}) + "\n")
    assert main(["lora", "--base", str(tmp_path), "--dialogue", str(broken), "--out", str(tmp_path / "a")]) == 1
    assert main(["train", "--data", str(tmp_path), "--minutes", "0.01", "--work", str(tmp_path / "w")]) == 1
    assert "corpus not found" in capsys.readouterr().err


def test_progress_in_a_file_is_lines_and_not_one_long_one(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress("step 20")
    progress("step 40")
    progress(last=True)
    assert capsys.readouterr().err == "step 20\n", "the next line comes half a minute later"


def test_the_rate_warms_up_and_falls_from_the_given_peak() -> None:
    assert rate_at(0.0, 0, 1.0) == pytest.approx(0.01)
    assert rate_at(0.5, 500, 1.0) == pytest.approx(0.5)
    assert rate_at(1.0, 5000, 1.0) == pytest.approx(0.05)
