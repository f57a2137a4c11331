"""Train the text half of the end-of-turn detector: which words may end a turn.

Turns of recorded or typed dialogue are cut where people pause inside a turn (at commas, before conjunctions, clauses
and phrases, after fillers, and sometimes anywhere) and where they end. Punctuation only chooses the places; the model
sees bare lower-case words, as from a recogniser.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.sparse

from npc.conversation.endpointing.text import features, words_of
from npc.phonetics.wordclass import word_class
from npc.training import endpointing_sentences

#: How often a pause falls at each kind of place, relative to the end of the turn (weight 1).
WEIGHTS = {
    "comma": 0.6, "sentence": 0.15, "clause": 0.8, "phrase": 0.5, "filler": 1.0, "anywhere": 0.25, "answer": 0.03,
}  # fmt: skip
_OPENERS = frozenset({"coordinator", "subordinator", "wh", "so"})
_PHRASES = frozenset({"preposition", "to", "say"})
_ANSWERS = frozenset({"yesno", "polite"})
Sample = tuple[Sequence[str], int, float]


def turns(corpus: Path) -> Iterator[str]:
    """Turns of every `*.jsonl.gz` in the folder whose records hold `turns` as [speaker, text] pairs. Raises
    FileNotFoundError where there is no such file."""
    paths = sorted(corpus.glob("*.jsonl.gz"))
    if not paths:
        raise FileNotFoundError(f"{corpus}: no *.jsonl.gz there to learn from")
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                for turn in json.loads(line).get("turns") or ():
                    if isinstance(turn, list) and len(turn) == 2 and isinstance(turn[1], str):
                        yield turn[1]


def speakable(text: str) -> bool:
    """A turn a player could say: 3 to 16 plain words."""
    words = words_of(text)
    return 3 <= len(words) <= 16 and text.isascii() and not any(mark in text for mark in '()[]*_~/\\<>&%$#"')


def samples(text: str, rng: np.random.Generator) -> Iterator[Sample]:
    """(words so far, 1 at the end of the turn else 0, weight) of one turn."""
    pieces = re.split(r"([.?!,;:]+(?:\s|$))", text)
    words: list[str] = []
    breaks: dict[int, str] = {}
    for piece in pieces:
        if re.fullmatch(r"[.?!,;:]+(?:\s|$)", piece):
            breaks[len(words)] = "sentence" if set(piece) & set(".?!") else "comma"
        else:
            words += words_of(piece)
    if not 1 <= len(words) <= 40:
        return
    for at in range(1, len(words)):
        kind = breaks.get(at)
        if all(word_class(word) in _ANSWERS for word in words[:at]):
            # "Yes, I do" is typed with a comma and spoken without a pause; "Yes" alone is an answer.
            kind = "answer"
        elif kind is None:
            here, after = word_class(words[at - 1]), word_class(words[at])
            kind = (
                "filler"
                if here == "filler"
                else "clause"
                if after in _OPENERS
                else "phrase"
                if after in _PHRASES or here == "say"
                else "anywhere"
            )
        if rng.random() < WEIGHTS[kind]:
            yield words[:at], 0, 1.0
    yield words, 1, 1.0


def misheard(words: Sequence[str], rng: np.random.Generator, vocabulary: Sequence[str]) -> list[str]:
    """The words as the embedded recogniser hands them over on a bad day: 22 % replaced by others, 4 % lost."""
    kept = []
    for word in words:
        fate = rng.random()
        if fate < 0.22:
            kept.append(vocabulary[int(rng.integers(len(vocabulary)))])
        elif fate < 0.96:
            kept.append(word)
    return kept or [vocabulary[0]]


def half_misheard(data: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
    """Every second sample misheard; wrong words are as frequent as in the samples themselves."""
    vocabulary = [word for words, _, _ in data[::5] for word in words]
    return [
        (misheard(words, rng, vocabulary), label, weight) if number % 2 else (words, label, weight)
        for number, (words, label, weight) in enumerate(data)
    ]


def drawn_samples(count: int, rng: np.random.Generator) -> Iterator[Sample]:
    """Samples of turns from our grammars, cut at their bars."""
    for _ in range(count):
        pieces = endpointing_sentences.draw(rng).split("|")
        words = words_of(" ".join(pieces))
        yield words, 1, 1.0
        before = 0
        for piece in pieces[:-1]:
            before += len(words_of(piece))
            yield words[:before], 0, 1.0


def train(
    data: Sequence[Sample], minimum: int = 12, penalty: float = 3e-5, keep: int = 4000
) -> tuple[dict[str, float], float]:
    """Weights and bias of a logistic regression in which both classes weigh the same; the `keep` largest weights."""
    seen: Counter[str] = Counter()
    rows = []
    for words, _, _ in data:
        names = features(words)
        seen.update(names)
        rows.append(names)
    index = {name: number for number, name in enumerate(sorted(name for name, n in seen.items() if n >= minimum))}
    columns = [[index[name] for name in names if name in index] for names in rows]
    pointers = np.cumsum([0, *map(len, columns)])
    flat = np.fromiter((column for row in columns for column in row), dtype=np.int32)
    matrix = scipy.sparse.csr_matrix((np.ones(flat.size), flat, pointers), shape=(len(rows), len(index)))
    truth = np.array([label for _, label, _ in data], dtype=np.float64)
    weight = np.array([w for _, _, w in data])
    weight[truth == 1] /= weight[truth == 1].sum()
    weight[truth == 0] /= weight[truth == 0].sum()

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        logit = matrix @ theta[:-1] + theta[-1]
        p = 1.0 / (1.0 + np.exp(-logit))
        value = weight @ (np.logaddexp(0.0, logit) - truth * logit) + penalty * theta[:-1] @ theta[:-1]
        slope = weight * (p - truth)
        return float(value), np.append(matrix.T @ slope + 2 * penalty * theta[:-1], slope.sum())

    found = scipy.optimize.minimize(
        loss, np.zeros(len(index) + 1), jac=True, method="L-BFGS-B", options={"maxiter": 200}
    )
    theta = found.x
    order = sorted(index, key=lambda name: -abs(theta[index[name]]) * np.sqrt(seen[name]))[:keep]
    return {name: round(float(theta[index[name]]), 2) for name in sorted(order)}, round(float(theta[-1]), 3)
