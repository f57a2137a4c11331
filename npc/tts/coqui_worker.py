"""The Coqui side of `npc.tts.worker`: run as a script by the Python of Coqui's own environment.

It imports nothing of this project, because that environment has none of it. stdout carries messages only: what the
packages print goes to stderr.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LENGTH = struct.Struct("<I")
#: (header, payload) of one audio message
Audio = tuple[dict[str, Any], bytes]


def main() -> int:
    """Serve requests until stdin ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    speak: Callable[[dict[str, Any]], Iterator[Audio]] | None = None
    inbox = Inbox()
    while (request := inbox.next()) is not None:
        number = request.get("id")
        try:
            if request["op"] == "load":
                speak, greeting = load(request)
                send(out, {"op": "ready", **greeting})
            elif request["op"] == "speak" and speak is not None:
                for header, payload in speak(request):
                    send(out, {"op": "audio", "id": number, **header}, payload)
                    if inbox.stopped(number):
                        break
                send(out, {"op": "done", "id": number})
            elif request["op"] == "stop":
                # What it wanted to stop was done already, and has been answered.
                continue
        except Exception as error:
            send(out, {"op": "error", "id": number, "message": f"{type(error).__name__}: {error}"})
    return 0


class Inbox:
    """Requests from stdin; `stopped` looks, without waiting, whether the running one is to end."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []

    def next(self) -> dict[str, Any] | None:
        if self._waiting:
            return self._waiting.pop(0)
        return self._read()

    def stopped(self, number: Any) -> bool:
        import select

        while select.select([0], [], [], 0.0)[0]:
            request = self._read()
            if request is None:
                return True
            if request.get("op") == "stop" and request.get("id") == number:
                return True
            self._waiting.append(request)
        return False

    def _read(self) -> dict[str, Any] | None:
        head = self._exactly(LENGTH.size)
        if head is None:
            return None
        body = self._exactly(LENGTH.unpack(head)[0])
        return None if body is None else json.loads(body)

    @staticmethod
    def _exactly(size: int) -> bytes | None:
        # os.read and not sys.stdin.buffer: a buffered byte would be invisible to select.
        parts = b""
        while len(parts) < size:
            part = os.read(0, size - len(parts))
            if not part:
                return None
            parts += part
        return parts


def send(out: Any, header: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message."""
    if payload:
        header = {**header, "bytes": len(payload)}
    body = json.dumps(header).encode()
    out.write(LENGTH.pack(len(body)) + body + payload)
    out.flush()


def load(request: dict[str, Any]) -> tuple[Callable[[dict[str, Any]], Iterator[Audio]], dict[str, Any]]:
    """(function that speaks, greeting) for a local model folder: config.json with a VITS or XTTS checkpoint."""
    import torch

    torch.set_num_threads(int(request.get("threads", 1)))
    folder = Path(request["model"])
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model")
    if kind == "vits":
        return load_vits(request, folder)
    if kind == "xtts":
        return load_xtts(request, folder)
    raise ValueError(f"{folder / 'config.json'} describes a {kind!r} model: only vits and xtts are spoken")


def load_vits(
    request: dict[str, Any], folder: Path
) -> tuple[Callable[[dict[str, Any]], Iterator[Audio]], dict[str, Any]]:
    """A VITS model. Text comes as units already (phones or letters): the model's own phonemizer is never needed."""
    import torch
    from TTS.tts.configs.vits_config import VitsConfig
    from TTS.tts.models.vits import Vits

    config = VitsConfig()
    config.load_json(str(folder / "config.json"))
    phonemes = bool(config.use_phonemes)
    if phonemes:
        # Its vocabulary must stay that of phonemes though we phonemize ourselves.
        config.use_phonemes = False
        if config.characters is not None and not config.characters.characters_class:
            config.characters.characters_class = "TTS.tts.utils.text.characters.IPAPhonemes"
    model = Vits.init_from_config(config)
    checkpoints = sorted(folder.glob("*.pth"))
    if not checkpoints:
        raise FileNotFoundError(f"no .pth checkpoint in {folder}")
    model.load_checkpoint(config, str(checkpoints[0]), eval=True)
    tokenizer = model.tokenizer
    speakers = dict(getattr(model.speaker_manager, "name_to_id", None) or {})
    speaker = pick(request.get("speaker"), speakers)
    plain_scale = float(model.length_scale)

    def speak(wish: dict[str, Any]) -> Iterator[Audio]:
        ids: list[int] = []
        counts: list[int] = []
        for symbol in wish["units"]:
            known = [tokenizer.characters.char_to_id(c) for c in symbol if c in tokenizer.characters.vocab]
            counts.append(len(known))
            ids += known
        if not ids:
            return
        if tokenizer.add_blank:
            ids = tokenizer.intersperse_blank_char(ids)
            counts = [2 * count for count in counts]
            counts[0] += 1
        if tokenizer.use_eos_bos:
            ids = tokenizer.pad_with_bos_eos(ids)
            counts[0] += 1
            counts[-1] += 1
        torch.manual_seed(0)
        model.length_scale = plain_scale * float(wish["length"])
        aux: dict[str, Any] = {"x_lengths": torch.LongTensor([len(ids)])}
        if speaker is not None:
            aux["speaker_ids"] = torch.LongTensor([speaker])
        with torch.inference_mode():
            made = model.inference(torch.LongTensor([ids]), aux_input=aux)
        audio = made["model_outputs"].reshape(-1).float().cpu().numpy()
        frames = made["durations"].reshape(-1).cpu().numpy()
        # One frame is the decoder's whole upsampling, also where encoder and decoder run at different rates.
        hop = audio.size / max(1.0, float(frames.sum()))
        samples, at = [], 0
        for count in counts:
            samples.append(round(float(frames[at : at + count].sum()) * hop))
            at += count
        yield {"samples": samples}, audio.astype("<f4").tobytes()

    rate = int(config.audio["sample_rate"])
    return speak, {"kind": "vits", "sample_rate": rate, "phonemes": phonemes, "speakers": sorted(speakers)}


def load_xtts(
    request: dict[str, Any], folder: Path
) -> tuple[Callable[[dict[str, Any]], Iterator[Audio]], dict[str, Any]]:
    """An XTTS model: streams; its voice is a reference recording or one of its own speakers."""
    import torch
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import Xtts

    config = XttsConfig()
    config.load_json(str(folder / "config.json"))
    model = Xtts.init_from_config(config)
    model.load_checkpoint(config, checkpoint_dir=str(folder), eval=True)
    reference = request.get("reference")
    if reference:
        latent, embedding = model.get_conditioning_latents(audio_path=[reference])
    else:
        names = dict(getattr(model.speaker_manager, "speakers", None) or {})
        name = request.get("speaker") or next(iter(names), None)
        if name not in names:
            raise ValueError(f"no speaker {name!r} and no reference recording: speakers are {', '.join(sorted(names))}")
        latent, embedding = names[name]["gpt_cond_latent"], names[name]["speaker_embedding"]

    def speak(wish: dict[str, Any]) -> Iterator[Audio]:
        torch.manual_seed(0)
        with torch.inference_mode():
            for piece in model.inference_stream(
                wish["text"], wish["language"], latent, embedding, speed=1.0 / float(wish["length"])
            ):
                yield {}, piece.reshape(-1).float().cpu().numpy().astype("<f4").tobytes()

    rate = int(getattr(config.model_args, "output_sample_rate", 24_000))
    return speak, {"kind": "xtts", "sample_rate": rate, "phonemes": False, "languages": list(config.languages)}


def pick(wanted: Any, speakers: dict[str, int]) -> int | None:
    """Number of the wanted speaker; the first one of a model with several, None for a model with one."""
    if not speakers:
        return None
    if wanted is None:
        return min(speakers.values())
    if wanted in speakers:
        return speakers[wanted]
    raise ValueError(f"no speaker {wanted!r}: there are {', '.join(sorted(speakers))}")


if __name__ == "__main__":
    sys.exit(main())
