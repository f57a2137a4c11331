"""The gate before retrieval: which secrets this player may be told now.

Doubt means locked. A condition (`tell_to`) is one of

    relationship:trusted      true only by game state or stored relationship, never by what the player claims
    flag:NAME                 true when the game set NAME to a true value; so with the other forms of `conditions.py`
    a sentence                text in single quotes must have been said by the player (whole words); the rest is judged
                              by meaning: the player did it in words, for themselves, not as a question about it, not
                              denied, not imagined and not told of somebody else

    "knows the password 'heron'"          The word is heron.             open
                                          Is that a heron?               locked (a thing in view, merely mentioned)
    "says they are from the council"      I'm from the council.          open
                                          I'm not from the council.      locked
                                          My cousin is from the council. locked
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from npc.dialogue.conditions import Situation, holds, is_sentence
from npc.dialogue.knowledge.facts import Fact
from npc.dialogue.knowledge.grammar import verb_at
from npc.dialogue.knowledge.words import STOPWORDS, alike, stem, tokens
from npc.dialogue.scene import SceneState
from npc.inference.encoder import SentenceEncoder

_LADDER = ("hostile", "stranger", "acquaintance", "friend", "trusted")
_QUOTED = re.compile(r"(?<!\w)['‘\"“]([^'‘’\"“”]+(?:'[a-z]+)?[^'‘’\"“”]*)['’\"”](?!\w)")
_ACTS = {
    "said": "say says claim claims state states mention mentions admit admits declare declares tell tells is are",
    "asked": "ask asks asked enquires inquires",
    "shown": """show shows name names give gives offer offers present presents produce produces carry carries bring
        brings prove proves""",
    "frame": """knows know password passphrase codeword code word phrase they them their she he him her that who has
        have had been being about how what work works kindly politely gently sincerely properly first already player visitor from with
        for out aloud clearly truthfully honestly something someone""",  # noqa: E501
}
_ASKED = frozenset(_ACTS["asked"].split())
#: Words of a condition that frame it; the others are what must be talked about.
_FRAME = frozenset(word for words in _ACTS.values() for word in words.split())
_DENIED = re.compile(
    r"\b(not|n't|never|no longer|isn't|wasn't|aren't|dont|cannot|pretend|pretending|lie|lying)\b", re.I
)
_IMAGINED = re.compile(
    r"\b(if (i|you|we|somebody|someone)|suppose|supposing|imagine|pretend|hypothetically|what if|would you|wish i|"
    r"let's say|say i|as if|act as|wanted to be|used to be|want to be|were i)\b",
    re.I,
)
_OTHERS = re.compile(r"\b(my|his|her|their|a|the|your) (\w+ )?(\w+) (is|was|says|said|told|has|knows|works)\b", re.I)
_CUE = re.compile(
    r"\b(pass ?word|passphrase|code ?word|the word|code|phrase|say|said|told|whisper\w*|it's|secret)\b", re.I
)
_KIND = re.compile(
    r"\b(sorry|please|worry|worried|care|dear|love|kind\w*|gentl\w+|if you don't mind|not prying|no rush|"
    r"take your time|hope|feeling|feel|concerned|understand|may i|could i|would you mind|thank\w*)\b",
    re.I,
)
_RUDE = re.compile(
    r"\b(stupid|idiot|old (bat|fool|hag)|shut up|hand over|give me|or else|now!|damn|stashed|hiding|hidden)\b", re.I
)
#: "gives the password Kingfisher Six": said as it stands, though not in quotes.
_PASSWORD = re.compile(
    r"\b(?:password|passphrase|code ?word|countersign|word|phrase)[,:]? ((?:[A-Z][\w-]*)(?: [A-Z][\w-]*)*)$"
)
#: Conditions on what the player holds out, and how one does.
_SHOWN = re.compile(r"\s*(?:shows?|presents?|produces?)\b")
_HELD_OUT = re.compile(
    r"\b(?:look here|look at (?:this|these)|look what|see (?:this|here|for yourself)"
    r"|here(?:'s| is| are| you are| you go)?\b"
    r"|there(?:'?s)? (?:my|your)|this is|these are|i have|i've|i carry|i show|i bring|take a look|behold|my)\b",
    re.I,
)
#: A sentence that asks, whatever its mark.
_ASKING = re.compile(
    r"^\W*(?:and |so |but |then |now )*(?:what|who|whom|whose|when|where|why|how|which|is|are|was|were|do|does|did"
    r"|can|could|will|would|have you|has|tell|show)\b",
    re.I,
)
_NOT_DENIED = re.compile(r"\b(?:believe it or not|or not|why not|not only|never mind)\b", re.I)
_PROMISED = re.compile(
    r"\b(?:i|we)(?:'ll| will)? (?:\w+ )?(?:promise|swear|vow|give you my word)\b|\bmy word\b|\bi won'?t tell\b", re.I
)
_PROMISE_STEMS = frozenset(
    stem(word)
    for word in (
        "promises",
        "swears",
        "vows",
        "tell",
        "keep",
        "silent",
        "quiet",
        "say",
        "anyone",
        "themselves",
        "secret",
    )
)
#: Somebody else is spoken of.
_TALKED_OF = re.compile(r"\b(?:he|she|they|him|her|them|somebody|someone|people|about)\b", re.I)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the game and the stored relationship say: never what the player claims."""

    relationship: str = "stranger"
    flags: Mapping[str, object] = field(default_factory=dict)
    """Flags and variables of the game and the narrative."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What conditions are judged on: the standing, everything the player said in this talk, names in view, the scene,
    and the facts that were told in this talk."""

    standing: Standing
    said: Sequence[str]
    in_view: frozenset[str] = frozenset()
    scene: SceneState = field(default_factory=SceneState)
    told: frozenset[str] | None = None
    """None: not known, so that neither "told:x" nor "not told:x" opens anything."""


def open_facts(facts: Sequence[Fact], ground: Ground, encoder: SentenceEncoder | None = None) -> frozenset[str]:
    """Ids of the facts that may be retrieved now: all unguarded ones and every secret whose condition is met."""
    # The facts of a guarded document share one condition.
    met = {condition: is_met(condition, ground, encoder) for condition in {f.tell_to for f in facts if f.guarded}}
    return frozenset(fact.id for fact in facts if not fact.guarded or met[fact.tell_to])


def is_met(condition: str | None, ground: Ground, encoder: SentenceEncoder | None = None) -> bool:
    """Judge one `tell_to` condition; no condition is never met."""
    if not condition or not condition.strip():
        return False
    condition = condition.strip()
    if match := re.fullmatch(r"relationship:\s*(\w+)", condition):
        wanted, given = match.group(1).lower(), ground.standing.relationship.lower()
        if wanted in _LADDER and given in _LADDER:
            return _LADDER.index(given) >= _LADDER.index(wanted)
        return wanted == given
    if not is_sentence(condition) and not condition.lower().startswith("said:"):
        if ground.told is None and re.search(r"\b(?:told|asked):", condition, re.I):
            return False
        return holds(condition, _situation(ground))
    if re.match(r"(?!said:)\w+:", condition, re.I) and " " not in condition:
        return False
    if match := re.fullmatch(r"said:\s*([^'‘’\"“”]+)", condition, re.I):
        return any(_says(line, match.group(1), ground.in_view) for line in ground.said)
    quoted = [text.strip() for text in _QUOTED.findall(condition) if text.strip()]
    quoted += [] if quoted else _PASSWORD.findall(condition)
    if quoted:
        return all(any(_says(line, text, ground.in_view) for line in ground.said) for text in quoted)
    if _SHOWN.match(condition):
        return any(_shows(line, condition) for line in ground.said)
    return any(_does(sentence, line, condition, encoder) for line in ground.said for sentence in _sentences(line))


def _situation(ground: Ground) -> Situation:
    """For the plain conditions: what a game says, what is in view, what was said and told."""
    flags = ground.standing.flags
    return Situation(
        relationship=ground.standing.relationship.lower(),
        flags=flags,
        variables=flags,
        scene=ground.scene,
        said="\n".join(ground.said),
        told=ground.told or frozenset(),
        turns=len(ground.said),
    )


def _sentences(text: str) -> list[str]:
    return [piece.strip() for piece in re.split(r"(?<=[.!?;])\s+", text) if piece.strip()]


def _plain(text: str) -> str:
    return " ".join(tokens(text))


def _says(line: str, phrase: str, in_view: frozenset[str]) -> bool:
    """Whether the phrase was said, and not only as the name of a thing in view or to ask what the password is."""
    wanted = _plain(phrase)
    for sentence in _sentences(line):
        plain = _plain(sentence)
        if not re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", plain):
            continue
        if re.search(r"\b(what|which)\b.*\b(password|word|phrase|code)\b.*\?", sentence, re.I):
            continue
        viewed = any(wanted == name or wanted in name.split() for name in in_view)
        if not viewed or plain == wanted or _CUE.search(sentence):
            return True
    return False


def _topics(condition: str) -> list[str]:
    """Stems of what a condition is about, without the words that frame it."""
    return [stem(word) for word in tokens(condition) if word not in _FRAME and word not in STOPWORDS]


def _covered(wanted: Sequence[str], text: str) -> float:
    said = [stem(word) for word in tokens(text)]
    return sum(any(alike(want, have) >= 0.85 for have in said) for want in wanted) / len(wanted)


def _shows(line: str, condition: str) -> bool:
    """Whether the player holds the thing out ("Look here. The bailiff's own seal."), and does not ask for it."""
    wanted = _topics(condition)
    told = [sentence for sentence in _sentences(line) if not _ASKING.match(sentence)]
    held = " ".join(told)
    if not wanted or _IMAGINED.search(held) or any(_DENIED.search(s) and _covered(wanted, s) for s in told):
        return False
    return bool(_HELD_OUT.search(held)) and _covered(wanted, held) >= (0.99 if len(wanted) < 3 else 0.6)


def _does(sentence: str, line: str, condition: str, encoder: SentenceEncoder | None) -> bool:
    """Whether the player's sentence (its tone judged in the whole line) does what the condition says of them."""
    words, wanted = tokens(condition), _topics(condition)
    if not wanted:
        return False
    covered = _covered(wanted, sentence)
    if any(word in _ASKED for word in words[:2]):
        kind = not any(word in words for word in ("kindly", "politely", "gently")) or bool(_KIND.search(line))
        return covered >= 0.75 and kind and "?" in sentence and not _RUDE.search(line)
    if re.search(r"\btold (them|him|her)\b", condition):
        told = re.search(r"^(.*?)\btold (?:me|us)\b", sentence, re.I)
        return told is not None and covered >= 0.99 and not _DENIED.search(told.group(1)) and "?" not in sentence
    if _DENIED.search(_NOT_DENIED.sub("", sentence)) and not _DENIED.search(condition):
        return False
    if _IMAGINED.search(sentence) or sentence.rstrip().endswith("?"):
        return False
    if words[0] in ("promises", "swears", "vows"):
        about = [want for want in wanted if want not in _PROMISE_STEMS]
        return bool(_PROMISED.search(sentence)) and (not about or _covered(about, line) >= 0.5)
    member = bool(
        re.match(
            r"\s*(?:\w+ (?:that )?(?:they|she|he) )?(?:are|is|works?|belongs?) (?:from|for|of|on|with|at|to|an?)\b",
            condition,
        )
    )
    if member and covered >= 0.99 and _introduces(sentence, wanted):
        return True
    first = re.search(
        r"\b(i|i'm|im|i've|ive|i'd|my|me|we|we're|we've|our|here|this is|it's me|name's)\b", sentence, re.I
    )
    of_others = _OTHERS.search(sentence) and not re.search(r"\bi('m| am|'ve| have|'d)?\b", sentence, re.I)
    if not first or of_others:
        return False
    if covered >= 0.99:
        return True
    if encoder is None or covered < 0.5:
        return False
    pair = encoder.encode([_first_person(condition), sentence])
    return float(pair[0] @ pair[1]) >= 0.62


def _introduces(sentence: str, wanted: Sequence[str]) -> bool:
    """Whether it says who speaks without a verb: "Mossie from the board.", "Union. Frank Abela.", "Inspector Gall, from
    the guild." A thing merely named ("The union.") introduces nobody."""
    plain = [re.sub(r"[^\w'-]", "", word).lower() for word in sentence.split()]
    if (
        verb_at(plain) is not None
        or _TALKED_OF.search(sentence)
        or re.match(r"\W*(?:the|a|an|your|their|his)\b", sentence, re.I)
    ):
        return False
    return (
        bool(re.search(r"\bfrom\b", sentence, re.I)) or len([w for w in plain if w not in STOPWORDS]) <= len(wanted) + 1
    )


def _first_person(condition: str) -> str:
    """ "says they are from the works council" -> "I am from the works council", to compare meanings."""
    text = re.sub(r"^\s*\w+s?\s+(that\s+)?(they|she|he)\s+(are|is)\b", "I am", condition)
    text = re.sub(r"^\s*\w+s?\s+(that\s+)?(they|she|he)\s+(have|has)\b", "I have", text)
    text = re.sub(r"^\s*(is|are)\b", "I am", text)
    text = re.sub(r"^\s*(has|have)\b", "I have", text)
    text = re.sub(r"\b(their|his|her)\b", "my", text)
    return re.sub(r"^\s*(\w+?)s\b", r"I \1", text) if not text.startswith("I ") else text
