"""`npc talk`: a conversation from the terminal, over the same wire as every other client.

    npc talk                                  type; the answers are spoken where there is a loudspeaker
    npc talk --mic                            speak, hands-free
    npc talk --wav question.wav --out a.wav   a recording in, the answer out
    npc talk --text "Who are you?"            one typed turn (repeat --text for more)

Without --url it starts a server of its own and stops it at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npc.audio.resample import Resampler
from npc.audio.wav import WavError, read_wav, write_wav
from npc.cli.sound import Loudspeaker, SoundUnavailable, microphone
from npc.client import ConnectionLost, Pacer, Playback, RealtimeClient
from npc.client.local_server import ServerFailed, local_server
from npc.inference import kernels
from npc.protocol import (
    ConversationItemCreate,
    ErrorEvent,
    FunctionCallArgumentsDone,
    NpcMetrics,
    NpcOutput,
    NpcStatus,
    ResponseCreate,
    ResponseDone,
    ResponseTextDelta,
    ResponseTranscriptDelta,
    SessionUpdate,
    TranscriptionCompleted,
)

RATE = 24_000
FRAME = RATE // 50
#: How long to wait for an answer before saying that there is none.
ANSWER_SECONDS = 30.0
#: Silence sent after a recording, so that the end of the turn can be heard.
TRAILING_SECONDS = 2.0
Pcm16 = NDArray[np.int16]


def main(argv: list[str]) -> int:
    """Exit status 0 when every turn was answered."""
    parser = _parser()
    given = parser.parse_args(argv)
    try:
        recordings = [_at_rate(*read_wav(path)) for path in given.wav or []]
    except WavError as error:
        parser.error(f"--wav {error}")
    except OSError as error:
        parser.error(f"--wav {error.filename}: {error.strerror or error}")
    if given.out and not given.out.absolute().parent.is_dir():
        parser.error(f"--out {given.out.parent}: there is no such folder")
    try:
        if given.url is None:
            kernels.load()  # compiled here, where it says so, rather than in a server whose log nobody reads
        with local_server() if given.url is None else contextlib.nullcontext(given.url) as url:
            for line in () if given.quiet else missing_parts(url):
                print(f"npc talk: {line}", file=sys.stderr, flush=True)
            return asyncio.run(_Talk(given, url, recordings).run())
    except (ServerFailed, ConnectionLost, SoundUnavailable, ValueError) as error:
        print(f"npc talk: {error}", file=sys.stderr)
        return 1


def missing_parts(url: str) -> list[str]:
    """A line for each part that the server could not load and does without; none where it does not tell."""
    address = f"http{url[2:]}" if url.startswith("ws") else url
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/readyz", timeout=2) as answer:
            parts = json.load(answer)["components"].items()
        return [f"{name} is {part['state']}: {part['message']}" for name, part in parts if part["state"] != "ok"]
    except (OSError, HTTPException, ValueError, LookupError, TypeError, AttributeError):
        return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="npc talk", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--character", metavar="ID", default="sela-marrow", help="who to talk to (npc characters list)")
    parser.add_argument("--text", action="append", metavar="WORDS", help="say this by typing; repeat for more turns")
    parser.add_argument(
        "--wav", action="append", type=Path, metavar="FILE", help="say this recording; repeat for more turns"
    )
    parser.add_argument("--mic", action="store_true", help="speak into the microphone")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write everything the character said to this WAV file")
    parser.add_argument("--url", help="a server that runs already, e.g. http://127.0.0.1:8765")
    parser.add_argument("--key", help="API key or ticket for that server")
    parser.add_argument("--quiet", action="store_true", help="print only what the character says")
    return parser


class _Talk:
    """One session: turns go up from whichever source was chosen, answers are printed, played and kept."""

    def __init__(self, given: argparse.Namespace, url: str, recordings: Sequence[Pcm16] = ()) -> None:
        self._given = given
        self._url = url
        self._recordings = recordings
        self._playback = Playback(RATE, RATE)
        self._answered = asyncio.Event()
        self._silent = asyncio.Event()
        self._kept: list[Pcm16] = []
        self._line = ""
        self._loudspeaker = None if given.out else self._open_loudspeaker()

    async def run(self) -> int:
        """Raises ConnectionLost. What was said until then is written all the same."""
        try:
            answered = await self._session()
        finally:
            if self._given.out:
                pcm = np.concatenate(self._kept) if self._kept else np.zeros(0, np.int16)
                write_wav(self._given.out, pcm, RATE)
                self._note(f"wrote {self._given.out}")
        return 0 if answered else 1

    async def _session(self) -> bool:
        async with RealtimeClient.connect(
            self._url, character=self._given.character, api_key=self._given.key
        ) as client:
            await client.created()
            await client.send(_wanted(spoken=bool(self._recordings or self._given.mic)))
            pacer = Pacer(client, self._playback, sink=self._sound)
            reader = asyncio.create_task(self._read(client))
            player = asyncio.create_task(pacer.run())
            turns = asyncio.create_task(self._turns(client))
            tasks = (turns, reader, player)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if turns.done():
                    return turns.result()
                # Nobody reads or plays any more: no answer will come, and no sound will end.
                await asyncio.wait([reader], timeout=1.0)
                if reader.done():
                    reader.result()
                raise ConnectionLost("the server ended the session")
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if self._loudspeaker is not None:
                    self._loudspeaker.close()

    async def _turns(self, client: RealtimeClient) -> bool:
        if self._given.mic:
            return await self._microphone(client)
        for pcm in self._recordings:
            self._answered.clear()
            await _stream(client, np.concatenate([pcm, np.zeros(int(TRAILING_SECONDS * RATE), np.int16)]))
            if not await self._wait_for_answer():
                return False
        for text in self._given.text or []:
            if not await self._typed(client, text):
                return False
        if self._recordings or self._given.text:
            return True
        self._note("Type and press Enter; an empty line ends the talk.")
        while line := (await asyncio.to_thread(_prompt)).strip():
            if not await self._typed(client, line):
                return False
        return True

    async def _typed(self, client: RealtimeClient, text: str) -> bool:
        self._answered.clear()
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await client.send(ConversationItemCreate.model_validate({"type": "conversation.item.create", "item": item}))
        await client.send(ResponseCreate())
        return await self._wait_for_answer()

    async def _wait_for_answer(self) -> bool:
        """Until a reply is over and has been heard."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._answered.wait()
        except TimeoutError:
            print(f"npc talk: no answer within {ANSWER_SECONDS:.0f} s", file=sys.stderr)
            return False
        await self._silent.wait()
        return True

    async def _microphone(self, client: RealtimeClient) -> bool:
        self._note("Speak; Ctrl-C ends the talk.")
        async for pcm in microphone(RATE, FRAME):
            await client.send_audio(pcm)
        return True

    async def _read(self, client: RealtimeClient) -> None:
        async for incoming in client:
            self._playback.receive(incoming)
            if self._playback.buffer.buffered_ms > 0:
                self._silent.clear()
            match incoming:
                case TranscriptionCompleted(transcript=text) if text.strip():
                    self._note(f"you: {text.strip()}")
                case ResponseTranscriptDelta(delta=text) | ResponseTextDelta(delta=text):
                    self._line += text
                case ResponseDone(response=response):
                    self._finish(response.status)
                case FunctionCallArgumentsDone(name=name, arguments=arguments):
                    self._note(f"[{name} {arguments}]")
                case NpcOutput(action="flush"):
                    self._note("[interrupted]")
                case NpcMetrics(stages_ms=stages):
                    self._note("  ".join(f"{name} {value:.0f} ms" for name, value in stages.items()))
                case NpcStatus(state=state, message=message) if state != "ok":
                    self._note(f"[{message or state}]")
                case ErrorEvent(error=error):
                    print(f"npc talk: {error.message}", file=sys.stderr)

    def _finish(self, status: str) -> None:
        if self._line.strip():
            print(f"{self._given.character}: {self._line.strip()}", flush=True)
        self._line = ""
        if status != "cancelled":
            self._answered.set()

    def _sound(self, pcm: Pcm16) -> None:
        if self._playback.buffer.buffered_ms > 0:
            self._silent.clear()
        else:
            self._silent.set()
        if self._loudspeaker is not None:
            self._loudspeaker.play(pcm)
        elif self._given.out:
            self._kept.append(pcm.copy())

    def _open_loudspeaker(self) -> Loudspeaker | None:
        try:
            return Loudspeaker(RATE, FRAME)
        except SoundUnavailable as error:
            self._note(str(error))
            return None

    def _note(self, text: str) -> None:
        if not self._given.quiet:
            print(text, file=sys.stderr, flush=True)


def _wanted(*, spoken: bool) -> SessionUpdate:
    npc = {"transport": {"audio": "binary", "animation": "binary"}, "cues": {"visemes": "none", "blendshapes": "none"}}
    audio = {"input": {"turn_detection": {"type": "semantic_vad"} if spoken else None}}
    return SessionUpdate.model_validate(
        {"type": "session.update", "session": {"type": "realtime", "audio": audio, "npc": npc}}
    )


def _at_rate(pcm: Pcm16, rate: int) -> Pcm16:
    if rate == RATE:
        return pcm
    resampler = Resampler(rate, RATE)
    return np.concatenate([resampler.push(pcm), resampler.flush()])


async def _stream(client: RealtimeClient, pcm: Pcm16) -> None:
    """Send a recording in real time, on absolute deadlines."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for index in range(0, len(pcm), FRAME):
        await client.send_audio(pcm[index : index + FRAME])
        await asyncio.sleep(max(0.0, start + (index + FRAME) / RATE - loop.time()))


def _prompt() -> str:
    try:
        return input("> ")
    except EOFError:
        return ""
