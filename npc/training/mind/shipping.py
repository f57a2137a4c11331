"""What goes beside the weights: the words the model may say, and the small-talk examples with their vectors."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np

from npc.dialogue.realiser.talk import COLOUR, bare
from npc.inference.encoder import encoder_status, load_encoder
from npc.training.mind.distil import read_turns
from npc.training.mind.episodes import CLAUSES, SAID_NO, SAID_YES, TOOK_BACK
from npc.training.mind.natural import read_pairs
from npc.training.mind.phrasings import expansions, sections
from npc.training.mind.words import KIN, THINGS

#: Spellings of one player line whose vectors are kept.
_PER_LINE = 4


def write_words(out: Path, data: Path | None = None, teacher: Path | None = None) -> int:
    """`words.txt`: every word of every reply the model was trained on, one a line. Returns how many."""
    lines = [line.text for name in ("colour", "facts", "intents", "talk") for s in sections(name).values()
             for line in s.replies]  # fmt: skip
    lines += [pair.reply for pair in read_pairs(data)]
    lines += [re.sub(r"<[^>]*>", " ", turn.reply) for turn in read_turns(teacher)]
    lines += [*SAID_YES, *SAID_NO, *TOOK_BACK, *CLAUSES]
    words = sorted(set(re.findall(r"[a-z']+", re.sub(r"\{\w+\}", "", " ".join(lines)).lower())))
    (out / "words.txt").write_text("\n".join(words) + "\n", "utf-8")
    return len(words)


def write_examples(out: Path, seed: int = 1, kept: Path | None = None) -> int:
    """`talk.json` and `talk.npz`: training lines of every topic with their int8 vectors. Returns how many; none (and no
    files) without the sentence encoder. In the folder `kept` they are looked for first: a thousand sentences take the
    encoder some seconds."""
    if not encoder_status().available:
        return 0
    source = repr([(name, lines) for name, lines in _written()]).encode()
    source += (files("npc.training.mind") / "phrasings" / "talk.txt").read_bytes()
    place = kept / f"talk-{hashlib.sha256(source + bytes([seed % 256])).hexdigest()[:12]}" if kept is not None else None
    if place is not None and (place / "talk.npz").is_file():
        for name in ("talk.json", "talk.npz"):
            shutil.copy(place / name, out / name)
        return len(json.loads((out / "talk.json").read_text("utf-8"))["lines"])
    encoder, chance = load_encoder(), random.Random(f"{seed}/examples")
    talk = list(sections("talk").values())
    texts, marked, of_line = [], [], []
    for number, section in enumerate(talk):
        for line in section.players(held_out=False):
            spelt = expansions(line)
            for text in chance.sample(spelt, min(_PER_LINE, len(spelt))):
                thing, kin = f"the {chance.choice(THINGS)}", chance.choice(KIN)
                texts.append(_filled(text, thing, kin))
                marked.append(_filled(text, thing, "<n>").replace(" <n>", "<n>"))
                of_line.append(number)
    vectors = encoder.encode(texts)
    np.savez_compressed(out / "talk.npz", vectors=np.round(vectors * 127 / np.abs(vectors).max()).astype(np.int8),
                        topic=np.array(of_line, np.int16))  # fmt: skip
    replies: dict[str, list[str]] = {}
    for name, lines in _written():
        for sentence in sorted(_sentences(lines)):
            replies.setdefault(sentence, []).append(name)
    topics = [[section.name, section.intent] for section in talk]
    told = {"topics": topics, "lines": list(zip(texts, marked, strict=True)), "replies": replies}
    (out / "talk.json").write_text(json.dumps(told, ensure_ascii=False) + "\n", "utf-8")
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
        for name in ("talk.json", "talk.npz"):
            shutil.copy(out / name, place / name)
    return len(texts)


def _filled(text: str, thing: str, kin: str) -> str:
    words = {"E": thing, "M": kin, "D": "<d>"}
    return " ".join(words.get(word, word) for word in text.split())


def _written() -> Iterator[tuple[str, list[str]]]:
    """(intent, topic or "colour", every reply written for it)."""
    for file in ("intents", "talk", "colour"):
        for section in sections(file).values():
            yield COLOUR if file == "colour" else section.name, [line.text for line in section.replies]
    yield "fact", [*SAID_YES, *SAID_NO, *TOOK_BACK, *CLAUSES]


def _sentences(lines: Iterable[str]) -> set[str]:
    texts = (re.sub(r"\{(\w+)\}", lambda m: "" if m[1] == "you" else "…", line) for line in lines)
    return {bare(part) for text in texts for part in re.split(r"(?<=[.!?])\s+", text) if part}
