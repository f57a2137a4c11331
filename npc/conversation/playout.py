"""Delivers one committed reply: transcript, cues, blendshapes and audio in the right order, paced, paused or flushed.

    score ready  ─────────────────▶
    sent         ───────────▶            every piece: transcript · citations · cues · blendshapes · actions · audio
    sounding     ─────▶ lead ◀┘
                   ▲ pause: stands still · resume: the same sample · flush: what was heard is final

The playout is a task of the session. It decides nothing: it does what the session tells it and reports `audible`,
`progress` and `over` through `on_event`.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import samples_in
from npc.conversation.ledger import HeardLedger
from npc.conversation.pacing import Pacer
from npc.conversation.port import AudioOut, BlendshapesOut, Outbox
from npc.conversation.reply import Reply
from npc.conversation.response import Reason, ResponseWriter, Status
from npc.conversation.speculation import words_of
from npc.protocol import Cue, Cues, NpcCitations, NpcCues, NpcOutput

#: Cues leave at least so far ahead of the audio they belong to, ms: clients on a slow frame still have them in time.
CUES_AHEAD_MS = 120
#: ... and then for so long at once, ms: a few messages a second instead of one with every piece of audio.
CUES_BATCH_MS = 240
#: Fades of pause, resume and flush, ms: shorter clicks, longer is heard as trailing on.
FADE_MS = 20
#: A client that reports playback gets this long after the estimated end to say "finished", seconds.
REPORT_GRACE = 1.0
#: Our own words may come back through the microphone this long after they were said.
ECHO_SECONDS = 4
#: While the socket is away the reply shows this often that it is waiting and not stalled, seconds.
STILL_ALIVE = 2.0
#: "finish" temperament: a clause that has more than this to go is not worth finishing, seconds.
LONGEST_LAST_CLAUSE = 1.5

Happening = Literal["audible", "progress", "over"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How this client gets its output. `reports`: it has opted in, so it obeys `npc.output` and reports playback."""

    reports: bool
    lead_ms: int
    character: str
    cues: Cues = field(default_factory=Cues)
    track: int = 0


class Playout:
    """One reply on its way out. All methods are called from the session's task; `run` is a task of its own."""

    def __init__(
        self,
        reply: Reply,
        writer: ResponseWriter,
        delivery: Delivery,
        outbox: Outbox,
        clock: Callable[[], float],
        on_event: Callable[[Playout, Happening], None],
    ) -> None:
        self.reply, self.writer = reply, writer
        self._delivery, self._outbox, self._clock = delivery, outbox, clock
        self._on_event = on_event
        self._score = reply.score
        rate = self._score.rate
        self.pacer = Pacer(rate, samples_in(delivery.lead_ms, rate))
        self.ledger = HeardLedger(rate)
        self._wake = reply.changed
        self._clauses_told = 0
        self._cues_until = 0
        self._sounded = 0
        self._words_entered = 0
        self._actions_entered = 0
        self._actions_begun = 0
        self._held = False
        self._detached = False
        self._stop_at: int | None = None
        self._stopped = False
        self._paused_report: int | None = None
        self._client_finished = False
        self.outcome: tuple[Status, Reason | None] | None = None

    # -- told by the session -------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """A voice was heard: stand still until `resume` or `flush`."""
        if self._held or self._stopped:
            return
        self._held, self._paused_report = True, None
        if self._delivery.reports:
            self._send_output("pause", self.pacer.pause(self._clock()))
        self._wake.set()

    def resume(self) -> None:
        """False alarm: on from the sample at which it stopped."""
        if not self._held or self._stopped:
            return
        self._held = False
        if self._delivery.reports:
            self._send_output("resume", self.pacer.resume(self._clock(), self._paused_report))
        self._wake.set()

    def flush(self, reason: Reason, finish_clause: bool = False) -> None:
        """Stop: now, or at the end of the clause that is being said where the character insists on that."""
        if self._stopped:
            return
        if finish_clause and (end := self._clause_end()) is not None:
            self._stop_at = end
            self.resume()
            return
        self._stopped = True
        at = self.pacer.playing(self._clock())
        if self._delivery.reports:
            self._send_output("flush", at)
        self.outcome = self.outcome or ("cancelled", reason)
        self.writer.close("cancelled", reason)
        self._wake.set()

    def attach(self, connected: bool) -> None:
        """The socket went or came back: nothing is sent to nobody, and the client's clock stands still meanwhile."""
        if connected == (not self._detached):
            return
        self._detached = not connected
        if self._held:
            return
        if connected:
            self.pacer.resume(self._clock(), self.ledger.reported)
        else:
            self.pacer.pause(self._clock())
        self._wake.set()

    def report(self, played: int, state: str) -> None:
        """`npc.playback` of this item."""
        self.ledger.report(played)
        if self._held and state != "finished":
            self._paused_report = self.ledger.reported
        if state == "finished" and self._all_sent():
            self._client_finished = self.ledger.finished = not self._stopped
        self._wake.set()

    @property
    def heard_out(self) -> bool:
        """The client has told that all of it was heard; there is nothing left to stop."""
        return self._client_finished

    def truncate(self, audio_end_ms: int) -> None:
        """`conversation.item.truncate` of this item; ValueError beyond what was sent."""
        self.ledger.truncate(audio_end_ms)

    def sounding(self) -> NDArray[np.int16]:
        """What has begun to sound at the client since the last call, by the pacer's estimate: nothing while paused."""
        start, self._sounded = self._sounded, max(self._sounded, self.pacer.playing(self._clock()))
        return self._score.read(start, self._sounded - start)

    def says(self, words: Sequence[str]) -> bool:
        """Whether these words are what is being said now: two or more of them, mostly the same, in the same order."""
        rate = self.pacer.rate
        around = self.pacer.playing(self._clock())
        near = [
            w.text for w in self.ledger.words if around - ECHO_SECONDS * rate < w.until and w.at < around + rate // 2
        ]
        ours = words_of(" ".join(near))
        same = SequenceMatcher(None, words, ours, autojunk=False)
        matched = sum(block.size for block in same.get_matching_blocks())
        return matched >= 2 and 2 * matched >= len(words)

    @property
    def clauses_told(self) -> int:
        """Clauses whose text was sent."""
        return self._clauses_told

    def announced_calls(self) -> list[str]:
        """Ids of the actions whose function call was sent."""
        return [action.call_id for action in self._score.actions[: self._actions_begun]]

    # -- its task ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until everything was played, or until flushed."""
        self.writer.created()
        while not self._stopped and not self._delivered():
            if self._held or self._detached:
                await self._stand_still()
                continue
            if not self._advance():
                await self._sleep(self.pacer.due() if self._sendable() else None)
        if self._stopped:
            return
        self._conclude()
        await self._play_out()
        if not self._stopped:
            self._stopped = True
            self._on_event(self, "over")

    def _advance(self) -> bool:
        """Send what is due; whether there was anything."""
        self._enter()
        now = self._clock()
        due = self.pacer.due()
        ready = self._ready()
        if self.reply.text_only and ready <= self.pacer.sent:
            # No sound, or none any more: what is left is told as text at once.
            return self._tell(self._score.length + 1)
        if ready <= self.pacer.sent or (due is not None and now < due):
            return False
        start = self.pacer.sent
        until = min(ready, start + self.pacer.piece)
        first = self.pacer.origin is None
        self._tell(until)
        self._send_cues(until)
        self._begin_actions(until)
        self.pacer.send(until - start, now)
        self.ledger.sent = self.pacer.sent
        last = self._all_made() and until >= self._end()
        audio = AudioOut(
            self.writer.response_id,
            self.writer.item_id,
            self.writer.ordinal,
            self._delivery.track,
            start,
            self._score.read(start, until - start),
            last,
        )
        self._outbox.send(audio)
        self.reply.marks.first("first_sent", now)
        self.reply.playback(self.pacer.playing(now))
        self._on_event(self, "audible" if first else "progress")
        return True

    def _tell(self, until: int) -> bool:
        """Transcript and citations of every clause that begins before sample `until`."""
        told = False
        while self._clauses_told < len(self._score.clause_ends):
            begin = self._score.clause_ends[self._clauses_told - 1] if self._clauses_told else 0
            if begin >= until:
                break
            clause = self.reply.made[self._clauses_told]
            words = sum(len(earlier.text.split()) for earlier in self.reply.made[: self._clauses_told])
            self.writer.said(clause.text)
            if self._delivery.reports and clause.citations:
                inside = range(words, words + len(clause.text.split()))
                cited = [c for c in self._score.citations if c.word_start in inside]
                self._outbox.send(NpcCitations(citations=cited, **self._place(clause.by)))
            if self.reply.text_only:
                self._begin_actions(self._score.length + 1)
            self._clauses_told += 1
            told = True
        if told and self.reply.text_only:
            self.reply.marks.first("first_sent", self._clock())
            self._on_event(self, "progress")
        return told

    def _send_cues(self, until: int) -> None:
        least = until + samples_in(CUES_AHEAD_MS, self.pacer.rate)
        if least <= self._cues_until:
            return
        ahead = self._cues_until = least + samples_in(CUES_BATCH_MS, self.pacer.rate)
        cues = [cue for cue in self._score.take(ahead) if _wanted(cue, self._delivery.cues)]
        blocks = self._score.take_blocks(ahead)
        if not self._delivery.reports:
            return
        for by, theirs in itertools.groupby(cues, key=lambda cue: self._speaking(cue.at)):
            self._outbox.send(NpcCues(clock="output", cues=list(theirs), **self._place(by)))
        if self._delivery.cues.blendshapes == "arkit52":
            for block in blocks:
                self._outbox.send(
                    BlendshapesOut(
                        self.writer.response_id,
                        self.writer.item_id,
                        self.writer.ordinal,
                        self._delivery.track,
                        block.start,
                        block.samples_per_frame,
                        block.frames,
                    )
                )

    def _begin_actions(self, until: int) -> None:
        while self._actions_begun < len(self._score.actions):
            action = self._score.actions[self._actions_begun]
            if action.at >= until and not (self._all_made() and until >= self._end()):
                break
            self.writer.action(action)
            self._actions_begun += 1

    def _conclude(self) -> None:
        """Everything was sent: close the response, with what became of it."""
        failure = self.reply.failure
        status: Status = "completed"
        reason: Reason | None = None
        if self._stop_at is not None:
            status, reason = "cancelled", "turn_detected"
        elif failure is not None:
            status = "incomplete" if self._score.text else "failed"
        else:
            self._tell(self._score.length + 1)
            self._begin_actions(self._score.length + 1)
        if self._stop_at is None:
            # What decays after the last sound (the face, a gaze) is sent with it.
            self._send_cues(self._score.length + self.pacer.rate * 10)
        self.outcome = (status, reason)
        self.writer.close(status, reason, str(failure) if failure is not None else None)

    async def _play_out(self) -> None:
        """Wait until the client has played what it has."""
        while not self._stopped and self._end() > 0 and not self._client_finished:
            now = self._clock()
            grace = REPORT_GRACE if self.ledger.reported is not None else 0.0
            ends = self.pacer.ends() + grace
            if not self._held and not self._detached and now >= ends:
                break
            if self._held or self._detached:
                await self._stand_still()
                continue
            await self._sleep(ends)
            self._on_event(self, "progress")
        self.ledger.finished = not self._stopped

    # -- small questions -----------------------------------------------------------------------------------------------

    def _end(self) -> int:
        """The sample at which this delivery ends."""
        return self._score.length if self._stop_at is None else min(self._stop_at, self._score.length)

    def _all_made(self) -> bool:
        return self._score.finished or (self._stop_at is not None and self._score.ready >= self._stop_at)

    def _all_sent(self) -> bool:
        return self._all_made() and self.pacer.sent >= self._end()

    def _ready(self) -> int:
        return min(self._score.ready, self._end())

    def _sendable(self) -> bool:
        return self._ready() > self.pacer.sent

    def _delivered(self) -> bool:
        self._enter()
        text_left = self.reply.text_only and self._clauses_told < len(self._score.clause_ends)
        return self._all_sent() and not text_left

    def _enter(self) -> None:
        """Words and actions that were placed since go into the ledger."""
        words = self._score.ledger_words(self._words_entered)
        actions = self._score.ledger_actions(self._actions_entered)
        self._words_entered += len(words)
        self._actions_entered += len(actions)
        self.ledger.add(words, actions)

    def _clause_end(self) -> int | None:
        """End of the clause at the sending edge, where it is near enough to be finished."""
        limit = self.pacer.sent + LONGEST_LAST_CLAUSE * self.pacer.rate
        return next((end for end in self._score.clause_ends if self.pacer.sent <= end <= limit), None)

    def _speaking(self, at: int) -> str:
        """Whose clause sounds at a sample, or has sounded last: "" for the session's own character."""
        made = self.reply.made
        return made[min(bisect.bisect_right(self._score.clause_ends, at), len(made) - 1)].by if made else ""

    def _place(self, by: str = "") -> dict[str, Any]:
        """`by`: the further character that this is about."""
        return {
            "character": by or self._delivery.character,
            "response_id": self.writer.response_id,
            "item_id": self.writer.item_id,
        }

    def _send_output(self, action: Literal["pause", "resume", "flush"], at: int) -> None:
        self._outbox.send(NpcOutput(action=action, at_sample=at, fade_ms=FADE_MS, **self._place()))

    async def _stand_still(self) -> None:
        """Wait for a change. A socket that is gone for a while is no stalled reply."""
        await self._sleep(self._clock() + STILL_ALIVE if self._detached else None)
        if self._detached:
            self._on_event(self, "progress")

    async def _sleep(self, until: float | None) -> None:
        """Until that session time, or until something changed."""
        self._wake.clear()
        timeout = None if until is None else max(0.0, until - self._clock())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)


def _wanted(cue: Cue, wish: Cues) -> bool:
    match cue.kind:
        case "viseme":
            return wish.visemes != "none"
        case "word":
            return wish.words
        case "gesture" | "head" | "breath" | "backchannel":
            return wish.gestures
        case "gaze" | "blink":
            return wish.gaze
        case "emotion":
            return wish.emotion
        case "action":
            return True
