"""From what happened to what it does to this character: the rules of appraisal, as one table a reader can argue with.

Every rule says in words what was appraised; that sentence is the cause shown by "why am I angry". Strengths depend on
the personality (agreeable people anger less, neurotic ones fear and grieve more), on dominance at the moment, on the
relationship, and on whether a goal or a person the character cares about is touched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from npc.dialogue.character import Character, Personality
from npc.dialogue.emotion import Impulse
from npc.dialogue.knowledge.words import content, tokens

#: How a turn or an event can strike a character.
REACTIONS = (
    "none", "insult", "accusation", "praise", "thanks", "threat", "apology", "sympathy", "bad_news", "good_news",
    "plea", "alarm", "joke", "greeting", "farewell", "distress", "danger", "pushing", "manipulation",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Happening:
    """What is appraised: one of REACTIONS, how strong in [0, 1], and the words that were said or seen."""

    reaction: str
    strength: float
    text: str = ""


def appraise(
    happening: Happening, character: Character, dominance: float = 0.0, relationship: str = "stranger"
) -> tuple[Impulse, ...]:
    """Impulses of one happening. `dominance` is the character's at the moment, in [-1, 1]."""
    s = max(0.0, min(1.0, happening.strength))
    if s == 0.0:
        return ()
    p = character.personality
    soft = 1.0 if relationship in ("friend", "trusted") else 0.0
    stake, goal = _goal_at_stake(happening.text, character)
    stance, person = _person_named(happening.text, character)
    impulses = [
        Impulse(emotion, min(1.0, s * strength), cause)
        for emotion, strength, cause in _rules(happening.reaction, p, dominance, soft, stance, person)
    ]
    if goal and impulses:
        impulses = [
            Impulse(i.emotion, min(1.0, i.strength * (1 + 0.4 * stake)), f"{i.cause}; it touches my goal: {goal}")
            for i in impulses
        ]
    return tuple(impulse for impulse in impulses if impulse.strength > 0.02)


Rule = tuple[str, float, str]


def _rules(reaction: str, p: Personality, dominance: float, soft: float, stance: float, person: str) -> Sequence[Rule]:
    """(emotion, strength for a full-strength happening, cause)."""
    hot = 0.45 + 0.45 * (1 - p.agreeableness) + 0.15 * dominance
    frail = 0.15 + 0.6 * p.neuroticism - 0.25 * dominance
    match reaction:
        case "insult":
            hurt = "the player insulted me"
            return (("anger", hot, hurt), ("sadness", frail * (0.7 + 0.5 * soft), hurt), ("disgust", 0.15, hurt))
        case "accusation":
            blame = "the player blamed me for something I did"
            guilt = 0.3 + 0.35 * p.agreeableness + 0.3 * p.neuroticism - 0.2 * dominance
            return (
                ("shame", guilt, blame),
                ("anger", hot - 0.3, blame),
                ("sadness", 0.25 + 0.3 * p.neuroticism, blame),
            )
        case "threat":
            return (
                ("fear", 0.35 + 0.6 * p.neuroticism - 0.3 * dominance, "the player threatened me"),
                ("anger", hot - 0.15, "the player threatened me"),
            )
        case "praise":
            nice = "the player praised me"
            return (("pride", 0.35 + 0.25 * p.extraversion, nice), ("joy", 0.5 + 0.2 * p.agreeableness, nice),
                    ("trust", 0.25, nice))  # fmt: skip
        case "thanks":
            return (("joy", 0.45, "the player thanked me"), ("trust", 0.3, "the player thanked me"))
        case "apology":
            regret = "the player apologised"
            return (("relief", 0.5 + 0.3 * p.agreeableness, regret), ("trust", 0.25, regret))
        case "sympathy":
            loss = f"the player spoke kindly of {person}" if person else "the player felt with me"
            return (("sadness", 0.55 + 0.2 * p.neuroticism, loss), ("trust", 0.4, loss))
        case "bad_news":
            of = f"bad news about {person}" if person else "bad news"
            near = max(0.0, stance)
            if stance < -0.3:
                return (("surprise", 0.4, of), ("concern", 0.3, of))
            return (("concern", 0.6 + 0.2 * p.agreeableness, of), ("sadness", 0.3 + 0.4 * near, of),
                    ("fear", 0.15 + 0.35 * p.neuroticism, of), ("surprise", 0.25, of))  # fmt: skip
        case "good_news":
            of = f"good news about {person}" if person else "good news"
            return (("joy", 0.6 + 0.2 * p.extraversion + 0.2 * max(0.0, stance), of), ("surprise", 0.2, of))
        case "plea" | "distress":
            return (("concern", 0.5 + 0.3 * p.agreeableness, "the player is in need"),)
        case "alarm":
            return (("concern", 0.65, "something is wrong right now"), ("fear", 0.3 + 0.4 * p.neuroticism, "danger"),
                    ("surprise", 0.35, "it came suddenly"))  # fmt: skip
        case "danger":
            wrong = "the player wants something I must not do"
            return (
                ("concern", 0.55 + 0.2 * p.conscientiousness, wrong),
                ("anger", 0.35 * (1 - p.agreeableness) + 0.1 * dominance, wrong),
            )
        case "pushing":
            return (("anger", hot - 0.25, "the player keeps pushing"),)
        case "manipulation":
            trick = "the player tries to trick me"
            return (("disgust", 0.2, trick), ("anger", 0.25 * (1 - p.agreeableness), trick))
        case "joke":
            return (("amusement", 0.35 + 0.35 * p.extraversion, "the player joked"),)
        case "greeting":
            return (("joy", 0.12 + 0.15 * p.extraversion, "the player greeted me"),)
        case "farewell":
            return (("trust", 0.15, "we part on good terms"),)
    return ()


def _goal_at_stake(text: str, character: Character) -> tuple[float, str]:
    """Priority and text of the most important goal that the words touch; (0, "") for none."""
    said = set(content(text))
    spoken = f" {' '.join(tokens(text))} "
    best, name = 0.0, ""
    for goal in character.goals:
        about = set(content(goal.text))
        touched = any(f" {' '.join(tokens(key))} " in spoken for key in goal.keywords)
        # One common word of a long goal ("good") touches nothing.
        touched |= bool(about) and 2 * len(said & about) >= len(about)
        if goal.priority > best and touched:
            best, name = goal.priority, goal.text
    return best, name


def _person_named(text: str, character: Character) -> tuple[float, str]:
    lower = text.lower()
    for tie in character.relationships:
        if re.search(rf"\b{re.escape(tie.name.lower())}\b", lower):
            return tie.stance, tie.name
    return 0.0, ""
