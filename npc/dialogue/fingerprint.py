"""What a session's replies rest on, as short hashes for its log: when a replay comes out otherwise, they say whether
the character was changed since, or the weights of the mind."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from npc.dialogue.character import Character

_KINDS = (".npz", ".safetensors", ".json", ".tsv")


def fingerprints(character: Character) -> dict[str, str]:
    """`character`: of everything its file says. `mind`: of all trained weights and tables that come with the mind."""
    return {"character": _short(character.model_dump_json().encode()), "mind": _weights()}


@lru_cache(maxsize=1)
def _weights() -> str:
    """About 10 MB are read, once."""
    root = Path(str(files("npc.dialogue")))
    carried = sorted(path for folder in ("data", "models") for path in (root / folder).rglob("*") if path.is_file())
    whole = hashlib.sha256()
    for path in carried:
        if path.suffix in _KINDS:
            whole.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:16]


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
