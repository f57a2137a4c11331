"""Scenarios over a real session in virtual time: recorded as they go, cut off, gone on with, steered."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from npc.cli.scenario_studio import in_studio
from npc.client import RealtimeClient
from npc.conversation.companion import CannotJoin, Wish
from npc.conversation.people import PlayerRef
from npc.conversation.replay import replay
from npc.dialogue.character_library import Installed, find_character
from npc.inference.encoder import EncoderError
from npc.protocol import ErrorEvent, NpcAssessment, NpcEvent, NpcInstructed, NpcInstructor, NpcRehearsal, SessionUpdate
from npc.protocol.session import Rehearsal
from npc.simulation.attempt import Attempt, list_attempts, log_files
from npc.simulation.driver import Refused, TraineeClient
from npc.simulation.package import Package, open_package, pack
from npc.simulation.running import RunningScenario
from npc.simulation.scenarios import Scenarios
from npc.simulation.studio import InProcessClient
from npc.simulation.trainees import Step
from npc.store import read_lines
from tests.simulation.scenarios_made import write

#: Ears and voice are left out: these tests type, and what is said is the same.
TYPED = {"asr.engine": "none", "tts.voice": "none"}
GOOD = (Step(say="Good morning to you."), Step(say="What do you need?"), Step(do="print_receipt"), Step(say="Goodbye."))


@pytest.fixture(autouse=True)
def by_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the sentence encoder, which takes longer to load than everything else here."""

    def missing() -> None:
        raise EncoderError("left out")

    monkeypatch.setattr("npc.simulation.scenarios.load_encoder", missing)
    monkeypatch.setattr("npc.dialogue.mind_open.load_encoder", missing)
    monkeypatch.setattr("npc.server.assembly.list_characters", lambda _: (_one_character(), ()))


def _one_character() -> tuple[Installed, ...]:
    return (find_character("sela-marrow"),)


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return open_package(write(tmp_path / "scenarios" / "till"))


def stage(package: Package, folder: Path, take: Callable[[InProcessClient], Awaitable[Any]]) -> Any:
    return in_studio(package, take, folder, TYPED)


def run(package: Package, folder: Path, steps: tuple[Step, ...], **how: Any) -> Any:
    wish = {"level": None, "consent_audio": False, "player": "t1", **how}
    return stage(package, folder, lambda client: TraineeClient(client, package, None).run(steps, **wish))


def only_attempt(folder: Path) -> tuple[Path, Attempt]:
    ((place, attempt),) = list_attempts(folder / "attempts")
    return place, attempt


def test_an_attempt_is_judged_kept_and_replays_bit_for_bit(package: Package, tmp_path: Path) -> None:
    result = run(package, tmp_path, GOOD, consent_audio=True)
    place, attempt = only_attempt(tmp_path)
    assert (result.attempt, result.outcome, result.passed) == (attempt.id, "completed", True)
    assert attempt.path == ("waiting", "gone")
    assert [turn.speaker for turn in attempt.turns][:2] == ["character", "trainee"]
    states = {one.item: one.state for one in attempt.verdicts}
    assert {states[name] for name in ("greet", "ask", "rude", "polite_first", "printed", "served")} == {"met"}
    assert states["quick"] == "not_observed", "nothing was spoken that could be timed"
    assert attempt.consent.audio
    (log,) = log_files(place)
    assert replay(read_lines(log)).exact


def test_without_consent_no_sound_is_kept(package: Package, tmp_path: Path) -> None:
    run(package, tmp_path, GOOD)
    place, attempt = only_attempt(tmp_path)
    assert attempt.audio.trainee is None
    assert list(place.glob("*.wav")) == []


def test_silence_is_noticed_sooner_on_the_hard_level(package: Package, tmp_path: Path) -> None:
    when = {}
    for level in ("easy", "hard"):
        run(package, tmp_path / level, (Step(wait=20),), level=level)
        _, attempt = only_attempt(tmp_path / level)
        when[level] = next(event.at_s for event in attempt.events if event.kind == "timed")
        assert attempt.outcome == "abandoned"
        assert attempt.passed is False
    assert when["hard"] + 5 < when["easy"]


async def begin(client: InProcessClient, package: Package, **rehearsal: Any) -> None:
    await client.created()
    npc = {"player": {"id": "t1"}, "scenario": package.scenario.id, "rehearsal": rehearsal}
    await client.send(SessionUpdate.model_validate({"type": "session.update", "session": {"npc": npc}}))


async def until(client: InProcessClient, wanted: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(60):
        async for incoming in client:
            if wanted(incoming):
                return incoming
    raise AssertionError("unreachable")


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"level": "fiendish"}, "no level 'fiendish'"),
        ({"attempt": "att_none"}, "no attempt 'att_none'"),
        ({"attempt": "../../etc"}, "is no id"),
    ],
)
def test_what_cannot_be_begun_is_refused_by_name(
    package: Package, tmp_path: Path, wish: dict[str, str], complaint: str
) -> None:
    async def take(client: InProcessClient) -> str:
        await begin(client, package, **wish)
        return str((await until(client, lambda one: isinstance(one, ErrorEvent))).error.message)

    assert complaint in stage(package, tmp_path, take)


def test_an_instructor_steers_and_every_hand_is_in_the_record(package: Package, tmp_path: Path) -> None:
    async def take(client: InProcessClient) -> list[Any]:
        seen: list[Any] = []
        await begin(client, package)
        await until(client, lambda one: isinstance(one, NpcRehearsal))
        await asyncio.sleep(5)
        for action, more in (
            ("whisper", {"text": "be cross"}),
            ("bookmark", {"text": "here"}),
            ("difficulty", {"level": "hard"}),
            ("pause", {}),
            ("resume", {}),
            ("inject", {"trigger": "print_receipt"}),
            ("difficulty", {"level": "nightmare"}),
            ("end", {}),
        ):
            client.conversation.instruct(NpcInstructor(action=action, **more), "kim", Outbox(seen))  # type: ignore[attr-defined, arg-type]
            await asyncio.sleep(3)
        await until(client, lambda one: isinstance(one, NpcRehearsal) and one.state == "finished")
        return seen

    answers = stage(package, tmp_path, take)
    assert [one.action for one in answers if isinstance(one, NpcInstructed)][:3] == [
        "whisper",
        "bookmark",
        "difficulty",
    ]
    (refused,) = [one for one in answers if isinstance(one, ErrorEvent)]
    assert "nightmare" in refused.error.message
    _, attempt = only_attempt(tmp_path)
    assert attempt.outcome == "ended_by_instructor"
    assert attempt.level == "hard"
    done = [(one.action, one.text, one.by) for one in attempt.interventions]
    assert ("bookmark", "here", "kim") in done
    assert ("difficulty", "hard", "kim") in done
    assert [event.name for event in attempt.events if event.kind == "objective_met"] == ["has_receipt"]


class Outbox:
    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def send(self, item: Any) -> None:
        self.seen.append(item)


def test_a_whisper_is_answered_to_the_instructor_alone(package: Package, tmp_path: Path) -> None:
    async def take(client: InProcessClient) -> list[Any]:
        await begin(client, package)
        await until(client, lambda one: isinstance(one, NpcRehearsal))
        client.conversation.instruct(NpcInstructor(action="whisper", text="psst"), "kim", Outbox([]))  # type: ignore[attr-defined]
        await client.send(NpcEvent(trigger="end_attempt"))
        seen: list[Any] = []
        await until(client, lambda one: seen.append(one) or (isinstance(one, NpcRehearsal) and one.state == "finished"))
        return seen

    assert not [one for one in stage(package, tmp_path, take) if isinstance(one, NpcInstructed)]


def cut_off(package: Package, folder: Path) -> None:
    """An attempt of t1 that was left after three steps."""

    async def first(client: InProcessClient) -> None:
        trainee = TraineeClient(client, package, None)
        task = asyncio.create_task(trainee.run((*GOOD[:3], Step(wait=600)), None, False, "t1"))
        await asyncio.sleep(30)
        task.cancel()
        await asyncio.wait([task])

    stage(package, folder, first)


def test_a_cut_off_attempt_goes_on_for_its_trainee_alone(package: Package, tmp_path: Path) -> None:
    cut_off(package, tmp_path)
    place, before = only_attempt(tmp_path)
    assert before.outcome == "running"
    assert "What do you need?" in [turn.text for turn in before.turns]
    with (place / "log.jsonl").open("a") as torn:
        torn.write('{"at": 31.0, "kind": "asr.par')
    with pytest.raises(Refused, match="no attempt"):
        run(package, tmp_path, GOOD[3:], player="t2", attempt=before.id)
    result = run(package, tmp_path, GOOD[3:], attempt=before.id)
    _, after = only_attempt(tmp_path)
    assert result.attempt == before.id
    assert after.outcome == "completed"
    said = [turn.text for turn in before.turns if turn.text]
    assert [turn.text for turn in after.turns if turn.text][: len(said)] == said
    assert {one.item: one.state for one in after.verdicts}["greet"] == "met"
    assert len(after.sessions) == 2
    with pytest.raises(Refused, match="is over"):
        run(package, tmp_path, GOOD[3:], attempt=before.id)


def test_the_minutes_of_a_scenario_stand_still_while_it_is_paused(tmp_path: Path) -> None:
    """The time limit ran on through a pause, and ended the attempt soon after it."""
    change = ("scenario.yaml", "sector: consumer\n", "sector: consumer\nminutes: 1\n")
    package = open_package(write(tmp_path / "scenarios" / "till", change))

    async def take(client: InProcessClient) -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        await begin(client, package)
        await until(client, lambda one: isinstance(one, NpcRehearsal))
        began = loop.time()
        await asyncio.sleep(10)
        client.conversation.instruct(NpcInstructor(action="pause"), "kim", Outbox([]))  # type: ignore[attr-defined]
        await asyncio.sleep(300)
        client.conversation.instruct(NpcInstructor(action="resume"), "kim", Outbox([]))  # type: ignore[attr-defined]
        resumed = loop.time()
        async with asyncio.timeout(600):
            async for one in client:
                if isinstance(one, NpcRehearsal) and one.state == "finished":
                    break
        return resumed - began, loop.time() - began

    paused_until, over = stage(package, tmp_path, take)
    assert over - paused_until == pytest.approx(50, abs=6)
    _, attempt = only_attempt(tmp_path)
    assert attempt.outcome == "timeout"


def test_an_attempt_that_the_trainee_ended_is_over(package: Package, tmp_path: Path) -> None:
    """It was judged and reported as abandoned; gone on with, its later result was never reported."""
    assert run(package, tmp_path, GOOD[:1]).outcome == "abandoned"
    _, attempt = only_attempt(tmp_path)
    with pytest.raises(Refused, match=r"is over \(abandoned\)"):
        run(package, tmp_path, GOOD[1:], attempt=attempt.id)


def test_an_attempt_goes_on_in_one_session_at_a_time(package: Package, tmp_path: Path) -> None:
    """Two that asked in the same moment both got it, and wrote into the same log."""
    cut_off(package, tmp_path)
    _, attempt = only_attempt(tmp_path)

    async def both() -> list[Any]:
        scenarios = Scenarios((package.folder.parent,), tmp_path / "attempts")
        wish = Wish("till", Rehearsal(attempt=attempt.id), PlayerRef("t1"), package.main.id, "sess_x")
        found = await asyncio.gather(scenarios.join(wish), scenarios.join(wish), return_exceptions=True)
        for one in found:
            if isinstance(one, RunningScenario):
                await one.close("over")
        return found

    found = asyncio.run(both())
    (refused,) = [one for one in found if isinstance(one, CannotJoin)]
    assert "is running in another session" in str(refused)
    assert sum(isinstance(one, RunningScenario) for one in found) == 1


def test_a_session_that_died_before_its_first_record_costs_nothing(package: Package, tmp_path: Path) -> None:
    """Its empty log once made the whole attempt unreadable."""
    cut_off(package, tmp_path)
    place, before = only_attempt(tmp_path)
    (place / "log.2.jsonl").touch()
    assert run(package, tmp_path, GOOD[3:], attempt=before.id).outcome == "completed"


def test_a_scenario_is_chosen_by_id_and_never_by_a_path(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zip or folder that lies where the server was started could be named from outside."""
    pack(package.folder, tmp_path / "till.zip")
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"

    async def refused(name: str) -> str:
        wish = Wish(name, Rehearsal(), PlayerRef("t1"), package.main.id, "sess_x")
        with pytest.raises(CannotJoin) as error:
            await Scenarios((elsewhere,), tmp_path / "attempts").join(wish)
        return str(error.value)

    for name in ("till.zip", "scenarios", "..", "till\n"):
        assert "there is no scenario" in asyncio.run(refused(name)) or "is no id" in asyncio.run(refused(name))


@pytest.mark.slow
def test_a_killed_server_loses_no_finished_turn(package: Package, tmp_path: Path) -> None:
    """SIGKILL in mid-scenario: what the server had called saved is there, and the attempt goes on."""
    port = 18_000 + os.getpid() % 20_000
    state = tmp_path / "state"
    environment = {**os.environ, "NPC_STATE": str(state), "NPC_SCENARIOS": str(package.folder.parent)}
    environment |= {"NPC_ASR__ENGINE": "none", "NPC_TTS__VOICE": "none", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "npc.cli.main", "serve", "--port", str(port)]

    async def until_saved() -> int:
        async with RealtimeClient.connect(f"http://127.0.0.1:{port}", character=package.main.id) as client:
            steps = (*GOOD[:2], Step(wait=100))
            task = asyncio.create_task(TraineeClient(client, package, None).run(steps, None, False, "t1"))
            async with asyncio.timeout(60):
                while True:
                    found = list_attempts(state / "attempts")
                    # Greeting, two turns of the trainee, two answers: finished and called saved.
                    if found and len(found[0][1].turns) >= 5:
                        break
                    await asyncio.sleep(0.05)
            os.kill(server.pid, signal.SIGKILL)
            task.cancel()
            await asyncio.wait([task])
            return len(found[0][1].turns)

    with (
        (tmp_path / "server.log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            _wait(port)
            saved = asyncio.run(until_saved())
        finally:
            server.kill()
    place, cut = only_attempt(state)
    assert cut.outcome == "running"
    assert len(cut.turns) == saved
    assert read_lines(place / "log.jsonl")
    run(package, state, GOOD[2:], attempt=cut.id)
    _, after = only_attempt(state)
    assert after.outcome == "completed"
    assert [turn.text for turn in after.turns][:saved] == [turn.text for turn in cut.turns]


def _wait(port: int) -> None:
    import urllib.request

    for _ in range(400):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def test_verdicts_are_told_when_they_change_and_not_before(package: Package, tmp_path: Path) -> None:
    async def take(client: InProcessClient) -> list[NpcAssessment]:
        trainee = TraineeClient(client, package, None)
        told: list[NpcAssessment] = []
        receive = trainee._playback.receive
        trainee._playback.receive = lambda one: told.append(one) if isinstance(one, NpcAssessment) else receive(one)  # type: ignore[method-assign, func-returns-value]
        await trainee.run(GOOD, None, False, "t1")
        return told

    told = stage(package, tmp_path, take)
    greeted = [one for one in told if one.rubric_item == "greet"]
    assert [one.state for one in greeted][-1] == "met"
    assert greeted[-1].evidence[0]["quote"].startswith("Good morning")
    assert len(greeted) <= 3, "told only when it changed"
