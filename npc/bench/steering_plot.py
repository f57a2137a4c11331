"""The plot of `npc bench steering`: a trait's score against the dose above, what it costs in perplexity below."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from npc.bench.harness import pyplot


def plot(result: dict[str, Any], path: Path) -> None:
    """One line a direction; dotted beside it, how replies to the model's own marks are judged."""
    drawing = pyplot()
    if drawing is None:
        return
    figure, (above, below) = drawing.subplots(2, 1, figsize=(6.4, 5.6), sharex=True, height_ratios=(3, 1.2))
    for number, (name, found) in enumerate(result["directions"].items()):
        doses, colour = found["doses"], f"C{number}"
        strengths = [d["strength"] for d in doses]
        if doses[0]["score"] is not None:
            above.plot(strengths, [d["score"] for d in doses], "o-", color=colour,
                       label=f"{name} (rank correlation {found['rank_correlation']:.1f})")  # fmt: skip
            above.hlines(found["marks"].values(), -1.16, -1.08, color=colour, lw=1.5)
        below.plot(strengths, [d["perplexity"] for d in doses], "o-", color=colour, lw=1)
    above.set(ylabel="judged", ylim=(0.0, 1.0))
    above.set_title(f"Steering the dialogue model: {result['replies_a_dose']} replies a dose")
    above.legend(fontsize=8, loc="upper center", ncols=2)
    above.annotate("bars: its own marks", (-1.16, 0.03), fontsize=7)
    below.set(xlabel="strength", ylabel="perplexity", ylim=(1.0, None))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    drawing.close(figure)
