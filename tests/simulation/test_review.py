"""The after-action report: what it says, what it may not say, and what it plays."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.audio.wav import write_wav
from npc.simulation.attempt import Attempt, Audio, Consent, Turn, save
from npc.simulation.review import write_report
from npc.simulation.review.draw import timeline
from npc.simulation.review.findings import FEWEST_OTHERS, balance, delays, find
from npc.simulation.review.page import render, runs
from npc.simulation.review.sound import RATE, data_uri, mulaw, mulaw_wav
from tests.simulation.attempts import judged, make, quote, turns
from tests.simulation.browsing import CHROMIUM, FLAGS, until


def tones(attempt: Attempt, folder: Path) -> None:
    """Either side as a tone while it speaks: 220 Hz the trainee, 330 Hz the character."""
    for name, hz, speaker in (("trainee.wav", 220, "trainee"), ("character.wav", 330, "character")):
        pcm = np.zeros(40 * RATE, np.int16)
        for turn in attempt.turns:
            if turn.speaker == speaker:
                first, last = int(turn.start_s * RATE), int(turn.end_s * RATE)
                wave = 9000 * np.sin(2 * np.pi * hz * np.arange(last - first) / RATE)
                pcm[first:last] = wave.astype(np.int16)
        write_wav(folder / name, pcm, RATE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    attempt = make(consent=Consent(True), audio=Audio("trainee.wav", "character.wav"))
    home = tmp_path / attempt.id
    home.mkdir()
    tones(attempt, home)
    save(attempt, home)
    return home


def test_the_report_needs_nothing_but_itself(folder: Path, tmp_path: Path) -> None:
    [out] = write_report(folder, tmp_path / "report.html")
    page = out.read_text()
    fetched = re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']*)""", page)
    assert fetched == []
    assert "default-src 'none'" in html.unescape(page)
    assert "data:audio/wav;base64," in page
    assert "url(" not in page


def test_every_verdict_stands_there_with_its_words_and_its_stronger_answer() -> None:
    attempt = make()
    page = render(find(attempt))
    for item in attempt.verdicts:
        assert item.description in page
        if item.model_answer:
            assert item.model_answer in page
        for piece in item.evidence if len(item.evidence) <= 3 else ():
            assert f"<q>{piece.quote}</q>" in page
    assert "Mention the manager now." in page
    assert "Talk about this one" in page
    assert all(question in page for question in attempt.debrief)


def test_highlights_are_exactly_the_cited_words() -> None:
    found = find(make())
    marked = {run.met or run.missed: run.text for turn in found.attempt.turns for run in runs(found, turn)}
    assert marked[(1,)] == "I am sorry, that sounds really frustrating."
    assert marked[(3,)] == "To be honest it is not my fault"
    for turn in found.attempt.turns:
        assert " ".join(run.text for run in runs(found, turn)) == turn.text


def test_drawings_are_xml_and_say_what_they_show() -> None:
    found = find(make())
    page = render(found)
    drawn = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(drawn) >= 6
    for svg in drawn:
        root = ET.fromstring(svg)
        assert root.get("aria-label")
    marks = ET.fromstring(timeline(found, ("Trainee", "Dana"))).findall(".//a")
    assert len(marks) == 4, "one for each item that cites a moment"


def test_what_was_said_cannot_break_out_of_the_page() -> None:
    nasty = '</script><img src=x onerror="alert(1)">'
    said = (Turn(1, "trainee", nasty, 0.0, 2.0),)
    attempt = make(turns=said, trainee=nasty, verdicts=(judged("a", "must_say", "met", nasty, reason=nasty),))
    page = render(find(attempt))
    assert "<img" not in page
    assert page.count("</script>") == 1


def test_emotions_are_left_out_where_they_may_not_be_inferred() -> None:
    felt = judged("calm", "emotion", "not_met", "Stays calm canary-item", (quote(turns()[1], 0, 3),))
    assert "canary-item" not in render(find(make(verdicts=(felt, *make().verdicts))))
    allowed = make(verdicts=(felt, *make().verdicts), emotion_allowed=True)
    assert "canary-item" in render(find(allowed))
    assert "emotions were not inferred" not in render(find(allowed))


@pytest.mark.parametrize("changes", [
    {"turns": (), "verdicts": (), "events": (), "interventions": (), "score": None, "passed": None, "debrief": ()},
    {"outcome": "running", "ended": None, "score": None, "passed": None},
    {"duration_s": 0.0},
])  # fmt: skip
def test_an_attempt_with_little_in_it_still_makes_a_report(changes: dict[str, Any]) -> None:
    assert "After-action review" in render(find(make(**changes)))


def test_comparisons_are_with_the_same_scenario_and_never_with_too_few() -> None:
    attempt = make()
    earlier = [make(id=f"e{n}", score=20.0 + n, began=attempt.began - 100 + n) for n in range(2)]
    other = [make(id=f"o{n}", trainee=f"stranger-{n % FEWEST_OTHERS}", score=50.0) for n in range(FEWEST_OTHERS + 1)]
    found = find(attempt, [*earlier, *other[: FEWEST_OTHERS - 1], attempt])
    assert [one.id for one in found.earlier] == ["e0", "e1"]
    assert found.others is None
    found = find(attempt, [*earlier, *other])
    assert found.others is not None
    assert len(found.others.scores) == FEWEST_OTHERS, "one a trainee"
    page = render(found)
    assert "stranger" not in page


times = st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 20), st.booleans()), min_size=1, max_size=8)


@given(times)
def test_the_balance_adds_up_to_the_whole(spans: list[tuple[float, float, bool]]) -> None:
    made = [Turn(n, "trainee" if own else "character", "a", start, start + length)
            for n, (start, length, own) in enumerate(spans, 1)]  # fmt: skip
    spent = balance(made)
    whole = max(turn.end_s for turn in made) - min(turn.start_s for turn in made)
    assert spent.trainee + spent.character - spent.overlap + spent.silence == pytest.approx(whole)
    assert 0 <= spent.share <= 1
    assert all(one.value >= 0 for one in delays(made))


def test_delays_are_those_of_the_answers() -> None:
    assert [round(one.value, 1) for one in delays(make().turns)] == [0.8, 0.8, 3.5, 1.4]


def test_mu_law_is_the_standards_and_what_others_read(folder: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed (extra dev)")
    pcm = np.concatenate([np.arange(-32768, 32767, 7), [32767, 0, -1, 1]]).astype(np.int16)
    back, rate = soundfile.read(io.BytesIO(mulaw_wav(pcm)), dtype="int16")
    assert rate == RATE
    error = np.abs(back.astype(int) - pcm)
    assert (error <= np.maximum(8, np.abs(pcm.astype(int)) // 16)).all()
    # Table 2a of G.711: 0 is coded 0xFF, the greatest values 0x80 and 0x00.
    assert mulaw(np.array([0, 32767, -32768], np.int16)).tolist() == [0xFF, 0x80, 0x00]


def test_without_sound_the_report_says_so(tmp_path: Path) -> None:
    assert data_uri(make(), tmp_path) is None
    assert "No sound was kept" in render(find(make()))


def test_choosing_a_piece_of_evidence_plays_its_words(folder: Path, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    [out] = write_report(folder, tmp_path / "report.html")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(out.as_uri())
        until(page, "document.getElementById('sound').duration > 39")
        page.locator("#item-2 .hear").click()
        until(page, "!document.getElementById('sound').paused")
        start = page.evaluate("document.getElementById('sound').currentTime")
        until(page, "document.getElementById('sound').paused")
        end = page.evaluate("document.getElementById('sound').currentTime")
        browser.close()
    [piece] = make().verdicts[1].evidence
    assert piece.start_s - 0.3 <= start < piece.end_s
    assert piece.end_s < end < piece.end_s + 1.0
    assert wrong == []


def test_the_report_has_no_barrier_that_axe_finds(folder: Path, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed (extra dev)")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    [out] = write_report(folder, tmp_path / "report.html")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        # The page's policy allows its own script alone; the checker is another one.
        page = browser.new_context(bypass_csp=True).new_page()
        page.goto(out.as_uri())
        found = axe.Axe().run(page).response["violations"]
        browser.close()
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_a_report_without_a_suffix_is_still_a_page(folder: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    assert write_report(folder, tmp_path / "report") == [tmp_path / "report.html"]
    assert write_report(folder, shelf) == [shelf / f"{folder.name}.html"]


def test_the_pdf_holds_the_same_words(folder: Path, tmp_path: Path) -> None:
    from pypdf import PdfReader

    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    _, pdf = write_report(folder, tmp_path / "report.html", pdf=True)
    read = PdfReader(pdf)
    text = " ".join(page.extract_text() for page in read.pages)
    assert 2 <= len(read.pages) <= 6
    for wanted in ("The lost booking", "Shows understanding for the anger", "Stronger:", "To talk about"):
        assert wanted in text


def test_what_must_not_be_said_is_worded_as_a_wish_and_absence_marks_no_words() -> None:
    said = turns()
    everywhere = tuple(quote(said[n], 0, len(said[n].words)) for n in (1, 3, 5))
    avoided = judged("blame", "must_not_say", "met", "Blames the customer", everywhere)
    never = judged("sum", "must_say", "not_met", "Sums up", everywhere, reason="nothing that was said does it")
    already = judged("doubt", "must_not_say", "met", "Does not doubt the customer", everywhere)
    found = find(make(verdicts=(avoided, never, already)))
    page = render(found)
    assert "Never blames the customer" in page
    assert "Never does not" not in page
    assert "Looked for in 3 turns" in page
    assert not any(run.met or run.missed for turn in said for run in runs(found, turn))
