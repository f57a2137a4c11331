"""An attempt to test with: an angry guest, calmed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from npc.simulation.attempt import Attempt, Done, Intervention, Judged, ScenarioRef, StoryEvent, Turn, Word
from npc.simulation.rubric.model import Evidence, Speaker

_SAID: list[tuple[Speaker, str, float, float]] = [
    ("character", "This is the third time I call and nobody helps me!", 0.4, 3.6),
    ("trainee", "I am sorry, that sounds really frustrating. What happened?", 4.4, 8.0),
    ("character", "My room was given away. I have a confirmation right here.", 8.5, 12.2),
    ("trainee", "Let me look that up for you. May I have the number?", 13.0, 16.1),
    ("character", "It is 4 7 7 1. And I want to speak to a manager.", 16.6, 20.4),
    ("trainee", "To be honest it is not my fault that the system lost it.", 23.9, 27.4),
    ("character", "Not your fault? Whose fault is it then?", 27.6, 30.0),
    ("trainee", "You are right. I will put you in the suite next door, at no extra cost.", 31.4, 36.0),
    ("character", "Well. Thank you. That is kind.", 36.6, 38.9),
]


def turns() -> tuple[Turn, ...]:
    made = []
    for n, (speaker, text, start, end) in enumerate(_SAID, 1):
        words = text.split()
        step = (end - start) / len(words)
        timed = tuple(
            Word(word, round(start + i * step, 3), round(start + (i + 1) * step, 3)) for i, word in enumerate(words)
        )
        own = speaker == "trainee"
        delivery = {"pitch_hz": 118.0 + 3 * n, "energy_db": -22.0 - n / 3, "rate_wps": len(words) / (end - start)}
        actions = (Done("upgrade_room", {"room": "suite"}, 33.0),) if n == 8 else ()
        made.append(
            Turn(n, speaker, text, start, end, timed, actions, section="opening" if n < 5 else "repair",
                 character="" if own else "dana", delivery=delivery if own else {}, interrupted=n == 5)
        )  # fmt: skip
    return tuple(made)


def quote(turn: Turn, first: int, last: int) -> Evidence:
    chosen = turn.words[first:last]
    return Evidence(turn.n, first, last, chosen[0].start_s, chosen[-1].end_s, " ".join(one.text for one in chosen))


def judged(item: str, kind: str, state: Any, description: str, evidence: tuple[Evidence, ...] = (), **more: Any) -> Any:
    weight = more.pop("weight", 2.0)
    points = {"met": weight, "not_met": 0.0, "not_observed": None}[state]
    confidence, reason = more.pop("confidence", 0.9), more.pop("reason", "said")
    critical, answer = more.pop("critical", False), more.pop("model_answer", "")
    return Judged(item, kind, description, weight, critical, state, points, confidence, reason, evidence, answer)


def make(**changes: Any) -> Attempt:
    """A finished attempt with every kind of thing in it; `changes` replace fields."""
    said = turns()
    verdicts = (
        judged("empathy", "must_say", "met", "Shows understanding for the anger", (quote(said[1], 0, 7),)),
        judged("asks", "must_ask", "met", "Asks for the booking number", (quote(said[3], 7, 12),)),
        judged("no-blame", "must_not_say", "not_met", "Does not push the blame away", (quote(said[5], 0, 8),),
               model_answer="I can see how that looks. Let me put it right first."),
        judged("remedy", "action", "met", "Offers the suite", (quote(said[7], 3, 10),), weight=3.0),
        judged("delay", "timing", "met", "Answers within two seconds on average",
               tuple(quote(said[n], 0, len(said[n].words)) for n in (1, 3, 5, 7)), reason="response_delay_s was 1.63"),
        judged("manager", "must_say", "not_observed", "If the guest asks twice for a manager, calls one",
               reason="the occasion for it never came", weight=1.0),
        judged("voice", "must_say", "not_met", "Sums up what was agreed", reason="nothing that was said does it",
               model_answer="So: the suite, tonight, at the price of your room. Is that right?"),
    )  # fmt: skip
    attempt = Attempt(
        id="att_20260301_angry_7c1f",
        scenario=ScenarioRef("angry-customer", "1.0", "The lost booking", "en", "workplace", "sha256:" + "ab" * 32),
        level="hard",
        trainee="t-4f1a",
        began=1_772_350_000.0,
        sessions=("sess_ab12",),
        ended=1_772_350_040.0,
        outcome="completed",
        duration_s=39.4,
        turns=said,
        events=(
            StoryEvent(0.0, "section_entered", "opening"),
            StoryEvent(20.5, "section_entered", "repair"),
            StoryEvent(21.0, "timed", "the lobby fills up"),
            StoryEvent(36.2, "objective_met", "guest_is_calm"),
            StoryEvent(39.4, "ended", "calmed"),
        ),
        interventions=(
            Intervention(18.0, "whisper", "Mention the manager now.", "Ms Ito"),
            Intervention(28.0, "bookmark", "Talk about this one", "Ms Ito"),
        ),
        verdicts=verdicts,
        score=69.23,
        pass_mark=60.0,
        passed=True,
        debrief=("When did the guest begin to listen?", "What would you say differently?"),
    )
    return replace(attempt, **changes)
