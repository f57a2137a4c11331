"""The shipped reference attempts: in order, with gaps, replayable, and every verdict with evidence that is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npc.config.paths import data_dir
from npc.conversation.replay import replay
from npc.simulation.attempt import Attempt, load, log_files
from npc.simulation.package import find_scenario
from npc.simulation.review import write_report
from npc.simulation.review.sound import RATE, mixed
from npc.simulation.timeline import timeline
from npc.store import read_lines

SCENARIOS = ("angry-customer", "clinical-intake", "safety-stop")
QUALITIES = ("strong", "middling", "poor")


def reference(scenario: str, quality: str) -> tuple[Path, Attempt]:
    folder = data_dir("demo") / "scenarios" / scenario / "runs" / quality
    return folder, load(folder)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_strong_middling_and_poor_score_in_that_order_with_gaps(scenario: str) -> None:
    strong, middling, poor = (reference(scenario, quality)[1].score for quality in QUALITIES)
    assert strong is not None
    assert middling is not None
    assert poor is not None
    assert strong >= middling + 20
    assert middling >= poor + 20


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_record_is_what_its_log_says(scenario: str, quality: str) -> None:
    """Turns are folded from the log again, and every decision in it comes out the same, bit for bit."""
    folder, attempt = reference(scenario, quality)
    package = find_scenario(scenario)
    logs = [read_lines(path) for path in log_files(folder)]
    folded = timeline(logs, [action.name for action in package.scenario.actions])
    assert folded.turns() == attempt.turns
    assert tuple(folded.events) == attempt.events
    result = replay(logs[0])
    assert result.exact
    assert result.replies == sum(turn.speaker == "character" for turn in attempt.turns) >= 4


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_awarded_or_denied_item_cites_words_that_lie_in_its_span(scenario: str, quality: str) -> None:
    _, attempt = reference(scenario, quality)
    assert len(attempt.verdicts) >= 10
    for verdict in attempt.verdicts:
        if verdict.state == "not_observed":
            assert verdict.points is None
            continue
        assert verdict.evidence, f"{verdict.item} was {verdict.state} without evidence"
        for cited in verdict.evidence:
            turn = attempt.turn(cited.turn)
            assert cited.quote == " ".join(turn.text.split()[cited.word_start : cited.word_end])
            words = turn.words[cited.word_start : cited.word_end]
            assert [word.text for word in words] == cited.quote.split()
            assert all(cited.start_s - 0.01 <= w.start_s and w.end_s <= cited.end_s + 0.01 for w in words)
            assert cited.end_s > cited.start_s


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_sound_of_the_evidence_is_there(scenario: str) -> None:
    """In every cited span its speaker is heard, and is much louder than where that side says nothing."""
    soundfile = pytest.importorskip("soundfile")
    folder, attempt = reference(scenario, "strong")
    sides = {}
    for side, name in (("trainee", attempt.audio.trainee), ("character", attempt.audio.character)):
        assert name is not None
        sides[side], rate = soundfile.read(folder / name)
        assert len(sides[side]) / rate == pytest.approx(attempt.duration_s, abs=3.0)
    quiet = {}
    for side, sound in sides.items():
        silent = np.ones(len(sound), bool)
        for turn in attempt.turns:
            if turn.speaker == side:
                silent[max(0, int((turn.start_s - 0.5) * rate)) : int((turn.end_s + 0.5) * rate)] = False
        quiet[side] = float(np.sqrt(np.mean(sound[silent] ** 2)))
    for verdict in attempt.verdicts:
        for cited in verdict.evidence:
            side = attempt.turn(cited.turn).speaker
            heard = sides[side][int(cited.start_s * rate) : int(cited.end_s * rate)]
            assert float(np.sqrt(np.mean(heard**2))) > 10 * max(quiet[side], 1e-4), (verdict.item, cited)


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_report_plays_the_evidence(scenario: str, quality: str, tmp_path: Path) -> None:
    """The report of a shipped attempt carries sound, and something is heard wherever it cites what was said aloud."""
    pytest.importorskip("soundfile")
    folder, attempt = reference(scenario, quality)
    [out] = write_report(folder, tmp_path / "report.html")
    assert "data:audio/wav;base64," in out.read_text(encoding="utf-8")
    sound = mixed(attempt, folder)
    assert sound is not None
    for verdict in attempt.verdicts:
        for cited in verdict.evidence:
            span = sound[int(cited.start_s * RATE) : int(cited.end_s * RATE)].astype(np.float64)
            assert np.sqrt(np.mean(span**2)) > 100, (verdict.item, cited)
