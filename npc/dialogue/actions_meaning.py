"""How near a request is in meaning to an action, its verbs, and things or choices, by plain sentence vectors."""

from __future__ import annotations

from collections.abc import Sequence

from npc.dialogue.actions_bans import opposed
from npc.dialogue.actions_request import groups_of
from npc.dialogue.actions_words import sentence
from npc.dialogue.character import ActionSpec
from npc.dialogue.emotion_reading import Encoder
from npc.dialogue.knowledge.words import STOPWORDS, tokens

#: Nearness of two verbs ("to lift", "to raise") that counts as the same deed.
SAME_VERB = 0.65


class Meaning:
    """Nearness by vectors; nothing is near anything without an encoder."""

    def __init__(self, specs: Sequence[ActionSpec], encoder: Encoder | None) -> None:
        self._encoder = encoder
        lines = [(spec.name, text) for spec in specs for text in (sentence(spec), *spec.phrases)]
        self._lines = tuple(name for name, _ in lines)
        self._vectors = encoder.encode([text for _, text in lines]) if encoder is not None and lines else None

    def verb(self, own: frozenset[str], asked: tuple[str, ...]) -> float:
        """0.7 when a verb the lists do not join means nearly the same ("lift" and "raise"), else 0."""
        if self._encoder is None or not asked[0] or not own:
            return 0.0
        mine = sorted(verb for verb in own if not opposed(groups_of(verb), groups_of(asked[0])))
        if not mine:
            return 0.0
        vectors = self._encoder.encode([f"to {verb}" for verb in (asked[0], *mine)])
        return 0.7 if float((vectors[1:] @ vectors[0]).max()) >= SAME_VERB else 0.0

    def deed(self, name: str, text: str) -> float:
        if self._encoder is None or self._vectors is None:
            return 0.0
        likeness = self._vectors @ self._encoder.encode([text])[0]
        mine = [float(likeness[i]) for i, line in enumerate(self._lines) if line == name]
        return max(mine)

    def near(self, text: str, others: Sequence[tuple[str, str]]) -> Sequence[float]:
        """Nearness in meaning, the mean of two: of single words ("fiddle", "violin case"; those of a name whole, of a
        description less), and of the whole request to name and description ("glass thing", "magnifier: a lens")."""
        said = [word for word in dict.fromkeys(tokens(text)) if word not in STOPWORDS]
        if self._encoder is None or not said:
            return [0.0] * len(others)
        vectors = self._encoder.encode(said)
        wholes = [f"{name}: {description}" if description else name for name, description in others]
        whole = self._encoder.encode(wholes) @ self._encoder.encode([text])[0]
        found = []
        for (name, description), near in zip(others, whole, strict=True):
            best = 0.0
            for words, weight in ((tokens(name), 1.0), (tokens(description), 0.85)):
                topical = [word for word in words if word not in STOPWORDS]
                if topical:
                    best = max(best, weight * float((vectors @ self._encoder.encode(topical).T).max()))
            found.append((best + float(near)) / 2)
        return found
