"""Charts of the report as inline SVG: drawn here, styled by the page's CSS, read aloud by their titles.

Every chart carries a role and a sentence that says what it shows; colour never carries a meaning alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from npc.simulation.attempt import Attempt
from npc.simulation.review.findings import Findings, Measured, typical
from npc.simulation.standards.outcome import interventions, telling, title

_MARK = {"met": "met", "not_met": "missed", "not_observed": "unseen"}


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps `low`…`high` to `start`…`end` in the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return round(self.start + (self.end - self.start) * (value - self.low) / span, 1)


def clock(seconds: float) -> str:
    """m:ss."""
    whole = int(max(0.0, seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def _svg(width: float, height: float, title: str, parts: Sequence[str], name: str, role: str = "img") -> str:
    head = f'<svg class="{name}" viewBox="0 0 {width:g} {height:g}" role="{role}" aria-label="{escape(title)}">'
    return "".join((head, f"<title>{escape(title)}</title>", *parts, "</svg>"))


def _text(x: float, y: float, text: str, name: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{name}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{name}"/>'


def _ticks(length: float) -> list[float]:
    """About eight round moments between 0 and `length` seconds."""
    for step in (5, 10, 15, 30, 60, 120, 300, 600, 1800):
        if length / step <= 9:
            break
    return [step * n for n in range(int(length // step) + 1)]


# -- timeline --

_LEFT, _RIGHT, _WIDTH = 86.0, 992.0, 1000.0


def timeline(found: Findings, names: tuple[str, str]) -> str:
    """Both voices, the sections of the story, where each item was decided, and what the instructor did."""
    attempt = found.attempt
    length = max([attempt.duration_s, *(turn.end_s for turn in attempt.turns), 1.0])
    at = _Scale(0, length, _LEFT, _RIGHT)
    marks, rows = _marks(found, at)
    lanes = {"trainee": 56.0, "character": 88.0}
    base = 122.0 + rows * 25
    parts = [*_sections(attempt, at, length, base), _text(0, lanes["trainee"] + 15, names[0], "lane")]
    parts.append(_text(0, lanes["character"] + 15, names[1], "lane"))
    for turn in attempt.turns:
        x, y = at(turn.start_s), lanes[turn.speaker]
        width = max(4.0, at(turn.end_s) - x)
        kind = f"bar {turn.speaker}" + (" cut" if turn.interrupted else "") + ("" if turn.spoken else " typed")
        parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="22" rx="3" class="{kind}" data-at="{turn.start_s:g}"'
            f' data-until="{turn.end_s:g}"><title>{escape(f"{clock(turn.start_s)} {turn.text}")}</title></rect>'
        )
    if rows:
        parts.append(_text(0, 136, "Decided by", "lane"))
    parts += marks
    parts += _interventions(attempt, at, base)
    lowest = base + (30 if interventions(attempt) else 6)
    parts.append(_line(_LEFT, lowest, _RIGHT, lowest, "axis"))
    for tick in _ticks(length):
        parts.append(_line(at(tick), lowest, at(tick), lowest + 5, "axis"))
        parts.append(_text(at(tick), lowest + 19, clock(tick), "tick", "middle"))
    parts.append(
        f'<line x1="{_LEFT:g}" y1="30" x2="{_LEFT:g}" y2="{lowest:g}" class="playhead" '
        f'data-scale="{_LEFT:g} {_RIGHT:g} {length:g}"/>'
    )
    title = f"Timeline of {clock(length)} minutes with {len(attempt.turns)} turns"
    # A picture with links in it is a group to those who hear it.
    return _svg(_WIDTH, lowest + 26, title, parts, "timeline", role="group")


def _sections(attempt: Attempt, at: _Scale, length: float, base: float) -> list[str]:
    entered = [event for event in attempt.events if event.kind == "section_entered"]
    ends = [*(event.at_s for event in entered[1:]), length][: len(entered)]
    parts = []
    for n, (event, end) in enumerate(zip(entered, ends, strict=True)):
        x = at(event.at_s)
        width = max(0.0, at(end) - x)
        parts.append(f'<rect x="{x:g}" y="30" width="{width:g}" height="{base - 30:g}" class="section s{n % 2}"/>')
        if width > 40:
            parts.append(_text(x + 6, 22, event.name.replace("_", " ").replace("-", " "), "section-name"))
    return parts


def _marks(found: Findings, at: _Scale) -> tuple[list[str], int]:
    """A numbered mark for each piece of evidence, in rows so that none hides another; and how many rows."""
    cited = sorted(
        ((one, piece) for one in found.items for piece in telling(one)), key=lambda pair: pair[1].start_s
    )  # fmt: skip
    ends: list[float] = []
    parts = []
    for item, piece in cited:
        x = at((piece.start_s + piece.end_s) / 2)
        row = next((n for n, end in enumerate(ends) if x - end >= 24), len(ends))
        ends[row : row + 1] = [x]
        y, number = 132.0 + row * 25, found.number(item.item)
        label = f"{title(item)}: {_STATE[item.state]}. {clock(piece.start_s)}, {piece.quote}"
        parts.append(
            f'<a href="#item-{number}" class="mark {_MARK[item.state]}" data-at="{piece.start_s:g}" '
            f'data-until="{piece.end_s:g}"><title>{escape(label)}</title>{_sign(x, y, item.state)}'
            f"{_text(x, y + 4, str(number), 'number', 'middle')}</a>"
        )
    return parts, len(ends)


_STATE = {"met": "met", "not_met": "not met", "not_observed": "not observed"}


def _sign(x: float, y: float, state: str) -> str:
    """A disc for met, a square for not met: told apart without colour."""
    if state == "met":
        return f'<circle cx="{x:g}" cy="{y:g}" r="10.5"/>'
    return f'<rect x="{x - 10:g}" y="{y - 10:g}" width="20" height="20" rx="3"/>'


def _interventions(attempt: Attempt, at: _Scale, base: float) -> list[str]:
    done = interventions(attempt)
    if not done:
        return []
    parts = [_text(0, base + 17, "Instructor", "lane")]
    for one in done:
        x, y = at(one.at_s), base + 12
        label = f"{clock(one.at_s)} {one.action.replace('_', ' ')}: {one.text}".rstrip(": ")
        shape = f'<path d="M{x:g} {y - 8:g}l8 8l-8 8l-8 -8z"/>'
        parts.append(f'<g class="hand">{shape}<title>{escape(label)}</title></g>')
    return parts


# -- figures --


def score_scale(found: Findings) -> str:
    """The score on a line from 0 to 100, with the pass mark and the earlier attempts."""
    attempt = found.attempt
    at = _Scale(0, 100, 12, 488)
    parts = [_line(12, 26, 488, 26, "axis")]
    parts += [_line(at(tick), 22, at(tick), 30, "axis") for tick in (0, 25, 50, 75, 100)]
    mark = at(attempt.pass_mark)
    parts += [_line(mark, 12, mark, 40, "goal"), _text(mark, 54, f"pass {attempt.pass_mark:g}", "tick", "middle")]
    for one in found.earlier:
        if one.score is not None:
            parts.append(f'<circle cx="{at(one.score):g}" cy="26" r="5" class="before"/>')
    if attempt.score is not None:
        kind = "met" if attempt.passed else "missed"
        parts.append(f'<circle cx="{at(attempt.score):g}" cy="26" r="9" class="now {kind}"/>')
    title = f"Score {attempt.score:.0f} of 100" if attempt.score is not None else "No score"
    return _svg(500, 60, title, parts, "scale")


def talk_balance(found: Findings, names: tuple[str, str]) -> str:
    """One bar: the trainee, the character, and silence."""
    spent = found.balance
    total = spent.trainee + spent.character - spent.overlap + spent.silence or 1.0
    at = _Scale(0, total, 0, 480)
    shares = (("trainee", spent.trainee), ("character", spent.character - spent.overlap), ("silence", spent.silence))
    parts, x = [], 0.0
    for kind, seconds in shares:
        width = at(seconds)
        parts.append(f'<rect x="{x:g}" y="0" width="{width:g}" height="30" class="bar {kind}"/>')
        if width > 44:
            parts.append(_text(x + width / 2, 20, f"{100 * seconds / total:.0f} %", f"on {kind}", "middle"))
        x += width
    x = 0.0
    for label, kind in ((names[0], "trainee"), (names[1], "character"), ("silence", "silence")):
        parts.append(f'<rect x="{x:g}" y="44" width="12" height="12" rx="2" class="bar {kind}"/>')
        parts.append(_text(x + 18, 54, label, "tick"))
        x += 44 + 7.5 * len(label)
    return _svg(480, 62, f"{names[0]} spoke {100 * spent.share:.0f} % of the spoken time", parts, "balance")


def delay_bars(found: Findings) -> str:
    """How long the trainee let the character wait, answer by answer."""
    measured = found.delays
    if not measured:
        return ""
    high = max(2.0, max(one.value for one in measured))
    up = _Scale(0, high, 130, 22)
    step = min(64.0, 440.0 / len(measured))
    parts = [_line(34, 130, 480, 130, "axis")]
    apart = next((step for step in (0.5, 1, 2, 5, 10, 30) if high / step <= 4), 60)
    for tick in (apart * n for n in range(int(high / apart) + 1)):
        parts += [_line(34, up(tick), 480, up(tick), "rule"), _text(28, up(tick) + 4, f"{tick:g}", "tick", "end")]
    for n, one in enumerate(measured):
        x, y = 40 + n * step, up(one.value)
        parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{step * 0.62:g}" height="{130 - y:g}" class="bar trainee">'
            f"<title>{escape(f'Answer at {clock(one.at_s)}: {one.value:.1f} s')}</title></rect>"
        )
        if len(measured) <= 14:
            parts.append(_text(x + step * 0.31, y - 5, f"{one.value:.1f}", "tick", "middle"))
            parts.append(_text(x + step * 0.31, 147, clock(one.at_s), "tick", "middle"))
    middle = typical(measured)
    return _svg(480, 154, f"Delay of {len(measured)} answers, typically {middle:.1f} seconds", parts, "delays")


def over_time(
    measured: Sequence[Measured], length: float, label: str, unit: str, band: tuple[float, float] | None = None
) -> str:
    """A measurement of the trainee's turns along the attempt; `band` is the range that is easy to listen to."""
    if len(measured) < 2:
        return ""
    values = [one.value for one in measured]
    low, high = min(values), max(values)
    if band is not None:
        low, high = min(low, band[0]), max(high, band[1])
    room = (high - low or 1.0) * 0.15
    up, at = _Scale(low - room, high + room, 92, 10), _Scale(0, max(length, 1.0), 34, 470)
    parts = []
    if band is not None:
        top, bottom = up(band[1]), up(band[0])
        parts.append(f'<rect x="34" y="{top:g}" width="436" height="{bottom - top:g}" class="band"/>')
    parts.append(_line(34, 92, 470, 92, "axis"))
    parts += [_text(28, up(value) + 4, f"{value:.0f}", "tick", "end") for value in (min(values), max(values))]
    points = [(at(one.at_s), up(one.value)) for one in measured]
    parts += [_line(*a, *b, "trace") for a, b in pairwise(points)]
    parts += [f'<circle cx="{x:g}" cy="{y:g}" r="4" class="dot"/>' for x, y in points]
    return _svg(480, 98, f"{label} from {min(values):.0f} to {max(values):.0f} {unit}", parts, "trend")


def progress(found: Findings) -> str:
    """The scores of this trainee's attempts, in order; empty without an earlier one."""
    attempts = [*found.earlier, found.attempt]
    if len(attempts) < 2:
        return ""
    at, up = _Scale(0, len(attempts) - 1, 40, 460), _Scale(0, 100, 130, 14)
    parts = [_line(34, 130, 470, 130, "axis")]
    goal = up(found.attempt.pass_mark)
    parts += [_line(34, goal, 470, goal, "goal"), _text(28, goal + 4, f"{found.attempt.pass_mark:g}", "tick", "end")]
    points = [(at(n), up(one.score), one) for n, one in enumerate(attempts) if one.score is not None]
    parts += [_line(a[0], a[1], b[0], b[1], "trace") for a, b in pairwise(points)]
    for x, y, one in points:
        now = one is found.attempt
        parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{7 if now else 5}" class="{"now" if now else "before"}"/>')
        parts.append(_text(x, y - 13, f"{one.score:.0f}", "figure" if now else "tick", "middle"))
        parts.append(_text(x, 148, one.level, "tick", "middle"))
    return _svg(480, 154, f"Scores of {len(points)} attempts", parts, "progress")


def among_others(found: Findings) -> str:
    """This score among those of others at the same level; empty where they are too few."""
    if found.others is None or found.attempt.score is None:
        return ""
    at = _Scale(0, 100, 10, 470)
    parts = [_line(10, 60, 470, 60, "axis")]
    parts += [_text(at(tick), 78, str(tick), "tick", "middle") for tick in (0, 50, 100)]
    stacked: dict[int, int] = {}
    for score in found.others.scores:
        x = int(at(score) // 10)
        parts.append(f'<circle cx="{x * 10 + 5}" cy="{52 - stacked.get(x, 0) * 11}" r="4.5" class="other"/>')
        stacked[x] = stacked.get(x, 0) + 1
    now = at(found.attempt.score)
    parts += [_line(now, 8, now, 60, "goal"), _text(now, 92, "this attempt", "figure", "middle")]
    below = sum(score < found.attempt.score for score in found.others.scores)
    title = f"Better than {below} of {len(found.others.scores)} others at this level"
    return _svg(480, 98, title, parts, "others")
