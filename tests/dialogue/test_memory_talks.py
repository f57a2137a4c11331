"""Small talks in which players tell something and ask for it later, held by the mind without its wording model."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from npc.bench.mind_scoring import judge
from npc.bench.mind_set import Case, hold, read_set
from npc.dialogue.character import Character
from npc.dialogue.interface import Mind
from npc.dialogue.memory.store import MemoryStore
from npc.dialogue.mind_open import open_mind, prepare
from npc.dialogue.realiser.open import composer
from npc.inference.encoder import encoder_status, load_encoder
from npc.training.minds import read, record

TALKS = Path(__file__).with_name("memory_talks.txt")


def cases(folder: Path) -> tuple[Case, ...]:
    """The talks as a mind set; one opened by `-+` goes on from the memory of the one before it."""
    lines = TALKS.read_text("utf-8").splitlines()
    minds = read("\n".join("-" if line == "-+" else line for line in lines), TALKS.name)
    opened = [line for line in lines if line.startswith(("C ", "-"))]
    found, at = [], 0
    for mind in minds:
        entry = record(mind)
        at += 1
        for number, dialogue in enumerate(entry["dialogues"]):
            if opened[at] == "-+":
                dialogue |= {"session": 2, "continues": entry["dialogues"][number - 1]["id"]}
            at += 1
        found.append(json.dumps(entry))
    path = folder / "talks.jsonl"
    path.write_text("\n".join(found), "utf-8")
    return read_set(path)


@pytest.mark.skipif(not encoder_status().available, reason="no sentence encoder is installed")
def test_what_players_told_is_found_again(tmp_path: Path) -> None:
    encoder, clock = load_encoder(), itertools.count(1_700_000_000)
    verdicts: list[bool] = []
    for number, case in enumerate(cases(tmp_path)):
        shared = prepare(case.character, None, encoder)
        store = MemoryStore(tmp_path / f"{number}.sqlite")

        def opened(character: Character, player: str, shared: object = shared, store: MemoryStore = store) -> Mind:
            return open_mind(
                shared, player_id=player, memory=store, clock=lambda: float(next(clock)), responder=composer("off")  # type: ignore[arg-type]
            )  # fmt: skip

        for dialogue in case.dialogues:
            answers = asyncio.run(hold(case, dialogue, opened))
            for turn, answer in zip(dialogue.turns, answers, strict=True):
                if turn.expect["kind"] == "memory":
                    verdicts.append(judge(turn.expect, answer).passed)
        store.close()
    assert len(verdicts) == 48 + 43
    # 42 of the first 48 and 38 of the others when they were written; the encoder and the choice are trained anew now
    # and then.
    assert sum(verdicts[:48]) >= 40
    assert sum(verdicts[48:]) >= 36
