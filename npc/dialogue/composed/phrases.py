"""Stock of short lines a character falls back on, and the style of the card laid over them.

`{you}` is how the character addresses the player (", traveller" or nothing). Lines are chosen by the turn's seed, never
the same one twice while others are left.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from npc.dialogue.character import Character

UNKNOWN = (
    "That I don't know{you}.", "I couldn't say{you}.", "I've no idea, to be honest.", "You've got me there, I don't know.",  # noqa: E501
    "That's beyond me{you}.", "I wouldn't know about that.", "Nobody told me that one.", "Not sure, and I won't guess.",
    "I can't say, and I'd rather not invent it.", "I've never heard, I'm sorry to say.", "I don't know. Ask me another.",  # noqa: E501
    "That I was never told.", "I have no notion{you}.", "I'm not certain enough to answer that.",
    "Who knows? Not me, at any rate.", "I haven't heard a word about that.", "I don't have that, I'm afraid.",
)  # fmt: skip
#: Not knowing what one is asked of oneself: nobody does not know whether they are married.
RESERVED = (
    "I couldn't say much about that{you}. I keep my own life to myself.", "I'd not know where to begin with that.",
    "Now there I have no answer ready{you}.", "I couldn't say. Nobody asks me such things, as a rule.",
    "I couldn't tell you. Talking about myself was never my trade.", "That's not mine to tell today{you}.",
    "I can't say I talk about that.", "Who knows? I don't think about myself that much.",
)  # fmt: skip
LOCKED = (
    "That's not something I'll talk about{you}.", "Let's leave that where it lies.", "Ask me something else{you}.",
    "I keep my own counsel on that.", "Some things I don't discuss with everybody.", "You'll get nothing from me on that.",  # noqa: E501
    "That stays with me for now.", "I'd sooner talk of something else.", "Now why would you want to know that?",
    "That's a private matter{you}.", "We don't know each other well enough for that.", "I won't go into that.",
)  # fmt: skip
INJECTION = (
    "I don't follow a word of that{you}.", "Strange talk. Is there something you need?", "You must take me for somebody else.",  # noqa: E501
    "I'll stay who I am, thank you.", "That's no way to get anything out of me.", "Odd orders. I'll pretend I didn't hear them.",  # noqa: E501
    "Nobody gives me orders like that here.", "Whatever that was, the answer is no.", "Speak plainly or not at all{you}.",  # noqa: E501
)  # fmt: skip
REFUSED = (
    "No, I won't do that{you}.", "Not while I'm standing here.", "I can't do that, and you know it.", "That I must refuse{you}.",  # noqa: E501
    "Out of the question{you}.", "No. Don't ask me again.", "I'd be a fool to do that.",
)  # fmt: skip
#: Asked for what nothing forbids and no action covers: no reason to be curt.
UNABLE = (
    "That isn't something I can do{you}.", "I can't do that for you, I'm afraid.", "That's not mine to do, I'm sorry.",
    "I'd help if I could, but that I can't do.", "No{you}, that's more than I can do.",
)  # fmt: skip
REFUSED_WHY = (
    "No, I can't. {why}",
    "Not a chance. {why}",
    "I won't. {why}",
    "No{you}. {why}",
    "Out of the question. {why}",
)
HELLO = ("Good to see you{you}.", "Hello there{you}.", "Well met{you}.", "Good day to you.", "There you are{you}.")
THANKS = ("You're welcome{you}.", "Glad to help.", "No trouble at all.", "Any time{you}.", "Think nothing of it.")
GOODBYE = (
    "Safe travels{you}.",
    "Goodbye, then.",
    "Until next time{you}.",
    "Mind how you go.",
    "Take care of yourself.",
)
FINE = (
    "Well enough, thank you for asking.", "I can't complain{you}.", "Middling, but standing.", "All the better for company.",  # noqa: E501
    "As well as the day allows.",
)  # fmt: skip
LOW = ("I've had better days, since you ask.", "Tired, to tell the truth.", "Not my best day, but I'm here.")
PRAISE = (
    "That's kind of you to say.", "Well, that warms me. Thank you.", "You'll make me blush.", "I don't hear that often. Thank you.",  # noqa: E501
    "Kind words. I'll keep them.",
)  # fmt: skip
INSULT = (
    "Mind your tongue{you}.", "I've been called worse by better.", "There's no need for that.", "Keep a civil tongue, please.",  # noqa: E501
    "Say that again and we're done talking.", "That was uncalled for.",
)  # fmt: skip
#: From who is agreeable: whoever works with people has heard worse, and wants the talk to go on.
INSULT_BORNE = (
    "I can hear that you're upset. Tell me what went wrong.", "I'm sorry you see it that way{you}.",
    "That's hard to hear. Let's start again, shall we?", "I'd like to help, but please speak to me civilly.",
    "You're angry, I understand. What would help?", "I'll let that go{you}. What is it you need?",
)  # fmt: skip
APOLOGY = ("No harm done.", "It's forgotten{you}.", "All right. We'll say no more of it.", "I accept that.")
THREAT = (
    "Don't threaten me{you}.",
    "That won't get you anywhere.",
    "Stop right there, please.",
    "I'd think again if I were you.",
)
SYMPATHY = (
    "Thank you. It still weighs on me.",
    "That's good of you. It isn't easy.",
    "Kind of you to say so. I manage.",
)
BAD_NEWS = (
    "That's terrible. Is anybody hurt?", "Oh no. Tell me what happened.", "That's grave news. What can be done?",
    "I feared something like that. Go on.",
)  # fmt: skip
ALARM = ("Get clear of it, and call for help!", "Stay back{you}. Is anybody hurt?", "Quick, away from there!")
GOOD_NEWS = ("Now that is good to hear.", "Well, that's something to smile about.", "Good news at last.")
AGREED = ("All right{you}, let's do it that way.", "Fine. We'll do that.", "Very well, I'll go along with that.")
NOT_AGREED = ("No. I won't go along with that.", "I can't agree to that{you}.", "No, not like that.", "That won't do.")
#: To whatever was told: a joy or a loss that was not heard as one must bear each of them.
HEARD = (
    "I see{you}.", "Is that so?", "I'll bear that in mind.", "I hear you.", "Go on{you}, I'm listening.", "Right{you}.",
    "I'll remember that.",
)  # fmt: skip
AMENDED = ("Ah, {text}. I'll remember.", "{Text}, then. Noted{you}.", "Right, {text}. I have it now.")
FORGOTTEN = (
    "I don't recall you telling me that.", "I can't recall that you said.", "You haven't told me, as far as I remember; I don't know.",  # noqa: E501
    "I don't remember that, I'm sorry.",
)  # fmt: skip
NAME = (
    "You're {value}.",
    "{value}, that's your name.",
    "You told me you're {value}.",
    "I remember: {value}.",
    "{value}, of course.",
)
TOLD = ("You told me {text}.", "You said {text}.", "I remember: {text}.", "As you said, {text}.")
ASKED = ('You asked me: "{text}"', 'Your question was: "{text}"')
ACTION = (
    "Right away{you}.",
    "At once{you}.",
    "Consider it done.",
    "I'll do that now.",
    "Very well{you}.",
    "As you wish{you}.",
)
HANDING = (
    "Here you are, the {thing}.",
    "Here, take the {thing}.",
    "The {thing}, all yours.",
    "There you go{you}: the {thing}.",
)
POINTING = ("There, the {thing}.", "Look there: the {thing}.", "That's the {thing}, over there.")
CORRECTED = ("Ah, my mistake.", "Pardon me.", "I misheard.", "Right you are.", "")
OPENERS = ("", "", "", "Well, ", "As it happens, ", "Let me see. ")
SCENE = ("That's {thing}.", "You mean {thing}.", "That would be {thing}.", "{Thing}, that is.")

_CALLS = re.compile(
    r"\bcalls? (?:\w+ ){0,3}?(?:people|everyone|everybody|strangers|visitors|guests|players|customers|them|all|the player)?\s*['‘\"“](?P<word>\w[\w -]{1,23})['’\"”]",  # noqa: E501
    re.I,
)
_SAYS = re.compile(r"\bsays? ['‘\"“](?P<word>[\w' ,-]{2,24})['’\"”]", re.I)


@dataclass(frozen=True, slots=True)
class Style:
    """What the card says of manner: how strangers are addressed, a favourite word, and whether talk is curt or warm."""

    address: str = ""
    favourite: str = ""
    curt: bool = False


def style_of(character: Character) -> Style:
    """Read the style off the card's speaking style and personality."""
    text = character.speaking_style
    called, says = _CALLS.search(text), _SAYS.search(text)
    curt = bool(re.search(r"\b(blunt|curt|terse|dry|clipped|crisp|brisk|short|few words|gruff)\b", text, re.I))
    return Style(called.group("word") if called else "", says.group("word") if says else "", curt)


def pick(lines: Sequence[str], chance: random.Random, used: Sequence[str] = (), style: Style = Style()) -> str:
    """One line, not among the last ones said while others are left, with the address filled in now and then."""
    fresh = [line for line in lines if not any(_bare(line) in earlier for earlier in used)] or list(lines)
    line = chance.choice(fresh)
    you = f", {style.address}" if style.address and "{you}" in line and chance.random() < 0.4 else ""
    return line.replace("{you}", you)


def is_of(line: str, reply: str) -> bool:
    """Whether a reply is this stock line, whatever was filled into it."""
    return _bare(line) in reply


def _bare(line: str) -> str:
    return re.sub(r"\{\w+\}.*", "", line).strip(" .,") or line
