"""The trained dialogue model on our inference core: a prompt and a grammar in, tokens out.

Shipped in `npc/dialogue/models/mind` (INT8 when loaded, 4 MB). One engine serves every session of the process; calls
come from worker threads and take turns, a reply being some milliseconds of one core. Prompts that begin alike share
what is computed of them.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from npc.dialogue.realiser.grammar import ReferenceGrammar, Vocabulary
from npc.inference import kernels
from npc.inference.adapters import Adapter, load_adapter
from npc.inference.config import CheckpointError
from npc.inference.engine import Engine, Limits
from npc.inference.interface import ModelError, Sampling
from npc.inference.kernels import Format
from npc.inference.native import NativeSettings, load_weights, open_step

log = logging.getLogger(__name__)

#: Tokens of a reply at most; 25 words are about 35.
MOST_TOKENS = 56
#: Chosen on the held-out phrasings (docs/log.md): livelier than greedy, and still on the subject.
TEMPERATURE, TOP_P = 0.7, 0.9


def model_folder() -> Path:
    """Where the shipped weights lie."""
    return Path(str(files("npc.dialogue") / "models" / "mind"))


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Whether the dialogue model can be used, and which it is or why not."""

    available: bool
    detail: str


def model_status(folder: Path | None = None) -> ModelStatus:
    """Look without loading."""
    folder = folder or model_folder()
    try:
        card = json.loads((folder / "card.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        return ModelStatus(False, f"no dialogue model in {folder.name}: {type(error).__name__}")
    size = (folder / "model.safetensors").stat().st_size if (folder / "model.safetensors").is_file() else 0
    if not size:
        return ModelStatus(False, f"{folder.name}: model.safetensors is missing")
    if kernels.load() is None:
        return ModelStatus(False, "no compiled kernels here: on NumPy a reply would take seconds")
    return ModelStatus(True, f"{card['parameters'] / 1e6:.1f} M parameters, {card['tokens'] / 1e6:.1f} M tokens seen, "
                             f"{size / 1e6:.1f} MB")  # fmt: skip


class DialogueModel:
    """Weights, tokenizer and engine of the dialogue model. Safe to call from any thread."""

    def __init__(self, folder: Path, *, format: Format = Format.INT8) -> None:
        """Load (some 50 ms). Raises CheckpointError naming file and cause."""
        settings = NativeSettings(
            format=format, context=256, cache_mib=6, threads=1, lookup=False, limits=Limits(running=4)
        )
        config, weights = load_weights(folder, settings)
        try:
            self.tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self.vocabulary = Vocabulary(self.tokenizer, config.vocab)
            self.words = frozenset((folder / "words.txt").read_text("utf-8").split())
            self.card: dict[str, Any] = json.loads((folder / "card.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{folder}: {error}") from None
        except Exception as error:  # the tokenizer library raises bare Exception
            raise CheckpointError(f"{folder / 'tokenizer.json'}: {error}") from None
        self.folder, self.positions = folder, min(256, config.positions)
        self._config = config
        self._adapters: dict[str, tuple[Adapter, frozenset[str]]] = {}
        self._engine = Engine(open_step(config, weights, settings), limits=settings.limits)
        self._lock = threading.Lock()

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load a character's LoRA adapter (`python -m npc.training.mind lora`) under a name for `write`. The words of
        its dialogue may be said as well. Raises CheckpointError."""
        adapter = load_adapter(folder, self._config, name)
        try:
            words = frozenset((folder / "words.txt").read_text("utf-8").split())
        except OSError as error:
            raise CheckpointError(f"{folder / 'words.txt'}: {error}") from None
        with self._lock:
            self._adapters[name] = (adapter, words)

    @property
    def adapters(self) -> frozenset[str]:
        """Names of the adapters loaded."""
        return frozenset(self._adapters)

    def speaks(self, adapter: str | None) -> frozenset[str]:
        """Every word that may be said, with an adapter's where one is named."""
        return self.words if adapter is None else self.words | self._adapters[adapter][1]

    def encode(self, text: str) -> list[int]:
        """Token ids of contract text."""
        return list(self.tokenizer.encode(text).ids)

    def write(self, prompt: Sequence[int], grammar: ReferenceGrammar, seed: int, *, adapter: str | None = None,
              temperature: float = TEMPERATURE) -> tuple[int, ...] | None:  # fmt: skip
        """The reply's tokens without <end>; None when it came to no end in MOST_TOKENS. Raises ModelError."""
        return self.write_several(prompt, [(grammar, seed)], adapter=adapter, temperature=temperature)[0]

    def write_several(
        self,
        prompt: Sequence[int],
        attempts: Sequence[tuple[ReferenceGrammar, int]],
        *,
        adapter: str | None = None,
        temperature: float = TEMPERATURE,
    ) -> list[tuple[int, ...] | None]:
        """What `write` gives for each (grammar, seed), side by side: three replies take little longer than one, since a
        step mostly waits for the weights. Raises ModelError."""
        requests = [
            (Sampling(max_tokens=MOST_TOKENS, temperature=temperature, top_p=TOP_P, seed=seed), grammar)
            for grammar, seed in attempts
        ]
        end = self.vocabulary.id["<end>"]
        found = self._run(prompt, requests, adapter)
        return [tuple(tokens[:-1]) if tokens and tokens[-1] == end else None for tokens in found]

    def continue_freely(self, prompt: Sequence[int], sampling: Sampling) -> tuple[int, ...]:
        """What the model would write without a grammar, up to <end>: for its evaluation. Raises ModelError."""
        tokens = self._run(prompt, [(sampling, None)], None)[0]
        end = self.vocabulary.id["<end>"]
        return tuple(tokens[:-1]) if tokens and tokens[-1] == end else tuple(tokens)

    def _run(self, prompt: Sequence[int], requests: Sequence[tuple[Sampling, ReferenceGrammar | None]],
             adapter: str | None) -> list[list[int]]:  # fmt: skip
        with self._lock:
            end = frozenset((self.vocabulary.id["<end>"],))
            low_rank = self._adapters[adapter][0] if adapter is not None else None
            numbers = [
                self._engine.submit(list(prompt), sampling, grammar=grammar, end_tokens=end, adapter=low_rank)
                for sampling, grammar in requests
            ]
            found: dict[int, list[int]] = {number: [] for number in numbers}
            open_ones = set(numbers)
            error = ""
            while open_ones:
                for event in self._engine.step():
                    if event.sequence not in found:
                        continue
                    error = event.error or error
                    if event.token is not None:
                        found[event.sequence].append(event.token)
                    if event.finish is not None or event.error is not None:
                        open_ones.discard(event.sequence)
            if error:
                raise ModelError(error)
            return [found[number] for number in numbers]

    def close(self) -> None:
        """Free weights and cache."""
        with self._lock:
            self._engine.close()


@lru_cache(maxsize=1)
def shipped_model() -> DialogueModel | None:
    """The shipped model, loaded once; None (said once in the log) where it is missing or cannot be loaded."""
    status = model_status()
    if not status.available:
        log.warning("replies come from composition alone: %s", status.detail)
        return None
    try:
        return DialogueModel(model_folder())
    except (CheckpointError, ModelError) as error:
        log.warning("the dialogue model cannot be used: %s", error)
        return None
