"""The engine against the plain loop: whatever happens around a request, its tokens are the same."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from npc.inference.engine import ContextOverflow, Engine, EngineFull, Limits
from npc.inference.interface import ModelError, Priority, Sampling
from npc.inference.kernels import PAGE, Format
from npc.inference.request import Event
from npc.inference.speculate import DraftModel, PromptLookup
from npc.inference.step import Batch, KernelStep, Result
from tests.inference import test_mamba as mamba
from tests.inference import tiny

pytestmark = tiny.needs_kernels


@pytest.fixture(scope="module")
def core() -> Iterator[KernelStep]:
    config, weights = tiny.model()
    made = tiny.step(config, weights, pages=48)
    yield made
    made.close()


@pytest.fixture(scope="module")
def judge() -> Iterator[KernelStep]:
    config, weights = tiny.model()
    made = tiny.step(config, weights, pages=48, threads=1)
    yield made
    made.close()


def drain(engine: Engine, limit: int = 10_000) -> dict[int, list[Event]]:
    events: dict[int, list[Event]] = {}
    for _ in range(limit):
        if not engine.busy:
            return events
        for event in engine.step():
            events.setdefault(event.sequence, []).append(event)
    raise AssertionError("the engine does not come to an end")


def made(events: list[Event]) -> list[int]:
    return [e.token for e in events if e.token is not None]


def no_leak(engine: Engine) -> None:
    engine.tree.clear()
    assert engine.pool.free == engine.pool.count


SAMPLINGS = [
    Sampling(max_tokens=24),
    Sampling(max_tokens=24, temperature=0.9, seed=5),
    Sampling(max_tokens=20, temperature=1.3, top_k=20, top_p=0.9, min_p=0.02, seed=7),
    Sampling(max_tokens=20, repetition_penalty=1.3, logit_bias=((3, 2.0), (4, -5.0))),
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "hot", "filtered", "penalised"])
@pytest.mark.parametrize("drafter", ["none", "lookup", "model"])
def test_a_request_gives_the_tokens_of_the_plain_loop(
    core: KernelStep, judge: KernelStep, sampling: Sampling, drafter: str
) -> None:
    small = tiny.step(*tiny.model(seed=0), pages=16, threads=1)
    choice = {"none": None, "lookup": PromptLookup(shortest=1), "model": DraftModel(small, sequences=2)}[drafter]
    engine = Engine(core, drafter=choice)
    prompt = [5, 6, 7, 8] * 12
    number = engine.submit(prompt, sampling)
    events = drain(engine)[number]
    assert made(events) == tiny.plain_loop(judge, prompt, sampling)
    assert events[-1].finish == "length"
    assert all(e.finish is None for e in events[:-1])
    no_leak(engine)
    small.close()


def test_speculation_saves_steps(core: KernelStep) -> None:
    small = tiny.step(*tiny.model(seed=0), pages=16, threads=1)
    engine = Engine(core, drafter=DraftModel(small))
    engine.submit([1, 2, 3], Sampling(max_tokens=20))
    steps = 0
    while engine.busy:
        engine.step()
        steps += 1
    assert steps <= 6, "the same model as drafter must agree with every guess: five tokens a step"
    no_leak(engine)
    small.close()


@pytest.mark.parametrize("seed", range(6))
def test_random_schedules_do_not_change_tokens(core: KernelStep, judge: KernelStep, seed: int) -> None:
    """Batching, prefix sharing, chunked prompts, preemption, priorities, neighbours' cancellation, ambient steps that
    are given up: all in one soup."""
    rng = random.Random(seed)
    limits = Limits(running=6, step_rows=rng.choice([16, 48, 200]), chunk_rows=rng.choice([3, 17, 64]))
    engine = Engine(core, limits=limits, drafter=rng.choice([None, PromptLookup(shortest=1)]))
    persona = [rng.randrange(96) for _ in range(rng.choice([20, 64, 100]))]
    wanted: dict[int, tuple[list[int], Sampling]] = {}
    events: dict[int, list[Event]] = {}
    cancelled: set[int] = set()
    for _ in range(120):
        if len(wanted) < 9 and rng.random() < 0.25:
            prompt = persona[: rng.randrange(1, len(persona))] + [
                rng.randrange(96) for _ in range(rng.randrange(1, 40))
            ]
            sampling = Sampling(
                max_tokens=rng.randrange(1, 20), temperature=rng.choice([0.0, 1.0]), seed=rng.randrange(9)
            )
            number = engine.submit(prompt, sampling, priority=Priority(rng.randrange(3)))
            wanted[number] = (prompt, sampling)
        if wanted and rng.random() < 0.08:
            gone = rng.choice(list(wanted))
            engine.cancel(gone)
            cancelled.add(gone)
        engine.hurry(rng.random() < 0.5)
        for event in engine.step():
            events.setdefault(event.sequence, []).append(event)
    engine.hurry(False)
    for number, more in drain(engine).items():
        events.setdefault(number, []).extend(more)
    for number, (prompt, sampling) in wanted.items():
        got = made(events.get(number, []))
        right = tiny.plain_loop(judge, prompt, sampling)
        assert got == right[: len(got)]
        assert len(got) == len(right) or number in cancelled
    no_leak(engine)


@pytest.mark.parametrize("recurrent", [False, True])
def test_ambient_work_makes_way_at_most_once_in_a_row(core: KernelStep, judge: KernelStep, recurrent: bool) -> None:
    engine = Engine(mamba.step() if recurrent else core)
    engine.submit([1, 2, 3], Sampling(max_tokens=4), priority=Priority.AMBIENT)
    engine.hurry(True)
    lost, said = 0, []
    while engine.busy:
        events = engine.step()
        lost, said = lost + (not events), said + made(events)
    assert lost == (0 if recurrent else 4), "every other step is given up, never two in a row"
    if not recurrent:
        assert said == tiny.plain_loop(judge, [1, 2, 3], Sampling(max_tokens=4))
    focus = engine.submit([5], Sampling(max_tokens=3))
    engine.submit([7], Sampling(max_tokens=6), priority=Priority.AMBIENT)
    while engine.tokens(focus):
        assert engine.step(), "what the focus has a part in is finished"
    engine.hurry(False)
    drain(engine)
    no_leak(engine)


def test_few_pages_lead_to_preemption_and_the_same_tokens(judge: KernelStep) -> None:
    config, weights = tiny.model()
    small = tiny.step(config, weights, pages=5)
    engine = Engine(small)
    prompts = [[i + 1] * 40 for i in range(4)]
    sampling = Sampling(max_tokens=30)
    numbers = [engine.submit(p, sampling) for p in prompts]
    events = drain(engine)
    for number, prompt in zip(numbers, prompts, strict=True):
        assert made(events[number]) == tiny.plain_loop(judge, prompt, sampling)
    no_leak(engine)
    small.close()


def test_a_shared_prefix_is_computed_once(core: KernelStep) -> None:
    engine = Engine(core)
    persona = list(range(90))
    first = engine.submit([*persona, 1, 2, 3], Sampling(max_tokens=2))
    drain(engine)
    second = engine.submit([*persona, 9, 9], Sampling(max_tokens=2))
    engine.step()
    reused, rows = engine.statistics(second)
    assert (reused, rows) == (90, 2), "the match ends in the middle of a page"
    assert engine.statistics(first) == (0, 0)
    drain(engine)
    no_leak(engine)


def test_pins_outlive_pressure(core: KernelStep) -> None:
    engine = Engine(core)
    persona = list(range(2 * PAGE))
    engine.submit([*persona, 1], Sampling(max_tokens=1))
    drain(engine)
    assert engine.tree.pin(persona) == 2 * PAGE
    assert engine.tree.evict(1000) < 1000
    assert engine.tree.match(persona)[1] == 2 * PAGE
    for page in engine.tree.match(persona)[0]:
        engine.pool.release(page)
        engine.pool.release(page)
    engine.tree.unpin(persona)
    engine.tree.evict(1000)
    assert engine.pool.free == engine.pool.count


def test_a_fork_goes_its_own_way_and_leaves_the_source_alone(core: KernelStep, judge: KernelStep) -> None:
    engine = Engine(core)
    prompt, sampling = list(range(40)), Sampling(max_tokens=20)
    source = engine.submit(prompt, sampling)
    first = [made(engine.step())[0] for _ in range(5)]
    hot = Sampling(max_tokens=15, temperature=1.2, seed=3)
    child = engine.fork(source, hot)
    twin = engine.fork(source, Sampling(max_tokens=15))
    assert engine.statistics(child) == (44, 0), "everything computed is shared, nothing is computed again"
    events = drain(engine)
    whole = tiny.plain_loop(judge, prompt, sampling)
    assert first + made(events[source]) == whole
    assert made(events[twin]) == whole[5:]
    assert made(events[child]) == tiny.plain_loop(judge, prompt + first, hot)
    with pytest.raises(ModelError, match="nothing to fork"):
        engine.fork(source)
    no_leak(engine)


def test_a_thousand_random_sequences_leave_nothing(core: KernelStep) -> None:
    rng = random.Random(4)
    engine = Engine(core, limits=Limits(waiting=2000))
    alive: list[int] = []
    for _ in range(1000):
        prompt = [rng.randrange(4) for _ in range(rng.randrange(1, 50))]
        alive.append(
            engine.submit(prompt, Sampling(max_tokens=rng.randrange(1, 4)), priority=Priority(rng.randrange(3)))
        )
        if rng.random() < 0.2 and engine.tokens(parent := rng.choice(alive)):
            alive.append(engine.fork(parent, Sampling(max_tokens=2), priority=Priority(rng.randrange(3))))
        if rng.random() < 0.6:
            engine.cancel(alive.pop(rng.randrange(len(alive))))
        if rng.random() < 0.3:
            engine.step()
        if rng.random() < 0.02:
            engine.tree.evict(3)
    drain(engine)
    no_leak(engine)


def test_the_focus_goes_before_ambient_and_speculation_waits(core: KernelStep) -> None:
    engine = Engine(core)
    ambient = engine.submit([1, 2], Sampling(max_tokens=50), priority=Priority.AMBIENT)
    guess = engine.submit([3, 4], Sampling(max_tokens=50), priority=Priority.SPECULATION)
    engine.step()
    focus = engine.submit(list(range(60)), Sampling(max_tokens=2), priority=Priority.FOCUS)
    first = engine.step()
    assert [e.sequence for e in first] == [focus]
    assert {e.sequence for e in engine.step()} == {focus, ambient}
    assert engine.statistics(guess)[1] == 0
    engine.cancel(ambient)
    engine.step()
    assert engine.statistics(guess)[1] > 0
    engine.cancel(guess)
    no_leak(engine)


def test_resting_drafts_take_nobody_s_place(core: KernelStep) -> None:
    """Regression: as many paused drafts as may run at once kept every new request waiting for ever."""
    engine = Engine(core, limits=Limits(running=3))
    drafts = [
        engine.submit([n, n], Sampling(max_tokens=9), priority=Priority.SPECULATION, pause=2) for n in range(1, 4)
    ]
    for _ in range(10):
        engine.step()
    assert not engine.busy
    reply = engine.submit([9, 9], Sampling(max_tokens=2))
    assert len(made(drain(engine)[reply])) == 2
    assert engine.promote(drafts[0], Priority.FOCUS)
    assert len(made(drain(engine)[drafts[0]])) == 7
    for number in drafts:
        engine.cancel(number)
    no_leak(engine)


@pytest.mark.parametrize("behind", [Priority.AMBIENT, Priority.SPECULATION])
def test_a_full_house_makes_room_for_who_goes_first(core: KernelStep, judge: KernelStep, behind: Priority) -> None:
    """Regression: with as many drafts running as may run a reply never began, and no step did anything."""
    engine = Engine(core, limits=Limits(running=2))
    sampling = Sampling(max_tokens=20)
    prompts = [list(range(1, 90)), list(range(2, 90))]
    full = [engine.submit(prompt, sampling, priority=behind) for prompt in prompts]
    engine.step()
    reply = engine.submit([5, 6, 7], Sampling(max_tokens=3))
    first = [event for _ in range(6) for event in engine.step() if event.sequence == reply]
    assert len(first) == 3
    events = drain(engine)
    for number, prompt in zip(full, prompts, strict=True):
        assert made(events[number])[-5:] == tiny.plain_loop(judge, prompt, sampling)[-5:]
    no_leak(engine)


def test_a_long_prompt_does_not_stall_others(core: KernelStep) -> None:
    engine = Engine(core, limits=Limits(chunk_rows=16))
    talking = engine.submit([1, 2], Sampling(max_tokens=40))
    engine.step()
    engine.submit([7] * 200, Sampling(max_tokens=1))
    for _ in range(10):
        assert talking in {e.sequence for e in engine.step()}
    drain(engine)
    no_leak(engine)


class Faulty:
    """A model whose step fails whenever a marked token is in the batch, or gives NaN for another."""

    def __init__(self, inner: KernelStep) -> None:
        self._inner = inner
        self.config, self.pages, self.positions = inner.config, inner.pages, inner.positions
        self.copy_page, self.close, self.hurry = inner.copy_page, inner.close, inner.hurry
        self.page_bytes = inner.page_bytes
        self.recurrent = inner.recurrent

    def forward(self, batch: Batch) -> Result:
        if (batch.tokens == 66).any():
            raise RuntimeError("kernel crash")
        result = self._inner.forward(batch)
        if result.logits is not None:
            for i, row in enumerate(batch.outputs):
                if batch.tokens[row] == 67:
                    result.logits[i] = np.nan
        return result


def test_a_crash_or_nan_takes_one_sequence_and_no_other(core: KernelStep, judge: KernelStep) -> None:
    engine = Engine(Faulty(core))
    sampling = Sampling(max_tokens=6)
    good, bad, nan = engine.submit([1, 2], sampling), engine.submit([66, 2], sampling), engine.submit([3, 67], sampling)
    events = drain(engine)
    assert made(events[good]) == tiny.plain_loop(judge, [1, 2], sampling)
    assert events[bad][-1].error == "RuntimeError: kernel crash"
    assert "finite" in (events[nan][-1].error or "")
    no_leak(engine)


class Broken:
    """A grammar with a fault of its own."""

    def mask(self) -> np.ndarray:
        raise IndexError("no such rule")

    def push(self, token: int) -> bool:
        return False


def test_an_error_in_choosing_takes_one_sequence_and_no_other(core: KernelStep, judge: KernelStep) -> None:
    """Regression: anything but a ModelError left `step`, and everybody's requests were dropped."""
    engine = Engine(core)
    sampling = Sampling(max_tokens=6)
    good, bad = engine.submit([1, 2], sampling), engine.submit([3, 4], sampling, grammar=Broken())
    events = drain(engine)
    assert made(events[good]) == tiny.plain_loop(judge, [1, 2], sampling)
    assert events[bad][-1].error == "IndexError: no such rule"
    no_leak(engine)


def test_bad_requests_are_refused_with_the_cause(core: KernelStep) -> None:
    engine = Engine(core, limits=Limits(waiting=1))
    with pytest.raises(ModelError, match="empty"):
        engine.submit([])
    with pytest.raises(ModelError, match="vocabulary of 96"):
        engine.submit([96])
    with pytest.raises(ContextOverflow, match="512"):
        engine.submit([1] * 512)
    for sampling, cause in (
        (Sampling(max_tokens=0), "max_tokens must be at least 1"),
        (Sampling(temperature=float("nan")), "temperature must be 0"),
        (Sampling(temperature=1.0, min_p=1.5), "min_p must be in"),
        (Sampling(top_p=0.0), "top_p must be in"),
        (Sampling(repetition_penalty=0.0), "repetition_penalty must be above 0"),
        (Sampling(logit_bias=((96, 1.0),)), "tokens are 0 to 95"),
        (Sampling(logit_bias=((-1, 1.0),)), "tokens are 0 to 95"),
    ):
        with pytest.raises(ModelError, match=cause):
            engine.submit([1], sampling)
    with pytest.raises(ModelError, match=r"shape \(2, 10\), the model 2 layers of 64"):
        engine.submit([1], steering=np.zeros((2, 10), np.float32))
    number = engine.submit([1])
    with pytest.raises(EngineFull):
        engine.submit([1])
    engine.cancel(number)
    engine.cancel(number)
    assert not engine.step()
    no_leak(engine)


def test_the_context_window_ends_a_reply(core: KernelStep) -> None:
    engine = Engine(core)
    number = engine.submit([1] * 500, Sampling(max_tokens=100))
    events = drain(engine)[number]
    assert len(made(events)) == 12
    assert events[-1].finish == "length"
    no_leak(engine)


def test_logprobs_are_those_of_the_softmax(core: KernelStep, judge: KernelStep) -> None:
    engine = Engine(core)
    number = engine.submit([4, 5], Sampling(max_tokens=1, logprobs=True))
    event = drain(engine)[number][0]
    row = tiny.logits(judge, [4, 5])[-1].astype(np.float64)
    assert event.logprob == pytest.approx(row.max() - np.log(np.exp(row).sum()), abs=1e-6)
    no_leak(engine)


def test_the_fallback_runs_the_same_engine() -> None:
    """Without a compiler the NumPy step serves; on float weights it agrees with the kernels token for token."""
    from npc.inference.kernels import CacheFormat
    from npc.inference.reference import ReferenceStep

    config, weights = tiny.model(Format.F32)
    slow = ReferenceStep(config, weights, pages=8, positions=512, cache=CacheFormat.F32)
    fast = tiny.step(config, weights, pages=8, cache=CacheFormat.F32)
    got = []
    for model in (slow, fast):
        engine = Engine(model)
        number = engine.submit([1, 2, 3, 4] * 10, Sampling(max_tokens=8))
        got.append(made(drain(engine)[number]))
        engine.close()
    assert got[0] == got[1]
