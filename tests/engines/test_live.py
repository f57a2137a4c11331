"""The C#, C++ and Godot clients, each in a session with a live server: a spoken turn, an action, an interruption."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npc.audio.resample import Resampler
from npc.client import OutputAudio, RealtimeClient
from npc.client.local_server import local_server
from npc.protocol import ResponseCreate, ResponseDone
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest
from tests.engines.conftest import PLUGINS, UNREAL, need, run

SPOKEN = "What is your name?"
ACTION = "I'll take two hand lamps, please."
CHARACTER = "sela-marrow"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with local_server() as url:
        asyncio.run(greeted(url))
        yield url


async def greeted(url: str) -> None:
    """Wait until the character is loaded, which is when it greets: on a new machine that takes seconds.

    On a busy one the session gives its first turn up meanwhile; then it is asked again.
    """
    async with asyncio.timeout(200), RealtimeClient.connect(url, character=CHARACTER) as client:
        async for incoming in client:
            if isinstance(incoming, OutputAudio):
                return
            if isinstance(incoming, ResponseDone) and incoming.response.status == "cancelled":
                await client.send(ResponseCreate())


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The player's turn as PCM16 at 24 kHz, after half a second of silence."""
    voice = FliteVoice(FliteSettings("rms"))
    pcm = np.concatenate([chunk.pcm for chunk in voice.synthesize(SpeechRequest(SPOKEN))])
    resampler = Resampler(voice.sample_rate, 24_000)
    audio = np.concatenate([np.zeros(12_000, np.int16), resampler.push(pcm), resampler.flush()])
    path = tmp_path_factory.mktemp("spoken") / "turn.pcm"
    audio.astype("<i2").tofile(path)
    return path


def check(report: dict[str, Any]) -> None:
    assert "name" in report["heard"]
    assert len(report["words"].split()) > 5
    assert report["voiced_samples"] > 24_000
    assert report["widest_jaw"] > 0.2
    assert [action["name"] for action in report["actions"]] == ["sell_item"]
    assert report["cancel_status"] == "cancelled"
    assert report["after_cut"].lower() == "idle"
    assert report["mouth_after_cut"] == 0.0
    assert report["problems"] == []


def test_csharp(server: str, spoken: Path, json_dll: Path, tmp_path: Path) -> None:
    unity = PLUGINS / "unity"
    sources = [
        source
        for folder in ("Runtime/Core", "Runtime/Net", "Tests/Live")
        for source in sorted((unity / folder).glob("*.cs"))
    ]
    (tmp_path / json_dll.name).write_bytes(json_dll.read_bytes())
    run(need("mcs", "mono-devel"), "-langversion:7.2", f"-out:{tmp_path / 'LiveTalk.exe'}", f"-r:{json_dll}", *sources)
    url = server.replace("http", "ws") + f"/v1/realtime?model={CHARACTER}"
    check(json.loads(run(need("mono", "mono-devel"), tmp_path / "LiveTalk.exe", url, spoken, ACTION)))


def test_cpp(server: str, spoken: Path, tmp_path: Path) -> None:
    compiler = need("g++", "g++")
    if not Path("/usr/include/boost/beast.hpp").exists():
        pytest.skip("Boost.Beast is not installed (Debian: libboost-dev): make test-engines installs it")
    core = UNREAL / "Private" / "Core"
    sources = [core / "CharacterClient.cpp", PLUGINS / "unreal/Tests/Live/LiveTalk.cpp"]
    flags = ["-std=c++20", "-O1", f"-I{core}", f"-I{UNREAL / 'ThirdParty'}"]
    run(compiler, *flags, *sources, "-o", tmp_path / "livetalk", "-lpthread")
    port = server.rsplit(":", 1)[1]
    check(json.loads(run(tmp_path / "livetalk", "127.0.0.1", port, f"/v1/realtime?model={CHARACTER}", spoken, ACTION)))


def test_godot(server: str, spoken: Path, tmp_path: Path) -> None:
    """The addon in the engine itself, with its head on a virtual screen; the picture is kept in out/engines."""
    godot, screen = need("godot3", "godot3"), need("xvfb-run", "xvfb")
    project = PLUGINS / "godot"
    run(sys.executable, project / "sample/make_head.py")
    report, shot = tmp_path / "report.json", Path("out/engines/godot.png").resolve()
    shot.parent.mkdir(parents=True, exist_ok=True)
    view = [screen, "-a", godot, "--path", project, "--video-driver", "GLES3", "--audio-driver", "Dummy"]
    # The editor imports the head; it ends with an error of its own on this old version, so its status says nothing.
    subprocess.run([str(part) for part in [*view, "--editor", "--quit"]], capture_output=True, timeout=240, check=False)
    options = {
        "server": server.replace("http", "ws"),
        "wav": spoken,
        "say": ACTION,
        "shot": shot,
        "report": report,
        "seconds": 150,
    }
    subprocess.run(
        [str(part) for part in [*view, *(f"--{key}={value}" for key, value in options.items())]],
        timeout=240,
        check=False,
    )
    told = json.loads(report.read_text())
    check({**told, "cancel_status": told["statuses"][-1]})
    assert shot.stat().st_size > 10_000
