"""Small talk: what it is about by nearness to written examples, and whether a reply is about the same.

A model of this size knows the phrasings it was trained on and little beyond. So a turn of small talk is handed to it
as the nearest phrasing it knows ("my feet hurt like anything" as "my feet ache"), found by sentence vectors, and where
none is near the composer's own words stay. The vectors are shipped beside the weights: nothing is embedded at start.
Without the sentence encoder there is no small talk from the model.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npc.inference.encoder import SentenceEncoder

#: Cosine from which a turn is taken to be about an example's topic. One that the composer has no answer to needs more,
#: for a wrong guess is small talk where not knowing was due: on the first half of the public set no question of the
#: kinds unknown and secret comes above 0.47, and of 64 fresh lines of small talk 49 are above 0.50.
NEAR_SAID, NEAR_ASKED = 0.50, 0.57
#: The name under which sentences stand that only carry a mood or manner.
COLOUR = "colour"
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of small talk and the intent its turns have."""

    name: str
    intent: str


@dataclass(frozen=True, slots=True)
class Near:
    """The nearest example to a turn: its topic, and its words with and without a place for the player's noun."""

    topic: Topic
    words: str
    marked: str


@dataclass(frozen=True)
class Examples:
    """Written player lines with their topics and int8 vectors [lines, width], and the sentences said of each topic."""

    topics: tuple[Topic, ...]
    lines: tuple[tuple[str, str], ...]
    """(words, words with <n> where somebody's noun stands, or the same)."""
    of_line: NDArray[np.int64]
    vectors: NDArray[np.float32]
    replies: dict[str, frozenset[str]]
    """Bare sentence -> names of the topics and intents it was written for."""


@lru_cache(maxsize=2)
def read_examples(folder: Path) -> Examples | None:
    """`talk.json` and `talk.npz` of a model folder, or None where they are not there."""
    try:
        given = json.loads((folder / "talk.json").read_text("utf-8"))
        with np.load(folder / "talk.npz", allow_pickle=False) as data:
            vectors = data["vectors"].astype(np.float32)
            of_line = data["topic"].astype(np.int64)
    except (OSError, ValueError, KeyError):
        return None
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    topics = tuple(Topic(name, intent) for name, intent in given["topics"])
    lines = tuple((words, marked) for words, marked in given["lines"])
    return Examples(
        topics, lines, of_line, vectors, {text: frozenset(names) for text, names in given["replies"].items()}
    )


class TalkGuard:
    """See the module."""

    def __init__(
        self, examples: Examples | None, encoder: SentenceEncoder | None, *, near: float | None = None
    ) -> None:
        """`near` replaces both thresholds (0: the nearest topic, however far)."""
        self._examples, self._encoder = examples, encoder
        self._said, self._asked = (NEAR_SAID, NEAR_ASKED) if near is None else (near, near)

    def near(self, text: str, *, asked: bool = False) -> Near | None:
        """The example a turn resembles, or None where it resembles none (or there is no encoder). `asked`: the turn is
        a question without an answer."""
        if self._examples is None or self._encoder is None or len(text.split()) > 24:
            return None
        near = self._examples.vectors @ self._encoder.encode([text.lower().strip(" .!?")])[0]
        best = int(np.argmax(near))
        topic = self._examples.topics[self._examples.of_line[best]]
        return (
            Near(topic, *self._examples.lines[best]) if near[best] >= (self._asked if asked else self._said) else None
        )

    def objection(self, intent: str, topic: str, own: str) -> str:
        """ "another subject" when a sentence of the reply was not written for a turn of this intent or topic. A
        sentence that holds a reference is about the turn already, and a mood's colour goes with everything but small
        talk."""
        if self._examples is None:
            return ""
        fitting = {topic} if topic else {intent, COLOUR}
        for part in re.split(r"(?<=[.!?])\s+", own):
            sentence = bare(part)
            if (
                sentence.strip("… ")
                and "…" not in sentence
                and not fitting & self._examples.replies.get(sentence, _NONE)
            ):
                return "another subject"
        return ""


def bare(text: str) -> str:
    """A sentence reduced to its words, references as "…"."""
    return re.sub(r"[^a-z'… ]", "", text.lower()).strip()
