"""Synthetic episodes: several turns with one character, in the blocks of `npc.dialogue.realiser.contract`.

A turn's intent, mood, facts and the player's words are drawn; the reply is put together from written pieces that fit
intent, mood and manner, never the same piece twice in one episode. No name, number or fact is ever spelt in a reply.
What the model learns is which reference belongs where, how a mood sounds, which words open and close a reply, and, in
small talk, what the player is talking about: the intents "heard" and "chat" do not tell it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from npc.dialogue.realiser.contract import INDICES, MANNERS, Frame, Prompt, reference
from npc.protocol.names import EMOTIONS
from npc.training.mind.natural import NOTHING, Texts, Turn
from npc.training.mind.phrasings import Line, Section, expansions, sections
from npc.training.mind.words import CLOSERS, KIN, OPENERS, QUALITIES, THINGS, THINGS_HELD_OUT

PROMPT_WEIGHT, REPLY_WEIGHT, TAG_WEIGHT = 0.5, 3.0, 5.0

#: How often each intent is drawn; kinds of facts and topics of talk are drawn evenly within theirs.
_SHARES = {
    "fact": 26, "follow": 7, "self": 4, "unknown": 6, "locked": 4, "injection": 3, "refused": 2, "refused_why": 3,
    "do": 3, "hand": 2, "point": 1, "scene": 2, "name": 2, "told": 3, "forgotten": 2, "hello": 3, "thanks": 3,
    "goodbye": 2, "insult": 3, "praise": 3, "apology": 2, "threat": 2, "sympathy": 2, "bad_news": 3, "good_news": 3,
    "feel": 3, "protest": 2, "talk": 36, "natural": 7, "distilled": 12,
}  # fmt: skip
#: What a turn does to the mood, most often.
_STRIKES = {
    "insult": ("anger", "sadness", "disgust", "surprise", "anger"), "praise": ("joy", "pride", "joy", "trust"),
    "apology": ("trust", "relief", "anger", "neutral"), "threat": ("fear", "anger", "fear"),
    "sympathy": ("sadness", "trust", "relief"), "bad_news": ("sadness", "fear", "concern", "surprise", "concern"),
    "good_news": ("joy", "relief", "surprise", "joy"), "thanks": ("joy", "trust", "neutral"),
    "injection": ("curiosity", "anger", "neutral", "amusement"), "locked": ("concern", "fear", "anger", "neutral"),
}  # fmt: skip
SAID_YES = (
    "Yes.", "Indeed.", "That's right:", "True enough:", "Yes, that's so.", "So it is:", "Quite so.", "Yes indeed.",
    "You have it right:", "It's true:", "Aye.", "Yes, of course.",
)  # fmt: skip
SAID_NO = (
    "No.", "Not quite.", "No, I'm afraid.", "On the contrary:", "Not so.", "No, not that.", "That's not it:", "No, no.",
    "You've heard wrong:", "Not at all.",
)  # fmt: skip
TOOK_BACK = (
    "Ah, my mistake.", "Pardon me.", "I misheard.", "Right you are.", "You're right to correct me.", "Sorry, that's what you mean.",  # noqa: E501
    "Ah, so that was it.", "I took you wrong.", "Forgive me, I misunderstood.", "Oh, that one!", "I see now.",
)  # fmt: skip
#: A fact as a sentence. Bare is the rule: a frame that is heard twice is a tic.
_BARE = ("{c}.",) * 26
CLAUSES = (
    *_BARE, "{c}{you}.", "{c}{you}.", "{c}{you}.", "The way I know it, {c}.", "{c}, if you want it plain.",
    "It's simple: {c}.", "I can tell you this much: {c}.", "{c}. That's what I know.", "What I know is this: {c}.",
    "Here's the thing: {c}.", "As far as I know, {c}.", "You should know that {c}.",
    "I'd say it like this: {c}.", "{c}, as you'd expect.", "{c}, that's all.", "It's like this: {c}.",
    "I can answer that: {c}.", "{c}, to be exact.", "{c}, I promise you.",
    "{c}, and that's the truth.", "To cut it short: {c}.", "The plain truth: {c}.", "If you must know, {c}.",
)  # fmt: skip
_KNOWN_VERBS = {
    "costs", "cost", "is", "are", "was", "opens", "open", "begins", "starts", "closes", "close", "shuts", "ends",
    "sells for", "goes for", "comes to", "lies", "stands", "hangs", "leaves", "leave", "arrives", "comes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """Text with its loss weight."""

    text: str
    weight: float


def episode(chance: random.Random, *, turns: int = 12, held_out: bool = False, texts: Texts = NOTHING) -> list[Turn]:
    """Turns with one character. `held_out`: player lines and things never used in training, and no texts."""
    return list(_Episode(chance, held_out, NOTHING if held_out else texts).turns(turns))


def pieces(turns: Sequence[Turn]) -> Iterator[Piece]:
    """The episode as weighted text: prompts little, replies more, references and the end mark most."""
    for turn in turns:
        yield Piece(turn.prompt.text(), PROMPT_WEIGHT)
        for part in re.split(r"(<[ewvcn]><#\d>|<you>)", turn.reply):
            if part:
                yield Piece(part, TAG_WEIGHT if part.startswith("<") else REPLY_WEIGHT)
        yield Piece("<end>", TAG_WEIGHT)


class _Episode:
    def __init__(self, chance: random.Random, held_out: bool, texts: Texts) -> None:
        self._chance, self._held_out, self._texts = chance, held_out, texts
        self._things = THINGS_HELD_OUT if held_out else THINGS
        self._manner = chance.choice(("plain", "plain", *MANNERS))
        self._address = chance.random() < 0.5
        self._mood: str = "neutral" if chance.random() < 0.3 else chance.choice(EMOTIONS)
        self._used: list[str] = []
        empty = [name for name, given in (("natural", texts.pairs), ("distilled", texts.turns)) if not given]
        self._shares = {name: share for name, share in _SHARES.items() if name not in empty}
        self._entity = ""

    def turns(self, count: int) -> Iterator[Turn]:
        for number in range(count):
            if self._chance.random() < 0.3:
                self._mood = "neutral" if self._chance.random() < 0.3 else self._chance.choice(EMOTIONS)
            kind = self._chance.choices(list(self._shares), list(self._shares.values()))[0]
            if kind in _STRIKES and self._chance.random() < 0.8:
                self._mood = self._chance.choice(_STRIKES[kind])
            yield self._turn("fact" if kind == "follow" and number == 0 else kind)

    def _turn(self, kind: str) -> Turn:
        match kind:
            case "fact" | "follow":
                return self._fact(kind)
            case "self":
                return self._self()
            case "talk":
                return self._talk()
            case "natural":
                return self._from_text()
            case "distilled":
                return self._chance.choice(self._texts.turns)
            case "refused_why":
                return self._simple(kind, (self._clause(),))
            case "hand" | "point" | "scene":
                return self._simple(kind, (Frame(self._index(), ("e",)),))
            case "name":
                return self._simple(kind, (Frame(self._index(), ("v",)),))
            case "told":
                return self._simple(kind, (self._clause(),))
            case _:
                return self._simple(kind)

    # --- parts of a turn ---------------------------------------------------------------------------------------

    def _index(self) -> int:
        return self._chance.randrange(INDICES)

    def _clause(self) -> Frame:
        return Frame(self._index(), ("c",), long=self._chance.random() < 0.35)

    def _thing(self) -> str:
        """A thing in the player's mouth that is no reference: a word, two, or a name nobody knows."""
        if self._chance.random() < 0.25:
            return "<x>"
        word = self._chance.choice(self._things)
        if self._chance.random() < 0.25:
            word = f"{self._chance.choice(QUALITIES)} {word}"
        return self._chance.choice(("the ", "the ", "the ", "your ", "that ", "a ", "")) + word

    def _says(self, section: Section, entity: str | None = None, noun: int | None = None) -> str:
        """One of the section's player lines, with its slots filled and sometimes garbled."""
        line = self._chance.choice(expansions(self._chance.choice(section.players(self._held_out))))
        asked = " ".join(self._fill(word, entity, noun) for word in line.split())
        if self._chance.random() < 0.3:
            asked = f"{self._chance.choice(OPENERS)} {asked}"
        if self._chance.random() < 0.12:
            asked = f"{asked} {self._chance.choice(CLOSERS)}"
        return _tight(self._garbled(asked))

    def _fill(self, word: str, entity: str | None, noun: int | None) -> str:
        stem, mark, rest = word.partition("'")
        match stem:
            case "E":
                return (entity or self._thing()) + mark + rest
            case "M":
                return reference("n", noun) if noun is not None else self._chance.choice(KIN)
            case "D":
                return "<d>"
            case _:
                return word

    def _garbled(self, text: str) -> str:
        """As a recogniser may hear it: in one turn of ten a word is lost, doubled or another one."""
        words = text.split()
        if self._chance.random() > 0.1 or len(words) < 3:
            return text
        at = self._chance.randrange(len(words))
        if "<" in words[at]:
            return text
        words[at : at + 1] = self._chance.choice(
            ([], [words[at], words[at]], [self._chance.choice(self._things)], ["the"])
        )
        return " ".join(words)

    def _pick(self, lines: Sequence[Line]) -> str:
        """A line that fits mood and manner, not used before in this episode while others are left."""
        fitting = [
            (line, 1.0 + 4.0 * (self._mood in line.moods) + 4.0 * (self._manner in line.manners))
            for line in lines
            if (not line.moods or self._mood in line.moods) and (not line.manners or self._manner in line.manners)
        ]
        fresh = [(line, weight) for line, weight in fitting if line.text not in self._used] or fitting
        chosen = self._chance.choices([line for line, _ in fresh], [weight for _, weight in fresh])[0].text
        self._used.append(chosen)
        return chosen

    def _prompt(self, intent: str, player: str, frames: tuple[Frame, ...] = (), polarity: str = "") -> Prompt:
        return Prompt(self._mood, self._manner, intent, player, frames, polarity, self._address)

    def _dressed(self, core: str, *, lead: float, tail: float, opening: str = "") -> str:
        """The core with words before and after it, as mood and manner would have it."""
        colour = sections("colour")
        if opening:
            core = joined(opening, core)
        elif self._chance.random() < lead * (1.0 if self._mood != "neutral" else 0.5):
            core = joined(self._pick(colour["lead"].replies), core)
        if self._chance.random() < tail:
            core = f"{core} {self._pick(colour['tail'].replies)}"
        return core

    def _filled(self, text: str, values: dict[str, str]) -> str:
        values = {"you": "<you>" if self._address and self._chance.random() < 0.6 else "", **values}
        return _tight(re.sub(r"\{(\w+)\}", lambda m: values[m.group(1)], text))

    # --- turns -------------------------------------------------------------------------------------------------

    def _fact(self, kind: str) -> Turn:
        facts = sections("facts")
        section = (
            facts["follow"]
            if kind == "follow"
            else self._chance.choice([s for s in facts.values() if s.name != "follow"])
        )
        frame = self._clause()
        parsed = bool(section.replies) and self._chance.random() < 0.5
        linked = parsed or self._chance.random() < 0.2
        entity = reference("e", frame.index) if linked else None
        if parsed:
            verb = self._chance.choice(section.verbs)
            spelt = verb if verb in _KNOWN_VERBS else ""
            parts: tuple[str, ...] = ("e", "v", "c") if spelt else ("e", "w", "v", "c")
            frame = Frame(frame.index, parts, spelt)  # type: ignore[arg-type]
        elif linked:
            frame = Frame(frame.index, ("e", "c"), long=frame.long)
        polarity, opening = "", ""
        draw = self._chance.random()
        if draw < 0.07:
            polarity, opening = "yes", self._chance.choice(SAID_YES)
        elif draw < 0.12:
            polarity, opening = "no", self._chance.choice(SAID_NO)
        elif draw < 0.18:
            polarity, opening = "fix", self._chance.choice(TOOK_BACK)
        if parsed and not opening and self._chance.random() < 0.6:
            usable = [r for r in section.replies if ("{w}" in r.text) <= ("w" in frame.parts)]
            core = self._pick(usable) if usable else "{c}."
        else:
            core = self._chance.choice(CLAUSES) if not frame.long and not opening else "{c}."
        text = self._dressed(core, lead=0.3 if frame.long else 0.4, tail=0.0 if frame.long else 0.13, opening=opening)
        values = {part: reference(part, frame.index) for part in "cewv"}
        return Turn(self._prompt("fact", self._says(section, entity), (frame,), polarity),
                    self._filled(text, values), f"facts/{section.name}")  # fmt: skip

    def _self(self) -> Turn:
        frames = [self._clause()]
        if self._chance.random() < 0.4:
            frames.append(Frame((frames[0].index + self._chance.randrange(1, INDICES)) % INDICES, ("c",)))
        section = self._chance.choice((sections("facts")["person"], sections("intents")["hello"], _ABOUT_YOU))
        core = " ".join(f"<c><#{frame.index}>." for frame in frames)
        text = self._dressed(core, lead=0.4, tail=0.0 if len(frames) > 1 or frames[0].long else 0.15)
        return Turn(self._prompt("self", self._says(section), tuple(frames)), self._filled(text, {}), "self")

    def _simple(self, intent: str, frames: tuple[Frame, ...] = ()) -> Turn:
        section = sections("intents")[intent]
        core = self._pick(section.replies)
        tail = 0.0 if frames and frames[0].long else 0.06
        lead = 0.12 if intent in ("unknown", "told", "do", "hand", "scene", "locked", "name") else 0.0
        text = self._dressed(core, lead=lead, tail=tail if intent in ("do", "hand", "told", "name") else 0.0)
        values = {part: reference(part, frames[0].index) for part in "cewv"} if frames else {}
        # a second short line of the same kind: "No harm done. Good. Let's begin again."
        if not frames and self._chance.random() < 0.1 and len(text.split()) < 9:
            text = f"{text} {self._pick(section.replies)}"
        return Turn(self._prompt(intent, self._says(section), frames), self._filled(text, values), f"intents/{intent}")

    def _talk(self) -> Turn:
        section = self._chance.choice(list(sections("talk").values()))
        noun = self._index() if self._chance.random() < 0.75 else None
        said = self._says(section, noun=noun)
        mentioned = noun is not None and reference("n", noun) in said
        replies = [r for r in section.replies if mentioned or "{n}" not in r.text]
        if mentioned and any("{n}" in r.text for r in replies) and self._chance.random() < 0.7:
            replies = [r for r in replies if "{n}" in r.text]
        text = self._pick(replies)
        if self._chance.random() < 0.15 and len(text.split()) < 9:
            text = f"{text} {self._pick([r for r in section.replies if '{n}' not in r.text])}"
        values = {"n": reference("n", noun)} if noun is not None else {}
        return Turn(self._prompt(section.intent, said), self._filled(text, values), f"talk/{section.name}")

    def _from_text(self) -> Turn:
        pair = self._chance.choice(self._texts.pairs)
        # nobody marked these talks with a mood
        prompt = replace(self._prompt(pair.intent, _tight(self._garbled(pair.player))), mood="neutral",
                         manner=pair.manner)  # fmt: skip
        return Turn(prompt, pair.reply, "natural")


_ABOUT_YOU = Section("about_you", said=[
    "who are you", "what's your name", "{what|who} are you {then|exactly|}",
    "what do you do {here|for a living|all day|}",
    "tell me {about yourself|your story|something about you}", "how old are you", "{where|what} are you from",
    "{introduce|describe} yourself", "what {brings|brought} you here", "how long have you {been|worked|lived} here",
    "{where are we|what is this place|where am i}", "what time is it", "{what do you sell|what can i buy here}",
    "what can you see {here|}", "and you are", "who am i talking to", "what's your {job|work|trade|role}",
    "{do you|have you} {live|lived} here {long|always|}", "your name {please|}", "what should i call you",
])  # fmt: skip

_LOWERED = re.compile(r"^(?!I\b|I'|<)[A-Z](?=[a-z' ])|^A(?= )")


def joined(lead: str, core: str) -> str:
    """Lead and core as one text: after a comma or colon, or an open end ("but"), the core goes on in lower case."""
    if lead[-1] in ".!?":
        return f"{lead} {core}"
    return f"{lead} {_LOWERED.sub(lambda m: m.group().lower(), core)}"


def _tight(text: str) -> str:
    """No space before a reference: its token carries the space."""
    return re.sub(r" +(<(?:[ewvcn]><#\d|x|d)>)", r"\1", text)
