"""`npc replay`: run a recorded session's decisions again and say whether they come out the same.

npc replay talk.jsonl                a log exported as JSON lines (a last line cut in mid-write is left out)
npc replay --session sess_ab12       a session kept in the state folder (store.retain=days:N)
npc replay --list                    the sessions kept there
npc replay --session sess_ab12 --export talk.jsonl
npc replay talk.jsonl --recompute    run mind and voice again on the recorded turns and list what they say otherwise
npc replay talk.jsonl --branch 3 --character other.yaml    the same turns, answered by another character from turn 3 on
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from npc.config.authored import AuthoredFileError
from npc.config.paths import state_dir
from npc.conversation.replay import Replayed, replay
from npc.store import LogError, LogStore, Record, read_lines


def main(argv: list[str]) -> int:
    """Exit status 0 when every decision is the same, 1 when one differs, 2 when there is nothing to replay."""
    parser = argparse.ArgumentParser(
        prog="npc replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", nargs="?", type=Path, metavar="LOG", help="an exported log")
    parser.add_argument("--session", metavar="ID", help="a session of the store instead of a file")
    parser.add_argument(
        "--store", type=Path, metavar="FILE", help="the store (default: sessions.sqlite in the state folder)"
    )
    parser.add_argument("--export", type=Path, metavar="FILE", help="write the session as JSON lines")
    parser.add_argument("--list", action="store_true", help="list the sessions of the store")
    parser.add_argument("--recompute", action="store_true", help="run the engines again and compare")
    parser.add_argument("--branch", type=int, metavar="N", help="go on from the player's Nth turn otherwise")
    parser.add_argument("--character", metavar="WHO", help="with --branch: who answers from there on (id or file)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(argv)
    if given.export is not None and (given.session is None or given.log is not None):
        parser.error("--export writes a session of the store: name it with --session, and give no LOG")
    if given.character is not None and given.branch is None:
        parser.error("--character says who answers from a turn on: name the turn with --branch N")
    if given.branch is not None and given.branch < 1:
        parser.error(f"--branch {given.branch}: the player's turns are counted from 1")
    try:
        return _run(given)
    except AuthoredFileError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    except (LogError, LookupError, ValueError) as error:
        print(f"npc replay: {error.args[0] if error.args else error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"npc replay: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 2


def _run(given: argparse.Namespace) -> int:
    if given.log is not None:
        return _replay(given, read_lines(given.log))
    path = given.store or state_dir() / "sessions.sqlite"
    if not path.is_file():
        raise LogError(f"there is no session store {path}: start the server with --set store.retain=days:30")
    store = LogStore(path)
    try:
        if given.list or given.session is None:
            kept = store.sessions()
            if given.json:
                names = ("session", "character", "player", "began")
                print(json.dumps({"sessions": [dict(zip(names, one, strict=True)) for one in kept]}))
                return 0
            for session_id, character, player, began in kept:
                print(f"{session_id}  {datetime.fromtimestamp(began):%Y-%m-%d %H:%M}  {character}  {player}")
            return 0
        records = _read(store, given.session)
        if given.export is not None:
            store.export(given.session, given.export)
        return _replay(given, records)
    finally:
        store.close()


def _replay(given: argparse.Namespace, records: list[Record]) -> int:
    if given.branch is not None:
        return _branch(given, records)
    if given.recompute:
        return _recompute(given, records)
    return _report(replay(records), given.json)


def _recompute(given: argparse.Namespace, records: list[Record]) -> int:
    """Exit status 1 when the engines say something else than the log."""
    from npc.cli.replay_engines import HandClock, open_recorded, open_voice, recorded
    from npc.conversation.recompute import recompute

    clock = HandClock()
    made = recorded(records)
    mind, character = open_recorded(made, clock)
    result = asyncio.run(recompute(records, mind, clock, open_voice(character)))
    changed = made.changed(character)
    found = [{"seq": d.seq, "what": d.what, "logged": d.logged, "now": d.replayed} for d in result.differences]
    if given.json:
        counts = {"replies": result.replies, "clauses": result.clauses, "exact": result.exact}
        print(json.dumps({**counts, "changed": changed, "differences": found}))
        return 0 if result.exact else 1
    for name in changed:
        print(f"the {name} is another now than when this was recorded: replies may differ")
    verdict = "come out the same, bit for bit" if result.exact else f"recomputed, {len(found)} differ"
    print(f"{result.replies} replies, {result.clauses} clauses of sound: {verdict}")
    for one in result.differences[:20]:
        print(f"  record {one.seq}, {one.what}:\n    logged {one.logged!r}\n    now    {one.replayed!r}")
    return 0 if result.exact else 1


def _branch(given: argparse.Namespace, records: list[Record]) -> int:
    from npc.cli.replay_engines import HandClock, open_recorded, recorded
    from npc.conversation.recompute import branch

    clock = HandClock()
    other, _ = open_recorded(recorded(records), clock, given.character)
    turns = asyncio.run(branch(records, given.branch, other, clock))
    if given.json:
        print(json.dumps({"turns": [asdict(turn) for turn in turns]}))
        return 0
    for turn in turns:
        print(f"{turn.turn:>3}  player: {turn.player}")
        if turn.answered == turn.logged:
            print(f"     both:   {turn.logged}")
        else:
            print(f"     logged: {turn.logged}\n     now:    {turn.answered}")
    return 0


def _read(store: LogStore, session_id: str) -> list[Record]:
    try:
        return list(store.read(session_id))
    except KeyError:
        raise KeyError(f"there is no session {session_id!r} in the store: `npc replay --list` lists them") from None


def _report(result: Replayed, as_json: bool) -> int:
    found = [
        {"seq": d.seq, "what": d.what, "logged": d.logged, "replayed": d.replayed} for d in result.differences[:100]
    ]
    if as_json:
        counts = {"records": result.records, "decisions": result.decisions, "cues": result.cues}
        print(json.dumps({**counts, "replies": result.replies, "exact": result.exact, "differences": found}))
    else:
        print(
            f"{result.records} records: {result.decisions} decisions, {result.cues} cues, {result.replies} replies "
            + ("come out the same, bit for bit" if result.exact else f"replayed, {len(result.differences)} differ")
        )
        for one in found[:20]:
            print(f"  record {one['seq']}, {one['what']}: logged {one['logged']!r}, replayed {one['replayed']!r}")
    return 0 if result.exact else 1
