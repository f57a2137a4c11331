"""Retention and erasure, proved on the bytes of every file the service keeps."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from npc.dialogue.memory.store import MemoryStore
from npc.simulation import privacy
from npc.simulation.attempt import Attempt, Turn, load, save
from npc.simulation.standards.cmi5 import Launch, LaunchedUnit
from npc.simulation.standards.reporting import REPORTED, Reporting
from npc.simulation.standards.settings import TrainingSettings, XapiPart
from npc.store import LogStore
from tests.simulation.attempts import make

DAY = 86_400.0
CANARY = "canary-xylophone-7731"


def keep(attempt: Attempt, attempts: Path) -> Path:
    folder = attempts / attempt.id
    folder.mkdir(parents=True)
    save(attempt, folder)
    (folder / "log.jsonl").write_text(json.dumps({"seq": 0, "text": [turn.text for turn in attempt.turns]}) + "\n")
    (folder / "trainee.wav").write_bytes(b"RIFF" + CANARY.encode() if attempt.trainee == "anna" else b"RIFF")
    return folder


def about(trainee: str, secret: str, **more: object) -> Attempt:
    said = (Turn(1, "trainee", f"My number is {secret}.", 0.0, 2.0),)
    return make(trainee=trainee, turns=said, verdicts=(), interventions=(), **more)


def test_attempts_leave_when_their_scenario_says(tmp_path: Path) -> None:
    ended = 1_000_000_000.0
    short = keep(about("anna", "a", id="short", ended=ended, retention_days=7), tmp_path)
    long = keep(about("anna", "a", id="long", ended=ended, retention_days=90), tmp_path)
    assert privacy.sweep(tmp_path, ended + 7 * DAY - 1) == []
    assert privacy.sweep(tmp_path, ended + 7 * DAY) == ["short"]
    assert (short.exists(), long.exists()) == (False, True)
    assert privacy.sweep(tmp_path, ended + 90 * DAY) == ["long"]


def test_an_attempt_that_was_never_ended_leaves_too_but_not_while_it_runs(tmp_path: Path) -> None:
    folder = keep(about("anna", "a", id="cut", ended=None, outcome="running", retention_days=7), tmp_path)
    written = max(path.stat().st_mtime for path in folder.iterdir())
    assert privacy.sweep(tmp_path, written + 7 * DAY) == []
    assert privacy.sweep(tmp_path, written + 8 * DAY + 1) == ["cut"]


class Memory:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def erase(self, trainee: str) -> int:
        assert self._store.erase(player=trainee) == ()
        return 1


def test_erasing_one_trainee_leaves_no_byte_of_them_anywhere(tmp_path: Path) -> None:
    """The canary is said in an attempt, its log, its sound, the session log, the memory, the outbox and a launch."""

    async def run() -> None:
        logs = LogStore(tmp_path / "sessions.sqlite")
        memory = MemoryStore(tmp_path / "memory.sqlite")
        reporting = Reporting(tmp_path, TrainingSettings(xapi=XapiPart(file=Path("statements.jsonl"))))
        learner = {"account": {"homePage": "https://lms", "name": CANARY}}
        for trainee, secret in (("anna", CANARY), ("ben", "kept-9d")):
            attempt = about(trainee, secret, id=f"att-{trainee}")
            keep(attempt, tmp_path / "attempts")
            unit = LaunchedUnit(
                Launch("https://lms", "https://lms/f", learner if trainee == "anna" else {}, "r", "a"), "t", {}
            )
            reporting.remember("cmi5", trainee, attempt.scenario.id, unit.to_json())
            # Half of it was delivered to the file already, half still waits.
            reporting.finished(attempt)
            target = reporting.target("lrs")
            assert target is not None
            await reporting.delivery("lrs", target).run()
            reporting.finished(about(trainee, secret, id=f"att2-{trainee}"))
            # The session was opened under another name; the client said later who plays.
            session = logs.open(f"sess-{trainee}", "dana", "player", 30)
            session.record("session.updated", {"session": {"npc": {"player": {"id": trainee}}}}, 0.0)
            for n in range(50):
                session.record("item.added", {"text": f"{secret} number {n}"}, float(n))
            logs.flush()
            memory.player("dana", trainee).commit(f"{secret}.", f"You said {secret}.", now=1.0, turn_id=f"t{trainee}")
        assert len(privacy.traces(CANARY, tmp_path)) >= 6

        places = [("reports", reporting), ("session logs", logs), ("memory", Memory(memory))]
        erased = privacy.erase("anna", tmp_path / "attempts", places, reporting.told_elsewhere())
        assert erased.attempts == 1
        assert dict(erased.others)["session logs"] == 1

        assert privacy.traces(CANARY, tmp_path) == []
        assert privacy.traces("anna", tmp_path) == []
        assert len(privacy.traces("kept-9d", tmp_path)) >= 4, "and everything of the other one is there"
        logs.close()
        memory.close()
        await reporting.close()
        assert privacy.traces(CANARY, tmp_path) == []

    asyncio.run(run())


def test_who_was_told_is_named(tmp_path: Path) -> None:
    settings = TrainingSettings(
        xapi=XapiPart(endpoint="https://lrs.example.org", user="u", password="p"),
        lms_origins=("https://lms.example.org",),
    )
    reporting = Reporting(tmp_path, settings)
    erased = privacy.erase("anna", tmp_path / "attempts", [], reporting.told_elsewhere())
    assert erased.elsewhere == ("https://lrs.example.org", "https://lms.example.org")
    reporting.outbox.close()


def test_an_attempt_is_reported_once_even_when_the_server_died_before(tmp_path: Path) -> None:
    settings = TrainingSettings(xapi=XapiPart(file=Path("s.jsonl")))
    folder = keep(about("anna", "a"), tmp_path / "attempts")
    keep(about("anna", "a", id="running", outcome="running"), tmp_path / "attempts")
    first = Reporting(tmp_path, settings)
    first.finished(about("anna", "a"))
    # Killed between the entries and the mark: the next process does it again, and nothing is doubled.
    assert not (folder / REPORTED).exists()
    second = Reporting(tmp_path, settings)
    before = len(second.outbox)
    assert second.sweep(tmp_path / "attempts") == 1
    assert len(second.outbox) == before
    assert second.sweep(tmp_path / "attempts") == 0
    first.outbox.close()
    second.outbox.close()


@pytest.mark.parametrize("sector", ["workplace", "education"])
def test_inferring_emotions_at_work_or_school_is_refused_with_the_article(sector: str) -> None:
    from npc.config.authored import AuthoredFileError, parse
    from npc.simulation.scenario import Scenario

    text = f"""
id: x
title: X
summary: An example.
sector: {sector}
trainee: {{name: You, brief: Practise.}}
characters: [{{id: dana, file: dana.yaml}}]
levels: [{{name: easy, label: Easy}}]
default_level: easy
rubric:
  items: [{{id: calm, kind: emotion, description: Stays calm, emotions: [anger]}}]
"""
    with pytest.raises(AuthoredFileError, match=r"Article 5\(1\)\(f\) of Regulation \(EU\) 2024/1689"):
        parse(text, Scenario)
    stated = (
        text + "privacy: {emotion: {reason: safety, statement: Fear must be noticed before the hatch is opened.}}\n"
    )
    assert parse(stated, Scenario).infers_emotion
    assert parse(text.replace(f"sector: {sector}", "sector: consumer"), Scenario).infers_emotion


@pytest.mark.parametrize("text", ["I am so furious about all of this!", "I feel sad and afraid today.", "What a joy!"])
def test_where_emotions_may_not_be_inferred_none_is(text: str) -> None:
    from npc.dialogue.emotion_reading import DeliveryHabit, PlayerReader, Reading
    from npc.dialogue.emotion_words import load_word_emotions
    from npc.simulation.unread import SpeechActs

    loud = {"pitch_hz": 300.0, "energy_db": -5.0, "rate_wps": 5.0}
    usual = PlayerReader(load_word_emotions()).read(text)
    assert usual.affect.label != "neutral", "the reader does see it elsewhere"
    read = SpeechActs(None).read(text, DeliveryHabit(), loud)
    assert read.affect == Reading().affect
    assert not {"words", "voice", "tone"} & set(read.witnesses)


def test_speech_acts_are_still_understood_without_emotions() -> None:
    from npc.simulation.unread import SpeechActs

    assert SpeechActs(None).read("I'm sorry about your room.").reaction != "none"


def test_a_file_that_comes_and_goes_during_a_sweep_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running attempt is rewritten by `attempt.json.new`; the sweep of all others once failed by it."""
    folder = keep(about("anna", "a", id="runs", ended=None, outcome="running"), tmp_path)
    listed = type(folder).iterdir
    monkeypatch.setattr(type(folder), "iterdir", lambda self: [*listed(self), self / "attempt.json.new"])
    assert privacy.expires(load(folder), folder) > (folder / "log.jsonl").stat().st_mtime


def test_an_attempt_that_cannot_be_read_is_erased_and_leaves_too(tmp_path: Path) -> None:
    """A server that died before it had written the record left a log that nothing ever deleted."""
    mine = keep(about("anna", "a", id="mine"), tmp_path)
    (mine / "attempt.json").write_text('{"id": "mine", "trainee": "anna", "turns": [')
    other = keep(about("ben", CANARY, id="other"), tmp_path)
    (other / "attempt.json").unlink()
    (other / "log.jsonl").write_text('{"player": "ben"}\n')
    assert privacy.erase("anna", tmp_path).attempts == 1
    assert (mine.exists(), other.exists()) == (False, True)
    written = max(path.stat().st_mtime for path in other.iterdir())
    assert privacy.sweep(tmp_path, written + 90 * DAY - 1) == []
    assert privacy.sweep(tmp_path, written + 90 * DAY + 1) == ["other"]
    assert not other.exists()
