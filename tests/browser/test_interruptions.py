"""Cutting in, in a real browser: silence on the audio clock, lips at rest, a face that lives on without a socket."""

from __future__ import annotations

from tests.browser.hands import LIPS, ask, opened, quiet, rest, until, weights

CHARACTER = "sela-marrow"
COUNT = 20
#: Notes for every flush how long the sound went on, on the audio context's clock, and how open the lips were in frames
#: that are seen more than 150 ms later (until the next reply sounds).
WATCH = """
(lips) => {
  const page = globalThis.npcPage;
  page.cuts = [];
  const index = lips.map((name) => page.performer.index.get(name));
  page.session.on('npc.output', ({ action, response_id: id }) => {
    if (action !== 'flush') return;
    const cut = { ordinal: page.session.ordinalOf(id), at: page.speaker.context.currentTime, seen: performance.now() };
    page.cuts.push({ ...cut, silent: null, open: 0, frames: 0, jaw: 0 });
  });
  page.speaker.node.port.addEventListener('message', ({ data }) => {
    const cut = page.cuts.find(({ ordinal, silent }) => ordinal === data.ordinal && silent === null);
    if (cut && data.state === 'stopped') cut.silent = 1000 * (data.at - cut.at);
  });
  const step = page.performer.step.bind(page.performer);
  page.performer.step = (now, ordinal, ...rest) => {
    const pose = step(now, ordinal, ...rest);
    const cut = page.cuts.at(-1);
    const open = Math.max(...index.map((c) => pose.weights[c]));
    if (cut && ordinal === cut.ordinal && 1000 * now - cut.seen > 150) {
      cut.open = Math.max(cut.open, open);
      cut.frames += 1;
    }
    if (!cut || ordinal > cut.ordinal) page.jaw = Math.max(page.jaw ?? 0, pose.weights[index[0]]);
    return pose;
  };
}
"""


def test_twenty_interruptions_and_the_lips_still_move(server: str, chromium: str) -> None:
    with opened(chromium, f"{server}/?character={CHARACTER}") as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        ask(page, "Hello.")
        quiet(page)
        page.evaluate(WATCH, list(LIPS))
        for count in range(COUNT):
            ask(page, ("Tell me about the High Pass.", "Tell me about yourself.", "What lamps do you sell?")[count % 3])
            until(page, f"document.body.dataset.state === 'speaking' && npcPage.clock.ordinal > {cut_ordinal(page)}")
            page.wait_for_timeout(120 + 37 * (count % 7))
            page.evaluate("npcPage.session.send({ type: 'response.cancel' })")
            until(page, f"npcPage.cuts.length > {count} && npcPage.cuts.at(-1).silent !== null")
            page.wait_for_timeout(350)
        cuts = page.evaluate("npcPage.cuts")
        page.evaluate("() => { npcPage.jaw = 0; }")
        ask(page, "Who is Wick?")
        until(page, "npcPage.jaw > 0.15")
        quiet(page)
        rest(page)
    silent = sorted(cut["silent"] for cut in cuts)
    print(f"silent after {silent[len(silent) // 2]:.1f} ms (median), {silent[-1]:.1f} ms (worst of {len(silent)})")
    assert len(cuts) == COUNT
    assert silent[-1] <= 20.0
    assert sum(cut["frames"] for cut in cuts) >= COUNT, "too few frames to see the lips at rest"
    assert max(cut["open"] for cut in cuts) < 0.02


def cut_ordinal(page: object) -> int:
    return int(page.evaluate("npcPage.cuts.at(-1)?.ordinal ?? npcPage.clock.ordinal ?? 0"))  # type: ignore[attr-defined]


def test_a_socket_lost_in_mid_word_leaves_no_frozen_face(server: str, chromium: str) -> None:
    with opened(chromium, f"{server}/?character={CHARACTER}") as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        # The greeting has waited in the page for the first key and would play on without a socket.
        ask(page, "Hello.")
        until(page, "document.body.dataset.state === 'speaking'")
        quiet(page)
        ask(page, "Tell me about yourself.")
        until(page, "npcPage.replies.size >= 3 && document.body.dataset.state === 'speaking'")
        until(page, "npcPage.drawn.weights[npcPage.performer.index.get('jawOpen')] > 0.08")
        # The line stays dead until it is mended: every new socket goes nowhere.
        page.evaluate("""() => {
          const { session } = npcPage;
          npcPage.dial = session.openSocket;
          session.openSocket = () => ({ readyState: 0, close() {} });
          session.socket.close(3001);
        }""")
        until(page, "document.getElementById('connection').dataset.state !== 'open'")
        until(page, "npcPage.clock.state === 'starved' || npcPage.clock.state === 'finished'")
        # Two frames on a slow machine: one to notice, one to be at rest.
        page.wait_for_timeout(1_000)
        assert max(weights(page)[name] for name in LIPS) < 0.05
        assert page.is_visible("#notice")
        blinks = "npcPage.drawn.weights[npcPage.performer.index.get('eyeBlinkLeft')] > 0.3"
        until(page, blinks)
        page.evaluate("() => { npcPage.session.openSocket = npcPage.dial; npcPage.session.connect(); }")
        until(page, "document.getElementById('connection').dataset.state === 'open'")
        until(page, "npcPage.clock.state === 'finished'")
        ask(page, "What is your name?")
        until(page, "npcPage.replies.size >= 4 && document.body.dataset.state === 'speaking'")


def test_the_pose_follows_the_sound(server: str, chromium: str) -> None:
    """Measured, not judged: software rendering draws a few frames a second."""
    note = """
    () => {
      const page = globalThis.npcPage;
      page.offsets = [];
      page.frames = [];
      const frame = page.frame.bind(page);
      page.frame = (timestamp) => {
        const { drawn } = page;
        // What was drawn last has been on the screen since this frame began, at the earliest.
        page.frames.push(timestamp);
        if (page.clock.state === 'playing' && drawn?.running && drawn.ordinal === page.clock.ordinal) {
          const { sample } = page.clock.now(page.ear.at(timestamp));
          page.offsets.push(Math.abs(drawn.sample - sample) / 24);
        }
        frame(timestamp);
      };
    }
    """
    with opened(chromium, f"{server}/?character={CHARACTER}", viewport={"width": 640, "height": 420}) as page:
        until(page, "document.querySelectorAll('#transcript li.them').length >= 1")
        page.evaluate(note)
        ask(page, "Tell me about yourself.")
        until(page, "npcPage.replies.size >= 2 && document.body.dataset.state === 'speaking'")
        quiet(page)
        offsets = sorted(page.evaluate("npcPage.offsets"))
        frames = page.evaluate("npcPage.frames")
    rate = 1000 * (len(frames) - 1) / (frames[-1] - frames[0])
    p50, p95 = offsets[len(offsets) // 2], offsets[int(0.95 * len(offsets))]
    print(
        f"headless Chromium, software rendering: {rate:.1f} frames/s, pose against sound p50 {p50:.1f} p95 {p95:.1f} ms"
    )
    assert len(offsets) > 5
