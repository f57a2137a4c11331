"""`npc voices`: list the voices there are, check their cards, hear one, and find out whether a file is marked."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from npc import tts
from npc.audio.wav import WavError, read_wav, write_wav
from npc.config.authored import AuthoredFileError
from npc.tts.interface import Prosody, SpeechRequest

EPILOG = """\
examples:
  npc voices list
  npc voices try flite-slt                          hear it (or get a WAV where there is no loudspeaker)
  npc voices try flite-rms-gruff "Who goes there?" --out gruff.wav --mood=-0.5,0.8,0.7
  npc voices check voices/ ~/my-voices/             every problem with file, line and field
  npc voices detect answer.wav                      was this made by a voice that marks its audio?

A voice is a card: a YAML file that names an engine, its settings, and the rights (docs/voices.md shows one).
"""


def main(argv: list[str]) -> int:
    """Exit status 0 when all went well, 1 when something is wrong with a card or file, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(
        prog="npc voices", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, action="append", default=[], help="a folder of cards of your own")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|check|try|detect")
    commands.add_parser("list", help="the voices there are")
    check = commands.add_parser("check", help="check cards: fields, licence, consent, and that the engine takes them")
    check.add_argument("paths", nargs="*", type=Path, help="card files or folders (default: all installed)")
    trying = commands.add_parser("try", help="speak a sentence")
    trying.add_argument("voice", help="id of a voice, or the path of a card")
    trying.add_argument("text", nargs="?", help="what to say (default: the card's sample)")
    trying.add_argument("--out", type=Path, help="write a WAV file instead of playing it")
    trying.add_argument("--mood", type=_mood, default=(0.0, 0.0, 0.0), metavar="V,A,D",
                        help="valence, arousal, dominance, each -1 to 1 (write --mood=-0.5,0.8,0.7)")  # fmt: skip
    detect = commands.add_parser("detect", help="look for the mark of generated speech in WAV files")
    detect.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args(argv)
    try:
        if given.command == "list":
            return _list(given.folder)
        if given.command == "check":
            return _check(given.paths, given.folder)
        if given.command == "try":
            return _try(given.voice, given.text, given.out, given.mood, given.folder)
        return _detect(given.files)
    except (AuthoredFileError, tts.VoiceNotFound, tts.EngineUnavailable, WavError, ValueError, OSError) as error:
        print(f"npc voices: {error}", file=sys.stderr)
        return 1


def _mood(text: str) -> tuple[float, float, float]:
    try:
        valence, arousal, dominance = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers like -0.5,0.8,0.7") from None
    return valence, arousal, dominance


def _list(folders: list[Path]) -> int:
    found, errors = tts.list_cards(folders)
    table = Table("voice", "is", "engine", "languages", "commercial use", "marked", box=None, pad_edge=False)
    for installed in found:
        card = installed.card
        table.add_row(
            card.id,
            f"{card.name}: {card.description or card.hints.age + ' ' + card.hints.gender}",
            card.engine,
            " ".join(card.languages),
            card.licence.commercial_use.replace("_", " "),
            "yes" if card.watermark else "no",
        )
    Console().print(table)
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


def _check(paths: list[Path], folders: list[Path]) -> int:
    files = [file for path in paths for file in (sorted(path.glob("*.y*ml")) if path.is_dir() else [path])]
    if paths and not files:
        print(f"npc voices: no card in {', '.join(map(str, paths))}", file=sys.stderr)
        return 1
    bad = 0
    if not paths:
        found, errors = tts.list_cards(folders)
        bad = len(errors)
        for error in errors:
            print(error)
        files = [installed.path for installed in found]
    for file in files:
        try:
            tts.load(str(file)).close()
        except AuthoredFileError as error:
            bad += 1
            print(error)
        except tts.EngineUnavailable as error:
            print(f"{file}: the card is in order, its engine cannot run here: {error}")
        else:
            print(f"{file}: in order")
    return 1 if bad else 0


def _try(name: str, text: str | None, out: Path | None, mood: tuple[float, float, float], folders: list[Path]) -> int:
    installed = tts.find_card(name, folders)
    voice = tts.load(installed)
    prosody: Prosody = tts.prosody_of(*mood)
    began = time.perf_counter()
    first: float | None = None
    pieces = []
    for chunk in voice.synthesize(SpeechRequest(text or installed.card.sample, prosody)):
        first = first if first is not None else time.perf_counter() - began
        pieces.append(chunk.pcm)
    took = time.perf_counter() - began
    if first is None:
        print("npc voices: there is nothing to say in that text", file=sys.stderr)
        return 1
    pcm = np.concatenate(pieces)
    seconds = pcm.size / voice.sample_rate
    player = None if out else next((p for p in ("pw-play", "paplay", "aplay", "afplay") if shutil.which(p)), None)
    path = out or Path(f"{installed.card.id}.wav")
    write_wav(path, pcm, voice.sample_rate)
    print(f"{path}: {seconds:.2f} s; first sound after {first * 1e3:.0f} ms, all after {took * 1e3:.0f} ms")
    if player is not None:
        done = subprocess.run([player, str(path)], capture_output=True, timeout=seconds + 30.0, check=False)
        if done.returncode:
            print("no loudspeaker here: open the file instead")
    voice.close()
    return 0


def _detect(files: list[Path]) -> int:
    from npc.tts.watermark import THRESHOLD, detect

    for file in files:
        verdict = detect(*read_wav(file))
        answer = "generated speech (marked)" if verdict.marked else "no mark found"
        print(
            f"{file}: {answer}; score {verdict.score:.1f} of {THRESHOLD:.0f} needed, {verdict.seconds:.1f} s looked at"
        )
        if not verdict.marked and verdict.seconds < 6.0:
            print("  short files may hide a mark: 6 s of speech or more are sure (docs/voices.md)")
    return 0
