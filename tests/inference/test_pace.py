"""One thread or all for a step of few rows (kernels/cpu/pace.h): what it chooses as a function of what steps take."""

from __future__ import annotations

import numpy as np

from npc.inference import kernels
from tests.inference import tiny

pytestmark = tiny.needs_kernels


def choices(together: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """For each step, whether one thread ran it."""
    lib = kernels.load()
    assert lib is not None
    chosen = np.zeros(len(together), np.uint8)
    lib.npc_pace(together.ctypes.data, alone.ctypes.data, len(together), chosen.ctypes.data)
    return chosen.astype(bool)


def times(*parts: tuple[int, float], seed: int = 1) -> np.ndarray:
    """Seconds of steps: (count, mean) after (count, mean), a tenth of noise."""
    rng = np.random.default_rng(seed)
    return np.concatenate([mean * rng.uniform(0.95, 1.05, count) for count, mean in parts])


def test_steps_as_quick_as_ever_are_shared_and_nothing_is_tried() -> None:
    together = times((4000, 0.0025)) * np.linspace(1.0, 2.0, 4000)  # a context grows
    assert not choices(together, times((4000, 0.004))).any()


def test_where_sharing_loses_one_thread_goes_on_and_comes_back_when_the_load_ends() -> None:
    together = times((500, 0.0025), (2000, 0.0060), (2000, 0.0025))
    alone = times((500, 0.0038), (2000, 0.0048), (2000, 0.0038))
    chosen = choices(together, alone)
    assert not chosen[:500].any()
    assert chosen[600:2500].mean() > 0.9
    assert chosen[3300:].mean() < 0.1
    spent = np.where(chosen, alone, together)
    assert spent[600:2500].sum() < 1.03 * alone[600:2500].sum()


def test_where_sharing_still_wins_it_is_kept_and_trials_grow_rare() -> None:
    together, alone = times((300, 0.010), (3000, 0.020)), times((300, 0.018), (3000, 0.030))
    chosen = choices(together, alone)
    assert chosen.mean() < 0.1
    assert chosen[2000:].sum() <= 64
    assert np.where(chosen, alone, together).sum() < 1.05 * together.sum()


def test_one_slow_step_changes_nothing() -> None:
    together = times((1000, 0.0025))
    together[500] *= 5
    assert not choices(together, times((1000, 0.0038))).any()
