"""What the session tests share: the scripted session of the benchmarks, and events as a client writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from npc.bench.cut_points import RATE, Recording, engines, speak, talking, type_and_ask
from npc.dialogue.interface import Clause
from npc.protocol import ClientEvent, parse_client

__all__ = ["RATE", "Recording", "clauses", "engines", "event", "speak", "talking", "type_and_ask"]


def clauses(*texts: str) -> Sequence[Clause]:
    return [Clause(text) for text in texts]


def event(kind: str, **fields: Any) -> ClientEvent:
    return parse_client(json.dumps({"type": kind, **fields}))
