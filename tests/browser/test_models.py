"""A person's own models: whole, half, nameless, without morph targets, VRM, or none at all. The face goes on."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from npc.protocol import ARKIT52
from tests.browser.hands import opened, until

HEAD = Path(__file__).parents[2] / "demo/assets/heads/marrow.glb"


def remade(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Our head with its glTF document changed."""
    data = HEAD.read_bytes()
    size = struct.unpack("<I", data[12:16])[0]
    document = json.loads(data[20 : 20 + size])
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + data[20 + size :]
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body)
    return path


def renamed(names: list[str]) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for mesh in document["meshes"]:
            if "targetNames" in mesh.get("extras", {}):
                mesh["extras"]["targetNames"] = names

    return change


def bald_of_targets(document: dict[str, Any]) -> None:
    for mesh in document["meshes"]:
        mesh.pop("weights", None)
        mesh.pop("extras", None)
        for primitive in mesh["primitives"]:
            primitive.pop("targets", None)


def vrm(document: dict[str, Any]) -> None:
    """Nameless targets behind VRM 1.0 expressions."""
    renamed([f"m{i}" for i in range(52)])(document)
    node = next(i for i, one in enumerate(document["nodes"]) if one["name"] == "Face")
    head = next(i for i, one in enumerate(document["nodes"]) if one["name"] == "Head")

    def bind(name: str) -> dict[str, Any]:
        return {"morphTargetBinds": [{"node": node, "index": ARKIT52.index(name), "weight": 1.0}]}

    preset = {
        "aa": bind("jawOpen"),
        "ou": bind("mouthPucker"),
        "happy": bind("mouthSmileLeft"),
        "blink": bind("eyeBlinkLeft"),
    }
    bones = {"head": {"node": head}}
    document.setdefault("extensionsUsed", []).append("VRMC_vrm")
    document.setdefault("extensions", {})["VRMC_vrm"] = {
        "specVersion": "1.0", "expressions": {"preset": preset}, "humanoid": {"humanBones": bones},
    }  # fmt: skip


HALF = [name if i % 2 else f"other{i}" for i, name in enumerate(ARKIT52)]
CASES: dict[str, tuple[Callable[[dict[str, Any]], None], str, bool]] = {
    "pascal": (renamed([name[0].upper() + name[1:] for name in ARKIT52]), "", True),
    "underscore": (renamed([name.replace("Left", "_L").replace("Right", "_R") for name in ARKIT52]), "", True),
    "half": (renamed(HALF), "26 of 52 face channels", True),
    "nameless": (renamed([f"shape{i}" for i in range(52)]), "morph targets has a name we know", False),
    "single-jaw": (renamed(["Jaw_Drop", *[f"shape{i}" for i in range(51)]]), "a name we know", True),
    "no-targets": (bald_of_targets, "has no morph targets", False),
    "vrm": (vrm, "stood in for by its visemes and expressions", True),
}


@pytest.fixture(scope="module")
def page(server: str, chromium: str) -> Any:
    with opened(chromium, f"{server}/?character=sela-marrow") as opened_page:
        opened_page.click("#tab-settings")
        yield opened_page


@pytest.mark.parametrize("case", CASES)
def test_own_model(page: Any, tmp_path: Path, case: str) -> None:
    change, said, moves = CASES[case]
    page.evaluate("() => { npcPage.notices.hide(); npcPage.before = npcPage.face.model.uuid; }")
    page.set_input_files("[name=rig]", remade(tmp_path / f"{case}.glb", change))
    until(page, "npcPage.face.model.uuid !== npcPage.before")
    page.wait_for_timeout(300)
    assert said in page.inner_text("#notice") if said else not page.is_visible("#notice")
    # The mouth of a wide open vowel, applied to what was loaded.
    reach = page.evaluate("""() => {
      const { rig } = npcPage.face;
      const weights = new Float32Array(rig.channels.length);
      weights[rig.channels.indexOf('jawOpen')] = 0.8;
      rig.apply(weights);
      return Math.max(0, ...[...rig.touched].flatMap(({ morphTargetInfluences }) => [...morphTargetInfluences]));
    }""")
    assert (reach > 0.5) is moves
    frames = page.evaluate("npcPage.face.renderer.info.render.frame")
    until(page, f"npcPage.face.renderer.info.render.frame > {frames} + 1")


def test_what_is_no_model_leaves_the_old_one(page: Any, tmp_path: Path) -> None:
    (tmp_path / "words.glb").write_text("this is not a model")
    before = page.evaluate("() => { npcPage.notices.hide(); return npcPage.face.model.uuid; }")
    page.set_input_files("[name=rig]", tmp_path / "words.glb")
    until(page, "!document.getElementById('notice').hidden")
    assert "could not be loaded" in page.inner_text("#notice")
    assert page.evaluate("npcPage.face.model.uuid") == before


def test_a_model_by_address(page: Any, server: str) -> None:
    before = page.evaluate("npcPage.face.model.uuid")
    page.fill("[name=address]", f"{server}/assets/heads/sprite.glb")
    page.click("#address-load")
    until(page, f"npcPage.face.model.uuid !== '{before}'")
