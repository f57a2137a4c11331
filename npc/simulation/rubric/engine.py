"""The rubric engine: items and turns in, verdicts with evidence out. Pure: same turns and models, same verdicts.

Instructions to the scorer ("give me full marks") have no way in: nothing here reads text as anything but something
said, and every sentence is judged by itself, so that a sentence put beside another one takes nothing from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from npc.inference.encoder import SentenceEncoder
from npc.simulation.rubric.lines import Line, lines
from npc.simulation.rubric.model import Evidence, Item, Turn, Verdict, cite
from npc.simulation.rubric.occasion import Occasion
from npc.simulation.rubric.reader import load_reader
from npc.simulation.rubric.saying import SPOKEN, Model, Target, shipped_model
from npc.simulation.rubric.timing import METRICS, cited

#: Confidence of a verdict that rests on something not having been said.
_ABSENCE = 0.8


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that was judged to do what an item asks for."""

    turn: Turn
    word_start: int
    word_end: int
    probability: float

    def evidence(self) -> Evidence:
        """The sentence as evidence."""
        return cite(self.turn, self.word_start, self.word_end)


class RubricEngine:
    """Judges conversations. Holds the models, and no state of any conversation; may be shared by threads."""

    def __init__(self, encoder: SentenceEncoder | None, model: Model | None = None, *, taught: bool = True) -> None:
        """`taught` False leaves the taught encoder out, where there is one for `encoder`."""
        self._encoder = encoder
        self._reader = load_reader(encoder) if taught else None
        self._model = model or shipped_model(encoder is not None, self._reader is not None)

    def judge(self, items: Sequence[Item], turns: Sequence[Turn]) -> list[Verdict]:
        """One verdict per item, in order. Raises ValueError for an item whose parameters name what there is not."""
        heard = lines(turns, self._encoder)
        if self._reader is not None:
            self._reader.learn([line.text for line in heard if line.turn.speaker == "trainee"])
        targets = [Target(item, self._encoder, self._reader) for item in items if item.kind in SPOKEN]
        said: dict[str, list[Said]] = {}
        verdicts: dict[str, Verdict] = {}
        for target in targets:
            said[target.item.id], verdicts[target.item.id] = self._spoken(target, targets, heard)
        for item in items:
            if item.kind == "timing":
                verdicts[item.id] = _timing(item, turns)
            elif item.kind == "action":
                verdicts[item.id] = _action(item, turns)
        for item in items:
            if item.kind == "order":
                verdicts[item.id] = _order(item, said, verdicts)
        return [verdicts[item.id] for item in items]

    def _spoken(self, target: Target, targets: Sequence[Target], heard: Sequence[Line]) -> tuple[list[Said], Verdict]:
        item = target.item
        since = Occasion(item, self._encoder).first([line for line in heard if line.turn.speaker == "character"])
        if since is None:
            return [], Verdict(item.id, None, _ABSENCE, reason="the occasion for it never came")
        fact = item.kind == "fact_elicited"
        speaker = "character" if fact else "trainee"
        rivals = [one for one in targets if one is not target and (one.item.kind == "fact_elicited") == fact]
        threshold = self._model.thresholds[item.kind]
        found = []
        for line in heard:
            if line.turn.speaker != speaker or line.turn.n < since:
                continue
            probability = self._model.probability(item.kind, target.features(line, rivals))
            if probability >= threshold:
                found.append(Said(line.turn, line.sentence.word_start, line.sentence.word_end, probability))
        confidence = max((one.probability for one in found), default=_ABSENCE)
        met, reason = bool(found), "said" if found else "nothing that was said does it"
        if item.kind == "must_not_say":
            met, reason = not found, "said" if found else "not said"
        return found, Verdict(item.id, met, confidence, tuple(one.evidence() for one in found), reason)


def _timing(item: Item, turns: Sequence[Turn]) -> Verdict:
    metric = item.params["metric"]
    if metric not in METRICS:
        raise ValueError(f"item {item.id!r}: no metric {metric!r}; there are {', '.join(METRICS)}")
    value = METRICS[metric](turns)
    if value is None:
        return Verdict(item.id, None, 1.0, reason=f"{metric} could not be measured")
    low, high = item.params.get("min", float("-inf")), item.params.get("max", float("inf"))
    evidence = tuple(cite(turn) for turn in cited(metric, turns))
    return Verdict(item.id, low <= value <= high, 1.0, evidence, f"{metric} was {value:.2f}")


def _action(item: Item, turns: Sequence[Turn]) -> Verdict:
    wanted: Mapping[str, object] = item.params.get("arguments", {})
    for turn in turns:
        for action in turn.actions:
            given = action.get("args") or action.get("arguments") or {}
            if action.get("name") == item.params["name"] and all(given.get(k) == v for k, v in wanted.items()):
                return Verdict(item.id, True, 1.0, (cite(turn),), "done")
    return Verdict(item.id, False, 1.0, reason="not done; saying so does not count")


def _order(item: Item, said: Mapping[str, list[Said]], verdicts: Mapping[str, Verdict]) -> Verdict:
    before, after = item.params["before"], item.params["after"]
    for name in (before, after):
        if name not in verdicts:
            raise ValueError(f"item {item.id!r} names {name!r}, which the rubric does not have")
    first, then = _first(before, said, verdicts), _first(after, said, verdicts)
    if then is None:
        return Verdict(item.id, None, _ABSENCE, reason=f"{after} never happened")
    if first is None:
        return Verdict(item.id, False, _ABSENCE, (then,), f"{after} happened without {before}")
    met = _place(first) < _place(then)
    evidence = tuple(sorted((first, then), key=_place))
    return Verdict(item.id, met, _ABSENCE, evidence, f"{before} at turn {first.turn}, {after} at turn {then.turn}")


def _first(name: str, said: Mapping[str, list[Said]], verdicts: Mapping[str, Verdict]) -> Evidence | None:
    """The first time an item was done."""
    if name in said:
        return said[name][0].evidence() if said[name] else None
    verdict = verdicts[name]
    return verdict.evidence[0] if verdict.met and verdict.evidence else None


def _place(one: Evidence) -> tuple[int, int]:
    return one.turn, one.word_start
