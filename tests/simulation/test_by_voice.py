"""Items that are measured in the trainee's voice, and the one that reads emotion, from made sound to the verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npc.cli.scenario_play import _voice
from npc.cli.scenario_studio import in_studio
from npc.dialogue.character_library import find_character
from npc.inference.encoder import EncoderError
from npc.simulation.attempt import Attempt, list_attempts, log_files
from npc.simulation.driver import Pcm16, TraineeClient
from npc.simulation.judging import judge
from npc.simulation.package import Package, PackageError, open_package
from npc.simulation.rubric import RubricEngine
from npc.simulation.timeline import timeline
from npc.simulation.trainees import Step
from npc.store import read_lines
from tests.simulation.scenarios_made import write

LAST = "    - {id: served, kind: objective, description: She is served, objective: has_receipt}\n"
MEASURED = LAST + (
    "    - {id: audible, kind: delivery, description: Speaks up, metric: loudness_db, min: -38}\n"
    "    - {id: flowing, kind: delivery, description: Speaks without long stops, metric: pause_ratio, max: 0.5}\n"
    "    - {id: unhurried, kind: delivery, description: Is easy to follow, metric: rate_wps, min: 1.0, max: 4.5}\n"
    "    - {id: polite, kind: delivery, description: Is polite, metric: polite_words, min: 1}\n"
)
CALM = LAST + "    - {id: angry, kind: emotion, description: Shows anger, emotions: [anger, disgust]}\n"


@pytest.fixture(autouse=True)
def by_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise EncoderError("left out")

    monkeypatch.setattr("npc.simulation.scenarios.load_encoder", missing)
    monkeypatch.setattr("npc.dialogue.mind_open.load_encoder", missing)
    monkeypatch.setattr("npc.server.assembly.list_characters", lambda _: ((find_character("sela-marrow"),), ()))


def take(
    package: Package, folder: Path, steps: tuple[Step, ...], voice: Callable[[str], Pcm16] | None, **settings: Any
) -> tuple[Path, Attempt, dict[str, Any]]:
    in_studio(package, lambda c: TraineeClient(c, package, voice).run(steps, None, False, "t1"), folder, settings)
    ((place, attempt),) = list_attempts(folder / "attempts")
    return place, attempt, {one.item: one for one in attempt.verdicts}


def softly_with_stops(voice: Callable[[str], Pcm16]) -> Callable[[str], Pcm16]:
    """The same voice 26 dB softer, with half a second of nothing after each fifth of a line."""

    def say(text: str) -> Pcm16:
        parts = np.array_split((voice(text) * 0.05).astype(np.int16), 5)
        return np.concatenate([piece for part in parts for piece in (part, np.zeros(8_000, np.int16))])

    return say


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_delivery_is_measured_in_the_voice(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    package = open_package(write(tmp_path / "till", ("scenario.yaml", LAST, MEASURED)))
    voice = _voice("flite-slt")
    steps = (
        Step(say="Good morning to you, what do you need today, please?"),
        Step(say="Thank you very much, goodbye."),
    )
    _, attempt, clear = take(package, tmp_path / "clear", steps, voice)
    spoken = [turn for turn in attempt.turns if turn.speaker == "trainee"]
    assert spoken, "the recogniser heard nothing"
    assert all({"energy_db", "pause_ratio", "rate_wps"} <= set(turn.delivery) for turn in spoken[:1])
    assert {clear[name].state for name in ("audible", "flowing", "unhurried")} == {"met"}, clear
    assert "loudness_db was" in clear["audible"].reason
    assert clear["audible"].evidence[0].end_s > clear["audible"].evidence[0].start_s
    _, _, soft = take(package, tmp_path / "soft", steps, softly_with_stops(voice))
    assert soft["audible"].state == "not_met", soft["audible"]
    assert soft["flowing"].state == "not_met", soft["flowing"]


def test_typing_has_no_delivery(tmp_path: Path) -> None:
    package = open_package(write(tmp_path / "till", ("scenario.yaml", LAST, MEASURED)))
    off = {"asr.engine": "none", "tts.voice": "none"}
    _, _, typed = take(
        package, tmp_path, (Step(say="Good morning, please come in."), Step(say="Goodbye.")), None, **off
    )
    assert {typed[name].state for name in ("audible", "flowing", "unhurried")} == {"not_observed"}
    assert typed["polite"].state == "met"


ANGRY = (Step(say="I am so angry, this is disgusting and I hate it!"), Step(say="Goodbye."))


@pytest.mark.parametrize(
    ("steps", "state"), [(ANGRY, "met"), ((Step(say="Good morning to you."), ANGRY[1]), "not_met")]
)
def test_emotion_is_read_where_the_package_may(tmp_path: Path, steps: tuple[Step, ...], state: str) -> None:
    package = open_package(write(tmp_path / "till", ("scenario.yaml", LAST, CALM)))
    place, attempt, verdicts = take(package, tmp_path, steps, None, **{"asr.engine": "none", "tts.voice": "none"})
    assert verdicts["angry"].state == state, verdicts["angry"]
    (log,) = log_files(place)
    folded = timeline([read_lines(log)], ["print_receipt"])
    if state == "met":
        assert verdicts["angry"].evidence[0].quote.startswith("I am so angry")
        assert folded.emotions()
    again = judge(package, RubricEngine(None), folded.turns(), folded.events, over=True, emotions=folded.emotions())
    assert again == attempt.verdicts


def test_emotion_is_neither_judged_nor_kept_at_work(tmp_path: Path) -> None:
    work = ("scenario.yaml", "sector: consumer", "sector: workplace")
    with pytest.raises(PackageError, match=r"Article 5\(1\)\(f\)"):
        open_package(write(tmp_path / "till", ("scenario.yaml", LAST, CALM), work))
    package = open_package(write(tmp_path / "other", work))
    place, _, _ = take(package, tmp_path, ANGRY, None, **{"asr.engine": "none", "tts.voice": "none"})
    (log,) = log_files(place)
    assert "rehearsal.emotion" not in log.read_text(encoding="utf-8")
