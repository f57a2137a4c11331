"""Distillation: any OpenAI-compatible teacher answers prompts of our episodes, and its replies become training turns.

    python -m npc.training.mind distil --url http://127.0.0.1:11434/v1 --model NAME --count 2000 --out teacher.jsonl
    python -m npc.training.mind train --teacher teacher.jsonl …

The teacher sees what the small model sees, in plain words: mood, manner, the kind of turn, the player's words, and
placeholders such as FACT1 for what may be told. A reply is kept when it uses exactly the placeholders it should, names
nobody, has no number and stays within 25 words; the share refused is reported by reason. Nothing of a character's
secrets is in it: episodes are synthetic.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from npc.dialogue.realiser.contract import Frame, Prompt
from npc.inference.interface import LanguageModel, Message, Sampling
from npc.training.mind.natural import Turn

#: Requests at once: a local server answers a few in parallel, a remote one limits them anyway.
AT_ONCE = 4
_SYSTEM = (
    "You write one line of dialogue for a character in a game. Answer the player in at most 20 words, in character, "
    "in plain spoken English. Use each placeholder that is given exactly as spelt and exactly once; it stands for "
    "words put in later. Invent no names, numbers, places or facts. Write the line only, without quotation marks."
)
_WHAT = {
    "fact": "answers a question by telling FACT", "self": "says FACT about themselves", "unknown": "admits not knowing",
    "locked": "will not talk about that", "injection": "does not understand such orders", "refused": "refuses to do it",
    "refused_why": "refuses and gives the reason", "do": "agrees to do it", "hand": "hands over THING",
    "point": "points at THING", "scene": "names THING", "name": "recalls the player's name VALUE",
    "told": "recalls what the player said", "forgotten": "does not remember being told", "hello": "greets",
    "feel": "says how they feel", "heard": "reacts to what the player says", "chat": "answers small talk",
}  # fmt: skip
_HOLDERS = {"c": "FACT", "e": "THING", "v": "VALUE", "n": "THEIRS"}


def request_of(prompt: Prompt) -> tuple[Message, ...]:
    """The prompt in words for a teacher."""
    does = _WHAT.get(prompt.intent, f"reacts to {prompt.intent.replace('_', ' ')}")
    lines = [f"The character speaks in a {prompt.manner} manner, feels {prompt.mood}, and {does}."]
    if prompt.polarity:
        lines.append({"yes": "The answer is yes.", "no": "The answer is no."}.get(
            prompt.polarity, "The character misunderstood before and takes that back."))  # fmt: skip
    holders = placeholders(prompt)
    if holders:
        lines.append(f"Placeholders to use: {', '.join(holders)}.")
    words = prompt.player
    for mark, name in ((r"<n><#(\d)>", r" THEIRS\1"), (r"<[ewvc]><#(\d)>", r" the thing"), (r"<x>", " somebody"),
                       (r"<d>", " some number")):  # fmt: skip
        words = re.sub(mark, name, words)
    lines.append(f"The player says: {words.strip()}")
    return Message("system", _SYSTEM), Message("user", "\n".join(lines))


def placeholders(prompt: Prompt) -> Mapping[str, str]:
    """Placeholder -> the reference it stands for; those that must be used."""
    found: dict[str, str] = {}
    for frame in prompt.frames:
        part = _told_by(frame)
        found[f"{_HOLDERS[part]}{frame.index}"] = f"<{part}><#{frame.index}>"
    return found


def _told_by(frame: Frame) -> str:
    return "c" if "c" in frame.parts else frame.parts[0]


def accept(prompt: Prompt, reply: str) -> tuple[str, str]:
    """(the reply in contract text, "") or ("", why it is refused)."""
    text = re.sub(r"\s+", " ", reply.strip().strip("\"'“”").replace("’", "'"))
    holders = dict(placeholders(prompt))
    may = {f"THEIRS{k}": f"<n><#{k}>" for k in re.findall(r"<n><#(\d)>", prompt.player)}
    if any(text.count(name) != 1 for name in holders):
        return "", "placeholder missing or twice"
    if any(text.count(name) > 1 for name in may):
        return "", "placeholder missing or twice"
    for name, reference in {**holders, **may}.items():
        text = text.replace(name, reference)
    own = re.sub(r"<[evcn]><#\d>", "x", text)
    if len(own.split()) > 22:
        return "", "too long"
    if not re.fullmatch(r"[A-Za-z' ,.!?:;-]+", own) or re.search(r"\b[A-Z]{3,}", own):
        return "", "other characters or placeholders"
    if re.search(r"[^.!?:] (?!I\b)[A-Z]", own):
        return "", "a name"
    text = re.sub(r" +(<[evcn]><#\d>)", r"\1", text)
    return (text, "") if own[-1] in ".!?" else ("", "no full stop")


async def distil(teacher: LanguageModel, count: int, seed: int, out: Path) -> dict[str, object]:
    """Ask for `count` replies and write the accepted ones to `out`, those too that came before it broke off. Raises
    OSError at once when `out` cannot be written, ModelError when the teacher cannot be reached."""
    from npc.training.mind.episodes import episode  # here, because episodes draw on what this module reads

    chance = random.Random(f"{seed}/distil")
    prompts = [episode(chance, turns=1)[0].prompt for _ in range(count)]
    refused: Counter[str] = Counter()
    kept: list[Turn] = []
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, prompt: Prompt) -> None:
        async with gate:
            sampling = Sampling(max_tokens=60, temperature=0.9, seed=seed + number)
            said = "".join([token.text async for token in teacher.stream(request_of(prompt), sampling)])
        text, why = accept(prompt, said)
        if why:
            refused[why] += 1
        else:
            kept.append(Turn(prompt, text, "distilled"))
        print(f"\r{len(kept)} kept, {sum(refused.values())} refused of {count}", end="", file=sys.stderr, flush=True)

    await asyncio.to_thread(_write, out, kept)
    try:
        for at in range(0, count, 64):
            await asyncio.gather(*(one(at + i, prompt) for i, prompt in enumerate(prompts[at : at + 64])))
    finally:
        print(file=sys.stderr)
        await asyncio.to_thread(_write, out, kept)
    return {"asked": count, "kept": len(kept), "refused": dict(refused.most_common()), "teacher": teacher.name}


def _write(out: Path, kept: Sequence[Turn]) -> None:
    lines = [json.dumps({"prompt": asdict(turn.prompt), "reply": turn.reply}) for turn in kept]
    out.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def read_turns(path: Path | None) -> tuple[Turn, ...]:
    """The turns of a file written by `distil`, none when it is not given. Raises ValueError naming file and line."""
    if path is None:
        return ()
    found: list[Turn] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            given = json.loads(line)
            fields = {**given["prompt"]}
            fields["frames"] = tuple(Frame(**{**f, "parts": tuple(f["parts"])}) for f in fields["frames"])
            fields["nouns"] = tuple(fields["nouns"])
            found.append(Turn(Prompt(**fields), str(given["reply"]), "distilled"))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: not a turn of `distil`: {error}") from error
    return tuple(found)
