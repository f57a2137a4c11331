"""Write what others build against: JSON Schema, an AsyncAPI 3 document and the constants, all from the typed events.

    python -m npc.protocol.export            # writes docs/protocol/
    python -m npc.protocol.export --check    # exit 1 when a committed file is not current

`events.schema.json` holds every event under `$defs`, with `ClientEvent` and `ServerEvent` as the unions.
`constants.json` holds the names that clients in other languages compile in.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from npc.protocol import frames
from npc.protocol.names import A2F, ARKIT52, EMOTIONS, OCULUS15, PLUTCHIK, PROTOCOL_VERSION, VRM
from npc.protocol.parse import CLIENT_EVENTS, SERVER_EVENTS
from npc.protocol.wire import ClientEventBase, ServerEventBase

_FOLDER = Path(__file__).resolve().parents[2] / "docs" / "protocol"
_REF = "#/$defs/{model}"
_COMPONENT = "#/components/schemas/{model}"


def _definitions(template: str) -> dict[str, Any]:
    """Schemas of all events and their parts, by class name."""
    models: list[tuple[type[ClientEventBase | ServerEventBase], JsonSchemaMode]] = [
        (event, "validation") for event in (*CLIENT_EVENTS.values(), *SERVER_EVENTS.values())
    ]
    _, schema = models_json_schema(models, ref_template=template)
    definitions = dict(sorted(schema["$defs"].items()))
    for definition in definitions.values():
        if "const" in definition.get("properties", {}).get("type", {}):
            # Python gives the type itself; on the wire it must be there, or one event would pass for another.
            definition["required"] = sorted({"type", *definition.get("required", [])})
    return definitions


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of every event."""

    def union(events: Any) -> dict[str, Any]:
        return {"oneOf": [{"$ref": _REF.format(model=event.__name__)} for event in events.values()]}

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "npc realtime events",
        "description": f"OpenAI Realtime events plus npc.*, version {PROTOCOL_VERSION}. Generated; do not edit.",
        "anyOf": [{"$ref": "#/$defs/ClientEvent"}, {"$ref": "#/$defs/ServerEvent"}],
        "$defs": {
            "ClientEvent": union(CLIENT_EVENTS),
            "ServerEvent": union(SERVER_EVENTS),
            **_definitions(_REF),
        },
    }


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0: one channel, one message per event, one operation each way."""
    messages = {
        event.__name__: {
            "name": kind,
            "title": kind,
            "summary": (event.__doc__ or "").strip().partition("\n")[0].partition("|")[0].strip(),
            "contentType": "application/json",
            "payload": {"$ref": _COMPONENT.format(model=event.__name__)},
        }
        for kind, event in (*CLIENT_EVENTS.items(), *SERVER_EVENTS.items())
    }
    frame = {
        "name": "binary frame",
        "title": "binary frame",
        "summary": "16-byte little-endian header, then PCM16 or u8 blendshapes; see docs/protocol.md.",
        "contentType": "application/octet-stream",
    }

    def refs(events: Any) -> list[dict[str, str]]:
        names = [event.__name__ for event in events.values()] + ["Frame"]
        return [{"$ref": f"#/channels/realtime/messages/{name}"} for name in names]

    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "npc realtime",
            "version": PROTOCOL_VERSION,
            "description": "Conversational characters over one WebSocket. Generated; do not edit.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:8765", "protocol": "ws", "description": "As `npc serve` starts it."}},
        "channels": {
            "realtime": {
                "address": "/v1/realtime",
                "title": "One session",
                "bindings": {
                    "ws": {
                        "query": {
                            "type": "object",
                            "properties": {
                                "model": {"type": "string", "description": "Character id (also `character`)."},
                                "npc": {"type": "string", "description": "Major protocol version: opts in to npc.*."},
                                "after": {"type": "integer", "description": "On resume: last npc_seq received."},
                            },
                        }
                    }
                },
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in (*sorted(messages), "Frame")},
            }
        },
        "operations": {
            "clientSends": {
                "action": "receive",
                "channel": {"$ref": "#/channels/realtime"},
                "messages": refs(CLIENT_EVENTS),
            },
            "serverSends": {
                "action": "send",
                "channel": {"$ref": "#/channels/realtime"},
                "messages": refs(SERVER_EVENTS),
            },
        },
        "components": {
            "messages": {**dict(sorted(messages.items())), "Frame": frame},
            "schemas": _definitions(_COMPONENT),
        },
    }


def constants() -> dict[str, Any]:
    """Names and numbers for clients in other languages."""
    return {
        "protocol_version": PROTOCOL_VERSION,
        "arkit52": ARKIT52,
        "oculus15": OCULUS15,
        "emotions": EMOTIONS,
        "emotion_maps": {"plutchik": PLUTCHIK, "vrm": VRM, "audio2face": A2F},
        "frame": {
            "header_size": frames.HEADER_SIZE,
            "kinds": {kind.name.lower(): int(kind) for kind in frames.Kind},
            "flag_last": frames.LAST,
        },
        "client_events": sorted(CLIENT_EVENTS),
        "server_events": sorted(SERVER_EVENTS),
    }


def documents() -> dict[str, str]:
    """File name to text, as committed."""
    made = {"events.schema.json": json_schema(), "asyncapi.json": asyncapi(), "constants.json": constants()}
    return {name: json.dumps(document, indent=1, ensure_ascii=False) + "\n" for name, document in made.items()}


def stale(folder: Path) -> list[str]:
    """Names of the files in `folder` that differ from what the events say."""
    return [
        name
        for name, text in documents().items()
        if not (folder / name).is_file() or (folder / name).read_text("utf-8") != text
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m npc.protocol.export", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="only say whether the files are current")
    parser.add_argument("--out", type=Path, default=_FOLDER, help="folder to write to (default: docs/protocol)")
    asked = parser.parse_args(argv)
    if asked.check:
        old = stale(asked.out)
        for name in old:
            print(f"{asked.out / name} is not current: run python -m npc.protocol.export", file=sys.stderr)
        return 1 if old else 0
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (asked.out / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
