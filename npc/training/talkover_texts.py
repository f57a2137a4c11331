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
    "Is that so",
    "Do you mean the other one", "Did you say yesterday", "Are you serious", "Can we go back", "Can we move on",
    "Tell me the end", "Give me the short version", "Get to the point", "Come on", "Please", "Please wait",
    "Please be quiet for a moment", "Thank you, that will do", "Thanks, I understand",
    "Good, now tell me something else",
    "All right, all right, I understand", "I see, but", "Oh, one more thing", "Oh, before I forget", "Help", "Careful",
    "Give it to me", "Go away", "Leave me alone", "My turn", "Question", "Change of plan", "Speak up", "Louder, please",
    "The answer is no", "The door is open", "There is somebody at the door", "They are coming", "We have to go now",
    "We do not have time for this", "You have to help me", "Your coat is on fire", "It was not me", "It is too late",
)  # fmt: skip


def listening(rng: np.random.Generator) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A sign of listening, and how to pronounce it."""
    text = str(rng.choice(LISTENING))
    if rng.random() < 0.5:
        text += str(rng.choice([".", "!", "?", ","]))
    return text, (*SPELT[int(rng.integers(len(SPELT)))], *_ALSO)


def talking(rng: np.random.Generator) -> str:
    """Words of somebody who wants the floor: an opening, a sentence, or both."""
    fate = rng.random()
    opening = str(rng.choice(_OPENINGS))
    if fate < 0.35:
        return opening + str(rng.choice([".", ".", "!", "?"]))
    pool = (*FLOWING, *PAUSING)
    sentence = str(rng.choice(pool)) if rng.random() < 0.3 else endpointing_sentences.draw(rng)
    sentence = sentence.replace("| ", "")
    if fate < 0.6:
        return f"{opening}, {sentence[0].lower()}{sentence[1:]}"
    return sentence
