"""Every kernel path against the NumPy reference and against each other: bit for bit where the definition is shared."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.config.paths import data_dir
from npc.inference import build, formats, kernels, reference
from npc.inference.build import BuildError, compile_library
from npc.inference.kernels import CacheFormat, Floats, Format, Level, linear, pad
from npc.inference.step import Batch, GivenUp
from tests.inference import tiny

pytestmark = tiny.needs_kernels

LEVELS = [level for level in Level if kernels.load() is not None and level <= (kernels.best_level() or Level.PLAIN)]
QUANTISED = (Format.INT8, Format.INT4, Format.TERNARY)


def bits(x: Floats) -> np.ndarray:
    return np.ascontiguousarray(x).view(np.uint32)


def weights(rng: np.random.Generator, rows: int, cols: int) -> Floats:
    """Ordinary weights with outliers, an empty row, denormals."""
    w = (rng.standard_normal((rows, cols)) * 0.05).astype(np.float32)
    w[0] = 0
    w[rows // 2, : min(cols, 32)] *= 40
    w[-1, :3] = 1e-41
    return w


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 70),
    cols=st.one_of(st.integers(1, 300), st.sampled_from([576, 1023, 1024, 1025, 1056, 1500, 1700])),
    m=st.integers(1, 40),
    format=st.sampled_from(QUANTISED),
    seed=st.integers(0, 1000),
)
def test_all_paths_give_the_bits_of_the_reference(rows: int, cols: int, m: int, format: Format, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = formats.pack(format, weights(rng, rows, cols))
    x = rng.standard_normal((m, cols)).astype(np.float32) * np.float32(10.0) ** rng.integers(-6, 6, (m, 1))
    x = x.astype(np.float32)
    want = reference.linear(matrix, x)
    for level in LEVELS:
        assert (bits(linear(matrix, x, level)) == bits(want)).all(), level.name


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize("shape", [(17, 33), (48, 576), (33, 896), (16, 160), (33, 1568)])
def test_a_row_does_not_depend_on_its_batch(format: Format, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    matrix = formats.pack(format, weights(rng, *shape))
    x = rng.standard_normal((50, shape[1])).astype(np.float32)
    whole = bits(linear(matrix, x, Level.PLAIN))
    for level in LEVELS:
        for m in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 50):
            assert (bits(linear(matrix, x[:m], level)) == whole[:m]).all(), (level.name, m)


@pytest.mark.parametrize("format", QUANTISED)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_in_their_row(format: Format, bad: float) -> None:
    rng = np.random.default_rng(2)
    matrix = formats.pack(format, weights(rng, 32, 256))
    x = rng.standard_normal((20, 256)).astype(np.float32)
    clean = linear(matrix, x, LEVELS[-1])
    x[4, 130] = bad
    for level in LEVELS:
        dirty = linear(matrix, x, level)
        assert np.isnan(dirty[4]).all()
        others = np.arange(20) != 4
        assert (bits(dirty[others]) == bits(clean[others])).all()


@pytest.mark.parametrize("format", list(Format))
def test_packing_is_the_same_in_c_and_numpy(format: Format) -> None:
    rng = np.random.default_rng(3)
    for rows, cols in ((16, 32), (32, 160), (48, 608), (16, 1088)):
        w = weights(rng, rows, cols)
        importance = rng.uniform(0.1, 4, cols).astype(np.float32)
        weigh = np.maximum(importance / importance.mean(), 1e-6).astype(np.float32)
        packed = formats.pack(format, w, importance=importance).packed
        assert (packed == formats.pack_reference(format, w, weigh)).all()


def test_quantisation_error_is_what_is_promised() -> None:
    """Relative RMS error on normal weights. On the same numbers Q4_0 has 0.0858 at 4.5 bits, ours 0.0832."""
    w = np.random.default_rng(4).standard_normal((256, 1024)).astype(np.float32)
    bounds = {Format.F32: 0.0, Format.BF16: 0.002, Format.INT8: 0.006, Format.INT4: 0.0825, Format.TERNARY: 0.47}
    for format, bound in bounds.items():
        back = formats.unpack(formats.pack(format, w))
        assert np.sqrt(((back - w) ** 2).mean()) <= bound * 1.01, format.name


def test_inputs_of_int8_weights_lose_next_to_nothing() -> None:
    """Their two bytes: what is left of the error is the weights'."""
    rng = np.random.default_rng(11)
    matrix = formats.pack(Format.INT8, rng.standard_normal((64, 896)).astype(np.float32))
    x = rng.standard_normal((20, 896)).astype(np.float32)
    want = x @ formats.unpack(matrix).T
    for level in LEVELS:
        assert np.abs(linear(matrix, x, level) - want).max() < 2e-4 * np.abs(want).max()


def test_int8_reaches_the_ends_of_lopsided_weights() -> None:
    """The zero point: weights on one side of zero have all 256 values."""
    w = np.linspace(0.5, 1.0, 2048, dtype=np.float32).reshape(16, 128)
    back = formats.unpack(formats.pack(Format.INT8, w))
    assert np.abs(back - w).max() <= 1.001 * w.max() / 255 / 2
    assert (formats.unpack(formats.pack(Format.INT8, -w)) == -back).all()


def test_ternary_weights_survive_exactly() -> None:
    rng = np.random.default_rng(5)
    w = (rng.integers(-1, 2, (32, 256)) * np.float32(0.03125)).astype(np.float32)
    assert (formats.unpack(formats.pack(Format.TERNARY, w)) == w).all()


def test_importance_moves_the_error_to_columns_that_matter_less() -> None:
    rng = np.random.default_rng(6)
    w = rng.standard_normal((64, 128)).astype(np.float32)
    weigh = np.where(np.arange(128) % 2, 10.0, 0.1).astype(np.float32)
    plain = (formats.unpack(formats.pack(Format.INT4, w)) - w) ** 2
    aware = (formats.unpack(formats.pack(Format.INT4, w, importance=weigh)) - w) ** 2
    assert (aware * weigh).mean() < (plain * weigh).mean()


def test_the_amx_configuration_reaches_the_unit() -> None:
    """GCC 12 drops stores to the configuration; see configure_tiles in amx.inc."""
    lib = kernels.load()
    assert lib is not None
    if kernels.best_level() is not Level.AMX:
        pytest.skip("no AMX on this CPU")
    assert lib.npc_amx_config_survives() == 1


@pytest.mark.parametrize("cache", list(CacheFormat))
@pytest.mark.parametrize("changes", [{}, {"head_dim": 8}, {"head_dim": 80}, {"num_key_value_heads": 4}])
def test_whole_steps_agree_whatever_the_level_threads_and_chunks(cache: CacheFormat, changes: dict[str, int]) -> None:
    config, packed = tiny.model(**changes)
    tokens = np.random.default_rng(7).integers(0, 96, 90)
    base = tiny.step(config, packed, cache=cache, threads=1, level=Level.PLAIN)
    want = bits(tiny.logits(base, tokens))
    slow = reference.ReferenceStep(config, packed, pages=8, positions=512, cache=cache)
    close = tiny.logits(slow, tokens)
    # float rounding of norms and softmax may move an activation to the next whole number: near, not equal
    assert np.abs(close - want.view(np.float32)).mean() < 0.02
    for level in LEVELS:
        for threads in (1, 2, 3):
            step = tiny.step(config, packed, cache=cache, threads=threads, level=level)
            assert (bits(tiny.logits(step, tokens)) == want).all(), (level.name, threads)
            pages = np.array([[9, 3, 7]], np.int32)
            rows = []
            for first, end in ((0, 1), (1, 40), (40, 44), (44, 45), (45, 90)):
                span = np.arange(first, end, dtype=np.int32)
                zero = np.zeros(end - first, np.int32)
                batch = Batch(tokens[span].astype(np.int32), span, zero, pages, span - first)
                rows.append(step.forward(batch).logits.copy())
            assert (bits(np.concatenate(rows)) == want).all(), (level.name, threads, "chunks")
            step.close()
    base.close()


@pytest.mark.parametrize("format", [Format.INT4, Format.INT8, Format.F32])
def test_threads_that_come_late_change_nothing(format: Format) -> None:
    """More threads than cores: some lose theirs in the middle of a unit, which another does over and goes on."""
    config, packed = tiny.model(format)
    tokens = np.random.default_rng(13).integers(0, 96, 120)
    alone = tiny.step(config, packed, threads=1)
    want = bits(tiny.logits(alone, tokens))
    alone.close()
    crowd = tiny.step(config, packed, threads=4 + 2 * (os.cpu_count() or 1))
    pages = np.arange(4, dtype=np.int32)[None]
    sizes = np.random.default_rng(14).integers(1, 9, 200)
    first = 0
    for size in sizes:
        first = 0 if first + size > len(tokens) else first
        span = np.arange(first, first + size, dtype=np.int32)
        got = crowd.forward(Batch(tokens[span].astype(np.int32), span, span * 0, pages, span - first)).logits
        assert (bits(got) == want[span]).all()
        first += int(size)
    crowd.close()


@pytest.mark.parametrize("format", [Format.INT4, Format.INT8])
def test_a_wide_inner_dimension_is_the_same_however_it_is_cut(format: Format) -> None:
    """The inputs of a down projection are quantised where they are made, in pieces cut by columns and by rows."""
    config, packed = tiny.model(format, intermediate_size=2736)
    tokens = np.random.default_rng(12).integers(0, 96, 130)
    want = None
    for level in LEVELS:
        for threads in (1, 2, 3):
            step = tiny.step(config, packed, threads=threads, level=level)
            for count in (8, 9, 70, 130):
                got = bits(tiny.logits(step, tokens[:count]))
                want = bits(tiny.logits(step, tokens)) if want is None else want
                assert (got == want[:count]).all(), (level.name, threads, count)
            step.close()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("cache", list(CacheFormat))
def test_a_page_that_held_nan_is_clean_for_who_comes_next(cache: CacheFormat, level: Level) -> None:
    config, packed = tiny.model()
    step = tiny.step(config, packed, cache=cache, level=level)
    tokens = np.random.default_rng(9).integers(0, 96, 40)
    want = bits(tiny.logits(step, tokens[:20]))
    broken = np.full((config.layers, config.hidden), np.nan, np.float32)
    span = np.arange(40, dtype=np.int32)
    pages = np.array([[0, 1]], np.int32)
    result = step.forward(Batch(tokens.astype(np.int32), span, span * 0, pages, span, steering=[(broken, 1.0)] * 40))
    assert np.isnan(result.logits).all()
    assert (bits(tiny.logits(step, tokens[:20])) == want).all()
    step.close()


@pytest.mark.parametrize("cache", list(CacheFormat))
def test_a_sliding_window_is_the_same_in_chunks_and_at_each_level(cache: CacheFormat) -> None:
    changes = {"sliding_window": 45, "architectures": ["MistralForCausalLM"], "model_type": "mistral"}
    config, packed = tiny.model(**changes)
    assert config.windows[0] == 45
    tokens = np.random.default_rng(10).integers(0, 96, 150)
    pages, want = np.arange(5, dtype=np.int32)[None], None
    for level in LEVELS:
        for cuts in ((150,), (1, 50, 51, 150), (100, 103, 150)):
            step = tiny.step(config, packed, cache=cache, level=level)
            rows = []
            for first, end in zip((0, *cuts[:-1]), cuts, strict=True):
                span = np.arange(first, end, dtype=np.int32)
                batch = Batch(tokens[span].astype(np.int32), span, span * 0, pages, span - first)
                rows.append(step.forward(batch).logits.copy())
            got = bits(np.concatenate(rows))
            want = got if want is None else want
            assert (got == want).all(), (level.name, cuts)
            step.close()


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize("level", LEVELS)
def test_rows_whose_logits_nobody_wants_end_early_and_change_nothing(format: Format, level: Level) -> None:
    config, packed = tiny.model(format, num_hidden_layers=1 + (format is Format.INT4))
    step, rng = tiny.step(config, packed, level=level, threads=3), np.random.default_rng(12)
    sizes = [60, 5, 17]
    positions, sequences = np.concatenate([np.arange(n) for n in sizes]), np.repeat([0, 1, 2], sizes)
    tables = np.array([[5, 6], [7, -1], [9, -1]], np.int32)
    tokens, rows = rng.integers(0, 96, 82).astype(np.int32), np.arange(82, dtype=np.int32)
    vector = rng.standard_normal((config.layers, config.hidden)).astype(np.float32)
    steering = [(vector, 0.5) if r % 3 else None for r in rows]

    def run(wanted: list[int], whole: bool) -> tuple[np.ndarray, np.ndarray]:
        """Logits of the rows wanted, and those of a next token of each sequence."""
        outputs = np.array(wanted, np.int32)
        batch = Batch(tokens, positions.astype(np.int32), sequences.astype(np.int32), tables, outputs, steering)
        found = step.forward(replace(batch, want_last=whole)).logits
        now = np.empty(0, np.uint32) if found is None else bits(found.copy())
        later = step.forward(Batch(rows[:3], np.array(sizes, np.int32), rows[:3], tables, rows[:3])).logits
        step.forward(Batch(rows, rows, rows * 0, np.array([[5, 6, 7]], np.int32), rows[:1]))  # other keys and values
        return now, bits(later.copy())

    want, next_want = run(list(range(82)), whole=True)
    for wanted in ([81], [], [59, 64, 81], list(range(40)), [81, 3, 3], list(range(82)), [0, 1, 2, 58, 59, 60]):
        got, next_got = run(wanted, whole=False)
        assert (got == want[wanted]).all() if wanted else not got.size, wanted
        assert (next_got == next_want).all(), wanted
    step.close()


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_step_that_is_given_up_leaves_no_trace(threads: int) -> None:
    config, packed = tiny.model(num_hidden_layers=6)
    step, rng = tiny.step(config, packed, threads=threads), random.Random(3)
    pages, given_up = np.arange(16, dtype=np.int32)[None], 0
    for turn in range(60):
        rows = rng.choice([1, 5, 8, 30, 300])
        span = np.arange(rows, dtype=np.int32)
        batch = Batch((span * 7 + turn) % 96, span, span * 0, pages, span[-1:])
        want = bits(step.forward(batch).logits.copy())
        timer = threading.Timer(rng.random() * 0.003, lambda: step.hurry(True))
        timer.start()
        for _ in range(1000):
            try:
                assert (bits(step.forward(replace(batch, yields=True)).logits) == want).all()
            except GivenUp:
                given_up += 1
                break
        assert (bits(step.forward(batch).logits) == want).all(), "who does not yield is not given up"
        timer.join()
        step.hurry(False)
        assert (bits(step.forward(replace(batch, yields=True)).logits) == want).all()
    assert given_up > 30
    step.close()


def test_neighbours_do_not_change_a_row() -> None:
    config, packed = tiny.model()
    step = tiny.step(config, packed)
    rng = np.random.default_rng(8)
    alone = bits(tiny.logits(step, rng.integers(0, 96, 50)))
    tokens = np.random.default_rng(8).integers(0, 96, 50)
    mixed = np.concatenate([rng.integers(0, 96, 37), tokens, rng.integers(0, 96, 5)]).astype(np.int32)
    positions = np.concatenate([np.arange(37), np.arange(50), np.arange(5)]).astype(np.int32)
    sequences = np.repeat([0, 1, 2], [37, 50, 5]).astype(np.int32)
    tables = np.array([[5, 6], [7, 8], [9, -1]], np.int32)
    result = step.forward(Batch(mixed, positions, sequences, tables, np.arange(37, 87, dtype=np.int32)))
    assert (bits(result.logits) == alone).all()
    step.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": np.array([96], np.int32)}, "outside the vocabulary"),
        ({"positions": np.array([512], np.int32)}, "outside the context"),
        ({"tables": np.array([[-1]], np.int32)}, "no cache page"),
        ({"tables": np.array([[64]], np.int32)}, "no cache page"),
        ({"sequences": np.array([1], np.int32)}, "not in the batch"),
        ({"outputs": np.array([1], np.int32)}, "output row"),
    ],
)
def test_bad_batches_are_refused_before_anything_runs(change: dict[str, np.ndarray], message: str) -> None:
    config, packed = tiny.model()
    step = tiny.step(config, packed)
    zero = np.zeros(1, np.int32)
    fields = {"tokens": zero, "positions": zero, "sequences": zero, "tables": zero[None], "outputs": zero, **change}
    with pytest.raises(ValueError, match=message):
        step.forward(Batch(**fields))
    step.close()


def test_sizes_of_packed_matrices_agree() -> None:
    lib = kernels.load()
    assert lib is not None
    for format in Format:
        for rows, cols in ((1, 1), (16, 128), (17, 129), (49152, 576), (16, 1024), (16, 1025), (33, 4864)):
            tall, wide = pad(rows, 16), pad(cols, 32)
            assert kernels.matrix_bytes(format, rows, cols) == lib.npc_matrix_bytes(int(format), tall, wide)


def test_without_a_compiler_there_is_one_clear_notice(tmp_path: Path) -> None:
    code = (
        "import logging; logging.basicConfig(); from npc.inference import kernels; "
        "assert kernels.load() is None and kernels.best_level() is None"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CXX": "/nonexistent/cxx", "NPC_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "running on NumPy" in done.stderr


def test_a_build_is_announced_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Commands without logging of their own seemed to hang for the minute that it takes."""
    monkeypatch.setenv("NPC_CACHE", str(tmp_path))
    monkeypatch.setattr(build, "library_name", lambda sources: "fresh.so")
    monkeypatch.setattr(build, "compiler", lambda: "g++")

    def compiled(sources: Path, target: Path) -> Path:
        assert [one.levelname for one in caplog.records] == ["WARNING"], "said before, not after"
        target.parent.mkdir()
        target.touch()
        return target

    monkeypatch.setattr(build, "compile_library", compiled)
    assert build.library() == build.library() == tmp_path / "kernels" / "fresh.so"
    assert [one.message for one in caplog.records] == ["compiling the CPU kernels: about a minute, once"]


@pytest.mark.parametrize(
    ("cxx", "cause"),
    [
        ("/bin/false", "core: ended with status 1"),
        ("no-such-compiler -O2", "there is no compiler 'no-such-compiler -O2'"),
        ("", r"no C\+\+ compiler"),
    ],
)
def test_a_build_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cxx: str, cause: str) -> None:
    """Regression: one that failed without a word was taken for a success and failed at linking."""
    monkeypatch.setenv("CXX", cxx)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "/bin/false" else None)
    with pytest.raises(BuildError, match=cause):
        compile_library(data_dir("kernels") / "cpu", tmp_path / "out.so")
    assert not (tmp_path / "out.so").exists()
