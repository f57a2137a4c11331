"""Output held to a JSON Schema or to a grammar, by llguidance (optional: `pip install llguidance`)."""

from __future__ import annotations

import importlib
import importlib.util
import json
from typing import Any, Protocol

import numpy as np

from npc.inference.interface import ModelError
from npc.inference.kernels import Floats


class Grammar(Protocol):
    """The state of one constrained sequence."""

    def mask(self) -> Floats:
        """0 for tokens allowed next, -inf for others."""

    def push(self, token: int) -> bool:
        """Advance by a token; True when the output is complete and nothing may follow."""


def available() -> bool:
    """Whether llguidance is installed."""
    return importlib.util.find_spec("llguidance") is not None


class MatchedGrammar:
    """A JSON Schema or Lark grammar over a tokenizer."""

    def __init__(self, matcher: Any, vocab: int) -> None:
        self._matcher, self._vocab = matcher, vocab
        self._numpy = importlib.import_module("llguidance.numpy")
        self._bits = self._numpy.allocate_token_bitmask(1, vocab)

    def mask(self) -> Floats:
        """See Grammar."""
        self._numpy.fill_next_token_bitmask(self._matcher, self._bits)
        if error := self._matcher.get_error():
            raise ModelError(f"grammar: {error}")
        allowed = np.unpackbits(self._bits.view(np.uint8), bitorder="little")[: self._vocab].astype(bool)
        return np.where(allowed, np.float32(0), np.float32(-np.inf)).astype(np.float32)

    def push(self, token: int) -> bool:
        """See Grammar."""
        if not self._matcher.consume_token(token):
            raise ModelError(f"grammar: token {token} is not allowed here")
        return bool(self._matcher.is_stopped())


class Grammars:
    """Makes grammars for one tokenizer."""

    def __init__(self, tokenizer_json: str, vocab: int, end_token: int | None) -> None:
        self._json, self._vocab, self._end = tokenizer_json, vocab, end_token
        self._tokenizer: Any = None

    def of(self, json_schema: str | None, lark: str | None) -> Grammar | None:
        """The grammar that a request asks for, if any; a schema goes before a grammar."""
        if json_schema:
            return self.schema(json_schema)
        return self.lark(lark) if lark else None

    def schema(self, text: str) -> Grammar:
        """A grammar for a JSON Schema. Raises ModelError: library missing, schema not understood."""
        library = _library("json_schema")
        try:
            json.loads(text)
        except ValueError as error:
            raise ModelError(f"json_schema is not JSON: {error}") from None
        return self._matching("json_schema", library, library.LLMatcher.grammar_from_json_schema(text))

    def lark(self, text: str) -> Grammar:
        """A grammar in llguidance's Lark. Raises ModelError: library missing, grammar not understood."""
        library = _library("grammar")
        return self._matching("grammar", library, library.LLMatcher.grammar_from_lark(text))

    def _matching(self, what: str, library: Any, grammar: str) -> Grammar:
        if self._tokenizer is None:
            self._tokenizer = library.LLTokenizer(self._json, n_vocab=self._vocab, eos_token=self._end)
        matcher = library.LLMatcher(self._tokenizer, grammar)
        if problem := matcher.get_error():
            raise ModelError(f"{what} is not understood: {problem}")
        return MatchedGrammar(matcher, self._vocab)


def _library(what: str) -> Any:
    try:
        return importlib.import_module("llguidance")
    except ImportError:
        raise ModelError(f"{what} needs the llguidance package: pip install llguidance") from None
