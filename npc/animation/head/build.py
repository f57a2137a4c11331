"""Build the heads: `python -m npc.animation.head.build [--out demo/assets/heads] [--look NAME]`.

Each file carries the fingerprint of the look and of these sources in `asset.extras`; a test compares it, so that a
change here without rebuilding is noticed. Needs scipy (a development dependency).
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.channels import ARKIT52
from npc.animation.head.bust import clothes, neck
from npc.animation.head.glb import Mesh, Node, Primitive, write_glb
from npc.animation.head.hair import hair
from npc.animation.head.looks import LOOKS, Look, look
from npc.animation.head.parts import (
    Part,
    brows,
    catchlight,
    cavity,
    ears,
    eyeball,
    horns,
    join,
    lashes,
    moustache,
    teeth,
    tongue,
    tongue_out,
)
from npc.animation.head.shape import Eye, Shape
from npc.animation.head.skin import build_skin, skin_colours
from npc.animation.head.targets import Region, Targets, jaw_turn, region

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Metres per building unit: a head 0.23 m high.
SCALE: Final = 0.125
#: The head turns about this point (building units): the top of the neck.
PIVOT: Final = np.array([0.0, -0.62, -0.14])
#: The bust's foot, where the file's origin is.
FLOOR: Final = -2.5

MATERIALS: Final[dict[str, dict[str, Any]]] = {
    "skin": {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.52}},
    "eyes": {
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.12},
    },
    "catchlight": {
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.4},
        "emissiveFactor": [0.85, 0.85, 0.85],
    },
    "lashes": {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8}, "doubleSided": True},
    "brows": {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.75}, "doubleSided": True},
    "teeth": {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.25}, "doubleSided": True},
    "mouth": {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.45}, "doubleSided": True},
    "hair": {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.48}, "doubleSided": True},
    "cloth": {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9}, "doubleSided": True},
    "horn": {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.6}},
}


def welded(points: Floats) -> Ints:
    """For every vertex the first one at the same place: doubled rings (colour edges) and poles share their normal."""
    _, first, inverse = np.unique(np.round(points, 6), axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.reshape(-1)])


def normals_of(points: Floats, triangles: Ints, same: Ints | None = None) -> Floats:
    """Smooth vertex normals [n, 3], weighted by area; `same` as `welded` gives it."""
    corners = triangles if same is None else same[triangles]
    a, b, c = (points[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros_like(points)
    for k in range(3):
        np.add.at(total, corners[:, k], face)
    if same is not None:
        total = total[same]
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12))


def _primitive(
    material: str, points: Floats, triangles: Ints, colours: Floats, targets: dict[str, Floats], origin: Floats
) -> Primitive:
    # The lips touch but are two surfaces; everything else that touches is one.
    same = None if material == "skin" else welded(points)
    normals = normals_of(points, triangles, same)
    shaped = {
        name: (
            move * SCALE,
            normals_of(points + move, triangles, same) - normals if np.abs(move).max() > 1e-9 else np.zeros_like(move),
        )
        for name, move in targets.items()
    }
    return Primitive((points - origin) * SCALE, normals, triangles, material, colours, shaped)


def _part_targets(piece: Part, extra: dict[str, Floats] | None = None) -> dict[str, Floats]:
    """Targets of something fixed to the skull or the jaw."""
    jaw = piece.jaw[:, None]
    moves = {
        "jawOpen": jaw_turn(piece.points) * jaw,
        "jawForward": jaw * np.array([0.0, 0.0, 0.09]),
        "jawLeft": jaw * np.array([0.09, 0.0, 0.0]),
        "jawRight": jaw * np.array([-0.09, 0.0, 0.0]),
        **(extra or {}),
    }
    return {name: moves.get(name, np.zeros_like(piece.points)) for name in ARKIT52}


def _face(shape: Shape) -> Mesh:
    skin = build_skin(shape)
    contact = skin.points[skin.contact_upper]
    fields = Targets(Eye(shape), contact)
    skin_targets = fields.all(Region(skin.points, skin.side, skin.lip))
    # The corners belong to both lips; the upper contact row and the lower one see the same rest position but other
    # sides.
    lower_sum = skin_targets["jawOpen"][skin.contact_lower] + skin_targets["mouthClose"][skin.contact_lower]
    upper_sum = skin_targets["jawOpen"][skin.contact_upper] + skin_targets["mouthClose"][skin.contact_upper]
    assert np.abs(lower_sum - upper_sum).max() < 1e-6, "mouthClose must undo jawOpen exactly"
    parts = [_primitive("skin", skin.points, skin.triangles, skin_colours(skin, shape), skin_targets, PIVOT)]

    def on_face(material: str, piece: Part, still: tuple[str, ...] = ()) -> None:
        targets = fields.all(region(piece.points))
        targets |= {name: np.zeros_like(piece.points) for name in ARKIT52 if name.startswith(still)} if still else {}
        parts.append(_primitive(material, piece.points, piece.triangles, piece.colours, targets, PIVOT))

    on_face("brows", join([brows(shape), moustache(shape)]) if shape.look.moustache else brows(shape), still=("eye",))
    on_face("lashes", lashes(shape))
    eyes = [eyeball(shape, 1.0), eyeball(shape, -1.0)]
    turned = [fields.eyeball(e.points, s) for e, s in zip(eyes, (1.0, -1.0), strict=True)]
    both = join(eyes)
    joined = {name: np.concatenate([turned[0][name], turned[1][name]]) for name in ARKIT52}
    parts.append(_primitive("eyes", both.points, both.triangles, both.colours, joined, PIVOT))
    inside = {"teeth": teeth(), "mouth": join([cavity(), tongue()])}
    tongue_points = len(tongue().points)
    for material, piece in inside.items():
        extra = {}
        if material == "mouth":
            out = np.zeros_like(piece.points)
            out[-tongue_points:] = tongue_out(piece.points[-tongue_points:])
            extra["tongueOut"] = out
        parts.append(
            _primitive(material, piece.points, piece.triangles, piece.colours, _part_targets(piece, extra), PIVOT)
        )
    middle = len(skin.contact_upper) // 2
    edge = np.argmin(np.linalg.norm(inside["teeth"].points - np.array([0.0, -0.53, 0.735]), axis=1))
    landmarks = {
        "lipUpper": skin.contact_upper.tolist(),
        "lipLower": skin.contact_lower.tolist(),
        "lipMiddle": middle,
        "lidUpper": skin.lid_upper.tolist(),
        "lidLower": skin.lid_lower.tolist(),
        "upperTeethPrimitive": 4,
        "upperTeethEdge": int(edge),
    }
    return Mesh("Face", tuple(parts), {"landmarks": landmarks})


def _still(name: str, pieces: dict[str, Part], origin: Floats) -> Mesh:
    return Mesh(name, tuple(_primitive(m, p.points, p.triangles, p.colours, {}, origin) for m, p in pieces.items()))


def fingerprint(which: Look) -> str:
    """Hash of the look and of everything that shapes the file; another look beside it (`looks.py`) does not."""
    digest = hashlib.sha256(repr(astuple(which)).encode())
    here = Path(__file__).resolve().parent
    sources = [source for source in sorted(here.glob("*.py")) if source.name != "looks.py"]
    for source in (*sources, here.parent / "channels.py"):
        digest.update(source.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:32]


def build(which: Look) -> bytes:
    """The GLB of one look.

    Nodes: Character > Body, Neck, Head (at the pivot of the head's turns) > Face (52 targets), Hair, Ears.
    """
    shape = Shape(which)
    foot = np.array([0.0, FLOOR, 0.0])
    still = {"hair": hair(shape), "skin": ears(shape)}
    catch = join([catchlight(shape, 1.0), catchlight(shape, -1.0)])
    still["catchlight"] = catch
    if which.horns:
        still["horn"] = horns(shape)
    pivot = (PIVOT - foot) * SCALE
    root = Node(
        "Character",
        children=(
            Node("Body", mesh=_still("Body", {"cloth": clothes(shape)}, foot)),
            Node("Neck", mesh=_still("Neck", {"skin": neck(shape)}, foot)),
            Node(
                "Head", (float(pivot[0]), float(pivot[1]), float(pivot[2])),
                children=(Node("Face", mesh=_face(shape)), Node("Hair", mesh=_still("Hair", still, PIVOT))),
            ),
        ),
    )  # fmt: skip
    asset = {
        "generator": "npc.animation.head",
        "copyright": "Apache-2.0, the npc authors",
        "extras": {"look": which.name, "title": which.title, "fingerprint": fingerprint(which)},
    }
    used = {name: m for name, m in MATERIALS.items() if name != "horn" or which.horns}
    return write_glb(root, used, asset)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="npc.animation.head.build", description="build the demo heads as GLB files")
    parser.add_argument("--out", type=Path, default=Path("demo/assets/heads"))
    parser.add_argument("--look", choices=[x.name for x in LOOKS], help="only this one")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    for which in [look(options.look)] if options.look else LOOKS:
        path = options.out / f"{which.name}.glb"
        path.write_bytes(build(which))
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
