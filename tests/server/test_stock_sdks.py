"""The `openai` SDK and the OpenAI Agents SDK, both unmodified, hold a conversation without an error event.

Spoken turn, typed turn, function call with its result, truncation, cancel; against the scripted session and against the
real embedded one. Neither SDK knows anything of `npc.*`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.running import Running, running
from tests.server.scripted import ScriptedService

openai = pytest.importorskip("openai")
agents = pytest.importorskip("agents")

from agents.realtime import RealtimeAgent, RealtimeRunner  # noqa: E402
from agents.realtime.model_inputs import RealtimeModelSendInterrupt  # noqa: E402
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel  # noqa: E402

RATE = 24_000
#: Longest wait for one event: an embedded character may be busy indexing its knowledge on a loaded machine.
_PATIENCE_S = 60

#: The Agents SDK and what it imports warn about themselves.
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@dataclass(frozen=True)
class Talk:
    """What is said to whom. `call` is a text that makes the character announce the action `tool`."""

    character: str
    spoken: bytes
    call: str
    tool: str
    pace_s: float = 0.0


def _tone(seconds: float) -> bytes:
    """A loud tone: speech enough for the scripted session."""
    t = np.arange(int(RATE * seconds)) / RATE
    return (8000 * np.sin(2 * np.pi * 220 * t)).astype("<i2").tobytes()


def _speech(text: str) -> bytes:
    """`text` by a synthetic player, at 24 kHz; skips the test where there is no voice."""
    from npc.audio.resample import Resampler
    from npc.tts.fetch_flite import locate
    from npc.tts.flite import FliteSettings, FliteVoice
    from npc.tts.interface import SpeechRequest

    if locate() is None:
        pytest.skip("no Flite library: run `npc doctor --fix`")
    voice = FliteVoice(FliteSettings("rms"))
    pcm = np.concatenate([chunk.pcm for chunk in voice.synthesize(SpeechRequest(text))])
    resampler = Resampler(voice.sample_rate, RATE)
    return np.concatenate([resampler.push(pcm), resampler.flush()]).astype("<i2").tobytes()


SCRIPT = Talk("ada", _tone(0.5), "call light_lamp", "light_lamp")


def _frames(pcm: bytes) -> list[bytes]:
    size = RATE // 50 * 2
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


def _client(server: Running) -> Any:
    return openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{server.port}/v1",
        websocket_base_url=f"ws://127.0.0.1:{server.port}/v1",
        api_key="not-needed-on-loopback",
    )


async def _until(connection: Any, *kinds: str) -> dict[str, Any]:
    """Events by type up to the first of `kinds`; an error event fails the test."""
    seen: dict[str, Any] = {}
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            event = await connection.recv()
            assert event.type != "error", event
            seen[event.type] = event
            if event.type in kinds:
                return seen


async def _openai_conversation(server: Running, talk: Talk) -> None:
    client = _client(server)
    async with client.realtime.connect(model=talk.character) as connection:
        first = await connection.recv()
        assert first.type == "session.created"
        await connection.session.update(
            session={
                "type": "realtime",
                "instructions": "Answer briefly.",
                "audio": {
                    "input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}},
                    "output": {"voice": "marin"},
                },
                "tools": [
                    {
                        "type": "function",
                        "name": talk.tool,
                        "description": "Do something with an item",
                        "parameters": {"type": "object", "properties": {"item": {"type": "string"}}},
                    }
                ],
            }
        )
        updated = (await _until(connection, "session.updated"))["session.updated"]
        assert updated.session.audio.input.turn_detection.interrupt_response is True

        # Spoken turn.
        for frame in _frames(talk.spoken + bytes(RATE * 4)):
            await connection.input_audio_buffer.append(audio=base64.b64encode(frame).decode())
            await asyncio.sleep(talk.pace_s)
        seen = await _until(connection, "response.done")
        assert seen["conversation.item.input_audio_transcription.completed"].transcript
        assert seen["response.output_audio.delta"].delta
        assert seen["response.done"].response.status == "completed"
        spoken = seen["response.output_item.added"].item.id

        # Truncation of what was said.
        await connection.conversation.item.truncate(item_id=spoken, content_index=0, audio_end_ms=100)
        assert (await _until(connection, "conversation.item.truncated"))[
            "conversation.item.truncated"
        ].item_id == spoken
        await connection.conversation.item.retrieve(item_id=spoken)
        await _until(connection, "conversation.item.retrieved")

        # Typed turn.
        await _typed(connection, "good evening")
        seen = await _until(connection, "response.done")
        assert seen["response.output_audio_transcript.done"].transcript

        # Function call with its result.
        await _typed(connection, talk.call)
        seen = await _until(connection, "response.done")
        call = seen["response.function_call_arguments.done"]
        assert call.name == talk.tool
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": '{"ok":true}'}
        )
        await connection.response.create()
        seen = await _until(connection, "response.done")
        assert seen["response.output_audio_transcript.done"].transcript

        # Cancel.
        await _typed(connection, "tell me everything")
        await _until(connection, "response.output_audio.delta")
        await connection.response.cancel()
        seen = await _until(connection, "response.done")
        assert seen["response.done"].response.status == "cancelled"
    await client.close()


async def _typed(connection: Any, text: str) -> None:
    await connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    )
    await connection.response.create()


async def _agents_conversation(server: Running, talk: Talk) -> None:
    done: list[str] = []

    @agents.function_tool(name_override=talk.tool)
    def act(item: str) -> str:
        """Do something with an item."""
        done.append(item)
        return "it is done"

    agent = RealtimeAgent(name="Ada", instructions="Answer briefly.", tools=[act])
    runner = RealtimeRunner(agent, model=OpenAIRealtimeWebSocketModel())
    session = await runner.run(
        model_config={"url": server.ws(f"model={talk.character}"), "api_key": "not-needed-on-loopback"}
    )
    events: list[Any] = []
    async with session:
        iterator = session.__aiter__()

        async def until(wanted: Callable[[Any], bool]) -> Any:
            async with asyncio.timeout(_PATIENCE_S):
                while True:
                    event = await iterator.__anext__()
                    events.append(event)
                    assert event.type != "error", event
                    if wanted(event):
                        return event

        def raw(kind: str, status: str | None = None) -> Callable[[Any], bool]:
            def match(event: Any) -> bool:
                data = getattr(getattr(event, "data", None), "data", None)
                if not isinstance(data, dict) or data.get("type") != kind:
                    return False
                return status is None or data["response"]["status"] == status

            return match

        def in_progress() -> bool:
            begun, over = raw("response.created"), raw("response.done")
            return sum(map(begun, events)) > sum(map(over, events))

        await until(raw("session.updated"))

        # Spoken turn.
        for frame in _frames(talk.spoken + bytes(RATE * 4)):
            await session.send_audio(frame)
            await asyncio.sleep(talk.pace_s)
        await until(lambda event: event.type == "audio")
        await until(lambda event: event.type == "audio_end")
        await until(raw("response.done", "completed"))

        # Typed turn.
        await session.send_message("good evening")
        await until(lambda event: event.type == "audio_end")
        await until(raw("response.done", "completed"))

        # Function call: the SDK runs the tool, sends the result and asks for the next response by itself.
        await session.send_message(talk.call)
        await until(lambda event: event.type == "tool_end")
        assert len(done) == 1
        await until(raw("response.created"))
        while in_progress():
            await until(raw("response.done"))

        # Interruption by the application: the SDK truncates at what was played, and cancels where it is told to.
        await session.send_message("tell me everything")
        await until(lambda event: event.type == "audio")
        before = len(events)
        await session.interrupt()
        await session.model.send_event(RealtimeModelSendInterrupt(force_response_cancel=True))
        truncated, cancelled = raw("conversation.item.truncated"), raw("response.done", "cancelled")
        while not (any(map(truncated, events[before:])) and any(map(cancelled, events[before:]))):
            await until(lambda event: truncated(event) or cancelled(event))

        # And the conversation goes on.
        await session.send_message("thank you")
        await until(raw("response.done", "completed"))
    assert not [event for event in events if event.type == "error"]


def _scripted(talk: Callable[[Running, Talk], Awaitable[None]]) -> None:
    async def main() -> None:
        service = ScriptedService(frames=30, frame_s=0.005)
        async with running(service) as server:
            await asyncio.wait_for(talk(server, SCRIPT), 60)
        assert not service.conversations[0].opted_in

    asyncio.run(main())


def _embedded(talk: Callable[[Running, Talk], Awaitable[None]], folder: Path, said: Talk | None = None) -> None:
    """The same with the real session, recogniser, mind and voice of the embedded profile."""
    from npc.config.settings import load_settings
    from npc.server.assembly import build

    if said is None:
        said = Talk("sela-marrow", _speech("What do you sell?"), "I want to buy two silk ropes.", "sell_item", 0.02)

    async def main(said: Talk) -> None:
        service = build(load_settings(profile="embedded", overrides={"store.folder": str(folder)}))
        async with running(service) as server:
            # What a character knows is indexed in the background; the test is about the conversation.
            await asyncio.wrap_future(service._minds[said.character])
            await asyncio.wait_for(talk(server, said), 200)

    asyncio.run(main(said))


def test_the_openai_sdk_with_a_scripted_session() -> None:
    _scripted(_openai_conversation)


@quiet
def test_the_agents_sdk_with_a_scripted_session() -> None:
    _scripted(_agents_conversation)


@pytest.mark.timeout(300)
def test_the_openai_sdk_with_the_embedded_profile(tmp_path: Path) -> None:
    _embedded(_openai_conversation, tmp_path)


async def _own_function(server: Running, talk: Talk) -> None:
    client = _client(server)
    async with client.realtime.connect(model=talk.character) as connection:
        bridge = {"type": "function", "name": talk.tool, "description": "Lift the drawbridge", "parameters": None}
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"], "tools": [bridge]})
        await _typed(connection, talk.call)
        call = (await _until(connection, "response.done"))["response.function_call_arguments.done"]
        assert (call.name, call.arguments) == (talk.tool, "{}")
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": '{"ok":true}'}
        )
        await connection.session.update(session={"type": "realtime", "tool_choice": "none"})
        await _typed(connection, talk.call)
        assert "response.function_call_arguments.done" not in await _until(connection, "response.done")
    await client.close()


@pytest.mark.timeout(300)
def test_a_function_of_the_clients_own_is_called_by_its_name(tmp_path: Path) -> None:
    _embedded(_own_function, tmp_path, Talk("sela-marrow", b"", "Lift the drawbridge, please.", "liftBridge"))


@pytest.mark.timeout(300)
@quiet
def test_the_agents_sdk_with_the_embedded_profile(tmp_path: Path) -> None:
    _embedded(_agents_conversation, tmp_path)
