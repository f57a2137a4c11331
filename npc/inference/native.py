"""Our own core as a `LanguageModel`: a worker thread drives the engine, the event loop only gets tokens.

Beyond the interface it can think ahead for a session (`interface.Anticipating`): `anticipate(prompt)` prefills and
drafts at the lowest priority, and a `reply` to the same prompt continues from there.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import secrets
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from npc.inference import kernels
from npc.inference.adapters import Adapter, load_adapter
from npc.inference.checkpoint import Checkpoint
from npc.inference.config import CheckpointError, ModelConfig, read_config
from npc.inference.engine import Engine, Limits
from npc.inference.grammar import Grammars, available
from npc.inference.interface import Message, ModelError, Priority, Sampling, Speculation, Token
from npc.inference.kernels import PAGE, CacheFormat, Format
from npc.inference.listening import Listening
from npc.inference.mamba import MambaConfig, MambaStep, MambaWeights, is_mamba, load_mamba
from npc.inference.packed import NAME, read_packed
from npc.inference.reference import ReferenceStep
from npc.inference.request import Event
from npc.inference.speculate import Drafter, DraftModel, PromptLookup
from npc.inference.steering import Direction, combine, fitting
from npc.inference.step import KernelStep, Step
from npc.inference.textstream import TextStream
from npc.inference.tokenizer import TextTokenizer
from npc.inference.weights import Weights, from_tensors

log = logging.getLogger(__name__)

_TOKEN_DEADLINE_S = 60.0  # a token takes milliseconds; past this the worker is gone or the machine swaps


@dataclass(frozen=True, slots=True)
class NativeSettings:
    """How to load a model.

    `format` packs a checkpoint that is not packed yet (INT4: 4.25 bits a weight). `context` bounds a sequence and
    `cache_mib` the pages of all sequences and cached prefixes. `steering_decay` fades a direction per token. `draft`
    is the directory of a smaller model of the same vocabulary that guesses ahead; without one the prompt is looked up.
    """

    format: Format = Format.INT4
    cache: CacheFormat = CacheFormat.BF16
    context: int = 4096
    cache_mib: int = 256
    threads: int = 2
    limits: Limits = field(default_factory=Limits)
    lookup: bool = True
    draft: Path | None = None
    draft_tokens: int = 32
    steering_decay: float = 1.0


def load_weights(folder: Path, settings: NativeSettings) -> tuple[ModelConfig, Weights]:
    """A model directory's config and weights: mapped where it is packed, else packed now. Raises CheckpointError."""
    if (folder / NAME).is_file():
        config, weights, _ = read_packed(folder / NAME)
        return config, weights
    config = read_config(folder)
    log.info("packing %s to %s; npc quantize does it once for all", folder, settings.format.name)
    return config, from_tensors(
        config, Checkpoint(folder), settings.format, where=str(folder), threads=settings.threads
    )


def open_step(config: ModelConfig, weights: Weights, settings: NativeSettings) -> Step:
    """The model ready to run, on the kernels or, without a compiler, on NumPy."""
    positions = min(settings.context, config.positions)
    wide = kernels.pad(config.head_dim, 16)
    vector = {CacheFormat.F32: 4 * wide, CacheFormat.BF16: 2 * kernels.pad(wide, 32), CacheFormat.INT8: wide + 4}
    per_page = 2 * config.layers * config.kv_heads * PAGE * vector[settings.cache]
    pages = max(-(-positions // PAGE), settings.cache_mib * 2**20 // per_page)
    if kernels.load() is None:
        return ReferenceStep(config, weights, pages=pages, positions=positions, cache=settings.cache)
    return KernelStep(
        config,
        weights,
        pages=pages,
        positions=positions,
        cache=settings.cache,
        threads=settings.threads,
        max_rows=settings.limits.step_rows,
    )


def open_mamba(config: MambaConfig, weights: MambaWeights, settings: NativeSettings) -> MambaStep:
    """A state-space model ready to run: as many states as `cache_mib` holds, at least four."""
    per_state = 4 * config.layers * (config.inner * config.state + (config.kernel - 1) * config.conv)
    return MambaStep(config, weights, pages=max(4, settings.cache_mib * 2**20 // per_state))


def open_draft(folder: Path, tokenizer: TextTokenizer, vocab: int, settings: NativeSettings) -> DraftModel:
    """The model in `folder`, to guess for one with this tokenizer and vocabulary. Raises CheckpointError."""
    folder = folder.expanduser()
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such directory of a draft model")
    if is_mamba(folder):
        raise CheckpointError(f"{folder}: a state-space model cannot draft: a guess that fails must be taken back")
    config, weights = load_weights(folder, settings)
    if config.vocab != vocab or TextTokenizer(folder, config.vocab).tokens != tokenizer.tokens:
        raise CheckpointError(
            f"{folder}: the draft model has another vocabulary ({config.vocab} tokens) than the model it is to draft"
            f" for ({vocab}): take a smaller model of the same family"
        )
    return DraftModel(open_step(config, weights, settings))


class _Worker:
    """The thread that owns an engine. Work for it comes as functions; events go to whoever subscribed to a request."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.subscribers: dict[int, Callable[[Event], None]] = {}
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="npc-inference", daemon=True)
        self._thread.start()

    def post(self, work: Callable[[], None]) -> None:
        """Run `work` on the thread, between steps."""
        self._inbox.put(work)

    def hurry(self) -> None:
        """What was posted cannot wait for an ambient step."""
        self.engine.hurry(True)

    def cancelled(self, number: int | None) -> None:
        """Tell who reads a request that it was dropped for another."""
        if number is not None and (receive := self.subscribers.pop(number, None)) is not None:
            receive(Event(number, finish="cancelled"))

    def stop(self) -> None:
        """End the thread and free the engine."""
        self._inbox.put(None)
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        while True:
            # Before the look at the inbox: what is posted from here on may hurry the next step.
            self.engine.hurry(False)
            while not self._inbox.empty() or not self.engine.busy:
                work = self._inbox.get()
                if work is None:
                    self.engine.close()
                    return
                try:
                    work()
                except Exception:  # one caller's trouble (a text no tokenizer takes) must not end everybody's thread
                    log.exception("work for the inference engine failed")
            before, start = self.engine.speculative_rows, time.perf_counter()
            try:
                events = self.engine.step()
            except Exception as error:  # a bug in the engine itself: nothing it holds can be trusted to go on
                log.exception("the inference engine failed")
                events = self.engine.abort(f"{type(error).__name__}: {error}")
            rows = self.engine.speculative_rows - before
            listeners = {x.number: x for x in self.engine.listeners.values() if x.number is not None}
            for listener in listeners.values() if rows else ():
                listener.spent(rows // len(listeners), (time.perf_counter() - start) / len(listeners))
            for event in events:
                if (listening := listeners.get(event.sequence)) is not None:
                    listening.saw(event)
                if (receive := self.subscribers.get(event.sequence)) is not None:
                    receive(event)


class NativeModel:
    """A local model on our core. Use from one event loop; many streams at a time."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        tokenizer: TextTokenizer,
        settings: NativeSettings,
    ) -> None:
        self.name = name
        self.context_tokens = engine.model.positions
        self.tokenizer = tokenizer
        self.adapters: dict[str, Adapter] = {}
        self.directions: dict[str, Direction] = {}
        self._ledgers: dict[str, Speculation] = {}
        self._settings = settings
        self._config = engine.model.config
        self._grammars = Grammars(tokenizer.json, self._config.vocab, tokenizer.end)
        self.takes_grammar = available()
        """Whether `Sampling.grammar` is heeded: with llguidance installed."""
        self._worker = _Worker(engine)
        self._closed = False

    @classmethod
    def load(cls, folder: Path, settings: NativeSettings = NativeSettings()) -> NativeModel:
        """Load a model directory (Hugging Face or packed by `npc quantize`). Seconds of work: call it off the event
        loop. Raises CheckpointError."""
        folder = folder.expanduser()
        if not folder.is_dir():
            raise CheckpointError(f"{folder}: no such model directory")
        step: Step
        drafter: Drafter | None = PromptLookup() if settings.lookup else None
        if is_mamba(folder):
            if settings.draft is not None:
                raise CheckpointError(f"{folder}: a state-space model takes no draft model")
            recurrent, states = load_mamba(folder, settings.format, settings.threads)
            tokenizer = TextTokenizer(folder, recurrent.vocab, recurrent.end_tokens)
            step = open_mamba(recurrent, states, settings)
        else:
            config, weights = load_weights(folder, settings)
            tokenizer = TextTokenizer(folder, config.vocab, config.end_tokens)
            if settings.draft is not None:
                drafter = open_draft(settings.draft, tokenizer, config.vocab, settings)
            step = open_step(config, weights, settings)
        engine = Engine(step, limits=settings.limits, drafter=drafter, seeds=lambda: secrets.randbits(63))
        return cls(folder.name, engine, tokenizer, settings)

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load a LoRA adapter (PEFT folder) under a name that `Sampling.adapter` may give."""
        if not isinstance(self._config, ModelConfig):
            raise CheckpointError(f"{folder}: adapters are for transformers, and {self.name} is a state-space model")
        self.adapters[name] = load_adapter(folder, self._config, name)

    def add_direction(self, direction: Direction) -> None:
        """Make a steering direction known to `Sampling.steering`. Raises CheckpointError for one of another model."""
        fitting(direction, self._config)
        self.directions[direction.name] = direction

    def _submitter(self, sampling: Sampling) -> Callable[..., int]:
        """The engine's `submit` with everything these parameters need. Raises ModelError on unknown names."""
        adapter = None
        if sampling.adapter is not None:
            adapter = self.adapters.get(sampling.adapter)
            if adapter is None:
                raise ModelError(f"no adapter {sampling.adapter!r}; there are: {', '.join(self.adapters) or 'none'}")
        steering = combine(sampling.steering, self.directions)

        def submit(tokens: list[int], sampling: Sampling, **more: object) -> int:
            return self._worker.engine.submit(
                tokens,
                sampling,
                end_tokens=self.tokenizer.ends,
                text=TextStream(self.tokenizer.decode, sampling.stop),
                grammar=self._grammars.of(sampling.json_schema, sampling.grammar),
                adapter=adapter,
                steering=steering,
                steering_decay=self._settings.steering_decay,
                **more,  # type: ignore[arg-type]
            )

        return submit

    def stream(
        self,
        prompt: tuple[Message, ...],
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        *,
        priority: Priority = Priority.FOCUS,
    ) -> AsyncIterator[Token]:
        """Generate; see LanguageModel."""
        submit = self._submitter(sampling)

        def start() -> tuple[int, list[Event]]:
            return submit(self.tokenizer.prompt(prompt), sampling, priority=priority), []

        return self._tokens(start, None, hurry=priority is Priority.FOCUS)

    def reply(
        self, prompt: tuple[Message, ...], sampling: Sampling, session: str, *, tentative: bool = False
    ) -> AsyncIterator[Token]:
        """See Anticipating."""
        submit = self._submitter(sampling)

        def start() -> tuple[int, list[Event]]:
            tokens, listening = self.tokenizer.prompt(prompt), self._listen(session)
            if tentative:
                self._worker.cancelled(listening.update(tokens, sampling, submit, tentative=True))
                assert listening.number is not None
                return listening.number, list(listening.events)
            number, early = listening.number, list(listening.events)
            taken = listening.exactly(tokens, sampling)
            self._close_turn(session, listening.decide(tokens, sampling))
            if taken and number is not None:
                return number, early
            self._worker.cancelled(number)
            return submit(tokens, sampling, priority=Priority.FOCUS), []

        return self._tokens(start, session, hurry=not tentative)

    async def _tokens(
        self, start: Callable[[], tuple[int, list[Event]]], session: str | None, *, hurry: bool
    ) -> AsyncGenerator[Token, None]:
        """Run `start` on the worker (the request's number and its events so far) and yield what comes of it; with
        `hurry` ambient work makes way at once."""
        if self._closed:
            raise ModelError(f"model {self.name} is closed")
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | ModelError] = asyncio.Queue()  # holds at most max_tokens events
        number: list[int] = []

        def deliver(event: Event | ModelError) -> None:
            try:
                loop.call_soon_threadsafe(events.put_nowait, event)
            except RuntimeError:  # the loop is closed: nobody listens any more
                self._worker.post(lambda: self._release(number, session, deliver))

        def begin() -> None:
            try:
                found, early = start()
                self._worker.cancelled(found)  # a draft has one reader: whoever asks for it last
                number.append(found)
                for event in early:
                    deliver(event)
                self._worker.subscribers[found] = deliver
            except ModelError as error:
                deliver(error)
            except Exception as error:
                deliver(ModelError(f"{type(error).__name__}: {error}"))

        self._worker.post(begin)
        if hurry:
            self._worker.hurry()
        silent: float | None = None  # log-probability of tokens whose text is still held back
        try:
            while True:
                try:
                    event = await asyncio.wait_for(events.get(), _TOKEN_DEADLINE_S)
                except TimeoutError:
                    raise ModelError(f"model {self.name} gave no token for {_TOKEN_DEADLINE_S:.0f} s") from None
                if isinstance(event, ModelError):
                    raise event
                if event.error is not None:
                    raise ModelError(event.error)
                if event.logprob is not None:
                    silent = event.logprob + (silent or 0.0)
                if event.text or event.finish:
                    yield Token(event.text, silent, event.finish)
                    silent = None
                if event.finish:
                    return
        finally:
            self._worker.post(lambda: self._release(number, session, deliver))

    def _release(self, number: list[int], session: str | None, reader: Callable[[Event], None]) -> None:
        """On the worker: the reader is gone. A draft that ran to its end stays with its listener until the turn is
        decided; one that was left before is given up; one that another reads by now is that one's."""
        engine, subscribers = self._worker.engine, self._worker.subscribers
        for n in number:
            if subscribers.get(n, reader) is not reader:
                continue
            subscribers.pop(n, None)
            listening = engine.listeners.get(session) if session is not None else None
            if listening is not None and listening.number == n:
                if not (listening.events and listening.events[-1].finish):
                    listening.give_up(n)
            else:
                engine.cancel(n)

    def _listen(self, session: str) -> Listening:
        engine = self._worker.engine
        before = {listening.number for listening in engine.listeners.values()}
        found = engine.listen(session, self._settings.draft_tokens)
        for dropped in before - {listening.number for listening in engine.listeners.values()}:
            self._worker.cancelled(dropped)  # the session that was silent longest made room
        return found

    def _close_turn(self, session: str, ledger: Speculation) -> None:
        self._ledgers[session] = ledger
        while len(self._ledgers) > self._settings.limits.running:
            del self._ledgers[next(iter(self._ledgers))]

    def anticipate(self, prompt: tuple[Message, ...], sampling: Sampling, session: str) -> None:
        """See Anticipating. Errors are left to the `reply` that follows."""

        def work() -> None:
            try:
                given_up = self._listen(session).update(
                    self.tokenizer.prompt(prompt), sampling, self._submitter(sampling)
                )
                self._worker.cancelled(given_up)
            except ModelError as error:
                log.debug("not anticipating: %s", error)

        if not self._closed:
            self._worker.post(work)

    def decided(self, session: str) -> None:
        """See Anticipating."""

        def work() -> None:
            if (listening := self._worker.engine.listeners.get(session)) is not None:
                if listening.number is not None and listening.number not in self._worker.subscribers:
                    listening.give_up(listening.number)  # drafted, but something else is the answer
                self._close_turn(session, listening.decide())

        if not self._closed:
            self._worker.post(work)

    def speculation(self, session: str) -> Speculation | None:
        """See Anticipating."""
        return self._ledgers.pop(session, None)

    def forget(self, session: str) -> None:
        """See Anticipating."""

        def work() -> None:
            if (listening := self._worker.engine.listeners.get(session)) is not None:
                self._worker.cancelled(listening.number)
                self._worker.engine.unlisten(session)

        if not self._closed:
            self._worker.post(work)

    async def close(self) -> None:
        """Stop the worker and free weights and cache."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._worker.stop)
