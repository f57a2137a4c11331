"""Which files a character's knowledge names, under which condition, and what tells that one has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from npc.dialogue.character import KnowledgeSource
from npc.dialogue.knowledge.ingest import SUFFIXES, DocumentError


def named(folder: Path, sources: Sequence[KnowledgeSource]) -> Iterator[tuple[Path, KnowledgeSource]]:
    """Every file once, with the source that counts for it: of several the one that tells less, of equal ones the last.
    Raises DocumentError, see `files_of`."""
    found: dict[Path, KnowledgeSource] = {}
    for source in sources:
        for file in files_of(folder, source):
            if file not in found or _secrecy(source) >= _secrecy(found[file]):
                found[file] = source
    yield from found.items()


def files_of(folder: Path, source: KnowledgeSource) -> list[Path]:
    """The files a source names, sorted. Raises DocumentError when it names nothing, or what lies outside `folder`."""
    root = folder.resolve()
    place = (folder / source.path).resolve()
    if not place.is_relative_to(root):
        raise DocumentError(
            f"knowledge path {source.path!r} leads out of {folder}; keep documents beside the character"
        )
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DocumentError(f"knowledge path {source.path!r} does not exist in {folder}")
    patterns = source.include or ("**/*",)
    try:
        found = {file for pattern in patterns for file in place.glob(pattern) if file.is_file()}
    except (NotImplementedError, ValueError, OSError) as error:
        raise DocumentError(f"knowledge path {source.path!r}: its files cannot be listed ({error})") from error
    if not source.include:
        found = {file for file in found if file.suffix.lower() in SUFFIXES}
    return sorted(file for file in found if file.resolve().is_relative_to(root))


def _secrecy(source: KnowledgeSource) -> int:
    """How little a source tells: everything, on a condition, nothing."""
    return 1 if source.tell_to is not None else 2 if source.secret else 0


def digest_of(file: Path, source: KnowledgeSource, holders: frozenset[str] | None) -> str:
    """SHA-256 of the content, with all else that its facts depend on. Raises DocumentError."""
    try:
        with file.open("rb") as handle:
            content = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise DocumentError(f"{file.name}: cannot be read ({error.strerror})") from error
    return f"{content}/{source.secret}/{source.tell_to}/{source.citation}/{sorted(holders or ())}"
