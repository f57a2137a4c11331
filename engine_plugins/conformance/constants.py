"""Write the constants that every client core shares, one file a language. Run it as a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from npc.animation.expression import recipes
from npc.animation.idle import BLINK_GAP_MS, SACCADE_GAP_MS, SWAY
from npc.protocol import ARKIT52, EMOTIONS, OCULUS15, PROTOCOL_VERSION
from npc.protocol.npc_server import NpcServerEvent

ROOT = Path(__file__).resolve().parents[2]
NOTE = "Made by engine_plugins/conformance/constants.py from npc/protocol and npc/animation: change those, not this."
EVENTS = sorted(event.model_fields["type"].default for event in get_args(NpcServerEvent))
#: yaw, pitch, roll: base and span of two periods in ms, two amplitudes in degrees, flattened.
SWAY_ROWS = [[base1, span1, base2, span2, one, two] for (base1, span1), (base2, span2), (one, two) in SWAY]
TEXTS: dict[str, Sequence[str]] = {"Emotions": EMOTIONS, "Visemes": OCULUS15, "Blendshapes": ARKIT52, "Events": EVENTS}
TABLES: dict[str, Sequence[int]] = {"BlinkGapMs": BLINK_GAP_MS, "SaccadeGapMs": SACCADE_GAP_MS}


def javascript() -> str:
    def name(pascal: str) -> str:
        return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(pascal)).upper()

    lines = [f"/** {NOTE} */", f"export const PROTOCOL_VERSION = '{PROTOCOL_VERSION}';"]
    lines += [
        f"export const {name(key)} = Object.freeze([{_quoted(values, chr(39))}]);" for key, values in TEXTS.items()
    ]
    lines += [f"export const {name(key)} = Object.freeze([{_joined(values)}]);" for key, values in TABLES.items()]
    return "\n".join([*lines, f"export const SWAY = Object.freeze({SWAY_ROWS});", ""])


def expressions() -> str:
    """Blendshape weights of every emotion at intensity 1, which the page shows between items."""
    rows = {
        label: {name: round(float(value), 3) for name, value in zip(ARKIT52, pose, strict=True) if value}
        for label, pose in recipes().items()
    }
    lines = ",\n".join(f"  {label}: {json.dumps(row)}" for label, row in rows.items())
    return f"/** {NOTE} */\nexport const EXPRESSIONS = Object.freeze({{\n{lines},\n}});\n"


def csharp() -> str:
    lines = [f"// {NOTE}", "namespace Npc.Core", "{", "    public static class Generated", "    {"]
    lines.append(f'        public const string ProtocolVersion = "{PROTOCOL_VERSION}";')
    lines += [
        f"        public static readonly string[] {key} = {{ {_quoted(values)} }};" for key, values in TEXTS.items()
    ]
    lines += [
        f"        public static readonly int[] {key} = {{ {_joined(values)} }};" for key, values in TABLES.items()
    ]
    rows = ", ".join(f"new double[] {{ {_joined(row)} }}" for row in SWAY_ROWS)
    return "\n".join([*lines, f"        public static readonly double[][] Sway = {{ {rows} }};", "    }", "}", ""])


def cpp() -> str:
    lines = [
        f"// {NOTE}",
        "#pragma once",
        "",
        "#include <array>",
        "#include <string_view>",
        "",
        "namespace npc::generated {",
        "",
    ]
    lines.append(f'inline constexpr std::string_view kProtocolVersion = "{PROTOCOL_VERSION}";')
    for key, values in TEXTS.items():
        lines.append(f"inline constexpr std::array<std::string_view, {len(values)}> k{key} = {{{_quoted(values)}}};")
    for key, table in TABLES.items():
        lines.append(f"inline constexpr std::array<int, {len(table)}> k{key} = {{{_joined(table)}}};")
    rows = ", ".join(f"{{{_joined(row)}}}" for row in SWAY_ROWS)
    lines.append(f"inline constexpr double kSway[{len(SWAY_ROWS)}][6] = {{{rows}}};")
    return "\n".join([*lines, "", "}  // namespace npc::generated", ""])


def gdscript() -> str:
    def name(pascal: str) -> str:
        return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(pascal)).upper()

    lines = [f"# {NOTE}", "extends Reference", "", f'const PROTOCOL_VERSION = "{PROTOCOL_VERSION}"']
    lines += [f"const {name(key)} = [{_quoted(values)}]" for key, values in TEXTS.items()]
    lines += [f"const {name(key)} = [{_joined(values)}]" for key, values in TABLES.items()]
    return "\n".join([*lines, f"const SWAY = {SWAY_ROWS}", ""])


def _quoted(values: Sequence[str], quote: str = '"') -> str:
    return ", ".join(f"{quote}{value}{quote}" for value in values)


def _joined(values: Sequence[float]) -> str:
    return ", ".join(str(value) for value in values)


FILES: dict[str, Callable[[], str]] = {
    "demo/js/client/constants.js": javascript,
    "demo/js/client/expressions.js": expressions,
    "engine_plugins/unity/Runtime/Core/Generated.cs": csharp,
    "engine_plugins/unreal/Source/NpcCharacters/Private/Core/Generated.h": cpp,
    "engine_plugins/godot/addons/npc/core/generated.gd": gdscript,
}


def render() -> dict[Path, str]:
    """File -> content."""
    return {ROOT / place: make() for place, make in FILES.items()}


if __name__ == "__main__":
    for path, content in render().items():
        path.write_text(content)
