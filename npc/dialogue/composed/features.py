"""What speaks for a candidate as the answer: named numbers in about [0, 1], the same for every character and topic."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from npc.dialogue.composed.absence import absence
from npc.dialogue.composed.contrast import contrast, pairs_of
from npc.dialogue.composed.likeness import Behind, Likeness, Stated
from npc.dialogue.composed.question import Question, leans, located, without_guess
from npc.dialogue.composed.sayings import ordered
from npc.dialogue.composed.wanted import edge, fits, scope
from npc.dialogue.knowledge.grammar import PREPOSITIONS, verb_at
from npc.dialogue.knowledge.meaning import WordMeaning, opposed
from npc.dialogue.knowledge.words import STOPWORDS, alike, names_in, numbers_in, repair, stem, tokens
from npc.inference.encoder import SentenceEncoder, Vectors

Origin = Literal["fact", "self", "scene", "said", "deed"]

#: Words that decide an elliptical question though they are function words elsewhere.
_PIVOTS = frozenset({"night", "nights", "day", "days", "time", "up", "down", "out", "first", "last"})


#: Asks about something in view, or how things stand this moment.
_POINTED = re.compile(
    r"\b(what|who|which)( is|'s| are|'re| was)? (that|this|those|these|in that|in this|on that|in the|on the|doing)\b"
    r"|\bthat \w+ over there\b|\b(just|right) now\b|\bat the moment\b|\bover there\b|\blying there\b",
    re.I,
)


#: Asks about the player themselves, and in so many words for what they said before.
OWN_LIFE = re.compile(r"\b(i|i'm|i've|i'd|me|my|mine|we|our|us)\b", re.I)
RECALLS = re.compile(
    r"\b(i|we) (say|said|tell|told|mention|mentioned|call|called|ask|asked|promise|promised)\b|\bremember|\brecall|"
    r"\bforg[eo]t|\bremind me|\b(did|do|have) you (catch|note|got that)\b|\bagain\b|\bread\b.*\bback\b|"
    r"\bknowing (?:me|us)\b|\bfrom what you know\b"
    r"|(?<!\bdo )\b(?:you|ye) (?:still |already )?have it(?: already| still)?\b"
    r"|\b(?:noted|jotted|written|took|taken|wrote) (?:it|that|me|us)(?: all)? down\b",
    re.I,
)

_PERMISSION = re.compile(
    r"\b(mind if|may (i|we|my)|can (i|we|my)|could (i|we)|is it (ok|okay|all right|allowed|fine)|am i allowed|are we allowed|"  # noqa: E501
    r"do you mind|would it be (ok|okay|all right)|let me|i'll just|i was going to|any reason i)\b",
    re.I,
)
_RULE = re.compile(
    r"\b(no|not|never|nobody|only|allowed|may|must|forbidden|prohibited|welcome|closed|shut|out of (use|order)|flooded|"
    r"reserved|unless|without)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that could be the answer. `text` is scored and said; `context` (the whole fact, its source, its topics)
    is looked at for words that the part itself leaves out."""

    key: str
    text: str
    origin: Origin
    fact_id: str | None = None
    context: str = ""
    source: str = ""
    part: int = 0
    of: int = 1
    about_self: bool = False
    names_others: bool = True
    """False where the only person named is the character itself: no answer to "who is your …?"."""


@dataclass(frozen=True, slots=True)
class Leaning:
    """What a follow-up leans on: the earlier asking clause and the statements that answered it."""

    asking: str = ""
    answer: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """The player's turn as it came, and the exchange before it (player, reply)."""

    text: str
    before: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its score and the features behind it (for traces and training)."""

    candidate: Candidate
    score: float
    features: Mapping[str, float] = field(default_factory=dict)


def stated(candidates: Sequence[Candidate]) -> list[Stated]:
    """The candidates as the taught encoder reads them: a later part of a fact behind the part before it."""
    found: list[Stated] = []
    for before, candidate in zip((None, *candidates), candidates, strict=False):
        follows = candidate.part > 0 and before is not None and before.fact_id == candidate.fact_id
        found.append(Behind(before.text, candidate.text) if follows and before is not None else candidate.text)
    return found


class Index:
    """Candidates with their vectors and word statistics. Built once per set of statements; asking does not change it."""  # noqa: E501

    def __init__(
        self,
        candidates: Sequence[Candidate],
        encoder: SentenceEncoder | None,
        meaning: WordMeaning | None = None,
        likeness: Likeness | None = None,
    ) -> None:
        self.candidates = tuple(candidates)
        self.encoder = encoder
        self.likeness = likeness
        self.stated = stated(self.candidates)
        if likeness is not None:
            likeness.learn(self.stated)
        self.vectors: Vectors | None = encoder.encode([c.text for c in self.candidates]) if encoder else None
        read = [_read(candidate) for candidate in self.candidates]
        self.context_stems = [r.context_stems for r in read]
        self.words = [r.words for r in read]
        self.context_words = [r.context_words for r in read]
        self.subjects = [r.subject for r in read]
        self.numbers = [r.numbers for r in read]
        self.topics = tuple(dict.fromkeys(word for r in read for word in r.context_words))
        self._counts = Counter(item for r in read for item in r.context_stems)
        self.vocabulary = frozenset().union(*(r.tokens for r in read))
        self.names = frozenset().union(*(r.names for r in read))
        self.english: frozenset[str] = getattr(encoder, "words", frozenset())
        self.meaning = meaning or WordMeaning(encoder)
        self.meaning.learn(self.topics)

    def weight(self, item: str) -> float:
        """Inverse document frequency of a stem among the candidates."""
        return math.log(1.0 + len(self.candidates) / (1.0 + self._counts.get(item, 0)))

    def knows(self, word: str) -> bool:
        """Whether a word, or another form of it, stands in any candidate."""
        return word in self.vocabulary or stem(word) in self._counts

    def mend(self, text: str) -> str:
        """Repair words that are neither English nor known here, by the nearest known word."""

        def fix(match: re.Match[str]) -> str:
            lower = match.group(0).lower()
            if self.knows(lower) or lower in self.english:
                return match.group(0)
            return repair(lower, self.vocabulary, self.english)

        return re.sub(r"\b[A-Za-z]{4,}\b(?!['’])", fix, text)


@dataclass(frozen=True, slots=True)
class _Read:
    """A candidate's words as the features look at them. `context_…` and `tokens` take in its context and source."""

    words: tuple[str, ...]
    context_words: tuple[str, ...]
    context_stems: frozenset[str]
    tokens: frozenset[str]
    subject: tuple[str, ...]
    numbers: frozenset[float]
    names: frozenset[str]


@lru_cache(maxsize=4096)
def _read(candidate: Candidate) -> _Read:
    whole = f"{candidate.text} {candidate.context} {candidate.source}"
    return _Read(
        tuple(_topical(candidate.text)), tuple(_topical(whole)), frozenset(stem(word) for word in tokens(whole)),
        frozenset(tokens(whole)), tuple(_subject(candidate)),
        frozenset(value for value, _ in numbers_in(candidate.text)),
        frozenset(stem(name) for name in names_in(candidate.text)),
    )  # fmt: skip


def _subject(candidate: Candidate) -> list[str]:
    """Topical words of what a candidate is about: before its verb, or the name of a thing in the scene."""
    if candidate.origin == "scene":
        return _topical(candidate.text.partition(":")[0])
    words = candidate.text.split()
    verb = verb_at([re.sub(r"[^\w'-]", "", word).lower() for word in words])
    return _topical(" ".join(words[: verb[0]])) if verb else []


def _topical(text: str) -> list[str]:
    return [word for word in dict.fromkeys(tokens(text)) if word not in STOPWORDS]


def asking_text(index: Index, question: Question, place: str, leaning: Leaning | None = None) -> str:
    """The clause to find an answer for: mended, without a guess at the answer, places and "that one" named from the
    talk before, context added when bare."""
    if question.corrected is not None:
        return index.mend(question.corrected[0])
    asking = located(without_guess(index.mend(question.asking or question.text)), place)
    if leaning is not None and leaning.answer:
        asking = resolved(asking, leaning.answer, index.meaning)
    if not question.elliptical and question.told and len(_topical(asking)) < 2:
        return f"{index.mend(question.told)} {asking}"
    return asking


def resolved(asking: str, answer: str, meaning: WordMeaning) -> str:
    """Name what "that tag" and "the closest one" stand for, from the answer before.

    "Who may take that tag off?" after "... locked off with a red tag" asks for the red tag; "a big one" after "A small
    berth costs forty" asks for a big berth.
    """
    plain = answer.lower()

    def described(match: re.Match[str]) -> str:
        noun = match.group(1)
        found = re.search(rf"\b([a-z][\w-]+) {re.escape(noun)}\b", plain)
        if found is None or found.group(1) in STOPWORDS or found.group(1) in PREPOSITIONS:
            return match.group(0)
        return f"the {found.group(1)} {noun}"

    result = re.sub(r"\b(?:that|those|this|these) ([a-z][\w-]+)\b", described, asking)
    one = re.search(r"\b([a-z][\w-]+) ones?\b", result, re.I)
    if one is None:
        return result
    adjective = one.group(1).lower()
    meaning.learn([adjective, *tokens(plain)])
    noun = _subject_noun(answer)
    words = tokens(plain)
    for at, word in enumerate(words[:-1]):
        if word not in STOPWORDS and meaning.likeness(adjective, word) >= 0.6:
            noun = " ".join(w for w in words[at + 1 : at + 3] if w not in STOPWORDS and w not in PREPOSITIONS) or noun
            break
    if not noun or adjective in ("that", "this", "the", "which", "no", "any"):
        return result
    return f"{result[: one.start()]}{one.group(1)} {noun}{result[one.end() :]}"


def _subject_noun(answer: str) -> str:
    """The last word before the verb: "berth" in "A small berth costs forty"."""
    words = [re.sub(r"[^\w'-]", "", word).lower() for word in answer.split()]
    verb = verb_at(words)
    if verb is None or verb[0] == 0:
        return ""
    head = next((i for i, word in enumerate(words[: verb[0]]) if word in PREPOSITIONS), verb[0])
    return words[head - 1] if head else ""


def measure(
    index: Index,
    question: Question,
    asking: str,
    leaning: Leaning | None = None,
    now: str = "",
    skip: frozenset[str] = frozenset(),
    heard: Heard | None = None,
) -> tuple[list[tuple[Candidate, dict[str, float]]], dict[str, float]]:
    """Features of every allowed candidate, and those of "nothing known answers this".

    `asking` comes from `asking_text`; `now` describes the scene's time; `skip` are fact ids or keys of candidates to
    leave out; `heard` is the turn as it came with the exchange before it (None: the question's text alone).
    """
    taught = alone = None
    if index.likeness is not None:
        heard = heard or Heard(question.text)
        meant = without_denied(heard.text, question)
        asked = index.likeness.read(meant, heard.before)
        taught = index.likeness.compare(asked, index.stated)
        # The exchange before may hide what a turn that leans on nothing asks for, so it is read by itself, too.
        alone = (
            index.likeness.compare(index.likeness.read(meant), index.stated)[:, 2]
            if any(heard.before)
            else taught[:, 2]
        )
    told = index.mend(question.told) if question.told and question.told not in asking else ""
    pointing = leans(question) and (not question.told or len(_topical(asking)) <= 1)
    follow = 0.0 if leaning is None else 1.0 if question.elliptical or question.corrected else 0.5 if pointing else 0.0
    full = without_guess(question.text)
    keep = _PIVOTS if question.elliptical else frozenset()
    words = [w for w in dict.fromkeys(tokens(asking)) if (w not in STOPWORDS or w in keep) and len(w) > 1]
    told_words = _topical(told)
    before = [w for w in _topical(f"{leaning.asking} {leaning.answer}" if leaning else "") if w not in words]
    head = [w for w in words if w in _heads(asking)]
    pointed = bool(_POINTED.search(asking))
    permission = bool(_PERMISSION.search(asking))
    index.meaning.learn([*words, *told_words])
    index.meaning.weigh([*words, *told_words, *(before if follow else ())], index.topics)
    names = {stem(w) for w in tokens(asking)} & index.names
    numbers = {value for value, _ in numbers_in(asking)} - {1.0}
    you = bool(re.search(r"\b(you|your|yours|yourself)\b", asking, re.I))
    deictic = bool(re.search(r"\b(that|there|this|those|these|see|look|beside|now|on the|in the)\b", asking, re.I))
    vectors = None
    if index.encoder is not None and index.vectors is not None:
        texts = [asking, full]
        if leaning is not None and follow:
            texts += [f"{leaning.asking} {asking}", leaning.answer]
        vectors = index.vectors @ index.encoder.encode(texts).T
    own_life = bool(OWN_LIFE.search(asking))
    recalls = bool(RECALLS.search(question.text))
    qualified = pairs_of(asking)
    asked_scope, now_scope = scope(f"{asking} {told}"), scope(now)
    rows = []
    for row, candidate in enumerate(index.candidates):
        if (candidate.fact_id or candidate.key) in skip:
            continue
        f: dict[str, float] = {candidate.origin: 1.0}
        if taught is not None and alone is not None:
            f["taught_mean"], f["taught_best"] = float(taught[row, 0]), float(taught[row, 1])
            f["taught"] = max(-3.0, min(3.0, float(taught[row, 2]) / 5.0))
            f["taught_alone"] = max(-3.0, min(3.0, float(alone[row]) / 5.0))
        if vectors is not None:
            f["cosine"], f["cosine_full"] = float(vectors[row, 0]), float(vectors[row, 1])
            if follow:
                f["cosine_follow"] = follow * (float(vectors[row, 2]) - f["cosine"])
                f["sibling"] = follow * float(vectors[row, 3])
        cover, soft, weakest = _cover(words, index.words[row], index)
        _, whole, _ = _cover(words, index.context_words[row], index)
        f["cover"], f["soft"], f["weakest"], f["context"] = cover, soft, weakest, max(0.0, whole - soft)
        f["opposed"] = _opposition(words, index.words[row])
        if told_words:
            f["opposed_told"] = _opposition(told_words, index.words[row])
        f["subject"] = _precision(index.subjects[row], words, index)
        f["precision"] = _precision(index.words[row], words, index)
        if told_words:
            f["told"] = _cover(told_words, index.context_words[row], index)[1]
        if follow and before:
            f["before"] = follow * _cover(before, index.words[row], index)[1]
        if follow and leaning is not None and candidate.key in leaning.keys:
            f["repeat"], f["sibling"] = follow, 0.0
        if head:
            f["head_miss"] = 1.0 - max(_cover([w], index.words[row], index)[1] for w in head)
        fit = fits(question.wanted, candidate.text, asking, index.meaning.likeness)
        if question.wanted in ("when", "howlong"):
            f["edge"] = edge(candidate.text, asking)
        if permission:
            f["rule"] = float(bool(_RULE.search(candidate.text)))
        if question.wanted in ("who", "whose") and you and not candidate.names_others:
            fit = -1
        elif question.wanted in ("who", "whose") and candidate.about_self:
            fit = 1
        f["fit"], f["misfit"] = float(fit > 0), float(fit < 0)
        if names:
            missed = sum(name not in index.context_stems[row] for name in names) / len(names)
            f["name_miss"] = missed
        if numbers and index.numbers[row]:
            f["number_hit"] = float(bool(numbers & index.numbers[row]))
        f |= contrast(qualified, pairs_of(candidate.text))
        own = scope(candidate.text)
        f["scope_clash"], f["scope_match"] = _scoped(own, asked_scope)
        clash_now, _ = _scoped(own, now_scope)
        f["scope_now"] = clash_now if not asked_scope else 0.0
        about = candidate.origin == "self" or candidate.about_self
        f["you_about"], f["other_about"] = float(you and about), float(about and not you)
        if candidate.origin == "scene":
            f["deictic"] = float(deictic)
            f["pointed"] = float(pointed) * max(f["soft"], f["subject"])
        if candidate.origin == "said":
            f["said_own"], f["said_cue"] = float(own_life), float(own_life and recalls)
            f["said_other"], f["said_of_you"] = float(not own_life), float(you and not own_life)
            f["said_order"] = float(ordered(candidate.text))
        rows.append((candidate, f))
    _relate(rows)
    leads = sorted((f["taught"] for _, f in rows if "taught" in f), reverse=True)
    for _, f in rows if leads else ():
        f["taught_lead"] = f["taught"] - (leads[0] if f["taught"] < leads[0] else leads[min(1, len(leads) - 1)])
    alien = [w for w in words if not index.knows(w) and w.isalpha()]
    nothing = {
        "null": 1.0,
        "null_alien": sum(index.weight(stem(w)) for w in alien) / max(1e-6, sum(index.weight(stem(w)) for w in words)),
        "null_name": float(strange_name(index, asking)),
        "null_follow": follow,
        "null_statement": float(question.wanted == "none"),
        f"null_{question.wanted}": 1.0,
    }
    if leads:
        nothing["null_taught"], nothing["null_alone"] = -leads[0], -max(f["taught_alone"] for _, f in rows)
        nothing |= absence(rows, asking)
        # "Who gets it?" behind a fact is mostly answered by that very fact, however little its words say so.
        last = {(c.fact_id or c.key) for c in index.candidates if leaning is not None and c.key in leaning.keys}
        likest = max(rows, key=lambda row: row[1]["taught"])[0]
        nothing["null_same"] = -float((likest.fact_id or likest.key) in last)
        nothing["null_same_follow"] = follow * nothing["null_same"]
    return rows, nothing


def without_denied(text: str, question: Question) -> str:
    """A turn that sets something right, without what was not meant: "I asked for the skipper, not the engineer" speaks
    of the engineer, and asks for the skipper."""
    if question.corrected is None:
        return text
    denied = re.escape(question.corrected[1].rstrip(" .!?")) or r"[\w'-]+(?: [\w'-]+)?(?=,)"
    return re.sub(rf",?\s*(?:and )?\bnot (?:(?:about |for )?the )?{denied}(?: one)?\b", "", text, count=1, flags=re.I)


def _heads(asking: str) -> set[str]:
    """What is asked of somebody or something: "number" and "phone" in "the manager's home phone number"."""
    match = re.search(r"\b[A-Za-z]+'s ((?:[\w-]+ ?){1,3})\W*$", asking)
    if match is None or (
        re.match(r"^\W*\w+'s\b", match.group(0))
        and re.match(r"(what|who|where|when|how|that|it|there|here)'s", match.group(0), re.I)
    ):
        return set()
    return {w for w in tokens(match.group(1)) if w not in STOPWORDS}


def _relate(rows: Sequence[tuple[Candidate, dict[str, float]]]) -> None:
    """Add how each candidate stands among the others: a clear winner answers even where all likenesses are low."""
    for name in ("cosine", "cosine_full", "soft", "sibling", "taught_mean", "taught_best"):
        values = [f[name] for _, f in rows if name in f]
        if len(values) < 3:
            continue
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)) or 1.0
        for _, f in rows:
            if name in f:
                f[f"{name}_z"] = max(-2.0, min(4.0, (f[name] - mean) / spread)) / 4.0


def strange_name(index: Index, asking: str) -> bool:
    """Whether the asking clause is about a proper name that nothing here mentions ("at Dunlow Crossing")."""
    for match in re.finditer(
        r"\b(?:at|in|of|to|from|aboard|the \w+|near|called|named|about|for|does|did|is|was)\s+((?:[A-Z][\w'-]+\s?)+)",
        asking,
    ):
        for word in tokens(match.group(1)):
            if (
                len(word) > 2
                and not index.knows(word)
                and not re.match(r"(mon|tues|wednes|thurs|fri|satur|sun)day", word)
            ):
                return True
    return bool(re.search(r"\b([A-Z][\w-]+)'s\b", asking)) and not all(
        index.knows(word) for word in tokens(re.search(r"\b([A-Z][\w-]+)'s\b", asking).group(1))  # type: ignore[union-attr]
    ) and not re.match(r"^\W*(what|who|where|when|how|that|it|there|here|let)'s", asking, re.I)  # fmt: skip


def _cover(words: Sequence[str], others: Sequence[str], index: Index) -> tuple[float, float, float]:
    """Share of the words' weight found by spelling, and by meaning; and the likeness of the word found least."""
    if not words:
        return 0.0, 0.0, 0.0
    total = spelt = meant = 0.0
    weakest = 1.0
    for word in words:
        weight = index.weight(stem(word))
        best = best_spelt = 0.0
        for other in others:
            best = max(best, index.meaning.likeness(word, other))
            best_spelt = max(best_spelt, alike(stem(word), stem(other)))
        total, spelt, meant = total + weight, spelt + weight * best_spelt, meant + weight * best
        weakest = min(weakest, best)
    return spelt / total, meant / total, weakest


def _opposition(words: Sequence[str], others: Sequence[str]) -> float:
    """1 when the others hold the opposite of a word asked about and not the word itself ("red tag", "yellow tag")."""
    stems = [stem(other) for other in others]
    asked = [stem(word) for word in words]
    clash = any(a not in stems and any(opposed(a, other) and other not in asked for other in stems) for a in asked)
    return float(clash)


def _precision(own: Sequence[str], words: Sequence[str], index: Index) -> float:
    """Share of the candidate's own weight that the question's words match in meaning."""
    total = sum(index.weight(stem(word)) for word in own)
    if not total or not words:
        return 0.0
    got = sum(index.weight(stem(w)) * max(index.meaning.likeness(w, other) for other in words) for w in own)
    return got / total


def _scoped(own: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[float, float]:
    """(clash, match) of two scopes: another season, shift or part of the week, or the same."""
    shared = [name for name in own if name in wanted]
    clash = any(own[name] != wanted[name] for name in shared)
    return float(clash), float(bool(shared) and not clash)
