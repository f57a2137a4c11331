"""`python -m npc.training.mind --minutes N`: train from nothing or go on from the checkpoint, then export.

Seeded and resumable: every batch is a function of (seed, step), the checkpoint holds weights, optimiser and step, and is
written every five minutes and at the end. Progress goes to stderr, the loss curve to `loss.csv` and, with matplotlib,
`loss.png`. The export is a Llama checkpoint (`config.json`, `model.safetensors`, `tokenizer.json`) with `card.json`.
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from npc.training.mind.episodes import ATTRIBUTES, SPECIAL, corpus, episode, wordings
from npc.training.mind.model import Block, MindModel, Shape

CHECKPOINT_SECONDS = 300.0
BATCH = 8
WARM_UP = 100
PEAK_RATE = 1.5e-3


def build_tokenizer(seed: int, vocabulary: int) -> Tokenizer:
    """Byte-level BPE over episode texts: no names or values are in them, references and moods are single tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(corpus(random.Random(seed), 4_000), trainer)
    return tokenizer


def batch_at(
    step: int, seed: int, tokenizer: Tokenizer, length: int, *, held_out: bool = False
) -> tuple[Tensor, Tensor]:
    """Ids and loss weights [BATCH, length + 1] of one step: the same for the same seed and step."""
    chance = random.Random(f"{seed}/{step}/{held_out}")
    ids = torch.zeros(BATCH, length + 1, dtype=torch.long)
    weights = torch.zeros(BATCH, length + 1)
    for row in range(BATCH):
        at = 0
        for piece in episode(chance, held_out=held_out):
            tokens = tokenizer.encode(piece.text).ids[: length + 1 - at]
            ids[row, at : at + len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            weights[row, at : at + len(tokens)] = piece.weight
            at += len(tokens)
    return ids, weights


def loss_of(model: MindModel, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of the next token."""
    logits = model(ids[:, :-1])
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
    weight = weights[:, 1:].flatten()
    return (each * weight).sum() / weight.sum().clamp_min(1.0)


def rate_at(share: float, step: int) -> float:
    """Learning rate: linear warm-up over steps, then linear decay to a twentieth over the share of time used."""
    return PEAK_RATE * min(1.0, (step + 1) / WARM_UP) * max(0.05, 1.0 - share)


def evaluate(model: MindModel, tokenizer: Tokenizer, seed: int, length: int) -> dict[str, float]:
    """Greedy next-token accuracy on the tokens that matter: references, and admitting the absent, on seen and held-out
    wordings (8 batches each)."""
    special = {tokenizer.token_to_id(token) for token in SPECIAL if token.startswith("<#") or token == "<none>"}
    table = {}
    model.eval()
    for held_out in (False, True):
        right = total = 0
        for step in range(8):
            ids, weights = batch_at(10_000_000 + step, seed, tokenizer, length, held_out=held_out)
            with torch.no_grad():
                guess = model(ids[:, :-1]).argmax(-1)
            wanted = ids[:, 1:]
            chosen = (weights[:, 1:] == 5.0) & torch.isin(wanted, torch.tensor(sorted(special)))
            right += int((guess == wanted)[chosen].sum())
            total += int(chosen.sum())
        table["held_out_wordings" if held_out else "seen_wordings"] = round(right / max(1, total), 4)
    model.train()
    return table


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Train for `options.minutes`, export into `options.out`; returns what the card says."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    tokenizer_file, checkpoint_file = work / "tokenizer.json", work / "checkpoint.pt"
    if not tokenizer_file.exists():
        build_tokenizer(options.seed, options.vocabulary).save(str(tokenizer_file))
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    shape = Shape(vocabulary=tokenizer.get_vocab_size(), width=options.width, layers=options.layers,
                  heads=max(1, options.width // 64), inner=options.width * 11 // 4, length=options.length)  # fmt: skip
    model = MindModel(shape)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.05)
    step, spent, curve = 0, 0.0, []
    if checkpoint_file.exists():
        saved = torch.load(checkpoint_file, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        step, spent, curve = saved["step"], saved["spent"], saved["curve"]
        print(f"going on from step {step}, {spent / 60:.1f} minutes", file=sys.stderr)
    budget, began, kept = options.minutes * 60.0, time.monotonic(), time.monotonic()
    while (elapsed := time.monotonic() - began) < budget:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(elapsed / budget, step)
        ids, weights = batch_at(step, options.seed, tokenizer, options.length)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(model, ids, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 20 == 0:
            curve.append((step, round(float(loss.detach()), 4)))
            print(f"step {step}  loss {curve[-1][1]:.3f}  {elapsed:.0f}/{budget:.0f} s", file=sys.stderr)
        if time.monotonic() - kept > CHECKPOINT_SECONDS:
            _save(checkpoint_file, model, optimiser, step, spent + elapsed, curve)
            kept = time.monotonic()
    spent += time.monotonic() - began
    _save(checkpoint_file, model, optimiser, step, spent, curve)
    card = {
        "parameters": sum(p.numel() for p in model.parameters()), "shape": asdict(shape), "seed": options.seed,
        "steps": step, "minutes": round(spent / 60, 1), "loss": curve[-1][1] if curve else None,
        "wordings": {name: wordings(name) for name in ATTRIBUTES},
        "accuracy": evaluate(model, tokenizer, options.seed, options.length),
        "data": "synthetic episodes of npc/training/mind/episodes.py (CC0); see DATA_LICENSES",
    }  # fmt: skip
    export(model, tokenizer, card, options.out)
    _plot(work, curve)
    return card


def _save(path: Path, model: MindModel, optimiser: torch.optim.Optimizer, step: int, spent: float, curve: Any) -> None:
    partial = path.with_suffix(".partial")
    torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent": spent, "curve": curve},  # noqa: E501
               partial)  # fmt: skip
    partial.replace(path)


def export(model: MindModel, tokenizer: Tokenizer, card: dict[str, Any], out: Path) -> None:
    """A Llama checkpoint any runtime reads, ours included: config, float16 safetensors, tokenizer; and the card."""
    from safetensors.numpy import save_file

    out.mkdir(parents=True, exist_ok=True)
    shape = model.shape
    weights: dict[str, Tensor] = {
        "model.embed_tokens.weight": model.embedding.weight,
        "model.norm.weight": model.norm.weight,
    }
    for number, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        at = f"model.layers.{number}."
        q, k, v = block.qkv.weight.chunk(3)
        gate, up = block.gate_up.weight.chunk(2)
        weights |= {
            at + "input_layernorm.weight": block.attention_norm.weight,
            at + "post_attention_layernorm.weight": block.feed_norm.weight,
            at + "self_attn.q_proj.weight": q,
            at + "self_attn.k_proj.weight": k,
            at + "self_attn.v_proj.weight": v,
            at + "self_attn.o_proj.weight": block.out.weight,
            at + "mlp.gate_proj.weight": gate,
            at + "mlp.up_proj.weight": up,
            at + "mlp.down_proj.weight": block.down.weight,
        }
    arrays = {name: np.ascontiguousarray(t.detach().float().numpy().astype(np.float16)) for name, t in weights.items()}
    save_file(arrays, str(out / "model.safetensors"))
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": shape.width,
        "intermediate_size": shape.inner, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads, "vocab_size": shape.vocabulary, "max_position_embeddings": shape.length,
        "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "tie_word_embeddings": True, "torch_dtype": "float16",
        "eos_token_id": tokenizer.token_to_id("<end>"), "pad_token_id": tokenizer.token_to_id("<pad>"),
    }  # fmt: skip
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")


def _plot(work: Path, curve: list[tuple[int, float]]) -> None:
    (work / "loss.csv").write_text("step,loss\n" + "".join(f"{s},{v}\n" for s, v in curve), "utf-8")
    try:
        import matplotlib
    except ModuleNotFoundError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3))
    axes.plot([s for s, _ in curve], [v for _, v in curve])
    axes.set_xlabel("step")
    axes.set_ylabel("weighted loss")
    figure.tight_layout()
    figure.savefig(work / "loss.png", dpi=110)
    pyplot.close(figure)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command's flags."""
    parser = argparse.ArgumentParser(prog="python -m npc.training.mind", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="wall time to train in this run (default 30)")
    parser.add_argument("--work", type=Path, default=Path("build/mind"), help="checkpoint, tokenizer and loss curve")
    parser.add_argument("--out", type=Path, help="where the model goes (default: WORK/model)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="more than the free cores makes it slower, not faster")
    parser.add_argument("--width", type=int, default=256, help="a multiple of 64 (default 256: 5 M parameters)")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=4096)
    options = parser.parse_args(argv)
    if options.width % 64:
        parser.error("--width must be a multiple of 64 (the head width)")
    options.out = options.out or options.work / "model"
    return options


def main(argv: list[str] | None = None) -> int:
    card = train(parse(argv))
    print(json.dumps(card, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
