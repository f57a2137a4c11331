"""Write `vectors/*.json`: what a client core is told, and what must hold after each step. Run it as a script.

The expected values are worked out here from the rules of docs/protocol.md, not recorded from any of the cores.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from npc.animation.channels import ARKIT52
from npc.animation.idle import IdleFace, IdleMotion
from npc.animation.prng import Xorshift32
from npc.protocol.frames import Kind, encode_audio, encode_blendshapes

HERE = Path(__file__).parent
RATE = 24_000
#: 60 ms: what an item queues before it starts to sound, unless it is whole.
PRIME = RATE * 60 // 1000
NAMES = ["jawOpen", "mouthClose", "mouthFunnel", "eyeBlinkLeft"]
FRAME = RATE // 60
Step = dict[str, Any]


def text(event: Step, **checks: Any) -> Step:
    return {"do": "text", "event": event, **checks}


def binary(data: bytes, **checks: Any) -> Step:
    return {"do": "binary", "hex": data.hex(), **checks}


def audio(ordinal: int, start: int, count: int, *, last: bool = False, value: int = 0, **checks: Any) -> Step:
    """`count` samples whose value is their own index (plus `value`), so that a check sees which ones came out."""
    pcm = (np.arange(start, start + count) % 30_000 + value).astype(np.int16)
    return binary(encode_audio(Kind.OUTPUT_AUDIO, pcm, start, ordinal=ordinal, last=last), **checks)


def shapes(ordinal: int, start: int, rows: list[list[int]], **checks: Any) -> Step:
    return binary(encode_blendshapes(np.array(rows, np.uint8), start, FRAME, ordinal=ordinal), **checks)


def pull(samples: int, **checks: Any) -> Step:
    return {"do": "pull", "samples": samples, **checks}


def step(ms: float, latency: float = 0.0, **checks: Any) -> Step:
    return {"do": "step", "ms": ms, "latency": latency, **checks}


def created(seq: int = 1, token: str = "t1") -> Step:
    npc = {"capabilities": {"blendshapes": NAMES, "idle_seed": 7}, "resume": {"token": token, "window_s": 30}}
    return text({"type": "session.created", "npc_seq": seq, "session": {"id": "s", "npc": npc}})


def response(ordinal: int, session: str = "") -> list[Step]:
    """Announce a reply; `session` sets its ids apart from those of an earlier session."""
    name = f"r{session}{ordinal}"
    added = {
        "type": "response.output_item.added",
        "response_id": name,
        "item": {"type": "message", "id": f"i{session}{ordinal}"},
    }
    return [text({"type": "response.created", "response": {"id": name, "npc": {"ordinal": ordinal}}}), text(added)]


def output(ordinal: int, action: str, **checks: Any) -> Step:
    event = {
        "type": "npc.output",
        "response_id": f"r{ordinal}",
        "item_id": f"i{ordinal}",
        "action": action,
        "at_sample": 0,
    }
    return text(event, **checks)


def cues(ordinal: int, *entries: tuple[str, str, int], session: str = "") -> Step:
    listed = [{"kind": kind, "name": name, "at": at} for kind, name, at in entries]
    place = {"response_id": f"r{session}{ordinal}", "item_id": f"i{session}{ordinal}"}
    return text({"type": "npc.cues", "clock": "output", **place, "cues": listed})


def playback(ordinal: int, played: int, state: str, session: str = "") -> Step:
    return {
        "type": "npc.playback",
        "response_id": f"r{session}{ordinal}",
        "item_id": f"i{session}{ordinal}",
        "played_samples": played,
        "state": state,
    }


def frames() -> list[Step]:
    good = encode_audio(Kind.OUTPUT_AUDIO, np.arange(4, dtype=np.int16), 0, ordinal=1)
    block = encode_blendshapes(np.zeros((2, 4), np.uint8), 0, FRAME, ordinal=1)
    return [
        binary(good[:10], error=True),
        binary(good[:-1], error=True),
        binary(b"\x09" + good[1:], error=True),
        binary(block[:20], error=True),
        binary(block[:-1], error=True),
        binary(b"", error=True),
        binary(encode_blendshapes(np.zeros((2, 4), np.uint8), 0, 0, ordinal=1), error=True),
        binary(good, error=False),
    ]


def playout() -> list[Step]:
    return [
        created(),
        *response(1),
        audio(1, 0, PRIME - 480),
        pull(480, silent=True, state="priming", played=0),
        audio(1, PRIME - 480, 480),
        pull(480, first=0, last=479, played=480, state="playing"),
        audio(1, 960, 960, value=0),
        pull(1440, first=480, last=1919, played=1920, state="playing"),
        pull(480, silent=True, played=1920, state="starved"),
        audio(1, 1920, 480),
        pull(480, silent=True, played=1920),
        audio(1, 2400, 480, last=True),
        pull(480, first=1920, last=2399, played=2400, state="playing"),
        pull(480, first=2400, last=2879, played=2880, state="playing"),
        pull(480, silent=True, played=2880, state="idle"),
        *response(2),
        audio(2, 0, 240, last=True),
        pull(240, first=0, last=239, played=240, state="playing"),
        pull(240, silent=True, state="idle"),
    ]


def queued_items() -> list[Step]:
    return [
        created(),
        *response(1),
        *response(2),
        audio(1, 0, 480, last=True),
        audio(2, 0, 480, last=True, value=1000),
        pull(480, first=0, last=479),
        step(0, sent=[playback(1, 480, "playing")]),
        pull(480, silent=True),
        step(16, sent=[playback(1, 480, "finished")]),
        pull(480, first=1000, last=1479, played=480),
        step(116, sent=[playback(2, 480, "playing")]),
    ]


def queued_flush() -> list[Step]:
    fade = RATE * 8 // 1000
    return [
        created(),
        *response(1),
        *response(2),
        audio(1, 0, 4800, last=True),
        audio(2, 0, 4800, last=True, value=1000),
        pull(480, first=0, last=479),
        step(0, sent=[playback(1, 480, "playing")]),
        output(1, "pause"),
        pull(fade),
        pull(480, silent=True, state="paused"),
        output(2, "flush", sent=[playback(2, 0, "stopped")]),
        pull(480, silent=True, state="paused"),
        step(16, ordinal=1, sent=[]),
        output(1, "resume"),
        pull(fade),
        pull(480, first=480 + 2 * fade, last=959 + 2 * fade, state="playing"),
        pull(4800 - 960 - 2 * fade),
        pull(480, silent=True, state="idle"),
    ]


def interruption() -> list[Step]:
    steps = [created()]
    for n in range(1, 21):
        steps += [
            *response(n),
            audio(n, 0, 4800),
            shapes(n, 0, [[200, 0, 0, 0]] * 12),
            pull(480, first=0, last=479, played=480),
            step(1000.0 * n, sample=480, ordinal=n, weights={"jawOpen": 200 / 255}, sent=[playback(n, 480, "playing")]),
            output(n, "flush", sent=[playback(n, 480, "stopped")]),
            pull(480, silent=True, state="idle"),
            audio(n, 4800, 480),
            pull(480, silent=True, state="idle"),
            step(1000.0 * n + 60, weights={"jawOpen": 0.5 * 200 / 255}, cues=[]),
            step(1000.0 * n + 150, weights={"jawOpen": 0.0}, cues=[]),
        ]
    return steps


def holes() -> list[Step]:
    return [
        created(),
        *response(1),
        audio(1, 0, 2400),
        audio(1, 2880, 480),
        pull(2400, first=0, last=2399, played=2400),
        pull(480, silent=True, played=2880, state="playing"),
        pull(480, first=2880, last=3359, played=3360),
        audio(1, 480, 480),
        audio(1, 3120, 1920),
        pull(480, first=3360, last=3839, played=3840),
        audio(1, 0, 480),
        audio(1, 900_000, 480, error=True),
        pull(480, first=3840, last=4319, played=4320),
    ]


def input_cues() -> list[Step]:
    def told(*entries: tuple[str, str, int]) -> Step:
        listed = [{"kind": kind, "name": name, "at": at} for kind, name, at in entries]
        return text({"type": "npc.cues", "clock": "input", "cues": listed})

    return [
        created(),
        told(("head", "nod", 0)),
        step(0, cues=["nod"]),
        step(16, cues=[]),
        told(("gaze", "avert_up_left", 200), ("gaze", "look", 960)),
        step(32, cues=[]),
        {"do": "hear", "samples": 480},
        step(48, cues=["avert_up_left"]),
        {"do": "hear", "samples": 480},
        step(64, cues=["look"]),
        {"do": "hear", "samples": 24_000},
        told(("head", "nod_twice", 960 + 11_990), ("head", "nod", 960 + 12_010), ("gaze", "look", 960 + 24_000)),
        step(80, cues=["nod", "look"]),
        *response(1),
        audio(1, 0, 4800),
        cues(1, ("word", "hello", 100)),
        told(("backchannel", "mm-hm", 960 + 24_000)),
        pull(480),
        step(96, cues=["mm-hm", "hello"]),
    ]


def pausing() -> list[Step]:
    fade = RATE * 8 // 1000
    return [
        created(),
        *response(1),
        audio(1, 0, 9600),
        pull(480, first=0, last=479),
        output(1, "pause"),
        pull(fade, played=480 + fade),
        pull(480, silent=True, played=480 + fade, state="paused"),
        pull(480, silent=True, played=480 + fade, state="paused"),
        output(1, "resume"),
        pull(fade, played=480 + 2 * fade, state="playing"),
        pull(480, first=480 + 2 * fade, last=959 + 2 * fade, state="playing"),
    ]


def cue_times() -> list[Step]:
    return [
        created(),
        *response(1),
        cues(1, ("word", "hello", 100), ("viseme", "PP", 480), ("word", "there", 700)),
        cues(1, ("gesture", "nod", 480)),
        audio(1, 0, 4800),
        pull(480),
        step(0, cues=["hello", "PP", "nod"], sample=480),
        step(16, cues=[], sample=480),
        pull(480),
        step(32, latency=0.02, cues=[], sample=480),
        step(48, latency=0.01, cues=["there"], sample=720),
        output(1, "flush"),
        cues(1, ("word", "late", 100)),
        pull(480),
        step(64, cues=[]),
    ]


def bent() -> list[Step]:
    on_output = {"type": "npc.cues", "clock": "output", "response_id": "r1"}
    return [
        created(),
        *response(1),
        text(on_output),
        text({**on_output, "cues": "soon"}),
        text({"type": "npc.output"}),
        text({"type": "response.created"}),
        text({"type": "response.output_item.added"}),
        text({"type": "npc.action.cancelled"}),
        text({"type": "session.updated"}),
        text({}),
        cues(1, ("word", "hello", 100)),
        audio(1, 0, 4800),
        pull(480),
        step(0, cues=["hello"], sample=480),
    ]


def track() -> list[Step]:
    return [
        created(),
        *response(1),
        shapes(1, 2 * FRAME, [[100, 0, 0, 0], [100, 0, 0, 255]]),
        shapes(1, 0, [[0, 0, 0, 0], [200, 0, 255, 0]]),
        shapes(1, 0, [[255, 255, 255, 255], [255, 255, 255, 255]]),
        binary(encode_blendshapes(np.zeros((1, 3), np.uint8), 8 * FRAME, FRAME, ordinal=1), error=True),
        binary(encode_blendshapes(np.zeros((0, 4), np.uint8), 3 * FRAME, FRAME, ordinal=1), error=False),
        audio(1, 0, 9600),
        pull(FRAME // 2),
        step(0, weights={"jawOpen": 100 / 255, "mouthFunnel": 0.5}),
        pull(FRAME),
        step(16, weights={"jawOpen": 150 / 255, "mouthFunnel": 0.5, "eyeBlinkLeft": 0.0}),
        pull(FRAME * 5 // 2),
        step(32, weights={"jawOpen": 100 / 255, "eyeBlinkLeft": 1.0}),
        pull(RATE * 75 // 1000),
        step(48, weights={"jawOpen": 50 / 255, "eyeBlinkLeft": 0.5}),
        pull(RATE * 100 // 1000),
        step(64, weights={"jawOpen": 0.0, "eyeBlinkLeft": 0.0}),
    ]


def resuming() -> list[Step]:
    return [
        {"do": "connect", "url_has": ["npc=1"], "url_lacks": ["after="], "protocols": ["realtime"]},
        {"do": "opened", "sent": [{"type": "session.update"}]},
        created(seq=1, token="t1"),
        *response(1),
        audio(1, 0, 480),
        text(
            {
                "type": "npc.cues",
                "npc_seq": 3,
                "clock": "output",
                "response_id": "r1",
                "cues": [{"kind": "word", "name": "once", "at": 0}],
            }
        ),
        text(
            {
                "type": "npc.cues",
                "npc_seq": 3,
                "clock": "output",
                "response_id": "r1",
                "cues": [{"kind": "word", "name": "twice", "at": 0}],
            }
        ),
        {"do": "say", "text": "hello", "sent": [{"type": "conversation.item.create"}, {"type": "response.create"}]},
        {"do": "closed", "code": 1006, "retry_ms": 200},
        {"do": "closed", "code": 1006, "retry_ms": 400},
        {"do": "connect", "url_has": ["npc=1", "after=3"], "protocols": ["realtime", "npc-resume.t1"]},
        {"do": "opened", "sent": []},
        text(
            {"type": "npc.resumed", "token": "t2", "window_s": 30, "complete": True, "received": 2, "input_samples": 0},
            sent=[{"type": "response.create"}],
        ),
        audio(1, 0, 480),
        audio(1, 480, 1440),
        pull(1440, first=0, last=1439),
        step(0, cues=["once"]),
        {"do": "closed", "code": 1012, "retry_ms": 200},
        {"do": "connect", "url_has": ["after=5"], "protocols": ["realtime", "npc-resume.t2"]},
        {"do": "closed", "code": 4404, "retry_ms": 400},
        {"do": "connect", "url_has": ["npc=1"], "url_lacks": ["after="], "protocols": ["realtime"]},
        {"do": "closed", "code": 4401, "final": True},
    ]


def offline() -> list[Step]:
    """`heard` lists the first samples of the audio frames that a step sent."""

    def hear(*heard: int) -> Step:
        return {"do": "hear", "samples": 480, "heard": list(heard)}

    told = [{"type": "conversation.item.create"}, {"type": "response.create"}]
    return [
        {"do": "connect", "url_has": ["npc=1"], "protocols": ["realtime"]},
        {"do": "closed", "code": 1006, "retry_ms": 200},
        hear(),
        {"do": "connect", "url_has": ["npc=1"], "url_lacks": ["after="], "protocols": ["realtime"]},
        {"do": "opened", "sent": [{"type": "session.update"}], "heard": []},
        created(seq=1, token="t1"),
        hear(0),
        {"do": "closed", "code": 1006, "retry_ms": 200},
        hear(),
        {"do": "say", "text": "while away", "sent": []},
        {"do": "connect", "url_has": ["after=1"], "protocols": ["realtime", "npc-resume.t1"]},
        {"do": "opened", "sent": [], "heard": []},
        hear(),
        {"do": "say", "text": "before the server has said what arrived", "sent": []},
        text(
            {
                "type": "npc.resumed",
                "token": "t2",
                "window_s": 30,
                "complete": True,
                "received": 2,
                "input_samples": 480,
            },
            sent=[*told, *told],
            heard=[],
        ),
        hear(480),
        {"do": "say", "text": "hello", "sent": told},
    ]


def gone() -> list[Step]:
    return [
        created(),
        *response(1),
        audio(1, 0, 4800),
        pull(480, first=0, last=479, played=480),
        step(0, ordinal=1, sent=[playback(1, 480, "playing")]),
        output(1, "flush"),
        *response(2),
        audio(2, 0, 4800),
        cues(2, ("word", "lost", 960)),
        pull(480, first=0, last=479, played=480, state="playing"),
        {"do": "closed", "code": 4404, "retry_ms": 200},
        pull(480, silent=True, state="idle"),
        {"do": "connect", "url_has": ["npc=1"], "url_lacks": ["after="], "protocols": ["realtime"]},
        {"do": "opened", "sent": [{"type": "session.update"}]},
        created(seq=1, token="t9"),
        *response(1, "n"),
        shapes(1, 0, [[200, 0, 0, 0]] * 12),
        cues(1, ("word", "again", 100), session="n"),
        audio(1, 0, 480, last=True, value=1000),
        pull(480, first=1000, last=1479, played=480),
        step(16, ordinal=1, weights={"jawOpen": 200 / 255}, cues=["again"], sent=[playback(1, 480, "playing", "n")]),
        pull(480, silent=True),
        step(120, sent=[playback(1, 480, "finished", "n")]),
        *response(2, "n"),
        audio(2, 0, 4800, value=2000),
        pull(480, first=2000, last=2479, played=480, state="playing"),
        step(221, ordinal=2, cues=[], sent=[playback(2, 480, "playing", "n")]),
    ]


def reports() -> list[Step]:
    return [
        created(),
        *response(1),
        audio(1, 0, 4800, last=True),
        step(0, sent=[]),
        pull(480),
        step(10, sent=[playback(1, 480, "playing")]),
        pull(480),
        step(60, sent=[]),
        pull(480),
        step(111, sent=[playback(1, 1440, "playing")]),
        pull(3360),
        pull(480),
        step(120, sent=[playback(1, 4800, "finished")]),
        step(140, sent=[]),
    ]


def randomness() -> list[Step]:
    steps = []
    for seed, stream in ((1, 0), (42, 1), (0, 0), (4_294_967_295, 3), (123_456_789, 7)):
        source = Xorshift32(seed, stream)
        steps.append(
            {"do": "random", "seed": seed, "stream": stream, "count": 6, "integers": [source.next() for _ in range(6)]}
        )
    return steps


def idle() -> list[Step]:
    steps = []
    for seed in (0, 1, 2026, 0xDEADBEEF):
        motion = IdleMotion(seed)
        for ms in (0, 7, 1000, 4321, 12_345, 59_999):
            pose = {name: round(value, 6) for name, value in asdict(motion.at(ms)).items()}
            steps.append({"do": "idle", "seed": seed, "ms": ms, "pose": pose})
    return steps


EYES = [name for name in ARKIT52 if name.startswith(("eyeBlink", "eyeLook"))]


def life() -> list[Step]:
    """Twelve seconds between items, an item of two, and life again."""
    steps: list[Step] = []
    for seed in (7, 2026):
        face, frames = IdleFace(seed), []
        for ms in range(0, 16_000, 40):
            sounding = 12_000 <= ms < 14_000
            pose = face.step(ms, sounding, dict.fromkeys(EYES, 0.0))
            frames.append({"ms": ms, "sounding": sounding, "weights": [round(pose[name], 5) for name in EYES]})
        steps.append({"do": "life", "seed": seed, "channels": EYES, "frames": frames})
    return steps


#: Beside the vectors that every core passes: what the engine layers share and the page does with its own gaze.
LIFE = {"idle_face": ("blinks and saccades on the face while no item sounds, within 0.0001", life)}

VECTORS = {
    "frames": ("binary messages that are cut, odd or unknown are refused, each with one message", frames),
    "playout": ("60 ms before an item sounds; starvation primes again; a whole short item sounds at once", playout),
    "queued_items": ("items sound one after the other", queued_items),
    "queued_flush": ("a reply cut while it waits: what sounds before it, or its pause, goes on", queued_flush),
    "interruption": (
        "twenty interruptions: silence at once, stale audio dropped, lips at rest, and they move again",
        interruption,
    ),
    "holes": ("a hole sounds as silence and the clock stays true; late, doubled and far audio is dropped", holes),
    "input_cues": ("cues on the input clock: due at what was sent, dropped when more than 500 ms late", input_cues),
    "pausing": ("pause fades in 8 ms, resume goes on at the very next sample", pausing),
    "cue_times": ("cues on the played-sample clock less the output latency; none of a flushed response", cue_times),
    "bent": ("events whose fields are missing or of another kind: what comes behind them is played as ever", bent),
    "track": ("blendshapes between frames, out of order, doubled; decay to rest in 150 ms when starved", track),
    "resuming": ("sequence numbers, doubled events, resume tokens, close codes", resuming),
    "offline": (
        "what is said while the socket is away goes out once, when the server has said what arrived; audio is not kept",
        offline,
    ),
    "gone": (
        "a server that lost the session begins a new one: replies are numbered anew, sound, are reported",
        gone,
    ),
    "reports": ("what was heard, every 100 ms and at each change", reports),
    "idle": ("blinks, saccades, breathing and sway of a seed, within 0.0001", idle),
    "randomness": ("the seeded integers that idle motion is made of", randomness),
}


def render() -> dict[str, str]:
    """File, relative to this folder -> content."""
    files = {}
    for folder, vectors, indent in (("vectors", VECTORS, 1), ("life", LIFE, None)):
        for name, (about, make) in vectors.items():
            vector = {"name": name, "about": about, "rate": RATE, "steps": make()}
            files[f"{folder}/{name}.json"] = json.dumps(vector, indent=indent) + "\n"
    return files


if __name__ == "__main__":
    for file, content in render().items():
        (HERE / file).parent.mkdir(exist_ok=True)
        (HERE / file).write_text(content)
