"""From turns and rubric to verdicts and a score: the rubric engine's verdicts, and the kinds it does not know. Pure.

    turns ─▶ RubricEngine ──────────────────────▶ said, asked, in order, in time, done, elicited ─┐
    story events ─▶ objectives met ────────────────────────────────────────────────────────────────┼▶ Judged ─▶ score
    delivery ─▶ loudness, pauses, overlap ─────────────────────────────────────────────────────────┘

While the attempt runs, only what is decided counts: something that is still to be said is not yet missed, and
something that must not be said is not yet avoided. A trainee who said nothing has avoided nothing either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from npc.simulation import free
from npc.simulation.attempt import Judged, State, StoryEvent, Turn
from npc.simulation.package import Package
from npc.simulation.punctuation import punctuated
from npc.simulation.rubric import RubricEngine
from npc.simulation.rubric.model import Evidence, Item, Verdict, cite
from npc.simulation.scenario import RubricItem

#: Kinds whose verdict can no longer change for the worse once it is "met".
_GAINED = frozenset({"must_say", "must_ask", "fact_elicited", "action", "objective", "emotion"})
_POLITE = frozenset({"please", "thanks", "thank", "sorry", "welcome", "appreciate", "would", "could", "may"})


def judge(
    package: Package,
    engine: RubricEngine,
    turns: Sequence[Turn],
    events: Sequence[StoryEvent],
    *,
    over: bool,
    emotions: Mapping[int, str] | None = None,
    opinion: str | None = None,
) -> tuple[Judged, ...]:
    """One verdict per item, in the rubric's order. `emotions` are the labels read in the trainee by turn, where the
    package may read them at all; `opinion` is what a language model answered about the items of kind "free"."""
    items = package.items()
    authored = package.scenario.rubric.items
    by_engine = [item for item, one in zip(items, authored, strict=True) if one.kind not in _OWN and one.kind != "free"]
    read = [_readable(turn) for turn in turns]
    verdicts = {verdict.item: verdict for verdict in engine.judge(by_engine, [turn.judged() for turn in read])}
    verdicts |= _free(free_items(package), read, opinion)
    spoke = any(turn.speaker == "trainee" and turn.text for turn in turns)
    judged = []
    for one in authored:
        own = _OWN.get(one.kind)
        verdict = verdicts[one.id] if own is None else own(one, turns, events, emotions or {})
        if one.kind == "timing" and not any(turn.speaker == "trainee" and turn.spoken for turn in turns):
            verdict = Verdict(one.id, None, 1.0, reason="nothing was spoken that could be timed")
        if one.kind == "must_not_say" and not spoke:
            verdict = Verdict(one.id, None, 1.0, reason="the trainee said nothing")
        judged.append(_judged(one, verdict, turns, over))
    return tuple(judged)


def free_items(package: Package) -> list[Item]:
    """What a language model is to judge."""
    authored = package.scenario.rubric.items
    return [item for item, one in zip(package.items(), authored, strict=True) if one.kind == "free"]


def score(judged: Sequence[Judged]) -> float | None:
    """0-100: points given of the points that could be observed; None while nothing could be."""
    counted = [(one.points, one.weight) for one in judged if one.points is not None]
    total = sum(weight for _, weight in counted)
    return round(100.0 * sum(points for points, _ in counted) / total, 1) if total else None


def passed(judged: Sequence[Judged], pass_mark: float) -> bool:
    """Whether the score reaches the pass mark and no critical item was missed."""
    reached = score(judged)
    critical = any(one.critical and one.state == "not_met" for one in judged)
    return reached is not None and reached >= pass_mark and not critical


def _judged(item: RubricItem, verdict: Verdict, turns: Sequence[Turn], over: bool) -> Judged:
    met = verdict.met
    if not over and ((met is False and item.kind in _GAINED) or (met is True and item.kind not in _GAINED)):
        met = None
    if not over and item.kind in ("timing", "delivery", "order", "free"):
        met = None
    state: State = "not_observed" if met is None else "met" if met else "not_met"
    evidence = verdict.evidence
    if met is None:
        evidence = ()
    elif not evidence:
        evidence = _nothing_heard(turns)
    return Judged(
        item=item.id,
        kind=item.kind,
        description=item.description,
        weight=item.weight,
        critical=item.critical,
        state=state,
        points=None if met is None else item.weight if met else 0.0,
        confidence=round(verdict.confidence, 3),
        reason=verdict.reason if met is verdict.met else "still open",
        evidence=tuple(timed(one, turns) for one in evidence),
        model_answer=item.model_answer or "",
    )


def _nothing_heard(turns: Sequence[Turn]) -> tuple[Evidence, ...]:
    """What shows that something was never said: every turn of the trainee, from the first to the last word."""
    return tuple(cite(turn.judged()) for turn in turns if turn.speaker == "trainee")


def _readable(turn: Turn) -> Turn:
    """Recognised speech with sentence ends, for the engine, which judges sentence by sentence."""
    return replace(turn, text=punctuated(turn.text)) if turn.speaker == "trainee" and turn.spoken else turn


def timed(evidence: Evidence, turns: Sequence[Turn]) -> Evidence:
    """Evidence with the times of its own words, where they are known."""
    turn = next((one for one in turns if one.n == evidence.turn), None)
    if turn is None or not turn.words or evidence.word_end <= evidence.word_start:
        return evidence
    words = turn.words[evidence.word_start : evidence.word_end]
    if not words:
        return evidence
    # In the turn's own words, without the sentence ends that were put in for judging.
    evidence = replace(evidence, quote=" ".join(turn.text.split()[evidence.word_start : evidence.word_end]))
    return replace(evidence, start_s=round(words[0].start_s, 3), end_s=round(words[-1].end_s, 3))


def _free(items: Sequence[Item], turns: Sequence[Turn], opinion: str | None) -> dict[str, Verdict]:
    if opinion is None:
        return free.unjudged(items, "no language model judged it")
    return free.checked(opinion, items, [turn.judged() for turn in turns])


# -- kinds of this module ----------------------------------------------------------------------------------------------


def _objective(item: RubricItem, turns: Sequence[Turn], events: Sequence[StoryEvent], _: Mapping[int, str]) -> Verdict:
    for event in events:
        if event.kind == "objective_met" and event.name == item.objective:
            before = [turn for turn in turns if turn.speaker == "trainee" and turn.start_s <= event.at_s]
            evidence = (cite(before[-1].judged()),) if before else ()
            return Verdict(item.id, True, 1.0, evidence, "the story's objective was met")
    return Verdict(item.id, False, 1.0, reason="the story's objective was never met")


def _delivery(item: RubricItem, turns: Sequence[Turn], _: Sequence[StoryEvent], __: Mapping[int, str]) -> Verdict:
    assert item.metric is not None, "the manifest was checked"
    value = DELIVERY[item.metric](turns)
    if value is None:
        return Verdict(item.id, None, 1.0, reason=f"{item.metric} could not be measured")
    low = float("-inf") if item.min is None else item.min
    high = float("inf") if item.max is None else item.max
    own = tuple(cite(turn.judged()) for turn in turns if turn.speaker == "trainee" and turn.text)
    return Verdict(item.id, low <= value <= high, 1.0, own, f"{item.metric} was {value:.2f}")


def _emotion(item: RubricItem, turns: Sequence[Turn], _: Sequence[StoryEvent], read: Mapping[int, str]) -> Verdict:
    own = [turn for turn in turns if turn.speaker == "trainee" and turn.n in read]
    if not own:
        return Verdict(item.id, None, 1.0, reason="no emotion was read in the trainee")
    found = tuple(cite(turn.judged()) for turn in own if read[turn.n] in item.emotions)
    return Verdict(item.id, bool(found), 0.5, found, "read in words and voice; an inference, not a fact")


_OWN: dict[str, Callable[[RubricItem, Sequence[Turn], Sequence[StoryEvent], Mapping[int, str]], Verdict]] = {
    "objective": _objective,
    "delivery": _delivery,
    "emotion": _emotion,
}


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None


def _measured(name: str) -> Callable[[Sequence[Turn]], float | None]:
    def mean(turns: Sequence[Turn]) -> float | None:
        return _mean(turn.delivery[name] for turn in turns if turn.speaker == "trainee" and name in turn.delivery)

    return mean


def _overlap(turns: Sequence[Turn]) -> float | None:
    """Seconds in which the trainee spoke while the character did."""
    spoken = [turn for turn in turns if turn.spoken]
    if len(spoken) < 2:
        return None
    return sum(
        max(0.0, min(before.end_s, after.end_s) - after.start_s)
        for before, after in pairwise(spoken)
        if before.speaker == "character" and after.speaker == "trainee"
    )


def _polite(turns: Sequence[Turn]) -> float | None:
    """Polite words a hundred words of the trainee."""
    words = [word.strip(".,!?").lower() for turn in turns if turn.speaker == "trainee" for word in turn.text.split()]
    return 100.0 * sum(word in _POLITE for word in words) / len(words) if words else None


#: Measurements of a `delivery` item by name: mean loudness in dB below full scale, mean share of silence inside turns,
#: words a second, median pitch in Hz, seconds of talking over the character, polite words a hundred words.
DELIVERY: dict[str, Callable[[Sequence[Turn]], float | None]] = {
    "loudness_db": _measured("energy_db"),
    "pause_ratio": _measured("pause_ratio"),
    "rate_wps": _measured("rate_wps"),
    "pitch_hz": _measured("pitch_hz"),
    "overlap_s": _overlap,
    "polite_words": _polite,
}
