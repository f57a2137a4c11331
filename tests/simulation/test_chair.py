"""An instructor beside a running scenario, over the wire: each intervention is in the attempt, its log and the report;
nothing is kept that was not agreed to, and nothing is inferred that may not be."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import websockets

from npc.config.settings import load_settings
from npc.server.assembly import build
from npc.server.settings import ServerSettings
from npc.server.training import Training
from npc.simulation.attempt import load, log_files
from npc.simulation.privacy import traces
from npc.simulation.standards.reporting import REPORTED
from tests.server.running import Running, running
from tests.simulation.browsing import CHROMIUM, FLAGS

pytestmark = pytest.mark.slow

SCENARIO, CHARACTER = "angry-customer", "dana-whitlock"
DEADLINE_S = 60.0


class Peer:
    """A socket that keeps what it was sent."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.got: list[dict[str, Any]] = []
        self._new = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        # A session that is over closes with a code of its own.
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in self.socket:
                if isinstance(message, str):
                    self.got.append(json.loads(message))
                    self._new.set()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def wait(self, kind: str, after: int = 0, **fields: Any) -> dict[str, Any]:
        """The first message of that kind from place `after` on with these fields."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for one in self.got[after:]:
                    if one["type"] == kind and all(one.get(name) == value for name, value in fields.items()):
                        return one
                self._new.clear()
                await self._new.wait()

    async def close(self) -> None:
        await self.socket.close()
        await asyncio.wait([self._task])


async def say(trainee: Peer, text: str) -> None:
    """A typed turn, answered to its end."""
    place = len(trainee.got)
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await trainee.send("conversation.item.create", item=item)
    await trainee.send("response.create")
    await trainee.wait("npc.rehearsal", place + 1)
    await trainee.wait("npc.assessment", place)


async def rehearse(server: Running, *, audio: bool) -> tuple[Peer, Peer, str]:
    """A trainee in a running scenario, an instructor beside them, and the attempt's id."""
    trainee = Peer(await websockets.connect(server.ws(f"character={CHARACTER}&npc=1"), max_size=None))
    npc = {"player": {"id": "t-anna"}, "scenario": SCENARIO, "rehearsal": {"consent": {"audio": audio}}}
    await trainee.send("session.update", session={"type": "realtime", "output_modalities": ["text"], "npc": npc})
    began = await trainee.wait("npc.rehearsal")
    async with httpx.AsyncClient(base_url=server.http) as client:
        [live] = (await client.get("/v1/sessions")).json()["data"]
    chair = Peer(await websockets.connect(server.ws(f"watch={live['id']}&npc=1"), max_size=None))
    await chair.wait("npc.instructed", action="observe")
    return trainee, chair, began["attempt"]


def services(folder: Path) -> tuple[Any, Training]:
    overrides = {"store.folder": str(folder), "tts.voice": "none", "tts.greets": False, "asr.engine": "none"}
    return build(load_settings(profile="embedded", overrides=overrides)), Training(folder)


def test_every_intervention_is_in_the_attempt_the_log_and_the_report(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    async def main() -> None:
        service, training = services(tmp_path)
        async with running(service, ServerSettings(port=0), training) as server:
            trainee, chair, attempt = await rehearse(server, audio=False)
            await chair.send("npc.instructor", action="whisper", text="Insist on the engineer. canary-whisper")
            await chair.wait("npc.instructed", action="whisper")
            await say(trainee, "I am sorry about this. May I have your account number?")
            await chair.send("npc.instructor", action="difficulty", level="hard")
            await chair.wait("npc.rehearsal", level="hard")
            await chair.send("npc.instructor", action="inject", text="The line crackles.")
            await chair.wait("npc.instructed", action="inject")
            await chair.send("npc.instructor", action="take_over", text="Let me be plain with you.")
            await chair.wait("npc.instructed", action="take_over")
            await chair.wait("response.output_text.done", text="Let me be plain with you.")
            await chair.send("npc.instructor", action="bookmark", text="Here it turned.")
            await chair.wait("npc.instructed", action="bookmark")
            await chair.send("npc.instructor", action="pause")
            await chair.wait("npc.rehearsal", state="paused")
            place = len(trainee.got)
            await trainee.send("response.create")
            assert (await trainee.wait("error", place))["error"]["code"] == "paused"
            await chair.send("npc.instructor", action="resume")
            await chair.wait("npc.rehearsal", len(chair.got) - 1, state="running")
            await chair.send("npc.instructor", action="end")
            await trainee.wait("npc.rehearsal", state="finished")
            folder = tmp_path / "attempts" / attempt
            async with asyncio.timeout(DEADLINE_S):
                while not (folder / REPORTED).is_file():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            async with httpx.AsyncClient(base_url=server.http) as client:
                told["report"] = (await client.get(f"/v1/attempts/{attempt}/report")).text
            assert not any("canary-whisper" in json.dumps(one) for one in trainee.got), "the trainee is not told"
            told["emotions"] = [one for one in trainee.got if one["type"] == "npc.emotion"]
            told["folder"] = folder
            await chair.close()
            await trainee.close()

    asyncio.run(main())
    attempt = load(told["folder"])
    done = [one.action for one in attempt.interventions if one.action != "observe"]
    assert done == ["whisper", "difficulty", "inject", "take_over", "bookmark", "pause", "resume", "end"]
    assert attempt.outcome == "ended_by_instructor"
    assert attempt.level == "hard"
    log = "".join(path.read_text() for path in log_files(told["folder"]))
    for words in ("canary-whisper", "The line crackles.", "Here it turned."):
        assert words in log
        assert words in told["report"]
    assert "the instructor speaking" in told["report"]

    # A workplace package without a stated reason: nothing was read in the trainee, so nothing was told or kept.
    assert not attempt.emotion_allowed
    assert told["emotions"]
    assert all(one.get("player") is None for one in told["emotions"])
    assert '"words": "' not in log
    assert "arousal" not in json.dumps([turn.delivery for turn in attempt.turns], default=dict)


@pytest.mark.parametrize("audio", [False, True])
def test_sound_is_kept_with_consent_and_only_then(tmp_path: Path, audio: bool) -> None:
    async def main() -> Path:
        service, training = services(tmp_path)
        async with running(service, ServerSettings(port=0), training) as server:
            trainee, chair, attempt = await rehearse(server, audio=audio)
            tone = (6000 * np.sin(np.arange(4800) / 10)).astype("<i2").tobytes()
            for _ in range(10):
                await trainee.send("input_audio_buffer.append", audio=base64.b64encode(tone).decode())
            await asyncio.sleep(0.5)
            await chair.send("npc.instructor", action="end")
            await trainee.wait("npc.rehearsal", state="finished")
            await chair.close()
            await trainee.close()
        return tmp_path / "attempts" / attempt

    folder = asyncio.run(main())
    attempt = load(folder)
    assert attempt.consent.audio == audio
    assert [path.name for path in folder.glob("*.wav")] == (["trainee.wav"] if audio else [])
    assert (attempt.audio.trainee is not None) == audio


def test_the_instructors_page_shows_the_talk_and_steers_it(tmp_path: Path) -> None:
    playing = pytest.importorskip("playwright.async_api", reason="playwright is not installed (extra dev)")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")

    async def main() -> Path:
        service, training = services(tmp_path)
        async with (
            running(service, ServerSettings(port=0), training) as server,
            playing.async_playwright() as playwright,
        ):
            trainee, chair, attempt = await rehearse(server, audio=False)
            await chair.close()
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = await browser.new_page()
            page.set_default_timeout(DEADLINE_S * 1000)
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
            await page.goto(f"{server.http}/instructor.html")
            await page.locator("#connection[data-state=open]").wait_for()
            await say(trainee, "May I have your account number, please?")
            await page.locator("#lines .trainee p", has_text="account number").wait_for()
            await page.locator("#rubric .met").first.wait_for()
            await page.get_by_label("Speak as the character").check(force=True)
            await page.locator("#words").fill("Let me be plain with you.")
            await page.get_by_role("button", name="Send").click()
            await page.locator("#lines .character p", has_text="Let me be plain").wait_for()
            await page.get_by_role("button", name="Pause").click()
            await page.get_by_role("button", name="Go on").click()
            await page.get_by_role("button", name="End attempt").click()
            await trainee.wait("npc.rehearsal", state="finished")
            await page.get_by_text("The attempt is over").wait_for()
            assert await page.locator("#trainee").inner_text() == "t-anna"
            await browser.close()
            await trainee.close()
            assert wrong == []
        return tmp_path / "attempts" / attempt

    done = [one.action for one in load(asyncio.run(main())).interventions if one.action != "observe"]
    assert done == ["take_over", "pause", "resume", "end"]


def test_erasing_a_trainee_in_mid_scenario_leaves_no_byte_of_them(tmp_path: Path) -> None:
    canary = "canary-xylophone-7731"

    async def main() -> None:
        (tmp_path / "training.yaml").write_text("xapi: {file: told.jsonl}\n")
        overrides = {"store.folder": str(tmp_path), "tts.voice": "none", "tts.greets": False, "asr.engine": "none",
                     "store.retain": "days:30"}  # fmt: skip
        service = build(load_settings(profile="embedded", overrides=overrides))
        async with running(service, ServerSettings(port=0), Training(tmp_path)) as server:
            trainee, chair, _ = await rehearse(server, audio=True)
            await say(trainee, f"My name is {canary} and I am sorry about this.")
            assert traces(canary, tmp_path), "it was kept"
            async with httpx.AsyncClient(base_url=server.http, timeout=DEADLINE_S) as client:
                told = (await client.delete("/v1/trainees/t-anna")).json()
            assert told["attempts"] == 1
            assert told["other"]["session logs"] == 1
            assert traces(canary, tmp_path) == []
            assert traces("t-anna", tmp_path) == []
            await chair.close()
            await trainee.close()
        assert traces(canary, tmp_path) == [], "nor does the end of the server write it again"

    asyncio.run(main())
