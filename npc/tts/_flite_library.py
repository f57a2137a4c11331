"""The part of Flite 2.2's C interface that `npc.tts.flite` uses, through ctypes.

Struct layouts follow the public headers `cst_wave.h`, `cst_track.h`, `cst_audio.h`, `cst_voice.h` and `cst_cg.h` (the
last says "please do not change this structure"). Two traps of the C side are dealt with here: feature names are kept by
pointer, not copied, so they are module constants; and only one thread may be inside Flite at a time (`Library.lock`),
because reference counts are not atomic and the vocoder's noise comes from the C library's one `rand()`.
"""

from __future__ import annotations

import ctypes as c
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from npc.tts import fetch_flite

Pointer = c.c_void_p


class Wave(c.Structure):
    _fields_ = (
        ("type", c.c_char_p),
        ("sample_rate", c.c_int),
        ("num_samples", c.c_int),
        ("num_channels", c.c_int),
        ("samples", c.POINTER(c.c_short)),
    )


class Track(c.Structure):
    _fields_ = (
        ("type", c.c_char_p),
        ("num_frames", c.c_int),
        ("num_channels", c.c_int),
        ("times", c.POINTER(c.c_float)),
        ("frames", c.POINTER(c.POINTER(c.c_float))),
    )


class Voice(c.Structure):
    _fields_ = (("name", c.c_char_p), ("features", Pointer))


class ClusterGen(c.Structure):
    """`cst_cg_db` up to the last field we read."""

    _fields_ = (
        ("name", Pointer),
        ("types", Pointer),
        ("num_types", c.c_int),
        ("sample_rate", c.c_int),
        ("f0_mean", c.c_float),
        ("f0_stddev", c.c_float),
        ("num_f0_models", c.c_int),
        ("f0_trees", Pointer),
        ("num_param_models", c.c_int),
        ("param_trees", Pointer),
        ("spamf0_accent_tree", Pointer),
        ("spamf0_phrase_tree", Pointer),
        ("num_channels", Pointer),
        ("num_frames", Pointer),
        ("model_vectors", Pointer),
        ("num_channels_spamf0_accent", c.c_int),
        ("num_frames_spamf0_accent", c.c_int),
        ("spamf0_accent_vectors", Pointer),
        ("model_min", Pointer),
        ("model_range", Pointer),
        ("qtable", Pointer),
        ("model_shape", c.c_int),
        ("frame_advance", c.c_float),
        ("num_dur_models", c.c_int),
        ("dur_stats", Pointer),
        ("dur_cart", Pointer),
        ("phone_states", Pointer),
        ("do_mlpg", c.c_int),
        ("dynwin", Pointer),
        ("dynwinsize", c.c_int),
        ("mlsa_alpha", c.c_float),
        ("mlsa_beta", c.c_float),
        ("multimodel", c.c_int),
        ("mixed_excitation", c.c_int),
        ("ME_num", c.c_int),
        ("ME_order", c.c_int),
        ("me_h", Pointer),
        ("spamf0", c.c_int),
        ("gain", c.c_float),
        ("phoneset", Pointer),
        ("char_sym_map", Pointer),
        ("sym_phone_map", Pointer),
        ("freeable", c.c_int),
    )


#: int callback(wave, start, size, last, streaming_info): GO_ON or STOP
ChunkCallback = c.CFUNCTYPE(c.c_int, c.POINTER(Wave), c.c_int, c.c_int, c.c_int, Pointer)
GO_ON: Final = 0
STOP: Final = -1


class StreamingInfo(c.Structure):
    _fields_ = (
        ("min_buffsize", c.c_int),
        ("asc", ChunkCallback),
        ("utt", Pointer),
        ("item", Pointer),
        ("userdata", Pointer),
    )


#: Feature names, alive as long as the process (the C side keeps the pointers).
TOKEN, SEGMENT, SYLLABLES = c.c_char_p(b"Token"), c.c_char_p(b"Segment"), c.c_char_p(b"SylStructure")
NAME, WHITESPACE, BEFORE, AFTER = (c.c_char_p(n) for n in (b"name", b"whitespace", b"prepunctuation", b"punc"))
PHONES, END, STRESS = c.c_char_p(b"phones"), c.c_char_p(b"end"), c.c_char_p(b"stress")
STRETCH, STREAMING = c.c_char_p(b"duration_stretch"), c.c_char_p(b"streaming_info")
CG_DB, PARAMETERS, STRENGTHS = (c.c_char_p(n) for n in (b"cg_db", b"param_track", b"str_track"))

_SIGNATURES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "flite_init": (c.c_int, ()),
    "new_utterance": (Pointer, ()),
    "delete_utterance": (None, (Pointer,)),
    "utt_init": (Pointer, (Pointer, Pointer)),
    "utt_synth_tokens": (Pointer, (Pointer,)),
    "utt_relation": (Pointer, (Pointer, c.c_char_p)),
    "utt_relation_create": (Pointer, (Pointer, c.c_char_p)),
    "relation_append": (Pointer, (Pointer, Pointer)),
    "relation_head": (Pointer, (Pointer,)),
    "item_next": (Pointer, (Pointer,)),
    "item_parent": (Pointer, (Pointer,)),
    "item_as": (Pointer, (Pointer, c.c_char_p)),
    "item_feat_present": (c.c_int, (Pointer, c.c_char_p)),
    "item_feat_string": (c.c_char_p, (Pointer, c.c_char_p)),
    "item_feat_float": (c.c_float, (Pointer, c.c_char_p)),
    "item_set_string": (None, (Pointer, c.c_char_p, c.c_char_p)),
    "feat_val": (Pointer, (Pointer, c.c_char_p)),
    "feat_set": (None, (Pointer, c.c_char_p, Pointer)),
    "feat_set_float": (None, (Pointer, c.c_char_p, c.c_float)),
    "val_cg_db": (c.POINTER(ClusterGen), (Pointer,)),
    "val_track": (c.POINTER(Track), (Pointer,)),
    "new_audio_streaming_info": (c.POINTER(StreamingInfo), ()),
    "delete_audio_streaming_info": (None, (c.POINTER(StreamingInfo),)),
    "audio_streaming_info_val": (Pointer, (c.POINTER(StreamingInfo),)),
    "mlpg": (c.POINTER(Track), (c.POINTER(Track), c.POINTER(ClusterGen))),
    "mlsa_resynthesis": (
        c.POINTER(Wave),
        (c.POINTER(Track), c.POINTER(Track), c.POINTER(ClusterGen), c.POINTER(StreamingInfo), c.c_int),
    ),
    "delete_track": (None, (c.POINTER(Track),)),
    "delete_wave": (None, (c.POINTER(Wave),)),
}


class Library:
    """Flite loaded from one folder: its functions as attributes, its voices by name, and the lock all calls share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        alsa = fetch_flite.alsa()
        try:
            if alsa is not None:
                c.CDLL(str(alsa), mode=c.RTLD_GLOBAL)
            self._engine = c.CDLL(str(folder / fetch_flite.ENGINE), mode=c.RTLD_GLOBAL)
            for part in ("usenglish", "cmulex"):
                c.CDLL(str(folder / f"libflite_{part}.so.1"), mode=c.RTLD_GLOBAL)
        except OSError as error:
            raise fetch_flite.FliteMissing(
                f"cannot load Flite from {folder}: {error}; try `npc doctor --fix`, or {fetch_flite.instructions()}"
            ) from error
        self._functions: dict[str, Callable[..., Any]] = {}
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._engine, name)
            function.restype, function.argtypes = result, arguments
            self._functions[name] = function
        process = c.CDLL(None)
        self.srand: Callable[[int], Any] = process.srand
        self._voices: dict[str, Any] = {}
        self("flite_init")

    def __call__(self, name: str, *arguments: Any) -> Any:
        return self._functions[name](*arguments)

    def voice(self, name: str) -> Any:
        """Pointer to the registered voice `cmu_us_<name>`. Raises ValueError naming the file that is missing."""
        with self.lock:
            if name not in self._voices:
                path = self.folder / f"libflite_cmu_us_{name}.so.1"
                if not path.exists():
                    raise ValueError(f"Flite voice {name!r}: no {path}")
                register = getattr(c.CDLL(str(path)), f"register_cmu_us_{name}")
                register.restype, register.argtypes = Pointer, (Pointer,)
                self._voices[name] = register(None)
            return self._voices[name]


@cache
def _load(folder: Path) -> Library:
    return Library(folder)


def library() -> Library:
    """Flite as found by `fetch_flite.locate`, loaded once a process. Raises FliteMissing with the line to type."""
    folder = fetch_flite.locate()
    if folder is None:
        raise fetch_flite.FliteMissing(
            f"no voice library: run `npc doctor --fix` (fetches libflite1, no root), or {fetch_flite.instructions()}"
        )
    return _load(folder)
