"""`npc bench voices` measures every part of itself on a few sentences."""

from __future__ import annotations

import json

import pytest

from npc.bench.harness import Run
from npc.bench.voices import BENCH
from npc.tts import fetch_flite


def test_a_short_run_has_every_figure() -> None:
    if fetch_flite.locate() is None:
        pytest.skip(f"no Flite library: npc doctor --fix, or {fetch_flite.instructions()}")
    result = BENCH.measure(Run(1, None, {"voices": "flite-rms", "sentences": 12}))
    json.dumps(result, allow_nan=False)
    one = result["voices"]["flite-rms"]
    assert one["speed"] > 5
    assert one["closure_ms"]["p50"] < 25
    assert one["aligner_ms"]["p50"] < 25
    assert one["mark"]["6s"]["found"] == 1.0
    assert one["mark"]["6s"]["false"] == 0.0
    assert "flite-rms" in BENCH.report(result)
