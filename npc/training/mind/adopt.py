"""Longer runs replace the shipped weights only when the table improves: `python -m npc.training.mind adopt FOLDER`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npc.training.mind.evaluate import evaluate

#: What may not fall, by more than its noise over 400 turns: (corner, figure, tolerance).
_KEPT = (
    ("seen", "references", 0.01), ("held_out", "references", 0.01), ("seen", "accepted", 0.02),
    ("held_out", "accepted", 0.02), ("seen", "mood", 0.05), ("held_out", "mood", 0.05),
)  # fmt: skip
#: What has to rise in sum.
_WANTED = (("seen", "on_subject"), ("held_out", "on_subject"), ("seen", "mood"), ("held_out", "mood"))
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "words.txt", "talk.json", "talk.npz")


def verdict(new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """Why the new weights are not adopted, or "" when they are better."""
    fallen = [f"{name} ({corner})" for corner, name, by in _KEPT if new[corner][name] < old[corner][name] - by]
    if fallen:
        return f"worse: {', '.join(fallen)}"
    gains = [(new[corner][name] or 0.0) - (old[corner][name] or 0.0) for corner, name in _WANTED]
    spoken = [table["talk"]["with"]["on_subject"] for table in (new, old)]
    return "" if sum(gains) + spoken[0] - spoken[1] > 0.0 else "no better"


def adopt(folder: Path, shipped: Path, *, turns: int = 400) -> dict[str, Any]:
    """Measure both and copy `folder` over `shipped` if it is better. The model card's prose stays to be edited."""
    tables = {name: evaluate(place, turns=turns) for name, place in (("new", folder), ("old", shipped))}
    why = verdict(tables["new"], tables["old"])
    if not why:
        for name in _FILES:
            if (folder / name).is_file():
                shutil.copy(folder / name, shipped / name)
        card = json.loads((folder / "card.json").read_text("utf-8")) | {"table": tables["new"]}
        (shipped / "card.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    return {"adopted": not why, "why_not": why, **tables}
