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
#: The first frame seen 150 ms after a flush stays on the screen, with how open its lips are.
KEEP_CUT = """
(lips) => {
  const page = globalThis.npcPage;
  page.session.on('npc.output', ({ action }) => { if (action === 'flush') page.cut ??= performance.now(); });
  const { face } = page;
  const draw = face.draw.bind(face);
  face.draw = (pose, now) => {
    if (page.kept !== undefined) return;
    draw(pose, now);
    if (!(1000 * now > page.cut + 150)) return;
    page.kept = Math.max(...lips.map((name) => pose.weights[page.performer.index.get(name)]));
  };
}
"""
RELEASE = "() => { delete globalThis.npcPage.sounding; }"
#: The middle of the viseme cue of one kind under which the mouth is widest open (or, with -1, most shut).
WIDEST = """
([kind, sign]) => {
  const { performer, score } = globalThis.npcPage;
  const { blocks, channels } = performer.item(score.ordinal).track;
  const [jaw, close] = ['jawOpen', 'mouthClose'].map((name) => performer.index.get(name));
  const opening = (sample) => {
    const block = blocks.find(({ start, end }) => start <= sample && sample < end);
    if (!block) return -Infinity;
    const frame = channels * Math.floor((sample - block.start) / block.samplesPerFrame);
    return sign * (block.frames[frame + jaw] - block.frames[frame + close]);
  };
  const middles = score.cues.filter((cue) => cue.kind === 'viseme' && cue.name === kind)
    .map((cue) => (cue.at + cue.until) / 2).filter((sample) => opening(sample) > -Infinity);
  return middles.sort((a, b) => opening(b) - opening(a))[0] ?? null;
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


def held(page: Any, kind: str, sign: int) -> dict[str, float]:
    """Stand still under a viseme of the last reply and give the pose drawn there."""
    sample = page.evaluate(WIDEST, [kind, sign])
    assert sample is not None, f"no {kind} in the reply"
    page.evaluate("(sample) => { globalThis.npcPage.held = sample; }", sample)
    until(page, f"Math.abs(globalThis.npcPage.drawn.sample - {sample}) < 1")
    page.wait_for_timeout(300)
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
        pose = held(page, "aa", 1)
        assert pose["jawOpen"] - pose["mouthClose"] > 0.2
        page.screenshot(path=str(shots / "open-vowel.png"))
        pose = held(page, "PP", -1)
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


def test_hearing_and_thinking(server: str, chromium: str, shots: Path, tmp_path: Path) -> None:
    speech = microphone_of(
        tmp_path / "player.wav",
        10.0,
        "Tell me about the mule and the lamps and the rope and the people of the market.",
        8.0,
    )
    # Thinking takes a twentieth of a second here, too short to be seen: the reply is held back, not so the body's cues,
    # and the frame drawn then stays until it has been photographed.
    note = """
    () => {
      const page = globalThis.npcPage;
      const turned = page.turned.bind(page);
      page.turned = (event) => {
        if (page.thought) return;
        turned(event);
        if (event.state !== 'thinking') return;
        page.thought = 'begun';
        const { socket } = page.session;
        const receive = socket.onmessage;
        socket.onmessage = (message) => {
          if (typeof message.data !== 'string') return;
          const { type, clock } = JSON.parse(message.data);
          if (type === 'npc.cues' && clock === 'input') receive(message);
        };
        setTimeout(() => { page.thought = 'due'; }, 700);
      };
      const { face } = page;
      const draw = face.draw.bind(face);
      face.draw = (...given) => {
        if (page.thought === 'kept') return;
        draw(...given);
        if (page.thought === 'due') page.thought = 'kept';
      };
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


def test_after_an_interruption(server: str, chromium: str, shots: Path) -> None:
    with opened(chromium, f"{server}/?character={CHARACTER}", viewport=DESKTOP) as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        # The greeting has waited for the first key.
        ask(page, "Hello.")
        until(page, "document.body.dataset.state === 'speaking'")
        quiet(page)
        page.evaluate(KEEP_CUT, list(LIPS))
        ask(page, "Tell me about yourself.")
        until(page, "npcPage.replies.size >= 3 && document.body.dataset.state === 'speaking'")
        page.evaluate("npcPage.session.send({ type: 'response.cancel' })")
        until(page, "npcPage.kept !== undefined")
        assert page.evaluate("npcPage.kept") < 0.02
        page.screenshot(path=str(shots / "interrupted.png"))
