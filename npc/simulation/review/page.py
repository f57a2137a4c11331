"""The report as one HTML file that needs nothing else: words, charts, sound and style inside, no request leaves it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from npc.simulation.attempt import Attempt, Turn
from npc.simulation.review import draw
from npc.simulation.review.findings import Findings, typical
from npc.simulation.standards.outcome import interventions, telling, title

#: Words per minute that are easy to listen to (National Center for Voice and Speech: about 150 in conversation).
EASY_RATE = (120.0, 180.0)
_OUTCOMES = {
    "running": "still running",
    "completed": "finished",
    "failed": "ended badly",
    "timeout": "time ran out",
    "abandoned": "broken off",
    "ended_by_instructor": "ended by the instructor",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Words of a turn that carry the same evidence: numbers of items met and not met there."""

    text: str
    start_s: float
    met: tuple[int, ...] = ()
    missed: tuple[int, ...] = ()


def render(found: Findings, sound: str | None = None, *, names: tuple[str, str] = ("Trainee", "Character")) -> str:
    """The report. `sound` is a data URI of the attempt from second 0; `names` stand on the lanes."""
    attempt = found.attempt
    files = resources.files("npc.simulation.review")
    script = (files / "report.js").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files / "report.html").read_text(encoding="utf-8"))
    return template.render(
        found=found,
        attempt=attempt,
        sound=sound,
        names=names,
        style=Markup((files / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        policy=policy(script),
        outcome=_OUTCOMES[attempt.outcome],
        day=datetime.fromtimestamp(attempt.began, UTC).strftime("%-d %B %Y, %H:%M UTC"),
        length=draw.clock(attempt.duration_s),
        clock=draw.clock,
        title=title,
        telling=telling,
        runs={turn.n: runs(found, turn) for turn in attempt.turns},
        interventions=_between(attempt),
        drawings={name: Markup(svg) for name, svg in _drawings(found, names).items()},
        answer=typical(found.delays),
        states={"met": "Met", "not_met": "Not met", "not_observed": "Not observed"},
    )


def policy(script: str) -> str:
    """Content-Security-Policy of the report: its one script, by hash, and nothing from anywhere."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _drawings(found: Findings, names: tuple[str, str]) -> dict[str, str]:
    length = found.attempt.duration_s
    return {
        "timeline": draw.timeline(found, names),
        "scale": draw.score_scale(found),
        "balance": draw.talk_balance(found, names),
        "delays": draw.delay_bars(found),
        "rate": draw.over_time(found.rates, length, "Speaking rate", "words a minute", EASY_RATE),
        "loudness": draw.over_time(found.loudness, length, "Loudness", "decibels"),
        "pitch": draw.over_time(found.pitch, length, "Pitch", "hertz"),
        "progress": draw.progress(found),
        "others": draw.among_others(found),
    }


def runs(found: Findings, turn: Turn) -> list[Run]:
    """The turn's words, cut where the evidence changes."""
    words = turn.text.split()
    met: list[list[int]] = [[] for _ in words]
    missed: list[list[int]] = [[] for _ in words]
    for number, item in enumerate(found.items, 1):
        for piece in telling(item):
            if piece.turn != turn.n:
                continue
            for at in range(piece.word_start, min(piece.word_end, len(words))):
                (met if item.state == "met" else missed)[at].append(number)
    made: list[Run] = []
    first = 0
    for at in range(1, len(words) + 1):
        if at == len(words) or (met[at], missed[at]) != (met[first], missed[first]):
            moment = turn.words[first].start_s if first < len(turn.words) else turn.start_s
            made.append(Run(" ".join(words[first:at]), moment, tuple(met[first]), tuple(missed[first])))
            first = at
    return made


def _between(attempt: Attempt) -> dict[int, list[object]]:
    """What the instructor did, by the number of the turn that it came before; 0 for after the last."""
    placed: dict[int, list[object]] = {}
    for one in interventions(attempt):
        after = next((turn.n for turn in attempt.turns if turn.start_s > one.at_s), 0)
        placed.setdefault(after, []).append(one)
    return placed


def names_of(attempt: Attempt, characters: Sequence[str] = ()) -> tuple[str, str]:
    """What to call the two sides: the trainee is "Trainee"; the character by its id, as a name."""
    known = [*characters, *(turn.character for turn in attempt.turns if turn.character)]
    return "Trainee", known[0].split("-")[0].capitalize() if known else "Character"
