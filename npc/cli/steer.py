"""`npc steer learn MODEL --out FILE`, `npc steer test MODEL --directions FILE`: steering vectors and their effect."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import npc.inference
from npc.inference.config import CheckpointError
from npc.inference.dose import Judge, likeness_judge, monotone, response
from npc.inference.encoder import EncoderError, SentenceEncoder, load_encoder
from npc.inference.interface import Message, ModelError
from npc.inference.native import NativeSettings, load_weights, open_step
from npc.inference.steering import fitting, learn_direction, load_directions, save_directions
from npc.inference.tokenizer import TextTokenizer
from npc.inference.traits import TRAITS, TraitJudges

PROMPTS = (
    "Good evening. Is there a room free tonight?",
    "What do you think of the new harbour master?",
    "My cart broke down on the road. Can you help me?",
    "How much for the blue lantern?",
    "Tell me about your family.",
    "Did you hear what happened at the mill?",
)


def _pairs(path: Path | None) -> dict[str, dict[str, list[str]]]:
    place = path or Path(npc.inference.__file__).parent / "data/directions.json"
    try:
        loaded = json.loads(place.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{place}: not readable as JSON: {error}") from None
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError(f"{place}: must hold an object: name -> {{more: [texts], less: [texts]}}")
    for name, sets in loaded.items():
        for side in ("more", "less"):
            texts = sets.get(side) if isinstance(sets, dict) else None
            if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t.strip() for t in texts):
                raise ValueError(f"{place}: direction {name!r} needs non-empty lists of texts 'more' and 'less'")
    return loaded


def _judge(name: str, sets: dict[str, list[str]] | None, encoder: SentenceEncoder | None) -> Judge | None:
    """The trait's own classifier where there is one; for other directions, likeness to the examples it was learnt from,
    which can only say that the model moved towards them."""
    if encoder is None:
        return None
    if name in TRAITS:
        return TraitJudges(encoder).judge(name)
    return likeness_judge(encoder, sets["more"], sets["less"]) if sets else None


def main(argv: list[str]) -> int:
    """Exit status 0 when it learned or measured."""
    parser = argparse.ArgumentParser(prog="npc steer", description=__doc__)
    parser.add_argument("action", choices=["learn", "test"])
    parser.add_argument("model", type=Path, help="model directory")
    parser.add_argument(
        "--pairs", type=Path, help="JSON: name -> {more: [texts], less: [texts]} (default: four shipped)"
    )
    parser.add_argument("--out", type=Path, default=Path("directions.npz"), help="learn: the .npz file to write")
    parser.add_argument("--directions", type=Path, default=Path("directions.npz"), help="test: the file to read")
    parser.add_argument("--tokens", type=int, default=40, help="test: tokens of each reply")
    parser.add_argument("--json", action="store_true", help="test: print one JSON object")
    given = parser.parse_args(argv)
    if given.action == "learn" and not given.out.absolute().parent.is_dir():
        parser.error(f"--out {given.out.parent}: there is no such folder")
    settings = NativeSettings(context=1024, cache_mib=64)
    try:
        pairs = _pairs(given.pairs)
        config, weights = load_weights(given.model, settings)
        tokenizer = TextTokenizer(given.model, config.vocab, config.end_tokens)
        step = open_step(config, weights, settings)
        if given.action == "learn":
            made = [
                learn_direction(
                    step,
                    name,
                    [tokenizer.encode(t, specials=True) for t in sets["more"]],
                    [tokenizer.encode(t, specials=True) for t in sets["less"]],
                )
                for name, sets in pairs.items()
            ]
            save_directions(given.out, made)
            print(f"{given.out}: {', '.join(d.name for d in made)}")
            return 0
        try:
            encoder = load_encoder()
        except EncoderError as error:
            print(f"npc steer: no judge, scores are left out: {error}", file=sys.stderr)
            encoder = None
        prompts = [tokenizer.prompt((Message("user", text),)) for text in PROMPTS]
        result: dict[str, Any] = {}
        for direction in (fitting(d, config) for d in load_directions(given.directions)):
            judge = _judge(direction.name, pairs.get(direction.name), encoder)
            ends = tokenizer.ends
            table = response(step, direction, prompts, tokenizer.decode, judge, max_tokens=given.tokens, ends=ends)
            result[direction.name] = {
                "monotone": round(monotone(table), 3) if judge else None,
                "doses": [
                    {
                        "strength": d.strength,
                        "score": round(d.score, 4) if judge else None,
                        "perplexity": round(d.perplexity, 2),
                        "sample": d.texts[0],
                    }
                    for d in table
                ],
            }
        step.close()
    except (CheckpointError, ModelError, OSError, ValueError) as error:
        print(f"npc steer: {error}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(result))
        return 0
    for name, found in result.items():
        print(f"{name}: rank correlation of dose and score {found['monotone']}")
        for dose in found["doses"]:
            print(
                f"  {dose['strength']:+.1f}  score {dose['score']}  perplexity {dose['perplexity']}  {dose['sample']!r}"
            )
    return 0
