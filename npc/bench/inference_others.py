"""CTranslate2 and OpenVINO as peers of `npc bench inference`: each with its own quantisation of the same weights.

Neither runs one step on request, so a step is the difference of two generations: t(count + 1) - t(1), over count.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from npc.bench.inference_shapes import LOGIT_TOKENS, loaded_by_a_child, prompt, read_tensors


def _cpu_features() -> str:
    """Both choose their kernels at run time by the CPU's flags."""
    flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    return " ".join(flag.upper() for flag in flags.split() if flag.startswith(("amx", "avx")))


class CTranslate2:
    """CTranslate2 with INT8 weights and activations. The model is written with the package's own specification."""

    def __init__(self, checkpoint: Path, cache: Path, form: str) -> None:
        self._folder, self._out = checkpoint, cache / "ctranslate2"
        self._generators: dict[int, Any] = {}

    def load(self) -> dict[str, Any]:
        import ctranslate2

        self._lib = ctranslate2
        self._raw = json.loads((self._folder / "config.json").read_text())
        if not (self._out / "model.bin").exists() and not loaded_by_a_child():
            self._write()
        return {
            "version": ctranslate2.__version__,
            "cpu_features": _cpu_features(),
            "bytes": (self._out / "model.bin").stat().st_size,
        }

    def _write(self) -> None:
        from ctranslate2.converters import utils
        from ctranslate2.specs import common_spec, transformer_spec

        raw, tensors = self._raw, dict(read_tensors(self._folder))
        layers, heads, kv = raw["num_hidden_layers"], raw["num_attention_heads"], raw["num_key_value_heads"]
        spec = transformer_spec.TransformerDecoderModelSpec.from_config(
            layers,
            heads,
            activation=common_spec.Activation.SWISH,
            pre_norm=True,
            ffn_glu=True,
            rms_norm=True,
            rotary_dim=0,
            rotary_interleave=False,
            rotary_base=raw["rope_theta"],
            num_heads_kv=None if kv == heads else kv,
        )

        def linear(to: Any, *names: str) -> None:
            parts = []
            for name in names:
                part = common_spec.LinearSpec()
                part.weight = tensors[name + ".weight"]
                if name + ".bias" in tensors:
                    part.bias = tensors[name + ".bias"]
                parts.append(part)
            if len(parts) > 1:
                utils.fuse_linear(to, parts)
            else:
                to.weight = parts[0].weight

        decoder = spec.decoder
        decoder.scale_embeddings = False
        decoder.embeddings.weight = decoder.projection.weight = tensors["model.embed_tokens.weight"]
        decoder.layer_norm.gamma = tensors["model.norm.weight"]
        for i, layer in enumerate(decoder.layer):
            base = f"model.layers.{i}."
            layer.self_attention.layer_norm.gamma = tensors[base + "input_layernorm.weight"]
            layer.ffn.layer_norm.gamma = tensors[base + "post_attention_layernorm.weight"]
            linear(layer.self_attention.linear[0], *(f"{base}self_attn.{part}_proj" for part in "qkv"))
            linear(layer.self_attention.linear[1], base + "self_attn.o_proj")
            linear(layer.ffn.linear_0, base + "mlp.gate_proj")
            linear(layer.ffn.linear_0_noact, base + "mlp.up_proj")
            linear(layer.ffn.linear_1, base + "mlp.down_proj")
        spec.register_vocabulary([f"t{i}" for i in range(raw["vocab_size"])])
        spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "t0", "t1", "t2"
        spec.config.layer_norm_epsilon = raw["rms_norm_eps"]
        spec.validate()
        spec.optimize(quantization="int8")
        self._out.mkdir(parents=True, exist_ok=True)
        spec.save(str(self._out))

    def _run(self, threads: int, tokens: int, made: int) -> float:
        generator = self._generator(threads)
        given = [f"t{t}" for t in prompt(tokens, self._raw["vocab_size"])]
        start = time.perf_counter()
        generator.generate_batch([given], max_length=made, min_length=made, include_prompt_in_result=False)
        return time.perf_counter() - start

    def _generator(self, threads: int) -> Any:
        if threads not in self._generators:
            self._generators[threads] = self._lib.Generator(
                str(self._out), device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads
            )
        return self._generators[threads]

    def prefill(self, threads: int, tokens: int) -> float:
        return self._run(threads, tokens, 1)

    def decode(self, threads: int, context: int, count: int) -> list[float]:
        first = self._run(threads, context, 1)
        return [(self._run(threads, context, count + 1) - first) / count] * count

    def logits(self) -> Any:
        given = [f"t{t}" for t in prompt(LOGIT_TOKENS, self._raw["vocab_size"])]
        return np.asarray(self._generator(2).forward_batch([given]).to(self._lib.DataType.float32))[0]


class OpenVino:
    """OpenVINO through optimum-intel: INT4 weights in groups of 64 (embedding and head INT8, its own choice)."""

    def __init__(self, checkpoint: Path, cache: Path, form: str) -> None:
        self._folder, self._out = checkpoint, cache / "openvino"
        self._models: dict[int, Any] = {}

    def load(self) -> dict[str, Any]:
        import openvino
        from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

        self._kind = OVModelForCausalLM
        if not (self._out / "openvino_model.bin").exists() and not loaded_by_a_child():
            plan = OVWeightQuantizationConfig(bits=4, sym=True, group_size=64)
            made = OVModelForCausalLM.from_pretrained(
                self._folder, export=True, quantization_config=plan, compile=False
            )
            made.save_pretrained(self._out)
        self._vocab = json.loads((self._folder / "config.json").read_text())["vocab_size"]
        return {
            "version": openvino.__version__,
            "cpu_features": _cpu_features(),
            "bytes": (self._out / "openvino_model.bin").stat().st_size,
        }

    def _model(self, threads: int) -> Any:
        if threads not in self._models:
            wanted = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
            self._models[threads] = self._kind.from_pretrained(self._out, ov_config=wanted)
        return self._models[threads]

    def _run(self, threads: int, tokens: int, made: int) -> float:
        import torch

        ids = torch.tensor([prompt(tokens, self._vocab)])
        model = self._model(threads)
        start = time.perf_counter()
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=made, min_new_tokens=made, do_sample=False
        )
        return time.perf_counter() - start

    def prefill(self, threads: int, tokens: int) -> float:
        return self._run(threads, tokens, 1)

    def decode(self, threads: int, context: int, count: int) -> list[float]:
        first = self._run(threads, context, 1)
        return [(self._run(threads, context, count + 1) - first) / count] * count

    def logits(self) -> Any:
        import torch

        ids = torch.tensor([prompt(LOGIT_TOKENS, self._vocab)])
        return self._model(2)(ids, attention_mask=torch.ones_like(ids)).logits[0].numpy()
