"""One engine of `npc bench inference` in a process of its own: reads JSON requests on stdin, answers on stdout.

    worker.py ENGINE CHECKPOINT CACHE_DIR FORMAT        ENGINE: npc, llama.cpp, transformers, ctranslate2

    {"do": "load"}                                      -> {"version", "cpu_features", "bytes"}
    {"do": "prefill", "threads", "tokens"}              -> {"seconds"}   a prompt, first token included
    {"do": "decode", "threads", "context", "count"}     -> {"seconds": [per token]}
    {"do": "batch", "threads", "size", "count"}         -> {"seconds": [per step of `size` sequences]}
    {"do": "verify", "threads", "size", "count"}        -> {"seconds": [per check of `size` tokens of one sequence]}
    {"do": "warm", "threads", "tokens"}                 -> {"seconds"}   that many new tokens on a cached context of 512
    {"do": "logits", "path"}                            -> {}            64 tokens' logits as a .npy
    {"do": "memory"}                                    -> {"peak_mb"}

Stands alone (the peers' interpreter has no npc installed): an answer {"unsupported": why} is a fact, not a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CONTEXT = 512
_FILE_TYPES = {"Q4_0": 2, "Q8_0": 7}  # llama_ftype
LOGIT_TOKENS = 64


class Unsupported(Exception):
    """The engine cannot do what was asked."""


def prompt(count: int, vocab: int) -> list[int]:
    """The same tokens for every engine."""
    return [int(t) for t in np.random.default_rng(7).integers(2, min(vocab, 40000), count)]


class Npc:
    """Our own core."""

    def __init__(self, checkpoint: Path, cache: Path, form: str) -> None:
        self._folder, self._cache, self._format = checkpoint, cache, form
        self._steps: dict[int, Any] = {}

    def load(self) -> dict[str, Any]:
        from npc import __version__
        from npc.inference.checkpoint import Checkpoint
        from npc.inference.config import read_config
        from npc.inference.kernels import Format, best_level
        from npc.inference.packed import read_packed, write_packed
        from npc.inference.weights import from_tensors

        path = self._cache / f"npc-{self._format}.npcq"
        if not path.exists() and len(sys.argv) == 5:  # elsewhere, so that packing does not count as memory of running
            subprocess.run(
                [sys.executable, *sys.argv, "pack"], input='{"do": "load"}\n', text=True, stdout=2, check=True
            )
        if not path.exists():
            config = read_config(self._folder)
            body, _, head = self._format.partition("+head")  # INT4+head8: embedding and head as INT8
            made = from_tensors(
                config,
                Checkpoint(self._folder),
                Format[body],
                head_format=Format[f"INT{head}"] if head else None,
                threads=2,
            )
            write_packed(path, config, made, {})
        self._config, self._weights, _ = read_packed(path)
        level = best_level()
        return {
            "version": __version__,
            "cpu_features": None if level is None else level.name,
            "bytes": self._weights.nbytes,
        }

    def _step(self, threads: int) -> Any:
        from npc.inference.step import KernelStep

        if threads not in self._steps:
            self._steps[threads] = KernelStep(self._config, self._weights, pages=64, positions=2048, threads=threads)
        return self._steps[threads]

    def _run(self, threads: int, tokens: list[int], first: int, outputs: int) -> float:
        from npc.inference.step import Batch

        step, n = self._step(threads), len(tokens)
        batch = Batch(
            np.asarray(tokens, np.int32),
            np.arange(first, first + n, dtype=np.int32),
            np.zeros(n, np.int32),
            np.arange(64, dtype=np.int32)[None],
            np.arange(n - outputs, n, dtype=np.int32),
        )
        start = time.perf_counter()
        self.result = step.forward(batch)
        return time.perf_counter() - start

    def prefill(self, threads: int, tokens: int) -> float:
        given, spent = prompt(tokens, self._config.vocab), 0.0
        for at in range(0, tokens, 256):
            part = given[at : at + 256]
            spent += self._run(threads, part, at, 1 if at + 256 >= tokens else 0)
        return spent

    def decode(self, threads: int, context: int, count: int) -> list[float]:
        self.prefill(threads, context)
        return [self._run(threads, [5], context + i, 1) for i in range(count)]

    def batch(self, threads: int, size: int, count: int) -> list[float]:
        from npc.inference.step import Batch

        step, times = self._step(threads), []
        tables = np.arange(64, dtype=np.int32)[: 8 * size].reshape(size, -1)
        each = np.arange(size, dtype=np.int32)
        for at in range(64 + count):
            batch = Batch(np.full(size, 5, np.int32), np.full(size, at, np.int32), each, tables, each)
            start = time.perf_counter()
            step.forward(batch)
            times.append(time.perf_counter() - start)
        return times[64:]

    def verify(self, threads: int, size: int, count: int) -> list[float]:
        self.prefill(threads, CONTEXT)
        return [self._run(threads, [5] * size, CONTEXT, size) for _ in range(count)]

    def warm(self, threads: int, tokens: int) -> float:
        self.prefill(threads, CONTEXT)
        return self._run(threads, [5] * tokens, CONTEXT, 1)

    def logits(self) -> Any:
        self._run(2, prompt(LOGIT_TOKENS, self._config.vocab), 0, LOGIT_TOKENS)
        return self.result.logits


class Transformers:
    """The reference: bfloat16, eager."""

    def __init__(self, checkpoint: Path, cache: Path, form: str) -> None:
        self._folder, self._format = checkpoint, form

    def load(self) -> dict[str, Any]:
        import torch
        import transformers

        self._torch = torch
        kind = torch.float32 if self._format == "F32" else torch.bfloat16
        self._model: Any = transformers.AutoModelForCausalLM.from_pretrained(self._folder, dtype=kind)
        self._model.train(False)
        size = sum(p.numel() * p.element_size() for p in self._model.parameters())
        features = torch.backends.cpu.get_cpu_capability()
        return {
            "version": f"{transformers.__version__}, torch {torch.__version__}",
            "cpu_features": features,
            "bytes": size,
        }

    def _forward(self, tokens: list[int], cache: Any) -> Any:
        with self._torch.inference_mode():
            ids = self._torch.tensor([tokens])
            return self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)

    def prefill(self, threads: int, tokens: int) -> float:
        self._torch.set_num_threads(threads)
        given = prompt(tokens, self._model.config.vocab_size)
        start = time.perf_counter()
        self._last = self._forward(given, None)
        return time.perf_counter() - start

    def decode(self, threads: int, context: int, count: int) -> list[float]:
        self.prefill(threads, context)
        cache, times = self._last.past_key_values, []
        for _ in range(count):
            start = time.perf_counter()
            self._forward([5], cache)
            times.append(time.perf_counter() - start)
        return times

    def logits(self) -> Any:
        with self._torch.inference_mode():
            ids = self._torch.tensor([prompt(LOGIT_TOKENS, self._model.config.vocab_size)])
            return self._model(ids).logits[0].float().numpy()


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
    file = folder / "model.safetensors"
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
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
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        raw_bits = np.memmap(file, np.uint16, "r", 8 + length + entry["data_offsets"][0], tuple(entry["shape"]))
        value = (raw_bits.astype(np.uint32) << 16).view(np.float32)
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


ENGINES: dict[str, Any] = {"npc": Npc, "transformers": Transformers, "llama.cpp": LlamaCpp}


def _peak_mb() -> float:
    """Peak resident memory of this process; getrusage would give the parent's, which a child inherits at its start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def answer(engine: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Do one request."""
    do = request.pop("do")
    if do == "memory":
        return {"peak_mb": _peak_mb()}
    if not hasattr(engine, do):
        raise Unsupported(f"{do} is not measured for this engine")
    if do == "load":
        return dict(engine.load())
    if do == "logits":
        np.save(request["path"], engine.logits())
        return {}
    return {"seconds": getattr(engine, do)(**request)}


def main() -> None:
    """Serve until stdin ends."""
    name, checkpoint, cache, form = sys.argv[1:5]
    engine = ENGINES[name](Path(checkpoint), Path(cache), form)
    replies, sys.stdout = sys.stdout, sys.stderr  # libraries print; answers have the pipe to themselves
    for line in sys.stdin:
        try:
            reply = answer(engine, json.loads(line))
        except Unsupported as reason:
            reply = {"unsupported": str(reason)}
        except Exception as error:
            reply = {"failed": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
