"""Write `head.glb` for the sample: the demo's head as Godot 3.2 reads it.

It misreads sparse accessors and takes normalised bytes for whole numbers: morph targets become dense, colours float.

Standard library and NumPy only:  python sample/make_head.py [GLB]
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
DEMO_HEAD = HERE.parents[2] / "demo" / "assets" / "heads" / "marrow.glb"
TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTH = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary chunk of a GLB."""
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def dense(document: dict[str, Any], binary: bytes) -> bytes:
    """A GLB whose sparse accessors and byte colours have become dense float32 ones."""
    chunks = bytearray(binary)
    views = document["bufferViews"]

    def numbers(view: int, offset: int, component: int, count: int) -> np.ndarray[Any, Any]:
        start = views[view].get("byteOffset", 0) + offset
        return np.frombuffer(binary, TYPES[component], count, start)

    def put(accessor: dict[str, Any], values: np.ndarray[Any, Any]) -> None:
        """Give an accessor these float32 values for its own."""
        chunks.extend(b"\0" * (-len(chunks) % 4))
        accessor.update(bufferView=len(views), byteOffset=0, componentType=5126, normalized=False)
        views.append({"buffer": 0, "byteOffset": len(chunks), "byteLength": values.nbytes})
        chunks.extend(values.tobytes())

    for accessor in document["accessors"]:
        if accessor["componentType"] == 5121 and accessor.get("normalized"):
            count = accessor["count"] * WIDTH[accessor["type"]]
            colours = numbers(accessor["bufferView"], accessor.get("byteOffset", 0), 5121, count)
            put(accessor, (colours / 255.0).astype(np.float32))
        sparse = accessor.pop("sparse", None)
        if sparse is None:
            continue
        width = WIDTH[accessor["type"]]
        values = np.zeros((accessor["count"], width), np.float32)
        at, given = sparse["indices"], sparse["values"]
        rows = numbers(at["bufferView"], at.get("byteOffset", 0), at["componentType"], sparse["count"])
        cells = numbers(
            given["bufferView"], given.get("byteOffset", 0), accessor["componentType"], sparse["count"] * width
        )
        values[rows] = cells.reshape(-1, width)
        put(accessor, values)
    document["buffers"] = [{"byteLength": len(chunks)}]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks.extend(b"\0" * (-len(chunks) % 4))
    head = struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(chunks))
    return (
        head
        + struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(chunks), b"BIN\0")
        + bytes(chunks)
    )


if __name__ == "__main__":
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else DEMO_HEAD
    (HERE / "head.glb").write_bytes(dense(*read(source)))
