"""The eye track skips what cannot touch its frames; the naive loop over everything gives the same numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npc.animation.eyes import SACCADE_S, Blink, GazeShift, blink_weight, eye_track

SECONDS = st.floats(-1.0, 6.0, allow_nan=False)
AIM = st.floats(-0.6, 0.6, allow_nan=False)


def naive(blinks: list[Blink], shifts: list[GazeShift], t: np.ndarray) -> tuple[np.ndarray, ...]:
    blink, yaw, pitch = np.zeros(len(t)), np.zeros(len(t)), np.zeros(len(t))
    for one in blinks:
        blink = np.maximum(blink, blink_weight(t, one.start))
    for shift in shifts:
        x = np.clip((t - shift.start) / SACCADE_S, 0.0, 1.0)
        step = x * x * (3.0 - 2.0 * x)
        yaw = np.where(step >= 1.0, shift.yaw, yaw + step * (shift.yaw - yaw))
        pitch = np.where(step >= 1.0, shift.pitch, pitch + step * (shift.pitch - pitch))
    return blink, yaw, pitch


@given(st.lists(SECONDS, max_size=6), st.lists(st.tuples(SECONDS, AIM, AIM), max_size=12), st.integers(0, 200))
def test_skipping_changes_nothing(blinks: list[float], shifts: list[tuple[float, float, float]], first: int) -> None:
    t = np.arange(first, first + 72) / 60.0
    made = [Blink(start) for start in sorted(blinks)]
    moves = [GazeShift(-1.0, 0.0, 0.0, "look"), *(GazeShift(*shift, "avert") for shift in sorted(shifts))]
    eyes = eye_track(made, moves, t)
    for got, wanted in zip((eyes.blink, eyes.yaw, eyes.pitch), naive(made, moves, t), strict=True):
        assert np.array_equal(got, wanted)
