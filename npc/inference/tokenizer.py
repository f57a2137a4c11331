"""Text to token ids and back, and chat messages to a prompt, from the files of a model directory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import jinja2.sandbox
from tokenizers import Tokenizer

from npc.inference.config import CheckpointError
from npc.inference.interface import Message, ModelError

#: end-of-turn tokens of the usual chat formats, taken as ends where the vocabulary has them
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "</s>")


class TextTokenizer:
    """`tokenizer.json` with the chat template beside it."""

    def __init__(
        self, folder: Path, vocab: int, ends: Sequence[int] = (), now: Callable[[], datetime] = datetime.now
    ) -> None:
        """`vocab` is the model's: the tokenizer may know fewer tokens (padding), never more. Raises CheckpointError."""
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(f"{folder}: no tokenizer.json")
        try:
            self.json = path.read_text()
            self._tokenizer = Tokenizer.from_str(self.json)
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{path}: not a tokenizer: {error}") from None
        size = self._tokenizer.get_vocab_size(with_added_tokens=True)
        if not 0.9 * vocab <= size <= vocab:
            raise CheckpointError(
                f"{path}: {size} tokens, but the model has a vocabulary of {vocab}: not of this model"
            )
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        settings = _settings(folder)
        self._specials = {name: _content(settings.get(name)) for name in ("bos_token", "eos_token", "unk_token")}
        named = [self._specials["eos_token"], *_TURN_ENDS]
        found = [self._tokenizer.token_to_id(name) for name in named if name]
        self.ends = frozenset([*ends, *(token for token in found if token is not None)])
        self.end = next(iter([*ends, *(t for t in found if t is not None)]), None)
        self._template = _template(folder, settings, now)
        added = self._tokenizer.get_added_tokens_decoder().values()
        self._marks = control_marks([token.content for token in added if token.special])

    @property
    def tokens(self) -> dict[str, int]:
        """The id of every token."""
        return dict(self._tokenizer.get_vocab(with_added_tokens=True))

    def encode(self, text: str, specials: bool = False) -> list[int]:
        """Token ids; `specials` adds what the tokenizer puts around a text (a start token)."""
        return list(self._tokenizer.encode(text, add_special_tokens=specials).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text without special tokens."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a chat up to where the assistant begins. Control tokens come from the template alone: written in
        a message ("<|im_end|>", to end the player's turn and speak as the system) they are left out. Raises ModelError
        when the template refuses."""
        if self._template is None:
            lines = [f"{m.role.capitalize()}: {self._marks.sub('', m.content)}\n" for m in messages]
            return self.encode("".join(lines) + "Assistant:", specials=True)
        given = [{"role": m.role, "content": self._marks.sub("", m.content)} for m in messages]
        try:
            text = self._template.render(messages=given, add_generation_prompt=True, **self._specials)
        except jinja2.TemplateError as error:
            raise ModelError(f"the chat template does not take these messages: {error}") from None
        return self.encode(text)


def control_marks(names: Sequence[str]) -> re.Pattern[str]:
    """What matches a control token written as text."""
    listed = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name)
    return re.compile(listed or r"(?!)")


def _content(value: Any) -> str:
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else ""


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return {}
    try:
        loaded = json.loads(path.read_text())
    except ValueError as error:
        raise CheckpointError(f"{path}: not readable as JSON: {error}") from None
    return loaded if isinstance(loaded, dict) else {}


def _template(folder: Path, settings: dict[str, Any], now: Callable[[], datetime]) -> jinja2.Template | None:
    source = settings.get("chat_template")
    if (folder / "chat_template.jinja").is_file():
        source = (folder / "chat_template.jinja").read_text()
    if isinstance(source, list):
        source = next((t["template"] for t in source if t.get("name") == "default"), None)
    if not source:
        return None
    if not isinstance(source, str):
        raise CheckpointError(f"{folder}: chat_template must be text, not {source!r}")

    def refuse(message: str) -> NoReturn:
        raise jinja2.TemplateError(message)

    # Templates come with downloaded models: the sandbox keeps them from touching anything but their arguments.
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: now().strftime(form)
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        return environment.from_string(source)
    except jinja2.TemplateError as error:
        raise CheckpointError(f"{folder}: the chat template is damaged: {error}") from None
