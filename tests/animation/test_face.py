"""The face stream: laws that hold for any phones, and the lip rules on chosen ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.animation import Affect, FaceAnimator, FaceUpdate
from npc.animation.channels import FAST, INDEX, MAX_FAST_STEP, MAX_STEP
from npc.animation.interface import Animator
from npc.audio.clock import Span
from npc.phonetics.phones import Phone

RATE = 24_000
CALM = Affect()


def say(symbols: list[str], ms: list[int] | int = 90, start: int = 0) -> tuple[Phone, ...]:
    lengths = [ms] * len(symbols) if isinstance(ms, int) else ms
    phones, at = [], start
    for symbol, length in zip(symbols, lengths, strict=True):
        end = at + length * RATE // 1000
        phones.append(Phone(symbol, Span(at, end), 1 if symbol in "ɑæiuoʊeɪaɪ" else 0))
        at = end
    return tuple(phones)


def run(
    phones: tuple[Phone, ...], fps: int = 60, affect: Affect = CALM, cuts: tuple[int, ...] = (), seed: int = 7
) -> tuple[np.ndarray, list[FaceUpdate]]:
    stream = FaceAnimator().open(RATE, fps, seed)
    updates, done = [], 0
    for cut in (*cuts, len(phones)):
        part = phones[done:cut]
        if part:
            updates.append(stream.push(part, part[-1].span.end, affect))
        done = max(done, cut)
    updates.append(stream.finish(phones[-1].span.end))
    frames = np.concatenate([u.blendshapes.frames for u in updates if u.blendshapes is not None])
    return frames, updates


SYMBOLS = st.sampled_from([*"həloʊwɝdmaɪneɪzpɪfʃɔvðbuːskgy", "", "ɲ", "ʔ", "tʃ", "ɥ", "aɪ", "oʊ"])


def test_animator_meets_the_interface() -> None:
    assert isinstance(FaceAnimator(), Animator)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(SYMBOLS, st.integers(15, 320)), min_size=3, max_size=30), st.data(), st.sampled_from([30, 60])
)
def test_pushing_in_pieces_equals_pushing_at_once(spec: list[tuple[str, int]], data: st.DataObject, fps: int) -> None:
    phones = say([s for s, _ in spec], [n for _, n in spec])
    cuts = tuple(sorted(data.draw(st.lists(st.integers(1, len(phones) - 1), max_size=5))))
    affect = Affect("joy", 0.8, 0.7, 0.3, 0.1)
    whole, one = run(phones, fps, affect)
    pieces, many = run(phones, fps, affect, cuts)
    assert np.array_equal(whole, pieces)
    assert sorted((c for u in one for c in u.body), key=repr) == sorted((c for u in many for c in u.body), key=repr)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(SYMBOLS, st.integers(1, 400)), min_size=1, max_size=40),
    st.sampled_from(["neutral", "joy", "anger", "surprise", "nonsense"]),
    st.floats(0, 1),
    st.sampled_from([30, 60]),
    st.integers(0, 2**32 - 1),
)
def test_weights_are_bounded_steps_are_small_and_the_end_is_rest(
    spec: list[tuple[str, int]], label: str, intensity: float, fps: int, seed: int
) -> None:
    phones = say([s for s, _ in spec], [n for _, n in spec])
    frames, _ = run(phones, fps, Affect(label, intensity, 0.5, 0.5, -0.5), seed=seed)
    assert frames.shape[1] == 52
    assert not frames[-1].any()
    assert (frames[:, INDEX["mouthClose"]] <= frames[:, INDEX["jawOpen"]]).all()
    steps = np.abs(np.diff(frames.astype(int), axis=0, prepend=np.zeros((1, 52), int))) / 255.0
    fast = list(FAST)
    slow = [i for i in range(52) if i not in fast]
    if len(steps):
        assert steps[:, slow].max() <= MAX_STEP[fps] + 1 / 255
        assert steps[:, fast].max() <= MAX_FAST_STEP[fps] + 1 / 255


def frame_at(phone: Phone, part: float, fps: int = 60) -> int:
    at = phone.span.start + part * phone.span.length
    return round(at / (RATE // fps))


@pytest.mark.parametrize("label", ["neutral", "joy", "anger", "disgust", "surprise"])
@pytest.mark.parametrize("closure", ["p", "b", "m"])
def test_bilabials_close_whatever_the_mood(closure: str, label: str) -> None:
    phones = say(["h", "ɑ", closure, "ɑ", ""], [60, 140, 60, 140, 300])
    frames, _ = run(phones, affect=Affect(label, 1.0, 1.0, 1.0, 1.0))
    pose = frames[frame_at(phones[2], 0.4)].astype(int)
    assert pose[INDEX["mouthClose"]] == pose[INDEX["jawOpen"]]
    for name in ("mouthFunnel", "mouthLowerDownLeft", "mouthUpperUpLeft", "mouthUpperUpRight"):
        assert pose[INDEX[name]] == 0
    assert frames[frame_at(phones[1], 0.5), INDEX["jawOpen"]] > 90


def test_labiodentals_raise_the_lower_lip_to_the_teeth() -> None:
    phones = say(["ɑ", "f", "ɑ"], 120)
    frames, _ = run(phones)
    pose = frames[frame_at(phones[1], 0.5)]
    assert pose[INDEX["mouthRollLower"]] > 150
    assert pose[INDEX["jawOpen"]] < 30


def test_sibilants_narrow_the_jaw() -> None:
    phones = say(["ɑ", "s", "ɑ"], 110)
    frames, _ = run(phones)
    assert frames[frame_at(phones[1], 0.5), INDEX["jawOpen"]] <= 0.16 * 255


def test_tongue_only_sounds_keep_their_neighbours_lips() -> None:
    """Rounded lips stay rounded through "l", "t" and "k"."""
    for middle in "ltkn":
        phones = say(["u", middle, "u"], 90)
        frames, _ = run(phones)
        pose = frames[frame_at(phones[1], 0.5)].astype(float)
        assert (pose[INDEX["mouthPucker"]] + pose[INDEX["mouthFunnel"]]) / 255 > 0.5, middle


def test_rounding_starts_before_and_ends_after_its_vowel() -> None:
    phones = say(["t", "t", "u", "t", "t"], 120)
    frames, _ = run(phones)
    pucker = frames[:, INDEX["mouthPucker"]]
    peak = pucker.max()
    assert pucker[frame_at(phones[2], -0.4)] > 0.4 * peak
    assert pucker[frame_at(phones[2], 1.4)] > 0.4 * peak


def test_viseme_cues_start_on_their_phones_and_end_in_silence() -> None:
    phones = say(["m", "ɑ", "ɑ", "t", ""], 100)
    _, updates = run(phones)
    cues = [c for u in updates for c in u.visemes]
    assert [c.viseme for c in cues] == ["PP", "aa", "DD", "sil"]
    assert [c.at for c in cues] == [p.span.start for p in (phones[0], phones[1], phones[3], phones[4])]


def test_stress_and_loudness_open_the_jaw() -> None:
    soft, loud = FaceAnimator().open(RATE, 60, 1), FaceAnimator().open(RATE, 60, 1)
    phones = say(["h", "ɑ", "t", ""], 200)
    peaks = []
    for stream, level in ((soft, -40.0), (loud, -8.0)):
        block = stream.push(phones, phones[-1].span.end, CALM, level).blendshapes
        assert block is not None
        peaks.append(int(block.frames[:, INDEX["jawOpen"]].max()))
    assert peaks[1] > peaks[0] * 1.3


def test_bad_input_names_the_phone_and_the_span() -> None:
    stream = FaceAnimator().open(RATE, 60, 1)
    with pytest.raises(ValueError, match="'m' spans samples"):
        stream.push(say(["m"]), 10, CALM)
    stream.push((), 100, CALM)
    with pytest.raises(ValueError, match="known up to"):
        stream.push((), 50, CALM)
    stream.finish(100)
    with pytest.raises(ValueError, match="finished"):
        stream.push((), 200, CALM)
    with pytest.raises(ValueError, match="fps"):
        FaceAnimator().open(RATE, 25, 1)
