"""`npc scenario`: training scenarios from the first file to the report.

npc scenario new my-scenario             a folder that runs, to write your own from
npc scenario check my-scenario [--svg G] everything its author will regret, with file and line; the graph as a picture
npc scenario simulate angry-customer     scripted and made trainees in simulated time: scores, coverage of the graph
npc scenario run angry-customer          a run over the wire: typed, --voice, --trainee strong, --script lines.txt
npc scenario report ATTEMPT              the after-action review as one HTML file (or --pdf)
npc scenario export angry-customer --as scorm12 | scorm2004 | cmi5 | zip
npc scenario sign my-scenario --key K    vouch for its contents (--new-key K makes a key)
npc scenario list                        scenarios and recorded attempts
"""

from __future__ import annotations

import argparse
import sys

from npc.client import ConnectionLost
from npc.client.local_server import ServerFailed
from npc.config.authored import AuthoredFileError
from npc.simulation.driver import Refused
from npc.simulation.package import PackageError
from npc.tts import EngineUnavailable


def main(argv: list[str]) -> int:
    """Exit status 0: done; 1: the scenario has errors or the run failed; 2: it cannot be read."""
    parser = argparse.ArgumentParser(
        prog="npc scenario", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    from npc.cli import scenario_author, scenario_play

    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    scenario_author.add(commands)
    scenario_play.add(commands)
    given = parser.parse_args(argv)
    try:
        return int(given.do(given))
    except (PackageError, AuthoredFileError) as error:
        print("\n".join(error.problems), file=sys.stderr)
    except (ServerFailed, ConnectionLost, Refused) as error:
        print(f"npc scenario: {error}", file=sys.stderr)
        return 1
    except (LookupError, EngineUnavailable, ValueError) as error:
        # A LookupError's own text would stand in quotes.
        print(f"npc scenario: {error.args[0] if error.args else error}", file=sys.stderr)
    except OSError as error:
        print(f"npc scenario: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
    return 2
