"""`npc quantize SOURCE --out DIR`: pack a model for the native core, with a report of size, speed and loss."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from npc.bench.mind import carried_set
from npc.bench.mind_set import read_set
from npc.bench.model_minds import hold_with, table
from npc.config.paths import data_dir
from npc.inference.config import CheckpointError
from npc.inference.kernels import Format
from npc.inference.quantize import Plan, quantize


def shipped_text() -> str:
    """The characters and documents that come with the package: text of the kind the model will speak about."""
    places = sorted(p for p in data_dir("demo").rglob("*") if p.suffix in (".yaml", ".md", ".txt"))
    return "\n".join(p.read_text(errors="replace") for p in places)


def main(argv: list[str]) -> int:
    """Exit status 0 when the packed model was written."""
    parser = argparse.ArgumentParser(prog="npc quantize", description=__doc__)
    parser.add_argument(
        "source", type=Path, help="Hugging Face model directory (safetensors, config.json, tokenizer.json)"
    )
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    formats = [f.name.lower() for f in Format if f is not Format.F32]
    parser.add_argument("--format", choices=formats, default="int4", help="int4: 4.3 bits a weight (default)")
    parser.add_argument("--head-format", choices=formats, help="of embedding and head, when different")
    parser.add_argument(
        "--entry-format",
        choices=formats,
        help="of attention in the first eighth of the layers (default: int8 in an int4 model, a third less loss)",
    )
    parser.add_argument(
        "--calibration",
        choices=["none", "activations", "gptq"],
        default="activations",
        help="what the rounding minds: nothing, each input's size (default), or its own errors too (gptq: slower)",
    )
    parser.add_argument(
        "--prune", choices=["none", "2:4"], default="none", help="zero two of four neighbours (loss only)"
    )
    parser.add_argument(
        "--text", type=Path, help="UTF-8 text to calibrate and measure on (default: the shipped characters)"
    )
    parser.add_argument("--tokens", type=int, default=1024, help="tokens to measure on (default 1024)")
    parser.add_argument(
        "--mind",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help="hold this mind set (alone: the small one carried in the package) with the model before and after: the "
        "dialogue table of npc bench mind",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    given = parser.parse_args(argv)
    plan = Plan(
        format=Format[given.format.upper()],
        head_format=Format[given.head_format.upper()] if given.head_format else None,
        entry_format=Format[given.entry_format.upper()] if given.entry_format else None,
        method=given.calibration,
        prune=given.prune,
        evaluation_tokens=given.tokens,
        threads=given.threads,
    )
    try:
        text = given.text.read_text(encoding="utf-8") if given.text else shipped_text()
        cases = () if given.mind is None else read_set(carried_set() if given.mind == Path() else given.mind)
        report = quantize(given.source, given.out, plan, text, lambda line: print(line, file=sys.stderr))
        if cases:
            print("holding the dialogues with the model before and after", file=sys.stderr)
            report["mind"] = {
                name: hold_with(folder, Format.BF16, cases)
                for name, folder in (("original", given.source), ("packed", given.out))
            }
    except (CheckpointError, OSError, UnicodeDecodeError, ValueError) as error:
        print(f"npc quantize: {error}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(report))
        return 0
    mib = report["bytes"] / 2**20
    print(f"{given.out}: {mib:.1f} MiB, {report['bits_per_weight']} bits a weight")
    print(
        f"perplexity {report['perplexity_original']} -> {report['perplexity_packed']}   KL {report['kl']} nats a token"
    )
    print(f"argmax agrees in {report['argmax_agreement']:.1%}, cosine of logits {report['cosine']}")
    print(f"decode {report['decode_tok_s_original']:.1f} (bf16) -> {report['decode_tok_s_packed']:.1f} tok/s")
    if cases:
        print(table(**report["mind"]))
    return 0
