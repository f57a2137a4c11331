"""Player turns for training the end-of-turn detector, made from small grammars; a bar marks where people stop to think.

Written for this project; none of them is in the benchmarks. Corpora of typed chat have few commas and no service talk,
so these teach how a clause before a comma differs from a finished one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

_SLOTS: Final = {
    "thing": (
        "a lantern", "the iron key", "a bottle of wine", "some fresh bread", "a warm blanket", "the silver mirror",
        "two tickets", "a new bandage", "the morning paper", "a strong rope", "a pair of gloves", "the last apple",
        "a cup of tea", "the blue vase", "a window seat", "an old coin", "the yellow form", "a small boat",
    ),
    "place": (
        "the market", "the station", "the upper floor", "the harbour", "the old mill", "the waiting room",
        "the library", "my hotel", "the garden", "the chapel", "the pharmacy", "the stables", "the hall",
    ),
    "person": (
        "my uncle", "the guard", "the surgeon", "your sister", "the old fisherman", "the guide", "my neighbour",
        "the innkeeper", "her teacher", "the young soldier", "my wife", "the tall man", "our captain", "the baker",
    ),
    "time": (
        "this morning", "last week", "tomorrow evening", "after lunch", "on Thursday", "at midnight", "before sunrise",
        "a month ago", "in the spring", "next summer", "two days ago", "right now",
    ),
    "fact": (
        "the road is closed", "it hurts a lot", "the shop was empty", "nobody answered", "it is getting dark",
        "the train was late", "he lost his hat", "we have no money left", "the door was locked", "it smells of smoke",
        "the music stopped", "I feel much better", "they sold everything", "the water is cold", "she left the city",
    ),
    "do": (
        "find the owner", "open this box", "wait outside", "visit the tower", "ask you a question", "leave a message",
        "talk to the manager", "see the kitchen", "buy a horse", "rest for a while", "pay the bill", "change my seat",
        "learn more about it", "borrow a pen", "take a picture", "sit near the fire",
    ),
    "quality": ("cheap", "dangerous", "very heavy", "quite rare", "broken", "too late", "beautiful", "far away"),
    "filler": ("Well", "Um", "So", "Let me see", "Hmm", "Actually", "You know", "Okay"),
    "say": ("told me", "said", "promised", "believes", "thinks", "wrote"),
    "wh": ("why", "where", "how", "when", "whether"),
}  # fmt: skip

#: Turns; "|" is a place to pause. Each is drawn equally often.
_TURNS: Final = (
    "I would like {thing}.", "I would like {thing}, | but {fact}.", "I want to {do} | before {fact}.",
    "Can I {do} {time}?", "Could you tell me | where {person} is?", "Where is {place}?", "Where can I {do}?",
    "If {fact}, | we should {do}.", "When {fact}, | I went to {place}.", "{filler}, | I wanted to {do}.",
    "{person} {say} | that {fact}.", "I think that {fact}.", "I think | {person} wants to {do}.",
    "Is {thing} still {quality}?", "{fact}, | and {person} wants to {do}.", "{fact}, | so I went to {place}.",
    "What does {person} want {time}?", "How much is {thing}?", "Please bring me {thing}.", "Please bring me | {thing}.",
    "I came from {place} {time}.", "I came from {place} | because {fact}.", "Do you know {wh} | {fact}?",
    "Do you know {person}?", "Have you seen {thing} or {thing}?", "Have you seen {thing}, | or {thing}?",
    "Although {fact}, | I will {do}.", "Since {fact}, | nobody can {do}.", "I am looking for {thing}.",
    "I am looking for | {thing}.", "I am looking for {thing} | for {person}.", "My name is Anton.",
    "Tell me about {place}.", "Tell me about {place}, | and about {person}.", "No, {fact}.", "Yes, I need {thing}.",
    "It is {quality}.", "It is {quality}, | but I will take it.", "That is {quality}, | is it not?",
    "{person} was at {place} {time}.", "{person}, | the one from {place}, | wants to {do}.",
    "Before {fact}, | {person} used to {do}.", "Would you please {do}?", "Who took {thing}?",
    "Who took {thing} | from {place}?", "We were at {place} | when {fact}.", "Thank you, goodbye.",
    "Why is {thing} so {quality}?", "Why did {person} | {do}?", "I have a question | about {thing}.",
    "I have a question about {thing}.", "I forgot {wh} {fact}.", "Can you help me?", "Can you help me | to {do}?",
    "As soon as {fact}, | come to {place}.", "The one that I saw {time} | was {quality}.",
    "I would rather {do} | than go to {place}.", "First I want to {do}, | then I want to {do}.",
    "Either we {do}, | or {fact}.", "I do not want to {do}.", "I do not know | if {fact}.", "Good evening.",
    "Is it true that {fact}?", "Is it true | that {fact}?", "Maybe {person} can {do}.", "{thing}, please.",
    "{thing}, | and {thing}, please.", "I saw {person} {time}, | near {place}.", "Are you sure?", "{fact} {time}.",
    "What I mean is | that {fact}.", "All I want | is {thing}.", "Not only that, | {fact}.",
)  # fmt: skip


#: Whole turns of a word or two: in typed chat these words mostly begin a longer turn, spoken they often are the turn.
_SHORT: Final = (
    "Yes.", "No.", "Okay.", "Thank you.", "Thanks.", "Hello.", "Goodbye.", "Sure.", "Of course.", "Not yet.", "Really?",
    "Why?", "Where?", "Who?", "When?", "Yes, please.", "No, thank you.", "I see.", "All right.", "Never.",
    "Nothing.", "Maybe.", "Right.", "Sorry?", "What?", "Wait.", "Help me.", "I know.", "Bye.", "Not really.", "I do.",
)  # fmt: skip


def draw(rng: np.random.Generator) -> str:
    """One turn with its bars, capitalised; one in five is of a word or two."""
    text = str(rng.choice(_SHORT if rng.random() < 0.2 else _TURNS))
    while "{" in text:
        before, _, rest = text.partition("{")
        slot, _, after = rest.partition("}")
        filled = str(rng.choice(_SLOTS[slot]))
        text = before + filled + after
    return text[0].upper() + text[1:]
