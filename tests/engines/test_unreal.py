"""The Unreal plugin: its description names what exists, and its layer compiles against declarations of Unreal's API."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.engines.conftest import PLUGINS, UNREAL, need, run

PLUGIN = PLUGINS / "unreal"
STUBS = PLUGIN / "Tests" / "Stubs"


def test_the_plugin_describes_what_exists() -> None:
    plugin = json.loads((PLUGIN / "NpcCharacters.uplugin").read_text())
    assert plugin["FileVersion"] == 3
    assert plugin["Installed"] is False
    for module in plugin["Modules"]:
        rules = PLUGIN / "Source" / module["Name"] / f"{module['Name']}.Build.cs"
        assert f"class {module['Name']} : ModuleRules" in rules.read_text()
    used = re.findall(r'"(\w+)"', rules.read_text())
    assert {"WebSockets", "AudioCaptureCore", "LiveLinkInterface"} <= set(used)
    assert {"AudioCapture", "LiveLink"} <= {one["Name"] for one in plugin["Plugins"]}


@pytest.mark.parametrize("source", sorted((UNREAL / "Private").glob("*.cpp")), ids=lambda path: path.stem)
def test_the_unreal_layer_compiles(source: Path) -> None:
    includes = [f"-I{folder}" for folder in (UNREAL / "Public", UNREAL / "Private", UNREAL / "ThirdParty", STUBS)]
    flags = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-DJSON_NOEXCEPTION=1"]
    run(need("g++", "g++"), *flags, *includes, source)
