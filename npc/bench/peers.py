"""Build the language-model peers into `.peers/`, an environment of its own: `python -m npc.bench.peers`.

llama.cpp comes from the `llama-cpp-python` source package, compiled for this CPU with one line added: GCC 12 drops the
stores to the AMX tile configuration (its LDTILECFG operand names 8 of 64 bytes), and the stock build dies at the first
tile. CTranslate2 comes as its wheel; OpenVINO with optimum-intel, which wants a transformers of its own, in a second
environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

LLAMA: Final = "llama-cpp-python==0.3.36"
WHEELS: Final = ("gguf>=0.17", "ctranslate2>=4.6", "numpy", "safetensors")
#: beside torch of our version; the torchvision that optimum-intel brings breaks transformers' import and is removed
OPENVINO: Final = ("optimum-intel>=2.2", "openvino>=2026.4", "nncf>=3.4")
_TOOLS: Final = ("scikit-build-core>=0.9", "cmake>=3.25", "ninja", "wheel")
#: The cure: the configuration reaches memory before the instruction that reads it.
_CALL, _CURED = "_tile_loadconfig(&", 'asm volatile("" ::: "memory"); _tile_loadconfig(&'


def folder() -> Path:
    """Where the peers lie: `.peers` under the working folder, or `$NPC_PEERS`."""
    return Path(os.environ.get("NPC_PEERS") or ".peers").resolve()


def python(engine: str = "llama.cpp") -> Path | None:
    """The interpreter of a peer, or None when it is not built."""
    path = folder() / ("openvino" if engine == "openvino" else "venv") / "bin/python"
    package = {"llama.cpp": "llama_cpp", "ctranslate2": "ctranslate2", "openvino": "optimum"}[engine]
    installed = any(path.parents[1].glob(f"lib/python3*/site-packages/{package}"))
    return path if path.exists() and installed else None


def _run(*command: str | Path, **extra: str) -> None:
    print("+", *command, file=sys.stderr)
    subprocess.run([str(part) for part in command], check=True, env={**os.environ, **extra}, stdout=sys.stderr)


def _patch(source: Path) -> int:
    """Add the barrier before every tile configuration; returns how many places that were."""
    found = 0
    for path in source.rglob("*.cpp"):
        if "amx" in path.parts or "amx" in path.name:
            text = path.read_text()
            count = text.count(_CALL) - text.count(_CURED)
            if count > 0:
                path.write_text(text.replace(_CURED, _CALL).replace(_CALL, _CURED))
                found += count
    return found


def build() -> None:
    """Make the environment and compile llama.cpp (about fifteen minutes on two cores). Raises on failure."""
    root = folder()
    venv, sources = root / "venv", root / "src"
    root.mkdir(exist_ok=True)
    if not (venv / "bin/python").exists():
        _run(sys.executable, "-m", "venv", venv)
    pip = venv / "bin/pip"
    _run(pip, "install", "-q", *_TOOLS, *WHEELS)
    if subprocess.run([venv / "bin/python", "-c", "import llama_cpp"], capture_output=True).returncode:
        shutil.rmtree(sources, ignore_errors=True)
        path = f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        options = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation")
        _run(pip, "download", "-q", *options, "-d", sources, LLAMA, PATH=path)
        archive = next(sources.glob("llama_cpp_python-*.tar.gz"))
        with tarfile.open(archive) as packed:
            packed.extractall(sources, filter="data")
        tree = next(p for p in sources.iterdir() if p.is_dir())
        print(f"cured {_patch(tree)} tile configurations", file=sys.stderr)
        flags = "-DGGML_NATIVE=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF"
        extra = {"CMAKE_ARGS": flags, "CMAKE_BUILD_PARALLEL_LEVEL": "2", "PATH": path}
        _run(pip, "install", "--no-build-isolation", "-q", tree, **extra)
    if python("openvino") is None:
        other = root / "openvino"
        _run(sys.executable, "-m", "venv", other)
        _run(other / "bin/pip", "install", "-q", f"torch=={version('torch')}", *OPENVINO)
        _run(other / "bin/pip", "uninstall", "-q", "-y", "torchvision")
    print(f"peers are ready in {root}", file=sys.stderr)


def main() -> int:
    """Build, or say what failed."""
    try:
        build()
    except (subprocess.CalledProcessError, OSError, StopIteration) as error:
        print(f"npc.bench.peers: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
