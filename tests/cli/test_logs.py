"""Log lines carry their fields: without them `a part is missing` says nothing."""

from __future__ import annotations

import logging
import sys

import pytest

from npc.cli.logs import WithFields


def told(message: str, **fields: object) -> str:
    record = logging.getLogger("npc.x").makeRecord("npc.x", logging.WARNING, "f", 1, message, (), None, extra=fields)
    return WithFields().format(record).split(" ", 1)[1]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "WARNING npc.x: a part is missing"),
        ({"part": "asr", "count": 3}, "WARNING npc.x: a part is missing  part=asr count=3"),
        ({"error": 'no "x"\nhere'}, 'WARNING npc.x: a part is missing  error="no \\"x\\"\\nhere"'),
        ({"error": ""}, 'WARNING npc.x: a part is missing  error=""'),
    ],
)
def test_fields_follow_the_message(fields: dict[str, object], line: str) -> None:
    assert told("a part is missing", **fields) == line


def test_a_traceback_stays_below() -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "session": "s1", "exc_info": sys.exc_info()})
    lines = WithFields().format(record).splitlines()
    assert lines[0].endswith("failed  session=s1")
    assert lines[-1] == "ValueError: odd"
