"""The three shipped scenarios by voice in the browser: a strong trainee's lines as the microphone, in real time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from npc.audio.wav import write_wav
from npc.simulation.package import find_scenario
from npc.simulation.trainees import Step, find
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest
from tests.browser.hands import DESKTOP, opened, until

#: Silence before the first line, and after each: the character answers in it. Below the 9 s after which the stories
#: take a silence for one.
LEAD_S, GAP_S = 1.5, 7.5


def spoken(steps: tuple[Step, ...], path: Path) -> tuple[list[tuple[float, str]], float]:
    """The lines as a WAV with pauses; when which action is to be taken, and the length, in seconds."""
    voice = FliteVoice(FliteSettings("rms"))
    rate = voice.sample_rate
    pieces = [np.zeros(int(LEAD_S * rate), np.int16)]
    acts: list[tuple[float, str]] = []
    for step in steps:
        if step.do is not None:
            acts.append((sum(piece.size for piece in pieces) / rate - 1.0, step.do))
        elif step.say is not None:
            pieces += [chunk.pcm for chunk in voice.synthesize(SpeechRequest(step.say))]
            pieces.append(np.zeros(int(GAP_S * rate), np.int16))
    whole = np.concatenate(pieces)
    write_wav(path, whole, rate)
    return acts, whole.size / rate


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("scenario", ["angry-customer", "clinical-intake", "safety-stop"])
def test_a_scenario_by_voice_from_start_to_score(
    server: str, chromium: str, shots: Path, tmp_path: Path, scenario: str
) -> None:
    package = find_scenario(scenario)
    acts, length = spoken(find(package, "strong").steps, tmp_path / "trainee.wav")
    labels = {action.name: action.label for action in package.scenario.actions}
    microphone, url = tmp_path / "trainee.wav", f"{server}/?scenario={scenario}&raw"
    with opened(chromium, url, viewport=DESKTOP, microphone=microphone) as page:
        until(page, "document.getElementById('scenarios').open")
        page.click("[data-part=begin]")
        until(page, "npcPage.rehearsal.status?.state === 'running'", 120_000)
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1", 60_000)
        until(page, "document.body.dataset.state !== 'speaking'", 30_000)
        page.click("#mic")
        at = 0.0
        for when, action in acts:
            page.wait_for_timeout(1000 * max(0.0, when - at))
            at = max(at, when)
            if page.evaluate("npcPage.rehearsal.status.state") == "running":
                page.click(f"[data-part=actions] button:has-text('{labels[action]}')")
        page.wait_for_timeout(1000 * max(0.0, length - at))
        if page.evaluate("npcPage.rehearsal.status.state") == "running":
            # The strong trainee's last words end the talk; a story that goes on all the same is ended by hand.
            page.click("[data-part=end]")
        until(page, "!document.querySelector('[data-part=result]').hidden", 60_000)
        status = page.evaluate("({...npcPage.rehearsal.status})")
        said = page.eval_on_selector_all("#transcript li", "rows => rows.map((row) => row.textContent)")
        page.screenshot(path=str(shots / f"rehearsal-by-voice-{scenario}.png"))
        told = {"score": status["score"], "outcome": status["outcome"], "passed": status["passed"], "said": said}
        (shots / f"rehearsal-by-voice-{scenario}.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        assert status["state"] == "finished"
        assert page.evaluate("document.querySelectorAll('#transcript li.you').length") >= 4, said
        assert status["score"] >= package.scenario.rubric.pass_mark, told
