"""Rig profiles: every shipped one is complete, detection says what fits, and bindings keep the lips' rules."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from npc.animation.channels import ARKIT52, INDEX
from npc.animation.rig import RigError, bind, detect, load_profile, profiles, schema

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schemas" / "rig.schema.json"


def frame(**weights: float) -> np.ndarray:
    row = np.zeros((1, 52))
    for name, weight in weights.items():
        row[0, INDEX[name]] = weight
    return row


def test_the_committed_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text()) == schema(), (
        'run: python -c "import json; from npc.animation import rig; print(json.dumps(rig.schema(), indent=2))" '
        "> docs/schemas/rig.schema.json"
    )


@pytest.mark.parametrize("profile", profiles(), ids=lambda p: p.id)
def test_profiles_detect_their_own_names_in_any_order(profile: object) -> None:
    from npc.animation.rig import RigProfile

    assert isinstance(profile, RigProfile)
    report = detect(reversed(profile.names))
    assert report.profile == profile.id
    assert report.coverage == 1.0
    assert report.jaw == profile.jaw


def test_full_arkit_profiles_use_every_channel() -> None:
    for name in ("arkit", "arkit_pascal", "metahuman", "cc4"):
        profile = load_profile(name)
        used = {c for mix in profile.curves.values() for c in mix} | {
            c for pair in profile.ratios.values() for c in pair
        }
        assert used == set(ARKIT52), name


def test_alphabetical_order_binds_by_name() -> None:
    names = sorted(ARKIT52)
    out = bind(load_profile("arkit"), names).apply(frame(jawOpen=0.5, tongueOut=0.25))
    assert out[0, names.index("jawOpen")] == 0.5
    assert out[0, names.index("tongueOut")] == 0.25
    assert out.sum() == 0.75


def test_prefixed_names_match() -> None:
    report = detect([f"blendShape1.{n}" for n in ARKIT52])
    assert report.profile == "arkit"
    assert report.jaw == "blendShape1.jawOpen"


def test_metahuman_closes_the_lips_by_ratio() -> None:
    profile = load_profile("metahuman")
    out = bind(profile, profile.names).apply(frame(jawOpen=0.1, mouthClose=0.1))
    assert out[0, profile.names.index("CTRL_expressions_mouthLipsTogetherUL")] == pytest.approx(1.0)


def test_vrm_mouth_is_shut_in_a_bilabial() -> None:
    profile = load_profile("vrm1")
    out = bind(profile, profile.names).apply(frame(jawOpen=0.1, mouthClose=0.1))
    assert out[0, profile.names.index("aa")] == pytest.approx(0.0)


def test_calibration_scales_and_stays_in_range() -> None:
    profile = load_profile("arkit").calibrated({"jawOpen": 3.0}, {"mouthSmileLeft": 0.2})
    out = bind(profile, ["jawOpen", "mouthSmileLeft"]).apply(frame(jawOpen=0.5, mouthSmileLeft=0.1))
    assert out.tolist() == [[1.0, pytest.approx(0.3)]]
    with pytest.raises(RigError, match="does not drive"):
        profile.calibrated({"nonsense": 1.0})


def test_half_a_rig_and_strange_rigs_are_reported_in_words() -> None:
    half = detect(ARKIT52[:30])
    assert half.profile == "arkit"
    assert "missing" in half.message
    strange = detect(["Mouth_Open", "Wobble"])
    assert strange.profile is None
    assert strange.jaw == "Mouth_Open"
    assert "follows the jaw" in strange.message
    assert "no morph targets" in detect([]).message


GOOD = '{"id": "x", "title": "x", "source": "x", "curves": {"A": {"jawOpen": 1}}%s}'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"id": "x", "title": "x", "source": "x", "curves": {"A": {"jawOpne": 1}}}', r"mine\.json:1: .*'A'.*jawOpne"),
        ('{"id": "x"}', r"mine\.json:1: title: Field required"),
        (
            '{"id": "x",\n"title": "x", "source": "x", "curves": {"A": {"jawOpen":\n"much"}}}',
            r"mine\.json:2: curves\.A",
        ),
        ('{"id": "x", "title": "x", "source": "x", "curves": []}', r"mine\.json:1: curves"),
        ('{"id": "x", "title": "x", "source": "x", "curves": {}}', r"mine\.json:1: curves"),
        (GOOD % ', "ratios": {"B": ["mouthClose"]}', r"mine\.json:1: ratios\.B"),
        (GOOD % ', "damp": {"A": ["jawOpen"]}', r"mine\.json:1: damp\.A"),
        (GOOD % ', "scale": {"A": "big"}', r"mine\.json:1: scale\.A"),
        (GOOD % ',\n"offset": {"Z": 0.1}', r"mine\.json:2: offset\.Z: neither .* drives 'Z'"),
        (GOOD % ', "scales": {}', r"mine\.json:1: scales"),
        ("[1]", r"mine\.json:1:"),
        ("{", r"mine\.json:\d: not valid"),
    ],
)
def test_bad_profiles_name_file_line_and_field(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(RigError, match=complaint):
        load_profile(path)


def test_a_profile_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(GOOD % ', "scale": {"A": 0.5}')
    assert bind(load_profile(path), ["A"]).apply(frame(jawOpen=1.0)).tolist() == [[0.5]]


def test_an_unknown_profile_lists_those_there_are() -> None:
    with pytest.raises(RigError, match="there are arkit"):
        load_profile("nope")
