"""`npc bench interrupt`: who may stop the character, and how fast. Real detectors and recogniser, virtual time.

    character  ▇▇▇▇▇▇▇▇▇▇▇┃      ┃▇▇▇ resumed at the same sample, or flushed for good
    microphone     room noise + (its own sound, 50-400 ms late, -6 to -20 dB, through a room) + the player
                          ▇▇▇ cough, backchannel, interruption

Four kinds of 40 each: coughs, backchannels, stretches of the character's own voice coming back with nobody speaking
(none of these may cancel), and real interruptions over such echo (these must). And 500 cut points: history must hold
exactly the words heard, and nothing of the reply may follow the flush. Engines answer in no virtual time here; what
they take in real time is in `npc bench latency` (barge-in to silence).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npc import asr
from npc.asr.interface import StreamingRecognizer
from npc.audio.echo import EchoGuard
from npc.audio.vad import load_vad
from npc.bench import players
from npc.bench.cut_points import cut
from npc.bench.harness import Bench, Option, Run, log, machine, percentiles
from npc.bench.scripted import ScriptedMind
from npc.bench.virtual_time import virtual_loop
from npc.conversation.endpointing.embedded import EmbeddedDetector
from npc.conversation.engines import Engines
from npc.conversation.port import AudioOut, Opening
from npc.conversation.reply import Speaker
from npc.conversation.session import TalkSession
from npc.conversation.talkover import Talkover
from npc.conversation.workers import InlineWorkers
from npc.dialogue.interface import Clause
from npc.protocol import ConversationItemCreate, NpcOutput, NpcPlayback, ResponseCreate, SessionUpdate
from npc.training.rooms import impulse_response, room_noise, to_pcm
from npc.tts import load as load_voice

Pcm16 = NDArray[np.int16]

RATE = 16_000
FRAME = RATE // 50
KINDS = ("cough", "backchannel", "own_voice", "interruption")
#: The character's own voice over and over: long enough that no case runs out of it.
REPLY = (
    "Well now, sit down and I will tell you how it was.",
    "The river rose in the night, and by the morning the lower road was gone.",
    "We carried the grain up to the chapel in baskets, every one of us, the old and the young.",
    "Nobody slept for two days, and when the sun came back the whole valley shone like a plate.",
)
VOICES = ("flite-slt", "flite-rms", "flite-awb")


@dataclass
class Case:
    """What one sound did. Times in ms from its first voiced sample; None where it did not happen."""

    kind: str
    text: str
    pause_ms: float | None = None
    decided_ms: float | None = None
    cancelled: bool = False
    resumed_after_ms: float | None = None
    same_sample: bool = True


class _Room:
    """Loudspeaker, room and microphone of the client: plays what it is sent, obeys `npc.output`, hears itself."""

    def __init__(self, echo: tuple[float, float, int] | None, noise_seed: int) -> None:
        self.sent: list[tuple[float, Any]] = []
        self.played = 0
        self.paused = False
        self._queue: list[AudioOut] = []
        self._noise = room_noise(noise_seed, 20 * RATE, 20.0).astype(np.float64)
        self._at = 0
        self._kernel = np.zeros(1)
        if echo is not None:
            delay_ms, gain_db, seed = echo
            response = impulse_response(seed) * 10 ** (gain_db / 20)
            self._kernel = np.concatenate([np.zeros(round(delay_ms * RATE / 1000)), response])
        self._before = np.zeros(self._kernel.size - 1)

    def send(self, item: Any) -> None:
        self.sent.append((asyncio.get_running_loop().time(), item))
        if isinstance(item, AudioOut):
            self._queue.append(item)
        elif isinstance(item, NpcOutput):
            self.paused = item.action == "pause"
            if item.action == "flush":
                self._queue.clear()

    def frame(self, player: Pcm16) -> Pcm16:
        """20 ms: play, then hear the room and `player`."""
        out = np.zeros(FRAME)
        filled = 0
        while self._queue and not self.paused and filled < FRAME:
            head = self._queue[0]
            take = head.pcm[: FRAME - filled]
            out[filled : filled + take.size] = take
            filled += int(take.size)
            self.played = head.start + int(take.size)
            if take.size == head.pcm.size:
                self._queue.pop(0)
            else:
                rest = head.pcm[take.size :]
                self._queue[0] = AudioOut(
                    head.response_id, head.item_id, head.ordinal, head.track, head.start + int(take.size), rest
                )
        played = np.concatenate([self._before, out])
        self._before = played[FRAME:]
        heard = np.convolve(played, self._kernel, "valid")
        at = self._at % (self._noise.size - FRAME)
        self._at += FRAME
        return to_pcm(heard + self._noise[at : at + FRAME] + player)


def _engines(number: int, recognizer: StreamingRecognizer, vad: Any) -> Engines:
    mind = ScriptedMind(lambda text: [Clause(line) for line in REPLY])
    return Engines(
        character_id="bench",
        open_mind=lambda player: mind,
        workers=InlineWorkers(),
        vad=vad,
        detector=EmbeddedDetector(),
        recognizer=recognizer,
        speaker=Speaker(load_voice(VOICES[number % len(VOICES)])),
        guard=EchoGuard,
        talkover=Talkover,
        greets=False,
    )


async def _case(engines: Engines, sound: players.Sound | None, kind: str, seed: int) -> Case:
    """Let the character speak, make the sound, and see what happens within two seconds."""
    rng = random.Random(seed)
    echoes = kind in ("own_voice", "interruption")
    room = _Room((rng.uniform(50, 400), rng.uniform(-20, -6), seed) if echoes else None, seed)
    session = TalkSession(Opening("sess_bench", "bench", opted_in=True), engines, room)
    task = asyncio.get_running_loop().create_task(session.run())
    await asyncio.sleep(0.01)
    pcm = {"type": "audio/pcm", "rate": RATE}
    session.receive(
        SessionUpdate.model_validate({"session": {"audio": {"input": {"format": pcm}, "output": {"format": pcm}}}})
    )
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go on"}]}
    session.receive(ConversationItemCreate.model_validate({"item": item}))
    session.receive(ResponseCreate())
    begin = rng.uniform(1.5, 4.0)
    made = sound.pcm if sound is not None else np.zeros(0, np.int16)
    onset = begin + (sound.start / RATE if sound is not None else 0.0)
    end = begin + made.size / RATE + 1.2 if sound is not None else begin + 3.0
    clock = asyncio.get_running_loop().time
    t0 = clock()
    position, reported = 0, 0
    while clock() - t0 < end:
        start = position - round(begin * RATE)
        player = np.zeros(FRAME, np.int16)
        if -FRAME < start < made.size:
            part = made[max(0, start) : start + FRAME]
            player[max(0, -start) : max(0, -start) + part.size] = part
        session.hear(room.frame(player))
        position += FRAME
        if room.played - reported >= RATE // 10:
            reported = room.played
            last = next(i for _, i in reversed(room.sent) if isinstance(i, AudioOut))
            session.receive(
                NpcPlayback(
                    response_id=last.response_id, item_id=last.item_id, played_samples=reported, state="playing"
                )
            )
        await asyncio.sleep(max(0.0, t0 + position / RATE - clock()))
    # Closing flushes too; only what came before counts.
    happened = [(when - t0, item) for when, item in room.sent]
    await session.close("case over")
    await task
    return _judge(kind, sound, happened, onset, begin)


def _judge(
    kind: str, sound: players.Sound | None, sent: Sequence[tuple[float, Any]], onset: float, begin: float
) -> Case:
    case = Case(kind, sound.text if sound is not None else "")
    pauses = 0.0
    stopped_at = 0
    for when, item in sent:
        if not isinstance(item, NpcOutput):
            continue
        if item.action == "pause":
            # Every pause counts here, also one that our echo caused before the player began or long after.
            stopped_at = item.at_sample
        elif item.action == "resume":
            case.same_sample = case.same_sample and item.at_sample == stopped_at
        if when < begin and kind != "own_voice":
            continue
        since = 1000 * (when - onset)
        if item.action == "pause" and (kind == "own_voice" or since < 1500):
            case.pause_ms = since if case.pause_ms is None else case.pause_ms
            pauses = since
        elif item.action == "flush":
            case.cancelled = True
            case.decided_ms = since if case.decided_ms is None else case.decided_ms
        elif item.action == "resume":
            case.resumed_after_ms = max(case.resumed_after_ms or 0.0, since - pauses)
            if kind != "interruption":
                case.decided_ms = since
    return case


def measure(run: Run) -> dict[str, Any]:
    facts = machine()
    count, cuts = int(run.options["cases"]), int(run.options["cuts"])
    sounds: dict[str, Sequence[players.Sound | None]] = {
        "cough": players.coughs(count, seed=run.seed),
        "backchannel": players.backchannels(count, seed=run.seed),
        "own_voice": [None] * count,
        "interruption": players.interruptions(count, seed=run.seed),
    }
    recognizer, vad = asr.load("pocketsphinx"), load_vad()
    cases: list[Case] = []
    try:
        for kind in KINDS:
            for number, sound in enumerate(sounds[kind]):
                engines = _engines(number, recognizer, vad)
                with virtual_loop() as loop:
                    cases.append(loop.run_until_complete(_case(engines, sound, kind, run.seed * 1000 + number)))
            these = [case for case in cases if case.kind == kind]
            log.print(f"{kind}: {sum(case.cancelled for case in these)} of {len(these)} cancelled")
    finally:
        recognizer.close()
    mismatches = _cut_points(cuts, run.seed)
    if run.out is not None:
        lines = [f"{c.kind}\t{c.cancelled}\t{c.pause_ms}\t{c.decided_ms}\t{c.text}" for c in cases]
        (run.out / "interrupt_cases.tsv").write_text("\n".join(lines))
    return _result(facts, cases, cuts, mismatches)


def _cut_points(cuts: int, seed: int) -> int:
    mismatches = 0
    for number in range(cuts):
        with virtual_loop() as loop:
            history, truth, clean = loop.run_until_complete(cut(seed * 100_000 + number, opted_in=number % 2 == 0))
        mismatches += history != truth or not clean
    log.print(f"cut points: {mismatches} of {cuts} wrong")
    return mismatches


def _result(facts: dict[str, Any], cases: Sequence[Case], cuts: int, mismatches: int) -> dict[str, Any]:
    false = [case for case in cases if case.kind != "interruption"]
    real = [case for case in cases if case.kind == "interruption"]
    spoken = [case for case in cases if case.kind in ("backchannel", "interruption")]
    # A pause that our echo caused just before the player began is no reaction to the player.
    resumed = [case.resumed_after_ms for case in false if case.resumed_after_ms is not None]
    false_rate = sum(case.cancelled for case in false) / max(1, len(false))
    real_rate = sum(case.cancelled for case in real) / max(1, len(real))
    return {
        "machine": facts,
        "cases": {kind: sum(case.kind == kind for case in cases) for kind in KINDS},
        "cancelled": {kind: sum(case.cancelled for case in cases if case.kind == kind) for kind in KINDS},
        "false_cancel_rate": round(false_rate, 4),
        "true_cancel_rate": round(real_rate, 4),
        "pause_ms": percentiles([case.pause_ms for case in spoken if case.pause_ms is not None]),
        "decided_ms": percentiles([case.decided_ms for case in real if case.decided_ms is not None]),
        "resume_after_pause_ms": percentiles(resumed, (50, 95, 100)),
        "resumed_at_same_sample": all(case.same_sample for case in false),
        "cut_points": cuts,
        "cut_point_mismatches": mismatches,
    }


def report(result: dict[str, Any]) -> str:
    return "\n".join(
        (
            "cancelled: " + ", ".join(f"{kind} {result['cancelled'][kind]}/{result['cases'][kind]}" for kind in KINDS),
            f"false cancels {100 * result['false_cancel_rate']:.1f} % (goal 5)   "
            f"interruptions that cancel {100 * result['true_cancel_rate']:.1f} % (goal 95)",
            f"pause p95 {result['pause_ms']['p95']} ms (goal 150)   "
            f"decided p95 {result['decided_ms']['p95']} ms (goal 500)   "
            f"resume after a wrong pause, longest {result['resume_after_pause_ms']['p100']} ms (goal 600)",
            f"history wrong at {result['cut_point_mismatches']} of {result['cut_points']} cut points (goal 0)",
        )
    )


BENCH = Bench(
    name="interrupt",
    help="barge-in: coughs, backchannels, own echo and real interruptions; history at random cut points",
    measure=measure,
    report=report,
    options=(
        Option("--cases", "sounds of each kind (default 40)", {"type": int, "default": 40}),
        Option("--cuts", "random cut points (default 500)", {"type": int, "default": 500}),
    ),
)
