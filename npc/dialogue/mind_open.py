"""Building a mind from its parts: the one place that knows which classes belong together."""

from __future__ import annotations

import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from npc.config.paths import cache_dir
from npc.dialogue.actions_select import ActionSelector
from npc.dialogue.character import Character
from npc.dialogue.emotion_reading import PlayerReader
from npc.dialogue.emotion_words import load_word_emotions
from npc.dialogue.interface import Responder
from npc.dialogue.knowledge.facts import holders
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.knowledge.library import Documents, Progress
from npc.dialogue.knowledge.library_postgres import open_library
from npc.dialogue.memory.store import MemoryStore, PlayerMemory
from npc.dialogue.mind import CharacterMind
from npc.dialogue.mind_draft import Drafter
from npc.dialogue.narrative import Narrative
from npc.dialogue.narrative_check import load_narrative
from npc.dialogue.postgres import Postgres
from npc.dialogue.realiser.open import composed
from npc.dialogue.safety import Moderator
from npc.dialogue.storyteller import Meaning
from npc.inference.encoder import EncoderError, SentenceEncoder, load_encoder

log = logging.getLogger(__name__)

#: Makes the Responder of one session: (character, its knowledge, what it remembers of the player).
ResponderFactory = Callable[[Character, Knowledge, PlayerMemory], Responder]


@dataclass(frozen=True, slots=True)
class Shared:
    """What all minds of one character share: read-only, made once (0.2-0.5 s), used from any session."""

    character: Character
    folder: Path | None
    knowledge: Knowledge
    encoder: SentenceEncoder | None
    reader: PlayerReader
    moderator: Moderator
    story: Narrative | None = None
    problems: tuple[str, ...] = ()
    """Complaints about knowledge files that were left out, one sentence each."""


def _installed_encoder() -> SentenceEncoder | None:
    """The sentence encoder, or None where it is not installed: everything then goes by words alone."""
    try:
        return load_encoder()
    except EncoderError as error:
        log.warning("%s", error)
        return None


def prepare(
    character: Character,
    folder: Path | None = None,
    encoder: SentenceEncoder | None = None,
    documents: Postgres | None = None,
    progress: Progress | None = None,
) -> Shared:
    """Index the character's knowledge and load the small models. `folder` is where its relative paths begin,
    `documents` the server that keeps the index of its documents; None: a SQLite file in the cache. `progress` is told
    which document is being read.

    Raises AuthoredFileError for a broken narrative, DocumentError when a knowledge source of the file names nothing
    that is there; files that cannot be read are left out and listed in `problems`.
    """
    encoder = encoder if encoder is not None else _installed_encoder()
    library: Documents | None = None
    problems: tuple[str, ...] = ()
    if character.knowledge and folder is not None:
        key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        library = open_library(documents or cache_dir() / "knowledge", f"{character.id}-{key}", encoder)
        problems = library.index(folder, character.knowledge, progress, holders(character)).problems
    return Shared(
        character=character,
        folder=folder,
        knowledge=Knowledge(character, encoder=encoder, library=library),
        encoder=encoder,
        reader=PlayerReader(load_word_emotions(), encoder),
        moderator=Moderator(character, encoder),
        story=load_narrative(folder / character.narrative) if character.narrative and folder is not None else None,
        problems=problems,
    )


def open_mind(
    shared: Shared | Character,
    *,
    player_id: str = "player",
    memory: MemoryStore | None = None,
    responder: ResponderFactory | None = None,
    clock: Callable[[], float] = time.time,
    seed: int = 0,
    ids: Iterator[str] | None = None,
    consent: bool = True,
    level: str | None = None,
    meaning: Meaning | None = None,
) -> CharacterMind:
    """A mind for one session. Without `memory` nothing outlives the process; without `responder` it is `composed`.

    `consent` False: what is learnt of the player is dropped when the mind closes. `level` is where the story's dial
    stands, `meaning` what a turn means to the story (see `storyteller.py`).
    """
    shared = prepare(shared) if isinstance(shared, Character) else shared
    character = shared.character
    store = memory if memory is not None else MemoryStore()
    remembered = store.player(character.id, player_id)
    make = responder if responder is not None else composed
    numbers = ids if ids is not None else (f"call_{seed}_{number}" for number in itertools.count(1))
    knowledge = shared.knowledge
    selector = ActionSelector(
        character, lambda: next(numbers), shared.encoder, knowledge.likeness, knowledge.best_statement
    )
    drafter = Drafter(character, shared.reader, shared.moderator, selector, shared.encoder, knowledge.likeness)
    return CharacterMind(
        character,
        make(character, shared.knowledge, remembered),
        drafter,
        shared.reader,
        shared.moderator,
        memory=remembered,
        consent=consent,
        clock=clock,
        seed=seed,
        story=shared.story,
        level=level,
        meaning=meaning,
    )
