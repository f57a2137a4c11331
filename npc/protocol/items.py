"""Conversation items: messages, function calls and their outputs, as the Realtime API names them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from npc.protocol.wire import Id, Opt, Wire

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class ContentPart(Wire):
    """Part of a message. `input_text` and `output_text` have text, `input_audio` and `output_audio` a transcript.

    `input_image` is accepted from stock clients and not looked at.
    """

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
    text: Opt[str] = None
    transcript: Opt[str] = None
    audio: Opt[str] = None


class MessageItem(Wire):
    """Something said or typed, or a system note."""

    type: Literal["message"] = "message"
    id: Opt[Id] = None
    object: Opt[Literal["realtime.item"]] = None
    role: Literal["user", "assistant", "system"]
    status: Opt[ItemStatus] = None
    content: list[ContentPart]

    def text(self) -> str:
        """All text and transcripts of the message, joined by spaces."""
        parts = (part.text if part.text is not None else part.transcript for part in self.content)
        return " ".join(part for part in parts if part)


class FunctionCallItem(Wire):
    """A game action the character announces. `arguments` is JSON text that satisfies the tool's schema."""

    type: Literal["function_call"] = "function_call"
    id: Opt[Id] = None
    object: Opt[Literal["realtime.item"]] = None
    status: Opt[ItemStatus] = None
    call_id: Opt[Id] = None
    name: str
    arguments: str


class FunctionCallOutputItem(Wire):
    """What became of it, told by the engine. `output` is text, by habit JSON."""

    type: Literal["function_call_output"] = "function_call_output"
    id: Opt[Id] = None
    object: Opt[Literal["realtime.item"]] = None
    status: Opt[ItemStatus] = None
    call_id: Id
    output: str


Item = Annotated[MessageItem | FunctionCallItem | FunctionCallOutputItem, Field(discriminator="type")]


class Tool(Wire):
    """A game action the engine offers: name, description, JSON Schema of its parameters."""

    type: Literal["function"] = "function"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: Opt[str] = None
    parameters: Opt[dict[str, Any]] = None
