"""What a running service says on its terminal: one line a message, with the fields it carries.

    14:03:12 WARNING npc.server.assembly: a part is missing  part=asr error="no module named 'faster_whisper'"

Messages are constant and name nobody; what happened to whom stands in the fields (`extra` of a log call), which
Python's own handler of last resort leaves out.
"""

from __future__ import annotations

import json
import logging
from typing import Final

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class WithFields(logging.Formatter):
    """Time, level, logger, message, then the fields: bare where a word says it, else as JSON text."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        told = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
        return super().formatMessage(record) + (f"  {told}" if told else "")


def _plain(value: object) -> str:
    text = str(value)
    return text if text and not any(c.isspace() or c in '"=' for c in text) else json.dumps(text, ensure_ascii=False)


def to_terminal() -> None:
    """Have the service's warnings and errors written to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(WithFields())
    handler.setLevel(logging.WARNING)
    logging.getLogger("npc").addHandler(handler)
