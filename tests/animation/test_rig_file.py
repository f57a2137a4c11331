"""Character files: names out of GLB, VRM and glTF, a clear word for everything else."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from npc.animation.channels import ARKIT52
from npc.animation.rig import RigError, load_profile
from npc.animation.rig_file import morph_names
from npc.cli import rig

HEAD = Path(__file__).resolve().parents[2] / "demo" / "assets" / "heads" / "marrow.glb"


def glb(document: dict[str, object]) -> bytes:
    text = json.dumps(document).encode()
    return struct.pack("<IIIII", 0x46546C67, 2, 20 + len(text), len(text), 0x4E4F534A) + text


def test_our_head_fits_arkit(capsys: pytest.CaptureFixture[str]) -> None:
    assert morph_names(HEAD) == ARKIT52
    assert rig.main([str(HEAD)]) == 0
    assert "'arkit': 52 of 52" in capsys.readouterr().out


def test_vrm_expressions_come_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "someone.vrm"
    names = {name: {} for name in load_profile("vrm1").names}
    extensions = {"VRMC_vrm": {"expressions": {"preset": names, "custom": {"wink": {}}}}}
    path.write_bytes(glb({"asset": {"version": "2.0"}, "extensions": extensions}))
    assert rig.main([str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["profile"] == "vrm1"
    assert report["unknown"] == ["wink"]


def test_gltf_json_with_names_on_the_primitive(tmp_path: Path) -> None:
    path = tmp_path / "x.gltf"
    mesh = {"primitives": [{"extras": {"targetNames": ["jawOpen"]}, "targets": [{}]}]}
    path.write_text(json.dumps({"asset": {"version": "2.0"}, "meshes": [mesh, mesh]}))
    assert morph_names(path) == ("jawOpen",)


def test_a_mesh_without_morph_targets_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "statue.glb"
    path.write_bytes(glb({"asset": {"version": "2.0"}, "meshes": [{"primitives": [{}]}]}))
    assert rig.main([str(path)]) == 1
    assert "no morph targets" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"Kaydara FBX Binary", b"[1]", b"glTF\x02\x00\x00\x00" + b"\xff" * 40])
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "strange.glb"
    path.write_bytes(content)
    with pytest.raises(RigError, match=r"strange\.glb"):
        morph_names(path)
    assert rig.main([str(tmp_path / "absent.glb")]) == 2
    assert "absent.glb" in capsys.readouterr().err


def test_profiles_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert rig.main([]) == 0
    assert "metahuman" in capsys.readouterr().out


@pytest.mark.parametrize(
    "document",
    [
        {"asset": {}, "meshes": [1]},
        {"asset": {}, "meshes": {"a": 1}},
        {"asset": {}, "meshes": [{"primitives": [{"targets": 5}]}]},
        {"asset": {}, "meshes": [{"extras": "x"}]},
        {"asset": {}, "extensions": [1]},
        {"asset": {}, "extensions": {"VRMC_vrm": {"expressions": [1]}}},
    ],
)
def test_json_of_another_shape_is_refused_by_name(tmp_path: Path, document: dict[str, object]) -> None:
    path = tmp_path / "odd.gltf"
    path.write_text(json.dumps(document))
    assert rig.main([str(path)]) == 2
    with pytest.raises(RigError, match=r"odd\.gltf: not shaped"):
        morph_names(path)
