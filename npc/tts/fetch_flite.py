"""Find the Flite libraries, or fetch the Debian package as a plain user and unpack it into the cache folder.

    locate()        NPC_FLITE_DIR, then the cache, then the system's loader        -> folder, or None
    fetch(progress) apt-get download libflite1 (+ ALSA's library where missing), dpkg-deb -x   -> folder
    instructions()  the one line to type where neither works

Nothing here needs root: `apt-get` is given state and cache folders of its own when the machine's lists are absent.
Flite is under a BSD-like licence (CMU); the package is fetched from the machine's own Debian or Ubuntu mirror, whose
signature apt checks.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from npc.config.paths import cache_dir
from npc.tts.interface import EngineUnavailable

Progress = Callable[[str], None]

#: Soname of the engine; the voices, the language and the lexicon lie beside it.
ENGINE = "libflite.so.1"
#: Flite links to ALSA, though nothing here plays through it; a slim container may lack it (newer Debians renamed it).
_ALSA, _ALSA_PACKAGES = "libasound.so.2", ("libasound2t64", "libasound2")
_APT_SECONDS = 180.0


class FliteMissing(EngineUnavailable):
    """No Flite library: the message says what was tried and the one line to type."""


def locate() -> Path | None:
    """Folder that holds `libflite.so.1`, or None.

    `NPC_FLITE_DIR` alone decides when it is set; "cache" there means: only what `fetch` brought.
    """
    named = os.environ.get("NPC_FLITE_DIR")
    if named and named != "cache":
        return Path(named) if (Path(named) / ENGINE).exists() else None
    cached = _cached()
    if cached is not None or named == "cache":
        return cached
    return next((folder for folder in _system_folders() if (folder / ENGINE).exists()), None)


def alsa() -> Path | None:
    """The fetched ALSA library that must be loaded before Flite, or None when the system has its own."""
    if _loads(_ALSA) or not _root().is_dir():
        return None
    return next(_root().rglob(_ALSA), None)


def fetch(progress: Progress = lambda line: None) -> Path:
    """Fetch and unpack; returns the folder. Raises FliteMissing with what failed and what to type."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise FliteMissing(f"this is no Debian or Ubuntu (no apt-get): {instructions()}")
    root = _root()
    with tempfile.TemporaryDirectory(prefix="npc-flite-") as scratch:
        work = Path(scratch)
        progress("fetching libflite1 (12 MB)")
        packages = [_download(("libflite1",), work, progress)]
        if not _loads(_ALSA):
            progress("fetching ALSA's library, which Flite links to")
            packages.append(_download(_ALSA_PACKAGES, work, progress))
        unpacked = work / "root"
        for package in packages:
            _run(["dpkg-deb", "-x", str(package), str(unpacked)], work)
        root.parent.mkdir(parents=True, exist_ok=True)
        if root.exists():
            shutil.rmtree(root)
        shutil.move(str(unpacked), root)
    found = _cached()
    if found is None:
        raise FliteMissing(f"the package held no {ENGINE}: {instructions()}")
    progress(f"Flite is in {found}")
    return found


def instructions() -> str:
    """The one line a person types where fetching does not work."""
    if shutil.which("apt-get"):
        return "sudo apt-get install libflite1"
    if shutil.which("dnf"):
        return "sudo dnf install flite"
    if shutil.which("pacman"):
        return "sudo pacman -S flite"
    return "install Flite 2.2 from your system's packages, or point NPC_FLITE_DIR at a folder with libflite.so.1"


def _root() -> Path:
    return cache_dir() / "flite"


def _cached() -> Path | None:
    if not _root().is_dir():
        return None
    return next((path.parent for path in _root().rglob(ENGINE)), None)


def _system_folders() -> Iterator[Path]:
    for base in ("/usr/lib", "/usr/local/lib", "/usr/lib64", "/lib"):
        folder = Path(base)
        yield folder
        if folder.is_dir():
            yield from sorted(folder.glob("*-linux-gnu*"))


def _loads(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def _download(names: Sequence[str], work: Path, progress: Progress) -> Path:
    """The first of the packages `names` that the machine's mirrors have."""
    failure = ""
    for attempt in range(2):
        options: Sequence[str] = ()
        if attempt:
            progress("no package lists here: fetching them for this user only")
            options = _own_state(work)
            failure = _quietly(["apt-get", *options, "update"], work) or failure
        for name in names:
            failure = _quietly(["apt-get", *options, "download", name], work) or failure
            package = next(work.glob(f"{name}_*.deb"), None)
            if package is not None:
                return package
    raise FliteMissing(f"could not fetch {' or '.join(names)}: {failure.strip()[-400:]}; type: {instructions()}")


def _own_state(work: Path) -> list[str]:
    """apt's options for lists and cache of our own, so that neither root nor the machine's lists are needed."""
    lists, cache = work / "lists", work / "cache"
    for folder in (lists / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State::lists": lists,
        "Dir::Cache": cache,
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def _quietly(command: Sequence[str], work: Path) -> str:
    """Run and return "" or the reason of the failure."""
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=_APT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr or f"{command[0]} ended with {done.returncode}"


def _run(command: Sequence[str], work: Path) -> None:
    failure = _quietly(command, work)
    if failure:
        raise FliteMissing(f"{' '.join(command[:2])}: {failure.strip()[-400:]}; type: {instructions()}")
