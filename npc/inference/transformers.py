"""A causal language model from a local directory through `transformers`; torch is imported only when one is loaded.

    caller (event loop)            worker thread
    stream() ── submit ──────────> a step a token ── texts, max_tokens at most ──> queue of the loop ──> stream()
       close ── stop flag ───────> no step more; one that waits for its turn is taken out

Nothing is fetched: a name that is no directory is an error that says so. One generation at a time per model, others
wait their turn, because two on the same cores are slower than one after the other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from npc.inference.interface import Message, ModelError, Sampling, Token
from npc.inference.tokenizer import control_marks

_PLAIN = Sampling()
_Piece = Token | BaseException | None


class TransformersModel:
    """A `LanguageModel` over a directory with config, weights and tokenizer, as `save_pretrained` writes it. `device`
    is one of torch's, or "auto": the GPU where torch can use one."""

    def __init__(self, directory: Path, *, device: str = "auto", dtype: str = "auto") -> None:
        if not (directory / "config.json").is_file():
            raise ModelError(f"{directory} is no model directory (config.json is missing): name a local directory")
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise ModelError("torch and transformers are not installed: pip install 'npc[local]'") from error
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(directory, local_files_only=True)
            loaded: Any = AutoModelForCausalLM.from_pretrained(directory, local_files_only=True, dtype=dtype)
        except (OSError, ValueError) as error:
            raise ModelError(f"{directory} cannot be loaded: {str(error).splitlines()[0]}") from error
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._torch: Any = torch
        self._model: Any = loaded.to(device).eval()
        self._device = device
        self.name = f"transformers:{directory.name}"
        self.context_tokens = int(getattr(self._model.config, "max_position_embeddings", 2048))
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="transformers")

    async def stream(self, prompt: tuple[Message, ...], sampling: Sampling = _PLAIN) -> AsyncIterator[Token]:
        """See `LanguageModel.stream`. A prompt longer than the context loses its oldest middle messages."""
        if sampling.json_schema is not None:
            raise ModelError(f"{self.name} cannot hold its output to a JSON Schema: use a server that can")
        pieces: asyncio.Queue[_Piece] = asyncio.Queue()
        stop = threading.Event()
        loop = asyncio.get_running_loop()

        def give(piece: _Piece) -> None:
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            except RuntimeError:  # the loop is closed: nobody listens any more
                stop.set()

        try:
            work = self._worker.submit(self._generate, prompt, sampling, give, stop)
        except RuntimeError:
            raise ModelError(f"{self.name} is closed") from None
        try:
            while True:
                piece = await pieces.get()
                if piece is None:
                    return
                if isinstance(piece, BaseException):
                    raise ModelError(f"{self.name} failed: {piece}") from piece
                yield piece
        finally:
            stop.set()
            if not work.cancel():
                await asyncio.shield(asyncio.wait([asyncio.wrap_future(work)]))

    async def close(self) -> None:
        await asyncio.to_thread(self._worker.shutdown, wait=True, cancel_futures=True)
        self._model = None

    def _generate(
        self, prompt: tuple[Message, ...], sampling: Sampling, give: Callable[[_Piece], None], stop: threading.Event
    ) -> None:
        try:
            for token in self._tokens(prompt, sampling, stop):
                give(token)
            give(None)
        except Exception as error:
            give(error)

    def _tokens(self, prompt: tuple[Message, ...], sampling: Sampling, stop: threading.Event) -> Iterator[Token]:
        """Step by step with the model's own cache; text comes out when its bytes are whole."""
        torch = self._torch
        ids = self._encode(prompt, self.context_tokens - sampling.max_tokens)
        chooser = _Chooser(torch, sampling, self._device)
        end = self._ends()
        made: list[int] = []
        text, shown, cache, silent = "", 0, None, 0.0
        finish: Literal["stop", "length", "cancelled"] = "length"
        step = torch.tensor([ids], device=self._device)
        with torch.inference_mode():
            for _ in range(sampling.max_tokens):
                if stop.is_set():
                    finish = "cancelled"
                    break
                out = self._model(input_ids=step, past_key_values=cache, use_cache=True)
                cache = out.past_key_values
                token, logprob = chooser.choose(out.logits[0, -1].float(), [*ids, *made])
                silent += logprob
                if token in end:
                    finish = "stop"
                    break
                made.append(token)
                text = self._tokenizer.decode(made, skip_special_tokens=True)
                cut = _stop_at(text, sampling.stop)
                if cut is not None:
                    if cut > shown:
                        yield Token(text[shown:cut], silent)
                        silent = 0.0
                    shown, finish = len(text), "stop"
                    break
                # A half-decoded character, or the beginning of a stop string, waits for what follows.
                safe = len(text) - _held_back(text, sampling.stop)
                if safe > shown and not text.endswith("\ufffd"):
                    yield Token(text[shown:safe], silent)
                    shown, silent = safe, 0.0
                step = torch.tensor([[token]], device=self._device)
        if finish != "cancelled" and shown < len(text):
            yield Token(text[shown:], silent)
            silent = 0.0
        yield Token("", silent or None, finish)

    def _encode(self, prompt: tuple[Message, ...], room: int) -> list[int]:
        messages = list(prompt)
        while True:
            ids = self._ids(messages)
            if len(ids) <= room:
                return ids
            if len(messages) <= 2:
                if room <= 0:
                    raise ModelError(f"max_tokens leaves no room in the context of {self.context_tokens} tokens")
                return ids[-room:]
            # The system message first and the last turn last stay; the oldest talk goes.
            del messages[1]

    def _ids(self, messages: list[Message]) -> list[int]:
        marks = control_marks(self._tokenizer.all_special_tokens)
        messages = [Message(message.role, marks.sub("", message.content)) for message in messages]
        if getattr(self._tokenizer, "chat_template", None):
            chat = [{"role": message.role, "content": message.content} for message in messages]
            text = self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
            return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        text = "".join(f"{message.role}: {message.content}\n" for message in messages) + "assistant:"
        return list(self._tokenizer(text)["input_ids"])

    def _ends(self) -> frozenset[int]:
        given = getattr(self._model.generation_config, "eos_token_id", None)
        if given is None:
            given = self._tokenizer.eos_token_id
        return frozenset([given] if isinstance(given, int) else given or [])


class _Chooser:
    """Sampling from logits as `Sampling` says; greedy at temperature 0."""

    def __init__(self, torch: Any, sampling: Sampling, device: str) -> None:
        self._torch, self._sampling = torch, sampling
        self._random = torch.Generator(device=device)
        if sampling.seed is not None:
            self._random.manual_seed(sampling.seed)
        else:
            self._random.seed()

    def choose(self, logits: Any, seen: list[int]) -> tuple[int, float]:
        torch, s = self._torch, self._sampling
        if s.repetition_penalty != 1.0 and seen:
            ids = torch.tensor(sorted(set(seen)), device=logits.device)
            values = logits[ids]
            logits[ids] = torch.where(values > 0, values / s.repetition_penalty, values * s.repetition_penalty)
        scores = torch.log_softmax(logits, -1)
        if s.temperature <= 0:
            token = int(scores.argmax())
            return token, float(scores[token])
        odds = torch.softmax(logits / s.temperature, -1)
        if s.top_k > 0:
            kept = odds.topk(min(s.top_k, len(odds))).values[-1]
            odds = odds * (odds >= kept)
        if s.min_p > 0:
            odds = odds * (odds >= s.min_p * odds.max())
        if s.top_p < 1.0:
            ranked, order = odds.sort(descending=True)
            before = ranked.cumsum(0) - ranked
            odds[order[before >= s.top_p * ranked.sum()]] = 0.0
        token = int(torch.multinomial(odds / odds.sum(), 1, generator=self._random))
        return token, float(scores[token])


def _stop_at(text: str, stops: tuple[str, ...]) -> int | None:
    places = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return min(places, default=None)


def _held_back(text: str, stops: tuple[str, ...]) -> int:
    """Length of the longest end of the text that begins a stop string."""
    return max(
        (size for stop in stops for size in range(1, min(len(stop), len(text) + 1)) if text.endswith(stop[:size])),
        default=0,
    )
