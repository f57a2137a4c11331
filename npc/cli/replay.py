"""`npc replay`: run a recorded session's decisions again and say whether they come out the same.

npc replay talk.jsonl                a log exported as JSON lines (a last line cut in mid-write is left out)
npc replay --session sess_ab12       a session kept in the state folder (store.retain=days:N)
npc replay --list                    the sessions kept there
npc replay --session sess_ab12 --export talk.jsonl
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path

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
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(argv)
    try:
        return _run(given)
    except (LogError, KeyError, FileNotFoundError) as error:
        print(f"npc replay: {error.args[0] if error.args else error}", file=sys.stderr)
        return 2


def _run(given: argparse.Namespace) -> int:
    if given.log is not None:
        return _report(replay(read_lines(given.log)), given.json)
    path = given.store or state_dir() / "sessions.sqlite"
    if not path.is_file():
        raise FileNotFoundError(f"there is no session store {path}: start the server with --set store.retain=days:30")
    store = LogStore(path)
    try:
        if given.list or given.session is None:
            for session_id, character, player, began in store.sessions():
                print(f"{session_id}  {datetime.fromtimestamp(began):%Y-%m-%d %H:%M}  {character}  {player}")
            return 0
        records = _read(store, given.session)
        if given.export is not None:
            store.export(given.session, given.export)
        return _report(replay(records), given.json)
    finally:
        store.close()


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
