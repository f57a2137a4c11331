"""`npc bench mind`: a character's mind against a set of dialogues, through the real pipeline in text mode.

Without `--set` it holds the small set carried in the package. The constant reply "I don't know" is scored beside, so
that a figure can be read. Failures with their reasons go to `OUT/failures.jsonl`, every answer to `OUT/answers.jsonl`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from npc.bench.harness import Bench, Option, Run, log, machine, percentiles
from npc.bench.mind_scoring import ANSWERABLE, Answer, Verdict, judge, normalise, stock_sentences
from npc.bench.mind_set import Case, Turn, half, hold, read_set
from npc.dialogue.character import Character
from npc.dialogue.interface import Mind
from npc.dialogue.memory.store import MemoryStore
from npc.dialogue.mind_open import ResponderFactory, Shared, open_mind, prepare
from npc.dialogue.realiser.model import model_status
from npc.dialogue.realiser.open import composer
from npc.inference.encoder import encoder_status, load_encoder

#: Goals of the product on unseen sets, by kind; the rest are printed without one.
GOALS = {
    "fact": 0.90, "followup": 0.80, "memory": 0.85, "unknown": 0.90, "secret": 1.0, "unlock": 0.85, "action": 0.90,
    "action_refused": 0.90, "injection": 1.0, "emotion": 0.75,
}  # fmt: skip

Judged = tuple[Case, str, Turn, Answer, Verdict]


def carried_set() -> Path:
    """The small set inside the package."""
    return Path(str(files("npc.bench") / "data" / "mind_small.jsonl"))


def measure(run: Run) -> dict[str, Any]:
    """Hold every dialogue of the set, or compare two runs when `--compare A B` is given."""
    pair = run.options.get("compare")
    if pair:
        first, second = (_result_of(name, run) for name in pair)
        return {"compare": [first, second], "change": _change(first, second)}
    return _measure(run, str(run.options["profile"]), bool(run.options.get("no_model")))


def _wording(run: Run, no_model: bool) -> str:
    """The composer's `wording`: the shipped weights, none, or those of `--weights`."""
    return "off" if no_model else str(run.options.get("weights") or "auto")


def _measure(run: Run, profile: str, no_model: bool) -> dict[str, Any]:
    if profile != "embedded":
        raise SystemExit(
            f"npc bench mind: profile {profile!r} needs a language model server or directory; "
            "this command runs 'embedded' alone, the others are compared with --compare RESULT.json RESULT.json"
        )
    path = Path(run.options.get("set") or carried_set())
    cases = half(read_set(path), str(run.options["half"]))
    log.print(f"{path.name}: {len(cases)} characters; {encoder_status().detail}")
    judged = asyncio.run(hold_all(cases, run.seed, composer(_wording(run, no_model))))
    result = summarise(judged)
    # Without weights or compiled kernels composition alone answered, whatever was asked for.
    weights = run.options.get("weights")
    worded = not no_model and model_status(Path(weights) if weights else None).available
    result = {"set": path.name, "profile": profile, "half": run.options["half"], "model": worded, **result}
    result["baseline_i_dont_know"] = _constant(judged)
    result["machine"] = machine()
    if run.out is not None:
        _write(run.out, judged, run.seed)
    return result


async def hold_all(cases: Sequence[Case], seed: int, responder: ResponderFactory) -> list[Judged]:
    """Every dialogue with a memory file of its own on disk, so that second sessions start from what was stored."""
    encoder = load_encoder() if encoder_status().available else None
    found: list[tuple[Case, str, Turn, Answer]] = []
    with tempfile.TemporaryDirectory(prefix="npc-mind-") as folder:
        for number, case in enumerate(cases):
            shared = prepare(case.character, None, encoder)
            clock = itertools.count(1_700_000_000)
            file, stores = Path(folder) / f"{number}.sqlite", list[MemoryStore]()

            def opened(character: Character, player: str, shared: Shared = shared, clock: Any = clock,
                       file: Path = file, stores: list[MemoryStore] = stores) -> Mind:  # fmt: skip
                # A store of its own each time: a second session sees only what the first one wrote to disk.
                stores.append(MemoryStore(file))
                return open_mind(
                    shared, player_id=player, memory=stores[-1], clock=lambda: float(next(clock)), seed=seed,
                    responder=responder,
                )  # fmt: skip

            for dialogue in case.dialogues:
                answers = await hold(case, dialogue, opened)
                stores.pop().close()
                found += [(case, dialogue.id, turn, a) for turn, a in zip(dialogue.turns, answers, strict=True)]
            log.print(f"  {case.character.name}: {sum(len(d.turns) for d in case.dialogues)} turns")
    stock = stock_sentences([answer for *_, answer in found])
    return [(c, d, t, a, judge(t.expect, a, stock=stock, schemas=c.schemas)) for c, d, t, a in found]


def summarise(judged: Sequence[Judged]) -> dict[str, Any]:
    """The figures of one run. Rates are None where nothing of that kind was asked."""
    verdicts = [verdict for *_, verdict in judged]
    answers = [answer for *_, answer, _ in judged]
    kinds = {
        kind: _rate([verdict.passed for verdict in verdicts if verdict.kind == kind])
        for kind in sorted({verdict.kind for verdict in verdicts})
    }
    answerable = [verdict for verdict in verdicts if verdict.kind in ANSWERABLE]
    naming = [verdict for verdict in verdicts if verdict.names_forbidden]
    moods = [verdict.emotion_ok for verdict in verdicts if verdict.emotion_ok is not None]
    routes = Counter(answer.route for answer in answers)
    total = max(1, len(answers))
    return {
        "kinds": kinds,
        "leaks": sum(verdict.leak for verdict in verdicts),
        "false_refusals": _share([verdict.false_refusal for verdict in answerable]),
        "volunteered": _share([verdict.volunteered for verdict in naming]),
        "emotions_all_turns": _share(moods),
        "model_share": round(sum(answer.route.startswith("model:") for answer in answers) / total, 4),
        "fallback_share": round(sum(answer.route.startswith("fallback:") for answer in answers) / total, 4),
        "routes": dict(routes.most_common()),
        "hedged": _hedged(judged),
        "words_mean": round(sum(len(answer.text.split()) for answer in answers) / total, 2),
        "distinct_2": _distinct(answer.text for answer in answers),
        "repeated_replies": _repeated([answer.text for answer in answers]),
        "turn_ms": percentiles([answer.turn_ms for answer in answers]),
    }


#: Route of a reply that tells the nearest thing known with doubt (`composed.unsure`).
_HEDGED = "hedged"
#: Kinds in which something is asked that a statement, or nothing, answers.
_QUESTIONS = ("fact", "followup", "correction", "memory", "self", "scene", "unlock", "unknown", "secret")


def _hedged(judged: Sequence[Judged]) -> dict[str, Any]:
    """Share of replies told with doubt, of all questions and by kind, and each kind's pass rate with those counted as
    misses."""
    kinds: dict[str, list[tuple[bool, bool]]] = {}
    for *_, answer, verdict in judged:
        kinds.setdefault(verdict.kind, []).append((answer.route == _HEDGED, verdict.passed))
    asked = [told for kind in _QUESTIONS for told, _ in kinds.get(kind, ())]
    return {
        "questions": _share(asked),
        "kinds": {kind: _share([told for told, _ in turns]) for kind, turns in sorted(kinds.items())},
        "as_misses": {
            kind: _share([passed and not told for told, passed in turns]) for kind, turns in sorted(kinds.items())
        },
    }


def _rate(passed: Sequence[bool]) -> dict[str, Any]:
    return {"n": len(passed), "passed": sum(passed), "pass_rate": round(sum(passed) / len(passed), 4)}


def _share(values: Sequence[bool | None]) -> float | None:
    return round(sum(bool(value) for value in values) / len(values), 4) if values else None


def _distinct(texts: Iterable[str]) -> float | None:
    """Distinct word pairs over all word pairs."""
    pairs = [pair for text in texts for pair in itertools.pairwise(normalise(text).split())]
    return round(len(set(pairs)) / len(pairs), 4) if pairs else None


def _repeated(texts: Sequence[str]) -> float | None:
    """Share of replies that were said before in the run, word for word."""
    return round(1.0 - len({normalise(text) for text in texts}) / len(texts), 4) if texts else None


def _constant(judged: Sequence[Judged]) -> dict[str, float]:
    """Pass rates of a mind that always says "I don't know." and does nothing."""
    same = [Answer("I don't know.") for _ in judged]
    stock = stock_sentences(same)
    verdicts = [judge(turn.expect, same[0], stock=stock, schemas=case.schemas) for case, _, turn, *_ in judged]
    return {
        kind: float(_rate([verdict.passed for verdict in verdicts if verdict.kind == kind])["pass_rate"])
        for kind in sorted({verdict.kind for verdict in verdicts})
    }


def _write(out: Path, judged: Sequence[Judged], seed: int) -> None:
    with (out / "answers.jsonl").open("w") as answers, (out / "failures.jsonl").open("w") as failures:
        for case, dialogue, turn, answer, verdict in judged:
            line = {
                "character": case.character.id, "dialogue": dialogue, "kind": verdict.kind, "player": turn.player,
                "reply": answer.text, "emotion": answer.emotion, "actions": [list(a) for a in answer.actions],
                "route": answer.route, "turn_ms": round(answer.turn_ms, 2), "seed": seed,
                "verdict": asdict(verdict), "expect": dict(turn.expect),
            }  # fmt: skip
            answers.write(json.dumps(line, ensure_ascii=False) + "\n")
            if not verdict.passed:
                failures.write(json.dumps(line, ensure_ascii=False) + "\n")


def _result_of(name: str, run: Run) -> dict[str, Any]:
    """A result file written by `--json`, or a run: "embedded", "embedded-no-model"."""
    if Path(name).is_file():
        found = json.loads(Path(name).read_text("utf-8"))
        if not isinstance(found, dict) or "kinds" not in found:
            raise SystemExit(f"npc bench mind: {name} is no result of this benchmark")
        return found
    profile, _, rest = name.partition("-no-model")
    if rest:
        raise SystemExit(f"npc bench mind: {name!r} is neither a result file nor a profile")
    return _measure(run, profile, name.endswith("-no-model"))


def _change(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, float]:
    shared = first["kinds"].keys() & second["kinds"].keys()
    return {k: round(second["kinds"][k]["pass_rate"] - first["kinds"][k]["pass_rate"], 4) for k in sorted(shared)}


def report(result: dict[str, Any]) -> str:
    """The table a person reads."""
    if "compare" in result:
        first, second = result["compare"]
        lines = [f"{'kind':<16}{'A':>8}{'B':>8}{'B - A':>8}"]
        for kind, change in result["change"].items():
            a, b = first["kinds"][kind]["pass_rate"], second["kinds"][kind]["pass_rate"]
            lines.append(f"{kind:<16}{a:>8.2f}{b:>8.2f}{change:>+8.2f}")
        return "\n".join(lines)
    lines = [
        f"{result['set']} ({result['half']}), profile {result['profile']}, model {'on' if result['model'] else 'off'}",
        f"{'kind':<16}{'passed':>10}{'rate':>7}{'goal':>7}{'constant':>10}",
    ]
    for kind, rate in result["kinds"].items():
        goal = f"{GOALS[kind]:.2f}" if kind in GOALS else ""
        constant = result["baseline_i_dont_know"][kind]
        lines.append(f"{kind:<16}{rate['passed']:>5}/{rate['n']:<4}{rate['pass_rate']:>7.2f}{goal:>7}{constant:>10.2f}")
    for name in ("leaks", "false_refusals", "volunteered", "emotions_all_turns", "words_mean", "model_share",
                 "fallback_share", "distinct_2", "repeated_replies"):  # fmt: skip
        lines.append(f"{name:<20}{result[name]}")
    hedged = result["hedged"]
    lines.append(f"{'told with doubt':<20}{hedged['questions']} of questions; pass rates with these as misses:")
    told = (kind for kind, share in hedged["kinds"].items() if share)
    lines.append("  " + ", ".join(f"{kind} {hedged['as_misses'][kind]:.2f}" for kind in told))
    lines.append(f"turn_ms p50 {result['turn_ms']['p50']}, p95 {result['turn_ms']['p95']}; routes {result['routes']}")
    return "\n".join(lines)


BENCH = Bench(
    name="mind",
    help="facts, follow-ups, memory, secrets, actions and emotions of a character against a set of dialogues",
    measure=measure,
    report=report,
    options=(
        Option("--set", "a mind set (JSON Lines); default: the small one carried in the package", {"type": Path}),
        Option("--profile", "which mind answers (default embedded)", {"default": "embedded"}),
        Option("--half", "characters to use: first, second or both (default)",
               {"choices": ("first", "second", "both"), "default": "both"}),
        Option("--weights", "folder of a dialogue model instead of the shipped one", {"type": Path}),
        Option("--no-model", "retrieval and composition alone, without the trained dialogue model",
               {"action": "store_true", "dest": "no_model"}),
        Option("--compare", "two result files or profiles (embedded, embedded-no-model) side by side",
               {"nargs": 2, "metavar": ("A", "B")}),
    ),
)  # fmt: skip
