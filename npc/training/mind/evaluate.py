"""What an exported model does, measured on our own core as the running mind uses it: `… evaluate FOLDER`.

Two corners: player lines and things seen in training, and those held out by construction. For each:

    references     replies whose references are exactly those needed, decoded greedily *without* the grammar
    on_subject     small talk (the prompt does not say its topic): replies all of whose known sentences belong to it
    new            replies with a sentence that was never written: put together by the model
    mood           replies with a sentence written for certain moods: the mood is one of them
    accepted       replies that pass `check.objection` at the first try
    distinct_2, repeated      over the replies of one split, the player lines drawn at random

Beside them the nearest written example by the sentence encoder (`nearest`), which picks a topic as a reply retriever
would, and the share of the largest topic.

`talk` is small talk through the whole composed mind: the lines of `phrasings/unseen.txt`, with the model and without.
`on_subject` is the share of replies written for the line's topic, `stock` of those that only say "I see" or "I don't
know".
"""

from __future__ import annotations

import itertools
import random
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from npc.dialogue.character import Character
from npc.dialogue.composed import phrases
from npc.dialogue.context import Context
from npc.dialogue.interface import PlayerTurn
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.realiser.check import objection
from npc.dialogue.realiser.grammar import Bounds, ReferenceGrammar
from npc.dialogue.realiser.model import DialogueModel
from npc.dialogue.realiser.open import composer
from npc.dialogue.realiser.render import render
from npc.dialogue.realiser.talk import TalkGuard, bare, read_examples
from npc.inference.encoder import encoder_status, load_encoder
from npc.inference.interface import Sampling
from npc.training.mind.episodes import episode
from npc.training.mind.natural import Turn
from npc.training.mind.phrasings import Line, sections

_REFERENCE = re.compile(r"<([ewvc])><#(\d)>")
_VALUES = {"c": "the mill stands by the river", "e": "the lamp", "w": "costs", "v": "two coins", "n": "your dog"}


def evaluate(folder: Path, *, turns: int = 400, seed: int = 7) -> dict[str, Any]:
    """The table of a model folder. Raises CheckpointError."""
    model = DialogueModel(folder)
    try:
        corners = (("seen", False), ("held_out", True))
        table: dict[str, Any] = {name: _split(model, turns, seed, held_out) for name, held_out in corners}
    finally:
        model.close()
    return table | {"talk": {"with": _talk(str(folder), seed), "without": _talk("off", seed)}}


_CARD = {
    "id": "nobody", "name": "Nobody Inparticular", "role": "keeper of a small shop",
    "biography": "I keep a small shop.", "speaking_style": "Plain.",
    "facts": [{"id": "shop", "text": "The shop opens at nine."}],
}  # fmt: skip


def _talk(wording: str, seed: int) -> dict[str, Any]:
    """Every unseen line as the first turn of a talk, with one character that knows next to nothing."""
    encoder = load_encoder() if encoder_status().available else None
    character = Character.model_validate(_CARD)
    responder = composer(wording)(character, Knowledge(character, encoder=encoder), None)
    written, texts, subject, stock = _written(), list[str](), 0, 0
    lines = (files("npc.training.mind") / "phrasings" / "unseen.txt").read_text("utf-8").splitlines()
    pairs = [line.split(": ", 1) for line in lines if line and not line.startswith("#")]
    for number, (topic, line) in enumerate(pairs):
        said = PlayerTurn(f"t{number}", line, spoken=False)
        text = responder.compose(Context(said, seed=seed)).text
        texts.append(text)
        sentences = [bare(part) for part in re.split(r"(?<=[.!?])\s+", text)]
        subject += any(f"talk/{topic}" in written.get(s, (set(), set()))[0] for s in sentences)
        stock += text in phrases.HEARD or text in phrases.UNKNOWN or "intents/unknown" in str(
            [written.get(s, (set(), set()))[0] for s in sentences])  # fmt: skip
    return {
        "n": len(texts), "on_subject": round(subject / len(texts), 4), "stock": round(stock / len(texts), 4),
        "distinct_2": _distinct(texts), "repeated": round(1 - len(set(texts)) / len(texts), 4),
    }  # fmt: skip


def _split(model: DialogueModel, count: int, seed: int, held_out: bool) -> dict[str, Any]:
    chance = random.Random(f"{seed}/{held_out}")
    drawn: list[Turn] = []
    while len(drawn) < count:
        # the first turn of an episode stands alone, as the model meets most turns
        drawn.append(episode(chance, turns=1, held_out=held_out)[0])
    written = _written()
    tally: Counter[str] = Counter()
    texts: list[str] = []
    for number, turn in enumerate(drawn):
        tally["references_of"] += 1
        tally["references"] += _references(_greedy(model, turn)) == _needed(turn)
        tokens = model.write(
            model.encode(turn.prompt.text()), _grammar(model, turn), zlib.crc32(f"{seed}/{number}".encode())
        )
        if tokens is None:
            continue
        values = {(part, i): text for part, text in _VALUES.items() for i in range(8)}
        said = render(tokens, values, "friend", model.vocabulary)
        why = objection(said, turn.prompt.intent, turn.prompt.polarity, words=model.words, said=())
        tally["accepted"] += not why
        texts.append(said.own)
        _judge(turn, said.own, written, tally)
    found = {name: _share(tally, name, name + "_of") for name in ("references", "on_subject", "new", "mood")}
    found |= {"accepted": round(tally["accepted"] / count, 4), "n": count}
    found |= {"distinct_2": _distinct(texts), "repeated": round(1 - len(set(texts)) / max(1, len(texts)), 4)}
    return found | _nearest(model, drawn)


def _judge(turn: Turn, own: str, written: dict[str, tuple[set[str], set[str]]], tally: Counter[str]) -> None:
    sentences = [bare(part) for part in re.split(r"(?<=[.!?])\s+", own) if bare(part).strip("… ")]
    known = [written[s] for s in sentences if s in written]
    tally["new_of"] += 1
    tally["new"] += len(known) < len(sentences)
    for _, moods in known:
        if moods:
            tally["mood_of"] += 1
            tally["mood"] += turn.prompt.mood in moods
    if turn.section.startswith("talk/"):
        tally["on_subject_of"] += 1
        tally["on_subject"] += bool(known) and all(turn.section in names for names, _ in known)


def _written() -> dict[str, tuple[set[str], set[str]]]:
    """Bare sentence -> sections it was written for, and the moods it is for (none: any)."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for file in ("colour", "intents", "talk"):
        for section in sections(file).values():
            for line in section.replies:
                for sentence in _bare_sentences(line):
                    names, moods = found.setdefault(sentence, (set(), set(line.moods)))
                    names.add(f"{file}/{section.name}")
                    if not line.moods:
                        moods.clear()
    return found


def _bare_sentences(line: Line) -> list[str]:
    text = re.sub(r"\{(\w+)\}", lambda m: "" if m[1] == "you" else "…", line.text)
    return [b for part in re.split(r"(?<=[.!?])\s+", text) if (b := bare(part)).strip("… ")]


def _needed(turn: Turn) -> set[tuple[str, str]]:
    return set(_REFERENCE.findall(turn.reply))


def _references(text: str) -> set[tuple[str, str]]:
    """The set of references, with thing, verb and value counted as the clause they make up."""
    return set(_REFERENCE.findall(text))


def _greedy(model: DialogueModel, turn: Turn) -> str:
    """The reply without any grammar; where the fact was told by its other form, as the expected form."""
    tokens = model.continue_freely(model.encode(turn.prompt.text()), Sampling(max_tokens=48))
    text = "".join(model.vocabulary.text[token] for token in tokens)
    needed, found = _needed(turn), _references(text)
    for frame in turn.prompt.frames:
        k = str(frame.index)
        forms: list[set[tuple[str, str]]] = [
            {("c", k)}, {(p, k) for p in frame.parts if p in "ev"}, {(p, k) for p in frame.parts if p in "ewv"}
        ]  # fmt: skip
        if found in forms and needed & set[tuple[str, str]]().union(*forms):
            return turn.reply
    return text


def _grammar(model: DialogueModel, turn: Turn) -> ReferenceGrammar:
    words = {(part, i): len(text.split()) for part, text in _VALUES.items() for i in range(8)}
    nouns = [int(k) for k in re.findall(r"<n><#(\d)>", turn.prompt.player)]
    return ReferenceGrammar(model.vocabulary, turn.prompt.frames, words, nouns=nouns, address=turn.prompt.address,
                            bounds=Bounds(1, 24))  # fmt: skip


def _nearest(model: DialogueModel, drawn: Sequence[Turn]) -> dict[str, Any]:
    talk = [turn for turn in drawn if turn.section.startswith("talk/")]
    largest = Counter(turn.section for turn in talk).most_common(1)
    found: dict[str, Any] = {"largest_topic": round(largest[0][1] / len(talk), 4) if talk else None}
    examples = read_examples(model.folder)
    if examples is not None and encoder_status().available:
        guard = TalkGuard(examples, load_encoder(), near=0.0)
        said = [re.sub(r"<[nex]>(<#\d>)?", " dog", turn.prompt.player) for turn in talk]
        right = [(near := guard.near(text)) is not None and f"talk/{near.topic.name}" == turn.section
                 for text, turn in zip(said, talk, strict=True)]  # fmt: skip
        found["nearest_on_subject"] = round(sum(right) / max(1, len(right)), 4)
    return found


def _share(tally: Counter[str], name: str, of: str) -> float | None:
    return round(tally[name] / tally[of], 4) if tally[of] else None


def _distinct(texts: Sequence[str]) -> float | None:
    pairs = [pair for text in texts for pair in itertools.pairwise(bare(text).split())]
    return round(len(set(pairs)) / len(pairs), 4) if pairs else None
