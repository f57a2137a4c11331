"""Training from nothing, or on from a checkpoint: seeded, resumable, with progress and a loss curve.

Every batch is a function of (seed, step), so a resumed run sees what an uninterrupted one would have seen. The
checkpoint holds weights, optimiser, step and curve and is written every few minutes, at the end and at Ctrl-C.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from npc.training.mind.distil import read_turns
from npc.training.mind.export import export, load
from npc.training.mind.natural import Texts, read_pairs
from npc.training.mind.network import MindModel, Shape, denormals_flushed
from npc.training.mind.shipping import write_examples, write_words
from npc.training.mind.tokens import batch_at, build_tokenizer

CHECKPOINT_SECONDS = 180.0
_TOLD_SECONDS = 30.0
WARM_UP = 100
#: From the trials of docs/mind.md; steps matter more than tokens early on, so batches are small (2,048 tokens).
PEAK_RATE = 1.5e-3


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `minutes` of wall time; `threads` beyond the free cores make it slower, not faster."""

    work: Path
    out: Path
    minutes: float = 30.0
    data: Path | None = None
    start: Path | None = None
    """Exported model to begin with where `work` holds no checkpoint yet; None: from nothing."""
    teacher: Path | None = None
    """Replies of a teacher model, from `distil`."""
    seed: int = 1
    threads: int = 1
    width: int = 256
    layers: int = 4
    length: int = 256
    rows: int = 8
    vocabulary: int = 2048
    rate: float = PEAK_RATE
    """Peak of the learning rate; less of it for the later parts of a long training."""


@dataclass(slots=True)
class Held:
    """What a checkpoint keeps."""

    model: MindModel
    optimiser: torch.optim.Optimizer
    tokenizer: Tokenizer
    step: int = 0
    tokens: int = 0
    spent: float = 0.0
    curve: list[tuple[int, float]] | None = None


class Progress:
    """One line that is rewritten on a terminal; in a file or pipe a line every half minute."""

    def __init__(self) -> None:
        self._terminal, self._told = sys.stderr.isatty(), 0.0

    def __call__(self, text: str = "", *, last: bool = False) -> None:
        if self._terminal:
            print("" if last else f"\r{text}", end="\n" if last else "", file=sys.stderr, flush=True)
        elif not last and time.monotonic() - self._told > _TOLD_SECONDS:
            print(text, file=sys.stderr, flush=True)
            self._told = time.monotonic()


def loss_of(model: MindModel, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of the next token."""
    logits = model(ids[:, :-1])
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
    weight = weights[:, 1:].flatten()
    return (each * weight).sum() / weight.sum().clamp_min(1.0)


def rate_at(share: float, step: int, peak: float = PEAK_RATE) -> float:
    """Learning rate: linear warm-up over this run's steps, then linear decay to a twentieth over the share of time."""
    return peak * min(1.0, (step + 1) / WARM_UP) * max(0.05, 1.0 - share)


def open_run(plan: Plan, texts: Texts) -> Held:
    """Network, optimiser and tokenizer: new, or as the checkpoint in `plan.work` left them."""
    plan.work.mkdir(parents=True, exist_ok=True)
    file, saved_file = plan.work / "tokenizer.json", plan.work / "checkpoint.pt"
    if plan.start is not None and not saved_file.exists():
        return _begin_with(plan, plan.start)
    if not file.exists():
        build_tokenizer(plan.seed, plan.vocabulary, texts).save(str(file))
    tokenizer = Tokenizer.from_file(str(file))
    torch.manual_seed(plan.seed)
    shape = Shape(vocabulary=tokenizer.get_vocab_size(), width=plan.width, layers=plan.layers,
                  heads=max(1, plan.width // 64), inner=plan.width * 11 // 4, length=plan.length)  # fmt: skip
    model = MindModel(shape)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    held = Held(model, optimiser, tokenizer, curve=[])
    if saved_file.exists():
        saved = torch.load(saved_file, weights_only=True)
        if saved["shape"] != asdict(shape):
            raise ValueError(f"{saved_file}: made with {saved['shape']}, not {asdict(shape)}; use another --work")
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        held.step, held.tokens, held.spent = saved["step"], saved["tokens"], saved["spent"]
        held.curve = [(int(s), float(v)) for s, v in saved["curve"]]
        print(f"going on from step {held.step}, {held.spent / 60:.1f} minutes", file=sys.stderr)
    return held


def _begin_with(plan: Plan, folder: Path) -> Held:
    """The weights and tokenizer of an exported model, with an optimiser that has seen nothing."""
    model, tokenizer = load(folder)
    tokenizer.save(str(plan.work / "tokenizer.json"))
    if (model.shape.width, model.shape.layers) != (plan.width, plan.layers):
        raise ValueError(
            f"{folder}: has {model.shape.layers} layers of {model.shape.width}; say so with --layers, --width"
        )
    card = json.loads((folder / "card.json").read_text("utf-8"))
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    return Held(model, optimiser, tokenizer, card["steps"], card["tokens"], card["minutes"] * 60.0, [])


@denormals_flushed()
def train(plan: Plan) -> dict[str, Any]:
    """Train for `plan.minutes`, export into `plan.out`; returns what the card says."""
    torch.set_num_threads(plan.threads)
    texts = Texts(read_pairs(plan.data), read_turns(plan.teacher))
    held = open_run(plan, texts)
    curve = held.curve if held.curve is not None else []
    budget, began, kept, before = plan.minutes * 60.0, time.monotonic(), time.monotonic(), held.spent
    first, progress = held.step, Progress()
    try:
        while (elapsed := time.monotonic() - began) < budget:
            for group in held.optimiser.param_groups:
                group["lr"] = rate_at(elapsed / budget, held.step - first, plan.rate)
            ids, weights = batch_at(held.step, plan.seed, held.tokenizer, plan.length, plan.rows, texts=texts)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss_of(held.model, ids, weights)
            held.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(held.model.parameters(), 1.0)
            held.optimiser.step()
            held.step += 1
            held.tokens += int((weights > 0).sum())
            held.spent = before + time.monotonic() - began
            if held.step % 20 == 0:
                curve.append((held.step, round(float(loss.detach()), 4)))
                progress(f"step {held.step}  loss {curve[-1][1]:.3f}  {held.tokens / 1e6:.2f} M tokens  "
                         f"{elapsed / 60:.1f}/{plan.minutes:g} min")  # fmt: skip
            if time.monotonic() - kept > CHECKPOINT_SECONDS:
                save(plan.work, held)
                kept = time.monotonic()
    except KeyboardInterrupt:
        save(plan.work, held)
        raise
    progress(last=True)
    save(plan.work, held)
    card = describe(plan, held, texts)
    ship(plan, held, card)
    plot(plan.work, curve)
    return card


def ship(plan: Plan, held: Held, card: dict[str, Any]) -> None:
    """Weights, tokenizer and card, and what the running mind needs beside them."""
    export(held.model, held.tokenizer, card, plan.out)
    write_words(plan.out, plan.data, plan.teacher)
    write_examples(plan.out, plan.seed, plan.work)


def save(work: Path, held: Held) -> None:
    """Write the checkpoint, whole or not at all."""
    partial = work / "checkpoint.partial"
    torch.save(
        {
            "model": held.model.state_dict(), "optimiser": held.optimiser.state_dict(), "step": held.step,
            "tokens": held.tokens, "spent": held.spent, "curve": held.curve, "shape": asdict(held.model.shape),
        },
        partial,
    )  # fmt: skip
    partial.replace(work / "checkpoint.pt")
    plot(work, held.curve or [], picture=False)


def describe(plan: Plan, held: Held, texts: Texts) -> dict[str, Any]:
    """What is known of the run, for the model card."""
    last = [loss for _, loss in (held.curve or [])[-20:]]
    return {
        "parameters": sum(p.numel() for p in held.model.parameters()),
        "shape": asdict(held.model.shape),
        "seed": plan.seed,
        "steps": held.step,
        "tokens": held.tokens,
        "minutes": round(held.spent / 60, 1),
        "threads": plan.threads,
        "loss": round(sum(last) / len(last), 4) if last else None,
        "natural_pairs": len(texts.pairs),
        "teacher_turns": len(texts.turns),
        "data": "synthetic episodes of npc/training/mind; with natural_pairs also the corpora of DATA_LICENSES.md",
    }


def plot(work: Path, curve: Sequence[tuple[int, float]], *, picture: bool = True) -> None:
    """`loss.csv`, and `loss.png` where matplotlib is installed."""
    (work / "loss.csv").write_text("step,loss\n" + "".join(f"{s},{v}\n" for s, v in curve), "utf-8")
    if not picture:
        return
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


def export_checkpoint(plan: Plan) -> dict[str, Any]:
    """Export the checkpoint as it stands, while a run goes on or after it was cut short. Raises ValueError where
    there is none."""
    if not (plan.work / "checkpoint.pt").exists():
        raise ValueError(f"{plan.work}: no checkpoint.pt there to export; train first, or name the folder with --work")
    texts = Texts(read_pairs(plan.data), read_turns(plan.teacher))
    held = open_run(plan, texts)
    card = describe(plan, held, texts)
    ship(plan, held, card)
    return card
