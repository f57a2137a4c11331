"""Every kernel path of the BERT encoder: close to NumPy, and bit for bit the same whatever is read beside a text."""

from __future__ import annotations

import gc
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.inference import bert, kernels
from npc.inference.bert import BertLayer, BertWeights, Encoder, bert_of, states_reference
from npc.inference.encoder import encoder_status, load_encoder
from npc.inference.kernels import Floats, Level

VOCABULARY, POSITIONS = 50, 400
#: Cosine of a token's state to NumPy's. INT8 weights and bfloat16 products stay above it after six layers.
CLOSE = 0.999


def _levels() -> list[Level]:
    best = kernels.best_level()
    return [] if best is None else [level for level in Level if level <= best]


@pytest.fixture(params=Level, ids=lambda level: level.name)
def level(request: pytest.FixtureRequest) -> Level:
    if request.param not in _levels():
        pytest.skip(f"no {request.param.name} kernels here")
    return Level(request.param)


def made(width: int = 64, heads: int = 2, inner: int = 96, layers: int = 2, seed: int = 0) -> BertWeights:
    chance = np.random.default_rng(seed)

    def tensor(*shape: int, spread: float = 1.0) -> Floats:
        return chance.normal(0, spread, shape).astype(np.float32)

    def norm() -> tuple[Floats, Floats]:
        return 1 + tensor(width, spread=0.2), tensor(width, spread=0.2)

    def matrix(inputs: int, outputs: int) -> tuple[Floats, Floats]:
        return tensor(inputs, outputs, spread=inputs**-0.5), tensor(outputs, spread=0.1)

    def layer() -> BertLayer:
        attention = *matrix(width, 3 * width), *matrix(width, width), norm()
        return BertLayer(*attention, *matrix(width, inner), *matrix(inner, width), norm())

    made = tuple(layer() for _ in range(layers))
    return BertWeights(
        tensor(VOCABULARY, width), tensor(POSITIONS, width), tensor(2, width), norm(), made, heads, 1e-12
    )


def texts(lengths: list[int], seed: int = 1) -> list[list[int]]:
    chance = np.random.default_rng(seed)
    return [chance.integers(0, VOCABULARY, length).tolist() for length in lengths]


def likeness(a: Floats, b: Floats) -> float:
    """The least cosine of two rows of the same token."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).min())


LENGTHS = [1, 2, 0, 5, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 127, 128]


@pytest.mark.parametrize(("width", "heads", "inner"), [(64, 2, 96), (96, 2, 64), (32, 2, 32), (416, 13, 448)])
def test_close_to_numpy_at_every_length(level: Level, width: int, heads: int, inner: int) -> None:
    if level is Level.PLAIN and width > 100:
        pytest.skip("minutes on scalars, and the same source")
    weights, ids = made(width, heads, inner), texts(LENGTHS)
    types = [[int(at > len(row) // 2) for at in range(len(row))] for row in ids]
    found = Encoder(weights, level).states(ids, types)
    wanted = states_reference(weights, LENGTHS, bert._flat(ids), bert._flat(types))
    assert [row.shape for row in found] == [(length, width) for length in LENGTHS]
    assert min(likeness(a, b) for a, b in zip(found, wanted, strict=True) if len(a)) > CLOSE
    assert max(np.abs(a - b).max() for a, b in zip(found, wanted, strict=True) if len(a)) < 0.2


def test_a_texts_states_do_not_depend_on_its_neighbours(level: Level) -> None:
    encoder, ids = Encoder(made(), level), texts([40, 3, 128, 1, 17, 60, 33, 128, 90, 16, 5])
    together, reversed_ = encoder.states(ids), encoder.states(ids[::-1])[::-1]
    for row, a, b in zip(ids, together, reversed_, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, encoder.states([row])[0])


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(0, 70), max_size=14), kinds=st.booleans(), seed=st.integers(0, 9))
def test_any_batch_equals_its_texts_one_by_one(lengths: list[int], kinds: bool, seed: int) -> None:
    if not _levels():
        pytest.skip("no kernels here")
    encoder = _shared()
    ids = texts(lengths, seed)
    types = [[at % 2 for at in range(len(row))] for row in ids] if kinds else None
    for at, states in enumerate(encoder.states(ids, types)):
        alone = encoder.states([ids[at]], None if types is None else [types[at]])[0]
        assert np.array_equal(states, alone)


_SHARED: list[Encoder] = []


def _shared() -> Encoder:
    if not _SHARED:
        _SHARED.append(Encoder(made(), _levels()[-1]))
    return _SHARED[0]


def test_threads_do_not_disturb_each_other(level: Level) -> None:
    encoder = Encoder(made(), level)
    work = [texts([length, 20], seed) for seed, length in enumerate([1, 30, 60, 128, 7, 90] * 4)]
    alone = [encoder.states(ids) for ids in work]
    with ThreadPoolExecutor(6) as pool:
        for states, wanted in zip(pool.map(encoder.states, work), alone, strict=True):
            assert all(map(np.array_equal, states, wanted))


def test_token_types_matter_and_default_to_the_first(level: Level) -> None:
    encoder, ids = Encoder(made(), level), texts([9])
    plain = encoder.states(ids)[0]
    assert np.array_equal(plain, encoder.states(ids, [[0] * 9])[0])
    assert not np.allclose(plain, encoder.states(ids, [[0] * 5 + [1] * 4])[0], atol=0.01)


def test_damage_stays_in_its_text(level: Level) -> None:
    weights = made()
    weights.words[7] = np.nan
    encoder = Encoder(weights, level)
    before, hurt, after = encoder.states([[1, 2, 3], [4, 7, 5], [1, 2, 3]])
    assert np.isnan(hurt).all()
    assert np.isfinite(before).all()
    assert np.array_equal(before, after)


def test_a_weight_that_is_no_number_is_refused(level: Level) -> None:
    weights = made()
    weights.layers[1].up_w[3, 5] = np.inf
    with pytest.raises(ValueError, match="not finite"):
        Encoder(weights, level)


def test_long_texts_and_none(level: Level) -> None:
    weights = made()
    encoder, ids = Encoder(weights, level), texts([400, 0, 395])
    found = encoder.states(ids)
    wanted = states_reference(weights, [400, 0, 395], bert._flat(ids))
    assert min(likeness(a, b) for a, b in zip(found, wanted, strict=True) if len(a)) > CLOSE
    assert encoder.states([]) == []
    assert encoder.states([[]])[0].shape == (0, 64)


def test_what_is_outside_the_tables_is_refused() -> None:
    encoder = Encoder(made())
    with pytest.raises(ValueError, match=r"token id is outside 0\.\.49"):
        encoder.states([[1, VOCABULARY]])
    with pytest.raises(ValueError, match=r"token type is outside 0\.\.1"):
        encoder.states([[1]], [[2]])
    with pytest.raises(ValueError, match="positions for 400"):
        encoder.states([[1] * 401])
    with pytest.raises(ValueError, match="one number for every token"):
        encoder.states([[1, 2]], [[0]])


def test_shapes_the_kernels_do_not_take_run_on_numpy() -> None:
    encoder = Encoder(made(width=24, heads=3, inner=20))
    assert encoder.level is None
    assert encoder.states(texts([5]))[0].shape == (5, 24)


def test_changed_weights_are_those_packed(level: Level) -> None:
    weights = made()

    def change(number: int, name: str) -> Floats:
        return np.full((1, 1), 0.01 * (number + 1), np.float32)

    changed, ids = weights.changed(change), texts([12])
    found = Encoder(changed, level).states(ids)[0]
    assert likeness(found, states_reference(changed, [12], bert._flat(ids))[0]) > CLOSE
    gc.collect()  # the first one's packed weights are gone; the second's are its own
    assert np.array_equal(found, Encoder(changed, level).states(ids)[0])


def test_names_of_a_checkpoint() -> None:
    weights = made(layers=1)
    layer, width = weights.layers[0], weights.width
    tensors: dict[str, Floats] = {
        "bert.embeddings.word_embeddings.weight": weights.words,
        "bert.embeddings.position_embeddings.weight": weights.positions,
        "bert.embeddings.token_type_embeddings.weight": weights.types,
    }
    norms = {"bert.embeddings.LayerNorm": weights.norm, "bert.encoder.layer.0.attention.output.LayerNorm": layer.norm1,
             "bert.encoder.layer.0.output.LayerNorm": layer.norm2}  # fmt: skip
    for name, (gain, bias) in norms.items():
        tensors |= {f"{name}.weight": gain, f"{name}.bias": bias}
    dense = {"attention.output.dense": (layer.out_w, layer.out_b), "intermediate.dense": (layer.up_w, layer.up_b),
             "output.dense": (layer.down_w, layer.down_b)}  # fmt: skip
    for at, part in enumerate(("query", "key", "value")):
        here = slice(at * width, (at + 1) * width)
        dense[f"attention.self.{part}"] = (layer.qkv_w[:, here], layer.qkv_b[here])
    for name, (matrix, bias) in dense.items():
        tensors |= {f"bert.encoder.layer.0.{name}.weight": matrix.T, f"bert.encoder.layer.0.{name}.bias": bias}
    found = bert_of(tensors, {"num_hidden_layers": 1, "num_attention_heads": 2, "layer_norm_eps": 1e-12})
    ids = texts([6, 9])
    pairs = zip(Encoder(found).states(ids), Encoder(weights).states(ids), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    del tensors["bert.encoder.layer.0.output.dense.bias"]
    with pytest.raises(KeyError, match=r"output\.dense\.bias"):
        bert_of(tensors, {"num_hidden_layers": 1, "num_attention_heads": 2, "layer_norm_eps": 1e-12})


def test_the_shipped_encoder_on_every_fast_path(level: Level) -> None:
    if not encoder_status().available:
        pytest.skip("the encoder package is not installed")
    if level < Level.AVX512:
        pytest.skip("NumPy is used there: seconds a text on these kernels")
    minilm = load_encoder()
    sentences = [
        "Where is the key?",
        "It hangs behind the bar, beside the till.",
        "",
        "Ok",
        "A pint costs 4 euros. " * 9,
    ]
    ids = [minilm.ids(sentence) for sentence in sentences]
    wanted = states_reference(minilm.weights, [len(row) for row in ids], bert._flat(ids))
    for found, states in zip(Encoder(minilm.weights, level).states(ids), wanted, strict=True):
        assert likeness(found, states) > CLOSE
        assert likeness(found.mean(axis=0)[None], states.mean(axis=0)[None]) > CLOSE


def test_every_level_and_numpy_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {}
    for chosen, word in itertools.zip_longest([Level.AMX, Level.AVX512, None], ["bfloat16", "INT8", "numpy"]):
        monkeypatch.setattr(bert, "library", lambda build: None)
        monkeypatch.setattr(bert, "chosen_level", lambda level=chosen: level)
        words[word] = bert.runs_on()
    assert all(word in said for word, said in words.items())
