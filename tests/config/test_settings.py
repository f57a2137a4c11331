"""Settings: which source wins, and what a mistake is told."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from npc.cli.serve import main
from npc.config.settings import SettingsError, load_settings, read_value
from npc.server import ServerSettings


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "npc.yaml"
    file.write_text("server: {port: 1000, host: 127.0.0.2}\nasr: {engine: none}\n")
    environment = {"NPC_SERVER__PORT": "2000", "NPC_TTS__GREETS": "false", "NPC_CACHE": "/x", "NPC_OTHER": "y"}
    settings = load_settings(None, file, {"server.port": 3000}, environment)
    assert (settings.server.port, settings.server.host) == (3000, "127.0.0.2")
    assert settings.asr.engine == "none"
    assert settings.tts.greets is False
    assert load_settings(None, file, None, environment).server.port == 2000


def test_profiles_choose_a_coherent_set() -> None:
    assert load_settings(environment={}).asr.engine == "pocketsphinx"
    local = load_settings("local", overrides={"llm.path": "/models/x"}, environment={})
    assert (local.asr.engine, local.llm.model) == ("faster_whisper", "native")
    named = load_settings(environment={"NPC_PROFILE": "remote", "NPC_LLM__URL": "http://127.0.0.1:1/v1"})
    assert named.llm.model == "openai_compatible"


@pytest.mark.parametrize(
    ("overrides", "environment", "message"),
    [
        ({"server.port": 99999}, {}, r"server\.port \(from command line\)"),
        ({}, {"NPC_SERVER__PORT": "many"}, r"server\.port \(from environment\)"),
        ({"asr.colour": "red"}, {}, r"asr\.colour \(from command line\): Extra"),
        ({"store.retain": "forever"}, {}, r"store\.retain"),
        ({"profile": "huge"}, {}, "profile 'huge': there are embedded, local"),
        ({"llm.model": "openai_compatible"}, {}, r"llm\.url is missing"),
        ({"llm.model": "native"}, {}, r"llm\.path is missing"),
        ({"asr.engine": "faster_whisper"}, {}, r"asr\.model is missing"),
        ({"llm.directions": "/x.npz"}, {}, r"llm\.directions: only a native model can be steered"),
    ],
)
def test_a_mistake_is_told_with_its_source(
    overrides: dict[str, object], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(None, None, overrides, environment)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read"):
        load_settings(None, tmp_path / "none.yaml", None, {})
    broken = tmp_path / "broken.yaml"
    broken.write_text("server: [")
    with pytest.raises(SettingsError, match=r"broken\.yaml"):
        load_settings(None, broken, None, {})
    broken.write_text("- a list")
    with pytest.raises(SettingsError, match="expected a mapping"):
        load_settings(None, broken, None, {})


def test_keys_stay_out_of_the_representation() -> None:
    settings = load_settings(environment={"NPC_SERVER__KEYS": "secret-secret-secret", "NPC_LLM__KEY": "sk-1"})
    assert "secret-secret" not in repr(settings)
    assert "sk-1" not in repr(settings)
    assert settings.server.keys == ("secret-secret-secret",)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("keys", "a, b", ["a", "b"]),
        ("scenarios", f"/x{os.pathsep}/y", ["/x", "/y"]),
        ("scenarios", "/x", ["/x"]),
        ("voices", '["/x, y"]', ["/x, y"]),
        ("name", "a: b: c", "a: b: c"),
        ("voice", "no", "no"),
        ("folder", "2026", "2026"),
    ],
)
def test_text_is_read_as_the_setting_wants_it(name: str, text: str, value: object) -> None:
    assert read_value(name, text) == value


def test_words_that_yaml_would_read_as_something_else_stay_words() -> None:
    environment = {"NPC_TTS__VOICE": "no", "NPC_STORE__FOLDER": "2026", "NPC_ASR__END_OF_TURN": "[x", "NPC_SEED": "7"}
    settings = load_settings(environment={**environment, "NPC_TTS__FACE": "off"})
    assert (settings.tts.voice, settings.store.folder, settings.asr.end_of_turn) == ("no", Path("2026"), "[x")
    assert (settings.seed, settings.tts.face) == (7, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "server.port=["), r"server\.port \(from command line\): Input should be a valid integer"),
        (("--set", "server=1", "--set", "server.port=2"), "server: is set to '1' and has parts"),
        (("--set", "voices=[a"), r"voices: '\[a' is not a list"),
        (("--set", "server.port"), "expected PATH=VALUE"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_without_a_traceback(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(arguments)) == 2
    assert re.search(message, capsys.readouterr().err)


def test_what_is_set_reaches_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`max_sessions` went nowhere, and lists could not be given by --set."""
    seen: list[ServerSettings] = []
    monkeypatch.setattr("npc.cli.serve._offer_voice", lambda _: None)
    monkeypatch.setattr("npc.cli.serve.to_terminal", lambda: None)
    monkeypatch.setattr("npc.server.serve", lambda _, listen, **more: seen.append(listen))
    sets = ("max_sessions=7", "server.keys=a-long-enough-key", f"scenarios={tmp_path}", f"store.folder={tmp_path}")
    assert main([part for one in sets for part in ("--set", one)]) == 0
    assert (seen[0].bounds.max_sessions, seen[0].keys) == (7, ("a-long-enough-key",))


def test_addresses_of_databases_are_checked_and_never_quoted() -> None:
    address = "postgresql://npc:sesame@db.example/npc"
    settings = load_settings(environment={"NPC_STORE__MEMORY": address}, overrides={"store.documents": address})
    assert (settings.store.memory, settings.store.documents) == (address, address)
    assert "sesame" not in repr(settings)
    for name in ("memory", "documents"):
        with pytest.raises(SettingsError, match=rf"store\.{name}: expected postgresql://USER@HOST/DATABASE") as wrong:
            load_settings(environment={}, overrides={f"store.{name}": "mysql://npc:sesame@db.example/npc"})
        assert "sesame" not in str(wrong.value)
