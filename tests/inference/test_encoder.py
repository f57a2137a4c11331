"""The numpy encoder equals a plain loop over the same weights, and says what is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from npc.inference.encoder import EncoderError, MiniLM, encoder_status, load_encoder

WIDTH, HEADS, LAYERS, INNER, VOCABULARY = 12, 3, 2, 20, 16


def _model(folder: Path) -> dict[str, NDArray[np.float32]]:
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    chance = np.random.default_rng(0)

    def tensor(*shape: int) -> NDArray[np.float32]:
        return chance.normal(0, 0.5, shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": tensor(VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": tensor(32, WIDTH),
        "embeddings.token_type_embeddings.weight": tensor(2, WIDTH),
        "embeddings.LayerNorm.weight": tensor(WIDTH),
        "embeddings.LayerNorm.bias": tensor(WIDTH),
    }
    for layer in range(LAYERS):
        shapes = {
            "attention.self.query": (WIDTH, WIDTH), "attention.self.key": (WIDTH, WIDTH), "attention.self.value": (WIDTH, WIDTH),  # noqa: E501
            "attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (INNER, WIDTH), "output.dense": (WIDTH, INNER),  # noqa: E501
        }  # fmt: skip
        for name, shape in shapes.items():
            weights[f"encoder.layer.{layer}.{name}.weight"] = tensor(*shape)
            weights[f"encoder.layer.{layer}.{name}.bias"] = tensor(shape[0])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"encoder.layer.{layer}.{name}.weight"] = tensor(WIDTH)
            weights[f"encoder.layer.{layer}.{name}.bias"] = tensor(WIDTH)
    save_file(weights, folder / "model.safetensors")
    known = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "dogs"]
    words = {"[UNK]": 0} | {word: i for i, word in enumerate(known, 1)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"model_type": "bert", "hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
              "layer_norm_eps": 1e-12}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return weights


def _naive(weights: dict[str, NDArray[np.float32]], ids: list[int]) -> NDArray[np.float64]:
    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        centred = x - x.mean()
        return (
            centred / math.sqrt(float((centred**2).mean()) + 1e-12) * weights[f"{name}.weight"]
            + weights[f"{name}.bias"]
        )

    def dense(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        return weights[f"{name}.weight"].astype(np.float64) @ x + weights[f"{name}.bias"]

    e = "embeddings."
    rows = [
        norm(
            weights[e + "word_embeddings.weight"][i].astype(np.float64)
            + weights[e + "position_embeddings.weight"][at]
            + weights[e + "token_type_embeddings.weight"][0],
            e + "LayerNorm",
        )
        for at, i in enumerate(ids)
    ]
    head = WIDTH // HEADS
    for layer in range(LAYERS):
        p = f"encoder.layer.{layer}."
        q, k, v = ([dense(x, f"{p}attention.self.{n}") for x in rows] for n in ("query", "key", "value"))
        mixed = []
        for i in range(len(rows)):
            parts = []
            for h in range(HEADS):
                s = slice(h * head, (h + 1) * head)
                scores = np.array([q[i][s] @ k[j][s] / math.sqrt(head) for j in range(len(rows))])
                share = np.exp(scores - scores.max())
                share /= share.sum()
                parts.append(sum(share[j] * v[j][s] for j in range(len(rows))))
            mixed.append(np.concatenate(parts))
        rows = [
            norm(x + dense(m, p + "attention.output.dense"), p + "attention.output.LayerNorm")
            for x, m in zip(rows, mixed, strict=True)
        ]
        for i, x in enumerate(rows):
            up = dense(x, p + "intermediate.dense")
            active = np.array([0.5 * u * (1 + math.erf(u / math.sqrt(2))) for u in up])
            rows[i] = norm(x + dense(active, p + "output.dense"), p + "output.LayerNorm")
    mean = np.mean(rows, axis=0)
    return mean / np.linalg.norm(mean)


def test_equals_the_naive_reference_whatever_the_batch(tmp_path: Path) -> None:
    weights = _model(tmp_path)
    encoder = MiniLM(tmp_path)
    texts = ["the cat sat on a mat", "dogs saw the cat", "a mat", "the cat sat on a mat", ""]
    vectors = encoder.encode(texts)
    ids = {"the": 1, "cat": 2, "sat": 3, "on": 4, "a": 5, "mat": 6, "and": 7, "saw": 8, "dogs": 9}
    for text, vector in zip(texts[:4], vectors, strict=False):
        assert np.abs(vector - _naive(weights, [ids[word] for word in text.split()])).max() < 1e-5
    assert not vectors[4].any()
    assert np.array_equal(vectors[0], vectors[3])
    assert np.array_equal(encoder.encode(["a mat"])[0], vectors[2])


def test_authored_texts_are_read_back_from_disk_unchanged(tmp_path: Path) -> None:
    _model(tmp_path)
    store = tmp_path / "vectors.sqlite"
    first, second = MiniLM(tmp_path), MiniLM(tmp_path)
    first.warm(["the cat", "a mat"], store)
    second.warm(["the cat", "a mat"], store)
    assert np.array_equal(second.encode(["the cat"]), first.encode(["the cat"]))
    assert b"cat" not in store.read_bytes()
    store.write_bytes(b"not a database" * 100)
    MiniLM(tmp_path).warm(["the cat"], store)


def test_missing_and_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"config\.json is missing"):
        load_encoder(tmp_path)
    _model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(EncoderError, match="model_type is 'gpt2'"):
        load_encoder(tmp_path)
    assert not encoder_status(tmp_path / "nowhere").available
