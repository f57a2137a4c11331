"""Draw the tracks of one sentence: `python -m npc.bench.animation_picture [--out docs/images/animation.svg]`.

One picture of the room: the sound, its phones and viseme cues, the mouth channels, the lips' gap on the vertices of
our head, and the eyes and body cues, all on the same samples. Written as SVG without a plotting library.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from npc.animation import Affect, BodyCue, FaceAnimator, VisemeCue
from npc.animation.channels import INDEX
from npc.animation.head.measure import HeadRuler
from npc.bench.spoken import Spoken
from npc.config.paths import data_dir
from npc.tts.flite import FliteSettings, FliteVoice
from npc.tts.interface import SpeechRequest

Floats = NDArray[np.float64]

TEXT: Final = "Welcome, friend! Maybe you move the five pumpkins for me?"
_WIDTH, _LEFT, _RIGHT = 1180, 110, 12
_CURVES: Final = (
    ("jawOpen", "#2b6cb0"), ("mouthPucker", "#b83280"), ("mouthFunnel", "#d69e2e"), ("mouthRollLower", "#2f855a"),
    ("mouthClose", "#c53030"),
)  # fmt: skip
_UPPER: Final = (("eyeBlinkLeft", "#4a5568"), ("browInnerUp", "#805ad5"), ("mouthSmileLeft", "#dd6b20"))
_TINT: Final = {"PP": "#feb2b2", "FF": "#9ae6b4", "sil": "#edf2f7", "ou": "#fbb6ce", "oh": "#fbd38d", "aa": "#90cdf4"}


def _speak() -> Spoken:
    voice = FliteVoice(FliteSettings("slt"))
    try:
        chunks = list(voice.synthesize(SpeechRequest(TEXT)))
        pcm = np.concatenate([c.pcm for c in chunks])
        return Spoken(TEXT, "slt", voice.sample_rate, pcm, tuple(p for c in chunks for p in c.phones), -20.0)
    finally:
        voice.close()


class _Svg:
    """Rows of a timeline, written top down."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._items: list[str] = []
        self.y = 10.0

    def x(self, seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / self._seconds

    def label(self, text: str, height: float) -> None:
        self._items.append(
            f'<text x="{_LEFT - 8}" y="{self.y + height / 2 + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        )

    def box(self, start: float, end: float, height: float, fill: str, text: str) -> None:
        x0, x1 = self.x(start), self.x(end)
        wide = max(0.5, x1 - x0 - 0.6)
        self._items.append(f'<rect x="{x0:.1f}" y="{self.y:.1f}" width="{wide:.1f}" height="{height}" fill="{fill}"/>')
        if x1 - x0 > 7 * len(text):
            middle = (x0 + x1) / 2
            self._items.append(
                f'<text x="{middle:.1f}" y="{self.y + height - 5:.1f}" text-anchor="middle">{escape(text)}</text>'
            )

    def curve(
        self, times: Floats, values: Floats, height: float, colour: str, base: float = 1.0, width: float = 1.6
    ) -> None:
        points = " ".join(
            f"{self.x(t):.1f},{self.y + height * (base - v):.1f}" for t, v in zip(times, values, strict=True)
        )
        self._items.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def note(self, x: float, y: float, text: str, colour: str) -> None:
        self._items.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{escape(text)}</text>')

    def mark(self, seconds: float, height: float, text: str, colour: str) -> None:
        x = self.x(seconds)
        self._items.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{self.y:.1f}" y2="{self.y + height:.1f}" stroke="{colour}"/>'
            f'<text x="{x + 3:.1f}" y="{self.y + height - 4:.1f}" fill="{colour}">{escape(text)}</text>'
        )

    def text(self) -> str:
        body = "\n".join(self._items)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {self.y:.0f}" font-family="sans-serif" '
            f'font-size="11"><rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
        )


def draw() -> str:
    """The picture as SVG text."""
    spoken = _speak()
    rate, end = spoken.rate, len(spoken.pcm)
    stream = FaceAnimator().open(rate, 60, 12)
    updates = [stream.push(spoken.phones, end, Affect("joy", 0.6, 0.6, 0.3, 0.1)), stream.finish(end)]
    frames = np.concatenate([u.blendshapes.frames for u in updates if u.blendshapes is not None]) / 255.0
    times = np.arange(len(frames)) * round(rate / 60) / rate
    ruler = HeadRuler.read(data_dir("demo") / "assets" / "heads" / "marrow.glb")
    svg = _Svg(float(times[-1]))
    _sound(svg, spoken)
    _cues(svg, spoken, [c for u in updates for c in u.visemes])
    for title, height, curves in (("mouth", 110.0, _CURVES), ("face", 60.0, _UPPER)):
        svg.label(title, height)
        for k, (name, colour) in enumerate(curves):
            svg.curve(times, frames[:, INDEX[name]], height, colour)
            svg.note(_LEFT + 6 + 105 * k, svg.y + 10, name, colour)
        svg.y += height + 8
    svg.label("lip gap", 46)
    svg.curve(times, np.minimum(1.0, 2.0 * ruler.lip_gaps(frames) / ruler.open_gap), 46, "#1a202c")
    svg.note(_LEFT + 6, svg.y + 10, "measured on the vertices of marrow.glb; 0 = lips shut", "#1a202c")
    svg.y += 54
    _body(svg, rate, [c for u in updates for c in u.body])
    return svg.text()


def _sound(svg: _Svg, spoken: Spoken) -> None:
    svg.label("sound", 44)
    step = spoken.rate // 250
    peaks = np.abs(spoken.pcm[: len(spoken.pcm) // step * step].astype(float)).reshape(-1, step).max(axis=1) / 32768.0
    at = np.arange(len(peaks)) * step / spoken.rate
    for sign in (1.0, -1.0):
        svg.curve(at, sign * peaks * 0.7, 44, "#718096", 0.5, 1.0)
    svg.y += 50


def _cues(svg: _Svg, spoken: Spoken, visemes: list[VisemeCue]) -> None:
    rate = spoken.rate
    svg.label("phones", 18)
    for phone in spoken.phones:
        svg.box(phone.span.start / rate, phone.span.end / rate, 18, "#e2e8f0" if phone.ipa else "#f7fafc", phone.ipa)
    svg.y += 22
    svg.label("viseme cues", 18)
    for cue in visemes:
        svg.box(cue.at / rate, cue.until / rate, 18, _TINT.get(cue.viseme, "#cbd5e0"), cue.viseme)
    svg.y += 26


def _body(svg: _Svg, rate: int, cues: list[BodyCue]) -> None:
    for kind, colour in (("gaze", "#2c7a7b"), ("blink", "#4a5568"), ("head", "#6b46c1"), ("gesture", "#c05621")):
        svg.label(kind, 18)
        for cue in cues:
            if cue.kind == kind:
                svg.mark((cue.stroke if cue.stroke is not None else cue.at) / rate, 18, cue.name, colour)
        svg.y += 20


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="npc.bench.animation_picture", description="draw the tracks of one sentence")
    parser.add_argument("--out", type=Path, default=Path("docs/images/animation.svg"))
    path: Path = parser.parse_args(argv).out
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draw(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
