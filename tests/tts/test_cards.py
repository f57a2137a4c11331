"""Cards carry licence and consent or do not load; every complaint names file, line and field."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from npc import tts
from npc.config.authored import AuthoredFileError
from npc.tts import cards
from npc.tts.interface import SpeechRequest

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "voice.schema.json"
GOOD = """\
id: test
name: Test
engine: flite
settings: {voice: rms, rate: 0.9}
licence: {software: MIT, model: MIT, commercial_use: allowed}
consent: {basis: synthetic, statement: nobody's voice at all}
provenance: made up for a test
"""


def written(folder: Path, text: str, name: str = "test.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_committed_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text()) == cards.schema(), (
        'run: python -c "import json; from npc.tts import cards; print(json.dumps(cards.schema(), indent=2))" '
        "> docs/schemas/voice.schema.json"
    )


def test_every_shipped_card_loads_and_speaks(flite: None) -> None:
    found, errors = tts.list_cards()
    assert not errors
    assert len(found) >= 9
    for installed in found:
        try:
            synthesizer = tts.load(installed)
        except tts.EngineUnavailable:
            assert installed.card.engine != "flite"
            continue
        assert isinstance(synthesizer, tts.Synthesizer)
        assert sum(chunk.pcm.size for chunk in synthesizer.synthesize(SpeechRequest("Yes."))) > 3_000


@pytest.mark.parametrize("missing", ["licence", "consent", "provenance"])
def test_a_card_without_its_rights_does_not_load(tmp_path: Path, missing: str) -> None:
    text = "".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith(missing))
    path = written(tmp_path, text)
    with pytest.raises(AuthoredFileError, match=rf"test\.yaml:1: {missing}: Field required"):
        cards.load_card(path)


def test_a_licence_of_the_program_alone_is_not_enough(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("model: MIT, ", ""))
    with pytest.raises(AuthoredFileError, match=r"test\.yaml:5: licence\.model: Field required"):
        cards.load_card(path)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("engine: flight", r"test\.yaml:3: engine: no engine 'flight': there are .*flite"),
        ("settings: {voice: rms, sped: 1}", r"test\.yaml:4: settings\.sped: flite has no such setting: voice, rate"),
        ("settings: {rate: fast}", r"test\.yaml:4: settings\.rate: Input should be a valid number"),
        ("settings: {rate: 9}", r"test\.yaml:4: settings: .*rate must lie in \[0.5, 2.0\], got 9"),
    ],
)
def test_a_wrong_engine_or_setting_is_named_with_its_line(tmp_path: Path, wrong: str, complaint: str) -> None:
    field = wrong.split(":")[0]
    text = "".join(wrong + "\n" if line.startswith(field) else line for line in GOOD.splitlines(keepends=True))
    with pytest.raises(AuthoredFileError, match=complaint):
        tts.load(cards.load_card(written(tmp_path, text)))


def test_a_folder_of_one_s_own_comes_first_and_bad_files_do_not_hide_good_ones(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace("id: test", "id: flite-slt"), "mine.yaml")
    written(tmp_path, "id: [", "broken.yaml")
    found, errors = tts.list_cards([tmp_path])
    by_id = {installed.card.id: installed for installed in found}
    assert by_id["flite-slt"].card.settings == {"voice": "rms", "rate": 0.9}
    assert "flite-awb" in by_id
    assert len(errors) == 1
    assert "broken.yaml:" in str(errors[0])
    with pytest.raises(AuthoredFileError, match=r"broken\.yaml"):
        tts.find_card("broken", [tmp_path])
    with pytest.raises(tts.VoiceNotFound, match=r"no voice .oken.: there are"):
        tts.find_card("oken", [tmp_path])
    with pytest.raises(tts.VoiceNotFound, match="flite-slt"):
        tts.find_card("nobody", [tmp_path])


def test_choose_prefers_language_then_gender_then_age() -> None:
    found, _ = tts.list_cards()
    assert tts.choose(found, gender="female", age="old").card.id == "flite-slt-old"
    assert tts.choose(found, gender="male", age="young").card.hints.gender == "male"
    assert tts.choose(found, gender="male", language="de-AT").card.id == "espeak-de"
    assert tts.choose(found, language="cy").card.engine == "flite"
    with pytest.raises(tts.VoiceNotFound):
        tts.choose([])


def test_the_watermark_follows_the_card_and_the_caller(flite: None, tmp_path: Path) -> None:
    marked = cards.load_card(written(tmp_path, GOOD))
    plain = cards.load_card(written(tmp_path, GOOD + "watermark: false\n", "plain.yaml"))

    def say(voice: tts.Synthesizer) -> np.ndarray:  # type: ignore[type-arg]
        return np.concatenate([chunk.pcm for chunk in voice.synthesize(SpeechRequest("Some words."))])

    bare = say(tts.load(plain))
    np.testing.assert_array_equal(say(tts.load(marked, watermark=False)), bare)
    assert say(tts.load(marked)).size == bare.size
    assert not np.array_equal(say(tts.load(marked)), bare)
