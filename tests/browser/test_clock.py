"""The page's clocks under Node on a virtual machine: does the mouth stay with the sound?

The real worklet, client core and performer run; the server, the audio device, the display and the ear are simulated
(virtual/machine.mjs says how untidily).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

VIRTUAL = Path(__file__).parent / "virtual"


def play(script: str, *arguments: object, seconds: float = 60) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node on this machine (Debian: nodejs)")
    command = [node, str(VIRTUAL / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_pose_drawn_is_the_sound_heard_when_the_frame_is_seen() -> None:
    for device, figures in play("timing.mjs").items():
        print(f"{device}: " + ", ".join(f"{name} {value:.1f}" for name, value in figures.items()))
        assert figures["frames"] > 5000, device
        assert figures["p95"] <= 17.0, (device, figures)


def soak(minutes: int, seconds: float) -> None:
    for ppm, figures in play("soak.mjs", minutes, seconds=seconds).items():
        print(f"{ppm} ppm: " + ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))
        assert figures["frames"] > minutes * 60 * 59
        assert abs(figures["drift"]) <= 15.0, (ppm, figures)
        assert figures["worst_minute"] <= 15.0, (ppm, figures)


def test_three_minutes_on_a_skewed_device_do_not_drift() -> None:
    soak(3, 60)


@pytest.mark.slow
def test_thirty_minutes_on_a_skewed_device_do_not_drift() -> None:
    soak(30, 300)


def test_twenty_interruptions_in_a_row() -> None:
    figures = play("interruptions.mjs", 21)
    print(figures)
    assert figures["interrupted"] == 20, "a reply was not sounding when it was cut"
    assert 0 < figures["silent_ms"] <= 20.0
    assert 0 < figures["rest_ms"] <= 150.0
    assert figures["stale"] == 0
    assert figures["last_jaw"] > 0.5, "the lips no longer move"


def test_a_hidden_page_is_right_again_at_once() -> None:
    figures = play("hidden.mjs")
    print(figures)
    assert figures["first_ms"] <= 17.0
    assert figures["moves"] <= 1, "nods of the hidden time were made up for"
    assert min(figures["jaw_before"], figures["jaw_after"]) > 0.5


def test_idle_life_of_a_day_remembers_no_more_than_that_of_a_minute() -> None:
    figures = play("idle.mjs")
    assert figures["same"]
    assert figures["blinks"] <= 4
    assert figures["saccades"] <= 12


def test_cutting_in_silences_the_reply_that_sounds_and_the_one_that_waits() -> None:
    assert play("queued.mjs") == {"silent": True, "stopped": ["stopped 2", "stopped 1"]}
