"""A rehearsal on the page: chosen, begun, spoken, judged as it goes, ended, and led to its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.hands import DESKTOP, ask, opened, until
from tests.browser.test_access import violations, walk

SCENARIO = "angry-customer"


def state_of(item: str) -> str:
    return f"npcPage.rehearsal.items.get('{item}').state"


def test_a_rehearsal_from_briefing_to_report(server: str, chromium: str, shots: Path) -> None:
    with opened(chromium, f"{server}/?scenario={SCENARIO}", viewport=DESKTOP) as page:
        until(page, "document.getElementById('scenarios').open")
        assert "Support agent" in page.inner_text("#scenarios")
        assert "Friday morning" in page.inner_text("#scenarios")
        page.screenshot(path=str(shots / "scenarios.png"))
        page.select_option("[data-part=level]", "gentle")
        page.click("[data-part=begin]")
        until(page, "npcPage.rehearsal.status?.state === 'running'", 120_000)
        assert page.is_visible("#view-rehearsal")
        assert not page.is_visible("#tab-mind"), "a trainee does not look into the other person's head"
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1", 60_000)
        ask(page, "I am so sorry. Two engineers were booked and nobody came, that is our fault.")
        until(page, f"{state_of('apologise')} === 'met'", 60_000)
        page.click("[data-part=actions] button:has-text('Open a case')")
        until(page, f"{state_of('open_case')} === 'met'", 60_000)
        page.click(".rubric summary")
        assert violations(page) == []
        assert {"end", "leave"} <= set(walk(page))
        page.screenshot(path=str(shots / "rehearsal.png"))
        page.click("[data-part=end]")
        until(page, "!document.querySelector('[data-part=result]').hidden", 60_000)
        assert "of 100" in page.inner_text("[data-part=result]")
        attempt = page.evaluate("npcPage.rehearsal.attempt")
        assert page.get_attribute("[data-part=result] a", "href") == f"review.html?attempt={attempt}"
        page.click("[data-part=leave]")
        until(
            page, "!document.body.classList.contains('rehearsing') && document.querySelector('.chooser').offsetParent"
        )
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1", 60_000)


@pytest.mark.timeout(420)
def test_a_reload_goes_on_with_the_attempt(server: str, chromium: str) -> None:
    with opened(chromium, f"{server}/?scenario={SCENARIO}") as page:
        until(page, "document.getElementById('scenarios').open")
        page.click("[data-part=begin]")
        until(page, "npcPage.rehearsal.status?.state === 'running'", 120_000)
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1", 60_000)
        ask(page, "I am so sorry about this.")
        until(page, "npcPage.rehearsal.status.turns_saved >= 1", 60_000)
        attempt = page.evaluate("npcPage.rehearsal.attempt")
        page.reload()
        page.wait_for_selector("body[data-ready=true]", timeout=60_000)
        until(page, "document.getElementById('scenarios').open")
        assert page.inner_text("[data-part=begin]") == "Go on where you stopped"
        page.click("[data-part=begin]")
        # The server holds the session before it until its window for a resume is over.
        until(page, "npcPage.rehearsal.status?.state === 'running'", 150_000)
        assert page.evaluate("npcPage.rehearsal.attempt") == attempt
