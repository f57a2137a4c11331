"""The embedded dialogue model in `npc bench inference`: the wait for its first token, and a whole reply.

Its prompt is cached up to the player's last words, as it is when they were heard before the turn was decided.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from npc.bench.inference_turns import Sizes, measure_listening
from npc.inference.engine import Engine
from npc.inference.interface import Sampling
from npc.inference.kernels import Format
from npc.inference.native import NativeSettings, load_weights, open_step

#: Tokens cached, tokens new at the end of the turn, tokens of a reply of about 20 words.
CACHED, NEW, REPLY = 150, 12, 30


def measure_embedded(folder: Path, threads: int, rounds: int = 20) -> dict[str, Any]:
    """Milliseconds (medians) on the model of `folder`, packed to INT8 as the service does."""
    settings = NativeSettings(format=Format.INT8, context=256, cache_mib=16, threads=threads)
    config, weights = load_weights(folder, settings)
    step = open_step(config, weights, settings)
    engine = Engine(step)
    rng = np.random.default_rng(5)
    first: list[float] = []
    whole: list[float] = []
    base = [int(t) for t in rng.integers(2, config.vocab, CACHED)]
    for _ in range(rounds):
        prompt = [*base, *(int(t) for t in rng.integers(2, config.vocab, NEW))]
        engine.submit(prompt, Sampling(max_tokens=REPLY))
        start = time.perf_counter()
        made = 0
        while engine.busy:
            made += sum(event.token is not None for event in engine.step())
            if made == 1 and len(first) == len(whole):
                first.append(time.perf_counter() - start)
        whole.append(time.perf_counter() - start)
    engine.close()
    step = open_step(config, weights, settings)
    listening = measure_listening(step, sizes=Sizes(persona=60, talk=40, data=40, tail=6, words=8))
    step.close()
    return {
        "threads": threads,
        "parameters": config.parameters,
        "first_token_ms": round(1000 * float(np.median(first[1:])), 2),
        "reply_30_tokens_ms": round(1000 * float(np.median(whole[1:])), 2),
        "listening": listening,
    }
