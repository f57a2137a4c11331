"""The turn core: who has the floor. Pure: `step(turn, event, now) -> (turn, effects)`.

                          voice, text, commit
      ┌───────────┐ ─────────────────────────────▶ ┌───────────────┐   turn over    ┌──────────┐
      │ LISTENING │                                │ USER_SPEAKING │ ─────────────▶ │ THINKING │
      └───────────┘ ◀──────────── nothing said ─── └───────────────┘ ◀── resumed ── └──────────┘
        ▲       ▲                                      ▲                                 │ first sound
        │       │ reply finished                       │ interrupt                       ▼
        │       │            ┌─────────────────────────┴──┐     voice onset        ┌──────────┐
        │       └────────────│      MAYBE_INTERRUPTED     │ ◀───────────────────── │ SPEAKING │
        │                    │ (output paused, not heard) │ ─────────────────────▶ └──────────┘
        │                    └────────────────────────────┘  false alarm: resume         │
        └────────────────────────────────────────────────────────────────────────────────┘ reply finished

Two clocks meet here. Positions in the player's sound (`at`, `heard`, `until`) are samples at 16 kHz of the session's
input, so a late network never cuts a player off. `now` is the session's clock in seconds and serves the watchdogs
alone: every state but LISTENING has one, so no lost event leaves a session silent for good.

`speech_started` of the base protocol goes out at voice onset while nothing is audible; while a reply is audible only
once the overlap is decided to be an interruption, with the true onset (stock clients drop their playback on it).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from npc.audio.clock import LISTEN_RATE
from npc.conversation import overlap as overlaps
from npc.conversation.overlap import Overlap, Verdict
from npc.conversation.turn_events import (
    CancelReply,
    Committed,
    Draft,
    DropDraft,
    DropUtterance,
    Effect,
    EndTurn,
    Entered,
    Event,
    Heard,
    Judged,
    NothingSaid,
    OpenUtterance,
    PauseReply,
    ReplyAudible,
    ReplyOver,
    ReplyProgress,
    ResumeReply,
    Rules,
    SpeechStarted,
    SpeechStopped,
    State,
    Tick,
    Typed,
    VoiceStarted,
    VoiceStopped,
    Words,
)

#: Watchdogs, seconds. A paused reply goes on after this even when no sound arrives to decide by (a lost microphone).
PAUSED_AT_MOST = 1.2
#: Silence, in samples, that ends a turn nobody judged.
UNJUDGED = 2 * LISTEN_RATE
#: Sound stopped arriving in mid-turn: the turn ends.
SOUND_LOST = 2.5
#: A mind that has not made a sound: the session says so and listens again.
THINK_AT_MOST = 20.0
#: A reply that is neither finished nor making progress.
STALLED = 8.0
#: A voice counts as our own echo from this probability on (`overlap.OWN_VOICE` while deciding).
OWN_VOICE = overlaps.OWN_VOICE
#: Drafting a reply starts when the detector believes this much in the end of the turn...
DRAFT_FROM = 0.25
#: ...or when this little of the wait is left.
DRAFT_AHEAD = LISTEN_RATE * 350 // 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything the core remembers. `since` is the session time of the last sign of life in this state."""

    rules: Rules = Rules()
    state: State = State.LISTENING
    since: float = 0.0
    voice: bool = False
    voice_start: int | None = None
    heard: int = 0
    utterance: int | None = None
    voice_end: int = 0
    until: int | None = None
    drafted: bool = False
    overlap: Overlap | None = None
    own_sum: float = 0.0
    own_frames: int = 0
    dismissed: Overlap | None = None
    """The last overlap that was taken for a false alarm, while the reply that it paused goes on."""


def wake(turn: Turn) -> float | None:
    """Session time at which a `Tick` is due, or None."""
    limit = {
        State.LISTENING: None,
        State.USER_SPEAKING: SOUND_LOST if turn.rules.hands_free else None,
        State.THINKING: THINK_AT_MOST,
        State.SPEAKING: STALLED,
        State.MAYBE_INTERRUPTED: PAUSED_AT_MOST,
    }[turn.state]
    return None if limit is None else turn.since + limit


def step(turn: Turn, event: Event, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    """Take one event at session time `now` (seconds)."""
    turn = _sense(turn, event)
    match turn.state:
        case State.LISTENING:
            return _listening(turn, event, now)
        case State.USER_SPEAKING:
            return _user_speaking(turn, event, now)
        case State.THINKING:
            return _thinking(turn, event, now)
        case State.SPEAKING:
            return _speaking(turn, event, now)
        case State.MAYBE_INTERRUPTED:
            return _maybe_interrupted(turn, event, now)


def _sense(turn: Turn, event: Event) -> Turn:
    """Physical facts, the same in every state: is there voice, how far did we hear."""
    match event:
        case VoiceStarted(at, heard, own):
            start = at if own < OWN_VOICE else None
            end = max(at, turn.voice_end)
            return replace(turn, voice=True, voice_start=start, voice_end=end, heard=max(heard, turn.heard))
        case VoiceStopped(at, heard):
            return replace(turn, voice=False, voice_end=max(at, turn.voice_end), heard=max(heard, turn.heard))
        case Heard(heard=heard) | Committed(heard=heard):
            return replace(turn, heard=max(heard, turn.heard))
        case _:
            return turn


def _enter(turn: Turn, state: State, now: float) -> tuple[Turn, Entered]:
    return replace(turn, state=state, since=now), Entered(state.value, turn.heard)


def _begin_turn(turn: Turn, at: int, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    turn, entered = _enter(
        replace(turn, utterance=at, until=None, drafted=False, overlap=None), State.USER_SPEAKING, now
    )
    return turn, (OpenUtterance(at), SpeechStarted(at), entered)


def _answer_typed(turn: Turn, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    turn, entered = _enter(replace(turn, until=None, drafted=False, overlap=None), State.THINKING, now)
    return turn, (entered,)


def _rest(turn: Turn, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    """Back to listening; a voice that is still sounding begins a turn of its own."""
    turn, entered = _enter(replace(turn, utterance=None, until=None, drafted=False, overlap=None), State.LISTENING, now)
    return turn, (entered,)


def _listening(turn: Turn, event: Event, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    match event:
        case VoiceStarted(at, _, own) if turn.rules.hands_free and own < OWN_VOICE:
            return _begin_turn(turn, at, now)
        case Heard(own_voice=own) if (
            turn.voice and turn.rules.hands_free and own < OWN_VOICE and turn.utterance is None
        ):
            # The gate opened on our echo, or over a reply that could not be interrupted, and the player talks on.
            return _begin_turn(turn, turn.heard if turn.voice_start is None else turn.voice_start, now)
        case Committed(heard):
            start = turn.utterance or 0
            turn, entered = _enter(replace(turn, utterance=None), State.THINKING, now)
            return turn, (SpeechStopped(heard), EndTurn(start, heard, False), entered)
        case Typed():
            return _answer_typed(turn, now)
        case ReplyAudible():
            turn, entered = _enter(turn, State.SPEAKING, now)
            return turn, (entered,)
        case _:
            return turn, ()


def _user_speaking(turn: Turn, event: Event, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    match event:
        case VoiceStarted() | VoiceStopped() | Heard():
            turn = replace(turn, since=now)
    match event:
        case VoiceStarted():
            dropped: tuple[Effect, ...] = (DropDraft(),) if turn.drafted else ()
            return replace(turn, until=None, drafted=False), dropped
        case Judged(until, complete) if not turn.voice and turn.rules.hands_free:
            return _draft_and_end(replace(turn, until=until), complete >= DRAFT_FROM, now)
        case VoiceStopped() | Heard():
            return _draft_and_end(turn, False, now)
        case Committed(heard):
            return _end_turn(turn, heard, now)
        case Typed():
            return _answer_typed(replace(turn, utterance=None), now)
        case ReplyAudible():
            # A reply to a typed turn, or an event, starts while the player talks: it is up for interruption at once.
            turn, entered = _enter(turn, State.SPEAKING, now)
            return turn, (entered,)
        case Tick() if turn.rules.hands_free and now >= turn.since + SOUND_LOST:
            return _end_turn(replace(turn, voice=False), turn.voice_end, now)
        case _:
            return turn, ()


def _draft_and_end(turn: Turn, likely: bool, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    """In a pause: think ahead when its end is likely the turn's, or near anyway; end the turn when it is due."""
    drafts: tuple[Effect, ...] = ()
    waiting = None if turn.voice or turn.drafted else turn.until
    if waiting is not None and (likely or turn.voice_end + waiting - turn.heard <= DRAFT_AHEAD):
        turn = replace(turn, drafted=True)
        drafts = (Draft(turn.voice_end),)
    turn, ended = _end_if_due(turn, now)
    return turn, (*drafts, *ended)


def _end_if_due(turn: Turn, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    until = UNJUDGED if turn.until is None else turn.until
    if turn.voice or turn.heard < turn.voice_end + until:
        return turn, ()
    return _end_turn(turn, turn.voice_end, now)


def _end_turn(turn: Turn, end: int, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    start = turn.utterance if turn.utterance is not None else end
    respond = turn.rules.respond and turn.rules.hands_free
    turn, entered = _enter(replace(turn, utterance=None, until=None, drafted=False), State.THINKING, now)
    return turn, (SpeechStopped(end), EndTurn(start, max(start, end), respond), entered)


def _thinking(turn: Turn, event: Event, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    match event:
        case VoiceStarted(at, _, own) if turn.rules.hands_free and own < OWN_VOICE:
            turn, effects = _begin_turn(turn, at, now)
            return turn, (CancelReply("resumed"), *effects)
        case ReplyAudible():
            turn, entered = _enter(turn, State.SPEAKING, now)
            return turn, (entered,)
        case ReplyProgress():
            return replace(turn, since=now), ()
        case Committed(heard) if not turn.rules.hands_free:
            # Said while the answer to something earlier is made: it is written down, and answered when that is wanted.
            return replace(turn, since=now), (SpeechStopped(heard), EndTurn(heard, heard, False))
        case Typed():
            return replace(turn, since=now), (CancelReply("typed"),)
        case NothingSaid() | ReplyOver():
            return _rest(turn, now)
        case Tick() if now >= turn.since + THINK_AT_MOST:
            turn, effects = _rest(turn, now)
            return turn, (CancelReply("timeout"), *effects)
        case _:
            return turn, ()


def _speaking(turn: Turn, event: Event, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    match event:
        case VoiceStarted(at, heard, own, player) if turn.rules.hands_free and turn.utterance is None:
            return _notice(turn, at, heard, own, player, now)
        case Heard(heard=heard, own_voice=own, level=level, player=player) if (
            turn.voice and turn.rules.hands_free and turn.overlap is None and level >= overlaps.FLOOR_DB
        ):
            # The sound began as our echo or a noise, or as a backchannel that is being drawn out.
            return _notice(turn, heard, heard, own, player, now) if turn.utterance is None else (turn, ())
        case VoiceStopped() if turn.utterance is not None:
            return replace(turn, utterance=None, overlap=None), (DropUtterance(),)
        case Words() if turn.overlap is not None:
            return _weigh(_reworded(turn, turn.overlap, event), now)
        case Heard() if turn.overlap is not None:
            return _weigh(_extend(turn, turn.overlap, event), now)
        case Committed(heard):
            turn, effects = _interrupt(turn, turn.utterance if turn.utterance is not None else heard, now)
            turn, ended = _end_turn(turn, heard, now)
            return turn, (*effects, *ended)
        case Typed():
            turn, answered = _answer_typed(replace(turn, utterance=None), now)
            return turn, (CancelReply("typed"), *answered)
        case ReplyProgress():
            return replace(turn, since=now), ()
        case ReplyOver():
            return _after_reply(turn, now)
        case Tick() if now >= turn.since + STALLED:
            turn, effects = _rest(turn, now)
            return turn, (CancelReply("timeout"), *effects)
        case _:
            return turn, ()


def _notice(
    turn: Turn, at: int, heard: int, own: float, player: float | None, now: float
) -> tuple[Turn, tuple[Effect, ...]]:
    """A voice over ours: pause first, decide soon; our own echo, and what the network takes for a noise, is left
    alone unless it keeps on."""
    since = at if turn.voice_start is None else turn.voice_start
    keeps_on = overlaps.keeps_talking(heard - since, own, player)
    if not (keeps_on or overlaps.noticed(own, player)) or not turn.rules.interruptible:
        return turn, ()
    at = since if keeps_on else at
    seen = Overlap(at, heard, max(0, heard - at), heard, True, own)
    if turn.dismissed is not None:
        # "No, | that is wrong": what seemed to be over was the gap behind the first word.
        seen = overlaps.continued(turn.dismissed, seen)
    turn = replace(turn, utterance=seen.onset, overlap=seen, own_sum=own, own_frames=1, dismissed=None)
    turn, entered = _enter(turn, State.MAYBE_INTERRUPTED, now)
    return turn, (PauseReply(at), OpenUtterance(seen.onset), entered)


def _maybe_interrupted(turn: Turn, event: Event, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    seen = turn.overlap
    assert seen is not None, "MAYBE_INTERRUPTED holds an overlap"
    match event:
        case Heard():
            return _weigh(_extend(turn, seen, event), now)
        case VoiceStopped(at, _):
            end = min(max(at, seen.onset), max(seen.voice_end, seen.onset))
            stopped = replace(seen, active=False, voice_end=end, heard=turn.heard)
            return _weigh(replace(turn, overlap=replace(stopped, voiced=min(seen.voiced, at - seen.onset))), now)
        case VoiceStarted(at, heard):
            voiced = seen.voiced + max(0, heard - at)
            return _weigh(replace(turn, overlap=replace(seen, active=True, heard=turn.heard, voiced=voiced)), now)
        case Words():
            return _weigh(_reworded(turn, seen, event), now)
        case Committed(heard):
            turn, effects = _interrupt(turn, seen.onset, now)
            turn, ended = _end_turn(turn, heard, now)
            return turn, (*effects, *ended)
        case Typed():
            turn, answered = _answer_typed(replace(turn, utterance=None), now)
            return turn, (CancelReply("typed"), *answered)
        case ReplyOver():
            return _after_reply(turn, now)
        case Tick() if now >= turn.since + PAUSED_AT_MOST:
            return _false_alarm(turn, now)
        case _:
            return turn, ()


def _extend(turn: Turn, seen: Overlap, frame: Heard) -> Turn:
    """One more frame of the overlap. What lies far below its loudest frame is the tail of the gate, not voice."""
    own, level = frame.own_voice, frame.level
    peak = max(seen.peak, level)
    seen = replace(seen, peak=peak, recent=level, own_recent=own, player=frame.player, talker=frame.talker)
    if not turn.voice or level < max(peak - overlaps.TAIL_DB, overlaps.FLOOR_DB):
        return replace(turn, overlap=replace(seen, heard=turn.heard, active=turn.voice))
    total, frames = turn.own_sum + own, turn.own_frames + 1
    seen = replace(
        seen,
        voiced=seen.voiced + max(0, turn.heard - seen.heard),
        heard=turn.heard,
        voice_end=turn.heard,
        active=True,
        own_voice=total / frames,
    )
    return replace(turn, overlap=seen, own_sum=total, own_frames=frames)


def _reworded(turn: Turn, seen: Overlap, words: Words) -> Turn:
    newer = replace(seen, text=words.text, confidence=words.confidence, echoed=words.echoed)
    return replace(turn, overlap=newer)


def _weigh(turn: Turn, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    seen = turn.overlap
    assert seen is not None
    verdict = overlaps.judge(seen, turn.rules.min_words)
    if verdict is Verdict.INTERRUPT:
        return _interrupt(turn, seen.onset, now)
    if verdict is Verdict.FALSE_ALARM and turn.state is State.MAYBE_INTERRUPTED:
        return _false_alarm(turn, now)
    return turn, ()


def _interrupt(turn: Turn, at: int, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    cancel = CancelReply("interrupted", turn.rules.temperament == "finish")
    opened: tuple[Effect, ...] = () if turn.utterance is not None else (OpenUtterance(at),)
    turn = replace(turn, utterance=at, overlap=None, until=None, drafted=False)
    turn, entered = _enter(turn, State.USER_SPEAKING, now)
    return turn, (SpeechStarted(at), cancel, Entered("interrupted", turn.heard), *opened, entered)


def _false_alarm(turn: Turn, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    """Go on from the same sample. A voice still sounding (a long "mhm") is watched on; one that ended is dropped."""
    seen = turn.overlap
    assert seen is not None
    backchannel = overlaps.wording(seen.text) is overlaps.Wording.BACKCHANNEL
    watching = turn.voice and (backchannel or seen.talker is not None)
    turn, entered = _enter(turn, State.SPEAKING, now)
    if watching:
        return turn, (ResumeReply(), entered)
    turn = replace(turn, overlap=None, utterance=None, dismissed=None if backchannel else seen)
    return turn, (ResumeReply(), DropUtterance(backchannel), entered)


def _after_reply(turn: Turn, now: float) -> tuple[Turn, tuple[Effect, ...]]:
    """The reply is over. An overlap under way is no interruption any more: it simply is the player's turn."""
    if turn.overlap is not None and turn.voice and turn.overlap.own_voice < OWN_VOICE:
        at = turn.overlap.onset
        turn, entered = _enter(replace(turn, overlap=None, until=None, drafted=False), State.USER_SPEAKING, now)
        return turn, (SpeechStarted(at), entered)
    dropped: tuple[Effect, ...] = (DropUtterance(),) if turn.utterance is not None else ()
    turn, effects = _rest(turn, now)
    return turn, (*dropped, *effects)
