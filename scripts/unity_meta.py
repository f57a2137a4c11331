"""Write the .meta files of the Unity package. GUIDs follow from the paths: the same for ever and for everybody."""

from __future__ import annotations

import hashlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "engine_plugins" / "unity"
IMPORTERS = {
    ".cs": "MonoImporter",
    ".asmdef": "AssemblyDefinitionImporter",
    ".jslib": "PluginImporter",
    ".json": "TextScriptImporter",
}


def wanted() -> dict[Path, str]:
    """Meta file -> content, for every file and folder that Unity imports (folders ending in ~ are hidden from it)."""
    files = {}
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE)
        hidden = any(part.endswith("~") or part.startswith(".") for part in inside.parts)
        if hidden or path.suffix == ".meta":
            continue
        files[path.with_name(path.name + ".meta")] = content(path, inside.as_posix())
    return files


def content(path: Path, inside: str) -> str:
    """The meta text of one asset."""
    guid = hashlib.md5(f"org.npc.characters/{inside}".encode(), usedforsecurity=False).hexdigest()
    head = f"fileFormatVersion: 2\nguid: {guid}\n"
    if path.is_dir():
        return f"{head}folderAsset: yes\nDefaultImporter:\n  externalObjects: {{}}\n  userData: \n"
    if path.suffix == ".jslib":
        platform = (
            "  platformData:\n  - first:\n      WebGL: WebGL\n    second:\n      enabled: 1\n      settings: {}\n"
        )
        return f"{head}PluginImporter:\n  externalObjects: {{}}\n{platform}  userData: \n"
    importer = IMPORTERS.get(path.suffix, "DefaultImporter")
    return f"{head}{importer}:\n  externalObjects: {{}}\n  userData: \n"


def main() -> None:
    """Write what is wanted, remove what is not."""
    files = wanted()
    for path, text in files.items():
        path.write_text(text)
    for stray in set(PACKAGE.rglob("*.meta")) - set(files):
        stray.unlink()


if __name__ == "__main__":
    main()
