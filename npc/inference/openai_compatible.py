"""Any server that speaks `/v1/chat/completions` with streaming: Ollama, llama.cpp, vLLM, LM Studio, or a hosted one.

    POST {base_url}/chat/completions  {"stream": true, …}
    data: {"choices": [{"delta": {"content": "Hel"}}]}
    data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    data: [DONE]

Server-sent events are parsed by the pure `SseParser` (comments, multi-line data, CRLF, lines cut anywhere). Connecting
is retried with growing pauses; once the first token has come nothing is retried, since words would be said twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from npc.inference.interface import Message, ModelError, Sampling, Token

#: A line longer than this is not a token: the server speaks something else.
MAX_LINE = 1_000_000
_PLAIN = Sampling()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is and how long to wait for it. Times in seconds."""

    base_url: str
    model: str
    api_key: str | None = None
    connect_timeout: float = 3.0
    first_token_timeout: float = 20.0
    """A cold model on a laptop loads for 10-15 s before its first token."""
    token_timeout: float = 10.0
    retries: int = 2
    retry_pause: float = 0.25
    context_tokens: int = 4096

    def __post_init__(self) -> None:
        url = httpx.URL(self.base_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(
                f"base_url must be an http(s) address such as http://127.0.0.1:11434/v1, got {self.base_url!r}"
            )
        if not self.model:
            raise ValueError("model must name a model the server knows")
        for name in ("connect_timeout", "first_token_timeout", "token_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0 s, got {getattr(self, name)}")
        if self.retries < 0:
            raise ValueError(f"retries must not be negative, got {self.retries}")

    @property
    def is_local(self) -> bool:
        """Whether requests stay on this machine."""
        return httpx.URL(self.base_url).host in ("127.0.0.1", "localhost", "::1", "[::1]")


class SseParser:
    """Bytes in, `data` payloads out; see the WHATWG event-stream rules. Pure."""

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        self._buffer += chunk
        if len(self._buffer) > MAX_LINE:
            raise ModelError(
                f"the server sent a line of more than {MAX_LINE} bytes: is this a /v1/chat/completions server?"
            )
        found: list[str] = []
        *lines, self._buffer = self._buffer.replace(b"\r\n", b"\n").split(b"\n")
        # A lone \r at the end may be the first half of \r\n.
        for raw in lines:
            line = raw.rstrip(b"\r").decode("utf-8", errors="replace")
            if not line:
                if self._data:
                    found.append("\n".join(self._data))
                self._data = []
            elif line.startswith("data:"):
                self._data.append(line[5:].removeprefix(" "))
        return found

    def finish(self) -> list[str]:
        """What a server left without the closing empty line."""
        return self.feed(b"\n\n")


class OpenAICompatible:
    """A `LanguageModel` over HTTP. One connection pool; safe for several streams at once."""

    def __init__(self, endpoint: Endpoint, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.name = f"openai_compatible:{endpoint.model}"
        self.context_tokens = endpoint.context_tokens
        self.endpoint = endpoint
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        timeout = httpx.Timeout(endpoint.first_token_timeout, connect=endpoint.connect_timeout)
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, transport=transport)

    async def stream(self, prompt: tuple[Message, ...], sampling: Sampling = _PLAIN) -> AsyncIterator[Token]:
        """See `LanguageModel.stream`. Raises ModelError with the server's own words where it gave any."""
        body = self._body(prompt, sampling)
        given = False
        for attempt in range(self.endpoint.retries + 1):
            try:
                async for token in self._once(body):
                    given = True
                    yield token
                return
            except (_Retryable, httpx.RequestError) as error:
                if given or attempt == self.endpoint.retries:
                    raise ModelError(self._explain(error, given)) from error
                await asyncio.sleep(self.endpoint.retry_pause * 2**attempt)

    async def close(self) -> None:
        await self._client.aclose()

    def _body(self, prompt: tuple[Message, ...], sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": [{"role": message.role, "content": message.content} for message in prompt],
            "stream": True,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
        }
        if sampling.top_p < 1.0:
            body["top_p"] = sampling.top_p
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.logprobs:
            body["logprobs"] = True
        # Not in the base API, but Ollama, llama.cpp and vLLM read them; sent only when they are set.
        extra = {
            "top_k": (sampling.top_k, 0),
            "min_p": (sampling.min_p, 0.0),
            "repetition_penalty": (sampling.repetition_penalty, 1.0),
        }
        body |= {name: value for name, (value, neutral) in extra.items() if value != neutral}
        if sampling.json_schema is not None:
            try:
                schema = json.loads(sampling.json_schema)
            except ValueError as error:
                raise ModelError(f"json_schema is not JSON: {error}") from None
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": schema, "strict": True},
            }
        return body

    async def _once(self, body: dict[str, Any]) -> AsyncIterator[Token]:
        url = f"{self.endpoint.base_url.rstrip('/')}/chat/completions"
        async with self._client.stream("POST", url, json=body) as response:
            if response.status_code != 200:
                await self._refuse(response)
            parser, chunks, first = SseParser(), response.aiter_bytes(), True
            finish: Literal["stop", "length"] | None = None
            clock, limit = asyncio.get_running_loop().time, self.endpoint.first_token_timeout
            until = clock() + limit  # moved by tokens alone: a server may send comments for ever
            while True:
                try:
                    chunk = await asyncio.wait_for(anext(chunks, b""), until - clock())
                except TimeoutError:
                    raise _Retryable(f"no {'first ' if first else ''}token within {limit:g} s") from None
                for data in parser.feed(chunk) if chunk else parser.finish():
                    if data.strip() == "[DONE]":
                        yield Token("", finish=finish or "stop")
                        return
                    text, logprob, reason = _read(data)
                    finish = reason or finish
                    if text:
                        first, limit = False, self.endpoint.token_timeout
                        yield Token(text, logprob)
                        until = clock() + limit
                if not chunk:
                    if finish is None:
                        raise _Retryable("the server closed the stream in the middle of the reply")
                    yield Token("", finish=finish)
                    return

    async def _refuse(self, response: httpx.Response) -> None:
        raw = (await response.aread())[:2_000].decode("utf-8", errors="replace")
        try:
            said = json.loads(raw)
            error = said.get("error", said) if isinstance(said, dict) else said
            words = error.get("message", error) if isinstance(error, dict) else error
        except ValueError:
            words = raw.strip()
        message = f"{response.status_code}: {words or response.reason_phrase}"
        if response.status_code in (408, 409, 429) or response.status_code >= 500:
            raise _Retryable(message)
        hints = {401: "check the API key", 403: "check the API key", 404: "check base_url and the model's name"}
        hint = hints.get(response.status_code)
        raise ModelError(f"{self.endpoint.base_url} answered {message}" + (f"; {hint}" if hint else ""))

    def _explain(self, error: Exception, given: bool) -> str:
        where = self.endpoint.base_url
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return f"no language model server at {where}: start it, or correct base_url"
        words = str(error) or type(error).__name__
        return f"{where} {'broke off' if given else 'did not answer'}: {words}"


class _Retryable(Exception):
    """A failure that another attempt may cure."""


def _read(data: str) -> tuple[str, float | None, Literal["stop", "length"] | None]:
    """Text, its log probability and the finish reason of one event."""
    try:
        event = json.loads(data)
    except ValueError as error:
        raise ModelError(f"the server sent an event that is not JSON: {data[:80]!r}") from error
    if isinstance(event, dict) and event.get("error"):
        error_ = event["error"]
        raise _Retryable(str(error_.get("message", error_) if isinstance(error_, dict) else error_))
    choices = event.get("choices") if isinstance(event, dict) else None
    if not choices:
        return "", None, None
    try:
        choice = choices[0]
        text = str((choice.get("delta") or {}).get("content") or "")
        logprobs = (choice.get("logprobs") or {}).get("content") or []
        logprob = float(sum(item["logprob"] for item in logprobs)) if logprobs else None
        reason = choice.get("finish_reason")
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ModelError(f"the server sent an event that is no chat completion: {data[:80]!r}") from None
    return text, logprob, None if reason is None else "length" if reason == "length" else "stop"
