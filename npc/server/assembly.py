"""The one function that builds the object graph from settings: `build(settings)` makes the `Service` behind the server.

    Settings ─▶ build ─▶ TalkService.start()   (worker threads: recogniser, detectors; characters and voices listed)
                              └ open(opening, outbox) ─▶ Engines of the character (voice loaded once) ─▶ TalkSession

Nothing is imported before its profile needs it: the embedded profile never touches torch or transformers. A part that
cannot load degrades the service and says so in `ready()`; only a service without any character refuses to start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from npc.asr.interface import Bias, StreamingRecognizer
from npc.audio.vad import VoiceActivityDetector
from npc.config.settings import Settings
from npc.conversation import talkover
from npc.conversation.detection import FixedSilence
from npc.conversation.ear import NoOwnVoice, OwnVoiceGuard, TalkoverSense
from npc.conversation.endpointing.interface import EndOfTurnDetector
from npc.conversation.engines import Engines
from npc.conversation.late_mind import LateMind
from npc.conversation.people import PlayerRef
from npc.conversation.port import Conversation, Opening, Outbox, UnknownCharacter
from npc.conversation.recorder import Recorder
from npc.conversation.reply import Speaker
from npc.conversation.session import TalkSession
from npc.conversation.slots import SaveSlots, SlotsInMemory, StoredSlots
from npc.conversation.talkover import Network
from npc.conversation.workers import ThreadWorkers, Workers
from npc.dialogue import mind_open
from npc.dialogue.character import Character
from npc.dialogue.character_library import CharacterNotFound, Installed, find_character, list_characters
from npc.dialogue.fingerprint import fingerprints
from npc.dialogue.interface import Mind
from npc.dialogue.knowledge import library_postgres
from npc.dialogue.memory.postgres import open_memory
from npc.dialogue.memory.store import MemoryStore
from npc.dialogue.mind_words import bias_words
from npc.dialogue.postgres import Postgres
from npc.dialogue.realiser.open import Composer, composer
from npc.dialogue.scene import SceneState
from npc.inference.interface import LanguageModel
from npc.server.engine_parts import (
    guard_maker,
    load_animator,
    load_detector,
    load_model,
    load_recognizer,
    load_vad,
    transcribe,
)
from npc.simulation.scenarios import Scenarios
from npc.store import LogStore, parse_retention
from npc.tts import InstalledVoice, Synthesizer, VoiceNotFound, choose, list_cards
from npc.tts import load as load_voice

log = logging.getLogger(__name__)

_TEMPERAMENT: Mapping[str, Literal["yield", "finish", "protest"]] = {
    "yield": "yield",
    "finish_clause": "finish",
    "protest": "protest",
}

#: Sessions that are still open when the service closes get so long, seconds: the server has given them theirs before.
CLOSED_BY = 5.0


def build(settings: Settings, workers: Workers | None = None) -> TalkService:
    """The service, not started yet. `workers` run the engines; None: threads."""
    return TalkService(settings, workers)


class TalkService:
    """Implements `npc.conversation.port.Service`."""

    def __init__(self, settings: Settings, workers: Workers | None = None) -> None:
        self.settings = settings
        self._workers: Workers = workers if workers is not None else ThreadWorkers()
        self._components: dict[str, dict[str, str]] = {}
        self._started = False
        self._recognizer: StreamingRecognizer | None = None
        self._vad: VoiceActivityDetector | None = None
        self._detector: EndOfTurnDetector | None = None
        self._guard: Callable[[], OwnVoiceGuard] = NoOwnVoice
        self._talkover: Network | None = None
        self._model: LanguageModel | None = None
        self._composed: Composer | None = None
        self._memory: MemoryStore | None = None
        self._documents: Postgres | None = None
        self._logs: LogStore | None = None
        self._slots: SaveSlots = SlotsInMemory()
        self._synthesizers: dict[str, Synthesizer] = {}
        self._loading = threading.Lock()
        self._engines: dict[tuple[str, str], Engines] = {}
        self._minds: dict[str, Future[mind_open.Shared]] = {}
        self._mindless: dict[str, str] = {}
        """What went wrong with the minds that could not be made, by character."""
        self._scenarios = Scenarios(
            settings.scenarios,
            settings.folder / "attempts",
            responders=self._responder,
            speaker=lambda character: self._speaker(character)[0],
            model=self._judge,
            seed=settings.seed,
        )
        self._indexer = ThreadPoolExecutor(1, "npc-index")
        self._sessions: WeakSet[TalkSession] = WeakSet()

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await asyncio.to_thread(self._load)
        self._started = True

    async def close(self) -> None:
        closing = [asyncio.ensure_future(session.close("the service stops")) for session in tuple(self._sessions)]
        if closing:
            await asyncio.wait(closing, timeout=CLOSED_BY)
        if self._model is not None:
            await self._model.close()
        await asyncio.to_thread(self._unload)

    def ready(self) -> Mapping[str, Any]:
        missing = "; ".join(f"{character}: {error}" for character, error in self._mindless.items())
        minds = {"mind": {"state": "degraded", "message": missing}} if missing else {}
        return {"ready": self._started, "components": {**self._components, **minds}}

    def _load(self) -> None:
        found, errors = list_characters(self.settings.characters)
        for error in errors:
            log.warning("a character cannot be used", extra={"error": str(error)})
        if not found:
            problems = "\n".join(str(error) for error in errors) or "no character files were found"
            raise RuntimeError(f"there is no usable character:\n{problems}\n`npc characters check` says more")
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self._memory = open_memory(self.settings.store.memory or self.settings.folder / "memory.sqlite")
        self._slots = StoredSlots(self._memory, time.time)
        if self.settings.store.documents:
            self._documents = library_postgres.connect(self.settings.store.documents)
        if parse_retention(self.settings.store.retain):
            self._logs = LogStore(self.settings.folder / "sessions.sqlite")
            self._logs.expire()
        self._vad = self._part("vad", lambda: load_vad(self.settings))
        if self._vad is None:
            raise RuntimeError("no voice activity detector could be loaded")
        # Without its classifier a turn simply ends on half a second of silence.
        self._detector = self._part("end_of_turn", lambda: load_detector(self.settings)) or FixedSilence(8000)
        self._guard = self._part("own_voice", lambda: guard_maker(self.settings)) or NoOwnVoice
        self._talkover = self._part("talkover", talkover.shipped)
        self._recognizer = self._part("asr", lambda: load_recognizer(self.settings))
        if self._recognizer is not None:
            # Its processes start in the background, so that the first player does not wait for them.
            self._recognizer.prepare(Bias())
        self._model = self._part("llm", lambda: load_model(self.settings))
        mind = self.settings.llm
        own = None if mind.model == "native" else mind.adapters  # else they are the larger model's
        self._composed = self._part("wording", lambda: composer(mind.wording, own))
        fingerprints(found[0].character)  # reads the weights' files once, here off the event loop
        for installed in found:
            # Voices load in a moment; what a character knows is indexed behind the back of a server that is up.
            self._speaker(installed.character)
            self._prepare(installed)

    def _prepare(self, installed: Installed) -> None:
        """Index in the background, unless that was done; what failed is tried again with the next session."""
        character = installed.character
        known = self._minds.get(character.id)
        if known is not None and (not known.done() or _succeeded(known)):
            return
        made = self._minds[character.id] = self._indexer.submit(
            mind_open.prepare, character, installed.path.parent, documents=self._documents
        )
        made.add_done_callback(lambda done: self._prepared(character.id, done))

    def _prepared(self, character_id: str, made: Future[mind_open.Shared]) -> None:
        error = None if made.cancelled() else made.exception()
        if error is not None:
            log.warning("a character's mind is missing", extra={"character": character_id, "error": str(error)})
            self._mindless[character_id] = str(error)
        else:
            self._mindless.pop(character_id, None)

    def warm(self, character_id: str) -> None:
        """Have a character's mind ready now; blocks until it is. Raises UnknownCharacter."""
        installed = self._installed(character_id)
        self._prepare(installed)
        self._minds[installed.character.id].result()

    def _unload(self) -> None:
        self._indexer.shutdown(wait=True, cancel_futures=True)
        self._workers.close()
        if self._recognizer is not None:
            self._recognizer.close()
        for synthesizer in self._synthesizers.values():
            synthesizer.close()
        if self._memory is not None:
            self._memory.close()
        if self._documents is not None:
            self._documents.close()
        if self._logs is not None:
            self._logs.close()

    def _part(self, name: str, make: Callable[[], Any]) -> Any:
        """A part that the service can do without, with its state for `ready`."""
        try:
            made = make()
        except Exception as error:
            log.warning("a part is missing", extra={"part": name, "error": str(error)})
            self._components[name] = {"state": "down", "message": str(error)}
            return None
        self._components[name] = {"state": "ok", "message": getattr(made, "name", "") if made is not None else "off"}
        return made

    # -- sessions ------------------------------------------------------------------------------------------------------

    async def load(self, character_id: str, voice: str) -> None:
        if not voice or (character_id, voice) in self._engines:
            return
        with contextlib.suppress(UnknownCharacter):
            await asyncio.to_thread(self._speaker, self._installed(character_id).character, voice)

    def open(self, opening: Opening, outbox: Outbox) -> Conversation:
        installed = self._installed(opening.character_id)
        self._prepare(installed)
        engines = self._engines_of(installed, opening.voice)
        session = TalkSession(opening, engines, outbox, self._recorder(opening))
        self._sessions.add(session)
        return session

    def _listens_over_us(self) -> TalkoverSense | None:
        return None if self._talkover is None else talkover.Talkover(self._talkover)

    def _recorder(self, opening: Opening) -> Recorder | None:
        """The session's log, where the operator keeps logs for days; the session may still ask for less."""
        days = parse_retention(self.settings.store.retain)
        if not days or self._logs is None:
            return None
        return self._logs.open(opening.session_id, opening.character_id, opening.player_id, days)

    def _engines_of(self, installed: Installed, voice: str = "") -> Engines:
        character = installed.character
        cards, _ = list_cards(self.settings.voices) if voice else ((), ())
        asked = voice if any(one.card.id == voice for one in cards) else ""
        key = (character.id, asked)
        if key not in self._engines:
            assert self._vad is not None, "start() loads the detectors"
            assert self._detector is not None, "start() loads the detectors"
            speaker, voice_id = self._speaker(character, asked)
            self._engines[key] = Engines(
                character_id=character.id,
                open_mind=lambda player: self._open_mind(installed, player),
                workers=self._workers,
                vad=self._vad,
                detector=self._detector,
                recognizer=self._recognizer,
                speaker=speaker,
                animator=load_animator() if self.settings.tts.face else None,
                guard=self._guard,
                talkover=self._listens_over_us,
                slots=self._slots,
                voice_id=voice_id,
                voices=frozenset((voice_id,)),
                instructions=f"{character.name}, {character.role}",
                language=character.languages[0],
                temperament=_TEMPERAMENT[character.interruption],
                seed=self.settings.seed,
                greets=self.settings.tts.greets,
                fillers=character.fillers,
                filler_after=self.settings.tts.filler_after_ms / 1000,
                refine_budget=self.settings.asr.refine_budget_ms / 1000,
                pronunciations=tuple(character.lexicon.items()),
                companions=self._scenarios,
                hashes=fingerprints(character),
            )
        return self._engines[key]

    def _open_mind(self, installed: Installed, player: PlayerRef) -> Mind:
        made = self._minds[installed.character.id]
        if _succeeded(made):
            return self._mind_of(made.result(), player)

        async def later() -> Mind:
            # Sessions share it: one that leaves early must not take it away from the others.
            return self._mind_of(await asyncio.shield(asyncio.wrap_future(made)), player)

        character = installed.character
        words = bias_words(character, SceneState.of(character.scene))
        return LateMind(character.id, asyncio.ensure_future(later()), words)

    def _mind_of(self, shared: mind_open.Shared, player: PlayerRef) -> Mind:
        return mind_open.open_mind(
            shared,
            player_id=player.player_id,
            memory=self._memory,
            clock=time.time,
            seed=self.settings.seed,
            consent=player.remember,
            responder=self._responder(player),
        )

    def _judge(self, player: PlayerRef) -> LanguageModel | None:
        """The language model for what is judged freely; a remote one only with the player's consent."""
        endpoint = getattr(self._model, "endpoint", None)
        remote = endpoint is not None and not endpoint.is_local
        return None if remote and not player.remote_llm else self._model

    def _responder(self, player: PlayerRef) -> mind_open.ResponderFactory:
        """Who answers in this session: `composed` alone, or the language model with `composed` behind it."""
        composed = self._composed or composer("off")
        if self._model is None:
            return composed
        from npc.dialogue.mind_models import with_model

        endpoint = getattr(self._model, "endpoint", None)
        return with_model(
            self._model,
            remote=endpoint is not None and not endpoint.is_local,
            remote_allowed=player.remote_llm,
            always=self.settings.profile == "gpu",
            composed=composed,
        )

    def _speaker(self, character: Character, asked: str = "") -> tuple[Speaker | None, str]:
        """The voice asked for, the character's own, or the nearest to it; None (text only) when none can be loaded."""
        if self.settings.tts.voice == "none":
            self._components["tts"] = {"state": "ok", "message": "off"}
            return None, ""
        try:
            voice = self._voice_for(character, asked)
            with self._loading:
                if voice.card.id not in self._synthesizers:
                    self._synthesizers[voice.card.id] = load_voice(voice, watermark=self.settings.tts.watermark)
        except Exception as error:
            log.warning("a voice is missing", extra={"character": character.id, "error": str(error)})
            if asked:
                return self._speaker(character)
            self._components["tts"] = {"state": "degraded", "message": f"{character.id}: {error}"}
            return None, ""
        self._components.setdefault("tts", {"state": "ok", "message": voice.card.engine})
        synthesizer = self._synthesizers[voice.card.id]
        return Speaker(synthesizer, tuple(character.lexicon.items()), character.languages[0]), voice.card.id

    def _voice_for(self, character: Character, asked: str = "") -> InstalledVoice:
        wanted = self.settings.tts.voice or asked or character.voice.card
        cards, _ = list_cards(self.settings.voices)
        for installed in cards:
            if installed.card.id == wanted:
                return installed
        if self.settings.tts.voice is not None:
            raise VoiceNotFound(f"there is no voice {wanted!r}: `npc voices list` lists those there are")
        gender = character.voice.gender or {"she": "female", "he": "male"}.get(character.pronouns)
        return choose(cards, gender=gender, age=character.voice.age, language=character.languages[0])

    # -- what there is -------------------------------------------------------------------------------------------------

    def characters(self) -> Sequence[Mapping[str, Any]]:
        found, _ = list_characters(self.settings.characters)
        return [_summary(installed.character) for installed in found]

    def character(self, character_id: str) -> Mapping[str, Any]:
        character = self._installed(character_id).character
        return {
            **_summary(character),
            "world": character.world,
            "speaking_style": character.speaking_style,
            "personality": character.personality.model_dump(mode="json"),
            "actions": [
                {"name": action.name, "description": action.description, "parameters": action.parameters}
                for action in character.actions
            ],
            "scene": character.scene.model_dump(mode="json"),
        }

    def knowledge(self, character_id: str) -> Sequence[Mapping[str, Any]]:
        character = self._installed(character_id).character
        return [
            {"id": fact.id, "text": fact.text, "source": fact.source} for fact in character.facts if not fact.is_secret
        ]

    def voices(self) -> Sequence[Mapping[str, Any]]:
        cards, _ = list_cards(self.settings.voices)
        return [voice.card.model_dump(mode="json", exclude={"settings"}) for voice in cards]

    def scenarios(self) -> Sequence[Mapping[str, Any]]:
        return self._scenarios.listing()

    async def transcribe(self, pcm: NDArray[np.int16], rate: int) -> str:
        recognizer = self._recognizer
        return "" if recognizer is None else await asyncio.to_thread(transcribe, recognizer, pcm, rate)

    async def memory(self, player_id: str, character_id: str) -> Mapping[str, Any]:
        assert self._memory is not None, "start() opens the memory"
        self._installed(character_id)
        return await asyncio.to_thread(self._memory.player(character_id, player_id).export)

    async def forget(self, player_id: str, character_id: str) -> int:
        assert self._memory is not None, "start() opens the memory"
        self._installed(character_id)
        self._slots.forget(player_id, character_id)
        erased = await asyncio.to_thread(self._memory.erase, character_id, player_id)
        logs = 0 if self._logs is None else await asyncio.to_thread(self._logs.erase, player_id, character_id)
        return len(erased) + logs

    async def erase_player(self, player_id: str) -> Mapping[str, int]:
        """Everything of a player, with every character; raises RuntimeError when something of it can still be found."""
        assert self._memory is not None, "start() opens the memory"
        self._slots.forget(player_id)
        left = await asyncio.to_thread(self._memory.erase, None, player_id)
        if left:
            raise RuntimeError(f"{len(left)} memories of the player can still be found")
        logs = 0 if self._logs is None else await asyncio.to_thread(self._logs.erase, player_id)
        return {"session logs": logs}

    def _installed(self, character_id: str) -> Installed:
        # Ids only: a path here would let a client name files of this machine.
        if "/" in character_id or "\\" in character_id or character_id.endswith((".yaml", ".yml", ".json")):
            raise UnknownCharacter(f"{character_id!r} is no character id")
        try:
            return find_character(character_id, self.settings.characters)
        except CharacterNotFound as error:
            played = self._scenarios.character(character_id)
            if played is None:
                raise UnknownCharacter(str(error)) from None
            return Installed(*played)


def _succeeded(made: Future[Any]) -> bool:
    return made.done() and not made.cancelled() and made.exception() is None


def _summary(character: Character) -> dict[str, Any]:
    return {
        "id": character.id,
        "name": character.name,
        "description": character.role,
        "language": character.languages[0],
        "languages": list(character.languages),
        "voice": character.voice.card,
    }
