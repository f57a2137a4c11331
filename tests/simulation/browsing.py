"""The Chromium that pages of the rehearsal are tried in."""

from __future__ import annotations

from typing import Any

from npc.simulation.review.pdf import find_browser

CHROMIUM = find_browser()
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
]


def until(page: Any, expression: str, seconds: float = 10.0) -> None:
    """Wait for a condition in a page whose policy forbids evaluation there, which `wait_for_function` would need."""
    for _ in range(round(seconds * 20)):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")
