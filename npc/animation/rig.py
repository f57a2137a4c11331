"""Rig profiles: how our channels drive somebody else's morph targets, as data, and a report of what did not match.

    profile = load_profile("metahuman")            # or a path to your own JSON
    report = detect(names_of_your_mesh)            # which profile fits, what is missing, said once at start-up
    drive = bind(profile, names_of_your_mesh)
    weights = drive.apply(frames)                  # [frames, 52] or [frames, 15] -> [frames, len(names)]

A profile file (`rigs/*.json`; published schema: `docs/schemas/rig.schema.json`) has: `id`, `title`, `source`; `curves`
{rig name: {channel: weight}}; `space` "arkit" (default) or "viseme" (inputs are the Oculus 15); and, all optional,
`jaw` (the name to fall back on), `ratios` {name: [part, whole]} for rigs whose lip closure is relative, `damp` {name:
[channel, gain]}: the name loses gain x channel, `scale` and `offset` {name: number} for calibration (value = clip(scale
x sum + offset, 0, 1), where the sum is above zero, else 0), and `optional` names that may be there and stay at rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from npc.animation.channels import ARKIT52
from npc.animation.interface import OCULUS15
from npc.config import authored

Floats = NDArray[np.float64]

#: Names that open a mouth in rigs of no known kind, most telling first (compared in lower case, without separators).
_JAW_GUESSES: Final = ("jawopen", "mouthopen", "visemeaa", "aa", "mtha", "mouthaah", "openmouth", "a")


class RigError(ValueError):
    """A profile or character file that cannot be used; the message names the file, and line and field of a profile."""


@dataclass(frozen=True, slots=True)
class RigProfile:
    """One kind of rig; see the module's docstring for the fields."""

    id: str
    title: str
    source: str
    curves: Mapping[str, Mapping[str, float]]
    space: str = "arkit"
    jaw: str | None = None
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    damp: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    offset: Mapping[str, float] = field(default_factory=dict)
    optional: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every rig name the profile drives."""
        return (*self.curves, *self.ratios)

    def calibrated(self, scale: Mapping[str, float], offset: Mapping[str, float] | None = None) -> RigProfile:
        """The profile with one rig's own calibration on top. Raises RigError for a name it does not drive."""
        for name in (*scale, *(offset or {})):
            if name not in self.names:
                raise RigError(f"calibration of {name!r}: profile {self.id!r} does not drive it")
        return replace(self, scale={**self.scale, **scale}, offset={**self.offset, **(offset or {})})


class _RigFile(BaseModel):
    """How the channels drive one kind of rig."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    id: str
    title: str
    source: str
    """Where the names were read."""
    curves: Annotated[dict[str, dict[str, float]], Field(min_length=1)]
    """Rig name to channels and their weights."""
    space: Literal["arkit", "viseme"] = "arkit"
    """What the channels are: the 52 of ARKit, or the 15 Oculus visemes."""
    jaw: str | None = None
    """The name to fall back on."""
    ratios: dict[str, tuple[str, str]] = {}
    """Rig name to [part, whole]: for rigs whose lip closure is relative."""
    damp: dict[str, tuple[str, float]] = {}
    """Rig name to [channel, gain]: the name loses gain times the channel."""
    scale: dict[str, float] = {}
    offset: dict[str, float] = {}
    """Added only where the weighted sum is above zero."""
    optional: tuple[str, ...] = ()
    """Names that may be there and stay at rest."""

    def problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Names that lead nowhere: where each stands, and what is wrong with it."""
        channels = set(ARKIT52 if self.space == "arkit" else OCULUS15)
        used: list[tuple[tuple[str, ...], str]]
        used = [(("curves", rig, c), c) for rig, mix in self.curves.items() for c in mix]
        used += [(("ratios", rig), c) for rig, pair in self.ratios.items() for c in pair]
        used += [(("damp", rig), channel) for rig, (channel, _) in self.damp.items()]
        for where, channel in used:
            if channel not in channels:
                yield where, f"{where[1]!r} is driven by {channel!r}, which is no {self.space} channel"
        driven = {*self.curves, *self.ratios}
        for part in ("damp", "scale", "offset"):
            for rig in getattr(self, part):
                if rig not in driven:
                    yield (part, rig), f"neither `curves` nor `ratios` drives {rig!r}"


def schema() -> dict[str, Any]:
    """The published JSON Schema, as committed in `docs/schemas/rig.schema.json`."""
    return authored.published(_RigFile.model_json_schema(), "rig.schema.json", "Rig profile")


def _parse(text: str, where: str) -> RigProfile:
    try:
        file = authored.parse(text, _RigFile, where)
    except authored.AuthoredFileError as error:
        raise RigError(str(error)) from error
    if problems := [
        f"{where}:{authored.line_of(text, at)}: {'.'.join(map(str, at))}: {what}" for at, what in file.problems()
    ]:
        raise RigError("\n".join(problems))
    return RigProfile(**dict(file))


@lru_cache(maxsize=1)
def profiles() -> tuple[RigProfile, ...]:
    """The profiles that ship."""
    folder = resources.files("npc.animation").joinpath("rigs")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    return tuple(_parse(f.read_text(encoding="utf-8"), f.name) for f in files)


def load_profile(name: str | Path) -> RigProfile:
    """A shipped profile by id, or one from a JSON file. Raises RigError naming the profiles there are."""
    for profile in profiles():
        if profile.id == name:
            return profile
    path = Path(name)
    if path.suffix == ".json" and path.is_file():
        try:
            return _parse(authored.read_text(path), str(path))
        except authored.AuthoredFileError as error:
            raise RigError(str(error)) from error
    raise RigError(
        f"no rig profile {str(name)!r}: there are {', '.join(p.id for p in profiles())}, or give a .json file"
    )


@dataclass(frozen=True, slots=True)
class RigReport:
    """How a mesh's names fit: `coverage` in [0, 1] of the profile's names; `jaw` is the single name to fall back on."""

    profile: str | None
    coverage: float
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    jaw: str | None
    message: str


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _strip(names: Iterable[str]) -> dict[str, str]:
    """Mesh names by their last part: exporters prefix the mesh ("Face.jawOpen", "blendShape1.jawOpen")."""
    return {name.rsplit(".", 1)[-1].rsplit(":", 1)[-1]: name for name in names}


def detect(names: Iterable[str]) -> RigReport:
    """The best fitting profile for a mesh's morph target names, with one sentence a person can act on.

    Less than a third of a profile's names is no fit: then one jaw-like name drives the mouth, or nothing does.
    """
    given = _strip(names)
    best = max(profiles(), key=lambda p: sum(n in given for n in p.names) / len(p.names))
    matched = tuple(given[n] for n in best.names if n in given)
    missing = tuple(n for n in best.names if n not in given)
    unknown = tuple(full for short, full in given.items() if short not in best.names and short not in best.optional)
    coverage = len(matched) / len(best.names)
    if coverage >= 1 / 3:
        jaw = given.get(best.jaw or "")
        note = f"; not driven: {', '.join(unknown[:8])}" if unknown else ""
        lack = f"; missing: {', '.join(missing[:8])}{'…' if len(missing) > 8 else ''}" if missing else ""
        message = f"rig fits profile {best.id!r}: {len(matched)} of {len(best.names)} names{lack}{note}"
        return RigReport(best.id, coverage, matched, missing, unknown, jaw, message)
    by_plain = {_plain(short): full for short, full in given.items()}
    jaw = next((by_plain[g] for g in _JAW_GUESSES if g in by_plain), None)
    if not given:
        message = "the mesh has no morph targets: the face cannot move (export it with shape keys)"
    elif jaw is None:
        message = f"no profile fits and no name opens a mouth among {', '.join(list(given)[:8])}: give a profile file"
    else:
        message = f"no profile fits (best {best.id!r}, {coverage:.0%}): {jaw!r} follows the jaw, nothing else moves"
    return RigReport(None, coverage, (), (), tuple(given.values()), jaw, message)


@dataclass(frozen=True, slots=True)
class Binding:
    """A profile bound to a mesh: `matrix` [inputs, names] and the corrections of the profile."""

    names: tuple[str, ...]
    matrix: Floats
    ratios: tuple[tuple[int, int, int], ...]
    damp: tuple[tuple[int, int, float], ...]
    scale: Floats
    offset: Floats

    def apply(self, frames: Floats) -> Floats:
        """Weights [frames, names] in [0, 1] of frames [frames, 52 or 15] in [0, 1]."""
        out = frames @ self.matrix
        for column, part, whole in self.ratios:
            out[:, column] = frames[:, part] / np.maximum(frames[:, whole], 1e-3)
        for column, channel, gain in self.damp:
            out[:, column] -= gain * frames[:, channel]
        out = np.where(out > 0.0, out * self.scale + self.offset, 0.0)
        return np.asarray(np.clip(out, 0.0, 1.0))


def bind(profile: RigProfile, names: Iterable[str]) -> Binding:
    """Bind a profile to a mesh's names in their order; names it does not drive stay 0."""
    order = tuple(names)
    short = {full: s for s, full in _strip(order).items()}
    inputs = {n: i for i, n in enumerate(ARKIT52 if profile.space == "arkit" else OCULUS15)}
    matrix = np.zeros((len(inputs), len(order)))
    ratios, damp = [], []
    scale, offset = np.ones(len(order)), np.zeros(len(order))
    for column, full in enumerate(order):
        name = short.get(full, full)
        for channel, weight in profile.curves.get(name, {}).items():
            matrix[inputs[channel], column] = weight
        if name in profile.ratios:
            part, whole = profile.ratios[name]
            ratios.append((column, inputs[part], inputs[whole]))
        if name in profile.damp:
            channel, gain = profile.damp[name]
            damp.append((column, inputs[channel], gain))
        scale[column] = profile.scale.get(name, 1.0)
        offset[column] = profile.offset.get(name, 0.0)
    return Binding(order, matrix, tuple(ratios), tuple(damp), scale, offset)
