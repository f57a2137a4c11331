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
    "did": (
        "slipped on the ice", "broke his glasses", "missed the last bus", "ate some bad fish", "sold the old house",
        "burned her hand", "won a prize", "fell asleep at the wheel", "moved to the north", "paid for everything",
        "heard a loud bang", "took the wrong turn", "hid behind the curtain", "signed the contract",
    ),
    "then": (
        "now we are lost", "I could not sleep", "she wants her money back", "there was nothing left to eat",
        "he would not say a word", "we had to start again", "it never happened again", "you were not at home",
        "my head was spinning", "they let us in for free", "it was far too small", "that was the end of it",
    ),
    "some": (
        "a little slower", "on the left side", "for the second time", "in the evening at least", "mostly at night",
        "without any sugar", "as quickly as possible", "just to be safe", "if you do not mind", "or something like it",
        "not the small one", "maybe even earlier", "by the way", "of course", "as usual", "I think",
    ),
    "who": ("Doctor", "sir", "madam", "my friend", "captain", "young man", "nurse", "good man", "officer"),
    "group": ("my parents", "the children", "the two sailors", "all the workers", "the tourists", "our neighbours"),
    "ask": (
        "what is it made of", "where does it come from", "who is going to pay", "how far is it", "why is it so loud",
        "when does it open", "what should I do", "how did you find out", "who told you that", "is it safe",
        "could you repeat it", "can you do it for less", "will you be there", "does it hurt", "are you coming along",
    ),
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
    "{person} {did}, | and {then}.", "{person} {did}, | but {then}.", "{person} {did}, | so {then}.",
    "{person} {did}.", "{person} {did} {time}.", "I {did}, | and {then}.", "I {did}, | so {then}.", "I {did}.",
    "When {person} {did}, | {then}.", "If {fact}, | {ask}?", "Since {fact}, | {ask}?", "{fact}, | {ask}?",
    "Now that {fact}, | {ask}?", "{ask}, | if {fact}?", "{ask}?", "{who}, | {ask}?", "Excuse me, {who}, | {ask}?",
    "{thing}, {thing}, | and {thing}, please.", "I need {thing}, | {thing} | and {thing}.",
    "I have been to {place}, | to {place} | and to {place}.", "Can I have {thing}, | or {thing}?",
    "I would like {thing}, | {some}.", "Could you {do}, | {some}?", "It happened at {place}, | {some}.",
    "It is {quality}, | {some}.", "We met {person} {time}, | {some}.", "It hurts when I walk, | {some}.",
    "{person} is here, | is he not?", "{fact}, | is that right?", "You know {person}, | do you not?",
    "I asked {person}, | but {then}.", "I looked for {thing}, | but {then}.", "We waited for you, | but {then}.",
    "{group} {did}, | and {then}.", "{group} went to {place}, | because {fact}.", "{group} went to {place}.",
    "First {person} {did}, | then {then}.", "At first {fact}, | but later {then}.", "Last night {person} {did}.",
    "{filler}, | {ask}?", "{filler}, | {person} {did}.", "{filler}, {who}, | {fact}.", "Yes, | but {fact}.",
    "No, | because {fact}.", "No, not {thing}, | {thing}.", "Not {time}, | but {time}.", "{time}, | {person} {did}.",
    "Even though {fact}, | {then}.", "After {person} {did}, | {then}.", "Until {fact}, | I will stay at {place}.",
    "Unless {fact}, | {group} will leave.", "Whatever {person} {say}, | {fact}.", "The sooner we {do}, | the better.",
    "The more I hear about {place}, | the less I want to go there.", "Do you want {thing}, | or should we {do}?",
    "Should I {do}, | or is it {quality}?", "Is that {thing}, | or {thing}?",
    "Which one is older, | {thing} or {thing}?",
    "{person}, | who {did}, | is waiting at {place}.", "{place}, | where {person} {did}, | is closed now.",
    "My question is, | {ask}?", "To be honest, | {fact}.", "As you can see, | {fact}.", "In other words, | {fact}.",
    "For example, | {person} {did}.", "On the one hand {fact}, | on the other {then}.", "Thanks, | but {fact}.",
    "Sorry, | {ask}?", "Sorry, I did not know that {fact}.", "Look, | {fact}.", "You see, | {person} {did}.",
    "I believe you, | but {ask}?", "That is fine, | but {ask}?", "I have {thing}, | and I want to {do}.",
    "Go to {place}, | and {do}.", "Take {thing}, | and then {do}.", "Take {thing} to {place}.",
    "Do not {do}, | {fact}.",
    "Please {do}, | because {fact}.", "Please {do} {time}.", "I will {do}, | but only {time}.", "I will {do} {time}.",
    "I was at {place}, | and {person} was there too.", "Either {fact}, | or {then}.",
    "Neither {person} | nor I could {do}.",
    "It was {time}, | and {fact}.", "It was {time}, | when {person} {did}.", "That was {time}.",
    "There was {thing} at {place}.",
    "There is {person}, | and there is {person}.", "I saw how {person} {did}.",
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
