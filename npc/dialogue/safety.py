"""What must not come in as an order and must not go out as speech: rules first, nearness to examples second.

    player's words ──clean──> words ──judge──> Verdict (ok | injection | human_question | self_harm | abuse | …)
    reply sentence ──review──> the sentence, or a safe one in its place

The defence against injected orders is construction: nothing that the player, a document or the scene says is ever read
as an instruction, actions come from an allow-list, and secrets are not retrieved. This module is the second line, and
it decides the tone of the answer. Both directions work sentence by sentence, before anything is spoken.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from npc.dialogue.character import Character
from npc.dialogue.emotion_reading import Encoder
from npc.dialogue.safety_rules import EXAMPLES, RULES, SAFE_LINES

Kind = Literal[
    "ok", "injection", "human_question", "self_harm", "abuse", "minors", "sexual", "violence", "illegal", "avoid"
]

#: Longer input is cut: a spoken monologue of ten minutes has about 9,000 characters.
MAX_INPUT = 12_000
#: Nearness of examples that counts as a match. Unrelated sentences lie near 0.1-0.25 under MiniLM.
NEAR = 0.55

#: What only somebody writes who forges the marks of a model or of this program.
_MARKS = (
    r"<\|[^|>\n]{0,40}\|>|<\||\|>|<{1,2}/?\s*(?:s|sys|system|user|assistant|tool|im_start|im_end|eot|e|v|me|hm|pl|gf|a)\s*>{1,2}"
    r"|\[/?(?:INST|SYS|SYSTEM|TOOL|ASSISTANT)[^\]]{0,20}\]|</[a-z_]{1,20}>|<#\d+>|\{\{[^}]{0,40}\}\}"
    r"|<(?:act|emotion|mood|cite|fact|source):[^<>]{0,600}>?|</?[a-z_]{1,20}:[a-z_]{1,20}>"
    r"|^\s*#{2,}\s*(?:system|instruction|assistant)\b:?"
)
_FORGED = re.compile(_MARKS, re.IGNORECASE | re.MULTILINE)
#: What is taken out: also tags, fences and comments, which people type too ("<laughs>", "north --> east").
_CONTROL = re.compile(rf"{_MARKS}|<[a-z_]{{1,20}}>|```+|<!--|-->", re.IGNORECASE | re.MULTILINE)
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad\U000e0000-\U000e007f]")
#: Invisible letters that hide something: inside an English word, turning the direction of writing, or spelling tags.
#: Those that join emoji, belong to other scripts or were pasted along mean nothing.
_HIDING = re.compile(
    "(?<=[A-Za-z])[\u200b-\u200d\u2060-\u2064\ufeff]+(?=[A-Za-z])|[\u202d\u202e]"
    "|(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0001-\U000e007f]"
)
_SPACED = re.compile(r"\b(?:[a-z][\s.\-_*]){4,}[a-z]\b", re.IGNORECASE)
_LEET = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"})


def clean(text: str, limit: int = MAX_INPUT) -> str:
    """Untrusted text without control tokens, invisible letters and control characters; one line; bounded."""
    text = unicodedata.normalize("NFKC", text[: 4 * limit])
    text = _INVISIBLE.sub("", text)
    text = "".join(" " if unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs") else letter for letter in text)
    # Removing one token may build another ("<<s>s>"), so until nothing changes.
    for _ in range(8):
        cleaned = _CONTROL.sub(" ", text)
        if cleaned == text:
            break
        text = cleaned
    else:
        text = text.replace("<", " ").replace(">", " ")
    return " ".join(text.split())[:limit]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a text is; `rule` names what decided (for the log); `line` is a fixed safe reply where one must be used."""

    kind: Kind = "ok"
    rule: str = ""
    line: str = ""


class Moderator:
    """Judges input and reviews output for one character."""

    def __init__(self, character: Character, encoder: Encoder | None = None) -> None:
        self._character = character
        self._encoder = encoder
        self._kinds = np.array([kind for kind, texts in EXAMPLES.items() for _ in texts])
        examples = [text for texts in EXAMPLES.values() for text in texts]
        self._vectors = encoder.encode(examples) if encoder is not None else None
        words = sorted(character.guardrails.never_say, key=len, reverse=True)
        self._never = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE) if words else None

    def judge(self, text: str) -> Verdict:
        """Judge a player's turn (raw, so that control tokens count as evidence)."""
        if not text.strip():
            return Verdict()
        cleaned = clean(text)
        spoken = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[: 4 * MAX_INPUT]))
        forms = (cleaned, _join_spaced(cleaned), cleaned.translate(_LEET))
        for kind, name, pattern in RULES:
            if kind == "sexual" and self._character.age_rating == "mature":
                continue
            if any(pattern.search(form) for form in forms):
                return self._verdict(kind, name)
        if _FORGED.search(spoken) or _HIDING.search(text[: 4 * MAX_INPUT]):
            return self._verdict("injection", "control tokens")
        near = self._near(cleaned)
        if near is not None:
            return self._verdict(near, "near an example")
        topic = self._avoided(cleaned)
        if topic:
            return Verdict("avoid", f"guardrail {topic!r}", "")
        return Verdict()

    def review(self, sentence: str) -> str:
        """A sentence of the character, as it may be spoken: tags out, forbidden words out, unsafe content replaced.

        Returns "" when nothing is left to say.
        """
        text = clean(sentence)
        if _CLAIMS_HUMAN.search(text):
            return SAFE_LINES["human_question"][0]
        if self._never is not None and self._never.search(text):
            text = " ".join(self._never.sub("", text).split())
        for kind, _, pattern in RULES:
            if kind in ("minors", "self_harm_urge", "how_to_harm") and pattern.search(text):
                return SAFE_LINES["violence"][0]
            if kind == "sexual" and self._character.age_rating != "mature" and pattern.search(text):
                return SAFE_LINES["sexual"][0]
        if self._character.age_rating == "everyone":
            text = " ".join(_PROFANE.sub("", text).split())
        return text

    def _verdict(self, kind: str, rule: str) -> Verdict:
        mapped: Kind = {"self_harm_urge": "self_harm", "how_to_harm": "violence"}.get(kind, kind)  # type: ignore[assignment]
        lines = SAFE_LINES.get(mapped, ())
        line = lines[0] if lines else ""
        if mapped == "self_harm":
            line = f"{line} {self._character.guardrails.crisis_line or SAFE_LINES['crisis'][0]}"
        return Verdict(mapped, rule, line)

    def _near(self, text: str) -> str | None:
        if self._encoder is None or self._vectors is None:
            return None
        best_kind, best = None, NEAR
        sentences = _sentences(text)
        for sentence, vector in zip(sentences, self._encoder.encode(sentences), strict=True):
            likeness = self._vectors @ vector
            at = int(likeness.argmax())
            if self._kinds[at] == "self_harm" and not _OF_ME.search(sentence):
                # "What have you done to your wrists?" asks after the character.
                continue
            if likeness[at] > best:
                best_kind, best = str(self._kinds[at]), float(likeness[at])
        return None if best_kind == "harmless" else best_kind

    def _avoided(self, text: str) -> str | None:
        lower = text.lower()
        for topic in self._character.guardrails.avoid:
            if re.search(rf"\b{re.escape(topic.lower())}\b", lower):
                return topic
        return None


_OF_ME = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|im|ive|me|my|myself)\b", re.I)
_PROFANE = re.compile(r"\b(?:fuck\w*|shit\w*|bitch\w*|cunt\w*|asshole\w*|bastards?|motherf\w*)\b", re.IGNORECASE)
_CLAIMS_HUMAN = re.compile(
    r"\bi(?:'m| am) (?:(?:a |an )?(?:real|actual|living|flesh[- ]and[- ]blood) (?:human|person|man|woman|human being)"
    r"|(?:a )?human(?: being)?|not (?:an? )?(?:ai|bot|robot|computer|machine|program))\b",
    re.IGNORECASE,
)


def _sentences(text: str) -> Sequence[str]:
    parts = [part for part in re.split(r"(?<=[.!?;])\s+", text[:1_500]) if part.strip()]
    return parts[:6] or [text[:600]]


def _join_spaced(text: str) -> str:
    """ "i g n o r e" -> "ignore", so that letters spelt apart are read as the word they spell."""
    return _SPACED.sub(lambda match: re.sub(r"[\s.\-_*]", "", match.group()), text)
