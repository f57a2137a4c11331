"""The roofline plot of `npc bench inference`: decode speed against bits a weight, under what the memory allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from npc.bench.harness import pyplot
from npc.bench.inference_shapes import SHAPES


def plot(result: dict[str, Any], path: Path) -> None:
    """Decode speed against the bandwidth roofline, one dot an engine, format and shape."""
    drawing = pyplot()
    if drawing is None:
        return
    figure, axes = drawing.subplots(figsize=(7, 4.5))
    bandwidth = result["bandwidth_gbs"]["2"]
    marks = {"npc": "o", "llama.cpp": "s", "transformers": "^", "ctranslate2": "D", "openvino": "v"}
    for shape, found in result["shapes"].items():
        total = SHAPES[shape]["vocab_size"] * SHAPES[shape]["hidden_size"]
        for name, forms in found["decode_tok_s"].items():
            for form, speed in forms.items():
                bits = found["bits_per_weight"][name][form]
                axes.plot(bits, speed, marks.get(name, "x"), color=f"C{list(SHAPES).index(shape)}")
                axes.annotate(f"{name} {form}", (bits, speed), fontsize=6, xytext=(3, 3), textcoords="offset points")
        parameters = total + _body(SHAPES[shape])
        bits_axis = np.linspace(2, 17, 60)
        axes.plot(
            bits_axis,
            bandwidth * 1e9 / (parameters * bits_axis / 8),
            "-",
            color=f"C{list(SHAPES).index(shape)}",
            lw=0.7,
        )
    axes.set(xlabel="bits a weight", ylabel="tokens a second, batch 1, 2 threads", yscale="log")
    axes.set_title(f"decode speed under the roofline of {bandwidth} GB/s")
    figure.tight_layout()
    figure.savefig(path)
    drawing.close(figure)


def _body(raw: dict[str, Any]) -> int:
    hidden, inter = raw["hidden_size"], raw["intermediate_size"]
    head = raw.get("head_dim") or hidden // raw["num_attention_heads"]
    width, kv = raw["num_attention_heads"] * head, raw["num_key_value_heads"] * head
    return int(raw["num_hidden_layers"] * hidden * (2 * width + 2 * kv + 3 * inter))
