"""`python -m npc.training.mind …`: make the embedded dialogue model, and tune it or a larger one.

train      from nothing, or on from the checkpoint in --work, then export
export     the checkpoint as it stands
adopt      an exported folder in place of the shipped weights, if its table is better
evaluate   an exported folder, on seen and on held-out phrasings
lora       an adapter for one character from their dialogue, on any local checkpoint
distil     replies of an OpenAI-compatible teacher, to train on
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from npc.dialogue.realiser.contract import MANNERS
from npc.inference.interface import ModelError


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command's flags."""
    parser = argparse.ArgumentParser(prog="python -m npc.training.mind", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "export"):
        sub = commands.add_parser(name)
        sub.add_argument("--minutes", type=float, default=30.0, help="wall time to train in this run (default 30)")
        sub.add_argument("--work", type=Path, default=Path("build/mind"),
                         help="checkpoint, tokenizer and loss curve (default build/mind)")  # fmt: skip
        sub.add_argument("--out", type=Path, help="where the model goes (default: WORK/model)")
        sub.add_argument("--data", type=Path, help="folder of the openly licensed corpora (default: episodes alone)")
        sub.add_argument("--start", type=Path, help="a folder, or `shipped`: begin with it where WORK is empty")
        sub.add_argument("--teacher", type=Path, help="replies of a teacher, from `distil`")
        sub.add_argument("--seed", type=int, default=1, help="of every batch and of new weights (default 1)")
        sub.add_argument("--threads", type=int, default=1, help="more than the free cores makes it slower (default 1)")
        sub.add_argument("--width", type=int, default=256, help="a multiple of 64 (default 256: 3.7 M parameters)")
        sub.add_argument("--layers", type=int, default=4, help="default 4")
        sub.add_argument("--length", type=int, default=256, help="tokens of an episode (default 256)")
        sub.add_argument("--rows", type=int, default=8, help="episodes a step (default 8)")
        sub.add_argument("--vocabulary", type=int, default=2048, help="of a new tokenizer (default 2048)")
        sub.add_argument("--rate", type=float, default=1.5e-3, help="peak of the learning rate (default 0.0015)")
    sub = commands.add_parser("adopt")
    sub.add_argument("folder", type=Path)
    sub.add_argument("--turns", type=int, default=400)
    sub = commands.add_parser("evaluate")
    sub.add_argument("folder", type=Path, nargs="?", help="default: the shipped weights")
    sub.add_argument("--turns", type=int, default=400)
    sub = commands.add_parser("lora")
    sub.add_argument("--base", type=Path, help="checkpoint folder (default: the shipped dialogue model)")
    sub.add_argument("--dialogue", type=Path, required=True, help="JSON Lines of conversations, see lora.py")
    sub.add_argument("--out", type=Path, required=True, help="folder for the adapter (PEFT layout)")
    sub.add_argument("--rank", type=int, default=8)
    sub.add_argument("--minutes", type=float, default=5.0)
    sub.add_argument("--epochs", type=int, default=20)
    sub.add_argument("--rate", type=float, default=1e-3)
    sub.add_argument("--manner", choices=MANNERS, default="plain", help="the character's, for the embedded model")
    sub.add_argument("--seed", type=int, default=1)
    sub = commands.add_parser("distil")
    sub.add_argument("--url", required=True, help="base URL ending in /v1")
    sub.add_argument("--model", required=True, help="the teacher's name at that server")
    sub.add_argument("--key", default=None)
    sub.add_argument("--count", type=int, default=1000)
    sub.add_argument("--out", type=Path, required=True, help="JSON Lines for `train --teacher`")
    sub.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    if options.command in ("train", "export") and options.width % 64:
        parser.error("--width must be a multiple of 64 (the head width)")
    return options


def main(argv: list[str] | None = None) -> int:
    options = parse(argv)
    try:
        print(json.dumps(_run(options), indent=2))
    except (ValueError, OSError, ModelError) as error:
        print(f"npc.training.mind: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        if options.command == "train" and (kept := options.work / "checkpoint.pt").exists():
            print(f"stopped; the same command goes on from {kept}", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> dict[str, Any]:
    from npc.dialogue.realiser.model import model_folder

    if options.command == "evaluate":
        from npc.training.mind.evaluate import evaluate

        return evaluate(options.folder or model_folder(), turns=options.turns)
    if options.command == "adopt":
        from npc.training.mind.adopt import adopt

        return adopt(options.folder, model_folder(), turns=options.turns)
    if options.command == "lora":
        from npc.training.mind.lora import Tuning, tune

        return tune(Tuning(options.base or model_folder(), options.dialogue, options.out, rank=options.rank,
                           minutes=options.minutes, epochs=options.epochs, rate=options.rate, seed=options.seed,
                           manner=options.manner))  # fmt: skip
    if options.command == "distil":
        return asyncio.run(_distil(options))
    from npc.training.mind.train import Plan, export_checkpoint, train

    start = model_folder() if options.start == Path("shipped") else options.start
    plan = Plan(
        work=options.work, out=options.out or options.work / "model", minutes=options.minutes, data=options.data,
        start=start, teacher=options.teacher, seed=options.seed, threads=options.threads, width=options.width,
        layers=options.layers, length=options.length, rows=options.rows, vocabulary=options.vocabulary,
        rate=options.rate,
    )  # fmt: skip
    return train(plan) if options.command == "train" else export_checkpoint(plan)


async def _distil(options: argparse.Namespace) -> dict[str, Any]:
    from npc.inference.openai_compatible import Endpoint, OpenAICompatible
    from npc.training.mind.distil import distil

    teacher = OpenAICompatible(Endpoint(options.url, options.model, api_key=options.key))
    try:
        return await distil(teacher, options.count, options.seed, options.out)
    finally:
        await teacher.close()


if __name__ == "__main__":
    raise SystemExit(main())
