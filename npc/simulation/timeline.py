"""A session's log as a timeline of turns on the attempt's clock. A pure fold: live, after a crash and in a review.

    input.clock  ─┐                                 output.clock ─┐
    turn: EndTurn ┼▶ asr.final ─▶ trainee's turn     response.begun ┴▶ response.ended ─▶ character's turn (as heard)
    item.added (typed) ─────────▶ trainee's turn     observed {trigger} ─▶ action · story ─▶ events
    instructed ─▶ interventions                      rehearsal.* ─▶ level, pause, outcome, state of the mind

Two clocks of samples meet the attempt's seconds in `input.clock` and `output.clock` records: "sample s came (sounded)
at t". They are written at the beginning and whenever the clocks slipped (a gap, a pause, an underrun). A log without
them (any session's) is timed by the turn core's own records, to some 50 ms.

After a resume the next log's times go on where the last one stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from npc.audio.clock import LISTEN_RATE
from npc.simulation.attempt import Done, Intervention, Outcome, StoryEvent, Turn, Word
from npc.store import Record


@dataclass
class _Reply:
    """A response on its way: where its samples sound, and what else its turn needs."""

    begun: float
    rate: int
    item_id: str
    section: str
    by_instructor: bool
    clock: list[tuple[int, float]] = field(default_factory=list)
    audible: float | None = None

    def at(self, sample: int) -> float:
        """When a sample of the item sounded."""
        anchors = self.clock or [(0, self.begun if self.audible is None else self.audible)]
        place, moment = max((a for a in anchors if a[0] <= sample), default=anchors[0])
        return moment + (sample - place) / self.rate


class Timeline:
    """Folds records; `turns()` may be asked for at any time."""

    def __init__(self, actions: Iterable[str] = ()) -> None:
        self._actions = frozenset(actions)
        self._turns: list[Turn] = []
        self._pending: deque[tuple[int, int, float, int]] = deque()
        self._input: list[tuple[int, float]] = []
        self._replies: dict[str, _Reply] = {}
        self._sounding: _Reply | None = None
        self._taken_over = False
        self._acted: list[Done] = []
        self._offset = 0.0
        self.events: list[StoryEvent] = []
        self.interventions: list[Intervention] = []
        self.section = ""
        self.character = ""
        self.duration = 0.0
        self.sessions: list[str] = []
        self.begun: Mapping[str, Any] = {}
        """Data of the first `rehearsal.began`."""
        self.state: Mapping[str, Any] | None = None
        """The newest `rehearsal.state`: the mind after the last finished turn."""
        self.outcome: Outcome | None = None
        self.opinion: str | None = None
        """What a language model answered about the conversation."""
        self._emotions: dict[str, str] = {}

    # -- folding -------------------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        """Take one record. Kinds that say nothing about the attempt are passed over."""
        data, at = record.data, self._offset + record.at
        match record.kind:
            case "session.opened":
                self._segment(data, record.at)
                return
            case "input.clock":
                self._input.append((data["sample"], at))
            case "turn":
                self._turn_core(data, at)
            case "asr.final":
                self._spoken(data, at)
            case "item.added":
                self._typed(data["item"], at)
            case "response.begun":
                self._begun(data, at)
            case "output.clock":
                if data["response_id"] in self._replies:
                    self._replies[data["response_id"]].clock.append((data["sample"], at))
            case "response.ended":
                self._said(data, at)
            case "observed":
                self._observed(data, at)
            case "story":
                if data["kind"] == "section_entered":
                    self.section = data["name"]
                self.events.append(StoryEvent(at, data["kind"], data["name"], data.get("detail") or {}))
            case "instructed":
                self._instructed(data, at)
            case "rehearsal.began":
                self.begun = self.begun or data
            case "rehearsal.state":
                self.state = data
                self._answered_by(data.get("character"))
            case "rehearsal.emotion":
                self._felt(data["label"])
            case "rehearsal.opinion":
                self.opinion = data["answer"]
            case "rehearsal.ended":
                self.outcome = data["outcome"]
        self.duration = max(self.duration, at)

    def _segment(self, data: Mapping[str, Any], at: float) -> None:
        """A log begins. The attempt's clock stands at its first record for the first, goes on for those after it."""
        self._offset = self.duration - at
        self.character = data["character"]
        self.sessions.append(data["session"]["id"])
        self._pending.clear()
        self._replies.clear()
        self._input.clear()
        self._sounding, self._taken_over = None, False

    def _turn_core(self, data: Mapping[str, Any], at: float) -> None:
        heard = max(int(data["heard"]), int(data["fields"].get("heard", 0)))
        for name, fields in data["effects"]:
            if name == "EndTurn":
                self._pending.append((fields["start"], fields["end"], at, heard))
        if data["event"] == "ReplyAudible" and self._sounding is not None:
            self._sounding.audible = at

    def _when(self, sample: int, at: float, heard: int) -> float:
        """When an input sample was heard: by the clock's anchors, else as so long before the newest one."""
        anchors = [one for one in self._input if one[0] <= sample]
        if anchors:
            return max(0.0, anchors[-1][1] + (sample - anchors[-1][0]) / LISTEN_RATE)
        return max(0.0, at - (heard - sample) / LISTEN_RATE)

    def _spoken(self, data: Mapping[str, Any], at: float) -> None:
        start, end, decided, heard = self._pending.popleft() if self._pending else (0, 0, at, 0)
        text = data["text"].strip()
        if not text:
            return
        begin, until = self._when(start, decided, heard), self._when(end, decided, heard)
        words = self._heard_words(text, data.get("words") or (), decided, heard) or spread(text, begin, until)
        self._add(Turn(0, "trainee", text, begin, until, words, section=self.section, item_id=data["item_id"]))

    def _heard_words(self, text: str, heard_words: Sequence[Sequence[Any]], at: float, heard: int) -> tuple[Word, ...]:
        """The recogniser's own times, where they are of these very words."""
        if [str(one[0]).lower() for one in heard_words] != text.lower().split():
            return ()
        return tuple(
            Word(word, self._when(one[1], at, heard), self._when(one[2], at, heard))
            for word, one in zip(text.split(), heard_words, strict=True)
        )

    def _typed(self, item: Mapping[str, Any], at: float) -> None:
        if item.get("type") != "message" or item.get("role") != "user":
            return
        text = " ".join(part.get("text") or "" for part in item["content"] if part["type"] == "input_text").strip()
        if text:
            words = tuple(Word(word, at, at) for word in text.split())
            name = item.get("id") or ""
            self._add(Turn(0, "trainee", text, at, at, words, spoken=False, section=self.section, item_id=name))

    def _add(self, turn: Turn) -> None:
        self._turns.append(replace(turn, actions=tuple(self._acted)))
        self._acted.clear()

    def _begun(self, data: Mapping[str, Any], at: float) -> None:
        reply = _Reply(at, data["rate"], data["item_id"], self.section, self._taken_over)
        self._taken_over = False
        self._replies[data["response_id"]] = self._sounding = reply
        delivery = (data.get("turn") or {}).get("delivery") or {}
        last = next((n for n in reversed(range(len(self._turns))) if self._turns[n].speaker == "trainee"), None)
        if delivery and last is not None and not self._turns[last].delivery:
            self._turns[last] = replace(self._turns[last], delivery=dict(delivery))

    def _said(self, data: Mapping[str, Any], at: float) -> None:
        reply = self._replies.pop(data["response_id"], None)
        text = data["heard"].strip()
        if reply is None or not text:
            return
        silent = data["text_only"] and not data["sent"]
        heard = [] if silent else data["words"][: len(text.split())]
        words = tuple(Word(word, reply.at(start), reply.at(end)) for word, start, end in heard)
        if silent:
            words = tuple(Word(word, reply.begun, reply.begun) for word in text.split())
        begin, end = (words[0].start_s, words[-1].end_s) if words else (reply.begun, at)
        done = [
            Done(name, {}, reply.at(place)) for _, name, place in data["actions"] if silent or place <= data["played"]
        ]
        self._turns.append(
            Turn(
                0, "character", text, begin, end, words, tuple(done),
                spoken=not silent,
                interrupted=text != data["text"].strip(),
                by_instructor=reply.by_instructor,
                section=reply.section,
                item_id=reply.item_id,
                character=self.character,
            )
        )  # fmt: skip

    def _felt(self, label: str) -> None:
        """What was read in the trainee's newest turn."""
        last = next((turn for turn in reversed(self._turns) if turn.speaker == "trainee"), None)
        if last is not None:
            self._emotions[last.item_id] = label

    def _answered_by(self, character: str | None) -> None:
        """Where several characters play, whose the newest reply was."""
        last = next((n for n in reversed(range(len(self._turns))) if self._turns[n].speaker == "character"), None)
        if character is not None and last is not None and not self._turns[last].by_instructor:
            self._turns[last] = replace(self._turns[last], character=character)

    def _observed(self, data: Mapping[str, Any], at: float) -> None:
        trigger = data["data"].get("trigger") if data["kind"] == "event" else None
        if trigger not in self._actions:
            return
        done = Done(trigger, dict(data["data"].get("data") or {}), at)
        last = self._turns[-1] if self._turns else None
        if last is not None and last.speaker == "trainee":
            self._turns[-1] = replace(last, actions=(*last.actions, done))
        else:
            # Done between two turns: it belongs to the one that the trainee takes next.
            self._acted.append(done)

    def _instructed(self, data: Mapping[str, Any], at: float) -> None:
        action = data["action"]
        self._taken_over = self._taken_over or action == "take_over"
        text = data.get("text") or data.get("level") or data.get("trigger") or ""
        self.interventions.append(Intervention(at, action, text, data.get("by", "")))

    # -- asking --------------------------------------------------------------------------------------------------------

    def turns(self) -> tuple[Turn, ...]:
        """Finished turns of both sides in the order in which they began, numbered from 1."""
        turns = list(self._turns)
        if self._acted:
            # Something was done and nothing said since: a turn without words holds it.
            first, last = self._acted[0].at_s, self._acted[-1].at_s
            turns.append(
                Turn(0, "trainee", "", first, last, actions=tuple(self._acted), spoken=False, section=self.section)
            )
        turns.sort(key=lambda turn: turn.start_s)
        return tuple(replace(turn, n=number) for number, turn in enumerate(turns, 1))

    def emotions(self) -> dict[int, str]:
        """What was read in the trainee, by turn; empty where nothing may be read or no item asks for it."""
        return {turn.n: self._emotions[turn.item_id] for turn in self.turns() if turn.item_id in self._emotions}


def timeline(logs: Iterable[Iterable[Record]], actions: Iterable[str] = ()) -> Timeline:
    """Fold the logs of one attempt, oldest first."""
    folded = Timeline(actions)
    for log in logs:
        for record in log:
            folded.apply(record)
    return folded


def spread(text: str, start: float, end: float) -> tuple[Word, ...]:
    """Words over a span by their letters, for text whose times nobody measured."""
    words = text.split()
    weights = [len(word) + 1 for word in words]
    total, at, placed = sum(weights), start, []
    for word, weight in zip(words, weights, strict=True):
        until = at + (end - start) * weight / total
        placed.append(Word(word, at, until))
        at = until
    return tuple(placed)
