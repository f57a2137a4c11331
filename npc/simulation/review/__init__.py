"""After-action review: an attempt as a self-contained page with its evidence, as PDF, and across a cohort."""

from __future__ import annotations

from pathlib import Path

from npc.simulation.attempt import Attempt, list_attempts, load
from npc.simulation.review.findings import find
from npc.simulation.review.page import names_of, render
from npc.simulation.review.pdf import NoBrowser, print_pdf
from npc.simulation.review.sound import data_uri

__all__ = ["NoBrowser", "report_page", "write_report"]


def report_page(folder: Path, everything: Path | None = None, *, sound: bool = True) -> tuple[Attempt, str]:
    """The attempt in `folder` and its report as HTML. `everything` holds the attempts to compare it with.

    Raises AttemptError.
    """
    attempt = load(folder)
    home = folder if folder.is_dir() else folder.parent
    others = [one for _, one in list_attempts(everything)] if everything is not None else []
    heard = data_uri(attempt, home) if sound else None
    return attempt, render(find(attempt, others), heard, names=names_of(attempt))


def write_report(folder: Path, out: Path, *, pdf: bool = False, everything: Path | None = None) -> list[Path]:
    """Write `out` (HTML), and beside it a PDF when asked for; the files written. Raises AttemptError, NoBrowser.

    A folder gets a file named after the attempt, a name without .html gets it: browsers go by the name.
    """
    _, page = report_page(folder, everything)
    if out.is_dir():
        out = out / f"{folder.name}.html"
    elif out.suffix.lower() not in (".html", ".htm"):
        out = out.with_name(f"{out.name}.html")
    out.write_text(page, encoding="utf-8")
    written = [out]
    if pdf:
        written.append(print_pdf(out, out.with_suffix(".pdf")))
    return written
