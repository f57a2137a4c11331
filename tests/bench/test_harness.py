"""What every benchmark shares."""

from __future__ import annotations

import os

import pytest

from npc.bench.harness import Bench, Run, machine, measured


@pytest.mark.skipif(not hasattr(os, "getloadavg"), reason="no load average on this system")
def test_the_load_told_is_that_before_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most benchmarks asked for it when they were done, and told of the load that they had made themselves."""
    loads = iter((0.25, 2.0))
    monkeypatch.setattr(os, "getloadavg", lambda: (next(loads), 0.0, 0.0))
    bench = Bench("n", "", lambda run: {"machine": machine(), "now": os.getloadavg()[0]}, str)
    found = measured(bench, Run(1, None, {}))
    assert (found["load_before"], found["now"]) == (0.25, 2.0)
