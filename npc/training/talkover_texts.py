"""What players say over a character, for training: signs of listening, and words of somebody who wants the floor.

Signs of listening are a closed class, so they are those of `npc.conversation.overlap`; no sentence here is in the
benchmarks. Written for this project; any use.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from npc.training import endpointing_sentences
from npc.training.endpointing_held import FLOWING, PAUSING

LISTENING: Final = (
    "mhm", "mm", "mm hmm", "uh huh", "hmm", "huh", "ah", "oh", "aha", "yeah", "yep", "yes", "yup", "okay", "right",
    "sure", "really", "wow", "cool", "nice", "great", "good", "true", "exactly", "indeed", "I see", "of course",
    "got it", "go on", "all right", "that's right", "oh really", "oh yeah", "yeah yeah", "yes yes", "okay okay",
    "ah okay", "oh I see", "oh wow", "right right", "yeah right", "yeah sure", "mm yeah", "mm okay", "no way",
    "no kidding",
    "oh no", "oh good", "I know", "how nice", "good good", "sure sure", "uh", "um",
)  # fmt: skip
#: Sounds that no lexicon spells, in ways that people make them.
SPELT: Final = tuple(
    tuple(zip(("mhm", "mm", "hmm", "uh", "huh", "aha"), phones, strict=True))
    for phones in (
        ("M AH0 HH M", "M", "HH M AH0 M", "AH1", "HH AH1", "AA0 HH AA1"),
        ("AH0 M HH AH1 M", "AH0 M", "HH AH1 M", "AH0", "HH AH0", "AH0 HH AA1"),
        ("M HH M", "M M", "M HH M", "ER1", "HH AA1", "AA1 HH AA0"),
    )
)
_ALSO: Final = (("ah", "AA1"), ("yep", "Y EH1 P"), ("yup", "Y AH1 P"), ("um", "AH1 M"))

_OPENINGS: Final = (
    "Wait", "Wait a minute", "Wait a second", "Stop", "Stop there", "Stop right there", "No", "No, no", "No, wait",
    "Hold on", "Hold it", "Hang on", "Excuse me", "Sorry", "I am sorry", "Pardon me", "Hey", "Hey you", "But",
    "But wait", "Actually", "Okay, but", "Okay, wait", "Okay, enough", "Yes, but", "Yeah, but", "Right, but",
    "Sure, but",
    "Well", "One moment", "Just a second", "Listen", "Look", "Enough", "That is enough of that", "Forget it",
    "Never mind", "Let me speak", "Let me ask you something", "Can I ask you something", "Could you stop", "Quiet",
    "Be quiet", "Shut up", "Slow down", "Say it again", "Skip this", "Not now", "Not so fast", "I know that already",
    "I have heard this before", "I do not care", "I disagree", "I have to leave", "That is not true", "That is a lie",
    "That is not what I mean", "You are wrong", "You said that already", "What do you mean", "What was that", "What",
    "Who", "Why", "When was that", "Where was that", "How come", "How many", "How do you know", "Which one",
    "Do you mean the other one", "Did you say yesterday", "Are you serious", "Can we go back", "Can we move on",
    "Tell me the end", "Give me the short version", "Get to the point", "Come on", "Please", "Please wait",
    "Please be quiet for a moment", "Thank you, that will do", "Thanks, I understand",
    "Good, now tell me something else",
    "All right, all right, I understand", "I see, but", "Oh, one more thing", "Oh, before I forget", "Help", "Careful",
    "Give it to me", "Go away", "Leave me alone", "My turn", "Question", "Change of plan", "Speak up", "Louder, please",
    "The answer is no", "The door is open", "There is somebody at the door", "They are coming", "We have to go now",
    "We do not have time for this", "You have to help me", "Your coat is on fire", "It was not me", "It is too late",
)  # fmt: skip

#: Signs of listening of two kinds in one breath: what comes first, and what may follow it.
_SIGNS: Final = (
    "yeah", "yes", "okay", "right", "oh", "ah", "mm", "mhm", "sure", "wow", "hmm", "uh huh", "aha", "I see", "good",
    "great", "nice",
)  # fmt: skip
_SIGNS_AFTER: Final = (
    "yeah", "yes", "right", "okay", "sure", "of course", "I see", "really", "true", "exactly", "indeed", "nice", "wow",
    "I know", "got it", "good", "great", "that's true", "that is right", "makes sense", "lovely",
    "fair enough", "very good", "very nice", "how nice", "how sad", "how awful", "I understand", "absolutely",
    "definitely", "no doubt", "poor thing", "good for you", "well done", "that's good", "that's terrible",
    "my goodness",
)  # fmt: skip
#: ... and alone.
_SIGNS_ALONE: Final = (
    "that's true", "makes sense", "that makes sense", "fair enough", "very good", "very nice", "how nice", "how sad",
    "how awful", "I understand", "absolutely", "definitely", "no doubt", "poor thing", "good for you", "well done",
    "that's good", "that's terrible", "my goodness", "oh my", "oh dear", "goodness", "lovely", "perfect", "amazing",
    "incredible", "sounds good", "good point", "you're right", "so true", "who knew", "is that right", "very well",
)  # fmt: skip

#: Openings that sound like a listener until they go on: first word, and what follows it.
_LIKE_A_LISTENER: Final = (
    "Okay", "Right", "Yes", "Yeah", "Sure", "Oh", "Hm", "Ah", "All right", "I see", "Good", "True", "Really", "Great",
    "Of course", "Got it", "Mm", "Uh", "Well", "Fine", "Yes yes", "Okay okay", "Yeah yeah", "That is fine",
    "That is all", "That is it", "No", "No no", "So", "Now",
)  # fmt: skip
_TAKES_FLOOR: Final = (
    "but", "but listen", "but wait a minute", "but that is not it", "but what about me", "but who paid for it",
    "so what now", "so where is it", "so when do we leave", "so what happened then", "listen", "listen to this",
    "look", "look here", "look at me", "hang on a minute", "hold it there", "one question", "a question", "my turn",
    "let me say something", "let me think", "let me guess", "let me see it", "let us go on", "let us start again",
    "that will do", "that is too much", "that is not right", "that was not my question", "enough now", "enough of that",
    "stop there", "stop right there", "stop now", "stop talking about it", "stop a moment", "wait", "wait a minute",
    "wait, who did", "wait for me", "just a minute", "just tell me", "just show me", "I have heard that one",
    "I know all that", "I know, but", "I need to go", "I have to ask", "I want to ask you something", "I will take it",
    "I would like the other one", "I was going to say", "I do not want that", "I did not ask that", "I get the idea",
    "what about the money", "what else", "what time is it", "what do you want", "where do I sign", "who else knows",
    "who is he", "why not", "why me", "how do I get there", "how long will it take", "how much", "when is that",
    "can you stop", "can you say that once more", "can I go now", "could you just", "tell me later", "tell me the rest",
    "give me that", "show me", "show me the way", "go back a bit", "get on with it", "move on", "next one please",
    "never mind that", "forget about it", "leave it", "thank you, I know", "thanks, that is all", "quiet now",
    "please, not again", "sorry, I lost you", "sorry, one thing", "actually no", "actually, I changed it",
    "you said that", "you told me already", "you are not listening", "we should go", "we have no time", "there is more",
    "then what", "then give it back", "not today", "not like that", "no more", "no, the red one", "maybe later",
    "before you go on", "first of all", "one more time", "in a moment",
)  # fmt: skip


def listening(rng: np.random.Generator) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A sign of listening, and how to pronounce it."""
    fate = rng.random()
    if fate < 0.68:
        text = str(rng.choice(LISTENING))
    elif fate < 0.88:
        text = f"{rng.choice(_SIGNS)}{rng.choice([',', ''])} {rng.choice(_SIGNS_AFTER)}"
    else:
        text = str(rng.choice(_SIGNS_ALONE))
    if rng.random() < 0.5:
        text += str(rng.choice([".", "!", "?", ","]))
    return text, (*SPELT[int(rng.integers(len(SPELT)))], *_ALSO)


def talking(rng: np.random.Generator) -> str:
    """Words of somebody who wants the floor: an opening, a sentence, or both; two in five begin like a listener."""
    if rng.random() < 0.4:
        joint = str(rng.choice([", ", ", ", " ", ". "]))
        return f"{rng.choice(_LIKE_A_LISTENER)}{joint}{rng.choice(_TAKES_FLOOR)}{rng.choice(['.', '.', '!', '?'])}"
    fate = rng.random()
    opening = str(rng.choice(_OPENINGS))
    if fate < 0.45:
        return opening + str(rng.choice([".", ".", "!", "?"]))
    pool = (*FLOWING, *PAUSING)
    sentence = str(rng.choice(pool)) if rng.random() < 0.3 else endpointing_sentences.draw(rng)
    sentence = sentence.replace("| ", "")
    if fate < 0.75:
        return f"{opening}, {sentence[0].lower()}{sentence[1:]}"
    return sentence
