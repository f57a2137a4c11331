"""The CPU kernels through ctypes: the structs of kernels/cpu/api.h and typed wrappers around its calls.

`load()` gives the library, or None after one logged line when it cannot be had; everything then runs on
`npc.inference.reference`, slower and with the same results.
"""

from __future__ import annotations

import ctypes as c
import functools
import logging
import os
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from npc.inference.build import BuildError, library

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
PAGE: Final = 32
"""Tokens of a cache page."""
GROUP: Final = 32
TILE: Final = 16
#: columns of a line of INT4 factors, and of an INT8 block
CHUNK: Final = 128
MAX_RANK: Final = 192
#: what npc_forward returns of a step that was given up
GIVEN_UP: Final = 1
ADAPTED: Final = ("qkv", "o", "gate", "up", "down")


class Format(IntEnum):
    """Weight formats; see kernels/cpu/formats.h for layouts and bits a weight."""

    F32 = 0
    BF16 = 1
    INT8 = 2
    INT4 = 3
    TERNARY = 4


class CacheFormat(IntEnum):
    """Formats of the key-value cache. BF16 is read by the tile unit where there is one; INT8 keeps one scale per token
    and head; F32 is for parity."""

    F32 = 0
    BF16 = 1
    INT8 = 2


class Level(IntEnum):
    """Instruction levels, each with all below it."""

    PLAIN = 0
    AVX2 = 1
    AVX512 = 2
    AMX = 3


class CMatrix(c.Structure):
    """NpcMatrix."""

    _fields_ = [
        ("format", c.c_int32),
        ("rows", c.c_int32),
        ("cols", c.c_int32),
        ("data", c.c_void_p),
        ("bias", c.c_void_p),
    ]


class CLowRank(c.Structure):
    """NpcLowRank."""

    _fields_ = [("a", c.c_void_p), ("b", c.c_void_p)]


class CAdapter(c.Structure):
    """NpcAdapter."""

    _fields_ = [("rank", c.c_int32), ("parts", c.POINTER(CLowRank))]


class CLayer(c.Structure):
    """NpcLayer."""

    _fields_ = [
        ("attention_norm", c.c_void_p),
        ("mlp_norm", c.c_void_p),
        ("q_norm", c.c_void_p),
        ("k_norm", c.c_void_p),
        ("qkv", CMatrix),
        ("o", CMatrix),
        ("gate", CMatrix),
        ("up", CMatrix),
        ("down", CMatrix),
        ("window", c.c_int32),
    ]


class CScan(c.Structure):
    """NpcScan."""

    _fields_ = [
        *((name, c.c_int32) for name in ("tokens", "heads", "head_dim", "width", "groups")),
        *((name, c.c_void_p) for name in ("x", "dt", "decay", "b", "c", "skip", "state", "y")),
    ]


class CModel(c.Structure):
    """NpcModel."""

    _fields_ = [
        *((name, c.c_int32) for name in ("hidden", "inter", "layers", "heads", "kv_heads", "head_dim", "head_pad")),
        ("vocab", c.c_int32),
        ("positions", c.c_int32),
        ("cache", c.c_int32),
        ("eps", c.c_float),
        ("attention_scale", c.c_float),
        ("rope", c.c_void_p),
        ("layer", c.POINTER(CLayer)),
        ("embedding", CMatrix),
        ("head", CMatrix),
        ("final_norm", c.c_void_p),
    ]


class CBatch(c.Structure):
    """NpcBatch."""

    _fields_ = [
        ("rows", c.c_int32),
        ("token", c.c_void_p),
        ("position", c.c_void_p),
        ("sequence", c.c_void_p),
        ("sequences", c.c_int32),
        ("table_width", c.c_int32),
        ("tables", c.c_void_p),
        ("outputs", c.c_int32),
        ("output_rows", c.c_void_p),
        ("logits", c.c_void_p),
        ("steer", c.c_void_p),
        ("steer_scale", c.c_void_p),
        ("adapter", c.c_void_p),
        ("taps", c.c_void_p),
        ("last", c.c_void_p),
        ("pool", c.c_void_p),
        ("pages", c.c_int32),
        ("yields", c.c_int32),
    ]


def pad(n: int, to: int) -> int:
    """`n` rounded up to a multiple of `to`."""
    return (n + to - 1) // to * to


def block_of(format: Format, cols: int) -> int:
    """Columns that share a weight scale and an activation scale in a row of `cols`; see kernels/cpu/formats.h."""
    cols = pad(cols, GROUP)
    if format in (Format.INT4, Format.TERNARY):
        return cols if cols <= 1024 else 512
    return CHUNK


def aligned(count: int) -> NDArray[np.uint8]:
    """`count` zero bytes, 64-byte aligned."""
    raw = np.zeros(count + 64, np.uint8)
    return raw[-raw.ctypes.data % 64 :][:count]


@functools.cache
def load() -> Any | None:
    """The kernel library, built on first use; None (with one warning in the log) where it cannot be built or is
    switched off by NPC_KERNELS=0."""
    if os.environ.get("NPC_KERNELS") == "0":
        log.warning("CPU kernels are switched off (NPC_KERNELS=0): running on NumPy, about a hundred times slower")
        return None
    try:
        lib = c.CDLL(str(library()))
    except (BuildError, FileNotFoundError, OSError) as error:
        log.warning("CPU kernels are missing: running on NumPy, about a hundred times slower. %s", error)
        return None
    lib.npc_page_bytes.restype = lib.npc_matrix_bytes.restype = c.c_int64
    lib.npc_create.restype = c.c_void_p
    lib.npc_create.argtypes = [c.POINTER(CModel), c.c_int32, c.c_int32, c.c_int32]
    lib.npc_destroy.argtypes = [c.c_void_p]
    lib.npc_forward.argtypes = [c.c_void_p, c.POINTER(CBatch)]
    lib.npc_yield.argtypes = [c.c_void_p, c.c_int32]
    lib.npc_yield.restype = None
    lib.npc_error.restype = c.c_char_p
    lib.npc_encoder_create.restype = c.c_void_p
    lib.npc_encoder_create.argtypes = [c.c_void_p, c.c_int32]
    lib.npc_encoder_destroy.argtypes = [c.c_void_p]
    lib.npc_encode.argtypes = [c.c_void_p, c.c_int32, c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p]
    lib.npc_pack.argtypes = [c.c_int32, c.c_int32, c.c_int32, c.c_void_p, c.c_void_p, c.c_void_p]
    lib.npc_unpack.argtypes = [c.POINTER(CMatrix), c.c_int32, c.c_void_p]
    lib.npc_unpack.restype = None
    lib.npc_linear.argtypes = [c.POINTER(CMatrix), c.c_void_p, c.c_int32, c.c_void_p, c.c_int32]
    lib.npc_scan.argtypes = [c.POINTER(CScan), c.c_int32]
    lib.npc_read_bandwidth.argtypes = [c.c_void_p, c.c_int64, c.c_int32, c.c_int32]
    lib.npc_read_bandwidth.restype = c.c_double
    return lib


def best_level() -> Level | None:
    """The best instruction level of this machine, lowered by NPC_LEVEL=plain|avx2|avx512|amx; None without kernels.
    Raises ValueError for another name."""
    lib = load()
    if lib is None:
        return None
    best = Level(lib.npc_level())
    wanted = os.environ.get("NPC_LEVEL", "").upper()
    if wanted and wanted not in Level.__members__:
        raise ValueError(f"NPC_LEVEL must be {', '.join(Level.__members__).lower()}, not {wanted.lower()!r}")
    return min(best, Level[wanted]) if wanted else best


@dataclass(frozen=True, slots=True)
class Matrix:
    """A packed weight matrix of `rows` x `cols` (true sizes), `packed` to tiles of 16 rows and groups of 32 columns."""

    format: Format
    rows: int
    cols: int
    packed: NDArray[np.uint8]
    bias: Floats | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Padded rows and columns."""
        return pad(self.rows, TILE), pad(self.cols, GROUP)

    def struct(self) -> CMatrix:
        """For C. The caller keeps this object alive."""
        rows, cols = self.shape
        bias = None if self.bias is None else self.bias.ctypes.data
        return CMatrix(int(self.format), rows, cols, self.packed.ctypes.data, bias)


def matrix_bytes(format: Format, rows: int, cols: int) -> int:
    """Bytes of a packed matrix of true size `rows` x `cols`."""
    rows, cols = pad(rows, TILE), pad(cols, GROUP)

    def block(width: int) -> int:
        match format:
            case Format.INT8:
                return 64 + TILE * width
            case Format.INT4:
                return 64 + 64 * -(-width // CHUNK) + TILE * width // 2
            case Format.TERNARY:
                return 64 + TILE * width // 4
            case Format.BF16:
                return TILE * width * 2
            case Format.F32:
                return TILE * width * 4

    each = block_of(format, cols)
    tail = cols % each
    return rows // TILE * (cols // each * block(each) + (block(tail) if tail else 0))


def linear(matrix: Matrix, x: Floats, level: Level) -> Floats:
    """`x @ W.T` (M x rows) by the kernels of one level. For tests and measurements."""
    lib = load()
    assert lib is not None
    rows, cols = matrix.shape
    wide = np.zeros((len(x), cols), np.float32)
    wide[:, : matrix.cols] = x
    out = np.zeros((len(x), rows), np.float32)
    status = lib.npc_linear(c.byref(matrix.struct()), wide.ctypes.data, len(x), out.ctypes.data, int(level))
    if status:
        raise ValueError(f"level {level.name} is not available here")
    return out[:, : matrix.rows]


def read_bandwidth(threads: int, megabytes: int = 512, repeats: int = 3) -> float:
    """Sequential read bandwidth in GB/s with `threads` threads: the roofline of decoding, best of `repeats`."""
    lib = load()
    assert lib is not None
    data = np.ones(megabytes * 2**20, np.uint8)
    return float(lib.npc_read_bandwidth(data.ctypes.data, data.nbytes, threads, repeats))
