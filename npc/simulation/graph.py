"""The story of a scenario as a picture: sections in layers from the start to the ends, ways between them. Plain SVG.

    layer 0      layer 1       layer 2          ── decision   ╌╌ timed   ┄┄ trigger
    [opening] ──▶ [calmer] ──▶ [closing]        double frame: an end; red: it ends badly

Layers are distances from the start; inside a layer sections stand near what leads to them (two sweeps of the
barycentre method, Sugiyama et al. 1981), which is enough for stories that a person can still follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from npc.dialogue.narrative import Narrative, Section
from npc.simulation.package import Package

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 190, 78, 150, 44, 36
_COLOURS = {"decision": "#1f4e79", "timed": "#a15c00", "trigger": "#6b3fa0"}
_DASHES = {"decision": "", "timed": "7 4", "trigger": "2 4"}


@dataclass(frozen=True, slots=True)
class _Way:
    source: str
    target: str
    kind: str
    label: str


def draw(package: Package) -> str:
    """The graph as an SVG document."""
    story = package.story
    ways = list(_ways(story))
    layers = _layers(story, ways)
    place = {
        name: (MARGIN + x * (WIDTH + GAP_X), MARGIN + 40 + y * (HEIGHT + GAP_Y))
        for x, layer in enumerate(layers)
        for y, name in enumerate(layer)
    }
    width = 2 * MARGIN + len(layers) * WIDTH + (len(layers) - 1) * GAP_X
    height = 2 * MARGIN + 70 + max(len(layer) for layer in layers) * (HEIGHT + GAP_Y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(package.scenario.title)}: the story</title>",
        "<defs>" + "".join(_arrow(kind, colour) for kind, colour in _COLOURS.items()) + "</defs>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="{MARGIN}" font-size="16" font-weight="600">{escape(package.scenario.title)}</text>',
    ]
    for number, (source, target) in enumerate(dict.fromkeys((way.source, way.target) for way in ways)):
        if source in place and target in place:
            shared = [way for way in ways if (way.source, way.target) == (source, target)]
            parts += _edge(place[source], place[target], shared, number)
    for section in story.sections:
        if section.id in place:
            parts.append(_box(section, *place[section.id], start=section.id == story.start))
    parts.append(_legend(MARGIN, height - MARGIN))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ways(story: Narrative) -> Iterator[_Way]:
    for section in story.sections:
        for decision in section.decisions:
            yield _Way(section.id, decision.to, "decision", decision.id)
        for timed in section.timed:
            if timed.go is not None:
                label = f"{timed.after:g} s" + (" silent" if timed.of == "silence" else "")
                yield _Way(section.id, timed.go, "timed", label)
        for trigger in section.triggers:
            if trigger.go is not None:
                yield _Way(section.id, trigger.go, "trigger", trigger.event or "")


def _layers(story: Narrative, ways: list[_Way]) -> list[list[str]]:
    depth = {story.start: 0}
    waiting = [story.start]
    while waiting:
        name = waiting.pop(0)
        for way in ways:
            if way.source == name and way.target not in depth:
                depth[way.target] = depth[name] + 1
                waiting.append(way.target)
    last = max(depth.values(), default=0)
    for section in story.sections:
        # Ends stand together on the right; what cannot be reached stands below the start.
        if section.end and section.id in depth:
            depth[section.id] = max(last, 1)
        depth.setdefault(section.id, 0)
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for section in story.sections:
        layers[depth[section.id]].append(section.id)
    layers = [layer for layer in layers if layer]
    for _ in range(2):
        for x in range(1, len(layers)):
            above = {name: y for y, name in enumerate(layers[x - 1])}

            def centre(name: str, above: dict[str, int] = above) -> float:
                from_above = [above[way.source] for way in ways if way.target == name and way.source in above]
                return sum(from_above) / len(from_above) if from_above else len(above)

            layers[x].sort(key=centre)
    return layers


def _box(section: Section, x: int, y: int, start: bool) -> str:
    fill = "#e8f0f8" if start else "#f6f6f4"
    stroke = "#333333"
    if section.end:
        fill, stroke = ("#fbe9e7", "#b3261e") if section.outcome == "failed" else ("#e6f4ea", "#1e7a34")
    notes = [text for text in (
        f"{len(section.objectives)} objectives" if section.objectives else "",
        f"{len(section.timed)} timed" if section.timed else "",
    ) if text]  # fmt: skip
    frame = f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{fill}" stroke="{stroke}"/>'
    if section.end:
        frame += (
            f'<rect x="{x + 4}" y="{y + 4}" width="{WIDTH - 8}" height="{HEIGHT - 8}" rx="5" fill="none" '
            f'stroke="{stroke}"/>'
        )
    lines = [f'<text x="{x + 12}" y="{y + 26}" font-weight="600">{escape(section.id)}</text>']
    lines.append(f'<text x="{x + 12}" y="{y + 44}">{escape(_cut(section.title, 27))}</text>')
    lines.append(f'<text x="{x + 12}" y="{y + 62}" fill="#666666">{escape(", ".join(notes))}</text>')
    return frame + "".join(lines)


def _edge(source: tuple[int, int], target: tuple[int, int], ways: list[_Way], number: int) -> list[str]:
    kind = ways[0].kind
    label = ", ".join(way.label for way in ways if way.label)
    (x1, y1), (x2, y2) = source, target
    if x2 > x1:
        begin, end = (x1 + WIDTH, y1 + HEIGHT // 2), (x2, y2 + HEIGHT // 2)
        bend = max(40, (end[0] - begin[0]) // 2)
        path = f"M{begin[0]},{begin[1]} C{begin[0] + bend},{begin[1]} {end[0] - bend},{end[1]} {end[0]},{end[1]}"
        # Near the source, where ways of one section have not met others yet.
        at = (begin[0] + (end[0] - begin[0]) * 0.3, begin[1] + (end[1] - begin[1]) * 0.22 - 5)
    elif x1 == x2:
        below = y2 > y1
        begin = (x1 + WIDTH // 2, y1 + (HEIGHT if below else 0))
        end = (x2 + WIDTH // 2, y2 + (0 if below else HEIGHT))
        path = f"M{begin[0]},{begin[1]} L{end[0]},{end[1]}"
        at = (begin[0] + 8, (begin[1] + end[1]) / 2 + 4)
    else:
        begin, end = (x1 + WIDTH // 2, y1), (x2 + WIDTH // 2, y2)
        top = min(y1, y2) - 26 - 8 * (number % 3)
        path = f"M{begin[0]},{begin[1]} C{begin[0]},{top} {end[0]},{top} {end[0]},{end[1]}"
        at = ((begin[0] + end[0]) / 2, top + 12)
    colour, dash = _COLOURS[kind], _DASHES[kind]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return [
        f'<path d="{path}" fill="none" stroke="{colour}"{dashed} marker-end="url(#{kind})"/>',
        f'<text x="{at[0]:.0f}" y="{at[1]:.0f}" fill="{colour}" font-size="11" paint-order="stroke" stroke="#ffffff" '
        f'stroke-width="3">{escape(_cut(label, 26))}</text>',
    ]


def _arrow(kind: str, colour: str) -> str:
    return (
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z" fill="{colour}"/></marker>'
    )


def _legend(x: int, y: int) -> str:
    parts = []
    for number, (kind, colour) in enumerate(_COLOURS.items()):
        at = x + number * 150
        dash = f' stroke-dasharray="{_DASHES[kind]}"' if _DASHES[kind] else ""
        parts.append(f'<path d="M{at},{y - 4} h36" stroke="{colour}"{dash}/>')
        parts.append(f'<text x="{at + 44}" y="{y}" fill="{colour}">{kind}</text>')
    return "".join(parts)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
