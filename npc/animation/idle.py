"""Idle motion that every client computes alike from the seed in `session.created`: blinks, saccades, breathing, sway.

Between spoken items the server sends only sparse gaze and head cues; the rest is this specification, written so that
ports in JavaScript, C#, C++ and GDScript agree: all random choices are 32-bit integer draws (`prng.Xorshift32`) in
milliseconds or milli-degrees, and only the easing uses floats. `python -m npc.animation.idle` writes the test
vectors that every port passes (`engine_plugins/conformance/idle.json`); times count from the start of the session.

    stream 1  blinks    t += pick(BLINK_GAP_MS); lids close 65 ms, stay 35 ms, open 140 ms (smoothstep)
    stream 2  saccades  t += pick(SACCADE_GAP_MS); yaw = below(4001) - 2000, pitch = below(2401) - 1200 (milli-degrees);
                        then below(8) == 0 triples both; the eyes arrive in 50 ms (smoothstep)
    stream 3  breath    period = 3600 + below(801), offset = below(period);
                        chest = (1 - cos(2 pi (t + offset) / period)) / 2
    stream 4  sway      yaw, pitch, roll in turn: two sines each, period = BASE + below(SPAN), offset = below(period)
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

from npc.animation.eyes import EYE_RANGE_DEG
from npc.animation.prng import Xorshift32, mix

CLOSE_MS: Final = 65
HOLD_MS: Final = 35
OPEN_MS: Final = 140
SACCADE_MS: Final = 50
#: Idle life comes and goes within this time when an item ends or begins.
OWN_FADE_MS: Final = 250.0


def _table(median_ms: float, sigma: float, low: int, high: int) -> tuple[int, ...]:
    normal = NormalDist()
    values = (median_ms * math.exp(sigma * normal.inv_cdf((i + 0.5) / 64)) for i in range(64))
    return tuple(min(high, max(low, round(v))) for v in values)


#: Log-normal gaps, as 64 equally likely values: 17 blinks a minute at rest (Bentivoglio 1997), a saccade about every
#: second.
BLINK_GAP_MS: Final = _table(3100, 0.5, 900, 10_000)
SACCADE_GAP_MS: Final = _table(850, 0.7, 180, 4_000)
#: (base, span) of the two periods in ms and the two amplitudes in degrees, for yaw, pitch and roll.
SWAY: Final = (
    ((5000, 4001), (11000, 8001), (0.9, 1.4)),
    ((4300, 3001), (9000, 7001), (0.5, 0.8)),
    ((6100, 4001), (13000, 9001), (0.4, 0.7)),
)


@dataclass(frozen=True, slots=True)
class Saccade:
    """At `at_ms` the eyes leave for (yaw, pitch) in milli-degrees; yaw > 0 is the character's left, pitch > 0 up."""

    at_ms: int
    yaw_mdeg: int
    pitch_mdeg: int


@dataclass(frozen=True, slots=True)
class IdlePose:
    """What to add to the face at one moment: lid closure and chest [0, 1], angles in degrees."""

    blink: float
    eye_yaw: float
    eye_pitch: float
    chest: float
    head_yaw: float
    head_pitch: float
    head_roll: float


def _smooth(x: float) -> float:
    x = min(1.0, max(0.0, x))
    return x * x * (3.0 - 2.0 * x)


class IdleMotion:
    """The idle motion of one seed. Events are drawn as far as they are asked for and kept."""

    def __init__(self, seed: int) -> None:
        self._blink_rng, self._saccade_rng = Xorshift32(seed, 1), Xorshift32(seed, 2)
        self._blinks: list[int] = []
        self._saccades: list[Saccade] = []
        breath = Xorshift32(seed, 3)
        self._breath_period = 3600 + breath.below(801)
        self._breath_offset = breath.below(self._breath_period)
        sway = Xorshift32(seed, 4)
        self._sway: list[list[tuple[int, int, float]]] = []
        for first, second, amplitudes in SWAY:
            sines = []
            for (base, span), amplitude in zip((first, second), amplitudes, strict=True):
                period = base + sway.below(span)
                sines.append((period, sway.below(period), amplitude))
            self._sway.append(sines)

    def blinks(self, until_ms: int) -> list[int]:
        """Start times of all blinks before `until_ms`."""
        while not self._blinks or self._blinks[-1] < until_ms:
            last = self._blinks[-1] if self._blinks else 0
            self._blinks.append(last + self._blink_rng.pick(BLINK_GAP_MS))
        return [b for b in self._blinks if b < until_ms]

    def saccades(self, until_ms: int) -> list[Saccade]:
        """All saccades before `until_ms`."""
        rng = self._saccade_rng
        while not self._saccades or self._saccades[-1].at_ms < until_ms:
            last = self._saccades[-1].at_ms if self._saccades else 0
            at = last + rng.pick(SACCADE_GAP_MS)
            yaw, pitch = rng.below(4001) - 2000, rng.below(2401) - 1200
            reach = 3 if rng.below(8) == 0 else 1
            self._saccades.append(Saccade(at, yaw * reach, pitch * reach))
        return [s for s in self._saccades if s.at_ms < until_ms]

    def at(self, t_ms: int) -> IdlePose:
        """The pose at `t_ms` >= 0. A saccade in flight starts from where the one before it aimed."""
        blink = 0.0
        for start in self.blinks(t_ms + 1)[-2:]:
            since = t_ms - start
            weight = _smooth(since / CLOSE_MS) - _smooth((since - CLOSE_MS - HOLD_MS) / OPEN_MS)
            blink = max(blink, weight)
        aims = [Saccade(0, 0, 0), *self.saccades(t_ms + 1)][-2:]
        way = _smooth((t_ms - aims[-1].at_ms) / SACCADE_MS)
        yaw = aims[0].yaw_mdeg + way * (aims[-1].yaw_mdeg - aims[0].yaw_mdeg)
        pitch = aims[0].pitch_mdeg + way * (aims[-1].pitch_mdeg - aims[0].pitch_mdeg)
        phase = 2.0 * math.pi * ((t_ms + self._breath_offset) % self._breath_period) / self._breath_period
        head = [
            sum(a * math.sin(2.0 * math.pi * ((t_ms + offset) % period) / period) for period, offset, a in sines)
            for sines in self._sway
        ]
        return IdlePose(blink, yaw / 1000.0, pitch / 1000.0, 0.5 - 0.5 * math.cos(phase), head[0], head[1], head[2])


class IdleFace:
    """Blinks and saccades on the face while no item sounds; an item's own track brings them while it does.

    `own` goes to 1 between items and to 0 in them, linearly within `OWN_FADE_MS`.
    """

    def __init__(self, seed: int) -> None:
        self._motion = IdleMotion(seed)
        self._own, self._last_ms = 1.0, 0.0

    def step(self, now_ms: float, sounding: bool, pose: dict[str, float]) -> dict[str, float]:
        """`pose` (weights by channel, in [0, 1]) with the idle life of session time `now_ms` on it."""
        way = max(0.0, now_ms - self._last_ms) / OWN_FADE_MS
        self._own = min(1.0, max(0.0, self._own + (-way if sounding else way)))
        self._last_ms = now_ms
        idle = self._motion.at(int(now_ms))
        yaw, pitch = (self._own * angle / EYE_RANGE_DEG for angle in (idle.eye_yaw, idle.eye_pitch))
        added = {"OutLeft": yaw, "InRight": yaw, "InLeft": -yaw, "OutRight": -yaw}
        added |= {"UpLeft": pitch, "UpRight": pitch, "DownLeft": -pitch, "DownRight": -pitch}
        result = dict(pose)
        for name, amount in added.items():
            channel = f"eyeLook{name}"
            if channel in result:
                result[channel] = min(1.0, result[channel] + max(0.0, amount))
        for channel in ("eyeBlinkLeft", "eyeBlinkRight"):
            if channel in result:
                result[channel] = max(result[channel], self._own * idle.blink)
        return result


def vectors() -> dict[str, Any]:
    """Test vectors for ports: integers must match exactly, floats within `tolerance`."""
    cases = []
    for seed in (0, 1, 2026, 0xDEADBEEF):
        motion = IdleMotion(seed)
        times = sorted({0, 7, 1000, 12_345, 59_999, *(b + 40 for b in motion.blinks(20_000))})
        cases.append(
            {
                "seed": seed,
                "blinks_ms": motion.blinks(60_000),
                "saccades": [[s.at_ms, s.yaw_mdeg, s.pitch_mdeg] for s in motion.saccades(15_000)],
                "poses": [{"t_ms": t} | {k: round(v, 6) for k, v in asdict(motion.at(t)).items()} for t in times],
            }
        )
    streams = []
    for seed, stream in ((0, 0), (1, 1), (0xDEADBEEF, 4)):
        rng = Xorshift32(seed, stream)
        streams.append(
            {"seed": seed, "stream": stream, "state": mix(seed, stream), "next": [rng.next() for _ in range(8)]}
        )
    return {
        "about": "Idle motion vectors; the specification is the docstring of npc/animation/idle.py. Made by "
        "`python -m npc.animation.idle`.",
        "tolerance": 1e-5,
        "prng": streams,
        "blink_gap_ms": BLINK_GAP_MS,
        "saccade_gap_ms": SACCADE_GAP_MS,
        "sway": SWAY,
        "cases": cases,
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="npc.animation.idle", description="write the idle motion test vectors")
    parser.add_argument("--out", type=Path, default=Path("engine_plugins/conformance/idle.json"))
    path: Path = parser.parse_args(argv).out
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
