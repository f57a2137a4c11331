"""Every engine's client core passes the same vectors; Python's is in tests/client/test_character.py."""

from __future__ import annotations

import runpy
from pathlib import Path

from tests.engines.conftest import PLUGINS, VECTORS, need, run

COUNT = len(list(VECTORS.glob("*.json")))
#: The engines also share how idle life is laid on the face; the page has a gaze of its own.
FOLDERS = ((VECTORS, COUNT), (VECTORS.parent / "life", 1))


def test_the_committed_vectors_are_current() -> None:
    made = runpy.run_path(str(PLUGINS / "conformance/make.py"), run_name="vectors")["render"]()
    conformance = VECTORS.parent
    kept = [path for folder in ("vectors", "life") for path in (conformance / folder).glob("*.json")]
    assert made == {str(path.relative_to(conformance)): path.read_text() for path in kept}


def test_the_generated_constants_are_current() -> None:
    files = runpy.run_path(str(PLUGINS / "conformance/constants.py"), run_name="constants")["render"]()
    assert files == {path: path.read_text() for path in files}


def test_csharp(csharp_runner: Path) -> None:
    for folder, count in FOLDERS:
        assert f"{count} passed, 0 failed" in run(need("mono", "mono-devel"), csharp_runner, folder)


def test_cpp(cpp_runner: Path) -> None:
    for folder, count in FOLDERS:
        assert f"{count} passed, 0 failed" in run(cpp_runner, folder)


def test_gdscript() -> None:
    godot = need("godot3-server", "godot3-server")
    script = PLUGINS / "godot/tests/runner.gd"
    for folder, count in FOLDERS:
        assert f"{count} passed, 0 failed" in run(godot, "--path", PLUGINS / "godot", "-s", script, folder)


def test_javascript() -> None:
    node = need("node", "nodejs")
    assert f"{COUNT} passed, 0 failed" in run(node, PLUGINS / "conformance/runner.mjs", VECTORS)
