"""The synthetic players' truth is true: the benchmarks stand on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npc.audio.wav import write_wav
from npc.bench import players, players_room
from npc.bench.players_text import BACKCHANNELS, INTERRUPTIONS, WORLDS
from npc.tts import fetch_flite

RATE = 16_000


@pytest.fixture(scope="module")
def some() -> list[players.PlayerTurn]:
    if fetch_flite.locate() is None:
        pytest.skip(f"no Flite library: npc doctor --fix, or {fetch_flite.instructions()}")
    return list(players.turns(30, seed=5))


def test_the_texts_are_enough_and_different() -> None:
    texts = [text for world in WORLDS.values() for text in world]
    assert len(texts) >= 120
    assert len(set(texts)) == len(texts)
    assert sum("|" in text for text in texts) >= 45
    assert all(
        text.count("|") <= 1 and not text.split("|")[0].strip().endswith((".", "?", "!"))
        for text in texts
        if "|" in text
    )
    assert len(set(INTERRUPTIONS)) == 40
    assert len(BACKCHANNELS) == 20


def test_one_turn_in_three_has_an_inner_pause_of_the_right_length(some: list[players.PlayerTurn]) -> None:
    assert [turn.inner_pause for turn in some] == [i % 3 == 2 for i in range(30)]
    for turn in some:
        if turn.inner_pause:
            longest = max(span.length for span in turn.pauses) / RATE
            assert 0.28 <= longest <= 1.3


def test_speech_lies_between_start_and_end_and_in_the_words(some: list[players.PlayerTurn]) -> None:
    for turn in some:
        assert turn.pcm.dtype == np.int16
        assert 0.3 * RATE < turn.start < 0.5 * RATE
        assert turn.end < turn.pcm.size - RATE
        assert [word for word, _ in turn.words] == turn.text.split()
        assert all(turn.start - 800 <= span.start < span.end <= turn.end + 2_400 for _, span in turn.words)
        loudness = [
            np.mean(turn.pcm[a:b].astype(float) ** 2) for a, b in ((turn.start, turn.end), (turn.end, turn.pcm.size))
        ]
        assert 10 * np.log10(loudness[0] / loudness[1]) > 12.0
        for pause in turn.pauses:
            assert turn.start < pause.start < pause.end < turn.end


def test_the_same_seed_is_the_same_sound_and_another_is_not(some: list[players.PlayerTurn]) -> None:
    again, other = next(players.turns(1, seed=5)), next(players.turns(1, seed=6))
    np.testing.assert_array_equal(again.pcm, some[0].pcm)
    assert again.text != other.text or again.level_db != other.level_db


def test_levels_noise_and_speakers_vary(some: list[players.PlayerTurn]) -> None:
    assert len({turn.speaker for turn in some}) >= 5
    assert max(t.level_db for t in some) - min(t.level_db for t in some) > 8.0
    for turn in some:
        tail = turn.pcm[turn.end + 1_600 :].astype(float)
        assert np.sqrt(np.mean(tail**2)) == pytest.approx(turn.noise_rms, rel=0.3)


def test_short_sounds_are_short_and_all_different(some: list[players.PlayerTurn]) -> None:
    for sounds, longest in (
        (players.backchannels(40), 1.5),
        (players.interruptions(40), 3.0),
        (players.coughs(40), 1.6),
    ):
        assert len(sounds) == 40
        assert len({sound.pcm.tobytes() for sound in sounds}) == 40
        assert all(0.05 < (sound.end - sound.start) / RATE < longest for sound in sounds), sounds[0].kind


def test_the_room_delays_dampens_and_rings() -> None:
    click = np.zeros(RATE, dtype=np.int16)
    click[1_000] = 30_000
    heard = players_room.echo(click, delay_ms=100.0, gain_db=-12.0, seed=4)
    first = int(np.flatnonzero(np.abs(heard) > 100)[0])
    assert abs(first - 1_000 - 1_600) < 40
    energy = np.sum(heard.astype(float) ** 2) / 30_000.0**2
    assert 10 * np.log10(energy) == pytest.approx(-12.0, abs=0.5)
    assert np.abs(heard[first + 1_600 :]).max() > 0


def test_mixing_clips_and_never_wraps() -> None:
    loud = np.full(10, 30_000, dtype=np.int16)
    np.testing.assert_array_equal(players_room.mix((0, loud), (5, loud))[:10], [30_000] * 5 + [32_767] * 5)
    assert players_room.mix().size == 0


def test_recordings_of_one_s_own_get_their_bounds(tmp_path: Path) -> None:
    tone = (8_000 * np.sin(np.arange(24_000) * 0.1)).astype(np.int16)
    write_wav(
        tmp_path / "a.wav", np.concatenate([np.zeros(24_000, np.int16), tone, np.zeros(24_000, np.int16)]), 24_000
    )
    (turn,) = players.recordings(tmp_path)
    assert turn.start == pytest.approx(RATE, abs=200)
    assert turn.end == pytest.approx(2 * RATE, abs=200)
