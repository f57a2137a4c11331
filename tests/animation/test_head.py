"""Our heads: the committed files are current, complete, and their closures are exact on the real vertices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npc.animation.channels import ARKIT52
from npc.animation.head.glb import Glb
from npc.animation.head.looks import LOOKS, Look, look
from npc.animation.head.measure import HeadRuler

HEADS = Path(__file__).resolve().parents[2] / "demo" / "assets" / "heads"


@pytest.fixture(params=LOOKS, ids=lambda which: which.name)
def which(request: pytest.FixtureRequest) -> Look:
    chosen: Look = request.param
    return chosen


def test_committed_file_is_current_and_small(which: Look) -> None:
    """Rebuild with `python -m npc.animation.head.build` when this fails."""
    pytest.importorskip("scipy")
    from npc.animation.head.build import fingerprint

    path = HEADS / f"{which.name}.glb"
    assert Glb.read(path).json["asset"]["extras"]["fingerprint"] == fingerprint(which)
    assert path.stat().st_size < 1_500_000


def test_every_target_is_named_and_moves_something(which: Look) -> None:
    glb = Glb.read(HEADS / f"{which.name}.glb")
    face = glb.mesh("Face")
    assert tuple(face["extras"]["targetNames"]) == ARKIT52
    moved = np.zeros(len(ARKIT52))
    for primitive in face["primitives"]:
        assert len(primitive["targets"]) == len(ARKIT52)
        for i, target in enumerate(primitive["targets"]):
            values = glb.accessor(target["POSITION"])
            assert np.isfinite(values).all()
            moved[i] = max(moved[i], np.abs(values).max())
    assert (moved > 1e-3).all(), [n for n, m in zip(ARKIT52, moved, strict=True) if m <= 1e-3]


def test_geometry_is_sound(which: Look) -> None:
    glb = Glb.read(HEADS / f"{which.name}.glb")
    for mesh in glb.json["meshes"]:
        for primitive in mesh["primitives"]:
            points = glb.accessor(primitive["attributes"]["POSITION"])
            normals = glb.accessor(primitive["attributes"]["NORMAL"])
            indices = glb.accessor(primitive["indices"])
            assert np.isfinite(points).all()
            assert indices.max() < len(points)
            assert np.allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-3)


def test_mouth_close_undoes_jaw_open_exactly(which: Look) -> None:
    ruler = HeadRuler.read(HEADS / f"{which.name}.glb")
    assert ruler.open_gap > 0.02
    for amount in (0.1, 0.5, 1.0):
        assert ruler.lip_gap({"jawOpen": amount, "mouthClose": amount}) < 1e-4
        assert ruler.lip_gap({"jawOpen": amount}) > 0.9 * amount * ruler.open_gap


@pytest.mark.parametrize(
    "name",
    ["mouthSmileLeft", "mouthFrownRight", "mouthPucker", "cheekPuff", "mouthPressLeft", "mouthShrugLower", "mouthLeft"],
)
def test_shapes_that_do_not_part_the_lips_keep_them_shut(name: str, which: Look) -> None:
    ruler = HeadRuler.read(HEADS / f"{which.name}.glb")
    assert ruler.lip_gap({name: 1.0}) < 1e-4


def test_labiodental_pose_touches_the_teeth(which: Look) -> None:
    ruler = HeadRuler.read(HEADS / f"{which.name}.glb")
    pose = {"jawOpen": 0.07, "mouthRollLower": 0.65, "mouthShrugLower": 0.35}
    assert ruler.teeth_gap(pose) < 0.05 * ruler.open_gap
    assert ruler.teeth_gap({"jawOpen": 0.3}) > 0.05 * ruler.open_gap


def test_closed_lids_meet_and_cover_the_eye(which: Look) -> None:
    ruler = HeadRuler.read(HEADS / f"{which.name}.glb")
    assert ruler.lid_gap({}) > 0.02
    assert ruler.lid_gap({"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}) < 1e-3


def test_a_look_that_does_not_exist_is_named() -> None:
    with pytest.raises(KeyError, match="marrow"):
        look("nobody")


def test_ears_face_outwards(which: Look) -> None:
    """Their triangles were once turned inside out: a single-sided material then showed the far ear's inside."""
    glb = Glb.read(HEADS / f"{which.name}.glb")
    names = [m["name"] for m in glb.json["materials"]]
    ears = next(p for p in glb.mesh("Hair")["primitives"] if names[p["material"]] == "skin")
    points = glb.accessor(ears["attributes"]["POSITION"]).astype(float)
    triangles = glb.accessor(ears["indices"]).reshape(-1, 3)
    left = triangles[(points[triangles][:, :, 0] > 0).all(axis=1)]
    a, b, c = (points[left[:, k]] - points[np.unique(left)].mean(axis=0) for k in range(3))
    if which.ears == "long":
        assert (np.cross(a, b) * c).sum() > 0
    else:
        assert np.cross(b - a, c - a)[:, 0].sum() > 0
