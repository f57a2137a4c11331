"""The committed exports are what the events say, and they accept exactly what is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.protocol import CLIENT_EVENTS, SERVER_EVENTS, dump
from npc.protocol.export import asyncapi, json_schema, main, stale
from tests.protocol.strategies import server_event
from tests.protocol.test_events import SAMPLES

FOLDER = Path(__file__).parents[2] / "docs" / "protocol"
SCHEMA = json_schema()


def _validator(name: str) -> Any:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


UP = {kind: _validator(event.__name__) for kind, event in CLIENT_EVENTS.items()}
DOWN = {kind: _validator(event.__name__) for kind, event in SERVER_EVENTS.items()}


def test_the_committed_exports_are_current() -> None:
    assert stale(FOLDER) == []
    assert main(["--check"]) == 0


def test_an_old_export_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    assert main(["--check", "--out", str(tmp_path)]) == 0
    (tmp_path / "asyncapi.json").write_text("{}")
    assert main(["--check", "--out", str(tmp_path)]) == 1
    assert "asyncapi.json is not current" in capsys.readouterr().err


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("sample", SAMPLES, ids=[s["type"] for s in SAMPLES])
def test_the_schema_accepts_what_clients_send(sample: dict[str, Any]) -> None:
    UP[sample["type"]].validate(sample)
    with pytest.raises(jsonschema.ValidationError):
        UP[sample["type"]].validate({**sample, "type": "other"})


@settings(max_examples=60)
@given(st.sampled_from(sorted(SERVER_EVENTS)), st.data())
def test_the_schema_accepts_what_the_server_sends(kind: str, data: st.DataObject) -> None:
    event = data.draw(server_event(SERVER_EVENTS[kind]))
    DOWN[kind].validate(json.loads(dump(event)))


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()

    def references(node: Any) -> Any:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]
    sent = {name for operation in document["operations"].values() for name in map(str, operation["messages"])}
    assert len(sent) == len(CLIENT_EVENTS) + len(SERVER_EVENTS) + 1
