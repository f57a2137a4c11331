"""The answering half of a session: drafts before the turn is over, the reply after it, and what was heard of it.

draft(text) ─▶ Reply behind its gate ──────────┐ same words
answer(turn) ──────────────────────────────────┴▶ Playout ─▶ client
                 not drafted: Reply made now ──┘      │ over, flushed
                                                      ▼
                               HeardLedger ─▶ Mind.commit, items, log      (the only writer of what was said)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from npc.conversation.engines import Engines
from npc.conversation.outcome import Asked, Outcome, answer_in, heard_of
from npc.conversation.playout import Delivery, Happening, Playout
from npc.conversation.port import Outbox
from npc.conversation.reply import Filler, Reply, Stage
from npc.conversation.response import Reason, ResponseWriter
from npc.conversation.speculation import MOST_DRAFTS, Draft, SpeculationLedger, waterfall
from npc.dialogue.interface import Clause, HeardReply, Mind, PlayerTurn
from npc.protocol import Cues, Item, Session

#: A flushed client gets this long to say how much it played (or to truncate), seconds.
LAST_REPORT = 0.4
#: Writing history may take this long before the talk goes on without it, seconds.
COMMIT_DEADLINE = 5.0


class Host(Protocol):
    """What answering needs of its session."""

    engines: Engines
    outbox: Outbox
    recording: bool
    session: Session
    """The effective one."""

    def clock(self) -> float: ...
    def new_id(self, prefix: str) -> str: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...
    def add_item(self, item: Item) -> str | None: ...
    def record(self, kind: str, data: Mapping[str, Any]) -> None: ...
    def on_playout(self, happening: Happening) -> None: ...
    def on_committed(self) -> None:
        """What was heard of a turn's answer is in the mind."""

    def on_answered(self, answers: tuple[str, ...]) -> None:
        """Something was heard of the answer to these."""

    def on_outcome(self, outcome: Outcome) -> bool:
        """Take an outcome; False leaves the turn unanswered (nothing of the reply was heard, the player goes on)."""


@dataclass
class _Live:
    """The reply being delivered."""

    asked: Asked
    playout: Playout
    speculation: SpeculationLedger
    task: asyncio.Task[None]
    maker: asyncio.Task[None]
    concluded: bool = False
    answered: bool = False
    reported: asyncio.Event = field(default_factory=asyncio.Event)


class Answering:
    """Owned by the session's task."""

    def __init__(self, host: Host, mind: Mind) -> None:
        self._host, self.mind = host, mind
        self._lane = host.engines.workers.lane("tts")
        self._draft: tuple[Draft, asyncio.Task[None]] | None = None
        self._speculation = SpeculationLedger()
        self._live: _Live | None = None
        self._newest = Asked(None, 0.0)
        self._by_item: dict[str, _Live] = {}
        self._ordinal = 0
        self.just_truncated = False
        """Whether a truncation ended the last reply: the cancel that some SDKs send behind it finds nothing to do."""
        self._commits: set[asyncio.Task[None]] = set()
        self._connected = True
        self._failed_mind: Exception | None = None

    # -- before the turn is over ---------------------------------------------------------------------------------------

    def draft(self, turn: PlayerTurn) -> None:
        """Make a reply to `turn` ahead of time, unless one for the same words is being made."""
        if self._draft is not None and self._draft[0].answers(turn.text):
            return
        self.drop_draft()
        if not turn.text or self._speculation.drafts >= MOST_DRAFTS:
            return
        self._speculation.drafts += 1
        reply = self._reply(Asked(replace(turn, tentative=True), self._host.clock()))
        task = self._host.spawn(reply.run())
        self._draft = Draft(turn.text, reply, self._host.clock()), task

    def drop_draft(self) -> None:
        """The player went on."""
        if self._draft is not None:
            draft, task = self._draft
            self._speculation.discard(draft, self._host.clock())
            task.cancel()
            self._draft = None

    # -- the answer ----------------------------------------------------------------------------------------------------

    @property
    def active(self) -> Playout | None:
        """The reply that is being made, sent or played, if any."""
        return None if self._live is None else self._live.playout

    def answer(self, asked: Asked) -> None:
        """Deliver an answer: the draft where it fits, else a reply made now. What was being said is cut off."""
        self.cancel("turn_detected")
        self.just_truncated = False
        reply, maker = self._take_draft(asked)
        if reply is None or maker is None:
            reply = self._reply(asked)
            maker = self._host.spawn(reply.run())
        speculation, self._speculation = self._speculation, SpeculationLedger()
        self._ordinal += 1
        session = self._host.session
        writer = ResponseWriter(
            self._host.outbox.send,
            self._host.add_item,
            session,
            self._host.new_id("resp"),
            self._host.new_id("item"),
            self._ordinal,
            self._host.engines.character_id,
            reply.text_only,
            asked.metadata,
        )
        npc = session.npc
        delivery = Delivery(
            reports=npc is not None,
            lead_ms=npc.transport.lead_ms if npc else 200,
            character=self._host.engines.character_id,
            cues=npc.cues if npc else Cues(),
        )
        playout = Playout(reply, writer, delivery, self._host.outbox, self._host.clock, self._happened)
        playout.attach(self._connected)
        reply.commit()
        begun = {
            "response_id": writer.response_id,
            "item_id": writer.item_id,
            "rate": playout.pacer.rate,
            "animated": reply.score.animated,
            "turn": None if asked.turn is None else asdict(asked.turn),
        }
        self._host.record("response.begun", begun)
        response_id = writer.response_id
        if self._host.recording:
            reply.record_to(
                lambda operation, data: self._host.record(
                    "score", {"response_id": response_id, "operation": operation, **data}
                )
            )
        task = self._host.spawn(playout.run())
        self._live, self._newest = _Live(asked, playout, speculation, task, maker), asked
        self._by_item[writer.item_id] = self._live
        while len(self._by_item) > 32:
            del self._by_item[next(iter(self._by_item))]

    def _take_draft(self, asked: Asked) -> tuple[Reply | None, asyncio.Task[None] | None]:
        if self._draft is None:
            return None, None
        draft, task = self._draft
        fits = asked.turn is not None and asked.line is None and draft.answers(asked.turn.text)
        if not fits or draft.reply.failure is not None or asked.text_only is not None:
            self.drop_draft()
            return None, None
        self._speculation.commit(draft, asked.decided)
        self._draft = None
        # Not in the Mind's contract: what a mind cannot think ahead it need not be told.
        decided = getattr(self.mind, "decided", None)
        if decided is not None:
            decided()
        return draft.reply, task

    def pause(self) -> None:
        if self._live is not None:
            self._live.playout.pause()

    def resume(self) -> None:
        if self._live is not None:
            self._live.playout.resume()

    def cancel(self, reason: Reason, finish_clause: bool = False) -> None:
        """Stop the reply, now or at the end of its clause. Everything it started ends with it, nothing else."""
        live = self._live
        if live is None:
            return
        if live.playout.heard_out:
            # The report of its end came in the same breath as what would cut it: it was no interruption.
            self._conclude(live, flushed=False)
            return
        live.playout.flush(reason, finish_clause)
        if live.playout.outcome is not None:
            live.maker.cancel()
            self._conclude(live, flushed=True)

    def attach(self, connected: bool) -> None:
        self._connected = connected
        if self._live is not None:
            self._live.playout.attach(connected)

    def report(self, item_id: str, played: int, state: str) -> None:
        """`npc.playback`. Reports of items long gone are late, not wrong."""
        live = self._by_item.get(item_id)
        if live is not None:
            live.playout.report(played, state)
            if state != "playing":
                live.reported.set()

    def truncate(self, item_id: str, audio_end_ms: int) -> bool:
        """`conversation.item.truncate`; False when it is no reply of this session, ValueError beyond the audio."""
        live = self._by_item.get(item_id)
        if live is None:
            return False
        live.playout.truncate(audio_end_ms)
        if live is self._live:
            self.cancel("client_cancelled")
            self.just_truncated = True
        live.reported.set()
        return True

    async def settled(self) -> None:
        """What was heard of earlier replies is in the mind."""
        if self._commits:
            await asyncio.wait(tuple(self._commits), timeout=COMMIT_DEADLINE)

    async def close(self) -> None:
        """End the reply and write what was heard."""
        self.drop_draft()
        self.cancel("client_cancelled")
        await self.settled()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.mind.close(), COMMIT_DEADLINE)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _reply(self, asked: Asked) -> Reply:
        session = self._host.session
        engines = self._host.engines
        text_only = asked.text_only if asked.text_only is not None else "audio" not in session.output_modalities
        npc = session.npc
        stage = Stage(
            rate=session.audio.output.format.rate,
            lane=self._lane,
            speaker=None if text_only else engines.speaker,
            others=engines.others,
            animator=engines.animator if npc is not None else None,
            fps=npc.cues.fps if npc is not None else 60,
            seed=engines.seed + self._ordinal + 1,
            speed=session.audio.output.speed,
        )
        previous = self._draft[1] if self._draft is not None else None
        filler = self._filler() if asked.turn is not None and asked.line is None else None
        return Reply(lambda: self._clauses(asked, previous), stage, self._host.clock, self._host.recording, filler)

    def _filler(self) -> Filler | None:
        """The next of the character's fillers, in the mood that it is in."""
        engines = self._host.engines
        if not engines.fillers or engines.filler_after <= 0:
            return None
        words = engines.fillers[self._ordinal % len(engines.fillers)]
        return Filler(Clause(words, self.mind.state().affect, filler=True), engines.filler_after)

    async def _clauses(self, asked: Asked, previous: asyncio.Task[None] | None) -> AsyncIterator[Clause]:
        """The mind's answer, once what was heard before is in its history and an older draft is really gone."""
        if previous is not None:
            await asyncio.wait({previous})
        await self.settled()
        if asked.line is not None:
            for clause in asked.line:
                yield clause
            return
        said = False
        turn = asked.turn
        clauses = self.mind.greet() if turn is None else self.mind.respond(turn)
        try:
            async for clause in clauses:
                said = True
                yield clause
        except Exception as error:
            self._host.record("mind.failed", {"error": str(error)})
            if said:
                raise
            self._failed_mind = error
            yield Clause(self._host.engines.lines["lost_thread"])
        finally:
            close = getattr(clauses, "aclose", None)
            if close is not None:
                await close()

    def _mind_speculation(self) -> Mapping[str, float]:
        speculation = getattr(self.mind, "speculation", None)
        return {} if speculation is None else speculation()

    def _happened(self, playout: Playout, happening: Happening) -> None:
        live = self._live
        if live is None or live.playout is not playout:
            return
        if happening == "over":
            self._conclude(live, flushed=False)
        self._host.on_playout(happening)

    def _conclude(self, live: _Live, flushed: bool) -> None:
        if live.concluded:
            return
        live.concluded = True
        if self._live is live:
            self._live = None
        live.reported.clear()
        live.answered = not flushed or bool(answer_in(heard_of(live.playout)[0], live.playout.reply.made))
        if live.answered:
            # At once: the next turn may be asked before the client has told how far exactly it came.
            self._host.on_answered(live.asked.answers)
        task = self._host.spawn(self._commit(live, flushed))
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)

    async def _commit(self, live: _Live, flushed: bool) -> None:
        """Write what was heard, once: to the items, the log and the mind."""
        playout, turn = live.playout, live.asked.turn
        if flushed and playout.ledger.sent > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(live.reported.wait(), LAST_REPORT)
        outcome = self._outcome(live, flushed)
        self._host.record(
            "response.ended",
            {
                "response_id": outcome.response_id,
                "item_id": outcome.item_id,
                "status": outcome.status,
                "text": outcome.text,
                "heard": outcome.heard,
                "played": outcome.played,
                "sent": playout.ledger.sent,
                "reported": playout.ledger.reported,
                "truncated": playout.ledger.truncated,
                "lead": playout.pacer.lead,
                "finished": playout.ledger.finished,
                "text_only": playout.reply.text_only,
                **playout.reply.score.ledger_data(),
            },
        )
        if not self._host.on_outcome(outcome):
            return
        heard = HeardReply(
            turn_id=turn.turn_id if turn else "",
            response_id=outcome.response_id,
            text=outcome.answer_heard,
            interrupted=outcome.interrupted,
            actions_done=tuple(action.call_id for action in outcome.begun),
            actions_cancelled=tuple(action.call_id for action in outcome.cancelled),
        )
        try:
            await asyncio.wait_for(self.mind.commit(turn, heard), COMMIT_DEADLINE)
        except Exception as error:
            self._host.record("mind.failed", {"error": f"commit: {error}"})
        self._host.on_committed()

    def _outcome(self, live: _Live, flushed: bool) -> Outcome:
        playout, reply = live.playout, live.playout.reply
        heard, played = heard_of(playout)
        whole = " ".join(word.text for word in playout.ledger.words)
        if reply.text_only and playout.ledger.sent == 0 and flushed:
            whole = heard
        begun, waiting = playout.ledger.split_actions(played)
        status, _ = playout.outcome or ("cancelled", None)
        failed, self._failed_mind = self._failed_mind, None
        asked = live.asked
        return Outcome(
            response_id=playout.writer.response_id,
            item_id=playout.writer.item_id,
            turn=asked.turn,
            text=whole,
            heard=heard,
            answer_heard=answer_in(heard, reply.made),
            played=played,
            rate=playout.pacer.rate,
            status=status,
            interrupted=flushed or status == "cancelled",
            text_only=reply.text_only,
            begun=begun,
            cancelled=waiting if flushed or status == "cancelled" else (),
            undone=frozenset(playout.announced_calls()),
            stages=waterfall(
                asked.voice_ended,
                asked.decided,
                reply.marks.at,
                asked.decided if asked.transcribed is None else asked.transcribed,
            ),
            speculation={**live.speculation.figures(), **self._mind_speculation()},
            answers=asked.answers,
            answered=live.answered,
            asked_again=asked is not self._newest and set(asked.answers) <= set(self._newest.answers),
            mind_failed=failed or reply.failure,
            voice_failed=reply.voice_failure,
        )
