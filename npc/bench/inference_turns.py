"""The waits of a conversation on the real engine, in simulated time: steps take what they took, speech takes none.

    words      "what" ─ "what does" ─ ... ─ final ──────── decided        one word every 0.36 s, decision 0.4 s later
    without    ...................................... prompt ─ first token
    with       prefill, draft, roll back, draft ..... (what still runs) ─ first token, mostly there already

A partial comes 0.2 s after its word; one in four is wrong in its last word and put right by the next one, and one in
five final texts differs from the last partial. New data (retrieved facts) comes with every third word.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np

from npc.inference.engine import Engine
from npc.inference.interface import Priority, Sampling
from npc.inference.request import Event
from npc.inference.step import Step

#: 2.8 words a second is ordinary talk; 0.4 s is the median wait of the end-of-turn decision here (docs/log.md).
WORD_S, LATE_S, DECISION_S = 0.36, 0.2, 0.4
TOKENS_A_WORD: Final = 1.4
REPLY: Final = Sampling(max_tokens=40)
_FOREVER: Final = 1e9


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of persona and rules, of the talk so far, of a turn's retrieved data, of what stands behind the words; and
    the words of a turn."""

    persona: int = 400
    talk: int = 100
    data: int = 120
    tail: int = 24
    words: int = 10


SIZES: Final = Sizes()


class _Turns:
    """Random turns of one session: prompts as they grow."""

    def __init__(self, vocab: int, seed: int, sizes: Sizes) -> None:
        self._sizes = sizes
        self._rng = np.random.default_rng(seed)
        self._vocab = min(vocab, 40_000)
        self.base = self.tokens(sizes.persona + sizes.talk)
        self.tail = self.tokens(sizes.tail)

    def tokens(self, count: int) -> list[int]:
        return [int(t) for t in self._rng.integers(2, self._vocab, count)]

    def partials(self) -> tuple[list[list[int]], list[int]]:
        """Prompts at each partial, and the final one."""
        words = [self.tokens(1 + int(self._rng.random() < TOKENS_A_WORD - 1)) for _ in range(self._sizes.words)]
        data = [self.tokens(self._sizes.data // 4) for _ in range(4)]
        found: list[list[int]] = []
        for n in range(1, self._sizes.words + 1):
            if n % 3 == 0:
                data[int(self._rng.integers(1, 4))] = self.tokens(self._sizes.data // 4)
            heard = words[:n]
            if n < self._sizes.words and self._rng.random() < 0.25:
                heard = [*words[: n - 1], self.tokens(1)]
            found.append(self._prompt(data, heard))
        if self._rng.random() < 0.2:
            words[-1] = self.tokens(1)
        return found, self._prompt(data, words)

    def _prompt(self, data: list[list[int]], words: list[list[int]]) -> list[int]:
        return [*self.base, *chain.from_iterable(data), *chain.from_iterable(words), *self.tail]


def _until(engine: Engine, done: Callable[[list[Event]], bool], budget: float) -> float:
    """Step until `done`, nothing is left, or `budget` seconds are spent; seconds it took."""
    spent = 0.0
    while engine.busy and spent < budget:
        start = time.perf_counter()
        events = engine.step()
        spent += time.perf_counter() - start
        if done(events):
            break
    return spent


def _first(number: int) -> Callable[[list[Event]], bool]:
    return lambda events: any(e.sequence == number and e.token is not None for e in events)


def _cold_turn(engine: Engine, prompt: list[int]) -> float:
    """Persona and talk are cached, the turn is not: seconds to the first token."""
    number = engine.submit(prompt, REPLY)
    spent = _until(engine, _first(number), _FOREVER)
    engine.cancel(number)
    return spent


def _heard_turn(engine: Engine, partials: list[list[int]], final: list[int]) -> tuple[float, Any]:
    """Seconds from the decision to the first token, and the ledger."""
    listening = engine.listen("bench")
    late = 0.0
    for i, prompt in enumerate(partials):
        # the last partial comes into a pause, where the loop asks for a tentative reply
        listening.update(prompt, REPLY, engine.submit, tentative=i + 1 == len(partials))
        until_next = WORD_S if i + 1 < len(partials) else DECISION_S - LATE_S

        def note(events: list[Event]) -> bool:
            for event in events:
                if event.sequence == listening.number:
                    listening.saw(event)
            return False

        before, spent = engine.speculative_rows, late
        spent += _until(engine, note, until_next - late)
        listening.spent(engine.speculative_rows - before, spent - late)
        late = max(0.0, spent - until_next)  # a step in progress is waited for
    number, has_token = listening.number, any(e.token is not None for e in listening.events)
    exact = listening.exactly(final, REPLY)
    ledger = listening.decide(final, REPLY)
    wait = late
    if not exact or number is None:
        number, has_token = engine.submit(final, REPLY), False
    if not has_token:
        wait += _until(engine, _first(number), _FOREVER)
    engine.cancel(number)
    return wait, ledger


def measure_listening(step: Step, turns: int = 12, seed: int = 11, sizes: Sizes = SIZES) -> dict[str, float]:
    """Median wait for the first token after the turn was decided, with and without thinking while listening."""
    engine = Engine(step)
    made = _Turns(step.config.vocab, seed, sizes)
    warm = engine.submit(made.base, Sampling(max_tokens=1))
    _until(engine, lambda events: False, _FOREVER)
    engine.cancel(warm)
    number = engine.submit(made.base, Sampling(max_tokens=25))
    _until(engine, _first(number), _FOREVER)
    decode = _until(engine, lambda events: False, _FOREVER) / 24
    without, heard, ledgers = [], [], []
    for _ in range(turns):
        partials, final = made.partials()
        without.append(_cold_turn(engine, [*final[:-1], *made.tokens(1)]))  # last token changed: not cached by this
        partials, final = made.partials()
        wait, ledger = _heard_turn(engine, partials, final)
        heard.append(wait)
        ledgers.append(ledger)
    engine.cancel(number)
    for session in list(engine.listeners):
        engine.unlisten(session)
    engine.tree.clear()
    before, after = float(np.median(without)), float(np.median(heard))
    return {
        "decode_step_ms": round(1000 * decode, 2),
        "wait_without_ms": round(1000 * before, 2),
        "wait_with_ms": round(1000 * after, 2),
        "wait_with_p95_ms": round(1000 * float(np.percentile(heard, 95)), 2),
        "lower_pct": round(100 * (1 - after / before), 1),
        "won_ms_a_turn": round(1000 * float(np.mean([x.won_s for x in ledgers])), 1),
        "tokens_wasted_a_turn": round(float(np.mean([x.rows_wasted for x in ledgers])), 1),
        "tokens_kept_a_turn": round(float(np.mean([x.rows_kept for x in ledgers])), 1),
    }


def _come_into_a_step(engine: Engine, after: float) -> float | None:
    """Run a step; `after` seconds from its beginning somebody of focus priority comes. Seconds he waits for its end,
    None where it was over by then."""
    came: list[float] = []

    def come() -> None:
        came.append(time.perf_counter())
        engine.hurry(True)

    timer = threading.Timer(after, come)
    timer.start()
    engine.step()
    over = time.perf_counter()
    timer.cancel()
    timer.join()
    engine.hurry(False)
    return over - came[0] if came and came[0] < over else None


def measure_focus(step: Step, turns: int = 20, seed: int = 12, sizes: Sizes = SIZES) -> dict[str, float]:
    """The focus session's time to the first token (persona and talk cached, the turn new) alone, and while four ambient
    sessions generate; the request comes at a random moment of the step that runs, from another thread."""
    engine = Engine(step)
    made = _Turns(step.config.vocab, seed, sizes)
    rng = np.random.default_rng(seed)

    def request() -> list[int]:
        return [*made.base, *made.tokens(sizes.data + int(sizes.words * TOKENS_A_WORD)), *made.tail]

    engine.submit(made.base, Sampling(max_tokens=1))
    _until(engine, lambda events: False, _FOREVER)
    alone, beside, waited = [], [], []
    ambient = Sampling(max_tokens=200)
    for _ in range(turns):
        alone.append(_cold_turn(engine, request()))
        others = [engine.submit(made.tokens(40), ambient, priority=Priority.AMBIENT) for _ in range(4)]
        for _ in range(6):  # they have read their prompts and generate
            start = time.perf_counter()
            engine.step()
            running = time.perf_counter() - start
        wait = None
        while wait is None:
            wait = _come_into_a_step(engine, rng.random() * running)
        waited.append(wait)
        beside.append(wait + _cold_turn(engine, request()))
        for number in others:
            engine.cancel(number)
    engine.tree.clear()
    quiet, busy = float(np.percentile(alone, 95)), float(np.percentile(beside, 95))
    return {
        "alone_p50_ms": round(1000 * float(np.median(alone)), 1),
        "alone_p95_ms": round(1000 * quiet, 1),
        "four_ambient_p50_ms": round(1000 * float(np.median(beside)), 1),
        "four_ambient_p95_ms": round(1000 * busy, 1),
        "step_ms": round(1000 * running, 1),
        "waited_for_step_p95_ms": round(1000 * float(np.percentile(waited, 95)), 1),
        "p95_growth_pct": round(100 * (busy / quiet - 1), 1),
    }
