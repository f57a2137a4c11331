"""The listening body in a session: nods while the player speaks, looks away while thinking, only for who wants it."""

from __future__ import annotations

import numpy as np

from npc.audio.clock import LISTEN_RATE
from npc.audio.prosody import newest_pitch
from npc.conversation import turn_events as turns
from npc.conversation.attending import Attending
from npc.protocol import Cues, NpcCues

FRAME = LISTEN_RATE * 32 // 1000


def told(seconds: float, wish: Cues | None, rate: int = 24_000, seed: int = 3, own_voice: float = 0.0) -> list[NpcCues]:
    """A player who speaks in phrases of 2.6 s with falling pitch and pauses of 0.4 s between them."""
    sent: list[NpcCues] = []
    body = Attending("ada", seed, sent.append)
    body.configure(wish, rate)
    body.entered("user_speaking", 0)
    for now in range(FRAME, round(seconds * LISTEN_RATE), FRAME):
        phase = now / LISTEN_RATE % 3.0
        voice = phase < 2.6
        body.heard(turns.Heard(now, own_voice, -25.0, 220.0 - 45.0 * phase if voice else 0.0), voice)
    body.entered("thinking", round(seconds * LISTEN_RATE))
    body.entered("speaking", round((seconds + 0.4) * LISTEN_RATE))
    return sent


def test_a_listener_nods_looks_and_sometimes_says_so() -> None:
    cues = [cue for message in told(120.0, Cues()) for cue in message.cues]
    nods = sum(cue.kind == "head" and cue.name.startswith("nod") for cue in cues)
    assert 8 <= nods <= 40
    assert any(cue.kind == "backchannel" for cue in cues)
    assert any(cue.kind == "gaze" and cue.name.startswith("avert") for cue in cues)
    assert any(cue.kind == "gaze" and cue.name == "look" and cue.target == "player" for cue in cues)


def test_cues_are_on_the_clients_input_clock_in_order() -> None:
    messages = told(60.0, Cues(), rate=24_000)
    half = told(60.0, Cues(), rate=16_000)
    assert all(message.clock == "input" and message.response_id is None for message in messages)
    for message, other in zip(messages, half, strict=True):
        at = [cue.at for cue in message.cues]
        assert at == sorted(at)
        assert [cue.at * 2 // 3 for cue in message.cues] == [cue.at for cue in other.cues]


def test_people_look_away_while_they_think() -> None:
    looks = set()
    for seed in range(12):
        last = told(10.0, Cues(), seed=seed)[-1]
        looks |= {cue.name.rsplit("_", 1)[0] for cue in last.cues if cue.at >= 10 * 24_000}
    assert looks == {"avert_up", "tilt"}


def test_only_what_the_client_wants_is_sent() -> None:
    assert told(60.0, None) == []
    kinds = {cue.kind for message in told(60.0, Cues(gestures=False)) for cue in message.cues}
    assert kinds == {"gaze"}


def test_nobody_nods_at_their_own_echo() -> None:
    cues = [cue for message in told(60.0, Cues(), own_voice=0.9) for cue in message.cues]
    assert not any(cue.kind in ("head", "backchannel") and cue.name.startswith(("nod", "m")) for cue in cues)


def test_a_glance_goes_where_the_player_attends_and_comes_back() -> None:
    sent: list[NpcCues] = []
    body = Attending("ada", 1, sent.append)
    body.configure(Cues(), LISTEN_RATE)
    sent.clear()
    body.glance("chest")
    (message,) = sent
    assert [cue.target for cue in message.cues] == ["chest", "player"]
    assert 1.2 * LISTEN_RATE <= message.cues[1].at - message.cues[0].at <= 2.0 * LISTEN_RATE


def test_pitch_of_the_newest_sound() -> None:
    t = np.arange(LISTEN_RATE // 4) / LISTEN_RATE
    tone = sum(np.sin(2 * np.pi * 140.0 * k * t) / k for k in (1, 2, 3))
    assert abs(newest_pitch((np.asarray(tone) * 9000).astype(np.int16)) - 140.0) < 3.0
    assert newest_pitch(np.zeros(LISTEN_RATE // 4, np.int16)) == 0.0
    assert newest_pitch(np.zeros(100, np.int16)) == 0.0
