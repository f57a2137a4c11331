"""Cues fire on the clock they were written for: samples of the item as heard, or of input as the server has it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from npc.protocol import Cue, NpcCues

#: A cue on the input clock that is later than this is not worth showing.
LATE_MS = 500


@dataclass(frozen=True, slots=True)
class DueCue:
    """A cue whose time has come. `late` counts samples since its `at`."""

    cue: Cue
    character: str
    response_id: str | None
    item_id: str | None
    late: int


class CueScheduler:
    """Holds cues until their sample. Times never come twice."""

    def __init__(self, input_rate: int) -> None:
        self._late = input_rate * LATE_MS // 1000
        self._output: dict[tuple[str, str], list[tuple[int, int, NpcCues, Cue]]] = {}
        self._input: list[tuple[int, int, NpcCues, Cue]] = []
        self._count = 0

    def add(self, cues: NpcCues) -> None:
        """Take a part of the score."""
        if cues.clock == "input":
            heap = self._input
        else:
            heap = self._output.setdefault((cues.response_id or "", cues.item_id or ""), [])
        for cue in cues.cues:
            self._count += 1
            heapq.heappush(heap, (cue.at, self._count, cues, cue))

    def played(self, response_id: str, item_id: str, samples: int) -> list[DueCue]:
        """Cues of the item that begin before sample `samples`."""
        return _pop(self._output.get((response_id, item_id), []), samples)

    def heard(self, samples: int) -> list[DueCue]:
        """Cues on the input clock that are due at input sample `samples`; those too late are left out."""
        return [due for due in _pop(self._input, samples + 1) if due.late <= self._late]

    def drop(self, response_id: str) -> None:
        """Forget the cues of a response that was flushed."""
        self._output = {key: heap for key, heap in self._output.items() if key[0] != response_id}

    def finished(self, response_id: str, item_id: str) -> list[DueCue]:
        """What is left of an item whose audio has ended: its decay to rest."""
        return _pop(self._output.pop((response_id, item_id), []), 1 << 62)


def _pop(heap: list[tuple[int, int, NpcCues, Cue]], before: int) -> list[DueCue]:
    due = []
    while heap and heap[0][0] < before:
        at, _, cues, cue = heapq.heappop(heap)
        due.append(DueCue(cue, cues.character, cues.response_id, cues.item_id, max(0, before - 1 - at)))
    return due
