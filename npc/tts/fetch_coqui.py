"""Build the environment that Coqui's worker runs in: `python -m npc.tts.fetch_coqui` (`make coqui`).

Its packages do not fit beside ours: importing them needs torchaudio and torchcodec, whose compiled parts want the very
torch they were built for. Only Python code of both is ever called here, so they are installed without dependencies and
torchaudio's libraries are taken out. NPC_COQUI_TORCH may name another requirement for torch (a CPU wheel's URL or path,
where the index's own would bring CUDA along).
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Final

from npc.config.paths import cache_dir

_TORCH: Final = "torch>=2.6"
_COQUI: Final = "coqui-tts>=0.28,<0.29"
_BARE: Final = ("torchaudio==2.11.0", "torchcodec", "six")


def folder() -> Path:
    """Where the environment lies: `<cache>/coqui`."""
    return cache_dir() / "coqui"


def build(progress: Callable[[str], None] = print) -> Path:
    """Build it, or repair a half-built one; returns its Python. Raises CalledProcessError, with pip's words printed."""
    place = folder()
    python = place / "bin" / "python"
    if not python.exists():
        progress(f"making an environment in {place}")
        venv.create(place, with_pip=True)
    progress("installing torch and coqui-tts (this takes minutes)")
    _pip(python, [os.environ.get("NPC_COQUI_TORCH", _TORCH), _COQUI])
    _pip(python, ["--no-deps", *_BARE])
    for library in place.rglob("torchaudio/**/*.so"):
        library.unlink()
    subprocess.run([str(python), "-c", "import TTS.tts.models.vits"], check=True)
    progress(f"Coqui is ready: {python}")
    return python


def _pip(python: Path, arguments: list[str]) -> None:
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *arguments], check=True)


if __name__ == "__main__":
    build()
    sys.exit(0)
