"""The service on the database that its settings name."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from npc.config.settings import load_settings
from npc.dialogue.knowledge.library_postgres import PostgresLibrary
from npc.dialogue.memory.store import MemoryStoreError
from npc.dialogue.postgres import PostgresError
from npc.server.assembly import TalkService, build
from tests.dialogue.databases import empty_schema

AWAY = "postgresql://npc:sesame@127.0.0.1:1/tales"


def _service(folder: Path, **store: str) -> TalkService:
    given = {f"store.{name}": value for name, value in store.items()}
    settings = load_settings(
        environment={},
        overrides={"store.folder": folder, "asr.engine": "none", "tts.voice": "none", "llm.wording": "off", **given},
    )
    return build(settings)


async def _tried(service: TalkService) -> None:
    try:
        await service.start()
    finally:
        await service.close()


def test_a_server_that_is_away_stops_the_start_and_is_named(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    away = r"npc at 127\.0\.0\.1:1, database tales.* that the server runs"
    with pytest.raises(MemoryStoreError, match=rf"memory: .*{away}"):
        asyncio.run(_tried(_service(tmp_path, memory=AWAY)))
    assert not (tmp_path / "memory.sqlite").exists()
    with pytest.raises(PostgresError, match=rf"documents: .*{away}"):
        asyncio.run(_tried(_service(tmp_path, documents=AWAY)))


def test_a_missing_driver_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MemoryStoreError, match=r"npc\[postgres\].*store\.memory"):
        asyncio.run(_tried(_service(tmp_path, memory=AWAY)))
    with pytest.raises(PostgresError, match=r"documents: .*npc\[postgres\]"):
        asyncio.run(_tried(_service(tmp_path, documents=AWAY)))


def test_memory_and_documents_lie_on_the_server_that_the_settings_name(tmp_path: Path) -> None:
    async def talk(address: str) -> None:
        service = _service(tmp_path, memory=address, documents=address)
        await service.start()
        try:
            assert service._memory is not None
            service._memory.player("anselm-roe", "p").commit("I'm Tamsin.", "", now=1.0, turn_id="t")
            kept = await service.memory("p", "anselm-roe")
            assert [memory["value"] for memory in kept["memories"]] == ["Tamsin"]
            library = (await asyncio.to_thread(service._minds["anselm-roe"].result)).knowledge.library
            assert isinstance(library, PostgresLibrary)
            found = library.search("archive")
            library._write((f"DROP SCHEMA {library.schema} CASCADE", ()))
            assert found
            assert await service.erase_player("p") == {"session logs": 0}
            assert (await service.memory("p", "anselm-roe"))["memories"] == []
        finally:
            await service.close()

    with empty_schema() as address:
        asyncio.run(talk(address))
    assert not (tmp_path / "memory.sqlite").exists()
