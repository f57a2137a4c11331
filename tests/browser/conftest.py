"""A live server and a headless Chromium whose microphone is a WAV file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from npc.client.local_server import local_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shots", default="out/browser", help="folder for the screenshots of the page's tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def shots(request: pytest.FixtureRequest) -> Path:
    """Where screenshots go: `--shots FOLDER`, by default out/browser."""
    folder = Path(request.config.getoption("--shots", default="out/browser"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: make test-browser installs it")
    return CHROMIUM


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of `npc serve` on a free port, with a state folder of its own."""
    state = tmp_path_factory.mktemp("state")
    with local_server(state=state) as url:
        warm_up(url, state / "hello.wav")
        yield url


def warm_up(url: str, out: Path) -> None:
    """A fresh server indexes its characters first, for seconds or minutes: ask until it answers."""
    talk = ["-m", "npc.cli.main", "talk", "--url", url, "--text", "Hello.", "--out", str(out)]
    said = ""
    for _ in range(5):
        done = subprocess.run([sys.executable, *talk], check=False, capture_output=True, text=True, timeout=90)
        if done.returncode == 0:
            return
        said = done.stdout + done.stderr
    raise RuntimeError(f"the server does not answer: {said[-2000:]}")
