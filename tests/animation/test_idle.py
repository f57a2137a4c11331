"""Idle motion: vectors are current, statistics are human, and poses are smooth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from npc.animation.idle import IdleMotion, vectors

VECTORS = Path(__file__).resolve().parents[2] / "engine_plugins" / "conformance" / "idle.json"


def test_vectors_are_current() -> None:
    """Run `python -m npc.animation.idle` when this fails."""
    assert json.loads(VECTORS.read_text(encoding="utf-8")) == json.loads(json.dumps(vectors()))


def test_blinks_are_human_over_ten_minutes() -> None:
    rates, gaps = [], []
    for seed in range(8):
        blinks = IdleMotion(seed).blinks(600_000)
        rates.append(len(blinks) / 10)
        gaps += np.diff(blinks).tolist()
    assert min(rates) >= 12
    assert max(rates) <= 28
    assert min(gaps) >= 900
    assert abs(np.std(np.log(gaps)) - 0.5) < 0.08


def test_asking_in_any_order_gives_the_same_pose() -> None:
    forward, backward = IdleMotion(5), IdleMotion(5)
    times = list(range(0, 8000, 37))
    assert [forward.at(t) for t in times] == [backward.at(t) for t in reversed(times)][::-1]


def test_poses_have_no_jumps() -> None:
    motion = IdleMotion(3)
    poses = [motion.at(t) for t in range(0, 30_000, 16)]
    for name, bound in (("blink", 0.45), ("chest", 0.02), ("head_yaw", 0.1), ("head_roll", 0.1)):
        values = np.array([getattr(p, name) for p in poses])
        assert np.abs(np.diff(values)).max() <= bound, name
    assert max(p.blink for p in poses) == 1.0
