"""Every setting of the service in one frozen object, and where it comes from.

    defaults of the profile  <  settings file (YAML)  <  environment NPC_*  <  overrides (command line)

    settings = load_settings(profile="embedded", overrides={"server.port": 8080})

An environment variable is NPC_ and the path in capitals with two underscores between levels: `NPC_SERVER__PORT=8080`,
`NPC_ASR__ENGINE=none`, `NPC_PROFILE=local`. `NPC_SETTINGS` names the file. A mistake is a `SettingsError` that says
where the value came from and what is wrong with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from npc.config.paths import state_dir

Profile = Literal["embedded", "local", "gpu", "remote"]

#: Settings that are lists: of words, written with commas, and of folders, written as in PATH.
_WORDS, _FOLDERS = frozenset(("keys", "origins", "hosts")), frozenset(("characters", "scenarios", "voices"))
#: Variables of that prefix which are no settings.
_NOT_SETTINGS = frozenset(("NPC_SETTINGS", "NPC_CACHE", "NPC_STATE"))


class SettingsError(ValueError):
    """A setting is wrong; the message names where it came from."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ServerPart(_Part):
    """Where to listen and whom to let in (`npc.server.ServerSettings` says more)."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    keys: tuple[str, ...] = Field(default=(), repr=False)
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    ticket_secret: str = Field(default="", repr=False)


class HearingPart(_Part):
    """How players are heard."""

    engine: str = "pocketsphinx"
    """`pocketsphinx`, `faster_whisper`, an entry point's name, or `none` (typing only)."""
    model: str | None = None
    """Directory or name of the recogniser's model, for engines that have one."""
    vad: Literal["auto", "silero", "energy"] = "auto"
    end_of_turn: str = "embedded"
    """`embedded`, or the path of a Smart-Turn-type ONNX model."""
    own_voice: bool = True
    """Recognise our own sound coming back through the microphone."""
    refine_budget_ms: Annotated[int, Field(ge=0, le=2000)] = 150
    """How long after the end of a turn a second recognition pass may still replace the text."""


class SpeakingPart(_Part):
    """How characters are heard."""

    voice: str | None = None
    """A voice card for every character instead of their own; `none` makes all replies text."""
    watermark: bool = True
    face: bool = True
    greets: bool = True
    """Characters speak first to clients that know `npc.*`."""
    filler_after_ms: Annotated[int, Field(ge=0, le=20_000)] = 1000
    """A mind that has nothing to say this long after the end of the player's turn is covered by one of the character's
    fillers ("Let me think."); 0: never. The embedded mind answers sooner; larger language models may not."""


class MindPart(_Part):
    """Who thinks of the words."""

    model: Literal["composed", "native", "transformers", "openai_compatible"] = "composed"
    """`composed` needs no language model; the others stream one, and fall back to `composed`."""
    path: str | None = None
    """Directory of a checkpoint (`native`, `transformers`)."""
    url: str | None = None
    """Base URL ending in /v1 (`openai_compatible`)."""
    name: str | None = None
    """The model's name at that server."""
    key: str | None = Field(default=None, repr=False)
    wording: str = "auto"
    """Who words what `composed` has chosen: `auto` is the shipped dialogue model, `off` stock lines alone, else a
    folder of weights made by `python -m npc.training.mind`."""
    directions: Path | None = None
    """Steering directions of the checkpoint in `path`, made by `npc steer learn` (`native`): the character's feelings
    lean on them."""
    adapters: Path | None = None
    """Folder of LoRA adapters, one PEFT folder a character id: for the checkpoint in `path` with `native`, else for the
    dialogue model."""
    draft: Path | None = None
    """Directory of a smaller checkpoint with the vocabulary of the one in `path` (`native`): it guesses ahead, and the
    replies stay the same."""


class KeepingPart(_Part):
    """What is kept, and for how long."""

    folder: Path | None = None
    """Logs, memory and save slots; the state folder by default."""
    retain: Annotated[str, Field(pattern=r"^(session|none|days:[1-9]\d{0,4})$")] = "session"
    """Session logs: deleted when the session ends, never written, or kept for days. A session may ask for less."""
    memory: str = Field(default="", repr=False)
    """Where characters' memories are: a PostgreSQL server (`postgresql://USER@HOST/DATABASE`, the password better in
    PGPASSWORD or ~/.pgpass); empty: the SQLite file `memory.sqlite` in the folder."""
    documents: str = Field(default="", repr=False)
    """Where characters' documents are indexed: a PostgreSQL server with pgvector, as above; empty: SQLite files."""


class Settings(_Part):
    """All of it. `profile` chose the defaults; every part can be set by itself."""

    profile: Profile = "embedded"
    server: ServerPart = ServerPart()
    asr: HearingPart = HearingPart()
    tts: SpeakingPart = SpeakingPart()
    llm: MindPart = MindPart()
    store: KeepingPart = KeepingPart()
    characters: tuple[Path, ...] = ()
    """Folders of characters that come before the shipped ones."""
    scenarios: tuple[Path, ...] = ()
    """Folders of training scenarios that come before the shipped ones."""
    voices: tuple[Path, ...] = ()
    """Folders of voice cards that come before the shipped ones."""
    max_sessions: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Sessions at once; beyond it new ones are refused (`npc.server.Bounds`)."""
    seed: int = 0

    @property
    def folder(self) -> Path:
        """Where logs, memory and save slots lie."""
        return self.store.folder or state_dir()


#: What each profile changes. `local` and `gpu` expect model directories: they are named, never downloaded by surprise.
PROFILES: Mapping[Profile, Mapping[str, Any]] = {
    "embedded": {},
    "local": {"asr": {"engine": "faster_whisper", "model": "small"}, "llm": {"model": "native"}},
    "gpu": {"asr": {"engine": "faster_whisper", "model": "large-v3-turbo"}, "llm": {"model": "transformers"}},
    "remote": {"llm": {"model": "openai_compatible"}},
}


def load_settings(
    profile: str | None = None,
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from all sources. `overrides` maps dotted paths (`server.port`) to values. Raises SettingsError."""
    variables = os.environ if environment is None else environment
    named = file or (Path(variables["NPC_SETTINGS"]) if variables.get("NPC_SETTINGS") else None)
    from_file = _read(named) if named is not None else {}
    from_environment = _from_environment(variables)
    given: dict[str, Any] = {}
    for path, value in (overrides or {}).items():
        _put(given, path.split("."), value)
    if profile is not None:
        given["profile"] = profile
    chosen = given.get("profile") or from_environment.get("profile") or from_file.get("profile") or "embedded"
    defaults = {str(name): values for name, values in PROFILES.items()}.get(str(chosen))
    if defaults is None:
        raise SettingsError(f"profile {chosen!r}: there are {', '.join(PROFILES)}")
    layers = {
        f"profile {chosen}": {**defaults, "profile": chosen},
        f"file {named}": from_file,
        "environment": from_environment,
        "command line": given,
    }
    merged: dict[str, Any] = {}
    for layer in layers.values():
        merged = _merge(merged, layer)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(_complaints(error, layers)) from None
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    """What no single field can know, and what must not be quoted."""
    mind = settings.llm
    for name, address in (("memory", settings.store.memory), ("documents", settings.store.documents)):
        if address and not address.startswith(("postgresql://", "postgres://")):
            raise SettingsError(
                f"store.{name}: expected postgresql://USER@HOST/DATABASE, or nothing for SQLite in store.folder"
            )
    if mind.model == "openai_compatible" and not mind.url:
        raise SettingsError(
            "llm.url is missing: openai_compatible needs the base URL of a server, e.g. "
            "NPC_LLM__URL=http://127.0.0.1:11434/v1 (Ollama) and NPC_LLM__NAME=<model>"
        )
    if mind.model in ("native", "transformers") and not mind.path:
        raise SettingsError(
            f"llm.path is missing: {mind.model} needs a checkpoint directory, e.g. NPC_LLM__PATH=/models/qwen2.5-0.5b; "
            "`npc models` lists and fetches some"
        )
    if settings.asr.engine == "faster_whisper" and not settings.asr.model:
        raise SettingsError(
            "asr.model is missing: faster_whisper needs the name or directory of a model, e.g. NPC_ASR__MODEL=small; "
            "`npc models` lists and fetches some"
        )
    if mind.directions is not None and mind.model != "native":
        raise SettingsError(f"llm.directions: only a native model can be steered, and llm.model is {mind.model}")


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings file {path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise SettingsError(f"settings file {path}: {error}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError(f"settings file {path}: expected a mapping of settings, found {type(data).__name__}")
    return data


def _from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted(variables):
        if name.startswith("NPC_") and name not in _NOT_SETTINGS:
            path = name.removeprefix("NPC_").lower().split("__")
            if path[0] in Settings.model_fields:
                _put(found, path, read_value(path[-1], variables[name]))
    return found


def read_value(name: str, text: str) -> Any:
    """A setting's value as text, of a variable or a command line: lists are taken apart (`a,b`, folders as in PATH, or
    `[a, b]` as in YAML), what else it may be is the setting's own business. Raises SettingsError."""
    if name not in _WORDS and name not in _FOLDERS:
        return text
    if text.lstrip().startswith("["):
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            raise SettingsError(f"{name}: {text!r} is not a list like [a, b]") from None
    parts = text.split("," if name in _WORDS else os.pathsep)
    return [part.strip() for part in parts if part.strip()]


def _put(into: dict[str, Any], path: list[str], value: Any) -> None:
    for depth, name in enumerate(path[:-1]):
        inner = into.setdefault(name, {})
        if not isinstance(inner, dict):
            here = ".".join(path[: depth + 1])
            raise SettingsError(f"{here}: is set to {inner!r} and has parts ({'.'.join(path)}) as well: leave one out")
        into = inner
    into[path[-1]] = value


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in change.items():
        old = merged.get(name)
        merged[name] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _complaints(error: ValidationError, layers: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for problem in error.errors():
        path = [str(part) for part in problem["loc"]]
        source = next((name for name, layer in reversed(list(layers.items())) if _has(layer, path)), "defaults")
        lines.append(f"{'.'.join(path)} (from {source}): {problem['msg']}")
    return "\n".join(lines)


def _has(layer: Mapping[str, Any], path: list[str]) -> bool:
    here: Any = layer
    for name in path:
        if not isinstance(here, Mapping) or name not in here:
            return False
        here = here[name]
    return True
