"""What the engine tests need: compilers and engines, each skipped by name where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "engine_plugins"
VECTORS = PLUGINS / "conformance" / "vectors"
UNREAL = PLUGINS / "unreal" / "Source" / "NpcCharacters"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/engines" in str(item.fspath).replace(os.sep, "/"):
            item.add_marker(pytest.mark.engines)


def need(program: str, package: str) -> str:
    """Path of a program, or skip with the Debian package that brings it."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: {package}): make test-engines installs it")
    return found


def run(*command: str | Path, seconds: float = 240.0) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, (
        f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout


@pytest.fixture(scope="session")
def json_dll() -> Path:
    places = [
        *Path("/usr/lib/cli").glob("Newtonsoft.Json*/Newtonsoft.Json.dll"),
        *Path("/usr/lib/mono").rglob("Newtonsoft.Json.dll"),
    ]
    if not places:
        pytest.skip(
            "Newtonsoft.Json is not installed (Debian: libnewtonsoft-json5.0-cil): make test-engines installs it"
        )
    return places[0]


@pytest.fixture(scope="session")
def csharp_runner(json_dll: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C# core and its runner, compiled as old Unity compilers take it."""
    compiler = need("mcs", "mono-devel")
    out = tmp_path_factory.mktemp("csharp")
    shutil.copy(json_dll, out)
    sources = [*sorted((PLUGINS / "unity/Runtime/Core").glob("*.cs")), PLUGINS / "unity/Tests/Conformance/Runner.cs"]
    run(compiler, "-langversion:7.2", "-warnaserror", f"-out:{out / 'Runner.exe'}", f"-r:{json_dll}", *sources)
    return out / "Runner.exe"


@pytest.fixture(scope="session")
def cpp_runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ core and its runner, warnings as errors, without exceptions in the core's own code."""
    compiler = need("g++", "g++")
    core = PLUGINS / "unreal/Source/NpcCharacters/Private/Core"
    out = tmp_path_factory.mktemp("cpp") / "runner"
    sources = [core / "CharacterClient.cpp", PLUGINS / "unreal/Tests/Runner.cpp"]
    run(
        compiler,
        "-std=c++20",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{core}",
        f"-I{UNREAL / 'ThirdParty'}",
        *sources,
        "-o",
        out,
    )
    return out
