"""PCM, WAV files, resampling, voice activity and prosody."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.audio import pcm as pcm16
from npc.audio.prosody import measure
from npc.audio.resample import Resampler, resample
from npc.audio.vad import FRAME, EnergyVad, SileroVad, VoiceGate, load_vad, speech_frames
from npc.audio.wav import WavError, decode_wav, encode_wav, read_wav, write_wav


def tone(hertz: float, seconds: float, rate: int = 16_000, level: float = 0.3) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return pcm16.to_int16(level * np.sin(2 * np.pi * hertz * t))


def test_odd_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="even number of bytes, got 3"):
        pcm16.from_bytes(b"\0\0\0")


def test_floats_clip_instead_of_wrapping() -> None:
    assert pcm16.to_int16(np.array([1.5, -1.5, np.nan])).tolist() == [32767, -32768, 0]
    assert pcm16.to_int16(np.array([np.inf, -np.inf, 1e308])).tolist() == [32767, -32768, 32767]


@given(st.lists(st.integers(-32768, 32767)))
def test_bytes_and_floats_round_trip(values: list[int]) -> None:
    samples = np.array(values, dtype=np.int16)
    assert np.array_equal(pcm16.from_bytes(pcm16.to_bytes(samples)), samples)
    assert np.array_equal(pcm16.to_int16(pcm16.to_float(samples)), samples)


def test_level_of_known_signals() -> None:
    assert pcm16.level_db(tone(440, 1.0, level=1.0)) == pytest.approx(-3.01, abs=0.05)
    assert pcm16.level_db(pcm16.silence(100)) == pcm16.FLOOR_DB


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
def test_wav_round_trip(rate: int, tmp_path: Path) -> None:
    samples = tone(300, 0.2, rate)
    write_wav(tmp_path / "a.wav", samples, rate)
    back, back_rate = read_wav(tmp_path / "a.wav")
    assert back_rate == rate
    assert np.array_equal(back, samples)


def _wav(code: int, channels: int, rate: int, bits: int, body: bytes) -> bytes:
    fmt = struct.pack("<HHIIHH", code, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    return b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("encoding", ["u8", "i16", "i24", "i32", "f32", "f64"])
def test_every_sample_format_as_stereo(encoding: str) -> None:
    wave = 0.5 * np.sin(np.arange(400) / 7.0)
    stereo = np.stack([wave, wave], axis=1).ravel()
    if encoding == "u8":
        data = _wav(1, 2, 16_000, 8, np.rint(stereo * 128 + 128).astype(np.uint8).tobytes())
    elif encoding == "i24":
        words = np.rint(stereo * 2**23).astype("<i4")
        data = _wav(1, 2, 16_000, 24, words.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    elif encoding.startswith("i"):
        bits = int(encoding[1:])
        data = _wav(1, 2, 16_000, bits, np.rint(stereo * 2 ** (bits - 1)).astype(f"<i{bits // 8}").tobytes())
    else:
        bits = int(encoding[1:])
        data = _wav(3, 2, 16_000, bits, stereo.astype(f"<f{bits // 8}").tobytes())
    samples, _ = decode_wav(data)
    tolerance = 1 / 128 if encoding == "u8" else 1 / 30_000
    assert np.allclose(samples / 32768.0, wave, atol=tolerance)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"not audio at all", "not a WAV"),
        (encode_wav(np.zeros(4, np.int16), 16_000)[:30], "fmt"),
        (_wav(1, 1, 4_000, 16, b""), "4000 Hz"),
        (_wav(6, 1, 16_000, 8, b""), "encoding 6"),
        (_wav(1, 0, 16_000, 16, b""), "0 channels"),
    ],
)
def test_bad_files_say_what_is_wrong(data: bytes, says: str) -> None:
    with pytest.raises(WavError, match=says) as caught:
        decode_wav(data, "voice.wav")
    assert "voice.wav" in str(caught.value)


@settings(max_examples=25, deadline=None)
@given(
    rates=st.sampled_from([(24_000, 16_000), (16_000, 24_000), (48_000, 16_000), (44_100, 16_000), (8_000, 16_000)]),
    cuts=st.lists(st.integers(0, 3000), max_size=12),
    seed=st.integers(0, 99),
)
def test_streaming_resampler_equals_batch_to_the_bit(rates: tuple[int, int], cuts: list[int], seed: int) -> None:
    audio = np.random.default_rng(seed).integers(-32768, 32768, 4000).astype(np.int16)
    stream = Resampler(*rates)
    pieces = [stream.push(piece) for piece in np.split(audio, sorted(cuts))]
    pieces.append(stream.flush())
    batch = resample(audio, *rates)
    assert np.array_equal(np.concatenate(pieces), batch)
    assert batch.size == -(-audio.size * rates[1] // rates[0])


def test_a_long_recording_takes_little_memory() -> None:
    """Regression: the windows of all output samples were laid out at once, 1.4 GB for a minute at 48 kHz."""
    sound = np.random.default_rng(0).integers(-3000, 3000, 30 * 48_000).astype(np.int16)
    tracemalloc.start()
    whole = resample(sound, 48_000, 16_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert whole.size == 30 * 16_000
    assert peak < 64e6


@pytest.mark.parametrize(("source", "target"), [(24_000, 16_000), (16_000, 24_000), (44_100, 16_000), (8_000, 16_000)])
def test_resampled_tone_is_in_place_and_clean(source: int, target: int) -> None:
    made = resample(tone(1000, 0.5, source), source, target)
    wanted = tone(1000, 0.5, target)
    error = (made.astype(float) - wanted)[400:-400]
    # Under 1 LSB of rounding on each side: no delay, no ripple.
    assert np.sqrt(np.mean(error**2)) < 1.5


def test_resampler_lets_nothing_alias() -> None:
    made = resample(tone(9_500, 0.5, 24_000), 24_000, 16_000)[400:-400]
    assert pcm16.level_db(made) < -75


@pytest.fixture(scope="module")
def bursts() -> np.ndarray:
    """A second of room hiss, a second of a buzzing vowel-like sound, a second of hiss."""
    rng = np.random.default_rng(1)
    hiss = rng.normal(0, 0.001, 48_000)
    t = np.arange(16_000) / 16_000
    pitch = 120 + 20 * np.sin(2 * np.pi * 3 * t)
    phase = np.cumsum(pitch) / 16_000
    buzz = sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 20)) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    hiss[16_000:32_000] += 0.1 * buzz
    return pcm16.to_int16(hiss)


def test_vad_does_not_depend_on_how_audio_is_cut(bursts: np.ndarray) -> None:
    vad = SileroVad()
    whole = vad.open().push(bursts)
    stream = vad.open()
    pieces = [frame for cut in np.array_split(bursts, 77) for frame in stream.push(cut)]
    assert pieces == whole
    assert [frame.start for frame in whole] == list(range(0, bursts.size - FRAME + 1, FRAME))


def test_vad_streams_share_nothing(bursts: np.ndarray) -> None:
    vad = SileroVad()
    alone = vad.open().push(bursts)
    one, other = vad.open(), vad.open()
    mixed = []
    for cut in np.array_split(bursts, 20):
        mixed += one.push(cut)
        other.push(cut[::-1].copy())
    assert mixed == alone
    one.reset()
    assert one.push(bursts) == alone


def test_energy_fallback_finds_the_loud_second(bursts: np.ndarray) -> None:
    probability = speech_frames(EnergyVad(), bursts)
    seconds = np.arange(probability.size) * FRAME / 16_000
    assert probability[(seconds > 1.1) & (seconds < 1.9)].mean() > 0.9
    assert probability[(seconds < 0.9) | (seconds > 2.1)].mean() < 0.1


def test_vad_falls_back_with_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("npc.audio.vad.SileroVad.__init__", lambda self: (_ for _ in ()).throw(OSError("gone")))
    assert load_vad().name == "energy"
    assert "energy" in caplog.text
    with pytest.raises(OSError, match="gone"):
        load_vad("silero")
    with pytest.raises(ValueError, match="choose auto, silero or energy"):
        load_vad("webrtc")  # type: ignore[arg-type]


def test_gate_has_hysteresis() -> None:
    gate = VoiceGate()
    assert [gate.step(p) for p in (0.4, 0.5, 0.4, 0.3, 0.4)] == [False, True, True, False, False]


@pytest.mark.parametrize(("semitones_per_second", "hertz"), [(-6.0, 110.0), (6.0, 210.0), (0.0, 300.0)])
def test_prosody_hears_pitch_and_its_slope(semitones_per_second: float, hertz: float) -> None:
    t = np.arange(16_000) / 16_000
    phase = np.cumsum(hertz * 2 ** (semitones_per_second * t / 12)) / 16_000
    voice = pcm16.to_int16(0.2 * sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 8)))
    heard = measure(voice)
    assert heard.pitch_hz == pytest.approx(hertz * 2 ** (semitones_per_second / 24), rel=0.02)
    assert heard.pitch_slope == pytest.approx(semitones_per_second, abs=0.6)
    assert heard.voiced > 0.9


def test_prosody_of_noise_and_of_nothing_is_finite() -> None:
    noise = np.random.default_rng(0).integers(-3000, 3000, 16_000).astype(np.int16)
    assert measure(noise).pitch_hz == 0.0
    assert measure(pcm16.silence(16_000)).voiced == 0.0
    assert measure(pcm16.silence(10)).pitch_hz == 0.0


def test_prosody_counts_syllables() -> None:
    t = np.arange(16_000) / 16_000
    beats = (np.sin(2 * np.pi * 4 * t) > 0) * np.sin(2 * np.pi * 150 * t) * 0.3 + 0.001
    assert measure(pcm16.to_int16(beats)).syllable_rate == pytest.approx(4.0, abs=1.0)
