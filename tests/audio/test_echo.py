"""Our own voice coming back: found, removed, and told apart from a player talking over it."""

from __future__ import annotations

import numpy as np
import pytest

from npc.audio.echo import FRAME, EchoFrame, EchoGuard
from npc.audio.echo_filter import BLOCK, EchoFilter
from npc.bench.players_room import echo, mix
from npc.training.rooms import room_noise
from tests.asr.speech import say

_LEAD = 8_000


def listen(microphone: np.ndarray, reference: np.ndarray, jitter: int = 400) -> list[EchoFrame]:
    """The microphone through a new guard; the reference is announced 200 ms ahead in 30 ms pieces of doubtful time."""
    guard, rng, told, frames = EchoGuard(), np.random.default_rng(0), 0, []
    for at in range(0, microphone.size - FRAME + 1, FRAME):
        while told < reference.size and _LEAD + told < at + FRAME + 3_200:
            guard.sent(reference[told : told + 480], _LEAD + told + int(rng.integers(-jitter, jitter + 1)))
            told += 480
        frames.append(guard.heard(microphone[at : at + FRAME]))
    return frames


def loud(microphone: np.ndarray, level: float = 150.0) -> np.ndarray:
    blocks = microphone[: microphone.size - microphone.size % FRAME].reshape(-1, FRAME).astype(float)
    return np.sqrt((blocks**2).mean(axis=1)) > level


@pytest.fixture(scope="module")
def reply() -> np.ndarray:
    return np.concatenate(
        [say("The gates of the old town close before sunset."), say("Bring the tools to the engine room.")]
    )


@pytest.mark.parametrize(("delay_ms", "gain_db"), [(60, -6), (180, -12), (390, -18)])
def test_own_voice_is_recognised_and_taken_out(reply: np.ndarray, delay_ms: float, gain_db: float) -> None:
    heard = echo(reply, delay_ms=delay_ms, gain_db=gain_db, seed=3)
    microphone = mix((_LEAD, heard), (0, room_noise(1, _LEAD + heard.size + 8_000, 10.0)))
    frames = listen(microphone, reply)
    settled = loud(microphone) & (np.arange(len(frames)) * FRAME > _LEAD + 16 * delay_ms + 16_000)
    own = np.array([frame.own_voice for frame in frames])
    assert settled.sum() > 30
    assert (own[settled] > 0.5).mean() > 0.9
    cleaned = np.concatenate([frame.cleaned for frame in frames])
    before = microphone[: cleaned.size].reshape(-1, FRAME)[settled].astype(float)
    after = cleaned.reshape(-1, FRAME)[settled].astype(float)
    assert 10 * np.log10((before**2).mean() / (after**2).mean()) > 15
    assert abs((frames[-1].delay or 0) / 16 - delay_ms) < 30


def test_player_over_the_echo_is_heard(reply: np.ndarray) -> None:
    heard = echo(reply, delay_ms=120, gain_db=-12, seed=5)
    start = _LEAD + 28_000
    player = say("Wait, what did you say?", voice="rms")
    microphone = mix((_LEAD, heard), (start, player), (0, room_noise(2, _LEAD + heard.size + 8_000, 10.0)))
    frames = listen(microphone, reply)
    voiced = np.zeros(len(frames), dtype=bool)
    first = start // FRAME
    voiced[first : first + player.size // FRAME] = loud(player, 600.0)[: len(frames) - first]
    score = np.array([frame.player for frame in frames])
    assert (score[voiced] > 0.5).mean() > 0.75


def test_without_an_echo_the_player_passes(reply: np.ndarray) -> None:
    """Headphones: the guard must not take the player for our voice only because we speak."""
    player = say("Can I ask you something about the market?", voice="awb")
    microphone = mix((_LEAD + 6_000, player), (0, room_noise(3, _LEAD + reply.size, 10.0)))
    frames = listen(microphone, reply)
    own = np.array([frame.own_voice for frame in frames])[loud(microphone, 300.0)]
    assert (own < 0.5).mean() > 0.85


def test_nothing_sent_means_nothing_touched() -> None:
    microphone = say("Follow me.")
    guard = EchoGuard()
    for at in range(0, microphone.size - FRAME, FRAME):
        frame = microphone[at : at + FRAME]
        verdict = guard.heard(frame)
        assert verdict.own_voice == 0.0
        assert np.array_equal(verdict.cleaned, frame)


def test_frames_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="512 samples, got 100"):
        EchoGuard().heard(np.zeros(100, np.int16))


def test_memory_is_bounded() -> None:
    guard, rng = EchoGuard(), np.random.default_rng(0)
    for second in range(30):
        guard.sent(rng.integers(-1000, 1000, 16_000).astype(np.int16), second * 16_000)
        for _ in range(31):
            guard.heard(np.zeros(FRAME, np.int16))
    assert guard._reference.size < 5 * 16_000


def test_a_client_that_was_silent_while_we_spoke_is_caught_up_with() -> None:
    """Muted, or push to talk: ten seconds of ours come at once with its first sound, and put our voice ten seconds into
    the future of the microphone, where no echo was ever found."""
    guard, rng, missed, delay = EchoGuard(), np.random.default_rng(0), 160_000, 1_600
    ours = (rng.normal(0, 3_000, missed + 4 * 16_000) * np.repeat(rng.uniform(0.1, 1, 1_400), 160)).astype(np.int16)
    guard.sent(ours[:missed], 0)
    for at in range(0, 3 * 16_000, FRAME):
        guard.sent(ours[missed + at : missed + at + FRAME], at)
        frame = guard.heard((0.3 * ours[missed + at - delay : missed + at - delay + FRAME]).astype(np.int16))
    assert frame.delay is not None
    assert frame.own_voice > 0.9
    assert guard._reference.size < 5 * 16_000


def test_filter_finds_a_known_path() -> None:
    """The Kalman filter against the truth: a path of three taps, noise as reference."""
    rng = np.random.default_rng(0)
    path = np.zeros(600)
    path[[3, 100, 500]] = (0.4, -0.2, 0.1)
    reference = rng.normal(0, 0.1, 60 * BLOCK)
    microphone = np.convolve(reference, path)[: reference.size] + rng.normal(0, 1e-4, reference.size)
    filter_ = EchoFilter()
    for at in range(0, reference.size, BLOCK):
        residual = filter_.step(reference[at : at + BLOCK], microphone[at : at + BLOCK])
    assert 10 * np.log10(np.mean(microphone[-BLOCK:] ** 2) / np.mean(residual**2)) > 25
    learned = np.fft.irfft(filter_._w[0])[:BLOCK]
    assert np.allclose(learned[[3, 100, 500]], (0.4, -0.2, 0.1), atol=0.03)
