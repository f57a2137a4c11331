"""The face in each state, looked at: screenshots whose pose is asserted, from one conversation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from npc.audio.wav import write_wav
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest
from tests.browser.hands import DESKTOP, LIPS, ask, opened, quiet, until, weights

CHARACTER = "sela-marrow"
#: From now on the newest reply stands at sample `npcPage.held`, while its sound plays on.
HOLD = """
() => {
  const page = globalThis.npcPage;
  page.held = 0;
  const newest = () => Math.max(...[...page.replies.values()].map(({ ordinal }) => ordinal));
  page.sounding = () => ({ ordinal: newest(), sample: page.held, running: true });
}
"""
#: The wire says how the character feels.
FEEL = "(state) => globalThis.npcPage.session.receive({ type: 'npc.emotion', character: 'sela-marrow', state })"
RELEASE = "() => { delete globalThis.npcPage.sounding; }"
#: The middle of the viseme cue of one of these kinds that is held longest.
LONGEST = """
(kinds) => {
  const cues = globalThis.npcPage.score.cues.filter(({ kind, name }) => kind === 'viseme' && kinds.includes(name));
  const longest = cues.sort((a, b) => b.until - b.at - (a.until - a.at))[0];
  return longest ? (longest.at + longest.until) / 2 : null;
}
"""


def microphone_of(path: Path, *parts: str | float) -> Path:
    """A WAV of spoken texts and seconds of silence."""
    voice = FliteVoice(FliteSettings("rms"))
    pieces: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            pieces += [chunk.pcm for chunk in voice.synthesize(SpeechRequest(part))]
        else:
            pieces.append(np.zeros(int(part * voice.sample_rate), np.int16))
    write_wav(path, np.concatenate(pieces), voice.sample_rate)
    return path


def held(page: Any, kinds: list[str]) -> dict[str, float]:
    """Stand still in the middle of a viseme of the last reply and give the pose drawn there."""
    sample = page.evaluate(LONGEST, kinds)
    assert sample is not None, f"no {kinds} in the reply"
    page.evaluate("(sample) => { globalThis.npcPage.held = sample; }", sample)
    until(page, f"Math.abs(globalThis.npcPage.drawn.sample - {sample}) < 1")
    return weights(page)


def test_each_state_is_visibly_right(server: str, chromium: str, shots: Path) -> None:
    with opened(chromium, f"{server}/?character={CHARACTER}", viewport=DESKTOP) as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        until(page, "npcPage.drawn?.weights[npcPage.performer.index.get('eyeBlinkLeft')] < 0.02")
        pose = weights(page)
        assert max(pose[name] for name in LIPS) < 0.02
        page.screenshot(path=str(shots / "rest.png"))

        page.evaluate(HOLD)
        ask(page, "Tell me about the High Pass and your mule.")
        until(page, "npcPage.replies.size >= 2 && npcPage.score.cues.length > 20")
        # A whole reply is there when its response is done; its sound is sent at the pace of speech.
        until(page, "npcPage.score.cues.at(-1).at > 24000")
        page.wait_for_timeout(1500)
        pose = held(page, ["aa"])
        assert pose["jawOpen"] - pose["mouthClose"] > 0.2
        page.screenshot(path=str(shots / "open-vowel.png"))
        pose = held(page, ["PP"])
        assert pose["jawOpen"] - pose["mouthClose"] < 0.06
        page.screenshot(path=str(shots / "closed-bilabial.png"))
        page.evaluate(RELEASE)
        quiet(page)

        page.evaluate(FEEL, {"label": "joy", "intensity": 0.8, "valence": 0.7, "arousal": 0.3, "dominance": 0.2})
        until(page, "npcPage.drawn.weights[npcPage.performer.index.get('mouthSmileLeft')] > 0.3")
        until(page, "npcPage.drawn.weights[npcPage.performer.index.get('eyeBlinkLeft')] < 0.02")
        pose = weights(page)
        assert min(pose["mouthSmileLeft"], pose["mouthSmileRight"]) > 0.3
        assert max(pose["mouthFrownLeft"], pose["browDownLeft"]) < 0.05
        page.screenshot(path=str(shots / "smiling.png"))


def test_hearing_thinking_and_being_interrupted(server: str, chromium: str, shots: Path, tmp_path: Path) -> None:
    speech = microphone_of(
        tmp_path / "player.wav", 9.0, "Tell me about the High Pass, and your mule, and the market.", 3.2,
        "Wait. Stop. I have another question, please.", 8.0,
    )  # fmt: skip
    # Each turn state is noted with its time; the frame of `thinking` is kept until it has been photographed.
    note = """
    () => {
      const page = globalThis.npcPage;
      page.turnsSeen = [];
      page.session.on('npc.turn', ({ state }) => page.turnsSeen.push(state));
      page.session.on('npc.output', ({ action }) => page.turnsSeen.push(action));
      page.session.on('npc.turn', ({ state }) => { if (state === 'thinking') page.thought ??= 'begun'; });
      const { face } = page;
      const draw = face.draw.bind(face);
      face.draw = (...given) => {
        if (page.thought === 'kept') return;
        draw(...given);
        if (page.thought !== 'begun') return;
        page.thought = 'kept';
        page.turned = () => {};
      };
      page.goOn = () => { page.thought = 'over'; delete page.turned; };
    }
    """
    url = f"{server}/?character={CHARACTER}&raw"
    with opened(chromium, url, viewport=DESKTOP, microphone=speech) as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        page.evaluate(note)
        page.click("#mic")
        until(page, "document.body.dataset.state === 'speaking'")
        quiet(page)
        until(page, "document.body.dataset.turn === 'user_speaking'")
        page.wait_for_timeout(500)
        assert max(weights(page)[name] for name in LIPS) < 0.1
        page.screenshot(path=str(shots / "listening.png"))
        until(page, "npcPage.thought === 'kept'")
        assert page.inner_text("#turn") == "thinking"
        page.screenshot(path=str(shots / "thinking.png"))
        page.evaluate("() => npcPage.goOn()")
        until(page, "npcPage.turnsSeen.includes('flush')", 40_000)
        page.wait_for_timeout(160)
        assert max(weights(page)[name] for name in LIPS) < 0.02
        page.screenshot(path=str(shots / "interrupted.png"))
        until(page, "document.querySelectorAll('#transcript .cut').length >= 1")
