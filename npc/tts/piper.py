"""Piper voices from a local file, `voice.onnx` beside `voice.onnx.json`, run by onnxruntime alone.

    text ─▶ eSpeak phonemes (or letters) ─▶ ids with pads ─▶ VITS graph ─▶ audio [+ frames of every id] ─▶ aligned

A graph with a second output (frames per id, as newer exports have it) gives exact phone times; one without gives
estimated word times and no phones. VITS makes a clause at once: the first piece leaves when the clause is done.
Phonemes come from the eSpeak library, as in training, so these voices want the `espeak` extra.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from npc.tts.aligned import Unit, finish, pitch_ratio
from npc.tts.cards import InstalledVoice
from npc.tts.chunks import chunked
from npc.tts.finish import check_length
from npc.tts.interface import SpeechChunk, SpeechRequest, Synthesizer
from npc.tts.tokens import runs

_BOS, _EOS, _PAD = "^", "$", "_"
_HOP: Final = 256
_MARKS: Final = ",.;:!?"


@dataclass(frozen=True, slots=True)
class PiperSettings:
    """`model` is the .onnx file, relative to the card's folder. `speaker` is a name or number of a model with several.
    The noise scales are the model's own where not given; `threads` are onnxruntime's."""

    model: str
    speaker: str | int | None = None
    rate: float = 1.0
    pitch_semitones: float = 0.0
    noise_scale: float | None = None
    noise_w: float | None = None
    level_db: float = 0.0
    threads: int = 1

    def __post_init__(self) -> None:
        for name, low, high in (("rate", 0.5, 2.0), ("pitch_semitones", -6.0, 6.0), ("level_db", -20.0, 6.0)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"Piper setting {name} must lie in [{low}, {high}], got {getattr(self, name)}")


def from_card(voice: InstalledVoice) -> Synthesizer:
    """The voice a card describes. Raises ValueError naming the file that is missing or wrong."""
    settings = voice.settings_as(PiperSettings)
    path = voice.path.parent / Path(settings.model).expanduser()
    return PiperVoice(path, settings, voice.card.id, voice.card.languages)


class PiperVoice:
    """A `Synthesizer`. Calls from several threads run side by side (onnxruntime sessions are re-entrant)."""

    def __init__(
        self, model: Path, settings: PiperSettings, name: str = "", languages: Sequence[str] = ("en",)
    ) -> None:
        self.settings = settings
        self.name = name or model.stem
        self.languages: Sequence[str] = tuple(languages)
        self._config = _read_config(model)
        self.sample_rate = int(self._config["audio"]["sample_rate"])
        self._ids: Mapping[str, list[int]] = self._config["phoneme_id_map"]
        self._speaker = _speaker(self._config, settings.speaker, model)
        session = _open(model, settings.threads)
        self._outputs = len(session.get_outputs())
        self._inputs = {item.name for item in session.get_inputs()}
        self._session: Any | None = session

    def synthesize(self, request: SpeechRequest) -> Iterator[SpeechChunk]:
        """Yield the clause in pieces of 20 ms once it is made."""
        session = self._session
        if session is None:
            raise RuntimeError(f"voice {self.name} is closed")
        check_length(request.text)
        words = runs(request.text)
        if not words:
            return
        units, ids = self._encode(request, words)
        rate = self.settings.rate * request.prosody.rate
        semitones = self.settings.pitch_semitones + request.prosody.pitch_semitones
        slower = pitch_ratio(semitones)
        audio, frames = self._run(session, ids, slower[0] / slower[1] / rate)
        timed = frames is not None
        if frames is not None:
            units = _with_samples(units, frames)
        clause = finish(
            audio, [unit for unit, _ in units], words, timed=timed, text=request.text, rate=rate,
            sample_rate=self.sample_rate, semitones=semitones, prosody=request.prosody, level_db=self.settings.level_db,
        )  # fmt: skip
        yield from chunked(clause.pcm, clause.phones, clause.words, self.sample_rate // 50)

    def close(self) -> None:
        """Give the model's memory back when the last running clause is done."""
        self._session = None

    def _encode(self, request: SpeechRequest, words: list[tuple[int, int]]) -> tuple[list[tuple[Unit, int]], list[int]]:
        """(units, each with the number of ids it was given; the ids), in the order BOS, sounds with pads, EOS."""
        pad = self._ids[_PAD]
        units: list[tuple[Unit, int]] = [(Unit("", None), len(self._ids[_BOS]) + len(pad))]
        ids = [*self._ids[_BOS], *pad]

        def add(symbol: str, word: int | None) -> None:
            added = 0
            for letter in unicodedata.normalize("NFD", symbol):
                if letter in self._ids:
                    piece = [*self._ids[letter], *pad]
                    ids.extend(piece)
                    added += len(piece)
            if added:
                units.append((Unit(symbol, word), added))

        sounds = self._sounds(request, words)
        for index, (start, end) in enumerate(words):
            for symbol in sounds[index]:
                add(symbol, index)
            tail = request.text[start:end]
            for mark in tail[len(tail.rstrip(_MARKS + "\"'”’)")) :]:
                if mark in _MARKS:
                    add(mark, None)
            if index + 1 < len(words):
                add(" ", None)
        ids.extend(self._ids[_EOS])
        units.append((Unit("", None), len(self._ids[_EOS])))
        return units, ids

    def _sounds(self, request: SpeechRequest, words: list[tuple[int, int]]) -> list[list[str]]:
        """The phones (or letters) of every word."""
        if self._config.get("phoneme_type", "espeak") == "text":
            return [list(request.text[start:end].lower().strip(_MARKS)) for start, end in words]
        from npc.tts.espeak import pronounce

        return pronounce(request, words, self._config["espeak"]["voice"])

    def _run(
        self, session: Any, ids: list[int], length: float
    ) -> tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.int64]] | None]:
        """(audio [N], frames of every id or None)."""
        inference = self._config.get("inference", {})
        noise = self.settings.noise_scale
        noise = float(inference.get("noise_scale", 0.667)) if noise is None else noise
        noise_w = self.settings.noise_w
        noise_w = float(inference.get("noise_w", 0.8)) if noise_w is None else noise_w
        scales = [noise, float(inference.get("length_scale", 1.0)) * length, noise_w]
        feed: dict[str, Any] = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            "scales": np.array(scales, dtype=np.float32),
        }
        if "sid" in self._inputs:
            feed["sid"] = np.array([self._speaker or 0], dtype=np.int64)
        results = session.run(None, feed)
        audio = np.asarray(results[0], dtype=np.float32).reshape(-1)
        if self._outputs < 2:
            return audio, None
        frames = np.rint(np.asarray(results[1]).reshape(-1)).astype(np.int64)
        if frames.size != len(ids):
            return audio, None
        return audio, frames * int(self._config.get("hop_length", _HOP))


def _with_samples(units: list[tuple[Unit, int]], frames: np.ndarray[Any, np.dtype[np.int64]]) -> list[tuple[Unit, int]]:
    at, made = 0, []
    for unit, count in units:
        made.append((Unit(unit.symbol, unit.word, int(frames[at : at + count].sum())), count))
        at += count
    return made


def _read_config(model: Path) -> dict[str, Any]:
    path = model.with_name(model.name + ".json")
    for needed in (model, path):
        if not needed.is_file():
            raise ValueError(f"Piper model: no {needed} (a voice is two files: voice.onnx and voice.onnx.json)")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        known = config["phoneme_id_map"]
        int(config["audio"]["sample_rate"])
        if config.get("phoneme_type", "espeak") != "text":
            str(config["espeak"]["voice"])
        if not all(isinstance(ids, list) for ids in known.values()):
            raise ValueError("phoneme_id_map must give a list of ids for each symbol")
        missing = [symbol for symbol in (_BOS, _EOS, _PAD) if symbol not in known]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a Piper voice description: {error!r}") from error
    if missing:
        raise ValueError(f"{path}: phoneme_id_map lacks {' '.join(missing)}")
    checked: dict[str, Any] = config
    return checked


def _speaker(config: Mapping[str, Any], wanted: str | int | None, model: Path) -> int | None:
    count, names = int(config.get("num_speakers", 1)), config.get("speaker_id_map") or {}
    if wanted is None:
        return None
    number = names.get(wanted) if isinstance(wanted, str) else wanted
    if number is None or not 0 <= number < count:
        raise ValueError(f"{model.name} has no speaker {wanted!r}: {', '.join(names) or f'0 to {count - 1}'}")
    return int(number)


def _open(model: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"{model}: onnxruntime cannot read it: {error}") from error
