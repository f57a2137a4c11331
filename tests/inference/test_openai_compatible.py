"""The HTTP model against a real local server: streaming, retries, timeouts, refusals, and bytes cut anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.inference.interface import LanguageModel, Message, ModelError, Sampling, Token
from npc.inference.openai_compatible import Endpoint, OpenAICompatible, SseParser

from .scripted_llm import Script, event, serve

PROMPT = (Message("system", "Be brief."), Message("user", "Hi"))


PLAIN = Sampling()


def run(entries: list[Sequence[Any]], sampling: Sampling = PLAIN, **settings: Any) -> tuple[list[Token], Script]:
    async def go() -> tuple[list[Token], Script]:
        script = Script(entries)
        async with serve(script) as url:
            model = OpenAICompatible(Endpoint(url, "tiny", retry_pause=0.01, **settings))
            assert isinstance(model, LanguageModel)
            try:
                return [token async for token in model.stream(PROMPT, sampling)], script
            finally:
                await model.close()

    return asyncio.run(go())


def test_streams_and_finishes_once() -> None:
    tokens, script = run(
        [["Hel", "lo ", "wörld", "."]], Sampling(max_tokens=5, seed=3, stop=("X",), top_k=2, logprobs=True), api_key="k"
    )
    assert "".join(token.text for token in tokens) == "Hello wörld."
    assert [token.finish for token in tokens if token.finish] == ["stop"]
    request = script.requests[0]
    assert request["messages"][1] == {"role": "user", "content": "Hi"}
    assert (request["max_tokens"], request["seed"], request["stop"], request["top_k"]) == (5, 3, ["X"], 2)
    assert script.headers[0]["authorization"] == "Bearer k"
    assert request["logprobs"] is True
    assert "min_p" not in request


def test_json_schema_is_passed_on() -> None:
    _, script = run([["{}"]], Sampling(json_schema='{"type": "object"}'))
    assert script.requests[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_retries_before_the_first_token_only() -> None:
    tokens, script = run([[("status", 503, {"error": {"message": "busy"}})], ["!close"], ["ok"]])
    assert "".join(token.text for token in tokens) == "ok"
    assert len(script.requests) == 3
    with pytest.raises(ModelError, match="broke off"):
        run([["Hel", "!close"], ["again"]])


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ([("status", 404, {"error": {"message": "model 'tiny' not found"}})], "tiny' not found; check base_url"),
        ([("status", 401, "nope")], "401: nope; check the API key"),
        ([("status", 500, "boom")], "did not answer: 500: boom"),
        ([("raw", b"data: <html>\n\n")], "not JSON"),
        ([("raw", b'data: {"choices": ["x"]}\n\n')], "no chat completion"),
        ([("raw", b'data: {"choices": {"a": 1}}\n\n')], "no chat completion"),
        ([("raw", b'data: {"choices": [{"delta": "x"}]}\n\n')], "no chat completion"),
        ([("raw", b'data: {"error": {"message": "out of memory"}}\n\n')], "out of memory"),
    ],
)
def test_refusals_are_explained(steps: Sequence[Any], complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        run([steps], retries=0)


def test_timeouts() -> None:
    with pytest.raises(ModelError, match=r"no first token within 0\.1 s"):
        run([[2.0, "late"]], retries=0, first_token_timeout=0.1)
    with pytest.raises(ModelError, match=r"broke off: no token within 0\.1 s"):
        run([["Hel", 2.0, "lo"]], retries=0, token_timeout=0.1)


def test_comments_do_not_keep_a_reply_waiting_for_ever() -> None:
    """Regression: every comment of a busy gateway began the wait for the first token anew."""
    pings = [step for _ in range(40) for step in (("raw", b": still working\n\n"), 0.05)]
    with pytest.raises(ModelError, match=r"no first token within 0\.3 s"):
        run([[*pings, "late"]], retries=0, first_token_timeout=0.3)


def test_no_server_says_so() -> None:
    async def go() -> None:
        model = OpenAICompatible(Endpoint("http://127.0.0.1:9/v1", "tiny", retries=0))
        try:
            async for _ in model.stream(PROMPT):
                pass
        finally:
            await model.close()

    with pytest.raises(ModelError, match="no language model server at"):
        asyncio.run(go())


@pytest.mark.parametrize(
    "settings", [{"base_url": "ftp://x", "model": "m"}, {"base_url": "http://x", "model": ""},
                 {"base_url": "http://x", "model": "m", "retries": -1},
                 {"base_url": "http://x", "model": "m", "token_timeout": 0.0}],
)  # fmt: skip
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Endpoint(**settings)


def test_is_local() -> None:
    assert Endpoint("http://127.0.0.1:1/v1", "m").is_local
    assert not Endpoint("https://api.example.com/v1", "m").is_local


def test_closing_the_stream_stops_the_request() -> None:
    async def go() -> None:
        script = Script([["a", "b", 30.0, "c"]])
        async with serve(script) as url:
            model = OpenAICompatible(Endpoint(url, "tiny"))
            stream = model.stream(PROMPT)
            assert (await anext(stream)).text == "a"
            await stream.aclose()  # type: ignore[attr-defined]
            await model.close()

    asyncio.run(asyncio.wait_for(go(), 5))


@given(st.lists(st.text(max_size=20), max_size=8), st.lists(st.integers(1, 30), min_size=1), st.booleans())
def test_parser_does_not_care_where_bytes_are_cut(texts: list[str], cuts: list[int], crlf: bool) -> None:
    raw = b": hello\n\n" + b"".join(event(text) for text in texts)
    raw = raw.replace(b"\n", b"\r\n") if crlf else raw
    parser, found, at, turn = SseParser(), [], 0, 0
    while at < len(raw):
        size = cuts[turn % len(cuts)]
        found += parser.feed(raw[at : at + size])
        at, turn = at + size, turn + 1
    found += parser.finish()
    said = [json.loads(data)["choices"][0]["delta"].get("content", "") for data in found]
    assert said == texts
