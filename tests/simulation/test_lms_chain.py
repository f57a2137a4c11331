"""From the LMS and back, whole: package, launch, ticket, the page, the review, and the score in the LMS's run-time."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from npc.server.settings import ServerSettings
from npc.server.training import Training
from npc.simulation.attempt import save
from npc.simulation.standards.packages import package
from npc.simulation.standards.reporting import pseudonym
from tests.server.running import running
from tests.simulation.attempts import make
from tests.simulation.browsing import CHROMIUM, FLAGS
from tests.simulation.test_launches import KEY, SECRET, Rehearsing
from tests.simulation.test_packages import _LMS, _START, COURSE, unpack
from tests.simulation.test_xapi import node_package

TIMEOUT_MS = 30_000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        return None


def test_a_learner_goes_from_the_lms_to_the_review_and_the_score_comes_back(tmp_path: Path) -> None:
    runtime = node_package("scorm-again") / "dist" / "scorm2004.min.js"
    playing = pytest.importorskip("playwright.async_api", reason="playwright is not installed (extra dev)")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    site, state = tmp_path / "lms", tmp_path / "state"
    (site / "unit").mkdir(parents=True)
    state.mkdir()
    lms_server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    lms = f"http://127.0.0.1:{lms_server.server_address[1]}"
    serving = threading.Thread(target=lms_server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    (state / "training.yaml").write_text(yaml.safe_dump({"lms_origins": [lms], "scorm": {"angry-customer": SECRET}}))
    learner = pseudonym(lms, "s-17")
    attempt = make(trainee=learner, began=time.time() - 60, ended=time.time())
    cmi: dict[str, Any] = {}

    async def main() -> None:
        training = Training(state)
        async with (
            running(Rehearsing(), ServerSettings(port=0, keys=(KEY,)), training) as server,
            playing.async_playwright() as playwright,
        ):
            service = f"http://localhost:{server.port}"
            course = replace(COURSE, service=service, secret=SECRET)
            for name, data in unpack(package(course, "scorm2004")).items():
                (site / "unit" / name).write_bytes(data)
            (site / "runtime.js").write_bytes(runtime.read_bytes())
            (site / "index.html").write_text(_LMS % _START["scorm2004"])
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            context = await browser.new_context()
            context.set_default_timeout(TIMEOUT_MS)
            page = await context.new_page()
            await page.goto(lms)
            async with context.expect_page() as opened:
                await page.frame_locator("iframe").get_by_role("button").click()
            stage = await opened.value
            await stage.wait_for_url("**/?scenario=angry-customer*")
            kept = json.loads(await stage.evaluate("sessionStorage.getItem('npc.launch')"))
            assert (kept["player"], kept["report_to"]) == (learner, lms)
            assert kept["ticket"] not in stage.url

            # The rehearsal itself is tested elsewhere; here its attempt appears on disk as a run would write it.
            folder = state / "attempts" / attempt.id
            folder.mkdir(parents=True)
            save(attempt, folder)
            await stage.goto(f"{service}/review.html?attempt={attempt.id}")
            await stage.wait_for_url("**/report?ticket=*")
            assert await stage.get_by_text("After-action review").is_visible()
            state_line = page.frame_locator("iframe").locator("#state")
            await state_line.get_by_text("Recorded").wait_for()
            cmi.update(json.loads(await page.evaluate("JSON.stringify(API_1484_11.cmi)")))
            await browser.close()

    try:
        asyncio.run(main())
    finally:
        lms_server.shutdown()
        lms_server.server_close()
        serving.join()
    assert (cmi["completion_status"], cmi["success_status"]) == ("completed", "passed")
    assert float(cmi["score"]["scaled"]) == 0.6923
