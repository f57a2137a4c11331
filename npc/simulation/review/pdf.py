"""The report as PDF, printed by a headless Chromium where there is one; else the page's print style does the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

#: Longest wait for a report of an hour's attempt on a busy machine.
DEADLINE_S = 60.0
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


class NoBrowser(RuntimeError):
    """There is no Chromium; the message says what to do instead."""


def find_browser() -> str | None:
    """A Chromium on the path, or the one that `NPC_CHROMIUM` names."""
    named = os.environ.get("NPC_CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    return next((found for found in map(shutil.which, _NAMES) if found), None)


def print_pdf(page: Path, out: Path, browser: str | None = None) -> Path:
    """Print an HTML file. Raises NoBrowser, or RuntimeError with what the browser said."""
    program = browser or find_browser()
    if program is None:
        raise NoBrowser(f"no Chromium to print with: open {page} in any browser and print it to PDF, or install one")
    with tempfile.TemporaryDirectory(prefix="npc-pdf-") as profile:
        command = [
            program,
            "--headless=new",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={out.resolve()}",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # Chromium's sandbox does not work for root; the page is our own and may load nothing.
            command.append("--no-sandbox")
        try:
            ran = subprocess.run(
                [*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=DEADLINE_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{program} did not print {page} within {DEADLINE_S:.0f} s") from None
    if ran.returncode != 0 or not out.is_file():
        raise RuntimeError(f"{program} could not print {page}: {ran.stderr.strip()[-300:]}")
    return out
