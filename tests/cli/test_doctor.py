"""`npc doctor`: a profile asks for what its engines import, and for nothing else."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from npc.cli import doctor

WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ImportError(name)

sys.meta_path.insert(0, Absent())
import npc.asr.faster_whisper
import npc.inference.native
"""


def test_the_local_profile_asks_for_no_torch_because_its_engines_import_none() -> None:
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed (extra local)")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert doctor.runnable({"python", "voice", "faster-whisper"})["local"] == []


def test_piper_is_there_with_the_library_it_uses(capsys: pytest.CaptureFixture[str]) -> None:
    installed = importlib.util.find_spec("espeakng_loader") is not None
    assert doctor.main(["--only", "piper"]) == (0 if installed else 1)
    assert "npc[piper]" in capsys.readouterr().out or installed


def test_an_unknown_part_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        doctor.main(["--only", "spleen"])
    assert "parts: python" in capsys.readouterr().err


def test_a_machine_without_a_compiler_is_told_what_its_models_lack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The local profile "runs here" at a hundredth of its speed, and the table named neither kernels nor compiler."""
    monkeypatch.setattr("npc.inference.kernels.best_level", lambda: None)
    monkeypatch.delenv("NPC_KERNELS", raising=False)
    assert doctor.main(["--only", "kernels", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert found["state"] == "optional"
    assert "g++" in found["cure"]
    monkeypatch.setenv("NPC_KERNELS", "0")
    assert doctor.main(["--only", "kernels", "--json"]) == 1
    assert "NPC_KERNELS" in capsys.readouterr().out
