"""LoRA on one character's dialogue: `python -m npc.training.mind lora --base FOLDER --dialogue FILE --out FOLDER`.

Works on any Llama- or Qwen-shaped checkpoint folder that `transformers` reads and our core runs, the embedded model
included. The adapter is written as PEFT writes it, so `NativeModel.add_adapter`, the realiser and PEFT itself load it.

The dialogue file is JSON Lines, one conversation a line:

    {"system": "You are Mira …",
     "turns": [{"player": "How are you?", "reply": "Busy as ever.", "mood": "joy", "intent": "feel"}]}

`mood` and `intent` are used by the embedded model only (default neutral, heard) and `system` by all others. Loss is on
the replies.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from npc.dialogue.realiser.contract import INTENTS, Prompt, plain
from npc.inference.config import read_config
from npc.inference.interface import Message
from npc.inference.tokenizer import TextTokenizer
from npc.protocol.names import EMOTIONS
from npc.training.mind.network import denormals_flushed

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Tuning:
    """One fine-tuning. `alpha` / `rank` scales the adapter; it ends after `minutes` of wall time or `epochs`."""

    base: Path
    dialogue: Path
    out: Path
    rank: int = 8
    alpha: float = 16.0
    minutes: float = 5.0
    epochs: int = 20
    rate: float = 1e-3
    length: int = 512
    seed: int = 1
    manner: str = "plain"


class LowRankLinear(nn.Module):
    """A frozen linear layer with a trained low-rank addition: y + (alpha / r) B A x."""

    def __init__(self, inner: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.inner, self.scale = inner, alpha / rank
        for weight in inner.parameters():
            weight.requires_grad_(False)
        self.a = nn.Parameter(torch.empty(rank, inner.in_features))
        self.b = nn.Parameter(torch.zeros(inner.out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + (x.float() @ self.a.T @ self.b.T * self.scale).to(x.dtype)  # type: ignore[no-any-return]


def adapt(model: nn.Module, rank: int, alpha: float) -> dict[str, LowRankLinear]:
    """Put adapters on every target matrix; returns them by module path. Raises ValueError when there is none."""
    for weight in model.parameters():
        weight.requires_grad_(False)
    found: dict[str, LowRankLinear] = {}
    for path, module in list(model.named_modules()):
        name = path.rsplit(".", 1)[-1]
        if name in TARGETS and isinstance(module, nn.Linear):
            parent = model.get_submodule(path.rpartition(".")[0])
            found[path] = LowRankLinear(module, rank, alpha)
            setattr(parent, name, found[path])
    if not found:
        raise ValueError(f"the model has none of the matrices {', '.join(TARGETS)}")
    return found


def read_dialogue(path: Path) -> list[dict[str, Any]]:
    """Conversations of a dialogue file. Raises ValueError naming the file, line and field."""
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            talk = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{where}: not JSON: {error}") from None
        turns = talk.get("turns") if isinstance(talk, dict) else None
        if not isinstance(turns, list) or not turns:
            raise ValueError(f"{where}: 'turns' must be a list of objects with player and reply")
        for turn in turns:
            if (
                not isinstance(turn, dict)
                or not str(turn.get("player", "")).strip()
                or not str(turn.get("reply", "")).strip()
            ):
                raise ValueError(f"{where}: every turn needs a 'player' and a 'reply'")
            if turn.get("mood", "neutral") not in EMOTIONS:
                raise ValueError(f"{where}: mood {turn['mood']!r} is none of {', '.join(EMOTIONS)}")
            if turn.get("intent", "heard") not in INTENTS:
                raise ValueError(f"{where}: intent {turn['intent']!r} is none of {', '.join(INTENTS)}")
        found.append(talk)
    if not found:
        raise ValueError(f"{path}: holds no conversation")
    return found


def examples(
    talks: Sequence[dict[str, Any]], tokenizer: TextTokenizer, embedded: bool, manner: str, length: int
) -> list[tuple[list[int], list[bool]]]:
    """(token ids, which of them are reply) of every conversation, each at most `length` tokens long. A longer
    conversation goes on in another example (embedded model) or forgets its oldest turns: every reply is learnt."""
    made = []
    for talk in talks:
        ids: list[int] = []
        reply: list[bool] = []
        history: list[Message] = [Message("system", talk["system"])] if talk.get("system") else []
        for turn in talk["turns"]:
            if embedded:
                prompt = Prompt(turn.get("mood", "neutral"), manner, turn.get("intent", "heard"), plain(turn["player"]))
                asked, said = tokenizer.encode(prompt.text()), tokenizer.encode(f"{turn['reply']}<end>")
                if ids and len(ids) + len(asked) + len(said) > length:
                    made.append((ids, reply))
                    ids, reply = [], []
                ids += [*asked, *said]
                reply += [*[False] * len(asked), *[True] * len(said)]
                continue
            history.append(Message("user", turn["player"]))
            said = [*tokenizer.encode(turn["reply"]), *([tokenizer.end] if tokenizer.end is not None else [])]
            asked = tokenizer.prompt(history)
            system = int(history[0].role == "system")
            while len(asked) + len(said) > length and len(history) > system + 1:
                del history[system : system + 2]
                asked = tokenizer.prompt(history)
            history.append(Message("assistant", turn["reply"]))
            made.append(([*asked, *said], [*[False] * len(asked), *[True] * len(said)]))
        if embedded:
            made.append((ids, reply))
    # What is still too long loses its beginning: at the end is the reply.
    return [(ids[-length:], reply[-length:]) for ids, reply in made]


@denormals_flushed()
def tune(tuning: Tuning) -> dict[str, Any]:
    """Fine-tune and write the adapter; returns what `card.json` says. Raises ValueError, CheckpointError."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(tuning.seed)
    config = read_config(tuning.base)
    tokenizer = TextTokenizer(tuning.base, config.vocab, config.end_tokens)
    embedded = len(tokenizer.encode("<c>")) == 1 and len(tokenizer.encode("<#0>")) == 1
    talks = read_dialogue(tuning.dialogue)
    made = examples(talks, tokenizer, embedded, tuning.manner, tuning.length)
    model = AutoModelForCausalLM.from_pretrained(str(tuning.base), local_files_only=True).to(torch.float32)  # type: ignore[arg-type]
    adapters = adapt(model, tuning.rank, tuning.alpha)
    trained = [weight for adapter in adapters.values() for weight in (adapter.a, adapter.b)]
    optimiser = torch.optim.AdamW(trained, lr=tuning.rate)
    began, losses, steps = time.monotonic(), list[float](), 0
    chance = np.random.default_rng(tuning.seed)
    for epoch in range(tuning.epochs):
        total, taken = 0.0, 0
        for number in chance.permutation(len(made)):
            ids, reply = made[int(number)]
            tokens = torch.tensor([ids])
            logits = model(input_ids=tokens[:, :-1]).logits[0].float()
            each = nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none")
            weight = torch.tensor(reply[1:], dtype=torch.float32)
            loss = (each * weight).sum() / weight.sum().clamp_min(1.0)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total, taken, steps = total + float(loss.detach()), taken + 1, steps + 1
            over = time.monotonic() - began > tuning.minutes * 60
            if over:
                break
        losses.append(round(total / taken, 4))
        print(f"\repoch {epoch + 1}  loss {losses[-1]:.3f}", end="", file=sys.stderr, flush=True)
        if over:
            break
    print(file=sys.stderr)
    card = {
        "base": tuning.base.name, "conversations": len(talks), "rank": tuning.rank, "alpha": tuning.alpha,
        "seed": tuning.seed, "steps": steps, "loss_first": losses[0], "loss_last": losses[-1],
    }  # fmt: skip
    _write(tuning, adapters, card, talks)
    return card


def _write(
    tuning: Tuning, adapters: dict[str, LowRankLinear], card: dict[str, Any], talks: Sequence[dict[str, Any]]
) -> None:
    tuning.out.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for path, adapter in adapters.items():
        for letter, value in (("A", adapter.a), ("B", adapter.b)):
            arrays[f"base_model.model.{path}.lora_{letter}.weight"] = value.detach().numpy()
    save_file(arrays, str(tuning.out / "adapter_model.safetensors"))
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": tuning.rank, "lora_alpha": tuning.alpha, "bias": "none",
        "lora_dropout": 0.0, "target_modules": list(TARGETS), "base_model_name_or_path": tuning.base.name,
    }  # fmt: skip
    (tuning.out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (tuning.out / "card.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    said = " ".join(turn["reply"] for talk in talks for turn in talk["turns"])
    words = sorted(set(re.findall(r"[a-z']+", said.lower())))
    (tuning.out / "words.txt").write_text("\n".join(words) + "\n", "utf-8")
