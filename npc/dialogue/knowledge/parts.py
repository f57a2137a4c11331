"""The parts of a compound fact, each as a sentence of its own, so that a character can say the one it was asked for.

object      The hold carries forty sacks of flour | and fourteen sacks of beans
verb        The punt leaves at six | and costs three copper
clause      Hydrogen costs six credits a kilo | and xenon costs twenty-two
gapped      Live plants must wait in quarantine for three days |, live animals for ten
twin        The last train leaves at five in winter | and at six in summer
"""

from __future__ import annotations

import re
from functools import lru_cache

from npc.dialogue.knowledge.grammar import (
    ADVERBS,
    AUXILIARIES,
    BASES,
    DETERMINERS,
    PAST_FORMS,
    PREPOSITIONS,
    THIRD_TO_BASE,
    is_participle,
    lower_words,
    verb_at,
)
from npc.dialogue.knowledge.words import STOPWORDS, numbers_in, stem


@lru_cache(maxsize=8192)
def parts(sentence: str) -> tuple[str, ...]:
    """The self-standing sentences a compound fact says, in order; the sentence itself when it says one thing."""
    body = sentence.strip()
    stop = body[-1] if body and body[-1] in ".!?" else "."
    body = body.rstrip(".!?").strip()
    for links in (r"(;|, and|, but|, while) ", r"(,) ", r"( and| but) "):
        for match in re.finditer(links, body):
            left, right = body[: match.start()].strip(), body[match.end() :].strip()
            link = match.group(1).strip()
            if link == "and" and re.search(r"\b(between|both|because|either)\b[^,;]*$|\b(hundred|thousand)$", left):
                continue
            if "but" in link and _ALL_BUT.search(left):
                continue
            found = _join(left, right, link)
            if found is not None and not _loose(found[1]):
                first, second = found
                return (*parts(_sentence(first, stop)), *parts(second + stop))
    return (_sentence(body, stop),)


#: "Nobody but the master."
_ALL_BUT = re.compile(r"\b(?:(?:any|no|every)(?:body| ?one|thing|where)|all|none)$", re.I)


def _loose(text: str) -> bool:
    """Whether a sentence breaks off: "Leek ones cost eight coins for"."""
    last = lower_words(text)[-1:]
    return bool(last) and last[0] in DETERMINERS | {"for", "of", "to", "from", "at", "with", "by", "than"}


def _sentence(body: str, stop: str) -> str:
    body = body.strip()
    return body[:1].upper() + body[1:] + stop


def _join(left: str, right: str, link: str) -> tuple[str, str] | None:
    """The two full sentences of `left link right`, or None when the link does not part two statements."""
    words, others = lower_words(left), lower_words(right)
    verb = verb_at(words)
    if verb is None or verb[0] == 0 or not others or len(others) < 2:
        return None
    if re.match(
        r"(?:when|if|because|although|unless|who|which|where|not|so|then|never|called|born|or|nor|and|but|while)\b"
        r"|since (?!then\b)|for (?:the|an?|it|he|she|they|there|nobody|no one) .*\b(?:is|are|was|were|has|had)\b"
        r"|for the \w+ \w+ \w+s\b",
        right,
    ):
        return None
    if re.match(r"(of|for|in|on|to|with) (whom|which|whose)\b|a (half|quarter)\b", right):
        return None
    if re.match(r"(when|if|because|although|unless|after|before|in|on|at|from)\b", left, re.I) and "," in left + link:
        return None
    subject = " ".join(left.split()[: verb[0]])
    other_verb = verb_at(others)
    bare_noun = other_verb is not None and other_verb[1] == len(others) and others[other_verb[0]] not in AUXILIARIES
    if others[0] in ("now", "then", "also", "still", "so") and (others[1] in THIRD_TO_BASE or others[1] in AUXILIARIES):
        return (left, f"{subject} {right}") if "and" in link else None
    opens_with_verb = "and" in link and others[0] in THIRD_TO_BASE and others[0] not in _PLURAL_NOUNS
    if opens_with_verb and not words[verb[0] - 1].endswith("s"):
        return left, f"{subject} {right}"
    if other_verb is not None and 0 < other_verb[0] <= 7 and not bare_noun:
        if others[0] in ("it", "they", "he", "she", "we", "this", "that", "there", "i", "nobody", "nothing", "anyone"):
            return None
        return left, right
    in_past = words[verb[0]] in PAST_FORMS or words[verb[0]] in ("was", "were", "had")
    # "We open at nine and shut at four", "They take five days and cost fifteen pounds".
    same_form = others[0] in BASES and words[verb[0]] in BASES
    starts_verb = others[0] in AUXILIARIES or others[0] in THIRD_TO_BASE or (others[0] in PAST_FORMS and in_past)
    if (starts_verb or same_form) and (not bare_noun or others[0] in THIRD_TO_BASE):
        participle = others[0] not in AUXILIARIES | set(THIRD_TO_BASE) and words[verb[0]] in AUXILIARIES
        return None if "and" not in link or participle else (left, f"{subject} {right}")
    if (other_verb is not None and not bare_noun) or "but" in link or ";" in link:
        return None
    if others[0] in PREPOSITIONS:
        return _twin(left, right, words, others, verb)
    order = "and" in link and others[0] in BASES and words[verb[0]] in AUXILIARIES
    if order or re.search(r"[,;:](\s|$)", f"{right} {subject}") or others[0] in _NO_VERB:
        return None
    return _gapped(left, right, words, others, verb)


#: What opens an afterthought or goes on with the verb: "…, nearly fifty by day".
_AFTERTHOUGHTS = "or once again next nearly almost about then later only never always more at in none except even"
_NO_SUBJECT = frozenset(_AFTERTHOUGHTS.split())
_NO_VERB = _NO_SUBJECT | set(THIRD_TO_BASE) | PAST_FORMS
_OBJECT_PRONOUNS = frozenset({"it", "him", "them", "me", "us"})


def _new_subject(raw: list[str]) -> bool:
    """Whether the words before a gap can be a subject: no verb, no pronoun that stands for an object, no loose end."""
    words = [re.sub(r"[^\w'-]", "", word).lower() for word in raw]
    loose = not words or words == ["one"] or words[-1] in PREPOSITIONS | DETERMINERS or words[-1] in BASES
    return not (loose or _OBJECT_PRONOUNS & set(words) or any(word.endswith(":") for word in raw))


def _agreeing(group: list[str], subject: list[str]) -> list[str]:
    """ "is led" for a new subject in the plural: "the medics in the alley are led"; "goes": "bills go"."""
    words = [word.lower() for word in subject if word.lower() not in ADVERBS]
    head = words[next((i for i, word in enumerate(words) if i and word in PREPOSITIONS), len(words)) - 1]
    many = head.endswith("s") and not head.endswith(("ss", "us")) and head in subject
    plural = {"is": "are", "was": "were", "has": "have"} if many else {}
    if plural and len(group) == 1 and group[0] in THIRD_TO_BASE:
        return [THIRD_TO_BASE[group[0]]]
    return [plural.get(group[0].lower(), group[0]), *group[1:]]


def _twin(left: str, right: str, words: list[str], others: list[str], verb: tuple[int, int]) -> tuple[str, str] | None:
    """ "at five in winter | and at six in summer": two phrases with the same two prepositions, which differ in both."""
    rest = words[verb[1] :]
    second = next((word for word in others[1:] if word in PREPOSITIONS), None)
    if others[0] not in rest or second is None or "," in right or re.search(r", (?:and|but|so) ", left):
        return None
    at = rest.index(others[0])
    return (left, " ".join([*left.split()[: verb[1] + at], right])) if second in rest[at + 1 :] else None


def _gapped(
    left: str, right: str, words: list[str], others: list[str], verb: tuple[int, int]
) -> tuple[str, str] | None:
    """`right` has no verb of its own: a second object, or a second subject with its own ending."""
    raw, other_raw = left.split(), right.split()
    subject, group, rest = raw[: verb[0]], raw[verb[0] : verb[1]], words[verb[1] :]
    if any(word in AUXILIARIES or (word in THIRD_TO_BASE and word not in _PLURAL_NOUNS) for word in others):
        return None
    if any(word.endswith((",", ":")) for word in raw[verb[0] :]) or group[-1] in other_raw:
        # "Hot soup is made by Agnes, leek on Sundays and fish on Fridays."
        return None
    to_be = words[verb[0]] in _TO_BE
    passive = to_be and len(group) > 1 and is_participle(words[verb[1] - 1])
    if passive and is_participle(others[0]):
        return left, " ".join([*subject, raw[verb[0]], right])
    head = next((i for i, word in enumerate(words[: verb[0]]) if word in PREPOSITIONS), verb[0]) - 1
    object_end = next((i for i, word in enumerate(rest) if word in PREPOSITIONS), len(rest))
    object_stems = {stem(word) for word in rest[:object_end] if word not in STOPWORDS}
    mine = [word for word in others if word not in STOPWORDS and not numbers_in(word)]
    like_object = any(stem(word) in object_stems for word in mine)
    like_subject = any(stem(word) == stem(words[head]) for word in mine)
    raw_rest = raw[verb[1] :]
    counted = bool(rest) and bool(numbers_in(rest[0])) and not numbers_in(others[0])
    new_one = raw[verb[0] - 1][:1].isupper() and len(raw[verb[0] - 1]) > 1 and other_raw[0][:1].isupper()
    second = like_object and not like_subject and not counted and not new_one
    if second and bool(numbers_in(left)) == bool(numbers_in(right)):
        return left, " ".join([*subject, *group, right])
    bare = len(others) > 2 and numbers_in(others[0]) and others[1] in PREPOSITIONS - {"of"}
    if bare and rest and numbers_in(rest[0]) and (not numbers_in(others[-1]) or others[-2] in PREPOSITIONS):
        # "twelve people in the morning and eight in the evening": eight people.
        return left, " ".join([*subject, *group, *_with_noun(other_raw, raw_rest)])
    parallel = (
        like_subject
        or any(stem(word) in {stem(w) for w in words[: verb[0]] if w not in STOPWORDS} for word in mine)
        or new_one
    )
    for index, word in enumerate(others):
        if index and word in PREPOSITIONS and word in rest:
            at = rest.index(word)
            if at and not parallel and rest[0] not in PREPOSITIONS:
                ending = other_raw[index:]
                ending = _with_unit(ending, raw_rest[at:]) if len(ending) == 2 else ending
                return left, " ".join([*subject, *group, *other_raw[:index], *ending])
            if not _new_subject(other_raw[:index]):
                return None
            ending = _with_unit(other_raw[index:], raw_rest[at:])
            return left, " ".join([*other_raw[:index], *_agreeing(group, other_raw), *raw_rest[:at], *ending])
    at_number, from_number = index_of_number(others), index_of_number(rest)
    if at_number and from_number is not None:
        behind = next((i for i, word in enumerate(rest) if word in PREPOSITIONS), len(rest))
        if any(numbers_in(word) for word in rest[behind:]):
            # "Twelve coins for six": what the number beside it is for is not said.
            return None
        at_number = _value_at(others, {stem(word) for word in rest})
        if at_number is None or not _new_subject(other_raw[:at_number]):
            return None
        group = _agreeing(group, other_raw[:at_number])
        ending = _with_unit(other_raw[at_number:], raw_rest[from_number:])
        between = raw_rest[: from_number - (from_number > 0 and rest[from_number - 1] in ("a", "an"))]
        return left, " ".join([*other_raw[:at_number], *group, *between, *ending])
    return None


#: Third persons that are as often a plural noun: "and boats are tied up at night".
_NOUNS = """attacks bites boats bills blocks boils books breaks charges cures cuts damages deals dreams drinks drops
fears fees feeds fights files fires fishes flies floods flows gates goods guards guides hooks hopes hunts jokes
keys lands lights limits links lists loads locks looks loops marks matters measures mines minds moves names nests
offers orders owns packs parks paints picks plays points practices prices prints pumps rains records rents
repairs reports rests rings rides rises rows rules sails seals seats ships shoots shouts shows signs sinks
sleeps smokes sounds spells spins stands states stays steps sticks stores strikes surprises tastes tears tests
ties touches trades trains travels uses visits walks washes watches waves wishes works worries"""
_PLURAL_NOUNS = frozenset(_NOUNS.split())


#: After these a number goes on: "one eighty" is one value.
_HUNDREDS = frozenset({"one", "two", "three", "four", "five", "six", "seven", "eight", "nine"})


_TO_BE = frozenset({"is", "are", "was", "were", "be"})


def _value_at(words: list[str], of_object: set[str]) -> int | None:
    """Where the value of a gapped clause begins, which ends it but for a unit: "a private one | fifty", "a small one |
    two pounds sixty" (`of_object`: stems of the object it stands beside); None where more follows."""
    last = next(i for i in range(len(words) - 1, -1, -1) if numbers_in(words[i]))
    if len(words) - last > 2:
        return None
    at = last
    while at > 1:
        before = words[at - 1]
        if numbers_in(before):
            pronoun = before == "one" and words[at] not in ("hundred", "thousand") and words[0] in DETERMINERS
            if pronoun:
                break
        elif not (stem(before) in of_object and before not in DETERMINERS and numbers_in(words[at - 2])):
            break
        at -= 1
    return at


def _with_noun(ending: list[str], model: list[str]) -> list[str]:
    """Give a bare number before a preposition the noun of the parallel phrase: "eight in the evening" beside "twelve
    people in the morning" is "eight people in the evening"."""
    end = next((i for i, word in enumerate(model) if word.lower() in PREPOSITIONS | DETERMINERS), len(model))
    noun = [word.rstrip(",;") for word in model[1:end] if not numbers_in(word)]
    was_one = [value for value, _ in numbers_in(model[0])] == [1.0]
    is_one = [value for value, _ in numbers_in(ending[0])] == [1.0]
    if noun and was_one != is_one:
        noun[0] = _singular(noun[0]) if is_one else _plural(noun[0])
    return [ending[0], *noun[:2], *ending[1:]]


def _plural(noun: str) -> str:
    return noun if noun.endswith("s") else re.sub(r"y$", "ie", noun) + "s"


def _singular(noun: str) -> str:
    if noun == "people":
        return "person"
    return re.sub(r"ies$", "y", noun) if noun.endswith("ies") else re.sub(r"(?<!s)s$", "", noun)


def index_of_number(words: list[str]) -> int | None:
    """Index of the first word that is a number, or None."""
    return next((index for index, word in enumerate(words) if numbers_in(word)), None)


def _with_unit(ending: list[str], model: list[str]) -> list[str]:
    """Give a bare number the unit of the parallel phrase: "for ten" beside "for three days" is "for ten days"."""
    if not ending or not numbers_in(ending[-1]) or sum(bool(numbers_in(word)) for word in ending) > 1:
        return ending
    at = index_of_number([word.lower() for word in model])
    if at is None:
        return ending
    end = next((i for i in range(at + 1, len(model)) if model[i].lower() in PREPOSITIONS), len(model))
    unit = [word.rstrip(",;") for word in model[at + 1 : end] if not numbers_in(word)]
    one = [value for value, _ in numbers_in(ending[-1])] == [1.0]
    return ending + [re.sub(r"s$", "", word) if one and i == 0 else word for i, word in enumerate(unit[:3])]
