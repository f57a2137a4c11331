"""The Unity package: laid out as Unity wants it, and compiled against stub declarations of the Unity API."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from tests.engines.conftest import PLUGINS, ROOT, need, run

UNITY = PLUGINS / "unity"


def test_package_and_assemblies_name_what_exists() -> None:
    package = json.loads((UNITY / "package.json").read_text())
    assert package["name"].count(".") >= 2
    assert all((UNITY / sample["path"]).is_dir() for sample in package["samples"])
    assemblies = {path: json.loads(path.read_text()) for path in UNITY.rglob("*.asmdef")}
    names = {assembly["name"] for assembly in assemblies.values()}
    for assembly in assemblies.values():
        assert set(assembly.get("references", [])) <= names
    core = next(assembly for assembly in assemblies.values() if assembly["name"] == "Npc.Core")
    assert core["noEngineReferences"] is True


def test_every_asset_has_its_meta_file() -> None:
    files = runpy.run_path(str(ROOT / "scripts/unity_meta.py"))["wanted"]()
    assert files == {path: path.read_text() for path in UNITY.rglob("*.meta")}
    guids = [text.split("guid: ")[1].split()[0] for text in files.values()]
    assert len(set(guids)) == len(guids)


@pytest.mark.parametrize("defines", [(), ("-define:UNITY_WEBGL",)], ids=["desktop", "webgl"])
def test_the_unity_layer_compiles(json_dll: Path, tmp_path: Path, defines: tuple[str, ...]) -> None:
    folders = ["Runtime/Core", "Runtime/Unity", "Samples~/Talk", "Tests/Stubs"] + (
        [] if defines else ["Runtime/Net", "Editor"]
    )
    sources = [source for folder in folders for source in sorted((UNITY / folder).glob("*.cs"))]
    compiler = need("mcs", "mono-devel")
    run(
        compiler,
        "-langversion:7.2",
        *defines,
        "-target:library",
        f"-out:{tmp_path / 'unity.dll'}",
        f"-r:{json_dll}",
        *sources,
    )
