"""Settings: which source wins, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from npc.config.settings import SettingsError, load_settings


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
