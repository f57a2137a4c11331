"""llama.cpp as a peer of `npc bench inference`: its own quantisation of the same weights, through its C bindings."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from npc.bench.inference_shapes import CONTEXT, LOGIT_TOKENS, prompt, read_tensors

_FILE_TYPES: Final = {"Q4_0": 2, "Q8_0": 7}  # llama_ftype


class LlamaCpp:
    """llama.cpp through llama-cpp-python's C bindings, with its own quantisation of the same weights."""

    def __init__(self, checkpoint: Path, cache: Path, form: str) -> None:
        self._folder, self._cache, self._format = checkpoint, cache, form

    def load(self) -> dict[str, Any]:
        import llama_cpp as lib

        self._lib = lib
        lib.llama_backend_init()
        quiet = lib.llama_log_callback(lambda level, text, data: None)
        lib.llama_log_set(quiet, None)
        self._quiet = quiet
        whole, path = self._cache / "f16.gguf", self._cache / f"{self._format}.gguf"
        if not whole.exists():
            write_gguf(self._folder, whole)
        if not path.exists():
            options = lib.llama_model_quantize_default_params()
            options.ftype, options.nthread = _FILE_TYPES[self._format], 2
            if lib.llama_model_quantize(str(whole).encode(), str(path).encode(), options):
                raise RuntimeError("llama.cpp could not quantise the file")
        self._model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
        options = lib.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch, options.n_seq_max = 2048, 512, 512, 8
        options.n_threads = options.n_threads_batch = 2
        options.kv_unified = True  # else each of the eight sequences gets an eighth of the context
        self._context = lib.llama_init_from_model(self._model, options)
        if not self._context:
            raise RuntimeError("llama.cpp gave no context")
        self._vocab = json.loads((self._folder / "config.json").read_text())["vocab_size"]
        info = lib.llama_print_system_info().decode()
        features = [
            part.split("=")[0].strip() for part in info.replace("CPU :", "").split("|") if part.strip().endswith("= 1")
        ]
        version = __import__("llama_cpp").__version__
        return {
            "version": f"llama-cpp-python {version}",
            "cpu_features": " ".join(features),
            "bytes": path.stat().st_size,
        }

    def _run(self, rows: list[tuple[int, int, int, bool]]) -> float:
        """Rows of (token, position, sequence, wants logits)."""
        lib = self._lib
        batch = lib.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = int(wanted)
        start = time.perf_counter()
        status = lib.llama_decode(self._context, batch)
        lib.llama_synchronize(self._context)
        spent = time.perf_counter() - start
        lib.llama_batch_free(batch)
        if status:
            raise RuntimeError(f"llama_decode gave {status}")
        return spent

    def _start(self, threads: int, keep: int = 0) -> None:
        memory = self._lib.llama_get_memory(self._context)
        if keep:
            self._lib.llama_memory_seq_rm(memory, 0, keep, -1)
        else:
            self._lib.llama_memory_clear(memory, True)
        self._lib.llama_set_n_threads(self._context, threads, threads)

    def prefill(self, threads: int, tokens: int) -> float:
        self._start(threads)
        return self._run([(t, i, 0, i == tokens - 1) for i, t in enumerate(prompt(tokens, self._vocab))])

    def decode(self, threads: int, context: int, count: int) -> list[float]:
        self.prefill(threads, context)
        return [self._run([(5, context + i, 0, True)]) for i in range(count)]

    def batch(self, threads: int, size: int, count: int) -> list[float]:
        self._start(threads)
        times = [self._run([(5, at, s, True) for s in range(size)]) for at in range(64 + count)]
        return times[64:]

    def verify(self, threads: int, size: int, count: int) -> list[float]:
        self.prefill(threads, CONTEXT)
        times = []
        for _ in range(count):
            self._start(threads, CONTEXT)
            times.append(self._run([(5, CONTEXT + i, 0, True) for i in range(size)]))
        return times

    def warm(self, threads: int, tokens: int) -> float:
        self.prefill(threads, CONTEXT)
        return self._run([(5, CONTEXT + i, 0, i == tokens - 1) for i in range(tokens)])

    def logits(self) -> Any:
        self._start(2)
        self._run([(t, i, 0, True) for i, t in enumerate(prompt(LOGIT_TOKENS, self._vocab))])
        rows = [self._lib.llama_get_logits_ith(self._context, i) for i in range(LOGIT_TOKENS)]
        return np.stack([np.ctypeslib.as_array(row, (self._vocab,)).copy() for row in rows])


def write_gguf(folder: Path, path: Path) -> None:
    """The checkpoint as a half-precision GGUF. Llama's queries and keys are permuted to its pairing of neighbours."""
    import gguf

    raw = json.loads((folder / "config.json").read_text())
    llama = raw["model_type"] == "llama"
    out = gguf.GGUFWriter(path, raw["model_type"])
    head_dim = raw.get("head_dim") or raw["hidden_size"] // raw["num_attention_heads"]
    out.add_context_length(raw["max_position_embeddings"])
    out.add_embedding_length(raw["hidden_size"])
    out.add_block_count(raw["num_hidden_layers"])
    out.add_feed_forward_length(raw["intermediate_size"])
    out.add_head_count(raw["num_attention_heads"])
    out.add_head_count_kv(raw["num_key_value_heads"])
    out.add_layer_norm_rms_eps(raw["rms_norm_eps"])
    out.add_rope_freq_base(raw["rope_theta"])
    out.add_rope_dimension_count(head_dim)
    out.add_vocab_size(raw["vocab_size"])
    out.add_tokenizer_model("no_vocab")
    names = {
        "embed_tokens": "token_embd",
        "norm": "output_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    for name, value in read_tensors(folder):
        parts = name.removeprefix("model.").split(".")
        layer, kind = "", parts[-1]
        if parts[0] == "layers":
            layer, parts = f"blk.{parts[1]}.", parts[2:]
        inner = ".".join(parts[:-1])
        if llama and inner in ("self_attn.q_proj", "self_attn.k_proj"):
            value = value.reshape(-1, 2, head_dim // 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
        small = value.ndim == 1
        out.add_tensor(f"{layer}{names[inner]}.{kind}", value if small else value.astype(np.float16))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
