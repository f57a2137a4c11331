"""`npc models`: models that larger profiles can use: what they are, under which licence, and how to fetch one.

    npc models list
    npc models pull qwen2.5-0.5b          shows the licence and asks; --yes skips the question
    npc models pull owner/name            any repository of the Hugging Face hub

Files go to the cache folder, a broken download goes on where it stopped, and every large file is checked against the
hub's SHA-256. Nothing is ever fetched by the service itself.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

from npc.config.paths import cache_dir

#: What our loaders read; checkpoints in other formats (pickles above all) stay where they are.
_PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.bin.index.json", "model.bin", "LICENSE*", "README.md")


@dataclass(frozen=True, slots=True)
class Known:
    """A model that was looked at: its repository, what it is for, its licence, its size, the setting that uses it."""

    name: str
    repository: str
    purpose: str
    licence: str
    gigabytes: float
    setting: str


CATALOGUE = (
    Known("smollm2-135m", "HuggingFaceTB/SmolLM2-135M-Instruct", "dialogue, smallest", "Apache-2.0", 0.27, "llm.path"),
    Known("smollm2-360m", "HuggingFaceTB/SmolLM2-360M-Instruct", "dialogue, small", "Apache-2.0", 0.72, "llm.path"),
    Known("qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B-Instruct", "dialogue, two CPU cores", "Apache-2.0", 0.99, "llm.path"),
    Known("qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B-Instruct", "dialogue, better, slower", "Apache-2.0", 3.1, "llm.path"),
    Known("whisper-tiny", "Systran/faster-whisper-tiny", "hearing, many languages", "MIT", 0.08, "asr.model"),
    Known("whisper-small", "Systran/faster-whisper-small", "hearing, good", "MIT", 0.48, "asr.model"),
)


class PullFailed(RuntimeError):
    """The model could not be fetched; the message says why and what to do."""


def main(argv: list[str]) -> int:
    """Exit status 1 when a download failed or was refused."""
    parser = argparse.ArgumentParser(
        prog="npc models", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="what there is, and what is here already")
    pull = verbs.add_parser("pull", help="fetch one")
    pull.add_argument("model", help="a name of the list, or owner/name of the hub")
    pull.add_argument("--yes", action="store_true", help="accept the licence without being asked")
    given = parser.parse_args(argv)
    if given.verb == "list":
        _list()
        return 0
    known = next((one for one in CATALOGUE if given.model in (one.name, one.repository)), None)
    repository = known.repository if known else given.model
    if "/" not in repository:
        print(f"npc models: no model {given.model!r}; npc models list shows them", file=sys.stderr)
        return 1
    if not given.yes and not _accepted(known, repository):
        return 1
    try:
        place = pull_model(repository)
    except PullFailed as error:
        print(f"npc models: {error}", file=sys.stderr)
        return 1
    print(f"{place}\nuse it with: {use(known, place)}")
    return 0


def use(known: Known | None, place: Path) -> str:
    """The command that serves with a fetched model. It sets that part alone: a profile would want its others too."""
    engine = "asr.engine=faster_whisper" if known and known.setting == "asr.model" else "llm.model=native"
    setting = known.setting if known else "llm.path"
    return f"npc serve --set {engine} --set {setting}={place}"


def folder_of(repository: str) -> Path:
    """Where a repository's files lie once fetched."""
    return cache_dir() / "models" / repository.replace("/", "--")


def here_of(place: Path) -> str:
    """What `npc models list` says of a model's folder: a download that was broken off lies there, too."""
    if not place.is_dir():
        return ""
    weights = any(place.glob("*.safetensors")) or (place / "model.bin").is_file()
    return "yes" if weights and not any(place.rglob("*.incomplete")) else "in part: pull again"


def pull_model(repository: str) -> Path:
    """Fetch what our loaders read of a hub repository, with progress; returns its folder. Raises PullFailed."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    place = folder_of(repository)
    failures: tuple[type[Exception], ...] = (HfHubHTTPError, HFValidationError, OSError, *_connection_errors())
    try:
        info = HfApi().model_info(repository, files_metadata=True)
        snapshot_download(repository, revision=info.sha, local_dir=place, allow_patterns=list(_PATTERNS))
    except failures as error:
        raise PullFailed(f"{repository} could not be fetched: {error}. Is the hub reachable from here?") from error
    for file in info.siblings or []:
        wanted = file.lfs.sha256 if file.lfs else None
        path = place / file.rfilename
        if wanted and path.exists() and _sha256(path) != wanted:
            path.unlink()
            raise PullFailed(f"{file.rfilename} does not match the hub's checksum and was removed: pull again")
    return place


def _connection_errors() -> tuple[type[Exception], ...]:
    """What the hub's client lets through from beneath it: the errors of httpx2 in newer versions, of httpx before."""
    found: list[type[Exception]] = []
    for name in ("httpx2", "httpx"):
        with contextlib.suppress(ImportError):
            found.append(importlib.import_module(name).HTTPError)
    return tuple(found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _accepted(known: Known | None, repository: str) -> bool:
    if known is None:
        print(f"{repository}: its licence is on its page; read it before you ship anything made with it.")
    else:
        print(f"{known.repository}: {known.purpose}, {known.gigabytes:.2f} GB, licence {known.licence}")
    try:
        return input("Fetch it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "for", "licence", "GB", "setting", "here"):
        table.add_column(heading)
    for one in CATALOGUE:
        here = here_of(folder_of(one.repository))
        table.add_row(one.name, one.purpose, one.licence, f"{one.gigabytes:.2f}", one.setting, here)
    console = Console()
    console.print(table)
    console.print("The embedded profile needs none of these.")
