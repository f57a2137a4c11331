"""Things, people and worlds of the episodes. Names are never spelt: they stand as <x> or as references."""

from __future__ import annotations

_FANTASY = (
    "lantern rope sword potion map key gate bridge tower castle mill ferry well forge anvil candle cloak barrel tavern "
    "stable harvest dragon amulet scroll temple shrine market square harbour cellar attic garden orchard river forest "
    "cave mine road ship oar net salt spice honey wool leather saddle horse mule goat wolf bear raven owl knight king "
    "queen priest smith baker miller hunter guard thief bandit pirate sailor merchant innkeeper herbalist healer witch "
    "crown ring dagger bow arrow shield helmet boots gloves book letter seal coin purse chest lock tomb grave statue"
)
_MODERN = (
    "printer laptop badge server invoice report ticket meeting budget contract client manager auditor supplier "
    "forklift pump valve alarm sensor helmet ladder crane warehouse shift briefing permit form checklist password "
    "account refund parcel delivery train bus platform station airport museum library hospital ward nurse doctor "
    "patient pharmacy school classroom teacher exam canteen kitchen oven menu hotel lobby elevator garage engine "
    "battery tram bakery garden greenhouse telescope lab sample microscope reactor airlock shuttle dome rover antenna "
    "studio gallery"
)
_PLAIN = (
    "soup bread cheese pie stew ale tea coffee water fire lamp door window table chair bench box bag hat coat picture "
    "clock mirror bell song story game dance festival wedding funeral storm winter summer morning evening weather snow "
    "fish apple roses cat dog boat wheel hammer nail knife spoon pot kettle basket ladder roof wall fence field tree"
)
_QUALITIES = "old red big small broken blue new lost hidden black wooden iron last first second stolen silver cheap"

_EVERY = tuple(dict.fromkeys(f"{_FANTASY} {_MODERN} {_PLAIN}".split()))
#: Every third thing is never seen in training.
THINGS = tuple(word for number, word in enumerate(_EVERY) if number % 3 != 2)
THINGS_HELD_OUT = tuple(word for number, word in enumerate(_EVERY) if number % 3 == 2)
QUALITIES = tuple(_QUALITIES.split())
_KIN = (
    "brother sister mother father son daughter wife husband uncle aunt cousin friend neighbour boss teacher dog cat "
    "horse goat grandmother grandfather partner team boat house shop garden job leg hand book story family child"
)
KIN = tuple(_KIN.split())
OPENERS = (
    "and", "so", "tell me", "please", "sorry", "excuse me", "hey", "well then", "quick question", "um", "uh", "ok so",
    "listen", "by the way", "but", "actually", "oh", "say", "right", "one more thing", "if i may ask", "hello", "hi",
    "good day", "you know", "look", "now", "well", "i wonder", "tell me friend", "could you say",
)  # fmt: skip
CLOSERS = (
    "then", "these days", "please", "do you know", "now", "friend", "exactly", "again", "if i may ask", "anyway",
    "by any chance", "here", "right now", "in your opinion", "sir", "my friend", "would you say", "today", "thanks",
)  # fmt: skip
