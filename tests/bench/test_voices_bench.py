"""`npc bench voices` measures every part of itself on a few sentences."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from npc.bench.harness import Run
from npc.bench.voices import BENCH, children_cpu_s
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


def test_one_sentence_is_too_short_for_some_figures_and_is_still_reported() -> None:
    """Means of nothing were NaN, which is no JSON, and the table of a short run was a TypeError."""
    if fetch_flite.locate() is None:
        pytest.skip(f"no Flite library: npc doctor --fix, or {fetch_flite.instructions()}")
    result = BENCH.measure(Run(1, None, {"voices": "flite-rms", "sentences": 1}))
    json.dumps(result, allow_nan=False)
    assert result["voices"]["flite-rms"]["mark"]["6s"] == {"found": None, "false": None, "stretches": 0}
    assert "flite-rms" in BENCH.report(result)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_what_a_voice_spends_in_a_process_of_its_own_counts() -> None:
    """A Coqui voice would have spoken thousands of times faster than real time: only this process was timed."""
    before = children_cpu_s()
    spin = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        assert children_cpu_s() - before >= 0.25
        child.communicate(b"\n")
