"""Just enough English grammar for one-sentence facts: finite verbs, their forms, and the parts of a compound fact.

A fact such as "Live plants must wait in quarantine for three days, live animals for ten." holds two answers. `parts`
gives each as a sentence of its own, so that a character can say the one it was asked for:

    object      The hold carries forty sacks of flour | and fourteen sacks of beans
    verb        The punt leaves at six | and costs three copper
    clause      Hydrogen costs six credits a kilo | and xenon costs twenty-two
    gapped      Live plants must wait in quarantine for three days |, live animals for ten
"""

from __future__ import annotations

import re
from functools import lru_cache

from npc.dialogue.knowledge.words import STOPWORDS, numbers_in, stem

_VERBS = """
accept add admit advise allow answer appear apply arrive ask attack attend avoid bake bathe bear beat become begin
believe belong bite bleed block blow boil book borrow break breathe breed bring brew build burn buy call care carry
carve catch cause change charge chase check choose claim clean clear climb close collect come command complain
confirm connect consist contain control cook cost count cover craft cross cry cure cut cycle damage dance deal decide
deliver demand depart deserve die dig dine dislike drag draw dream dress drink drive drop dry earn eat employ end
enter examine expect explain face fail fall fear feed feel fight file fill find finish fit fix flee float flood flow
fly follow forbid forge forget forgive free freeze gather get give glow go govern grant greet grind grow grumble
guard guess guide hang happen hate haul have head heal hear heat help hide hire hit hold hope hunt hurt ignore inspect
invent join judge jump keep kill knock know land last laugh lay lead leak lean learn leave lend let lick lie lift
light like limp list listen live load lock log look lose love maintain make manage mark marry mean measure meet melt
mend mind mine miss move name need nest observe offer open order own pack paint park pass pay perform pick play
point pour practise pray prefer prepare press pretend print protect provide pull pump punish push put quarrel raise
reach read receive recommend refuse remain remember remove rent repair repeat replace report require reserve rest return
reveal ride ring rise roast row rub rule run sail save saw say scare seal search seat see seek sell send serve set sew
shine ship shoot shout show shut sign sing sink sit sleep smell smoke smuggle snow sound speak spell spend spill
spin spread stand start state stay steal steer stick stop store strike study suffer swear sweep swim take talk taste
teach tear tell test thank think throw tie tolerate touch trade train travel treat trust try turn understand use
visit wait wake walk want warn wash watch wear weave weigh weld win wish work worry wrap write yield
"""
_BASES = _VERBS.split()
_IRREGULAR = """
bear:bore beat:beat become:became begin:began bite:bit bleed:bled blow:blew break:broke bring:brought build:built
buy:bought catch:caught choose:chose come:came cost:cost cut:cut deal:dealt dig:dug draw:drew drink:drank
drive:drove eat:ate fall:fell feed:fed feel:felt fight:fought find:found flee:fled fly:flew forbid:forbade
forget:forgot forgive:forgave freeze:froze get:got give:gave go:went grind:ground grow:grew hang:hung have:had
hear:heard hide:hid hit:hit hold:held hurt:hurt keep:kept know:knew lay:laid lead:led leave:left lend:lent let:let
lie:lay light:lit lose:lost make:made mean:meant meet:met pay:paid put:put read:read ride:rode ring:rang rise:rose
run:ran say:said see:saw seek:sought sell:sold send:sent set:set shine:shone shoot:shot shut:shut sing:sang
sink:sank sit:sat sleep:slept speak:spoke spend:spent spin:spun spread:spread stand:stood steal:stole stick:stuck
strike:struck swear:swore sweep:swept swim:swam take:took teach:taught tear:tore tell:told think:thought throw:threw
understand:understood wake:woke wear:wore weave:wove win:won write:wrote
"""
_PAST = dict(pair.split(":") for pair in _IRREGULAR.split())
_CLOSED = {
    "auxiliaries": """am is are was were has have had do does did will would shall should can could may might must
        cannot isn't aren't wasn't won't can't don't doesn't""",
    "adverbs": "not never only always usually often also still already just ever now soon almost nearly",
    "determiners": """a an another the this that these those my your his her its our their no every each any some all
        both""",
    "prepositions": """in on at of for from to by with behind under over near beside between into onto above below
        across after before during until since through within without about against around past beyond
        inside outside up down""",
}
AUXILIARIES = frozenset(_CLOSED["auxiliaries"].split())
DETERMINERS = frozenset(_CLOSED["determiners"].split())
PREPOSITIONS = frozenset(_CLOSED["prepositions"].split())
_ADVERBS = frozenset(_CLOSED["adverbs"].split())


#: Participles that no past form gives.
_PARTICIPLE_WORDS = """bound broken built bought brought caught done driven eaten fed found given grown held hidden kept
    laid lent let lit made met paid put rebuilt read sent set shown shut sold sung swept taken taught thrown told torn
    used wound woven written rung drunk sunk hung dug stuck shot begun"""
_PARTICIPLES = frozenset(_PARTICIPLE_WORDS.split())


def third(base: str) -> str:
    """The form for he, she, it."""
    if base in ("have", "be", "do", "go"):
        return {"have": "has", "be": "is", "do": "does", "go": "goes"}[base]
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + ("es" if base.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")


def past(base: str) -> str:
    """The simple past."""
    if base in _PAST:
        return _PAST[base]
    if base.endswith("e"):
        return base + "d"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ied"
    if re.fullmatch(r"[^aeiou]*[aeiou][bdgmnprt]", base):
        return base + base[-1] + "ed"
    return base + "ed"


#: Third person -> base, for turning a character's facts into the first person.
THIRD_TO_BASE = {third(base): base for base in _BASES} | {"does": "do", "goes": "go"}
PAST_FORMS = frozenset(past(base) for base in _BASES)
BASES = frozenset(_BASES)


def is_finite(words: list[str], index: int) -> bool:
    """Whether `words[index]` (lower case) looks like a finite verb where it stands."""
    word = words[index]
    if word in AUXILIARIES:
        return True
    before = words[index - 1] if index else ""
    if before in DETERMINERS or before in PREPOSITIONS or before.endswith("'s") or before in ("and", "or"):
        return False
    if word in PAST_FORMS and before not in AUXILIARIES and index:
        after = words[index + 1] if index + 1 < len(words) else ""
        return after not in ("by",) or before in ("who", "that", "which")
    plural = before.endswith("s") and not before.endswith("ss")
    return index > 0 and (word in THIRD_TO_BASE or (word in BASES and (plural or before in ("i", "we", "they", "you"))))


def verb_at(words: list[str]) -> tuple[int, int] | None:
    """Span of the first finite verb group, auxiliaries and adverbs included: "must always stand", "is tested"."""
    for index in range(len(words)):
        if not is_finite(words, index):
            continue
        if index and words[index - 1] in ("who", "which", "that"):
            continue
        end = index + 1
        if words[index] in AUXILIARIES:
            while end < len(words) and (words[end] in _ADVERBS or words[end] in ("be", "been", "being")):
                end += 1
            if end < len(words) and not numbers_in(words[end]) and (
                words[end] in BASES or words[end] in PAST_FORMS or words[end] in _PARTICIPLES
                or re.search(r"(ed|en|wn)$", words[end])
            ) and words[end] not in PREPOSITIONS:  # fmt: skip
                end += 1
        return index, end
    return None


def opening(text: str) -> tuple[str, str]:
    """Subject and finite verb group of a sentence, lower case; the whole text and "" where no verb is found."""
    words = _lower(text)
    verb = verb_at(words)
    return (" ".join(words[: verb[0]]), " ".join(words[slice(*verb)])) if verb is not None else (" ".join(words), "")


def _lower(text: str) -> list[str]:
    return [re.sub(r"[^\w'-]", "", word).lower() for word in text.split()]


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
    last = _lower(text)[-1:]
    return bool(last) and last[0] in DETERMINERS | {"for", "of", "to", "from", "at", "with", "by", "than"}


def _sentence(body: str, stop: str) -> str:
    body = body.strip()
    return body[:1].upper() + body[1:] + stop


def _join(left: str, right: str, link: str) -> tuple[str, str] | None:
    """The two full sentences of `left link right`, or None when the link does not part two statements."""
    words, others = _lower(left), _lower(right)
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
    if (other_verb is not None and not bare_noun) or "but" in link or ";" in link or others[0] in PREPOSITIONS:
        return None
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
    words = [word.lower() for word in subject if word.lower() not in _ADVERBS]
    head = words[next((i for i, word in enumerate(words) if i and word in PREPOSITIONS), len(words)) - 1]
    many = head.endswith("s") and not head.endswith(("ss", "us")) and head in subject
    plural = {"is": "are", "was": "were", "has": "have"} if many else {}
    if plural and len(group) == 1 and group[0] in THIRD_TO_BASE:
        return [THIRD_TO_BASE[group[0]]]
    return [plural.get(group[0].lower(), group[0]), *group[1:]]


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
    passive = to_be and len(group) > 1 and _is_participle(words[verb[1] - 1])
    if passive and _is_participle(others[0]):
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


def _is_participle(word: str) -> bool:
    return word in _PARTICIPLES or word.endswith("wn") or (word.endswith("ed") and word in PAST_FORMS)


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
