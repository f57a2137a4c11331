"""Several characters in a scenario: who is spoken to answers, in its own name and voice, and knows what was said."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from npc.cli.scenario_studio import in_studio
from npc.conversation.replay import replay
from npc.dialogue.character_library import find_character
from npc.inference.encoder import EncoderError
from npc.protocol import NpcEvent, NpcRehearsal
from npc.simulation.attempt import list_attempts, log_files
from npc.simulation.driver import TraineeClient
from npc.simulation.ensemble import addressed, names_of
from npc.simulation.package import Package, open_package
from npc.simulation.timeline import timeline
from npc.simulation.trainees import Step
from npc.store import read_lines
from tests.simulation.scenarios_made import CHARACTER, write

NAMES = {"ada": ("Ada Quill", "Ada", "Quill"), "tam": ("Tam Birch", "Tam", "Birch", "boss")}


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Tam, is it locked out?", "tam"),
        ("Hey Tam, come here.", "tam"),
        ("tam can you hold this", "tam"),
        ("Is it locked out, Tam?", "tam"),
        ("what do you think tam", "tam"),
        ("Thanks, Ada. And Tam, what did you see?", "tam"),
        ("Okay boss, tell me.", "tam"),
        ("I told Tam already.", "ada"),
        ("Is that what you said to Tam?", "ada"),
        ("Tam said it was locked out.", "ada"),
        ("Tam's lock is on.", "ada"),
        ("Was it Tam or Ada?", "ada"),
        ("A tambourine, please.", "ada"),
        ("What do you need?", "ada"),
    ],
)
def test_a_name_calls_and_being_talked_about_does_not(text: str, who: str) -> None:
    assert addressed(text, NAMES, "ada") == who


def test_whoever_was_addressed_stays_so() -> None:
    assert addressed("And what then?", NAMES, "tam") == "tam"
    assert addressed("Ada, is that so?", NAMES, "tam") == "ada"


# -- run ---------------------------------------------------------------------------------------------------------------

BOB = (
    CHARACTER.replace("ada-quill", "bob-hale")
    .replace("Ada Quill", "Bob Hale")
    .replace("role: customer", "role: floor manager")
    .replace("I buy ink every Friday.", "I run the floor.")
    .replace("The tax office wants every receipt of last year.", "Refunds are made at the desk upstairs.")
    .replace("id: reason", "id: refunds")
    .replace("[why, reason, receipt]", "[refund, desk]")
    .replace("flite-slt", "flite-kal16")
)


@pytest.fixture
def package(tmp_path: Path) -> Package:
    folder = tmp_path / "scenarios" / "till"
    folder.mkdir(parents=True)
    (folder / "bob.yaml").write_text(BOB, encoding="utf-8")
    added = "  - {id: ada-quill, file: ada.yaml}\n  - {id: bob-hale, file: bob.yaml, addressed_as: [manager]}"
    return open_package(write(folder, ("scenario.yaml", "  - {id: ada-quill, file: ada.yaml}", added)))


@pytest.fixture(autouse=True)
def by_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise EncoderError("left out")

    monkeypatch.setattr("npc.simulation.scenarios.load_encoder", missing)
    monkeypatch.setattr("npc.dialogue.mind_open.load_encoder", missing)
    monkeypatch.setattr("npc.server.assembly.list_characters", lambda _: ((find_character("sela-marrow"),), ()))


def play(package: Package, folder: Path, *steps: Step, attempt: str | None = None, voice: str = "none") -> list[str]:
    """Whom the client was told to be speaking to, in order."""
    told: list[str] = []

    async def take(client: Any) -> None:
        trainee = TraineeClient(client, package, None)
        receive = trainee._playback.receive

        def seen(one: Any) -> None:
            if isinstance(one, NpcRehearsal):
                told.append(one.character)
            receive(one)

        trainee._playback.receive = seen  # type: ignore[method-assign]
        await trainee.run(steps, None, True, "t1", attempt=attempt)

    in_studio(package, take, folder, {"asr.engine": "none", **({"tts.voice": "none"} if voice == "none" else {})})
    return told


def test_each_answers_when_spoken_to_and_the_record_says_who(package: Package, tmp_path: Path) -> None:
    told = play(
        package,
        tmp_path,
        Step(say="Good morning to you."),
        Step(say="Manager, where are refunds made?"),
        Step(say="And why at the desk?"),
        Step(say="Thanks. Ada, why does the tax office want every receipt?"),
        Step(say="Goodbye."),
    )
    ((place, attempt),) = list_attempts(tmp_path / "attempts")
    by = [(turn.character, turn.text) for turn in attempt.turns if turn.speaker == "character"]
    # Surely or with doubt: what the mind makes of it is its own; here it matters who says it.
    assert any(who == "bob-hale" and "Refunds are made at the desk upstairs" in text for who, text in by), by
    assert any(who == "ada-quill" and "tax office" in text for who, text in by), by
    assert told[0] == "ada-quill"
    assert "bob-hale" in told
    assert told[-1] == "ada-quill"
    assert {one.item: one.state for one in attempt.verdicts}["learns"] == "met"
    (log,) = log_files(place)
    assert replay(read_lines(log)).exact
    assert timeline([read_lines(log)], ["print_receipt"]).turns() == attempt.turns


def test_a_client_may_say_whom_it_speaks_to_and_a_resumed_attempt_remembers(package: Package, tmp_path: Path) -> None:
    async def take(client: Any) -> None:
        trainee = TraineeClient(client, package, None)
        steps = (Step(say="Good morning."), Step(do="address", arguments={"character": "bob-hale"}), Step(wait=400))
        task = asyncio.create_task(trainee.run(steps, None, False, "t1"))
        await asyncio.sleep(20)
        await client.send(NpcEvent(trigger="address", data={"character": "nobody"}))
        task.cancel()
        await asyncio.wait([task])

    in_studio(package, take, tmp_path, {"asr.engine": "none", "tts.voice": "none"})
    ((_, before),) = list_attempts(tmp_path / "attempts")
    play(package, tmp_path, Step(say="Where are refunds made?"), Step(say="Goodbye."), attempt=before.id)
    ((_, after),) = list_attempts(tmp_path / "attempts")
    by = [(turn.character, turn.text) for turn in after.turns]
    assert any(who == "bob-hale" and "Refunds are made at the desk upstairs" in text for who, text in by), by


def test_names() -> None:
    class One:
        name = "Dr. Ann Lee"

    assert names_of(One(), ("Doctor",)) == ("Dr. Ann Lee", "Ann", "Lee", "Doctor")  # type: ignore[arg-type]
