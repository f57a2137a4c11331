"""Written talks as questions of choice: what was said, what was said before, what could answer, and what does.

Every candidate is made as a mind makes it: parts of the facts, sentences of the biography, the card's name and role,
things in view, and what the player said earlier in the talk. Besides, every training character is told things by
players (`data/recalls*.txt`) and asked for them.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from npc.dialogue.character import Character
from npc.dialogue.composed.deeds import deed_candidates
from npc.dialogue.composed.features import Candidate
from npc.dialogue.composed.likeness import context_before
from npc.dialogue.composed.question import understand
from npc.dialogue.composed.sayings import sayings
from npc.dialogue.context import Exchange
from npc.dialogue.knowledge.facts import Fact
from npc.dialogue.knowledge.knowledge import authored_candidates
from npc.training.minds import Said, Written, load, read, record

#: Kinds of turns in which something is asked that a candidate, or nothing, answers.
ASKED = ("fact", "followup", "correction", "unknown", "memory", "self", "scene", "unlock", "secret")

#: Kinds of the questions made of `data/recalls*.txt`.
RECALLS = ("recalled", "untold")

#: Kinds in which nothing is asked: a deed is wanted, or the words only strike the character.
DONE = ("action", "action_refused", "emotion", "smalltalk", "injection")

#: Sayings of `data/recalls*.txt` told to a training character, asked for, and asked for without having been told.
TOLD, RECALLED, UNTOLD = 14, 12, 4
#: A saying is told only to characters of its own sixth, so that two, three or six folds by character part them too.
_SIXTHS = 6

#: Characters of `minds/train_N.txt` that no encoder learns from are those of these files, and from the first that any
#: third is left out of, of every file whose number three divides.
_LEFT_OUT, _THIRDS_FROM = frozenset((104, *range(106, 112), 114)), 122

#: First questions anybody asks, by the card candidate that answers; `{}` varies the words around them.
_FIRST = {
    "card/name": (
        "What's your name?", "Who are you?", "And you are?", "what do they call you", "who am i talking to",
        "Sorry, I didn't catch your name.", "I don't think we've met. You're...?", "What should I call you?",
    ),
    "card/role": (
        "What do you do here?", "what's your job", "What is it you do exactly?", "And what are you, then?",
        "What line of work are you in?", "Do you work here?", "What's your trade?", "what are you meant to be",
    ),
    "card/age": (
        "How old are you?", "what age are you", "How old might you be, if you don't mind me asking?",
        "When were you born?", "You don't look a day over thirty. How old are you really?",
    ),
    "scene/place": (
        "Where are we?", "What is this place?", "where am i", "I'm lost. Where is this?", "What's this place called?",
        "Where exactly have I ended up?",
    ),
    "scene/time": (
        "What time is it?", "have you got the time", "What's the hour?", "Is it late?", "what time do you make it",
        "What day is it today?",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """One turn: the exchange before it, the words, indices of right candidates ((): nothing answers), and its kind.

    `candidates` are the world's own, then what the player said before; `earlier` are the earlier player turns. `before`
    is made as the mind makes it (`composed.likeness.context_before`); `leaned` is the exchange a follow-up leans on,
    and `leaning` the key of what was told in it.
    """

    world: str
    kind: str
    before: tuple[str, str]
    text: str
    candidates: tuple[Candidate, ...]
    right: tuple[int, ...]
    leaning: str = ""
    earlier: tuple[str, ...] = ()
    leaned: tuple[str, str] = ("", "")


def written_minds() -> dict[str, list[Written]]:
    """Training and development characters; the small worlds of `answers.txt` and `near_*.txt` are training characters
    too. Held characters are met in `npc bench mind` alone."""
    folder = files("npc.training") / "data"
    names = sorted(entry.name for entry in folder.iterdir() if re.fullmatch(r"(answers|near_\d+)\.txt", entry.name))
    small = [world for name in names for world in small_worlds((folder / name).read_text("utf-8"), name)]
    return {"train": [*load("train"), *small], "dev": load("dev")}


def left_out() -> frozenset[str]:
    """Ids of the training characters that the shipped encoder never learns from. It is judged on them, and what chooses
    by its scores (answers, deeds, arguments) learns from them alone: of a character that the encoder learnt, its scores
    are better than of any character it will meet."""
    folder = files("npc.training") / "data" / "minds"
    found = []
    for entry in folder.iterdir():
        numbered = re.fullmatch(r"train_(\d+)\.txt", entry.name)
        if numbered and _is_left_out(int(numbered[1])):
            found.append(entry)
    return frozenset(mind.id for entry in found for mind in read(entry.read_text("utf-8"), entry.name))


def _is_left_out(number: int) -> bool:
    return number in _LEFT_OUT or (number >= _THIRDS_FROM and number % 3 == 0)


def small_worlds(text: str, name: str = "text") -> list[Written]:
    """Worlds of a few facts without labelled words: `C name | role | place | time` (or W), then F, B, S and P lines.

    A talk is a run of P lines, or ends at `-`. An answer is a fact number, +N for one that leans on the turn before,
    bN (biography), sN (thing in view) or ? (nothing known). Raises ValueError naming the line.
    """
    worlds: list[Written] = []
    fresh = True
    for number, line in enumerate(text.splitlines(), 1):
        mark, _, rest = line.partition(" ")
        rest = rest.strip()
        try:
            if mark in ("C", "W"):
                who, role, place, time = (part.strip() for part in rest.split("|"))
                slug = re.sub(r"[^a-z0-9]+", "-", who.lower()).strip("-")
                worlds.append(Written(slug, who, "they", 40, role, place, time))
            elif mark == "F":
                worlds[-1].facts.append((rest, None))
            elif mark == "B":
                worlds[-1].biography.append(rest if rest.endswith((".", "!", "?")) else rest + ".")
            elif mark == "S":
                thing, _, description = rest.partition(":")
                entity = {"id": f"s{len(worlds[-1].scene) + 1}", "kind": "thing", "name": thing.strip()}
                worlds[-1].scene.append(entity | {"description": description.strip()})
            elif mark == "P":
                if fresh:
                    worlds[-1].talks.append([])
                said, arrow, answer = rest.rpartition(" => ")
                if not arrow:
                    raise ValueError("a P line needs ' => answer'")
                worlds[-1].talks[-1].append(_small_said(said.strip(), answer.strip(), worlds[-1]))
            elif mark not in ("", "-", "#"):
                raise ValueError(f"unknown mark {mark!r}")
        except (ValueError, IndexError) as error:
            raise ValueError(f"{name}, line {number}: {error}") from error
        fresh = mark != "P"
    for world in worlds:
        # A character file wants a life; one that only holds facts has its role.
        world.biography = world.biography or [f"{world.name} is {world.role} here."]
    return worlds


def _small_said(text: str, answer: str, world: Written) -> Said:
    if answer == "?":
        return Said(text, "unknown")
    if answer.startswith("b"):
        return Said(text, "self", words=((world.biography[int(answer[1:]) - 1],),))
    if answer.startswith("s"):
        return Said(text, "scene", words=((world.scene[int(answer[1:]) - 1]["name"],),))
    fact = int(answer.removeprefix("+"))
    if not 1 <= fact <= len(world.facts):
        raise ValueError(f"there is no fact {fact}")
    return Said(text, "followup" if answer.startswith("+") else "fact", fact)


def character_of(mind: Written) -> Character:
    """The character file this writing would be."""
    line = record(mind)
    card = line["card"]
    return Character.model_validate(
        {
            "id": line["id"], "name": card["name"], "role": card["role"], "biography": card["backstory"],
            "age": card["age"], "pronouns": mind.pronoun, "facts": line["facts"], "actions": line["actions"],
            "scene": line["scene"], "speaking_style": card["speaking_style"],
        }
    )  # fmt: skip


def fold_of(world: str, folds: int) -> int:
    """Which fold a character belongs to: by its id, so that adding others moves nobody."""
    return zlib.crc32(world.encode()) % _SIXTHS % folds


def choices_of(mind: Written, *, recalls: bool = False) -> Iterator[Choice]:
    """Every turn that asks, in order, with what stands to choose. `recalls`: also questions for what players told of
    themselves (for training characters only)."""
    character = character_of(mind)
    own = (*authored_candidates(character), *deed_candidates(character.actions))
    asked: list[Choice] = []
    for talk in mind.talks:
        earlier: list[str] = []
        talked: list[Exchange] = []
        leaning = ""
        for said in talk:
            told = [Candidate(f"said/{i}", text, "said") for i, text in enumerate(sayings(earlier))]
            pool = (*own, *told)
            before, leaned = context_before(talked), _leaned(talked)
            reply = ""
            if said.kind in ASKED:
                right = _right(said, pool)
                if right is not None:
                    asked.append(
                        Choice(mind.id, said.kind, before, said.text, pool, right, leaning, tuple(earlier), leaned)
                    )
                    yield asked[-1]
                reply = pool[right[0]].text if right else ""
                leaning = pool[right[0]].key if right else leaning
            elif said.kind in DONE:
                done = _done(said, pool)
                yield Choice(mind.id, said.kind, before, said.text, pool, done, leaning, tuple(earlier))
            told_fact = said.kind in ASKED and right and pool[right[0]].fact_id
            talked.append(Exchange(said.text, reply, fact_ids=(told_fact,) if told_fact else ()))
            earlier.append(said.text)
    for key, phrasings in _FIRST.items():
        at = next((i for i, candidate in enumerate(own) if candidate.key == key), None)
        for phrasing in phrasings if at is not None else ():
            yield Choice(mind.id, "first", ("", ""), phrasing, own, (at,) if at is not None else ())
    if recalls:
        yield from _recalled(mind.id, own, [choice.before for choice in asked])


def _leaned(talked: Sequence[Exchange]) -> tuple[str, str]:
    """The last of three exchanges that asked or told something, as `composed.responder` finds it."""
    for exchange in reversed(talked[-3:]):
        question = understand(exchange.player)
        if question.asking or question.corrected or exchange.fact_ids:
            return exchange.player, exchange.reply
    return ("", "")


@lru_cache(maxsize=1)
def recalls() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(what a player told, questions for it) of `data/recalls*.txt`."""
    found = []
    folder = files("npc.training") / "data"
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("recalls")):
        for line in (folder / name).read_text("utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                saying, _, questions = line.partition(" => ")
                found.append((saying.strip(), tuple(question.strip() for question in questions.split(" / "))))
    return tuple(found)


def _recalled(world: str, own: Sequence[Candidate], befores: Sequence[tuple[str, str]]) -> Iterator[Choice]:
    """Questions for things told to this character among others told, and for things never told: kinds "recalled" and
    "untold"."""
    chance = random.Random(zlib.crc32(world.encode()))
    mine = [pair for pair in recalls() if fold_of(pair[0], _SIXTHS) == fold_of(world, _SIXTHS)]
    chance.shuffle(mine)
    told = [(sayings([saying]) or [saying], questions) for saying, questions in mine[:TOLD]]
    pieces = [(number, piece) for number, (said, _) in enumerate(told) for piece in said]
    pool = (*own, *(Candidate(f"said/{i}", piece, "said") for i, (_, piece) in enumerate(pieces)))
    asked = [*(questions for _, questions in told[:RECALLED]), *(q for _, q in mine[TOLD : TOLD + UNTOLD])]
    for number, questions in enumerate(asked):
        before = chance.choice(befores) if befores else ("", "")
        known = number < min(RECALLED, len(told))
        right = tuple(len(own) + i for i, (whose, _) in enumerate(pieces) if whose == number) if known else ()
        yield Choice(world, "recalled" if right else "untold", before, chance.choice(questions), pool, right)


def _right(said: Said, pool: Sequence[Candidate]) -> tuple[int, ...] | None:
    """Indices of the candidates that answer; () when nothing does; None when the label fits no candidate."""
    if said.kind == "unknown":
        return ()
    if said.fact is not None:
        whole = [i for i, c in enumerate(pool) if c.fact_id == f"f{said.fact}"]
        telling = [i for i in whole if said.words and _holds(pool[i].text, said.words)]
        return tuple(telling or whole)
    origin = {"memory": "said", "self": "self", "scene": "scene"}.get(said.kind)
    found = tuple(i for i, c in enumerate(pool) if c.origin == origin and _holds(c.text, said.words))
    if said.kind == "self" and not found:
        found = tuple(i for i, c in enumerate(pool) if c.about_self and _holds(c.text, said.words))
    return found or None


def _done(said: Said, pool: Sequence[Candidate]) -> tuple[int, ...]:
    """The deed asked for, the rule against it, or nothing."""
    if said.action is not None:
        return tuple(i for i, c in enumerate(pool) if c.key == f"deed/{said.action[0]}")
    return tuple(i for i, c in enumerate(pool) if said.fact is not None and c.fact_id == f"f{said.fact}")


def _holds(text: str, groups: Sequence[Sequence[str]]) -> bool:
    plain = text.lower().replace("-", " ")

    def said(word: str) -> bool:
        wanted = word.rstrip(".").lower().replace("-", " ")
        return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", plain) is not None

    return bool(groups) and all(any(said(word) for word in group) for group in groups)


def guarded_facts(mind: Written) -> tuple[Fact, ...]:
    """The facts of a writing with a condition on them."""
    return tuple(Fact(f"f{i}", text, "card", secret=True) for i, (text, c) in enumerate(mind.facts, 1) if c is not None)
