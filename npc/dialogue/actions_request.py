"""Is the player asking for something to be done, and with which verb? English forms, no model.

"Could you pass me the long wrench?"      -> Request(verb "pass", object "me the long wrench")
"That spoon you're eyeing, may I have it?" -> Request(verb "give", object …)
"Where does the channel begin?"            -> nothing
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from npc.dialogue.knowledge.words import numbers_in, stem, tokens

#: Verbs that mean the same to a request; the first of each line is the name of the group.
_GROUPS_TEXT = """
give hand pass lend fetch bring slide offer deliver spare grab supply present
show point indicate direct guide lead display reveal light-up
take collect accept receive pocket keep confiscate seize snatch
sell buy purchase
open unlock unbar unseal unlatch unbolt
close shut seal bar latch
lock bolt secure lock-off
stop halt kill disable power freeze pause cut-off switch-off turn-off shut-off shut-down
start run launch activate engage power switch switch-on turn-on power-up
light ignite kindle
ring toll chime sound blow strike peal
call summon page alert phone radio fetch
write note record enter log jot inscribe
book reserve assign allot put register enrol
throw toss cast fling chuck hurl
look inspect examine check watch study see search look-inside look-into look-at open-up
stand rise get-up
sit rest
hold stretch extend hold-out put-out reach-out
play perform sing strum
print issue stamp
wind crank turn
heal bandage treat mend cure
repair fix mend
feed serve
pour draw pull fill tap
drop put-down leave lay
move push pull drag shift carry lift
follow come accompany join
go walk leave run-to
wait stay remain
attack fight hit strike shoot stab
dance bow wave nod kneel
cook bake brew roast
paint draw sketch
send post mail dispatch
announce proclaim broadcast
pay refund reimburse
weigh measure count
clean wipe sweep wash
hide cover bury
free release untie loose
teach train
wake rouse knock call-up
throw-out kick-out eject evict chuck-out expel toss-out
set adjust change slow speed slow-down speed-up turn-up turn-down dial reduce increase
log report file
raise lift hoist heave
lower drop let-down
empty pour-out
break smash burn tear
swallow eat drink
"""
_GROUPS: dict[str, set[str]] = {}
for _line in _GROUPS_TEXT.strip().splitlines():
    for _word in _line.split():
        _GROUPS.setdefault(_word.replace("-", " "), set()).add(_line.split()[0])

#: Imperatives that ask for talk, not for a deed.
_TALK_TEXT = """tell say explain describe remind repeat answer speak talk list name guess imagine suppose remember
forget
    listen hear excuse pardon forgive trust believe relax calm worry hurry let look see think know mean mind wish hope
    thank welcome come have be do try ask keep wait hold go stop call take never don't dont please consider note keep
    shut read recite quote promise swear admit confess recommend suggest advise translate"""
_TALK = frozenset(_TALK_TEXT.split())
#: Of those, ones that are deeds when an action of the character is named by them or they have a real object.
_BOTH = frozenset(
    {"look", "see", "call", "take", "hold", "go", "stop", "come", "wait", "keep", "shut", "have", "read", "let"}
)
_OTHER_VERBS_TEXT = """smuggle undock tape steal rob dock unload load drive fly sail row swim jump climb dig kneel strip
    undress shave cut chop poison drug hack copy forge sign erase delete cheat bribe sneak slip carry hire fire promote
    marry kiss hug slap punch kick trip push shove lift add remove change set reset skip raise boil refuel fuel charge
    discharge admit evacuate prescribe inject operate scan test order cancel approve authorise authorize grant waive
    escort distract lie cover marry adopt summon banish curse bless enchant brew trade swap exchange haggle discount
    build erect dismantle assemble carve knit sew weave force vent dump crush scratch spray shake squeeze wake flip mix
    spin knock swing smear spit sprinkle spread fold unfold roll wrap unwrap pack unpack seat park fake falsify
    backdate bend snap pull rip peel scrape drill weld glue nail paint dye trim prune water harvest milk saddle shoe
    rein harness feed chase hunt trap fish skin gut lure bait spy eavesdrop follow shadow stalk threaten blackmail
    frame betray report denounce fine punish whip beat torture juggle somersault levitate vanish teleport fly shrink
    grow curse summon conjure enchant sacrifice let allow tie bind chain arrest jail release strike tear rip spill pour
    scatter throw vouch slaughter butcher double halve untie loosen tighten clear empty plug unplug connect disconnect
    press click push type dial upload download install replace tow park crash steer land"""
_OTHER_VERBS = frozenset(_OTHER_VERBS_TEXT.split())

#: Verbs that say little by themselves: what they mean is in their object.
GENERIC = frozenset({"get", "put", "set", "make", "do", "have", "turn", "bring", "leave", "use", "try"})
_LET = re.compile(
    r"^let (?:me|us|him|her|them|my \w+) (?!know|think|guess|ask|tell|explain|finish|be\b|introduce|say|help|start|see"
    r"|look|have a look|take a look|get this|rephrase|repeat|put it)",
    re.IGNORECASE,
)
#: "Let me get my purse first" asks nothing of anybody.
_LET_MYSELF = re.compile(
    r"^let (?:me|us) (?:just )?\w+(?: (?:my|our|the|a)\b.*\bfirst\b|(?: \w+)? (?:my|our) (?:own )?\w+\W*$)",
    re.IGNORECASE,
)
_SUPPOSING = re.compile(
    r"\b(?:if|when|once|suppose) (?:i|i'm|we|we're|somebody|someone|it|he|she|they)\b", re.IGNORECASE
)
_NOT_VERBS_TEXT = """i you he she it we they the a an this that these those my your his her its our their there here who
    what where when why how which not never no yes well so then now but and or if because although while after before
    is are was were be been am do does did have has had can could will would shall should may might must in on at by
    for from with without about of to over under into out up down off as than like just only even still also maybe
    perhaps sure fine good great nice bad poor dear such what all any every each both one two three half quite very
    too more most less sorry hello hi hey thanks thank please ok okay right wow oh ah nothing everything something
    nobody everybody everyone someone anyone once today tomorrow yesterday tonight"""
_NOT_VERBS = frozenset(_NOT_VERBS_TEXT.split())
_OBJECT_STARTS_TEXT = "the that this these those my your his her their a an me us him it them some up down on off"
_OBJECT_STARTS = frozenset(_OBJECT_STARTS_TEXT.split())
_LET_PASS = re.compile(
    r"\blet (?:me|us|him|her|them) (?:in|into|out|off|on|through|past|pass|inside|on to|onto|aboard|down|up)\b", re.I
)
_TELL_OTHERS = re.compile(r"\btell (?:everybody|everyone|them all|all of them|the others|the crew)\b", re.IGNORECASE)
#: "Three sacks of oats." "One ticket for North Gate." "Another bun, and quick."
ORDER = re.compile(
    r"^(?!.*\b(?:ago|i|he|she|we|they)\b)(?:(?:an?\b(?=.*\b(?:for (?:me|us)|please)\b))|another"
    r"|one|two|three|four|five|six|seven|eight|nine|ten|twelve|\d+|half a|a couple of) "
    r"(?!of us\b|more thing|thing\b|day|moment|question)(?!.*\b(?:is|are|was|were|has|have|had|costs?|will|would|can"
    r"|did|does|says?|said|told|looks?|seems?|came|went|lives?|tastes?|smells?)\b)[^?]{2,60}$",
    re.IGNORECASE,
)
#: "Give me the price of a rye" asks for words.
FOR_WORDS = re.compile(
    r"\b(?:give|quote) (?:me|us) (?:the|a|an|your|some|any) (?:price|cost|rate|time|date|name|word|answer|reason"
    r"|details?|figures?|news|truth|idea|hint|clue|example|advice|story|directions?|number|opinion)\b",
    re.I,
)
_LET_SEE = re.compile(r"^let (?:me|us) (?:see|look at|have a look at|take a look at) ", re.IGNORECASE)
_LEAD = re.compile(
    r"^(?:(?:please|now|then|so|well|ok|okay|right|alright|all right|good|great|lovely|fine|here|come on|ah|oh|hey|look"
    r"|listen|quick|quickly|just|also|and|but|or|actually|perfect|yes|yeah|no|thanks|thank you|sir|ma'am|madam|friend"
    r"|go on"
    r"|go ahead and|why don't you|in that case|maybe|perhaps|kindly|do|hurry|for me|after that|next|first|very well)\b"
    r"[\s,.!:;-]*)+",
    re.IGNORECASE,
)
_POLITE = re.compile(
    r"\bwould you mind |"
    r"\b(?:could|can|would|will|won't|can't|couldn't) you(?: please| kindly| just| maybe| possibly| perhaps| not)?"
    r"(?: go)?(?: and)? "
    r"|\bi (?:want|need|order|command|ask|beg|would like|'d like|require) you to |\bi'd like you to "
    r"|\byou(?: really)? (?:must|have to|need to) (?:now |just |please )?"
    r"|\bbe so kind (?:as to|and) "
    r"|\bdo me a favou?r and |\bi'd (?:appreciate|be glad) if you(?:'d| would| could) ",
    re.IGNORECASE,
)
_WANT = re.compile(
    r"\b(?:may|can|could|might|shall) (?:i|we)(?: please| just| maybe)?"
    r" (?:have|get|borrow|take|buy|hold|use|rent|keep)\b"
    r"|\bi(?:'d| would) (?:like|love|want) (?:to (?:have|buy|get|take|borrow) )?(?!you\b|to )"
    r"|\b(?:i|we)(?:'ll| will) (?:take|have|buy)\b|\bi (?:want|need|'d like) (?:to (?:buy|have|borrow|get) )(?!you\b)"
    r"|\bi (?:want|need) (?!to\b|you\b|some (?:help|advice))"
    r"|\bgot (?:a|any|some)\b.*\bfor me\b",
    re.IGNORECASE,
)
_OFFER = re.compile(
    r"\b(?:here(?:'s| is| are)|here you (?:go|are)|take (?:my|this|these|them|it)|i(?:'ll| will) pay|i'm paying)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"^(?:who|what|where|when|why|how|which|whose|is|are|was|were|am|do|does|did|has|have|had|should|shall|may|might|any"
    r"|isn't|aren't|don't|doesn't|didn't|what's|where's|who's|how's|when's|which's)\b",
    re.IGNORECASE,
)
_TAIL = re.compile(r",? (?:would|will|could|can|won't|can't) you(?: please| kindly| for me)?\s*\?$", re.IGNORECASE)
_WH = re.compile(r"^(?:who|what|where|when|how|which|whose|why(?! don't you| not))\b", re.IGNORECASE)
_NOT = re.compile(r"^(?:don't|do not|never|no need to|stop asking)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked for. `verbs` are candidates, the plainest first; `text` the sentence, `rest` what follows the
    verb.

    `firm`: an imperative or "could you"; not firm: "I'd like …", "may I have …".
    """

    verbs: tuple[str, ...]
    rest: str
    text: str
    firm: bool


def _verbs(verb: str, after: str) -> tuple[str, ...]:
    """ "Take me to …" asks for guidance, not for taking."""
    if verb in ("take", "bring", "walk", "get") and re.match(r"^(?:me|us|him|her|them) (?:over )?to\b", after.lower()):
        return ("lead", "show")
    return (verb,)


def groups_of(verb: str) -> frozenset[str]:
    """The synonym groups of a verb ("pass" -> {"give"}); a verb of no group is its own."""
    found = _GROUPS.get(verb) or _GROUPS.get(stem(verb))
    return frozenset(found) if found else frozenset({verb})


def is_common(verb: str) -> bool:
    """Whether the verb is one whose meaning the lists know."""
    return verb in _GROUPS or verb in _OTHER_VERBS


def phrased(phrase: str, text: str) -> int:
    """How many words of an author's phrase stand in a text, one after the other, any number for a number ("I'll take
    one" in "I'll take two lamps"); 0 where it does not stand there whole, or is a single word."""
    wanted, said = _unnumbered(phrase), _unnumbered(text)
    if len(wanted) < 2:
        return 0
    found = any(said[at : at + len(wanted)] == wanted for at in range(len(said) - len(wanted) + 1))
    return len(wanted) if found else 0


def _unnumbered(text: str) -> list[str]:
    words = tokens(text.replace("’", "'"))
    for _, at in numbers_in(text):
        words[at] = "#"
    return words


def requests(text: str, own_verbs: Iterable[str] = ()) -> tuple[Request, ...]:
    """Requests in a turn, in order. `own_verbs` are verbs of the character's actions: always understood."""
    own = frozenset(own_verbs)
    read = (_request_in(sentence, own) or _at_the_end(sentence, own) for sentence in _clauses(text))
    found = [request for request in read if request is not None]
    # "I need customs and then fuel. Will customs still be open?" explains a question; it asks for nothing.
    asks = text.rstrip().endswith("?")
    return tuple(r for r in found if r.firm or "" not in r.verbs or not asks or r.text.rstrip().endswith("?"))


def _at_the_end(sentence: str, own: frozenset[str]) -> Request | None:
    """An order by a verb of the character's own behind what explains it: "There's a man fighting, call security." """
    head, comma, last = sentence.rpartition(", ")
    first = re.sub(r"[^a-z]", "", last.split()[0].lower()) if last.split() else ""
    if not comma or first not in own or len(last.split()) < 2 or _WH.match(head) or _SUPPOSING.search(head):
        return None
    return _request_in(last, own)


def _request_in(sentence: str, own: frozenset[str]) -> Request | None:
    # "Light the lamp, would you?" is an order with a polite tail.
    sentence = _TAIL.sub(".", sentence)
    stripped = _LEAD.sub("", sentence).strip()
    # A name in front ("Wick, fetch the rope") is an address.
    stripped = re.sub(r"^[A-Z]\w+, (?=\w)", "", stripped)
    if _NOT.match(stripped) or _NOT.match(sentence):
        return None
    if _WH.match(stripped):
        return None
    if _LET_SEE.match(stripped):
        return Request(("show", "look", "hold out"), _LET_SEE.sub("", stripped), sentence, True)
    if FOR_WORDS.search(stripped):
        return None
    told = _TELL_OTHERS.search(stripped)
    if told:
        return Request(("announce", "call"), stripped[told.end() :], sentence, True)
    if sentence.endswith("?") and _SUPPOSING.search(sentence):
        return None
    passage = _LET_PASS.search(stripped)
    if passage and not _WH.match(stripped):
        return Request(("open", "unlock", "admit"), stripped[passage.end() :], sentence, True)
    if _LET.match(stripped):
        if _LET_MYSELF.match(stripped):
            return None
        return Request(("let",), _LET.sub("", stripped), sentence, True)
    polite = _POLITE.search(sentence)
    if polite:
        rest = sentence[polite.end() :].strip(" ?!.")
        verb, after = _verb(rest)
        known = verb in own or verb in _GROUPS or verb in _OTHER_VERBS
        led = _verbs(verb, after) != (verb,)
        if known and (led or verb in own or verb not in _TALK or (verb in _BOTH and _object(after))):
            return Request(_verbs(verb, after), after, sentence, True)
        return None
    want = _WANT.search(sentence)
    offer = _OFFER.search(sentence)
    if offer and not (want and want.start() < offer.start()) and not sentence.rstrip().endswith("?"):
        return Request(("take", "accept"), sentence[offer.end() :], sentence, False)
    if want:
        return Request(("give", "sell", ""), sentence[want.end() :].strip(" ?!."), sentence, False)
    if _QUESTION.match(stripped) and not re.match(
        r"^have (?:an?|the|some|this|that|these|one|my|another)\b", stripped, re.IGNORECASE
    ):
        return None
    verb, after = _verb(stripped)
    known = verb in own or verb in _GROUPS or verb in _OTHER_VERBS or verb in GENERIC
    if verb and not known and _imperative(stripped):
        return Request((verb,), after, sentence, False)
    if verb and known and not stripped.endswith("?") and not re.match(r"^(?:is|are|was|were|has|of)\b", after):
        led = _verbs(verb, after) != (verb,)
        if verb in _TALK and verb not in own and not led and not (verb in _BOTH and _object(after)):
            return None
        return Request(_verbs(verb, after), after, sentence, True)
    # "The red one, the valve by your elbow, shut it please." / "Ring light: open it."
    late = re.search(
        r"[,;:] (?:please )?((\w+)(?: \w+)? (?:it|that|them|him|her|one|this|these|those)\b(?: \w+)?)", stripped
    )
    if late:
        verb, _ = _verb(late.group(1))
        if verb in own or verb in _GROUPS or verb in _OTHER_VERBS:
            return Request((verb,), stripped, sentence, True)
    if ORDER.match(sentence):
        return Request(("give", "sell", ""), stripped, sentence, False)
    please = re.match(r"^(.{3,60}?),? please[.!]?$", stripped, re.IGNORECASE)
    if please and not _QUESTION.match(stripped):
        return Request(("give", "sell", ""), please.group(1), sentence, False)
    return None


def _verb(text: str) -> tuple[str, str]:
    """First word as a verb, with its particle when the pair is a known verb ("turn off", "hold out")."""
    words = text.split()
    if not words:
        return "", ""
    first = _base(re.sub(r"[^a-z']", "", words[0].lower()))
    # "go and fetch", "come and see"
    if first in ("go", "come") and len(words) > 2 and words[1].lower() in ("and", "to"):
        return _verb(" ".join(words[2:]))
    if len(words) > 1:
        pair = f"{first} {re.sub(r'[^a-z]', '', words[1].lower())}"
        if pair in _GROUPS:
            return pair, " ".join(words[2:])
        if len(words) > 2 and words[1].lower() in ("it", "that", "this", "them", "me", "him", "her"):
            split = f"{first} {re.sub(r'[^a-z]', '', words[2].lower())}"
            if split in _GROUPS:
                return split, " ".join([words[1], *words[3:]])
    return first, " ".join(words[1:])


def _imperative(sentence: str) -> bool:
    """Whether a sentence with an unknown first word may be an order: a bare word, then a thing."""
    words = [re.sub(r"[^a-z']", "", word.lower()) for word in sentence.split()]
    if len(words) < 2 or words[0] in _NOT_VERBS | _TALK or sentence.rstrip().endswith("?") or "'" in words[0]:
        return False
    if words[0].endswith(("ly", "ing", "ed", "s")) and not words[0].endswith("ss"):
        return False
    return words[1] in _OBJECT_STARTS


def _base(word: str) -> str:
    """ "would you mind paging" asks for the same as "page"."""
    if not word.endswith("ing") or len(word) < 6:
        return word
    for base in (word[:-3], word[:-3] + "e", word[:-4]):
        if base in _GROUPS or base in _OTHER_VERBS:
            return base
    return word


def _object(after: str) -> bool:
    """Whether what follows a verb names a thing: an article or possessive and a noun, or a number."""
    return bool(
        re.match(
            r"^(?:the|that|this|these|those|my|your|a|an|one|two|me (?:the|a|that)|out|off|it\b|for|inside|into|in)\b",
            after.lower(),
        )
    )


def _clauses(text: str) -> list[str]:
    """Sentences, and the parts of one joined by ", then" or "and" before a verb that can begin a request."""
    parts: list[str] = []
    for sentence in re.split(r"(?<=[.!?;])\s+", text):
        parts += re.split(r",? (?:and )?then (?=\w+ (?:the|it|me|that|my|a)\b)", sentence)
    return [part.strip() for part in parts if tokens(part)]
