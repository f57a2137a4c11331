"""The `npc` command: each command is a module of this package, imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

# NumPy's BLAS would start a thread per core for every small matrix of the sentence encoder and spin beside the audio:
# 19 CPU-seconds instead of 1.7 to index three characters, measured on a busy two-core machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

#: name -> (module with `main(argv) -> int`, one line of help)
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("npc.cli.serve", "run the service and the demo page"),
    "talk": ("npc.cli.talk", "talk to a character from the terminal: typed, a WAV, or the microphone"),
    "doctor": ("npc.cli.doctor", "say what this machine can run and what is missing; --fix fetches it"),
    "characters": ("npc.cli.characters", "list, check, import and export characters"),
    "voices": ("npc.cli.voices", "list, check and try voices"),
    "models": ("npc.cli.models", "list and fetch models"),
    "quantize": ("npc.cli.quantize", "pack a model to INT4, INT8 or ternary, with a report of size, speed and loss"),
    "steer": ("npc.cli.steer", "learn and test steering directions of a model"),
    "rig": ("npc.cli.rig", "check a model file (GLB, VRM, glTF) against the rig profiles"),
    "scenario": ("npc.cli.scenario", "training scenarios: new, check, simulate, run, report, export, sign"),
    "trainees": ("npc.cli.trainees", "list, erase and report trainees of rehearsals"),
    "replay": ("npc.cli.replay", "replay a recorded session log"),
    "bench": ("npc.cli.bench", "measure: latency, turns, asr, cues, interrupt, server, ..."),
}

USAGE = "npc COMMAND [OPTIONS]        (npc COMMAND --help explains one)"


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE + "\n\nConversational 3D characters: hear, think, speak and move.\n\ncommands:")
        for name, (_, line) in COMMANDS.items():
            print(f"  {name:<12} {line}")
        return 0
    if arguments[0] == "--version":
        from npc import __version__

        print(f"npc {__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        print(f"npc: no command {arguments[0]!r}. Commands: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    module, _ = COMMANDS[arguments[0]]
    run = importlib.import_module(module).main
    try:
        return int(run(arguments[1:]))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
