"""How well language models answer a mind set, each alone behind the character's mind: the dialogue table of
`npc quantize --mind`."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from npc.bench.mind import hold_all, summarise
from npc.bench.mind_set import Case
from npc.dialogue.character import Character
from npc.dialogue.context import Context
from npc.dialogue.interface import Clause
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.llm import SPEECH, LlmResponder
from npc.dialogue.memory.store import PlayerMemory
from npc.inference.interface import ModelError
from npc.inference.kernels import Format
from npc.inference.native import NativeModel, NativeSettings

log = logging.getLogger(__name__)


class _Alone(LlmResponder):
    """Nobody answers for the model: a turn that it cannot answer stays without an answer."""

    async def respond(self, context: Context) -> AsyncIterator[Clause]:
        try:
            async with aclosing(super().respond(context)) as clauses:  # type: ignore[type-var]
                async for clause in clauses:
                    yield clause
        except ModelError as error:
            log.warning("no answer: %s", error)


def hold_with(folder: Path, format: Format, cases: Sequence[Case], seed: int = 0) -> dict[str, Any]:
    """The figures of `npc bench mind` with the model in `folder` (in `format`, unless it is packed). Raises
    CheckpointError."""
    model = NativeModel.load(folder, NativeSettings(format=format))
    numbers = itertools.count(1)

    def responder(character: Character, knowledge: Knowledge, memory: PlayerMemory) -> _Alone:
        return _Alone(
            character,
            knowledge,
            memory,
            model,
            new_id=lambda: f"llm_{next(numbers)}",
            clock=lambda: 1_700_000_000.0,
            sampling=replace(SPEECH, seed=seed),
        )

    try:
        return summarise(asyncio.run(hold_all(cases, seed, responder)))
    finally:
        asyncio.run(model.close())


def table(original: Mapping[str, Any], packed: Mapping[str, Any]) -> str:
    """Both beside each other, for a person."""
    lines = [f"{'dialogues':<20}{'original':>12}{'packed':>12}"]
    for kind, before in original["kinds"].items():
        of = f"/{before['n']}"
        lines.append(f"{kind:<20}{str(before['passed']) + of:>12}{str(packed['kinds'][kind]['passed']) + of:>12}")
    lines += [f"{name:<20}{original[name]!s:>12}{packed[name]!s:>12}" for name in ("leaks", "words_mean")]
    return "\n".join(lines)
