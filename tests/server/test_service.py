"""The service behind the server, without voice and recogniser: minds that are late and minds that fail, saved talks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from npc.bench.cut_points import Recording
from npc.config.settings import load_settings
from npc.conversation.port import Opening
from npc.dialogue import mind_open
from npc.protocol import ClientEvent
from npc.server import assembly
from npc.server.assembly import TalkService, build
from tests.conversation.talk import event
from tests.server.running import until

FIRST, SECOND = "anselm-roe", "sela-marrow"


def _service(folder: Path) -> TalkService:
    overrides = {"store.folder": folder, "asr.engine": "none", "tts.voice": "none", "llm.wording": "off"}
    return build(load_settings(environment={}, overrides=overrides))


async def _answer(service: TalkService, character: str) -> Recording:
    """What a session sends until it has answered a typed question."""
    outbox = Recording()
    session = service.open(Opening("sess_answer", character, opted_in=True), outbox)
    running = asyncio.ensure_future(session.run())
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who are you?"}]}
    session.receive(event("conversation.item.create", item=item))
    session.receive(event("response.create"))
    await until(lambda: outbox.of("response.done"), 15.0)
    await session.close("done")
    await running
    return outbox


async def _tell(service: TalkService, player: str, *events: ClientEvent, answers: str) -> Recording:
    """What a session of `player` sends until it has sent an event of the kind `answers`."""
    outbox = Recording()
    session = service.open(Opening("sess_tell", FIRST, player_id=player, opted_in=True), outbox)
    running = asyncio.ensure_future(session.run())
    for one in events:
        session.receive(one)
    await until(lambda: outbox.of(answers))
    await session.close("done")
    await running
    return outbox


def test_a_saved_conversation_outlives_the_server_and_goes_with_its_player(tmp_path: Path) -> None:
    """Conversations lay in the process: the same slot's memory came back after a restart, and the talk did not."""
    said = "The canary sleeps in the blue mill."

    async def main() -> None:
        service = _service(tmp_path)
        await service.start()
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": said}]}
        written = event("conversation.item.create", item=item)
        await _tell(service, "ann", written, event("npc.save", slot="one"), answers="npc.saved")
        await service.close()
        service = _service(tmp_path)
        await service.start()
        try:
            load = event("npc.load", slot="one")
            assert (await _tell(service, "ann", load, answers="npc.loaded")).of("npc.loaded")[0].items == 1
            assert (await _tell(service, "eve", load, answers="error")).of("error")[0].error.code == "not_found"
            await service.erase_player("ann")
            assert (await _tell(service, "ann", load, answers="error")).of("error")[0].error.param == "slot"
        finally:
            await service.close()

    asyncio.run(main())
    assert not any(said.encode() in file.read_bytes() for file in tmp_path.rglob("*.sqlite*"))


def test_another_player_finds_the_scene_as_it_is_and_none_of_the_flags(tmp_path: Path) -> None:
    """The mind that was opened for the new player stood in the scene of the character file again."""

    async def main() -> None:
        service = _service(tmp_path)
        await service.start()
        try:
            session = service.open(Opening("sess_place", FIRST, player_id="ann", opted_in=True), Recording())
            running = asyncio.ensure_future(session.run())
            gone, new = {"id": "leaflets", "removed": True}, {"id": "cat", "name": "black cat", "kind": "animal"}
            scene = {"location": "The tower room", "entities": [gone, new], "attention": "cat", "state": {"seen": True}}
            session.receive(event("npc.scene.update", scene=scene))
            await until(lambda: session.mind.place(), 15.0)
            before = session.mind
            session.receive(event("session.update", session={"npc": {"player": {"id": "bo"}}}))
            await until(lambda: session.mind is not before and session.mind.place())
            sees = session.mind.place()
            assert sees == {"location": "The tower room", "entities": [gone, sees["entities"][1]], "attention": "cat"}
            assert sees["entities"][1]["name"] == "black cat"
            await session.close("done")
            await running
        finally:
            await service.close()

    asyncio.run(main())


def test_a_game_that_saves_and_quits_has_saved(tmp_path: Path) -> None:
    async def main() -> None:
        service = _service(tmp_path)
        await service.start()
        try:
            session = service.open(Opening("sess_quits", FIRST, player_id="ann", opted_in=True), Recording())
            running = asyncio.ensure_future(session.run())
            await asyncio.sleep(0.05)
            session.receive(event("npc.save", slot="one"))
            await session.close("client left")
            await running
            load = event("npc.load", slot="one")
            assert (await _tell(service, "ann", load, answers="npc.loaded")).of("npc.loaded")
            assert service._memory is not None
            assert service._memory.player(FIRST, "ann").slots() == ("one",)
        finally:
            await service.close()

    asyncio.run(main())


def test_a_conversation_that_is_not_to_be_kept_is_saved_for_this_process_alone(tmp_path: Path) -> None:
    said = "The canary sleeps in the blue mill."

    async def main() -> None:
        service = _service(tmp_path)
        await service.start()
        try:
            private = event("session.update", session={"npc": {"privacy": {"retain": "none"}}})
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": said}]}
            written = event("conversation.item.create", item=item)
            await _tell(service, "ann", private, written, event("npc.save", slot="one"), answers="npc.saved")
            assert service._memory is not None
            assert service._memory.read("SELECT * FROM talks") == []
            load = event("npc.load", slot="one")
            assert (await _tell(service, "ann", load, answers="npc.loaded")).of("npc.loaded")[0].items == 1
            await service.forget("ann", FIRST)
            assert (await _tell(service, "ann", load, answers="error")).of("error")
        finally:
            await service.close()

    asyncio.run(main())


def _before_preparing(monkeypatch: pytest.MonkeyPatch, call: Callable[[Any], object]) -> None:
    real = mind_open.prepare

    def prepare(character: Any, *args: Any, **given: Any) -> Any:
        call(character)
        return real(character, *args, **given)

    monkeypatch.setattr(mind_open, "prepare", prepare)


def test_a_player_who_leaves_while_the_character_is_read_leaves_it_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing the first session cancelled the index that all sessions of the character wait for: until the next start
    of the server nobody could talk to it."""
    read = threading.Event()
    _before_preparing(monkeypatch, lambda _: read.wait(10.0))

    async def main() -> None:
        service = _service(tmp_path)
        await service.start()
        try:
            session = service.open(Opening("sess_leaves", SECOND, opted_in=True), Recording())
            running = asyncio.ensure_future(session.run())
            await asyncio.sleep(0.05)
            await session.close("client left")
            await running
            read.set()
            outbox = await _answer(service, SECOND)
            assert outbox.of("response.done")[0].response.status == "completed"
            assert not [told for told in outbox.of("npc.status") if told.component == "llm"]
        finally:
            read.set()
            await service.close()

    asyncio.run(main())


def test_a_character_that_cannot_be_read_says_so_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = True

    def fail(character: Any) -> None:
        if broken and character.id == FIRST:
            raise RuntimeError("the archive is locked")

    _before_preparing(monkeypatch, fail)

    async def main() -> None:
        nonlocal broken
        service = _service(tmp_path)
        await service.start()
        try:
            outbox = await _answer(service, FIRST)
            told = [one for one in outbox.of("npc.status") if one.component == "llm"]
            assert "the archive is locked" in told[0].message
            assert "the archive is locked" in service.ready()["components"]["mind"]["message"]
            broken = False
            outbox = await _answer(service, FIRST)
            assert not [one for one in outbox.of("npc.status") if one.component == "llm"]
            assert "mind" not in service.ready()["components"]
        finally:
            await service.close()

    asyncio.run(main())


def test_a_voice_named_by_the_client_is_loaded_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[str, bool]] = []

    def load(voice: Any, **_: Any) -> Any:
        loaded.append((voice.card.id, threading.current_thread() is threading.main_thread()))
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(assembly, "load_voice", load)
    overrides = {"store.folder": tmp_path, "asr.engine": "none", "llm.wording": "off"}

    async def main() -> None:
        service = build(load_settings(environment={}, overrides=overrides))
        await service.start()
        try:
            before = len(loaded)
            named = next(card["id"] for card in service.voices() if card["id"] not in dict(loaded))
            await asyncio.gather(service.load(FIRST, named), service.load(SECOND, named), service.load("nobody", named))
            service.open(Opening("sess_voice", FIRST, opted_in=True, voice=named), Recording())
            assert loaded[before:] == [(named, False)]
        finally:
            await service.close()

    asyncio.run(main())
