"""Everybody can use the page: keyboard alone, screen readers (axe), small screens, reduced motion, high contrast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.hands import DESKTOP, FLAGS, MOBILE, opened, until

CHARACTER = "anselm-roe"
TABS = ("talk", "scene", "score", "speed", "mind", "settings")
#: Where the focus is: an id, or the label of what has none; and whether one sees it.
FOCUS = """
() => {
  const one = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  const label = one.getAttribute('aria-label') || one.name || one.textContent.trim().slice(0, 30);
  const seen = (outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || one.closest('.card') !== null;
  return [one.id || one.dataset.part || label || one.tagName, seen, one.tagName];
}
"""


def walk(page: Any, most: int = 80) -> list[str]:
    """Press Tab until the focus comes round; what it rested on. Everything must show that it has the focus."""
    page.evaluate("document.activeElement.blur()")
    found: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        name, seen, tag = page.evaluate(FOCUS)
        if tag == "BODY" or (found and name == found[0]):
            break
        assert seen, f"{name} does not show its focus"
        found.append(name)
    return found


def test_the_keyboard_reaches_everything(server: str, chromium: str) -> None:
    with opened(chromium, f"{server}/?character={CHARACTER}", viewport=DESKTOP) as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        reached = walk(page)
        for needed in ("character", "panel-toggle", "tab-talk", "view-talk", "mic", "say"):
            assert needed in reached, f"{needed} is not among {reached}"
        page.focus("#tab-talk")
        for tab in TABS[1:]:
            page.keyboard.press("ArrowRight")
            assert page.evaluate("document.activeElement.id") == f"tab-{tab}"
            assert page.is_visible(f"#view-{tab}")
        everything = set(walk(page))
        assert {
            "turns",
            "captions",
            "calm",
            "contrast",
            "voice",
            "look",
            "rig",
            "address",
            "address-load",
        } <= everything
        page.focus("#tab-settings")
        page.keyboard.press("Home")
        assert page.is_visible("#view-talk")
        page.keyboard.press("ArrowRight")
        assert any(name.startswith("Point at") for name in walk(page))
        # The microphone by the space bar, from nowhere in particular.
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Space")
        until(page, "document.getElementById('mic').getAttribute('aria-pressed') === 'true'")
        page.keyboard.press("Space")
        until(page, "document.getElementById('mic').getAttribute('aria-pressed') === 'false'")
        # No scenario, no button; with one its dialog opens, is walked, and closes by Escape.
        if page.is_visible("#rehearse"):
            page.focus("#rehearse")
            page.keyboard.press("Enter")
            until(page, "document.getElementById('scenarios').open")
            inside = {page.keyboard.press("Tab") or page.evaluate(FOCUS)[0] for _ in range(8)}
            assert {"level", "begin", "cancel"} <= inside
            page.keyboard.press("Escape")
            until(page, "!document.getElementById('scenarios').open")


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed (extra dev)")
    results = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    return [
        f"{one['id']}: {one['help']} ({node['target']}: {node.get('failureSummary', '')[:300]})"
        for one in results.response["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("viewport", [DESKTOP, MOBILE], ids=["desktop", "mobile"])
def test_axe_finds_nothing(server: str, chromium: str, viewport: dict[str, int]) -> None:
    with opened(chromium, f"{server}/?character={CHARACTER}", viewport=viewport) as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        if viewport is MOBILE:
            assert violations(page) == []
            page.click("#panel-toggle")
        for tab in TABS:
            page.click(f"#tab-{tab}")
            assert violations(page) == [], tab
        page.click("#tab-settings")
        page.check("[name=contrast]")
        assert violations(page) == []
        if page.is_visible("#rehearse"):
            page.click("#rehearse")
            assert violations(page) == []


def test_a_small_screen_holds_all_of_it(server: str, chromium: str, shots: Path) -> None:
    with opened(chromium, f"{server}/?character={CHARACTER}", viewport=MOBILE, has_touch=True, is_mobile=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not page.is_visible("#panel")
        for control in ("#mic", "#say", "#panel-toggle", "#character"):
            box = page.locator(control).bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= MOBILE["width"]
            assert box["height"] >= 34, control
        page.screenshot(path=str(shots / "mobile.png"))
        page.click("#panel-toggle")
        assert page.is_visible("#transcript")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_reduced_motion_and_captions_by_default(server: str, chromium: str) -> None:
    with opened(chromium, f"{server}/?character={CHARACTER}", reduced_motion="reduce") as page:
        assert page.is_checked("[name=captions]", strict=True)
        assert page.is_checked("[name=calm]")
        assert page.evaluate("npcPage.performer.calm && npcPage.face.calm")
        assert page.evaluate("document.getAnimations().length") == 0
        until(page, "document.getElementById('caption-them').textContent.length > 5")


def test_a_server_that_lists_no_characters_is_said(server: str, chromium: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        page = browser.new_page()
        page.route("**/v1/characters", lambda route: route.fulfill(status=401, json={"error": {}}))
        page.goto(server)
        until(page, "!document.getElementById('notice').hidden", 10_000)
        assert "did not list its characters" in page.inner_text("#notice")
        browser.close()
