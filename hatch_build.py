"""The wheel's build hook: compile the CPU kernels with the system compiler, where there is one.

Optional on purpose: without a compiler, or when it fails, the wheel is built all the same, and `npc.inference` compiles
on first use or runs on NumPy.
"""

from __future__ import annotations

import importlib.util
import platform
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _builder(root: Path) -> ModuleType:
    """npc/inference/build.py by its path: the package itself is not importable while it is being built."""
    spec = importlib.util.spec_from_file_location("npc_kernel_build", root / "npc/inference/build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class KernelHook(BuildHookInterface[Any]):
    """Adds the library beside its sources in the wheel and marks the wheel as belonging to this platform."""

    PLUGIN_NAME = "custom"
    _built: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build; editable installs compile on first use instead."""
        if self.target_name != "wheel" or version == "editable" or platform.system() != "Linux":
            return
        root = Path(self.root)
        build, sources = _builder(root), root / "kernels/cpu"
        name = build.library_name(sources)
        try:
            built = build.compile_library(sources, Path(self.directory) / "kernels" / name)
        except build.BuildError as error:
            self.app.display_warning(f"npc: CPU kernels not built, NumPy will serve until they are: {error}")
            return
        build_data["force_include"][str(built)] = f"npc/_data/kernels/cpu/{name}"
        self._built = built
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The library is in the wheel now: leave nothing else beside it."""
        if self._built is not None:
            self._built.unlink(missing_ok=True)
            self._built.parent.rmdir()
