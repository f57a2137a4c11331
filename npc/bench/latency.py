"""`npc bench latency`: voice-to-voice, from the waveforms, through the real server in a process of its own.

    player      ▇▇▇▅▇▂____▇▇▅▂|                          | last voiced sample (truth of the synthetic player)
    reply                     |            ▂▇▇▅▇         first audible sample at the client's loudspeaker
                              |<- wait ->|<- after ->|   decided: `npc.turn` thinking arrives

A reply that is audible before the last voiced sample is a wrong cut-off and no latency sample; a turn without a reply
within `PATIENCE` is missed. Every fourth reply of a character that yields is interrupted by a player who means it:
barge-in to silence is from their first voiced sample to the end of the last audible one of the character. Greetings are
off (with --url they are waited for) and fillers do not exist, so the first audible sample is the reply's own word.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from npc.bench import players
from npc.bench.harness import Bench, Option, Run, log, machine, percentiles, pyplot
from npc.bench.live_client import RATE, LiveClient, first_audible, last_audible
from npc.client import RealtimeClient
from npc.client.local_server import local_server
from npc.protocol import NpcMetrics, NpcOutput, NpcTurn, ResponseCreated, ResponseDone

#: Seconds after the end of a turn within which a reply must be audible.
PATIENCE = 8.0
#: Seconds of a reply that are let play before it is interrupted; others are cut here to save time, by waiting it out.
INTERRUPT_AFTER = 0.8
#: Seconds after an interruption began within which a reply that nobody stopped says nothing: it was over by itself. One
#: that goes on for longer was not stopped in time (goal 150 ms) and counts as long as it lasted.
BY_ITSELF = 0.15
#: Seconds within which an interruption is answered after it was over and all was quiet: the longest wait and the mind.
ANSWERED_WITHIN = 2.0
#: Turns of one session: characters remember, so sessions are changed to keep turns alike.
TURNS_PER_SESSION = 12
CHARACTERS = ("sela-marrow", "anselm-roe", "callum-reid")
#: By its card this one ends its clause when it is cut in on, so its silence says nothing about the service.
ENDS_ITS_CLAUSE = frozenset({"anselm-roe"})


@dataclass
class Measured:
    """One turn."""

    text: str
    inner_pause: bool
    outcome: str = "missed"
    voice_to_voice_ms: float | None = None
    wait_ms: float | None = None
    after_ms: float | None = None
    barge_in_ms: float | None = None
    stages_ms: dict[str, float] = field(default_factory=dict)
    speculation: dict[str, float] = field(default_factory=dict)


def measure(run: Run) -> dict[str, Any]:
    """Play the turns against a server and gather the figures."""
    facts = machine()
    count, folder = int(run.options["turns"]), run.options["audio"]
    turns = itertools.chain(players.turns(count, seed=run.seed), players.recordings(Path(folder)) if folder else ())
    url, profile = run.options["url"], str(run.options["profile"])
    arguments = ["--profile", profile, "--set", "tts.greets=false"]
    with contextlib.nullcontext(url) if url else local_server(*arguments) as base:
        measured = asyncio.run(_measure(str(base), turns, run.seed))
    result = _result("of the server" if url else profile, facts, measured)
    if run.out is not None:
        (run.out / "latency_turns.json").write_text(json.dumps([asdict(turn) for turn in measured], indent=1))
        _plot(run.out / "latency.png", measured)
    return result


async def _measure(url: str, turns: Iterator[players.PlayerTurn], seed: int) -> list[Measured]:
    measured: list[Measured] = []
    cuts = itertools.cycle(players.interruptions(40, seed=seed))
    for number, batch in enumerate(_batches(turns)):
        character = CHARACTERS[number % len(CHARACTERS)]
        async with RealtimeClient.connect(url, character=character) as client:
            live = LiveClient(client, seed=seed + number)
            devices = asyncio.create_task(live.run())
            try:
                await asyncio.sleep(1.5)
                # A server that was not started here may greet: no turn is spoken into that.
                await _settle(live)
                for turn in batch:
                    cut = len(measured) % 4 == 3 and character not in ENDS_ITS_CLAUSE
                    barge = next(cuts) if cut else None
                    one = await _one(live, turn, barge)
                    measured.append(one)
                    late = "" if one.voice_to_voice_ms is None else f" {one.voice_to_voice_ms:.0f} ms"
                    log.print(f"{len(measured):4} {one.outcome}{late}  {one.text}")
                    if devices.done():
                        break
            finally:
                devices.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await devices
    return measured


def _batches(turns: Iterator[players.PlayerTurn]) -> Iterator[list[players.PlayerTurn]]:
    while batch := list(itertools.islice(turns, TURNS_PER_SESSION)):
        yield batch


async def _one(live: LiveClient, turn: players.PlayerTurn, barge: players.Sound | None) -> Measured:
    """Speak one turn, wait for the reply (and cut it short), and read the figures off the two tracks."""
    result = Measured(turn.text, turn.inner_pause)
    mark = len(live.seen)
    spoken = live.play(turn.pcm)
    ended = spoken + turn.end / RATE
    while live.now < ended + PATIENCE:
        await asyncio.sleep(0.02)
        if live.now > ended and first_audible(live.heard(spoken)) is not None:
            break
    sounds = first_audible(live.heard(spoken))
    if sounds is not None:
        began = spoken + sounds
        result.outcome = "answered" if began >= ended else "cut off"
        if began >= ended:
            result.voice_to_voice_ms = 1000 * (began - ended)
            _stages(live, mark, ended, began, result)
            if barge is not None:
                result.barge_in_ms = await _interrupt(live, barge, began)
    await _settle(live)
    if result.barge_in_ms is not None:
        # Who cuts in is answered: the next turn must not begin into that answer.
        await _answered(live)
    for seen in live.seen[mark:]:
        if isinstance(seen.event, NpcMetrics) and not result.stages_ms:
            result.stages_ms = dict(seen.event.stages_ms)
            result.speculation = dict(seen.event.speculation or {})
    return result


def _stages(live: LiveClient, mark: int, ended: float, began: float, result: Measured) -> None:
    decided = [
        seen.at
        for seen in live.seen[mark:]
        if isinstance(seen.event, NpcTurn) and seen.event.state == "thinking" and seen.at <= began
    ]
    if decided:
        result.wait_ms = 1000 * (decided[-1] - ended)
        result.after_ms = 1000 * (began - decided[-1])


async def _interrupt(live: LiveClient, sound: players.Sound, began: float) -> float | None:
    """Cut in; milliseconds from the first voiced sample to silence, or None when the reply was over by itself."""
    await asyncio.sleep(max(0.0, began + INTERRUPT_AFTER - live.now))
    if live.quiet_for > 0.3:
        return None
    mark = len(live.seen)
    onset = live.play(sound.pcm) + sound.start / RATE
    await asyncio.sleep(max(1.0, sound.pcm.size / RATE) + onset - live.now)
    # What sounds after the answer to the interruption was begun is that answer.
    new = [seen.at for seen in live.seen[mark:] if isinstance(seen.event, ResponseCreated)]
    until = min(new[0] if new else live.now, live.now)
    reacted = any(isinstance(seen.event, NpcOutput) for seen in live.seen[mark:])
    return barge_in_ms(last_audible(live.heard(onset, until)) or 0.0, reacted)


def barge_in_ms(audible_s: float, reacted: bool) -> float | None:
    """Milliseconds to silence of a character that was audible for `audible_s` after the interruption's onset; None for
    one that nobody stopped (no pause, no flush) and that ended within `BY_ITSELF`: its reply was over by itself."""
    return None if not reacted and audible_s < BY_ITSELF else 1000 * audible_s


async def _answered(live: LiveClient) -> None:
    """Until an answer to what was just said has begun and is over; a cut that nobody understood gets none."""
    mark, deadline = len(live.seen), live.now + ANSWERED_WITHIN
    while live.now < deadline:
        await asyncio.sleep(0.05)
        if any(isinstance(seen.event, ResponseCreated) for seen in live.seen[mark:]):
            await _settle(live)
            return


async def _settle(live: LiveClient) -> None:
    """Until nobody has said anything for a while and no response is in progress."""
    deadline = live.now + 30.0
    while live.now < deadline:
        await asyncio.sleep(0.05)
        open_responses = sum(isinstance(seen.event, ResponseCreated) for seen in live.seen) - sum(
            isinstance(seen.event, ResponseDone) for seen in live.seen
        )
        if not live.speaking and open_responses <= 0 and live.quiet_for > 0.7:
            return


def _result(profile: str, facts: dict[str, Any], measured: list[Measured]) -> dict[str, Any]:
    def of(name: str) -> list[float]:
        return [value for turn in measured if (value := getattr(turn, name)) is not None]

    stages: dict[str, list[float]] = defaultdict(list)
    ledger: dict[str, list[float]] = defaultdict(list)
    for turn in measured:
        if turn.outcome == "answered":
            for name, value in turn.stages_ms.items():
                stages[name].append(value)
        for name, value in turn.speculation.items():
            ledger[name].append(value)
    cut_off = sum(turn.outcome == "cut off" for turn in measured)
    return {
        "profile": profile,
        "machine": facts,
        "turns": len(measured),
        "voice_to_voice_ms": percentiles(of("voice_to_voice_ms"), (50, 95, 99)),
        "end_of_turn_wait_ms": percentiles(of("wait_ms")),
        "after_decision_ms": percentiles(of("after_ms")),
        "wrong_cutoff_rate": round(cut_off / max(1, len(measured)), 4),
        "missed_turns": sum(turn.outcome == "missed" for turn in measured),
        "barge_ins": len(of("barge_in_ms")),
        "barge_in_to_silence_ms": percentiles(of("barge_in_ms")),
        "stages_ms": {name: percentiles(values) for name, values in sorted(stages.items())},
        "speculation": {
            "drafts_per_turn": round(sum(ledger["drafts"]) / max(1, len(measured)), 2),
            "discarded_per_turn": round(sum(ledger["discarded"]) / max(1, len(measured)), 2),
            "won_ms": percentiles(ledger["won_ms"]),
            "wasted_ms": percentiles(ledger["wasted_ms"]),
            # of a language model that thinks ahead; empty where the mind has none
            "llm_won_ms": percentiles(ledger["llm_won_ms"]),
            "llm_tokens_kept": percentiles(ledger["llm_tokens_kept"]),
            "llm_tokens_wasted": percentiles(ledger["llm_tokens_wasted"]),
            "llm_tokens_drafted": percentiles(ledger["llm_tokens_drafted"]),
        },
    }


def _plot(path: Path, measured: list[Measured]) -> None:
    """Voice-to-voice by turn, split at the decision. Needs matplotlib (the `dev` extra)."""
    drawing = pyplot()
    if drawing is None:
        return
    answered = sorted(
        (turn for turn in measured if turn.voice_to_voice_ms is not None), key=lambda turn: turn.voice_to_voice_ms or 0
    )
    figure, axes = drawing.subplots(figsize=(9, 4))
    waits = [turn.wait_ms or 0.0 for turn in answered]
    axes.bar(range(len(answered)), waits, label="end-of-turn wait")
    axes.bar(
        range(len(answered)), [turn.after_ms or 0.0 for turn in answered], bottom=waits, label="after the decision"
    )
    axes.axhline(500, linestyle=":", color="black", linewidth=1)
    axes.axhline(800, linestyle="--", color="black", linewidth=1)
    axes.set_xlabel("turns, sorted")
    axes.set_ylabel("voice to voice, ms")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def report(result: dict[str, Any]) -> str:
    voice, wait, after = (result[k] for k in ("voice_to_voice_ms", "end_of_turn_wait_ms", "after_decision_ms"))
    return "\n".join(
        (
            f"{result['turns']} turns on {result['machine']['cpu']}, {result['machine']['cores']} cores, "
            f"profile {result['profile']}",
            f"voice to voice     p50 {voice['p50']} ms   p95 {voice['p95']} ms   p99 {voice['p99']} ms"
            "   (goal 500 / 800)",
            f"end-of-turn wait   p50 {wait['p50']} ms   p95 {wait['p95']} ms",
            f"after decision     p50 {after['p50']} ms   p95 {after['p95']} ms   (goal p95 120)",
            f"wrong cut-offs {100 * result['wrong_cutoff_rate']:.1f} %   missed {result['missed_turns']}"
            "   (goals 8 %, 0)",
            f"barge-in to silence p50 {result['barge_in_to_silence_ms']['p50']} ms   "
            f"p95 {result['barge_in_to_silence_ms']['p95']} ms   (goal 150)   of {result['barge_ins']}",
        )
    )


BENCH = Bench(
    name="latency",
    help="voice-to-voice latency through the real server, from the waveforms, with wrong cut-offs and barge-in",
    measure=measure,
    report=report,
    options=(
        Option("--profile", "profile of the server it starts (default embedded)", {"default": "embedded"}),
        Option("--turns", "player turns made by the repository (default 60)", {"type": int, "default": 60}),
        Option("--audio", "folder of recordings (WAV, one turn each) to add", {"default": None}),
        Option("--url", "measure this running server instead of starting one", {"default": None}),
    ),
)
