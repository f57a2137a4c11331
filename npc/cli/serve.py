"""`npc serve`: run the service and the demo page.

    npc serve                                     loopback, embedded profile, nothing to download
    npc serve --profile local --set llm.path=DIR  a checkpoint of your own on our inference core
    npc serve --set llm.model=openai_compatible --set llm.url=http://127.0.0.1:11434/v1 --set llm.name=NAME
    NPC_SERVER__KEYS=$(openssl rand -hex 16) npc serve --host 0.0.0.0

Settings come from the profile, a YAML file, NPC_* variables and these flags, later ones winning.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npc.cli.logs import to_terminal
from npc.config.settings import Settings, SettingsError, load_settings, read_value

if TYPE_CHECKING:
    from npc.server import ServerSettings


def main(argv: list[str]) -> int:
    """Blocks until stopped. Exit status 2 for a wrong setting, 1 when the service cannot start."""
    began = time.monotonic()
    given = _parser().parse_args(argv)
    try:
        overrides = _overrides(given)
        settings = load_settings(given.profile, given.settings, overrides)
    except SettingsError as error:
        print(f"npc serve: {error}", file=sys.stderr)
        return 2
    to_terminal()
    _offer_voice(settings)
    return _run(settings, began)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="npc serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", choices=("embedded", "local", "gpu", "remote"), help="a coherent set of engines")
    parser.add_argument("--host", help="address to listen on; beyond loopback it needs keys (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default 8765; 0 takes a free one)")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="YAML file of settings")
    parser.add_argument(
        "--characters", action="append", metavar="DIR", help="folder of your own characters; repeat for more"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="any setting, e.g. asr.engine=none"
    )
    return parser


def _overrides(given: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in given.set:
        path, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set {pair!r}: expected PATH=VALUE, e.g. --set server.port=9000")
        found[path] = read_value(path.rpartition(".")[2], value)
    flags = {"server.host": given.host, "server.port": given.port, "characters": given.characters}
    found |= {path: value for path, value in flags.items() if value is not None}
    return found


def listening(settings: Settings) -> ServerSettings:
    """What the settings say to the server. Raises ValueError for what it does not take."""
    from npc.server import Bounds, ServerSettings

    where = settings.server
    return ServerSettings(
        host=where.host,
        port=where.port,
        keys=where.keys,
        origins=where.origins,
        hosts=where.hosts,
        ticket_secret=where.ticket_secret.encode(),
        bounds=Bounds(max_sessions=settings.max_sessions),
    )


def _offer_voice(settings: Settings) -> None:
    """At the first start the embedded voice is fetched; without it characters answer in text."""
    from npc.tts import fetch_flite

    if settings.tts.voice == "none" or fetch_flite.locate() is not None:
        return
    print("No voice on this machine yet: fetching the embedded one (12 MB, once).", file=sys.stderr)
    try:
        fetch_flite.fetch(lambda line: print(f"  {line}", file=sys.stderr))
    except fetch_flite.FliteMissing as error:
        print(f"Characters will answer in text only. {error}", file=sys.stderr)


def _run(settings: Settings, began: float) -> int:
    from npc.server import serve
    from npc.server.assembly import build
    from npc.server.training import Training

    def announce(url: str) -> None:
        ready = f"ready in {time.monotonic() - began:.1f} s, profile {settings.profile}; Ctrl-C stops"
        print(f"\n  Talk to a character:  {url}/\n\n  {ready}\n", flush=True)

    where = settings.server
    try:
        serve(build(settings), listening(settings), started=announce, training=Training(settings.folder))
    except (RuntimeError, ValueError) as error:
        print(f"npc serve: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"npc serve: cannot listen on {where.host}:{where.port}: {error}. Try --port 0", file=sys.stderr)
        return 1
    return 0
