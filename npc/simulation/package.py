"""Scenario packages: a folder or a zip of one, read whole, checked, and verified against its signature.

    folder or zip ─▶ files ─▶ signature.json? ─▶ manifest, story, characters ─▶ Package
                                  └ wrong: PackageError · none: `signer` is None, and a warning

A signature covers the name and the sha256 of every file but `signature.json` itself and the reference attempts in
`runs/`, so nothing can be changed, added or taken away unnoticed. It is Ed25519 (RFC 8032) by the `cryptography`
package (extra `rehearsal`).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from npc.config import authored
from npc.config.authored import AuthoredFileError
from npc.config.paths import cache_dir, data_dir, state_dir
from npc.dialogue.character import Character, Fact, load_character
from npc.dialogue.narrative import Narrative
from npc.dialogue.narrative_check import load_narrative
from npc.simulation.rubric.model import Item
from npc.simulation.scenario import Scenario

log = logging.getLogger(__name__)

MANIFEST = "scenario.yaml"
SIGNATURE = "signature.json"
#: Reference attempts are not part of what is signed: they are made with the signed package.
UNSIGNED_FOLDERS = ("runs",)
#: Bounds of a zip: a scenario is text and small pictures; a hundred times the largest shipped one is surely a mistake.
MAX_FILES = 500
MAX_UNPACKED = 64_000_000


class PackageError(ValueError):
    """A package cannot be used; every problem names the file (and line where there is one)."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ScenarioNotFound(LookupError):
    """No scenario of that id; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class Package:
    """A scenario ready to be run. `digest` is the sha256 over its signed files."""

    folder: Path
    scenario: Scenario
    story: Narrative
    characters: dict[str, Character]
    digest: str
    signer: str | None = None
    """Fingerprint of the key that signed it: the first 16 hex digits of its sha256."""
    warnings: tuple[str, ...] = ()
    paths: dict[str, Path] = field(default_factory=dict)
    """Character files by character id."""

    @property
    def main(self) -> Character:
        """The character that the trainee meets."""
        return self.characters[self.scenario.characters[0].id]

    @property
    def facts(self) -> dict[str, Fact]:
        """Every fact of every character by id."""
        return {fact.id: fact for character in self.characters.values() for fact in character.facts}

    def items(self) -> list[Item]:
        """The rubric as its engine takes it."""
        facts = self.facts
        return [one.item(facts[one.fact].text if one.fact in facts else None) for one in self.scenario.rubric.items]


def default_folders() -> tuple[Path, ...]:
    """Where scenarios are looked for: the user's own, then the shipped ones."""
    return (state_dir() / "scenarios", data_dir("demo") / "scenarios")


def list_scenarios(folders: Sequence[Path] = ()) -> tuple[tuple[Package, ...], tuple[PackageError, ...]]:
    """All usable scenarios by id, and what is wrong with the others. The first with an id wins."""
    found: dict[str, Package] = {}
    errors: list[PackageError] = []
    for path in _candidates((*folders, *default_folders())):
        try:
            package = open_package(path)
        except PackageError as error:
            errors.append(error)
        else:
            found.setdefault(package.scenario.id, package)
    return tuple(found[name] for name in sorted(found)), tuple(errors)


def find_scenario(name: str, folders: Sequence[Path] = ()) -> Package:
    """By id, or by the path of a package. Raises ScenarioNotFound or PackageError."""
    path = Path(name)
    if "/" in name or name.endswith(".zip") or (path.is_dir() and (path / MANIFEST).is_file()):
        return open_package(path)
    return installed_scenario(name, folders)


def installed_scenario(name: str, folders: Sequence[Path] = ()) -> Package:
    """By id alone: for names that come from outside. Raises ScenarioNotFound or PackageError."""
    found, errors = list_scenarios(folders)
    for package in found:
        if package.scenario.id == name:
            return package
    for error in errors:
        if any(f"{name}" in problem.split(":")[0] for problem in error.problems):
            raise error
    known = ", ".join(package.scenario.id for package in found) or "none"
    raise ScenarioNotFound(f"there is no scenario {name!r}; known scenarios: {known}")


def open_package(path: Path) -> Package:
    """Read a folder or zip; one of which no file has changed since is not read again, because a server looks through
    all of them for every session. Raises PackageError with every problem found."""
    folder = unpack(path) if path.is_file() else path
    files = ((str(file), file.stat()) for file in sorted(folder.rglob("*")) if file.is_file())
    return _read(path, folder, tuple((name, one.st_mtime_ns, one.st_size, one.st_ino) for name, one in files))


@lru_cache(maxsize=64)
def _read(path: Path, folder: Path, _state: tuple[tuple[str, int, int, int], ...]) -> Package:
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise PackageError([f"{manifest}: there is no such file: a scenario package holds a {MANIFEST}"])
    try:
        signer = verify(folder)
    except PackageError as error:
        raise PackageError([problem.replace(str(folder), str(path)) for problem in error.problems]) from None
    warnings = () if signer is not None else (f"{path}: the package is not signed: nobody vouches for its contents",)
    try:
        scenario = authored.load(manifest, Scenario)
    except AuthoredFileError as error:
        raise PackageError(error.problems) from error
    problems: list[str] = []
    story: Narrative | None = None
    characters: dict[str, Character] = {}
    paths: dict[str, Path] = {}
    text = authored.read_text(manifest)
    try:
        story = load_narrative(_inside(folder, scenario.story, manifest, text, ("story",)))
    except (AuthoredFileError, PackageError) as error:
        problems += error.problems
    for number, role in enumerate(scenario.characters):
        where = ("characters", number, "file")
        try:
            paths[role.id] = _inside(folder, role.file, manifest, text, where)
            character = load_character(paths[role.id])
        except (AuthoredFileError, PackageError) as error:
            problems += error.problems
            continue
        if character.id != role.id:
            line = authored.line_of(text, ("characters", number, "id"))
            problems.append(f"{manifest}:{line}: characters.{number}.id: {role.file} holds {character.id!r}")
        known = {fact.id for fact in character.facts}
        for fact in role.knows or ():
            if fact not in known:
                line = authored.line_of(text, ("characters", number, "knows"))
                problems.append(f"{manifest}:{line}: characters.{number}.knows: {role.file} has no fact {fact!r}")
        characters[role.id] = character
    if problems or story is None:
        raise PackageError(problems)
    return Package(folder, scenario, story, characters, digest(folder), signer, warnings, paths)


def _inside(folder: Path, name: str, manifest: Path, text: str, where: Sequence[str | int]) -> Path:
    """A file of the package; a name that leads out of it is refused."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        field_name = ".".join(map(str, where))
        line = authored.line_of(text, where)
        raise PackageError([f"{manifest}:{line}: {field_name}: {name!r} leads out of the package"])
    return folder / name


def _candidates(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        if folder.is_dir():
            yield from sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
            yield from sorted(folder.glob("*.zip"))


# -- zip ---------------------------------------------------------------------------------------------------------------


def unpack(path: Path) -> Path:
    """A zip's contents in a folder of the cache, unpacked once for each content. Raises PackageError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PackageError([f"{path}: cannot be read: {error.strerror or error}"]) from None
    target = cache_dir() / "scenarios" / hashlib.sha256(raw).hexdigest()[:24]
    if (target / MANIFEST).is_file():
        return target
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [info for info in archive.infolist() if not info.is_dir()]
            if len(names) > MAX_FILES or sum(info.file_size for info in names) > MAX_UNPACKED:
                raise PackageError([f"{path}: more than {MAX_FILES} files or {MAX_UNPACKED} bytes unpacked"])
            files = {_safe(path, info.filename): archive.read(info) for info in names}
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise PackageError([f"{path}: not a zip that can be read: {error}"]) from None
    top = {name.parts[0] for name in files}
    inside = len(top) == 1 and PurePosixPath(MANIFEST) not in files
    target.parent.mkdir(parents=True, exist_ok=True)
    # In a folder of its own: others may be unpacking the same zip.
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.new", dir=target.parent) as waiting:
        try:
            for name, content in files.items():
                place = Path(waiting, "all", *(name.parts[1:] if inside else name.parts))
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            if not (target / MANIFEST).is_file():
                shutil.rmtree(target, ignore_errors=True)
                Path(waiting, "all").replace(target)
        except OSError as error:
            if not (target / MANIFEST).is_file():
                raise PackageError([f"{path}: cannot be unpacked into {target}: {error}"]) from None
    return target


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise PackageError([f"{archive}: the entry {name!r} leads out of the package"])
    return path


def pack(folder: Path, target: Path) -> Path:
    """Write a package folder as a zip that is the same for the same files (names in order, one fixed time)."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (2020, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    return target


# -- signature ---------------------------------------------------------------------------------------------------------


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every signed file by its name in the package."""
    names = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != SIGNATURE and path.relative_to(folder).parts[0] not in UNSIGNED_FOLDERS
    }
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in names.items()}


def digest(folder: Path) -> str:
    """sha256 over the names and digests of the signed files."""
    return hashlib.sha256(_message(digests(folder))).hexdigest()


def _message(files: dict[str, str]) -> bytes:
    """What is signed."""
    return b"npc-scenario-v1\n" + json.dumps(files, sort_keys=True, separators=(",", ":")).encode()


def _cryptography() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise PackageError(["signatures need the cryptography package: pip install 'npc[rehearsal]'"]) from None
    return ed25519


def fingerprint(public: bytes) -> str:
    """How a key is told to people."""
    return hashlib.sha256(public).hexdigest()[:16]


def make_key(path: Path) -> str:
    """Write a new private key (PEM, readable by its owner alone); its fingerprint. Refuses to overwrite."""
    ed25519 = _cryptography()
    from cryptography.hazmat.primitives import serialization as form

    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise PackageError([f"{path}: there is a file of that name already"]) from None
    path.write_bytes(pem)
    return fingerprint(key.public_key().public_bytes_raw())


def sign(folder: Path, key_file: Path) -> str:
    """Write `signature.json`; the fingerprint of the key. Raises PackageError for a key that is none."""
    ed25519 = _cryptography()
    from cryptography.hazmat.primitives import serialization as form

    try:
        key = form.load_pem_private_key(key_file.read_bytes(), password=None)
    except OSError as error:
        raise PackageError([f"{key_file}: cannot be read: {error.strerror or error}"]) from None
    except (ValueError, TypeError) as error:
        raise PackageError([f"{key_file}: not an unencrypted PEM private key: {error}"]) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise PackageError([f"{key_file}: not an Ed25519 key: make one with `npc scenario sign --new-key FILE`"])
    files = digests(folder)
    public = key.public_key().public_bytes_raw()
    data = {
        "algorithm": "ed25519",
        "public_key": base64.b64encode(public).decode(),
        "signature": base64.b64encode(key.sign(_message(files))).decode(),
        "files": files,
    }
    (folder / SIGNATURE).write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return fingerprint(public)


def verify(folder: Path) -> str | None:
    """The signer's fingerprint, None for an unsigned package. Raises PackageError for a signature that is wrong."""
    path = folder / SIGNATURE
    if not path.is_file():
        return None
    ed25519 = _cryptography()
    from cryptography.exceptions import InvalidSignature

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        signed: dict[str, str] = {str(name): str(value) for name, value in data["files"].items()}
        public = base64.b64decode(data["public_key"], validate=True)
        signature = base64.b64decode(data["signature"], validate=True)
        key = ed25519.Ed25519PublicKey.from_public_bytes(public)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise PackageError([f"{path}: not a signature file: {error}"]) from None
    try:
        key.verify(signature, _message(signed))
    except InvalidSignature:
        raise PackageError([f"{path}: the signature does not fit the list of files: the package was changed"]) from None
    present = digests(folder)
    problems = [f"{folder / name}: is missing, the signed package had it" for name in sorted(signed.keys() - present)]
    problems += [f"{folder / name}: is not in the signed package" for name in sorted(present.keys() - signed)]
    problems += [
        f"{folder / name}: was changed after the package was signed"
        for name in sorted(signed.keys() & present.keys())
        if signed[name] != present[name]
    ]
    if problems:
        raise PackageError(problems)
    return fingerprint(public)
