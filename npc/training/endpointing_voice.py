"""Train the voice half of the end-of-turn detector: how a voice sounds before a pause and before the end of a turn.

    python -m npc.training.endpointing_voice --corpus DIR --cache DIR [--sentences 16000] [--epochs 14]

Sentences of the corpus and of our grammars are spoken by Flite in many voices, with a pause where people pause, in
light noise and, with `--rooms`, a share of them in a room; one window of `voice.features` is kept for the end and for
one or two pauses of each. Two in three sentences have a comma inside: that is the place where a voice is hardest to
read. The words before the comma are also spoken as a sentence of their own, so that the same words stand on both sides
and only the voice tells them apart. A twentieth of the sentences, by their first words, is held out. Needs torch, and
uses a GPU where there is one; `--workers` processes speak. 40 minutes of one core in all: 0.09 s a sentence of three
windows, 5 s an epoch and ten thousand windows.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.audio.vad import SileroVad, VoiceActivityDetector, VoiceGate
from npc.conversation import network_file
from npc.conversation.endpointing import voice
from npc.conversation.endpointing.text import words_of
from npc.training import endpointing_sentences
from npc.training.endpointing_sound import Sounded, closing, pause_place, say, speaker
from npc.training.endpointing_text import speakable, turns

#: Sentences of a file of the cache.
_PIECE = 500
#: Sound that the voice-activity detector gets to know a voice by before the place in question.
_LISTENED = LISTEN_RATE * 9 // 10
#: The gate closes at most so long after the voice ended, and hardly before.
_LATE, _EARLY = LISTEN_RATE * 3 // 10, LISTEN_RATE // 20


@dataclass(frozen=True, slots=True)
class Window:
    """`kind`: "end", "plain" (a pause), "comma" (a pause at one), "alone" (the words before a comma as a sentence)."""

    kind: str
    group: int
    features: NDArray[np.float16]

    @property
    def label(self) -> int:
        return int(self.kind in ("end", "alone"))


def windows(corpus: Path, folder: Path, count: int, seed: int, rooms: float, workers: int) -> list[Window]:
    """Windows of `count` sentences, kept in `folder` piece by piece, so that what was spoken once need not be again."""
    typed, commas = list[str](), list[str]()
    jobs, paths = [], [folder / f"{seed}-{number:03d}.npz" for number in range(-(-count // _PIECE))]
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        if not path.exists():
            if not typed:
                typed = sorted({text.strip() for text in turns(corpus) if speakable(text)})
                commas = [text for text in typed if "," in text[:-1]]
            jobs.append((typed, commas, (seed, number), rooms, path))
    # Flite is not safe in threads, and a fork of a process that holds it is not safe either.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for number, _ in enumerate(pool.imap_unordered(_spoken, jobs), 1):
            print(f"{number} of {len(jobs)} pieces spoken", file=sys.stderr, flush=True)
    return [window for path in paths for window in stored(path)]


def _spoken(job: tuple[list[str], list[str], tuple[int, int], float, Path]) -> None:
    """Speak `_PIECE` sentences: two in three of them typed with a comma inside, one in six of our grammars."""
    typed, commas, seed, rooms, path = job
    rng = np.random.default_rng(seed)
    vad, found = SileroVad(), list[Window]()
    for _ in range(_PIECE):
        texts = (typed, commas)[int(rng.random() < 0.8)]
        marked = texts[int(rng.integers(len(texts)))] if rng.random() < 0.83 else endpointing_sentences.draw(rng)
        found += _sentence(marked, rng, vad, rooms)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file,
            kinds=np.array([window.kind for window in found]),
            groups=np.array([window.group for window in found]),
            features=np.array([window.features for window in found]),
        )
    part.rename(path)


def stored(path: Path) -> Iterator[Window]:
    with np.load(path) as stored:
        for kind, group, features in zip(stored["kinds"], stored["groups"], stored["features"], strict=True):
            yield Window(str(kind), int(group), features)


def _sentence(marked: str, rng: np.random.Generator, vad: VoiceActivityDetector, rooms: float) -> Iterator[Window]:
    """The end of a sentence, a pause inside, another at a comma where there is one, and the words before it alone."""
    who = speaker(rng)
    said = say(marked.replace("| ", ""), who)
    if said is None:
        return
    group = zlib.crc32(" ".join(words_of(said.text)[:3]).encode())
    places = {pause_place(marked, said, rng)} - {0}
    inside = sorted(said.commas - {len(said.words)})
    if inside:
        places.add(inside[int(rng.integers(len(inside)))])
    sounds = [(said, 0, "end"), *((said, place, "comma" if place in said.commas else "plain") for place in places)]
    at_comma = sorted(places & said.commas)
    if at_comma and rng.random() < 0.8:
        alone = say(said.until(at_comma[-1]) + str(rng.choice([".", ".", ".", "?"])), who)
        if alone is not None:
            sounds.append((alone, 0, "alone"))
    for sentence, before, kind in sounds:
        heard = closing(sentence, before, rng, rooms)
        last = _closed(heard, vad)
        if last is not None:
            yield Window(kind, group, voice.features(heard.pcm, last).astype(np.float16))


def _closed(heard: Sounded, vad: VoiceActivityDetector) -> int | None:
    """The last voiced sample before the gate closed (two frames) near the mark; None where it did not."""
    begin = max(0, heard.end - _LISTENED)
    gate, last, quiet = VoiceGate(), -1, 0
    for frame in vad.open().push(heard.pcm[begin:]):
        if gate.step(frame.probability):
            last, quiet = begin + frame.end, 0
        else:
            quiet += 1
            if quiet == 2 and last >= 0 and -_EARLY <= last - heard.end <= _LATE:
                return last
    return None


def _network() -> Any:
    from torch import nn

    class Network(nn.Module):
        """The shape of `voice.VoiceModel`, with batch normalisation that `exported` folds into the convolutions."""

        def __init__(self) -> None:
            super().__init__()
            sizes = (voice.BANDS + 2, 48, 48, 64, 64, 96, 96)
            pairs = list(itertools.pairwise(sizes))
            self.convolutions = nn.ModuleList(
                nn.Conv1d(a, b, 5, stride, 2) for (a, b), stride in zip(pairs, voice.STRIDES, strict=True)
            )
            self.norms = nn.ModuleList(nn.BatchNorm1d(b) for _, b in pairs)
            self.drop = nn.Dropout(0.3)
            self.hidden = nn.Linear(sizes[-1] * (voice.LAST_STEPS + 1), 96)
            self.out = nn.Linear(96, 1)

        def forward(self, given: Any) -> Any:
            import torch

            steps = given.transpose(1, 2)
            for convolution, norm in zip(self.convolutions, self.norms, strict=True):
                steps = torch.relu(norm(convolution(steps)))
            seen = torch.cat([steps[:, :, -voice.LAST_STEPS :].flatten(1), steps.mean(2)], 1)
            return self.out(self.drop(torch.relu(self.hidden(self.drop(seen))))).squeeze(1)

    return Network()


def exported(network: Any) -> dict[str, NDArray[np.float32]]:
    """Weights as `voice.VoiceModel` wants them."""
    network = network.cpu()
    weights = {"strides": np.array(voice.STRIDES, np.float32)}
    for number, (convolution, norm) in enumerate(zip(network.convolutions, network.norms, strict=True)):
        scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
        weights[f"c{number}"] = (convolution.weight.detach() * scale[:, None, None]).numpy()
        weights[f"b{number}"] = ((convolution.bias.detach() - norm.running_mean) * scale + norm.bias.detach()).numpy()
    weights["hidden"] = network.hidden.weight.detach().numpy()
    weights["hidden_bias"] = network.hidden.bias.detach().numpy()
    weights["out"] = network.out.weight.detach().numpy()[0]
    weights["out_bias"] = network.out.bias.detach().numpy()
    return weights


def _varied(found: Any) -> Any:
    """Other rooms and microphones: a raised noise floor, a coloured spectrum, a shift of up to 40 ms and one band."""
    import torch

    bands = found[:, :, : voice.BANDS]
    top = bands.amax((1, 2), keepdim=True)
    floor = top - torch.rand(len(found), 1, 1, device=found.device) * 5 - 6.5
    bands = torch.logaddexp(bands, floor + torch.linspace(0.7, -0.7, voice.BANDS, device=found.device)[None, None])
    bands = bands + torch.randn(len(found), 1, voice.BANDS, device=found.device).cumsum(2) * 0.08
    shift, band = int(torch.randint(-4, 5, (1,))), int(torch.randint(-1, 2, (1,)))
    bands = torch.roll(bands, band, 2)
    return torch.roll(torch.cat([bands, found[:, :, voice.BANDS :]], 2), shift, 1)


def _normalised(found: Any) -> Any:
    """`voice.normalised` of a batch."""
    import torch

    bands = found[:, :, : voice.BANDS]
    loud = torch.quantile(bands.amax(2), 0.95, dim=1)[:, None, None]
    return torch.cat([torch.clamp((bands - loud) / 3.0 + 1.0, -3.0, 2.0), found[:, :, voice.BANDS :]], 2)


def fit(data: Sequence[Window], epochs: int, seed: int, batch: int = 256) -> dict[str, NDArray[np.float32]]:
    """Train on nineteen of twenty, both classes weighing the same; prints areas under the curve on the rest. Products
    are in bfloat16: half the time on a processor with matrix units, the same areas (docs/log.md)."""
    import torch

    torch.manual_seed(seed)
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = torch.tensor(np.array([window.features for window in data]), device=where)
    truth = torch.tensor([float(window.label) for window in data], device=where)
    held = np.array([window.group % 20 == 0 for window in data])
    kinds = np.array([window.kind for window in data])
    weight = torch.where(truth == 1, 0.5 / truth.mean(), 0.5 / (1 - truth.mean()))
    learned = np.flatnonzero(~held)
    network = _network().to(where)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    steps = epochs * (len(learned) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps + 1)
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        network.train()
        order = rng.permutation(learned)
        for begin in range(0, len(order) - batch + 1, batch):
            rows = order[begin : begin + batch]
            given = _normalised(_varied(found[rows].float()))
            with torch.autocast(where.type, torch.bfloat16):
                logits = network(given)
            losses = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), truth[rows], reduction="none")
            optimiser.zero_grad()
            (losses * weight[rows]).mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        if epoch % 4 == 3 or epoch == epochs - 1:
            network.eval()
            rows = np.flatnonzero(held)
            parts = np.array_split(rows, len(rows) // 1000 + 1)
            with torch.no_grad():
                scores = torch.cat([network(_normalised(found[part].float())) for part in parts])
            print(
                f"epoch {epoch + 1}: {_areas(scores.cpu().numpy(), truth.cpu().numpy()[rows], kinds[rows])}",
                file=sys.stderr,
                flush=True,
            )
    return exported(network)


def area(scores: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Area under the receiver operating characteristic; ties count half."""
    ranks = scipy.stats.rankdata(scores)
    ones = float(truth.sum())
    return float((ranks[truth == 1].sum() - ones * (ones + 1) / 2) / max(1.0, ones * (truth.size - ones)))


def _areas(scores: NDArray[np.floating], truth: NDArray[np.floating], kinds: NDArray[np.str_]) -> str:
    pairs = {
        "all": kinds != "",
        "plain pauses": kinds != "comma",
        "pauses at commas": kinds != "plain",
        "the same words at a comma and alone": (kinds == "comma") | (kinds == "alone"),
    }
    return ", ".join(f"{name} {area(scores[which], truth[which]):.3f}" for name, which in pairs.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the windows; those in it are not remade")
    parser.add_argument("--sentences", type=int, default=16_000)
    parser.add_argument("--rooms", type=float, default=0.1, help="share of the sentences that are spoken in a room")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--networks", type=int, default=2, help="of different seeds; their log-odds are averaged")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--out", type=Path, default=Path(voice.__file__).with_name("voice.npz"))
    options = parser.parse_args()
    try:
        data = windows(options.corpus, options.cache, options.sentences, options.seed, options.rooms, options.workers)
    except FileNotFoundError as error:
        parser.error(f"--corpus {error}")
    print(f"{len(data)} windows", file=sys.stderr)
    made = [fit(data, options.epochs, options.seed + number) for number in range(options.networks)]
    network_file.save(options.out, voice.joined(made))
    print(f"wrote {options.out} ({options.out.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
