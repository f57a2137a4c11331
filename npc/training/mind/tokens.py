"""The model's own tokenizer, and episodes as arrays of token ids with loss weights."""

from __future__ import annotations

import random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from npc.dialogue.realiser.contract import SPECIAL
from npc.training.mind.episodes import episode, pieces
from npc.training.mind.natural import NOTHING, Texts


def build_tokenizer(seed: int, vocabulary: int, texts: Texts = NOTHING) -> Tokenizer:
    """Byte-level BPE over episodes. No name, number or fact is in them; references, moods and intents are one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    chance = random.Random(f"{seed}/tokenizer")
    corpus = ("".join(piece.text for piece in pieces(episode(chance, texts=texts))) for _ in range(3 * vocabulary))
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def batch_at(
    step: int, seed: int, tokenizer: Tokenizer, length: int, rows: int, *, held_out: bool = False,
    texts: Texts = NOTHING,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Ids and loss weights [rows, length + 1] of one step: the same for the same seed, step and data."""
    chance = random.Random(f"{seed}/{step}/{held_out}")
    ids = torch.zeros(rows, length + 1, dtype=torch.long)
    weights = torch.zeros(rows, length + 1)
    for row in range(rows):
        parts = list(pieces(episode(chance, held_out=held_out, texts=texts)))
        encoded = tokenizer.encode_batch([part.text for part in parts])
        flat = [token for found in encoded for token in found.ids][: length + 1]
        weight = [part.weight for part, found in zip(parts, encoded, strict=True) for _ in found.ids][: length + 1]
        ids[row, : len(flat)] = torch.tensor(flat)
        weights[row, : len(flat)] = torch.tensor(weight)
    return ids, weights
