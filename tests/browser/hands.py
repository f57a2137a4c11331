"""What the tests do with the page: open it, wait without evaluation in the page, ask by typing, read the pose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
DESKTOP = {"width": 1280, "height": 800}
MOBILE = {"width": 390, "height": 844}
#: Small, so that software rendering keeps a frame rate worth measuring.
SMALL = {"width": 900, "height": 560}
#: Channels that only speech moves; a mood may smile and raise brows meanwhile.
LIPS = ("jawOpen", "mouthPucker", "mouthClose")


@contextmanager
def opened(
    chromium: str,
    url: str,
    *,
    viewport: dict[str, int] = SMALL,
    microphone: Path | None = None,
    first: str | None = None,
    **context: Any,
) -> Iterator[Any]:
    """The page at `url`, ready, with `page.problems` for its console errors, which must stay empty.

    `first` is a script that runs before any of the page's own.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    capture = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=[*FLAGS, *capture])
        page = browser.new_context(permissions=["microphone"], viewport=viewport, **context).new_page()
        if first is not None:
            page.add_init_script(first)
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(url)
        page.wait_for_selector("body[data-ready=true]", timeout=60_000)
        try:
            yield page
        finally:
            browser.close()
        assert not page.problems, page.problems


def until(page: Any, condition: str, milliseconds: float = 30_000) -> None:
    """Poll a JavaScript expression; the page's own policy forbids the evaluation that Playwright's waiting needs."""
    for _ in range(round(milliseconds / 50)):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    shown = page.evaluate("document.body.dataset.state + ' | ' + document.getElementById('transcript').innerText")
    raise AssertionError(f"not within {milliseconds / 1000:.0f} s: {condition}; the page shows: {shown}")


def ask(page: Any, text: str) -> None:
    """Type a turn. The first one also starts the sound."""
    page.fill("#say", text)
    page.press("#say", "Enter")


def quiet(page: Any) -> None:
    """Wait until nothing sounds any more."""
    until(page, "document.body.dataset.state !== 'speaking'")
    page.wait_for_timeout(600)
    until(page, "document.body.dataset.state !== 'speaking'")


def weights(page: Any) -> dict[str, float]:
    """The pose drawn last, by channel."""
    found = page.evaluate("Object.fromEntries(npcPage.performer.channels.map((n, c) => [n, npcPage.drawn.weights[c]]))")
    return {str(name): float(value) for name, value in found.items()}


def rest(page: Any) -> None:
    """The next frame that is drawn has the lips at rest. A starved renderer may take a second to draw it."""
    now = page.evaluate("performance.now()")
    until(page, f"npcPage.drawn.seen > {now}")
    assert max(weights(page)[name] for name in LIPS) < 0.05
