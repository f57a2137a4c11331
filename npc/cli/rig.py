"""`npc rig FILE`: will this character's face move? Which profile fits, and which names are missing or not driven."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from npc.animation.rig import RigError, detect, profiles
from npc.animation.rig_file import morph_names


def main(argv: list[str]) -> int:
    """Exit status 0 when a profile fits, 1 when only the jaw or nothing would move, 2 when the file cannot be read."""
    parser = argparse.ArgumentParser(
        prog="npc rig", description="check a character file (GLB, VRM, glTF) against the rig profiles"
    )
    parser.add_argument("file", type=Path, nargs="?", help="the character; without it the profiles are listed")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    options = parser.parse_args(argv)
    if options.file is None and options.json:
        listed = [{"id": one.id, "title": one.title, "names": len(one.names)} for one in profiles()]
        print(json.dumps({"profiles": listed}))
        return 0
    if options.file is None:
        for profile in profiles():
            print(f"{profile.id:<17} {len(profile.names):>3} names  {profile.title}")
        return 0
    try:
        report = detect(morph_names(options.file))
    except RigError as error:
        print(f"npc rig: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        print(report.message)
        for title, names in (("missing", report.missing), ("not driven", report.unknown)):
            if names:
                print(f"  {title}: {', '.join(names)}")
    return 0 if report.profile else 1
