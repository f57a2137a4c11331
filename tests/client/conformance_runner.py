"""Plays the conformance vectors against the Python core. `play(FILE)` returns what failed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from npc.animation.idle import IdleMotion
from npc.animation.prng import Xorshift32
from npc.client import CharacterClient

Step = dict[str, Any]


class Runner:
    def __init__(self, rate: int) -> None:
        self.client = CharacterClient("ws://host/v1/realtime?model=a", rate=rate)
        self.failures: list[str] = []
        self.where = ""

    def play(self, step: Step, index: int) -> None:
        self.where = f"step {index} {step['do']}"
        self.client.outgoing.clear()
        self.client.problems.clear()
        getattr(self, f"do_{step['do']}")(step)
        if "error" in step:
            self.same("error", step["error"], bool(self.client.problems))
        if "sent" in step:
            sent = [json.loads(message) for message in self.client.outgoing if isinstance(message, str)]
            self.same("messages sent", len(step["sent"]), len(sent))
            for wanted, got in zip(step["sent"], sent, strict=False):
                for name, value in wanted.items():
                    self.same(f"sent {name}", value, got.get(name))
        if "heard" in step:
            frames = [message for message in self.client.outgoing if isinstance(message, bytes)]
            self.same("audio sent from", step["heard"], [int.from_bytes(frame[8:16], "little") for frame in frames])

    def same(self, what: str, wanted: Any, got: Any) -> None:
        if wanted != got:
            self.failures.append(f"{self.where}: {what} is {got}, expected {wanted}")

    def near(self, what: str, wanted: float, got: float, tolerance: float) -> None:
        if abs(wanted - got) > tolerance:
            self.failures.append(f"{self.where}: {what} is {got}, expected {wanted}")

    def do_connect(self, step: Step) -> None:
        plan = self.client.connect()
        for part in step["url_has"]:
            self.same(f"url has {part}", True, part in plan.url)
        for part in step.get("url_lacks", ()):
            self.same(f"url has {part}", False, part in plan.url)
        self.same("protocols", step["protocols"], list(plan.protocols))

    def do_opened(self, _step: Step) -> None:
        self.client.opened()

    def do_text(self, step: Step) -> None:
        self.client.receive_text(json.dumps(step["event"]))

    def do_binary(self, step: Step) -> None:
        self.client.receive_binary(bytes.fromhex(step["hex"]))

    def do_hear(self, step: Step) -> None:
        self.client.send_audio(np.zeros(step["samples"], np.int16))

    def do_say(self, step: Step) -> None:
        self.client.say(step["text"])

    def do_pull(self, step: Step) -> None:
        out = self.client.audio.pull(step["samples"])
        got = {
            "silent": not out.any(),
            "first": int(out[0]),
            "last": int(out[-1]),
            "played": self.client.audio.played,
            "state": self.client.audio.state,
        }
        for name, value in got.items():
            if name in step:
                self.same(name, step[name], value)

    def do_step(self, step: Step) -> None:
        client = self.client
        client.step(step["ms"], step["latency"])
        got = {
            "cues": [cue["name"] for cue in client.due],
            "sample": client.heard_sample,
            "ordinal": client.audio.ordinal,
        }
        for name, value in got.items():
            if name in step:
                self.same(name, step[name], value)
        for name, weight in step.get("weights", {}).items():
            self.near(name, weight, float(client.pose[client.channels.index(name)]), 0.005)

    def do_closed(self, step: Step) -> None:
        delay = self.client.closed(step["code"], 0.0)
        if "final" in step:
            self.same("final", True, delay is None)
        else:
            self.same("retry_ms", step["retry_ms"], delay)

    def do_idle(self, step: Step) -> None:
        pose = asdict(IdleMotion(step["seed"]).at(step["ms"]))
        for name, value in step["pose"].items():
            self.near(name, value, pose[name], 1e-4)

    def do_random(self, step: Step) -> None:
        source = Xorshift32(step["seed"], step["stream"])
        self.same("integers", step["integers"], [source.next() for _ in range(step["count"])])


def play(path: Path) -> list[str]:
    """What failed of one vector file."""
    vector = json.loads(path.read_text())
    runner = Runner(vector["rate"])
    for index, step in enumerate(vector["steps"]):
        runner.play(step, index)
    return runner.failures
