"""Training the end-of-turn detector: what is learnt from, and how it is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npc.training import endpointing, endpointing_voice
from npc.training.endpointing_voice import area


@pytest.mark.parametrize("module", [endpointing, endpointing_voice])
def test_a_folder_without_a_corpus_is_refused(
    module: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped --corpus trained the words on our grammars alone and wrote that over the shipped weights."""
    out = tmp_path / "weights"
    cache = ["--cache", str(tmp_path / "cache")]
    monkeypatch.setattr("sys.argv", ["train", "--corpus", str(tmp_path / "typo"), "--out", str(out), *cache])
    with pytest.raises(SystemExit) as stopped:
        module.main()  # type: ignore[attr-defined]
    assert stopped.value.code == 2
    assert "typo: no *.jsonl.gz there" in capsys.readouterr().err
    assert not out.exists()


def test_scores_that_tell_nothing_have_an_area_of_a_half() -> None:
    """Ties were ranked by their place in the array: one score for all was perfect where the ends came last."""
    truth = np.repeat([0.0, 1.0], 50)
    assert area(np.zeros(100), truth) == 0.5
    assert area(truth, truth) == 1.0
    assert area(-truth, truth) == 0.0
    assert area(np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0])) == pytest.approx(0.875)
