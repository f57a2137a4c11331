"""Our own core as a `LanguageModel`: a worker thread drives the engine, the event loop only gets tokens.

Beyond the interface it can think ahead: `anticipate(prompt)` prefills and drafts at the lowest priority, and a `stream`
of the same prompt continues from there. Callers who cannot know whether a model does so test for `Anticipating`.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from npc.inference import kernels
from npc.inference.adapters import Adapter, load_adapter
from npc.inference.checkpoint import Checkpoint
from npc.inference.config import CheckpointError, ModelConfig, read_config
from npc.inference.engine import Engine, Event, Limits, Priority
from npc.inference.grammar import Grammars
from npc.inference.interface import Message, ModelError, Sampling, Token
from npc.inference.kernels import PAGE, CacheFormat, Format
from npc.inference.listening import Listening, Speculation
from npc.inference.packed import NAME, read_packed
from npc.inference.reference import ReferenceStep
from npc.inference.speculate import PromptLookup
from npc.inference.steering import Direction, combine
from npc.inference.step import KernelStep, Step
from npc.inference.textstream import TextStream
from npc.inference.tokenizer import TextTokenizer
from npc.inference.weights import Weights, from_tensors

log = logging.getLogger(__name__)

_TOKEN_DEADLINE_S = 60.0  # a token takes milliseconds; past this the worker is gone or the machine swaps


@runtime_checkable
class Anticipating(Protocol):
    """A model that can work on a prompt before it is final."""

    def anticipate(self, prompt: tuple[Message, ...], sampling: Sampling, session: str) -> None:
        """Prefill and draft; replaces what was anticipated for the session before. Returns at once."""

    def forget(self, session: str) -> None:
        """Stop anticipating for the session."""


@dataclass(frozen=True, slots=True)
class NativeSettings:
    """How to load a model.

    `format` packs a checkpoint that is not packed yet (INT4: 4.25 bits a weight). `context` bounds a sequence and
    `cache_mib` the pages of all sequences and cached prefixes. `steering_decay` fades a direction per token.
    """

    format: Format = Format.INT4
    cache: CacheFormat = CacheFormat.F16
    context: int = 4096
    cache_mib: int = 256
    threads: int = 2
    limits: Limits = field(default_factory=Limits)
    lookup: bool = True
    draft_tokens: int = 24
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
    per_page = 2 * config.layers * config.kv_heads * PAGE * kernels.pad(config.head_dim, 16) * 2
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


class _Worker:
    """The thread that owns an engine. Work for it comes as functions; events go to whoever subscribed to a request."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.listeners: dict[str, Listening] = {}
        self.subscribers: dict[int, Callable[[Event], None]] = {}
        self.early: dict[int, list[Event]] = {}
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="npc-inference", daemon=True)
        self._thread.start()

    def post(self, work: Callable[[], None]) -> None:
        """Run `work` on the thread, between steps."""
        self._inbox.put(work)

    def drafted(self, number: int) -> bool:
        """Whether a listener still holds this request."""
        return any(listener.number == number for listener in self.listeners.values())

    def stop(self) -> None:
        """End the thread and free the engine."""
        self._inbox.put(None)
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        while True:
            while not self._inbox.empty() or not self.engine.busy:
                work = self._inbox.get()
                if work is None:
                    self.engine.close()
                    return
                work()
            before, start = self.engine.speculative_rows, time.perf_counter()
            try:
                events = self.engine.step()
            except Exception as error:  # a bug in the engine itself: nothing it holds can be trusted to go on
                log.exception("the inference engine failed")
                events = self.engine.abort(f"{type(error).__name__}: {error}")
            rows = self.engine.speculative_rows - before
            drafting = [listener for listener in self.listeners.values() if listener.number is not None]
            for listener in drafting if rows else ():
                listener.spent(rows // len(drafting), (time.perf_counter() - start) / len(drafting))
            for event in events:
                if (receive := self.subscribers.get(event.sequence)) is not None:
                    receive(event)
                elif event.sequence in self.early:
                    self.early[event.sequence].append(event)


class NativeModel:
    """A local model on our core. Use from one event loop; many streams at a time."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        tokenizer: TextTokenizer,
        settings: NativeSettings,
        on_speculation: Callable[[str, Speculation], None] = lambda session, ledger: None,
    ) -> None:
        """`on_speculation` gets (session, ledger) of each anticipated turn, on the worker thread."""
        self.name = name
        self.context_tokens = engine.model.positions
        self.tokenizer = tokenizer
        self.adapters: dict[str, Adapter] = {}
        self.directions: dict[str, Direction] = {}
        self.on_speculation = on_speculation
        self._settings = settings
        self._config = engine.model.config
        self._grammars = Grammars(tokenizer.json, self._config.vocab, tokenizer.end)
        self._worker = _Worker(engine)
        self._closed = False

    @classmethod
    def load(cls, folder: Path, settings: NativeSettings = NativeSettings()) -> NativeModel:
        """Load a model directory (Hugging Face or packed by `npc quantize`). Seconds of work: call it off the event
        loop. Raises CheckpointError."""
        folder = folder.expanduser()
        if not folder.is_dir():
            raise CheckpointError(f"{folder}: no such model directory")
        config, weights = load_weights(folder, settings)
        tokenizer = TextTokenizer(folder, config.vocab, config.end_tokens)
        step = open_step(config, weights, settings)
        drafter = PromptLookup() if settings.lookup else None
        engine = Engine(step, limits=settings.limits, drafter=drafter, seeds=lambda: secrets.randbits(63))
        return cls(folder.name, engine, tokenizer, settings)

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load a LoRA adapter (PEFT folder) under a name that `Sampling.adapter` may give."""
        self.adapters[name] = load_adapter(folder, self._config)

    def add_direction(self, direction: Direction) -> None:
        """Make a steering direction known to `Sampling.steering`."""
        shape = (self._config.layers, self._config.hidden)
        if direction.vectors.shape != shape:
            raise CheckpointError(
                f"direction {direction.name!r} has shape {direction.vectors.shape}, the model {shape}"
            )
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
                grammar=self._grammars.schema(sampling.json_schema) if sampling.json_schema else None,
                adapter=adapter,
                steering=steering,
                steering_decay=self._settings.steering_decay,
                **more,  # type: ignore[arg-type]
            )

        return submit

    async def stream(
        self,
        prompt: tuple[Message, ...],
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        *,
        priority: Priority = Priority.FOCUS,
    ) -> AsyncIterator[Token]:
        """Generate; see LanguageModel. A draft of the same prompt (see `anticipate`) becomes the reply."""
        if self._closed:
            raise ModelError(f"model {self.name} is closed")
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | ModelError] = asyncio.Queue()  # holds at most max_tokens events
        submit = self._submitter(sampling)
        number: list[int] = []

        def deliver(event: Event | ModelError) -> None:
            try:
                loop.call_soon_threadsafe(events.put_nowait, event)
            except RuntimeError:  # the loop is closed: nobody listens any more
                if number:
                    self._worker.post(lambda: self._worker.engine.cancel(number[0]))

        def start() -> None:
            worker = self._worker
            try:
                tokens = self.tokenizer.prompt(prompt)
                adopted = self._adopt(tokens, sampling)
                number.append(submit(tokens, sampling, priority=priority) if adopted is None else adopted)
                for early in worker.early.pop(number[0], ()):
                    deliver(early)
                worker.subscribers[number[0]] = deliver
            except ModelError as error:
                deliver(error)
            except Exception as error:
                deliver(ModelError(f"{type(error).__name__}: {error}"))

        self._worker.post(start)
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
                if event.text or event.finish:
                    yield Token(event.text, event.logprob, event.finish)
                if event.finish:
                    return
        finally:
            self._worker.post(lambda: self._release(number))

    def _release(self, number: list[int]) -> None:
        for n in number:
            self._worker.subscribers.pop(n, None)
            self._worker.engine.cancel(n)

    def _adopt(self, tokens: list[int], sampling: Sampling) -> int | None:
        """On the worker: the draft of this very prompt, now the reply; None where there is none."""
        for session, listener in list(self._worker.listeners.items()):
            if listener.wants(tokens, sampling):
                del self._worker.listeners[session]
                draft = listener.number if listener.exactly(tokens, sampling) else None
                early = self._worker.early
                number, ledger = listener.commit(tokens, sampling)
                if draft is not None and number is None and early.get(draft) and early[draft][-1].finish:
                    number = draft  # it came to its own end while the player spoke
                for stale in [n for n in early if n != number and not self._worker.drafted(n)]:
                    del early[stale]
                self.on_speculation(session, ledger)
                return number
        return None

    def anticipate(self, prompt: tuple[Message, ...], sampling: Sampling, session: str) -> None:
        """See Anticipating. Errors are left to the `stream` that follows."""

        def work() -> None:
            worker = self._worker
            listener = worker.listeners.setdefault(session, Listening(worker.engine, self._settings.draft_tokens))
            if len(worker.listeners) > self._settings.limits.running:  # the oldest session has been silent longest
                oldest = next(iter(worker.listeners))
                worker.listeners.pop(oldest).discard()
            before = listener.number
            try:
                started = listener.update(self.tokenizer.prompt(prompt), sampling, self._submitter(sampling))
            except ModelError as error:
                log.debug("not anticipating: %s", error)
                return
            if started and before is not None:
                worker.early.pop(before, None)
            if started and listener.number is not None:
                worker.early[listener.number] = []

        if not self._closed:
            self._worker.post(work)

    def forget(self, session: str) -> None:
        """See Anticipating."""

        def work() -> None:
            if (listener := self._worker.listeners.pop(session, None)) is not None:
                if listener.number is not None:
                    self._worker.early.pop(listener.number, None)
                listener.discard()

        if not self._closed:
            self._worker.post(work)

    async def close(self) -> None:
        """Stop the worker and free weights and cache."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._worker.stop)
