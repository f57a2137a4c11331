"""The transformers model on a tiny Llama with random weights and a tokenizer made here."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from npc.inference.interface import LanguageModel, Message, ModelError, Sampling, Token
from npc.inference.transformers import TransformersModel

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PROMPT = (Message("system", "Be brief."), Message("user", "What does rope cost?"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    place = tmp_path_factory.mktemp("tiny")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["what does the rope cost", "six silver"] * 4, trainer)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(place)
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=len(fast), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(place)
    return place


def collect(model: TransformersModel, sampling: Sampling) -> list[Token]:
    async def go() -> list[Token]:
        return [token async for token in model.stream(PROMPT, sampling)]

    return asyncio.run(go())


@pytest.fixture(scope="module")
def model(directory: Path) -> TransformersModel:
    return TransformersModel(directory)


def test_a_gpu_is_used_where_there_is_one(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the profile `gpu` computed on the CPU."""
    assert TransformersModel(directory)._device == ("cuda" if torch.cuda.is_available() else "cpu")
    moved: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, device: moved.append(device) or module)
    assert TransformersModel(directory)._device == "cuda"
    assert moved == ["cuda"]


def test_greedy_equals_generate(model: TransformersModel) -> None:
    assert isinstance(model, LanguageModel)
    tokens = collect(model, Sampling(max_tokens=24))
    ids = torch.tensor([model._encode(PROMPT, 200)])
    out = model._model.generate(ids, max_new_tokens=24, do_sample=False, pad_token_id=1)
    expected = model._tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
    assert "".join(token.text for token in tokens) == expected
    assert tokens[-1].finish in ("length", "stop")
    assert all(token.finish is None for token in tokens[:-1])


def test_seed_makes_sampling_repeatable(model: TransformersModel) -> None:
    settings = Sampling(
        max_tokens=16, temperature=1.0, top_k=50, top_p=0.95, min_p=0.01, repetition_penalty=1.1, seed=7
    )
    first, second = (["".join(t.text for t in collect(model, settings))] for _ in range(2))
    assert first == second


def test_stop_string_never_shows_even_in_part(model: TransformersModel) -> None:
    whole = "".join(token.text for token in collect(model, Sampling(max_tokens=24)))
    stop = whole[8:12]
    tokens = collect(model, Sampling(max_tokens=24, stop=(stop,)))
    assert "".join(token.text for token in tokens) == whole[: whole.find(stop)]
    assert tokens[-1].finish == "stop"


def test_cancelling_frees_the_worker(model: TransformersModel) -> None:
    async def go() -> Token:
        stream: Any = model.stream(PROMPT, Sampling(max_tokens=200))
        await anext(stream)
        await stream.aclose()
        return await anext(model.stream(PROMPT, Sampling(max_tokens=2)))

    assert asyncio.run(asyncio.wait_for(go(), 20)).text is not None


def test_replies_cancelled_while_they_wait_hold_no_thread(
    model: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: each left a thread of the loop's pool waiting for ever; after six nothing in the process that wanted
    a thread went on."""

    def slow(prompt: object, sampling: object, stop: threading.Event) -> Iterator[Token]:
        while not stop.is_set():
            time.sleep(0.02)
            yield Token("a")

    monkeypatch.setattr(model, "_tokens", slow)

    async def read() -> None:
        async for _ in model.stream(PROMPT):
            pass

    async def go() -> int:
        for _ in range(40):
            replies = [asyncio.create_task(read()) for _ in range(2)]
            await asyncio.sleep(0.005)
            for reply in replies:
                reply.cancel()
            await asyncio.gather(*replies, return_exceptions=True)
        return await asyncio.wait_for(asyncio.to_thread(lambda: 1), 5.0)

    assert asyncio.run(go()) == 1


def test_log_probabilities_are_of_all_tokens(model: TransformersModel) -> None:
    """Those whose text is held back count with the piece that shows it."""
    tokens = collect(model, Sampling(max_tokens=24))
    ids = model._encode(PROMPT, 200)
    out = model._model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False, pad_token_id=1)
    with torch.inference_mode():
        likely = torch.log_softmax(model._model(out).logits[0].float(), -1)
    whole = sum(float(likely[at - 1, int(out[0, at])]) for at in range(len(ids), out.shape[1]))
    assert sum(token.logprob or 0.0 for token in tokens) == pytest.approx(whole, abs=1e-2)


def test_long_prompt_loses_old_talk(model: TransformersModel) -> None:
    long = (PROMPT[0], *[Message("user", f"old {n} " * 10) for n in range(30)], PROMPT[1])
    ids = model._encode(long, 120)
    assert len(ids) <= 120
    assert "rope" in model._tokenizer.decode(ids)


def test_what_is_wrong_is_said(tmp_path: Path, model: TransformersModel) -> None:
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        TransformersModel(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        TransformersModel(tmp_path)
    with pytest.raises(ModelError, match="JSON Schema"):
        collect(model, Sampling(json_schema="{}"))
    with pytest.raises(ModelError, match="no room"):
        collect(model, Sampling(max_tokens=256))
