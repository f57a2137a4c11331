"""Which morph targets a character file has: GLB, VRM and glTF, read for their names only."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Final

from npc.animation.rig import RigError

_MAGIC: Final = 0x46546C67
_JSON: Final = 0x4E4F534A
#: The JSON part of a character file is at most this long (larger ones are refused, not read).
_MAX_JSON: Final = 64 * 2**20


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            head = file.read(20)
            if len(head) == 20 and struct.unpack_from("<I", head)[0] == _MAGIC:
                length, kind = struct.unpack_from("<II", head, 12)
                if kind != _JSON or length > _MAX_JSON:
                    raise RigError(f"{path}: the first chunk of a GLB must be JSON of at most {_MAX_JSON >> 20} MiB")
                text = file.read(length)
            else:
                text = head + file.read(_MAX_JSON)
    except OSError as error:
        raise RigError(f"{path}: {error.strerror or error}") from error
    try:
        document = json.loads(text)
    except ValueError as error:
        raise RigError(f"{path}: neither GLB/VRM nor glTF JSON (convert FBX and others to GLB first)") from error
    if not isinstance(document, dict) or "asset" not in document:
        raise RigError(f"{path}: JSON without an `asset`: no glTF file")
    return document


def morph_names(path: Path) -> tuple[str, ...]:
    """Names that can drive the face: VRM expressions where there are any, else the morph targets of all meshes, once
    each.

    Names come from `mesh.extras.targetNames`, or from the first primitive's extras (some exporters). Raises RigError
    naming the file when it cannot be read; a file without morph targets gives an empty tuple.
    """
    document = _document(path)
    try:
        return _names(document)
    except (
        AttributeError,
        TypeError,
    ) as error:  # JSON of another shape: a list where an object has to be, and the like
        raise RigError(f"{path}: not shaped as glTF says ({error}): export the character again") from error


def _names(document: dict[str, Any]) -> tuple[str, ...]:
    vrm = document.get("extensions", {})
    expressions = vrm.get("VRMC_vrm", {}).get("expressions", {})
    if expressions:
        return tuple(dict.fromkeys((*expressions.get("preset", {}), *expressions.get("custom", {}))))
    found: dict[str, None] = {}
    for mesh in document.get("meshes", []):
        primitives = mesh.get("primitives", [])
        first = primitives[0] if primitives else {}
        names = mesh.get("extras", {}).get("targetNames") or first.get("extras", {}).get("targetNames")
        if names is None:
            names = [f"target_{i}" for i in range(len(first.get("targets", [])))]
        found.update(dict.fromkeys(str(n) for n in names))
    return tuple(found)
