"""The shipped model in the mind: facts whole and cited, authored lines untouched, secrets kept, and a fallback."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from npc.animation.interface import Affect
from npc.dialogue.character import Character
from npc.dialogue.composed.reply import Reply
from npc.dialogue.context import Context, Exchange
from npc.dialogue.interface import Action, Citation, PlayerTurn
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.realiser.contract import MANNERS
from npc.dialogue.realiser.manner import manner_of
from npc.dialogue.realiser.model import DialogueModel, model_folder, model_status
from npc.dialogue.realiser.open import composed, composer
from npc.dialogue.realiser.realiser import TRIES, TrainedRealiser
from npc.dialogue.realiser.talk import TalkGuard, read_examples
from npc.inference.config import CheckpointError
from npc.inference.encoder import SentenceEncoder, encoder_status, load_encoder
from npc.training.mind.evaluate import evaluate

pytestmark = pytest.mark.skipif(not model_status().available, reason=f"no dialogue model: {model_status().detail}")

FACT = "Forty feet of rope costs six silver."


@pytest.fixture(scope="module")
def model() -> DialogueModel:
    return DialogueModel(model_folder())


def character(**more: Any) -> Character:
    return Character.model_validate(
        {
            "id": "odrin", "name": "Odrin Vale", "role": "toll keeper", "biography": "He keeps the toll at the weir.",
            "pronouns": "he", "speaking_style": "Warm; calls everyone 'traveller'.",
            "facts": [
                {"id": "rope", "text": FACT, "source": "price list"},
                {"id": "cellar", "text": "The spare key hangs behind the clock.", "secret": True,
                 "deflect": "Keys? I know nothing of keys."},
            ],
            **more,
        }
    )  # fmt: skip


def context(text: str, mood: str = "neutral", **more: Any) -> Context:
    return Context(PlayerTurn("t", text, spoken=False), affect=Affect(label=mood), **more)


@lru_cache(maxsize=1)
def encoder() -> SentenceEncoder | None:
    return load_encoder() if encoder_status().available else None


def realiser(model: DialogueModel, who: Character | None = None) -> TrainedRealiser:
    return TrainedRealiser(model, who or character(), TalkGuard(read_examples(model.folder), encoder()))


def told(text: str = FACT, opening: str = "") -> Reply:
    said = f"{opening} {text}".strip()
    start = len(opening.split())
    return Reply(said, "fact", (Citation("rope", "price list", start, len(said.split())),))


@pytest.mark.parametrize("mood", ["neutral", "joy", "anger", "fear", "sadness", "curiosity"])
def test_a_fact_is_said_whole_and_cited_where_it_stands(model: DialogueModel, mood: str) -> None:
    for seed in range(6):
        reply = realiser(model).realise(context("what does the rope cost", mood, seed=seed), told())
        assert reply is not None
        assert reply.route in ("model:fact", "fallback:fact")
        assert "forty feet of rope" in reply.text.lower()
        assert "six silver" in reply.text.lower()
        (citation,) = reply.citations
        words = reply.text.split()[citation.word_start : citation.word_end]
        assert {"rope", "silver"} <= {re.sub(r"\W", "", word.lower()) for word in words}
        assert len(reply.text.split()) <= 25


def test_yes_and_no_stay_what_they_are(model: DialogueModel) -> None:
    rule = "Dogs may not cross the bridge."
    for seed in range(5):
        reply = realiser(model).realise(context("may I bring my dog?", seed=seed), told(rule, "No."))
        assert reply is not None
        assert re.match(r"(?i)(oh,? )?(no|not|on the contrary|that's not|you've heard)", reply.text), reply.text
        assert "dogs may not cross the bridge" in reply.text.lower()


def test_not_knowing_is_admitted_and_nothing_is_invented(model: DialogueModel) -> None:
    for seed in range(8):
        reply = realiser(model).realise(context("Who built the moon?", seed=seed), Reply("I couldn't say.", "unknown"))
        assert reply is not None
        assert re.search(r"know|say|idea|sure|heard|told|notion|certain|beyond|have that|record", reply.text), (
            reply.text
        )
        assert "moon" not in reply.text.lower()


def test_authored_and_scripted_lines_are_left_alone(model: DialogueModel) -> None:
    who = character(
        unknown=["Ask the reeds, {you}."], small_talk=[{"when": ["nice hat"], "say": ["It was my uncle's."]}]
    )
    ours = realiser(model, who)
    assert ours.realise(context("who is the king"), Reply("Ask the reeds, traveller.", "unknown")) is None
    assert ours.realise(context("nice hat"), Reply("It was my uncle's.", "small_talk")) is None
    assert ours.realise(context("the key?"), Reply("Keys? I know nothing of keys.", "locked")) is None
    assert (
        ours.realise(context("x", scripted="Call somebody you trust."), Reply("Call somebody you trust.", "scripted"))
        is None
    )


def test_the_same_turn_and_seed_give_the_same_words(model: DialogueModel) -> None:
    same = [realiser(model).realise(context("rope?", seed=4), told()) for _ in range(2)]
    assert same[0] == same[1]


def test_replies_vary_and_are_not_repeated(model: DialogueModel) -> None:
    ours, said = realiser(model), list[str]()
    for _ in range(8):
        history = tuple(Exchange("you fool", reply) for reply in said)
        reply = ours.realise(context("you fool", "anger", history=history), Reply("Mind your tongue.", "insult"))
        assert reply is not None
        said.append(reply.text)
    assert len(set(said)) >= 6


def test_where_nothing_passes_the_composers_words_stand(model: DialogueModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("npc.dialogue.realiser.realiser.objection", lambda *a, **k: "never")
    ours = realiser(model)
    reply = ours.realise(context("rope?"), told())
    assert reply is not None
    assert (reply.text, reply.route) == (FACT, "fallback:fact")
    assert ours.objections["never"] == TRIES


def test_a_thing_handed_over_is_named(model: DialogueModel) -> None:
    action = Action("c", "give_item", {"item": "lamp"})
    reply = realiser(model).realise(
        context("give me the lamp", act="action", action=action),
        Reply("Here you are, the lamp.", "action", slots={"thing": "lamp"}),
    )
    assert reply is not None
    assert "the lamp" in reply.text.lower()


def test_in_the_whole_mind_secrets_stay_and_facts_come() -> None:
    who = character()
    knowledge = Knowledge(who, encoder=encoder())
    responder = composed(who, knowledge)

    async def ask(text: str) -> str:
        return " ".join([clause.text async for clause in responder.respond(context(text))])

    assert "six silver" in asyncio.run(ask("How much does the rope cost?")).lower()
    assert "behind the clock" not in asyncio.run(ask("Where does the spare key hang?"))


def test_the_setting_switches_it_off_or_names_a_folder(tmp_path: Path) -> None:
    who = character()
    silent = composer("off")(who, Knowledge(who, encoder=None), None)
    assert silent.compose(context("who built the moon")).route == "unknown"
    with pytest.raises(CheckpointError, match=r"config\.json"):
        composer(str(tmp_path))


def test_manners_are_read_from_the_card() -> None:
    assert manner_of(character()) == "warm"
    assert manner_of(character(speaking_style="Blunt. Few words, then kind.")) == "curt"
    assert manner_of(character(speaking_style="Speaks.")) in MANNERS


def test_small_talk_is_what_resembles_it() -> None:
    if not encoder_status().available:
        pytest.skip("no sentence encoder")
    guard = TalkGuard(read_examples(model_folder()), encoder())
    near = guard.near("I'm so tired today")
    assert near is not None
    assert near.topic.name == "tired"
    assert guard.near("The customs form for barley is green and has two stamps") is None
    assert TalkGuard(None, None).near("I'm so tired today") is None


def test_the_shipped_folder_is_whole_and_small() -> None:
    folder = model_folder()
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "card.json", "words.txt", "talk.json", "talk.npz",
            "MODEL_CARD.md", "DATA_LICENSES.md"} <= names  # fmt: skip
    assert sum(path.stat().st_size for path in folder.iterdir()) < 12_000_000
    card = json.loads((folder / "card.json").read_text())
    assert card["tokens"] > 1_000_000
    assert card["seed"] == 1


def test_the_shipped_weights_reproduce_their_table() -> None:
    table = evaluate(model_folder(), turns=80)
    for corner in ("seen", "held_out"):
        assert table[corner]["references"] >= 0.95
        assert table[corner]["accepted"] >= 0.95
    assert table["seen"]["mood"] >= 0.7
    if encoder_status().available:
        ours, stock = table["talk"]["with"], table["talk"]["without"]
        assert ours["on_subject"] >= 0.7 > stock["on_subject"]
        assert ours["distinct_2"] >= stock["distinct_2"] + 0.2
        assert ours["repeated"] <= stock["repeated"] - 0.3


def test_it_runs_without_torch() -> None:
    code = (
        "import sys; from npc.dialogue.realiser.model import shipped_model; assert shipped_model() is not None; "
        "bad = {'torch', 'transformers'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
