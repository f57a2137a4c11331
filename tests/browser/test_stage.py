"""The things of the scene: looked at, handed over, given back; and the sources behind what was said."""

from __future__ import annotations

from pathlib import Path

from tests.browser.hands import DESKTOP, ask, opened, quiet, until


def test_a_lamp_is_handed_over_and_given_back(server: str, chromium: str, shots: Path) -> None:
    with opened(chromium, f"{server}/?character=sela-marrow", viewport=DESKTOP) as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        assert page.evaluate("[...npcPage.face.table.props.keys()].length") == 8
        ask(page, "I'll take one hand lamp, please.")
        until(page, "npcPage.actor.done.size === 1", 40_000)
        until(page, "npcPage.face.table.carrying.some(({ time }) => time > 0.9)")
        page.screenshot(path=str(shots / "hand-over.png"))
        until(page, "npcPage.face.table.carrying.length === 0")
        assert page.evaluate("npcPage.face.table.yours") == ["hand-lamp"]
        assert page.evaluate("npcPage.face.table.props.get('hand-lamp').position.z") > 0.4
        assert "hands you the hand lamp" in page.inner_text("#transcript")
        page.click("#tab-scene")
        page.click("text=Give back")
        until(page, "npcPage.face.table.yours.length === 0 && npcPage.face.table.carrying.length === 0")


def test_pointing_turns_the_eyes(server: str, chromium: str) -> None:
    with opened(chromium, f"{server}/?character=sela-marrow") as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        page.click("#tab-scene")
        sides = page.evaluate("['hand-lamp', 'storm-lamp'].map((id) => Math.sign(npcPage.face.table.anchor(id).x))")
        assert set(sides) == {1, -1}
        for thing, side in zip(("hand lamp", "storm lamp"), sides, strict=True):
            page.click(f"[aria-label='Point at {thing}']")
            left = "eyeLookOutLeft" if side > 0 else "eyeLookInLeft"
            until(page, f"npcPage.drawn.weights[npcPage.performer.index.get('{left}')] > 0.1")


def test_a_citation_opens_its_source(server: str, chromium: str) -> None:
    with opened(chromium, f"{server}/?character=anselm-roe") as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        page.click("#tab-mind")
        ask(page, "What does a ticket cost?")
        until(page, "document.querySelectorAll('#citations details').length >= 1")
        page.click("#citations summary")
        assert "eight euros" in page.inner_text("#citations p")
        page.click("#citations .ghost")
        assert page.evaluate("document.activeElement.dataset.fact") == "ticket"
        page.fill("#knowledge input", "tour")
        assert page.locator("#knowledge li").count() >= 2
        quiet(page)
