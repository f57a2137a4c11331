"""Listening behaviour: nods follow prosody, gaze keeps a listener's share, nothing happens while speaking."""

from __future__ import annotations

from itertools import pairwise

import pytest

from npc.animation.interface import BodyCue
from npc.animation.listening import Attention, Glance, Heard, ListeningCore, Thinking
from npc.audio.clock import LISTEN_RATE

FRAME = LISTEN_RATE // 50


def listen(seconds: float, seed: int = 1, pitched: bool = True) -> list[BodyCue]:
    """A speaker in 2.4 s phrases whose pitch falls at their ends, with 0.5 s pauses."""
    core = ListeningCore(seed)
    cues = list(core.step(Attention(True), 0))
    for k in range(1, int(seconds * 50)):
        phase = (k * 0.02) % 2.9
        speech = phase < 2.4
        pitch = 220.0 - 35.0 * phase if pitched and speech else None
        cues += core.step(Heard(speech, pitch), k * FRAME)
    return cues


@pytest.mark.parametrize("pitched", [True, False])
def test_nods_and_gaze_are_those_of_a_listener(pitched: bool) -> None:
    looking, nods = [], []
    for seed in range(5):
        cues = listen(600, seed, pitched)
        nods.append(sum(c.name.startswith("nod") for c in cues) / 10)
        gaze = [c for c in cues if c.kind == "gaze"]
        on = sum(
            (b.at - a.at) for a, b in zip(gaze, [*gaze[1:], BodyCue("gaze", "end", 600 * LISTEN_RATE, 0)], strict=True)
            if a.name == "look"
        )  # fmt: skip
        looking.append(on / (600 * LISTEN_RATE))
    assert min(looking) >= 0.65
    assert max(looking) <= 0.85
    assert min(nods) >= 4
    assert max(nods) <= 20


def test_backchannels_are_rare_and_never_close() -> None:
    times = [c.at for c in listen(600) if c.kind == "backchannel"]
    assert 3 <= len(times) <= 60
    assert min(b - a for a, b in pairwise(times)) >= 6 * LISTEN_RATE


def test_silence_earns_no_nods() -> None:
    core = ListeningCore(1)
    cues = list(core.step(Attention(True), 0))
    for k in range(1, 3000):
        cues += core.step(Heard(False), k * FRAME)
    assert not [c for c in cues if c.kind in ("head", "backchannel")]


def test_it_stops_while_the_character_speaks() -> None:
    core = ListeningCore(1)
    core.step(Attention(True), 0)
    core.step(Attention(False), FRAME)
    assert all(core.step(Heard(True, 120.0), k * FRAME) == () for k in range(2, 500))


def test_same_events_same_cues_and_cues_are_never_in_the_past() -> None:
    assert listen(60, 9) == listen(60, 9)
    core = ListeningCore(2)
    core.step(Attention(True), 0)
    for k in range(1, 2000):
        assert all(c.at >= k * FRAME for c in core.step(Heard(k % 150 < 110, 200.0 - k % 150), k * FRAME))
    with pytest.raises(ValueError, match="backwards"):
        core.step(Heard(True), 5)


def test_thinking_mostly_looks_away_and_a_glance_comes_back() -> None:
    averted = 0
    for seed in range(60):
        core = ListeningCore(seed)
        core.step(Attention(True), 0)
        cues = core.step(Thinking(True), FRAME)
        averted += any(c.name.startswith("avert_up") for c in cues)
        assert core.step(Thinking(False), 2 * FRAME) == ()
        there, back = core.step(Glance("lantern"), 3 * FRAME)
        assert (there.target, back.target) == ("lantern", "player")
        assert 1.2 * LISTEN_RATE <= back.at - there.at <= 2.0 * LISTEN_RATE
    assert 36 <= averted <= 58
