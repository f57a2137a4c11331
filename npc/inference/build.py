"""Build the CPU kernels with the system compiler: `python -m npc.inference.build`.

One shared library holds every instruction level; the right one is chosen when it is loaded. It is kept under the name
of its sources' hash, so a changed source is built anew and an unchanged one never. The wheel's build hook
(`hatch_build.py`) calls `compile_library` too, which is why this module needs nothing but the standard library until
`library` is called.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_COMMON: Final = [
    *("-O3", "-std=c++17", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno", "-pthread"),
    *("-Wall", "-Wextra", "-Wno-psabi", "-Wno-ignored-attributes", "-Wno-uninitialized", "-Wno-maybe-uninitialized"),
]
_WIDE: Final = ["-march=cascadelake", "-mtune=sapphirerapids", "-mprefer-vector-width=512"]

#: object name -> (source, extra flags), in link order: see the note on top of level.cpp.
_PORTABLE: Final = {
    "core": ("core.cpp", []),
    "encoder": ("encoder.cpp", []),
    "plain": ("level.cpp", ["-DNPC_LEVEL_NAME=plain"]),
}
_X86: Final = {
    "avx2": ("level.cpp", ["-DNPC_LEVEL_NAME=avx2", "-mavx2", "-mfma", "-mf16c"]),
    "avx512": ("level.cpp", ["-DNPC_LEVEL_NAME=avx512", *_WIDE]),
    "amx": ("level.cpp", ["-DNPC_LEVEL_NAME=amx", *_WIDE, "-mamx-tile", "-mamx-int8", "-mamx-bf16", "-mavx512bf16"]),
}


class BuildError(RuntimeError):
    """The kernels could not be compiled; the message is the compiler's."""


def library_name(sources: Path) -> str:
    """File name of the library for the sources in folder `sources`: their hash and the machine's architecture."""
    digest = hashlib.sha256(" ".join(_COMMON + _WIDE).encode())
    for path in sorted(p for p in sources.iterdir() if p.suffix in (".cpp", ".h", ".inc")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"libnpc_core-{platform.machine()}-{digest.hexdigest()[:16]}.so"


def compiler() -> str | None:
    """The C++ compiler: `$CXX` (which may have arguments: "ccache g++"), else the first of g++, c++ on the path; None
    when there is none."""
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")


def compile_library(sources: Path, target: Path) -> Path:
    """Compile `sources` into the library `target` (about a minute of one core). Raises BuildError."""
    cxx = compiler()
    if cxx is None:
        raise BuildError("no C++ compiler: install g++ (Debian: apt install g++), or set CXX")
    call = shlex.split(cxx)
    if not call or shutil.which(call[0]) is None:
        raise BuildError(f"there is no compiler {cxx!r}: correct CXX, or unset it and install g++")
    parts = {**_PORTABLE, **(_X86 if platform.machine() in ("x86_64", "AMD64") else {})}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as scratch:
        running = []
        for name, (source, flags) in parts.items():
            command = [*call, *_COMMON, *flags, "-c", str(sources / source), "-o", f"{scratch}/{name}.o"]
            running.append((name, subprocess.Popen(command, stderr=subprocess.PIPE, text=True)))
        problems = [f"{name}: {error}" for name, process in running if (error := _failure(process))]
        if problems:
            raise BuildError("the kernels do not compile here:\n" + "\n".join(problems))
        objects = [f"{scratch}/{name}.o" for name in parts]
        linked = f"{scratch}/linked.so"
        done = subprocess.run([*call, "-shared", "-pthread", *objects, "-o", linked], capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"the kernels do not link here:\n{done.stderr}")
        os.replace(linked, target)
    return target


def _failure(process: subprocess.Popen[str]) -> str:
    _, error = process.communicate()
    return (error or f"ended with status {process.returncode}") if process.returncode else ""


def library(build: bool = True) -> Path:
    """The library for the sources at hand: shipped beside them, cached, or built now.

    Raises BuildError, FileNotFoundError."""
    from npc.config.paths import cache_dir, data_dir

    sources = data_dir("kernels") / "cpu"
    name = library_name(sources)
    for place in (sources / name, cache_dir() / "kernels" / name):
        if place.exists():
            return place
    if not build:
        raise BuildError(f"{name} is not built yet: run python -m npc.inference.build")
    if compiler() is not None:
        # A warning, so that a command without logging of its own says it too: it looks as if it hung.
        log.warning("compiling the CPU kernels: about a minute, once")
    return compile_library(sources, cache_dir() / "kernels" / name)


def main() -> int:
    """Build if needed and print where the library lies."""
    try:
        print(library())
    except (BuildError, FileNotFoundError) as error:
        print(f"npc.inference.build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
