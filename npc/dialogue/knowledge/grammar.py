"""Just enough English grammar for one-sentence facts: finite verbs, their forms, and where they stand."""

from __future__ import annotations

import re

from npc.dialogue.knowledge.words import numbers_in

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
ADVERBS = frozenset(_CLOSED["adverbs"].split())


#: Participles that no past form gives.
_PARTICIPLE_WORDS = """bound broken built bought brought caught done driven eaten fed found given grown held hidden kept
    laid lent let lit made met paid put rebuilt read sent set shown shut sold sung swept taken taught thrown told torn
    used wound woven written rung drunk sunk hung dug stuck shot begun"""
PARTICIPLES = frozenset(_PARTICIPLE_WORDS.split())


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
            while end < len(words) and (words[end] in ADVERBS or words[end] in ("be", "been", "being")):
                end += 1
            if end < len(words) and not numbers_in(words[end]) and (
                words[end] in BASES or words[end] in PAST_FORMS or words[end] in PARTICIPLES
                or re.search(r"(ed|en|wn)$", words[end])
            ) and words[end] not in PREPOSITIONS:  # fmt: skip
                end += 1
        return index, end
    return None


def opening(text: str) -> tuple[str, str]:
    """Subject and finite verb group of a sentence, lower case; the whole text and "" where no verb is found."""
    words = lower_words(text)
    verb = verb_at(words)
    return (" ".join(words[: verb[0]]), " ".join(words[slice(*verb)])) if verb is not None else (" ".join(words), "")


def lower_words(text: str) -> list[str]:
    return [re.sub(r"[^\w'-]", "", word).lower() for word in text.split()]


def is_participle(word: str) -> bool:
    return word in PARTICIPLES or word.endswith("wn") or (word.endswith("ed") and word in PAST_FORMS)
