"""GLB (glTF 2.0 binary) writing and reading, only what a head needs.

Morph targets are sparse accessors: indices and values of the vertices that move, nothing for those that do not.
Positions and normals are float32 in the base mesh; target values too, because some engines read no quantised targets.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FLOAT, _U32, _U16, _U8 = 5126, 5125, 5123, 5121
_DTYPES: Final = {_FLOAT: "<f4", _U32: "<u4", _U16: "<u2", _U8: "u1"}
_WIDTH: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
#: A target's vertex that moves (or whose normal turns) less than this stays out of the file: 0.08 mm, 3 degrees.
MOVE_EPSILON: Final = 8e-5
TURN_EPSILON: Final = 0.05


@dataclass(frozen=True, slots=True)
class Primitive:
    """Triangles of one material. `targets` maps a name to (displacement [n, 3], change of normal [n, 3])."""

    points: Floats
    normals: Floats
    triangles: Ints
    material: str
    colours: Floats | None = None
    targets: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mesh:
    """A named mesh; all primitives of a mesh have the same targets in the same order."""

    name: str
    primitives: tuple[Primitive, ...]
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the scene: a mesh or children at `translation` (metres)."""

    name: str
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mesh: Mesh | None = None
    children: tuple[Node, ...] = ()


class _Writer:
    def __init__(self, materials: dict[str, dict[str, Any]]) -> None:
        self.json: dict[str, Any] = {
            "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [], "meshes": [],
            "materials": [dict(m, name=n) for n, m in materials.items()], "accessors": [], "bufferViews": [],
        }  # fmt: skip
        self._material = {name: i for i, name in enumerate(materials)}
        self._data = bytearray()

    def _view(self, array: NDArray[Any], target: int | None = None) -> int:
        self._data += b"\0" * (-len(self._data) % 4)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self._data), "byteLength": array.nbytes}
        if target:
            view["target"] = target
        self._data += array.tobytes()
        self.json["bufferViews"].append(view)
        return len(self.json["bufferViews"]) - 1

    def _accessor(self, **fields: Any) -> int:
        self.json["accessors"].append(fields)
        return len(self.json["accessors"]) - 1

    def _vectors(self, values: Floats, bounds: bool) -> int:
        data = values.astype("<f4")
        extra = {"min": data.min(axis=0).tolist(), "max": data.max(axis=0).tolist()} if bounds else {}
        return self._accessor(
            bufferView=self._view(data, 34962), componentType=_FLOAT, count=len(data), type="VEC3", **extra
        )

    def _colours(self, values: Floats) -> int:
        data = np.full((len(values), 4), 255, np.uint8)
        data[:, :3] = np.rint(np.clip(values, 0, 1) * 255)
        view = self._view(data, 34962)
        return self._accessor(bufferView=view, componentType=_U8, normalized=True, count=len(data), type="VEC4")

    def _sparse(self, values: Floats, epsilon: float, bounds: bool) -> int:
        moved = np.flatnonzero(np.abs(values).max(axis=1) > epsilon)
        fields: dict[str, Any] = {"componentType": _FLOAT, "count": len(values), "type": "VEC3"}
        data = values[moved].astype("<f4")
        if bounds:
            every = np.concatenate([data, np.zeros((1, 3), "<f4")]) if len(moved) < len(values) else data
            fields |= {"min": every.min(axis=0).tolist(), "max": every.max(axis=0).tolist()}
        if len(moved) == 0:
            # One vertex that does not move: an accessor without any data is legal but not read everywhere.
            moved, data = np.array([0]), np.zeros((1, 3), "<f4")
        indices = moved.astype("<u2" if len(values) < 65536 else "<u4")
        fields["sparse"] = {
            "count": len(moved),
            "indices": {"bufferView": self._view(indices), "componentType": _U16 if indices.itemsize == 2 else _U32},
            "values": {"bufferView": self._view(data)},
        }
        return self._accessor(**fields)

    def primitive(self, part: Primitive) -> dict[str, Any]:
        indices = part.triangles.reshape(-1).astype("<u2" if len(part.points) < 65536 else "<u4")
        attributes = {"POSITION": self._vectors(part.points, True), "NORMAL": self._vectors(part.normals, False)}
        if part.colours is not None:
            attributes["COLOR_0"] = self._colours(part.colours)
        result: dict[str, Any] = {
            "attributes": attributes,
            "indices": self._accessor(
                bufferView=self._view(indices, 34963), componentType=_U16 if indices.itemsize == 2 else _U32,
                count=len(indices), type="SCALAR",
            ),
            "material": self._material[part.material],
        }  # fmt: skip
        if part.targets:
            result["targets"] = [
                {"POSITION": self._sparse(move, MOVE_EPSILON, True), "NORMAL": self._sparse(turn, TURN_EPSILON, False)}
                for move, turn in part.targets.values()
            ]
        return result

    def mesh(self, mesh: Mesh) -> int:
        names = list(mesh.primitives[0].targets)
        entry: dict[str, Any] = {"name": mesh.name, "primitives": [self.primitive(p) for p in mesh.primitives]}
        extras = dict(mesh.extras)
        if names:
            entry["weights"] = [0.0] * len(names)
            extras["targetNames"] = names
        if extras:
            entry["extras"] = extras
        self.json["meshes"].append(entry)
        return len(self.json["meshes"]) - 1

    def node(self, node: Node) -> int:
        index = len(self.json["nodes"])
        entry: dict[str, Any] = {"name": node.name}
        self.json["nodes"].append(entry)
        if any(node.translation):
            entry["translation"] = list(node.translation)
        if node.mesh is not None:
            entry["mesh"] = self.mesh(node.mesh)
        if node.children:
            entry["children"] = [self.node(child) for child in node.children]
        return index

    def finish(self) -> bytes:
        self.json["buffers"] = [{"byteLength": len(self._data)}]
        text = json.dumps(self.json, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        data = bytes(self._data) + b"\0" * (-len(self._data) % 4)
        total = 12 + 8 + len(text) + 8 + len(data)
        return b"".join(
            [struct.pack("<III", 0x46546C67, 2, total), struct.pack("<II", len(text), 0x4E4F534A), text,
             struct.pack("<II", len(data), 0x004E4942), data]
        )  # fmt: skip


def write_glb(root: Node, materials: dict[str, dict[str, Any]], asset: dict[str, Any]) -> bytes:
    """The file's bytes.

    `materials` are glTF material objects by name, `asset` joins the asset object (generator, extras).
    """
    writer = _Writer(materials)
    writer.json["asset"] |= asset
    writer.node(root)
    return writer.finish()


class Glb:
    """A GLB read back: raw glTF JSON and typed accessors (sparse ones expanded)."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 20 or struct.unpack_from("<I", data)[0] != 0x46546C67:
            raise ValueError("not a GLB file: the magic number is missing")
        length, kind = struct.unpack_from("<II", data, 12)
        if kind != 0x4E4F534A:
            raise ValueError("not a GLB file: its first chunk is not JSON")
        self.json: dict[str, Any] = json.loads(data[20 : 20 + length])
        self._binary = data[20 + length + 8 :]

    @classmethod
    def read(cls, path: Path) -> Glb:
        return cls(path.read_bytes())

    def _raw(self, view: int, offset: int, component: int, count: int) -> NDArray[Any]:
        start = self.json["bufferViews"][view].get("byteOffset", 0) + offset
        return np.frombuffer(self._binary, _DTYPES[component], count, start)

    def accessor(self, index: int) -> NDArray[Any]:
        """Values [count] or [count, width] of an accessor."""
        a = self.json["accessors"][index]
        width, count = _WIDTH[a["type"]], a["count"]
        if "bufferView" in a:
            values = self._raw(a["bufferView"], a.get("byteOffset", 0), a["componentType"], count * width).copy()
        else:
            values = np.zeros(count * width, _DTYPES[a["componentType"]])
        values = values.reshape(count, width) if width > 1 else values
        if "sparse" in a:
            sparse = a["sparse"]
            at = self._raw(sparse["indices"]["bufferView"], 0, sparse["indices"]["componentType"], sparse["count"])
            new = self._raw(sparse["values"]["bufferView"], 0, a["componentType"], sparse["count"] * width)
            values[at] = new.reshape(sparse["count"], width) if width > 1 else new
        return values

    def mesh(self, name: str) -> dict[str, Any]:
        """The mesh object of that name. Raises KeyError naming the meshes there are."""
        for mesh in self.json["meshes"]:
            if mesh.get("name") == name:
                return dict(mesh)
        raise KeyError(f"no mesh {name!r}: there are {[m.get('name') for m in self.json['meshes']]}")
