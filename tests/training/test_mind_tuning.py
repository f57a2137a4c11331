"""Fine-tuning on one character's dialogue and distillation from a teacher, on weights and servers the tests make."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from npc.dialogue.realiser.contract import Frame, Prompt  # noqa: E402
from npc.dialogue.realiser.grammar import Bounds, ReferenceGrammar  # noqa: E402
from npc.dialogue.realiser.model import DialogueModel  # noqa: E402
from npc.inference.adapters import load_adapter  # noqa: E402
from npc.inference.config import CheckpointError, read_config  # noqa: E402
from npc.inference.interface import Message, ModelError, Sampling, Token  # noqa: E402
from npc.inference.openai_compatible import Endpoint, OpenAICompatible  # noqa: E402
from npc.inference.tokenizer import TextTokenizer  # noqa: E402
from npc.training.mind.distil import accept, distil, placeholders, read_turns, request_of  # noqa: E402
from npc.training.mind.export import export  # noqa: E402
from npc.training.mind.lora import Tuning, examples, read_dialogue, tune  # noqa: E402
from npc.training.mind.network import MindModel, Shape  # noqa: E402
from npc.training.mind.shipping import write_words  # noqa: E402
from npc.training.mind.tokens import build_tokenizer  # noqa: E402
from tests.inference.scripted_llm import Script, serve  # noqa: E402


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained debug model, exported."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    tokenizer = build_tokenizer(1, 600)
    model = MindModel(Shape(tokenizer.get_vocab_size(), 64, 2, 1, 176, 96))
    with torch.no_grad():  # the embedding is the head too and stays frozen: let it tell tokens apart
        model.embedding.weight.mul_(15)
    export(model, tokenizer, {"parameters": 1, "tokens": 0, "seed": 0}, folder)
    write_words(folder)
    return folder


def dialogue(folder: Path) -> Path:
    turn = {"player": "Hello there!", "reply": "Ahoy, you old barnacle.", "mood": "joy", "intent": "hello"}
    path = folder / "talk.jsonl"
    path.write_text(json.dumps({"system": "You are a sailor.", "turns": [turn]}) + "\n")
    return path


def test_an_adapter_learns_a_characters_words_and_runs_on_our_core(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "sailor"
    card = tune(Tuning(base, dialogue(tmp_path), out, rank=8, epochs=60, rate=1e-2))
    assert card["loss_last"] < 0.3 * card["loss_first"]
    assert "barnacle" in (out / "words.txt").read_text().split()
    assert load_adapter(out, read_config(base)).rank >= 8
    model = DialogueModel(base)
    try:
        model.add_adapter("sailor", out)
        prompt = model.encode(Prompt("joy", "plain", "hello", "hello there").text())

        def says(adapter: str | None) -> str:
            grammar = ReferenceGrammar(model.vocabulary, (), {}, bounds=Bounds(1, 20))
            tokens = model.write(prompt, grammar, 1, adapter=adapter, temperature=0.0)
            return "".join(model.vocabulary.text[token] for token in tokens or ())

        assert says("sailor") == "Ahoy, you old barnacle."
        assert says(None) != says("sailor")
        assert "barnacle" in model.speaks("sailor")
        assert "barnacle" not in model.speaks(None)
    finally:
        model.close()


def test_a_larger_checkpoint_with_its_own_chat_form_is_tuned_the_same_way(base: Path, tmp_path: Path) -> None:
    """A folder whose tokenizer knows no contract takes the chat path: system, user, assistant."""
    folder = tmp_path / "chat"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((base / name).read_bytes())
    text = (base / "tokenizer.json").read_text().replace('"<c>"', '"<other>"')
    (folder / "tokenizer.json").write_text(text)
    card = tune(Tuning(folder, dialogue(tmp_path), tmp_path / "a", rank=4, epochs=30, rate=1e-2, length=96))
    assert card["loss_last"] < card["loss_first"]
    assert load_adapter(tmp_path / "a", read_config(folder)).parts


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not JSON"),
        ('{"turns": []}', "'turns'"),
        ('{"turns": [{"player": "hi", "reply": " "}]}', "needs a 'player' and a 'reply'"),
        ('{"turns": [{"player": "hi", "reply": "ho", "mood": "hungry"}]}', "mood 'hungry'"),
        ('{"turns": [{"player": "hi", "reply": "ho", "intent": "fly"}]}', "intent 'fly'"),
        ("", "no conversation"),
    ],
)
def test_a_broken_dialogue_file_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=complaint):
        read_dialogue(path)


def test_an_adapter_without_words_is_refused(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    tune(Tuning(base, dialogue(tmp_path), out, rank=2, epochs=1))
    (out / "words.txt").unlink()
    model = DialogueModel(base)
    try:
        with pytest.raises(CheckpointError, match=r"words\.txt"):
            model.add_adapter("a", out)
    finally:
        model.close()


FACT = Prompt("joy", "warm", "fact", "how much is<e><#2>", (Frame(2, ("c",)),))


def test_a_teacher_is_asked_in_words() -> None:
    system, user = request_of(FACT)
    assert "Invent no names" in system.content
    assert "FACT2" in user.content
    assert "how much is the thing" in user.content
    assert dict(placeholders(FACT)) == {"FACT2": "<c><#2>"}


def long_talk(folder: Path) -> Path:
    turn = {"player": "Hello there, old friend!", "reply": "Ahoy, you old barnacle."}
    path = folder / "long.jsonl"
    path.write_text(json.dumps({"system": "You are a sailor. " * 8, "turns": [turn] * 12}) + "\n")
    return path


@pytest.mark.parametrize("embedded", [True, False])
def test_every_reply_of_a_long_conversation_is_learnt(base: Path, tmp_path: Path, embedded: bool) -> None:
    """Examples were cut at their end, where the reply is: behind a long prompt nothing was learnt, at a loss of 0."""
    config = read_config(base)
    tokenizer = TextTokenizer(base, config.vocab, config.end_tokens)
    talks = read_dialogue(long_talk(tmp_path))
    whole = examples(talks, tokenizer, embedded, "plain", 100_000)
    cut = examples(talks, tokenizer, embedded, "plain", 96)
    assert max(len(ids) for ids, _ in whole) > 96 >= max(len(ids) for ids, _ in cut)
    assert sum(sum(reply) for _, reply in cut) == sum(sum(reply) for _, reply in whole) > 0
    assert all(any(reply[1:]) for _, reply in cut)


def test_tuning_ends_when_its_minutes_are_over_and_not_with_the_epoch(base: Path, tmp_path: Path) -> None:
    card = tune(Tuning(base, long_talk(tmp_path), tmp_path / "out", minutes=0.0, epochs=9, length=96))
    assert card["steps"] == 1


def test_what_a_teacher_said_before_it_was_lost_is_kept(tmp_path: Path) -> None:
    """An hour of replies was written at the very end, and lost with the connection or for want of a folder."""
    out = tmp_path / "teacher.jsonl"
    asked = 0

    class Teacher:
        name, context_tokens = "lost", 4096

        async def close(self) -> None:
            return None

        async def stream(
            self,
            prompt: tuple[Message, ...],
            sampling: Sampling = Sampling(),  # noqa: B008
        ) -> AsyncIterator[Token]:
            nonlocal asked
            asked += 1
            if asked > 40:
                raise ModelError("gone")
            yield Token("Well, there you are.")

    with pytest.raises(ModelError, match="gone"):
        asyncio.run(distil(Teacher(), 64, 1, out))
    assert len(read_turns(out)) > 0
    asked = 0
    with pytest.raises(OSError, match="none"):
        asyncio.run(distil(Teacher(), 64, 1, tmp_path / "none" / "teacher.jsonl"))
    assert asked == 0


@pytest.mark.parametrize(
    ("said", "kept", "why"),
    [
        ("Gladly, my dear! FACT2.", "Gladly, my dear!<c><#2>.", ""),
        ("“Gladly. FACT2.”", "Gladly.<c><#2>.", ""),
        ("Gladly!", "", "placeholder missing or twice"),
        ("FACT2. Ask Anna, FACT2.", "", "placeholder missing or twice"),
        ("FACT2, says Anna.", "", "a name"),
        ("FACT2 for 3 coins.", "", "other characters or placeholders"),
        ("FACT2", "", "no full stop"),
        ("FACT2. " + "Well. " * 30, "", "too long"),
    ],
)
def test_what_a_teacher_may_say(said: str, kept: str, why: str) -> None:
    assert accept(FACT, said) == (kept, why)


def test_distilling_from_a_server_gives_turns_to_train_on(tmp_path: Path) -> None:
    out = tmp_path / "teacher.jsonl"

    async def go() -> dict[str, object]:
        async with serve(Script([["Well, ", "there you are."]])) as url:
            teacher = OpenAICompatible(Endpoint(url, "tiny", retry_pause=0.01))
            try:
                return await distil(teacher, 24, 1, out)
            finally:
                await teacher.close()

    card = asyncio.run(go())
    turns = read_turns(out)
    assert card["asked"] == 24
    assert card["kept"] == len(turns) > 0
    assert {turn.reply for turn in turns} == {"Well, there you are."}
    assert read_turns(None) == ()
    out.write_text('{"prompt": {}}\n')
    with pytest.raises(ValueError, match="line 1"):
        read_turns(out)
