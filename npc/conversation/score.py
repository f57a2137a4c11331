"""The performance score: everything a reply does, on one timeline in samples of its item.

    audio        ▇▇▇▅▇▇▂▁▇▇▇▆▇▇▂▁▇▇▇▇▇▂▁▁
    words        │Good│ day,│ traveller.│
    visemes      kk U DD  sil  DD E  …
    emotion      joy 0.4 ────────────────▶
    gesture            ⌒ (stroke on "traveller")
    action                       ◆ open_door
    final  ────────────────────────▶│      no later push changes what lies before it

Clauses come in with their audio and words in clause time at the output rate, and the face in item time. They leave as
`Cue`s, blendshape blocks and audio in item time. `take(until)` hands out every cue before a sample once, in order, so
cues can always be sent ahead of, or with, the audio they belong to.
"""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc.animation.interface import BlendshapeBlock, FaceUpdate
from npc.audio.clock import Span
from npc.conversation.ledger import LedgerAction, LedgerWord
from npc.dialogue.interface import Clause
from npc.phonetics.phones import SpokenWord
from npc.protocol import CitationSpan, Cue

Pcm16 = NDArray[np.int16]
_NO_FACE = FaceUpdate()


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word of the reply in item time; `index` counts the whitespace-separated words of the reply's text."""

    index: int
    text: str
    at: int
    until: int


@dataclass(frozen=True, slots=True)
class PlacedAction:
    """An action of the reply and the sample at which it starts."""

    call_id: str
    name: str
    arguments: str
    at: int


@dataclass
class Score:
    """The timeline of one item at `rate` Hz. Unless `animated`, no face track is waited for."""

    rate: int
    animated: bool = False
    journal: Callable[[str, Mapping[str, Any]], None] | None = None
    """Told every operation, with JSON values: the same operations on a new score give the same cues (replay)."""
    text: str = ""
    words: list[PlacedWord] = field(default_factory=list)
    actions: list[PlacedAction] = field(default_factory=list)
    citations: list[CitationSpan] = field(default_factory=list)
    clause_ends: list[int] = field(default_factory=list)
    length: int = 0
    """Samples of audio so far."""
    final: int = 0
    """No later push changes any track before this sample."""
    finished: bool = False
    _audio: list[Pcm16] = field(default_factory=list)
    _audio_at: list[int] = field(default_factory=list)
    _cues: list[Cue] = field(default_factory=list)
    _taken: int = 0
    _blocks: list[BlendshapeBlock] = field(default_factory=list)
    _clause: Clause | None = None
    _clause_at: int = 0
    _clause_word: int = 0
    _heard: dict[int, Span] = field(default_factory=dict)

    # -- in ------------------------------------------------------------------------------------------------------------

    def begin(self, clause: Clause) -> None:
        """A clause starts where the audio ends now."""
        self._note("begin", lambda: asdict(clause))
        self._clause, self._clause_at, self._clause_word = clause, self.length, len(self.text.split())
        self._heard = {}
        self.text = f"{self.text} {clause.text}" if self.text else clause.text
        affect = clause.affect
        self._cues.append(
            Cue.model_construct(
                kind="emotion",
                name=affect.label,
                at=self.length,
                weight=_unit(affect.intensity),
                valence=_signed(affect.valence),
                arousal=_signed(affect.arousal),
                dominance=_signed(affect.dominance),
            )
        )

    def push(self, pcm: Pcm16, words: Sequence[SpokenWord] = ()) -> None:
        """Audio of the open clause with the words that begin in it, in samples of the clause."""
        clause = self._open()
        self._note("push", lambda: {"samples": int(pcm.size), "words": [asdict(word) for word in words]})
        if pcm.size:
            self._audio.append(pcm)
            self._audio_at.append(self.length)
            self.length += int(pcm.size)
        for word in words:
            index = len(clause.text[: word.text_start].split())
            span = word.span.shifted(self._clause_at)
            seen = self._heard.get(index)
            # An engine may say one written word as several ("£29"): their spans join.
            self._heard[index] = span if seen is None else Span(seen.start, max(seen.end, span.end))

    def end(self) -> None:
        """The open clause is complete: its words, actions, citations and gesture get their places."""
        clause = self._open()
        self._note("end", dict)
        written = clause.text.split()
        spans = _complete(self._heard, written, self._clause_at, self.length)
        first = self._clause_word
        for offset, (text, span) in enumerate(zip(written, spans, strict=True)):
            placed = PlacedWord(first + offset, text, span.start, span.end)
            self.words.append(placed)
            self._cues.append(
                Cue.model_construct(
                    kind="word",
                    name=text,
                    at=placed.at,
                    until=placed.until,
                    word_start=placed.index,
                    word_end=placed.index + 1,
                )
            )
        for action in clause.actions:
            at = spans[action.at_word].start if action.at_word < len(spans) else self.length
            self._place_action(action.call_id, action.name, action.arguments, at)
        for citation in clause.citations:
            self.citations.append(
                CitationSpan(
                    fact_id=citation.fact_id,
                    source=citation.source,
                    word_start=first + citation.word_start,
                    word_end=first + citation.word_end,
                )
            )
        self._sort()
        self.clause_ends.append(self.length)
        self._clause = None
        if not self.animated:
            self.final = self.length

    def finish(self, face: FaceUpdate = _NO_FACE) -> None:
        """No clause follows: `face` decays to rest, and everything is final."""
        self._note("finish", dict)
        self.animate(face)
        self.final, self.finished = max(self.final, self.length), True

    def animate(self, update: FaceUpdate) -> None:
        """Take what the animator has made final, in samples of the item."""
        self._note("animate", lambda: _face_data(update))
        for viseme in update.visemes:
            self._cues.append(
                Cue.model_construct(
                    kind="viseme", name=viseme.viseme, at=viseme.at, until=viseme.until, weight=_unit(viseme.weight)
                )
            )
        for body in update.body:
            self._cues.append(
                Cue.model_construct(
                    kind=body.kind,
                    name=body.name,
                    at=max(0, body.at),
                    until=max(0, body.until),
                    stroke=body.stroke,
                    weight=_unit(body.weight),
                    target=body.target,
                )
            )
        if update.blendshapes is not None and len(update.blendshapes.frames):
            block = update.blendshapes
            self._blocks.append(block)
            self.final = min(self.length, block.start + len(block.frames) * block.samples_per_frame)
        self._sort()

    @property
    def clause_start(self) -> int:
        """Sample at which the newest clause begins."""
        return self._clause_at

    # -- out -----------------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> int:
        """Audio may leave up to here: it exists, its clause is complete and its tracks are final."""
        if self.finished:
            return self.length
        closed = self.clause_ends[-1] if self.clause_ends else 0
        return min(closed, self.final)

    def read(self, start: int, samples: int) -> Pcm16:
        """Audio `[start, start + samples)`, shorter at the end."""
        parts: list[Pcm16] = []
        index = max(0, bisect.bisect_right(self._audio_at, start) - 1)
        end = min(start + samples, self.length)
        while start < end and index < len(self._audio):
            offset = start - self._audio_at[index]
            part = self._audio[index][offset : offset + end - start]
            parts.append(part)
            start += part.size
            index += 1
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)

    def take(self, until: int) -> list[Cue]:
        """Cues before sample `until` that were not taken yet, in order of time."""
        taken = self._take(until)
        self._note("take", lambda: {"until": until, "cues": [cue.model_dump(exclude_none=True) for cue in taken]})
        return taken

    def _take(self, until: int) -> list[Cue]:
        end = self._taken
        while end < len(self._cues) and self._cues[end].at < until:
            end += 1
        taken, self._taken = self._cues[self._taken : end], end
        return taken

    def take_blocks(self, until: int) -> list[BlendshapeBlock]:
        """Blendshape blocks that begin before sample `until` and were not taken yet."""
        count = sum(1 for block in self._blocks if block.start < until)
        taken, self._blocks = self._blocks[:count], self._blocks[count:]
        return taken

    def ledger_words(self, since: int) -> list[LedgerWord]:
        return [LedgerWord(word.text, word.at, word.until) for word in self.words[since:]]

    def ledger_actions(self, since: int) -> list[LedgerAction]:
        return [LedgerAction(action.call_id, action.name, action.at) for action in self.actions[since:]]

    def ledger_data(self) -> dict[str, Any]:
        """Words and actions with their samples: what the heard ledger judges by."""
        return {
            "words": [[word.text, word.at, word.until] for word in self.words],
            "actions": [[action.call_id, action.name, action.at] for action in self.actions],
        }

    # -- inside --------------------------------------------------------------------------------------------------------

    def _note(self, operation: str, data: Callable[[], dict[str, Any]]) -> None:
        if self.journal is not None:
            self.journal(operation, data())

    def _open(self) -> Clause:
        if self._clause is None:
            raise ValueError("no clause is open: begin() comes before push() and end()")
        return self._clause

    def _place_action(self, call_id: str, name: str, arguments: Mapping[str, Any], at: int) -> None:
        text = json.dumps(dict(arguments), sort_keys=True)
        self.actions.append(PlacedAction(call_id, name, text, at))
        self._cues.append(Cue.model_construct(kind="action", name=name, at=at, call_id=call_id))

    def _sort(self) -> None:
        # Only what has not left yet moves; a stable sort keeps word before viseme at the same sample.
        self._cues[self._taken :] = sorted(self._cues[self._taken :], key=lambda cue: cue.at)


def _complete(heard: dict[int, Span], written: Sequence[str], start: int, end: int) -> list[Span]:
    """A span for every written word: those the engine timed, and between them shares by letters.

    Ends never decrease, so that hearing is a prefix.
    """
    spans: list[Span] = []
    index = 0
    while index < len(written):
        if index in heard:
            floor = spans[-1].end if spans else start
            span = heard[index]
            spans.append(Span(max(floor, span.start), max(floor, span.end, span.start)))
            index += 1
            continue
        stop = index
        while stop < len(written) and stop not in heard:
            stop += 1
        left = spans[-1].end if spans else start
        right = max(left, heard[stop].start if stop in heard else end)
        spans.extend(_shares(written[index:stop], left, right))
        index = stop
    return spans


def _shares(words: Sequence[str], left: int, right: int) -> Iterable[Span]:
    total, at = sum(len(word) + 1 for word in words), 0
    for word in words:
        begin = left + (right - left) * at // total
        at += len(word) + 1
        yield Span(begin, left + (right - left) * at // total)


def _face_data(update: FaceUpdate) -> dict[str, Any]:
    """A face update as JSON; of the blendshapes, their place and a digest."""
    block = update.blendshapes
    return {
        "visemes": [asdict(viseme) for viseme in update.visemes],
        "body": [asdict(body) for body in update.body],
        "block": None
        if block is None
        else {
            "start": block.start,
            "samples_per_frame": block.samples_per_frame,
            "frames": len(block.frames),
            "sha256": hashlib.sha256(block.frames.tobytes()).hexdigest(),
        },
    }


def loudness_db(pcm: Pcm16) -> float:
    """Level of a piece of sound in dB of full scale; -100 for none."""
    if not pcm.size:
        return -100.0
    power = float(np.mean(np.square(pcm.astype(np.float64)))) / 32768.0**2
    return 10.0 * float(np.log10(max(power, 1e-10)))


def _unit(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 4)


def _signed(value: float) -> float:
    return round(min(1.0, max(-1.0, value)), 4)
