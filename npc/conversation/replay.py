"""Deterministic replay: run the pure cores again over a log's engine outputs and compare every decision, bit for bit.

    log ─┬─ turn events ─────────▶ turn core ─▶ effects  ═?═ effects in the log
         ├─ clauses, words, face ─▶ score ─────▶ cues     ═?═ cues in the log
         ├─ words, playback ──────▶ ledger ────▶ heard    ═?═ heard text in the log
         └─ all ──────────────────▶ fold ──────▶ state

What engines said (recognised text, clauses, word and phone times, face tracks) is taken from the log, so replay needs
no model and gives the same on any machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from npc.animation.interface import Affect, BlendshapeBlock, BodyCue, FaceUpdate, VisemeCue
from npc.audio.clock import Span
from npc.conversation.fold import SessionState, apply
from npc.conversation.ledger import HeardLedger, LedgerAction, LedgerWord
from npc.conversation.replay_turn import events_by_name
from npc.conversation.score import Score
from npc.conversation.turn import step
from npc.dialogue.interface import Action, Citation, Clause
from npc.phonetics.phones import SpokenWord
from npc.store import Record


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that came out otherwise than the log says."""

    seq: int
    what: str
    logged: Any
    replayed: Any


@dataclass
class Replayed:
    """What a replay did: counts of decisions compared, the differences, and the state at the end."""

    records: int = 0
    decisions: int = 0
    cues: int = 0
    replies: int = 0
    differences: list[Difference] = field(default_factory=list)
    state: SessionState = field(default_factory=SessionState)

    @property
    def exact(self) -> bool:
        return not self.differences


def replay(records: Iterable[Record]) -> Replayed:
    """Replay a log from its beginning."""
    result = Replayed()
    scores: dict[str, Score] = {}
    for record in records:
        result.records += 1
        match record.kind:
            case "turn":
                _replay_turn(result, record)
            case "response.begun":
                scores[record.data["response_id"]] = Score(record.data["rate"], record.data["animated"])
            case "score":
                if record.data["response_id"] in scores:
                    _replay_score(result, scores[record.data["response_id"]], record)
            case "response.ended":
                _replay_heard(result, record, scores.pop(record.data["response_id"], None))
        apply(result.state, record)
    return result


def _compare(result: Replayed, seq: int, what: str, logged: Any, replayed: Any) -> None:
    if logged != replayed:
        result.differences.append(Difference(seq, what, logged, replayed))


def _replay_turn(result: Replayed, record: Record) -> None:
    data = record.data
    event = events_by_name[data["event"]](**data["fields"])
    _, effects = step(replace(result.state.turn, heard=data["heard"]), event, record.at)
    result.decisions += len(effects)
    told = [[type(effect).__name__, asdict(effect)] for effect in effects]
    _compare(result, record.seq, f"effects of {data['event']}", data["effects"], told)


def _replay_score(result: Replayed, score: Score, record: Record) -> None:
    data = record.data
    match data["operation"]:
        case "begin":
            score.begin(_clause(data))
        case "push":
            words = [SpokenWord(w["text_start"], w["text_end"], Span(**w["span"])) for w in data["words"]]
            score.push(np.zeros(data["samples"], np.int16), words)
        case "animate":
            score.animate(_face(data))
        case "end":
            score.end()
        case "finish":
            score.finish()
        case "take":
            cues = [cue.model_dump(exclude_none=True) for cue in score.take(data["until"])]
            result.cues += len(cues)
            _compare(result, record.seq, "cues", data["cues"], cues)


def _replay_heard(result: Replayed, record: Record, score: Score | None) -> None:
    data = record.data
    result.replies += 1
    ledger = HeardLedger(
        rate=1,
        words=[LedgerWord(*word) for word in data["words"]],
        actions=[LedgerAction(*action) for action in data["actions"]],
        sent=data["sent"],
        reported=data["reported"],
        truncated=data["truncated"],
        finished=data["finished"],
    )
    played = ledger.played(data["lead"])
    _compare(result, record.seq, "played samples", data["played"], played)
    if not (data["text_only"] and data["sent"] == 0):
        _compare(result, record.seq, "heard text", data["heard"], ledger.heard_text(played))
    if score is not None:
        _compare(result, record.seq, "words of the score", data["words"], score.ledger_data()["words"])


def _clause(data: Mapping[str, Any]) -> Clause:
    return Clause(
        data["text"],
        Affect(**data["affect"]),
        tuple(Citation(**citation) for citation in data["citations"]),
        tuple(Action(**action) for action in data["actions"]),
        data["gesture"],
    )


def _face(data: Mapping[str, Any]) -> FaceUpdate:
    block = data["block"]
    return FaceUpdate(
        tuple(VisemeCue(**viseme) for viseme in data["visemes"]),
        tuple(BodyCue(**body) for body in data["body"]),
        None
        if block is None
        else BlendshapeBlock(block["start"], block["samples_per_frame"], np.zeros((block["frames"], 52), np.uint8)),
    )
