"""The authoring half of `npc scenario`: new, check, sign, export, schema, list."""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from npc.config.paths import data_dir
from npc.simulation.attempt import attempt_schema, list_attempts
from npc.simulation.check import Finding, check
from npc.simulation.package import (
    PackageError,
    find_scenario,
    list_scenarios,
    make_key,
    pack,
    sign,
)
from npc.simulation.scenario import scenario_schema
from npc.simulation.scenarios import attempts_dir

#: What `npc scenario new` starts from.
TEMPLATE = "angry-customer"


def add(commands: Any) -> None:
    """Register the subcommands."""
    new = commands.add_parser("new", help="make a folder that runs, to write your own from")
    new.add_argument("folder", type=Path, metavar="FOLDER")
    new.set_defaults(do=_new)

    checking = commands.add_parser("check", help="find what the author will regret")
    checking.add_argument("scenario", metavar="SCENARIO", help="id, folder or zip")
    checking.add_argument("--svg", type=Path, metavar="FILE", help="draw the story's graph")
    checking.add_argument("--json", action="store_true", help="print one JSON object")
    checking.set_defaults(do=_check)

    signing = commands.add_parser("sign", help="sign a package with an Ed25519 key")
    signing.add_argument("folder", type=Path, nargs="?", metavar="FOLDER")
    signing.add_argument("--key", type=Path, metavar="FILE", help="private key (PEM)")
    signing.add_argument("--new-key", type=Path, metavar="FILE", help="make a key first")
    signing.set_defaults(do=_sign)

    exporting = commands.add_parser("export", help="package for a learning management system, or as a zip")
    exporting.add_argument("scenario", metavar="SCENARIO")
    exporting.add_argument("--as", dest="kind", default="zip", choices=("zip", "scorm12", "scorm2004", "cmi5"))
    exporting.add_argument("--url", help="address of the server that runs it, e.g. https://training.example/")
    exporting.add_argument(
        "--secret",
        default="",
        help="secret of a SCORM package's launches, as in the server's training.yaml (default: a new one)",
    )
    exporting.add_argument("--out", type=Path, metavar="FILE")
    exporting.set_defaults(do=_export)

    schema = commands.add_parser("schema", help="print the JSON Schema of scenario.yaml, or of attempt.json")
    schema.add_argument("--attempt", action="store_true")
    schema.add_argument("--write", type=Path, metavar="FILE")
    schema.set_defaults(do=_schema)

    listing = commands.add_parser("list", help="scenarios and recorded attempts")
    listing.add_argument("--attempts", type=Path, metavar="FOLDER", help="default: attempts in the state folder")
    listing.set_defaults(do=_list)


def _new(given: argparse.Namespace) -> int:
    folder: Path = given.folder
    if folder.exists():
        raise PackageError([f"{folder}: there is something of that name already"])
    source = data_dir("demo") / "scenarios" / TEMPLATE
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("runs", "signature.json"))
    manifest = folder / "scenario.yaml"
    name = "".join(c if c.isalnum() else "-" for c in folder.name.lower()).strip("-") or "scenario"
    text = manifest.read_text(encoding="utf-8").replace(f"id: {TEMPLATE}\n", f"id: {name}\n", 1)
    manifest.write_text(text, encoding="utf-8")
    print(f"{folder}: a copy of {TEMPLATE!r} called {name!r}. Change it, then: npc scenario check {folder}/")
    return 0


def _check(given: argparse.Namespace) -> int:
    package = find_scenario(given.scenario)
    found = check(package)
    if given.svg is not None:
        from npc.simulation.graph import draw

        given.svg.write_text(draw(package), encoding="utf-8")
    errors = [one for one in found if one.level == "error"]
    if given.json:
        print(json.dumps({"scenario": package.scenario.id, "signed_by": package.signer, "findings": _plain(found)}))
        return 1 if errors else 0
    for warning in package.warnings:
        print(f"{warning} (warning)")
    for one in found:
        print(f"{one.place}: {one.text} ({one.level})")
    story, rubric = package.story, package.scenario.rubric
    signed = f"signed by {package.signer}" if package.signer else "not signed"
    print(
        f"{package.scenario.id} {package.scenario.version}: {len(story.sections)} sections, {len(rubric.items)} rubric "
        f"items, {len(package.scenario.levels)} levels, {signed}: {len(errors)} errors, "
        f"{len(found) - len(errors)} warnings"
    )
    return 1 if errors else 0


def _plain(found: list[Finding]) -> list[dict[str, str]]:
    return [{"level": one.level, "place": one.place, "text": one.text} for one in found]


def _sign(given: argparse.Namespace) -> int:
    key = given.key
    if given.new_key is not None:
        print(f"{given.new_key}: a new private key, fingerprint {make_key(given.new_key)}. Keep it to yourself.")
        key = given.new_key
    if given.folder is None:
        return 0
    if key is None:
        raise PackageError(["npc scenario sign needs --key FILE or --new-key FILE"])
    package = find_scenario(f"{given.folder}/")
    errors = [one for one in check(package) if one.level == "error"]
    if errors:
        raise PackageError([f"{one.place}: {one.text}" for one in errors])
    print(f"{given.folder}: signed by {sign(given.folder, key)}")
    return 0


def _export(given: argparse.Namespace) -> int:
    package = find_scenario(given.scenario)
    name = f"{package.scenario.id}-{package.scenario.version}"
    if given.kind == "zip":
        target = given.out or Path(f"{name}.zip")
        pack(package.folder, target)
    else:
        if not given.url:
            raise PackageError([f"--as {given.kind} needs --url, the address of the server that runs the scenario"])
        from npc.simulation.standards.course import course_of
        from npc.simulation.standards.packages import package as course_package

        target = given.out or Path(f"{name}-{given.kind}.zip")
        secret = given.secret
        if given.kind != "cmi5" and not secret:
            secret = secrets.token_urlsafe(24)
            print(f"put into training.yaml of the server:  scorm: {{{package.scenario.id}: {secret}}}")
        target.write_bytes(course_package(course_of(package.scenario, given.url, secret), given.kind))
    print(f"wrote {target}")
    return 0


def _schema(given: argparse.Namespace) -> int:
    text = attempt_schema() if given.attempt else scenario_schema()
    if given.write is not None:
        given.write.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def _list(given: argparse.Namespace) -> int:
    packages, errors = list_scenarios()
    for package in packages:
        signed = f"signed by {package.signer}" if package.signer else "not signed"
        print(f"{package.scenario.id}  {package.scenario.version}  {package.scenario.title}  ({signed})")
    for error in errors:
        print("\n".join(error.problems), file=sys.stderr)
    for folder, attempt in list_attempts(given.attempts or attempts_dir()):
        mark = "—" if attempt.score is None else f"{attempt.score:.0f}"
        began = f"{datetime.fromtimestamp(attempt.began):%Y-%m-%d %H:%M}"
        print(f"{folder.name}  {began}  {attempt.scenario.id}  {attempt.level}  {attempt.outcome}  {mark}")
    return 0
