"""Where data files lie: inside an installed wheel (`npc/_data`) or at the root of a checkout."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def data_dir(name: str) -> Path:
    """Folder of shipped data: "voices", "demo" or "kernels". Raises FileNotFoundError naming both places looked in."""
    installed = _PACKAGE / "_data" / name
    checkout = _PACKAGE.parent / name
    for place in (installed, checkout):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"no {name!r} data in {installed} or {checkout}: reinstall the package")


def cache_dir() -> Path:
    """Fetched libraries and models: `NPC_CACHE`, else `$XDG_CACHE_HOME/npc`, else `~/.cache/npc`. Made on demand."""
    named = os.environ.get("NPC_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "npc"
    base.mkdir(parents=True, exist_ok=True)
    return base


def state_dir() -> Path:
    """Sessions, memory and logs: `NPC_STATE`, else `$XDG_STATE_HOME/npc`, else `~/.local/state/npc`. Made on demand."""
    named = os.environ.get("NPC_STATE")
    base = Path(named) if named else Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "npc"
    base.mkdir(parents=True, exist_ok=True)
    return base
