"""Memory holds what was said and heard, and forgets for good."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from npc.dialogue.memory.extract import extract, name_in
from npc.dialogue.memory.postgres import open_memory
from npc.dialogue.memory.records import Memory, recency
from npc.dialogue.memory.store import KEEP_TURNS, MemoryStore, MemoryStoreError
from tests.dialogue.databases import BOTH, empty_schema


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryStore]:
    """An empty store of either kind."""
    if request.param == "sqlite":
        made = open_memory(tmp_path / "memory.sqlite")
        yield made
        made.close()
        return
    with empty_schema() as address:
        made = open_memory(address)
        yield made
        made.close()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Morning! I'm Tamsin.", "Tamsin"),
        ("My name is Oskar Brandt, sir.", "Oskar Brandt"),
        ("Captain Oduya, one little courier boat.", "Captain Oduya"),
        ("Call me Wren.", "Wren"),
        ("my name is tamsin", "Tamsin"),
        ("If anyone asks for Ludo, that's me.", "Ludo"),
        ("I'm Sorry I asked.", None),
        ("I'm here on Monday.", None),
        ("Is your name Edna?", None),
    ],
)
def test_names(said: str, name: str | None) -> None:
    assert name_in(said) == name


def test_only_sayings_of_oneself_are_noted() -> None:
    noted = extract("I'm a cooper by trade. How far is it? Open the gate. I'll bring you pears tomorrow.")
    assert [(n.kind, n.text) for n in noted] == [
        ("fact", "I'm a cooper by trade"),
        ("promise", "I'll bring you pears tomorrow"),
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("my sister's in town. She's a welder, she hits hard", "She's a welder"),
        ("Hello! I live up by Harlow Bridge, can you see it from here?", "I live up by Harlow Bridge"),
        ("No, eight. The fox had Gladys.", "The fox had Gladys"),
        ("hi its wendell from conveyancing whats the wifi", "its wendell from conveyancing"),
        ("Miss Olwen Parry, retired, piano.", "Miss Olwen Parry, retired, piano"),
    ],
)
def test_whatever_is_told_is_kept(said: str, told: str) -> None:
    assert any(told in note.text for note in extract(said))


def test_nothing_is_learnt_twice_and_a_turn_is_committed_once(store: MemoryStore) -> None:
    memory = store.player("c", "p")
    assert len(memory.commit("I'm Tamsin.", "Hello.", now=1.0, turn_id="t1")) == 1
    assert memory.commit("I'm Tamsin.", "Hello.", now=1.0, turn_id="t1") == ()
    assert memory.commit("I'm Tamsin.", "I know.", now=2.0, turn_id="t2") == ()
    assert len(memory.all()) == 1
    assert len(memory.turns()) == 2


def test_a_correction_supersedes(store: MemoryStore) -> None:
    memory = store.player("c", "p")
    memory.commit("I'm Tom.", "", now=1.0, turn_id="t1")
    memory.commit("My name is Thom, not Tom.", "", now=2.0, turn_id="t2")
    memory.commit("I have sixteen barrels of oil in my cart.", "", now=3.0, turn_id="t3")
    memory.commit("I have six barrels of oil in my cart.", "", now=4.0, turn_id="t4")
    current = memory.slot("name")
    assert current is not None
    assert current.value == "Thom"
    texts = [m.text for m in memory.all()]
    assert "I have six barrels of oil in my cart" in texts
    assert "I have sixteen barrels of oil in my cart" not in texts
    assert any(m.superseded_by for m in memory.all(superseded=True))


def test_recall_prefers_what_matters_and_is_near(store: MemoryStore) -> None:
    memory = store.player("c", "p")
    memory.commit("My dog Biscuit is lame.", "", now=0.0, turn_id="a")
    memory.commit("I saw a red kite over my field.", "", now=0.0, turn_id="b")
    assert memory.recall("Which dog is lame?", now=1.0)[0].memory.text == "My dog Biscuit is lame"
    old, fresh = Memory("1", "fact", "x", 0.0), Memory("2", "fact", "x", 86_400.0 * 300)
    assert recency(old, 86_400.0 * 300) < recency(fresh, 86_400.0 * 300) == 1.0


def test_relationship_is_stored_with_its_reason(store: MemoryStore) -> None:
    memory = store.player("c", "p")
    memory.set_standing("relationship", "trusted", now=5.0, why="returned the ring")
    assert memory.standing() == {"relationship": "trusted"}
    assert "returned the ring" in memory.all()[0].text


def test_long_talk_is_summarised(store: MemoryStore) -> None:
    memory = store.player("c", "p")
    for n in range(KEEP_TURNS + 3):
        memory.commit(f"Where is pier {n}?", "Yes.", now=float(n), turn_id=f"t{n}")
    assert len(memory.turns(limit=10_000)) == KEEP_TURNS
    assert [m.kind for m in memory.all()] == ["summary"]


def test_gossip_is_weaker_and_names_its_teller(store: MemoryStore) -> None:
    store.player("anna", "p").commit("I'm a thief by trade.", "", now=1.0, turn_id="t")
    assert store.player("anna", "p").share("bert", now=2.0) == 1
    heard = store.player("bert", "p").all()[0]
    assert (heard.told_by, heard.confidence) == ("anna", 0.8)
    assert store.player("anna", "p").share("bert", now=3.0) == 0


def test_without_consent_learnt_things_end_with_the_session(store: MemoryStore) -> None:
    memory = store.player("c", "p")
    memory.commit("I'm Tamsin.", "", now=1.0, turn_id="t", consent=False)
    assert memory.slot("name") is not None
    memory.end_session()
    assert memory.slot("name") is None


def test_erasure_leaves_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    store = MemoryStore(path)
    keep, gone = store.player("c", "keep"), store.player("c", "gone")
    canary = "My secret canary is xylophone-7731 in the cellar"
    keep.commit("I'm Tamsin and I like pears.", "Good.", now=1.0, turn_id="k")
    for n in range(50):
        gone.commit(f"{canary} number {n}.", f"You said {canary}.", now=float(n), turn_id=f"g{n}")
    gone.save("slot", now=60.0)
    assert store.traces(["xylophone-7731"]) == ("xylophone-7731",)
    assert store.erase(player="gone") == ()
    assert store.traces(["xylophone-7731"]) == ()
    assert all(b"xylophone" not in file.read_bytes() for file in tmp_path.iterdir())
    assert keep.slot("name") is not None
    store.close()


def test_erasure_of_a_player_reaches_slots_and_spares_the_others(store: MemoryStore) -> None:
    keep, gone = store.player("c", "keep"), store.player("c", "gone")
    keep.commit("I'm Tamsin and I like pears.", "Good.", now=1.0, turn_id="k")
    told = 'I hid the "blåbär" 100%_sure\\ in my cellar'
    gone.commit(told, "Did you?", now=1.0, turn_id="g")
    gone.save("slot", now=2.0)
    gone.set_standing("relationship", "friend", now=3.0)
    gone.forget(next(memory.id for memory in gone.all() if memory.kind == "fact"))
    assert gone.slots() == ()
    gone.commit(told, "You did.", now=4.0, turn_id="h")
    gone.save("slot", now=5.0)
    assert store.traces([told]) == (told,)
    assert store.erase(player="gone") == ()
    assert store.traces([told]) == ()
    assert (gone.all(), gone.turns(), gone.standing(), gone.slots()) == ([], [], {}, ())
    assert store.players() == [("c", "keep")]


def test_a_failed_write_leaves_nothing(store: MemoryStore) -> None:
    memory = store.player("c", "p")
    statement = memory._insert(Memory("1", "fact", "half", 1.0))
    with pytest.raises(Exception, match="nowhere"):
        store.write([statement, ("INSERT INTO nowhere VALUES (?)", (1,))])
    assert memory.all() == []
    memory.commit("I'm Tom.", "", now=1.0, turn_id="t")
    assert len(memory.all()) == 1


def test_a_nul_character_is_no_reason_to_forget(store: MemoryStore) -> None:
    memory = store.player("c", "p")
    memory.commit("I'm a cooper\0 by trade.", "", now=1.0, turn_id="t")
    assert "cooper" in memory.all()[0].text


def test_one_record_can_be_forgotten(store: MemoryStore) -> None:
    memory = store.player("c", "p")
    noted = memory.commit("I'm allergic to zebrafish-99 soup.", "", now=1.0, turn_id="t")
    assert memory.forget(noted[0].id) == ()
    assert store.traces(["zebrafish-99"]) == ()
    with pytest.raises(KeyError):
        memory.forget("nothing")


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(MemoryStoreError, match="no memory database"):
        MemoryStore(path)


def test_a_thousand_generated_conversations_keep_the_laws() -> None:
    _keeps_the_laws(MemoryStore(), 1_000)


def test_generated_conversations_keep_the_laws_on_disk_too(store: MemoryStore) -> None:
    _keeps_the_laws(store, 50)


def _keeps_the_laws(store: MemoryStore, conversations: int) -> None:
    """Names: the last one told wins. Slots: loading gives back exactly what was saved. Forks live apart."""
    chance = random.Random(7)
    names = ("Ada", "Bram", "Cleo", "Dov", "Edda", "Finn")
    for number in range(conversations):
        memory = store.player("c", f"p{number}")
        told: str | None = None
        saved: tuple[str, dict[str, object], str | None] | None = None
        for turn in range(chance.randint(1, 8)):
            move = chance.random()
            if move < 0.4:
                told = chance.choice(names)
                memory.commit(f"I'm {told}.", "Well met.", now=float(turn), turn_id=f"t{turn}")
            elif move < 0.6:
                memory.commit(
                    f"I have {chance.randint(2, 90)} goats at home.", "Fine.", now=float(turn), turn_id=f"t{turn}"
                )
            elif move < 0.75:
                memory.save("slot", now=float(turn))
                saved = ("slot", memory.export(), told)
            elif move < 0.9 and saved is not None:
                memory.load(saved[0])
                told = saved[2]
                assert memory.export() == saved[1]
            else:
                branch = memory.fork(f"other{number}")
                branch.commit("I'm Zed.", "", now=float(turn), turn_id="zed")
                assert branch.slot("name").value == "Zed"  # type: ignore[union-attr]
            name = memory.slot("name")
            assert (name.value if name else None) == told
            goats = [m for m in memory.all() if "goats" in m.text]
            assert len(goats) <= 1


def test_postgres_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MemoryStoreError, match="npc\\[postgres\\]"):
        open_memory("postgresql://nowhere/npc")


def test_a_server_that_is_away_is_named_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(MemoryStoreError, match=r"npc at 127\.0\.0\.1:1, database tales.*PGPASSWORD") as away:
        open_memory("postgresql://npc:sesame@127.0.0.1:1/tales")
    with pytest.raises(MemoryStoreError, match="cannot be read") as unreadable:
        open_memory("postgresql://npc:ses ame@[::1/tales")
    for error in (away.value, unreadable.value):
        assert "ses" not in str(error)


def test_a_connection_that_broke_is_made_again() -> None:
    with empty_schema() as address:
        import psycopg

        store = open_memory(address)
        memory = store.player("c", "p")
        memory.commit("I'm Tom.", "", now=1.0, turn_id="t1")
        with psycopg.connect(address, autocommit=True) as other:
            mine = str(store.read("SELECT pg_backend_pid()")[0][0])
            other.execute(f"SELECT pg_terminate_backend({mine})")
            memory.commit("I have six goats at home.", "", now=2.0, turn_id="t2")
            mine = str(store.read("SELECT pg_backend_pid()")[0][0])
            other.execute(f"SELECT pg_terminate_backend({mine})")
            assert len(memory.all()) == 2
        store.close()
