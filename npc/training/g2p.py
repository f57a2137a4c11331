"""Train the grapheme-to-phoneme model of `npc.phonetics.g2p` from the CMU dictionary.

    python -m npc.training.g2p [--out FILE] [--order 5] [--prune 8]

1. Align every word with its phones by expectation-maximisation over letter → 0, 1 or 2 phones.
2. Count n-grams of the aligned graphones on nine tenths of the words, prune, and print phone and word error on the rest
   (words are split by hash, so runs agree). Then count on all words and write.
"""

from __future__ import annotations

import argparse
import math
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from npc.phonetics import g2p
from npc.phonetics.lexicon import default_lexicon

Pair = tuple[str, tuple[str, ...]]
Graphone = tuple[str, str]
_ROUNDS = 5
#: Letter names' usual sounds: where the alignment starts from. Everything else is learned.
_USUAL = {
    "a": "AE EY AH AA AO", "b": "B", "c": "K S CH", "d": "D", "e": "EH IY AH ER", "f": "F", "g": "G JH", "h": "HH",
    "i": "IH AY IY AH", "j": "JH Y", "k": "K", "l": "L", "m": "M", "n": "N NG", "o": "AA OW AO AH UW", "p": "P F",
    "q": "K", "r": "R ER", "s": "S Z SH ZH", "t": "T TH DH SH CH", "u": "AH UW UH", "v": "V", "w": "W", "x": "K Z",
    "y": "Y IY AY IH", "z": "Z S",
}  # fmt: skip


def pairs(words: Iterable[str]) -> list[Pair]:
    """Words of plain letters with their first pronunciation, where an alignment is possible."""
    lexicon = default_lexicon()
    found = []
    for word in words:
        phones = tuple(lexicon.phones(word)[0].split())
        if len(word) > 1 and word == g2p.letters(word) and len(phones) <= 2 * len(word):
            found.append((word, phones))
    return found


def first_cost(letter: str, phones: str) -> float:
    """What a letter standing for these phones costs before anything was learned."""
    usual = _USUAL.get(letter, "").split()
    said = phones.split()
    known = sum(phone in usual for phone in said)
    return 2.0 if not said else 0.2 + 3.0 * (len(said) - known) + 1.5 * (len(said) - 1)


def align(pair: Pair, cost: Callable[[str, str], float]) -> list[Graphone]:
    """Cheapest split of the phones over the letters (Viterbi)."""
    word, phones = pair
    width = len(phones) + 1
    best = [math.inf] * width
    best[0] = 0.0
    back: list[list[int]] = []
    for letter in word:
        reached, came = [math.inf] * width, [0] * width
        for at, so_far in enumerate(best):
            if so_far == math.inf:
                continue
            for take in (0, 1, 2):
                end = at + take
                if end >= width:
                    break
                total = so_far + cost(letter, " ".join(phones[at:end]))
                if total < reached[end]:
                    reached[end], came[end] = total, take
        best = reached
        back.append(came)
    graphones: list[Graphone] = []
    end = width - 1
    for letter, came in zip(reversed(word), reversed(back), strict=True):
        take = came[end]
        graphones.append((letter, " ".join(phones[end - take : end])))
        end -= take
    return graphones[::-1]


def align_all(data: list[Pair]) -> list[list[Graphone]]:
    """Hard EM: align, count, repeat; all rounds but the last on a quarter of the words."""
    cost: Callable[[str, str], float] = first_cost
    aligned: list[list[Graphone]] = []
    for round_ in range(_ROUNDS):
        aligned = [align(pair, cost) for pair in (data if round_ == _ROUNDS - 1 else data[::4])]
        seen = Counter(graphone for word in aligned for graphone in word)
        letters = Counter(letter for word in aligned for letter, _ in word)
        learned = {graphone: -math.log(count / letters[graphone[0]]) for graphone, count in seen.items() if count > 2}

        def cost(letter: str, phones: str, learned: dict[Graphone, float] = learned) -> float:
            return learned.get((letter, phones), 14.0)

    return aligned


def count(aligned: list[list[Graphone]], order: int, prune: int) -> g2p.GraphoneModel:
    """n-gram counts; histories of two or more graphones seen fewer than `prune` times are dropped."""
    common = Counter(graphone for word in aligned for graphone in word)
    graphones = sorted(graphone for graphone, seen in common.items() if seen >= 5)
    index = {graphone: number for number, graphone in enumerate(graphones)}
    counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for word in aligned:
        if any(graphone not in index for graphone in word):
            continue
        line = [-1] * (order - 1) + [index[graphone] for graphone in word] + [-1]
        for at in range(order - 1, len(line)):
            for length in range(order):
                counts[tuple(line[at - length : at])][line[at]] += 1
    kept = {
        history: dict(sorted(after.items()))
        for history, after in sorted(counts.items())
        if len(history) < 2 or sum(after.values()) >= prune
    }
    return g2p.GraphoneModel(graphones, kept, order)


def errors(model: g2p.GraphoneModel, held: list[Pair], variants: int) -> tuple[float, float, float]:
    """(phone error rate of the best, word error of the best, word error of the best `variants`)."""
    wrong_phones = phones = wrong = missed = 0
    for word, truth in held:
        guesses = [tuple(guess.phones.split()) for guess in model.pronounce(word, variants)]
        wrong_phones += _distance(truth, guesses[0]) if guesses else len(truth)
        phones += len(truth)
        wrong += not guesses or guesses[0] != truth
        missed += truth not in guesses
    return wrong_phones / phones, wrong / len(held), missed / len(held)


def _distance(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(g2p.__file__).with_name("g2p.json.gz"))
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--prune", type=int, default=8)
    options = parser.parse_args()
    began = time.perf_counter()
    data = pairs(sorted(default_lexicon()))
    aligned = align_all(data)
    print(f"{len(data)} words aligned in {time.perf_counter() - began:.0f} s")
    held = [zlib.crc32(word.encode()) % 10 == 0 for word, _ in data]
    train = [word for word, out in zip(aligned, held, strict=True) if not out]
    test = [pair for pair, out in zip(data, held, strict=True) if out][::8]
    per, wer, wer3 = errors(count(train, options.order, options.prune), test, 3)
    print(f"held out {len(test)} words: phone error {per:.3f}, word error {wer:.3f}, none of three right {wer3:.3f}")
    g2p.save_model(options.out, count(aligned, options.order, options.prune))
    print(f"wrote {options.out} ({options.out.stat().st_size // 1024} kB) in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
