"""Record the shipped reference attempts anew: `python scripts/reference_runs.py [SCENARIO/QUALITY …]`, else all nine.

Each is a scripted trainee of the scenario, spoken by our voices and heard by the embedded recogniser, in virtual time
(about 20 s of processor time). The log replays bit for bit only under the turn rules it was made with: after a change
of those, tests/simulation/test_references.py fails and this makes the logs again. Needs `soundfile` (extra dev).
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import soundfile

from npc.audio.wav import read_wav
from npc.cli.scenario_play import _voice
from npc.cli.scenario_studio import in_studio
from npc.simulation.attempt import Audio, list_attempts, load, log_files, save
from npc.simulation.driver import TraineeClient
from npc.simulation.package import find_scenario
from npc.simulation.trainees import find

SCENARIOS = ("angry-customer", "clinical-intake", "safety-stop")
QUALITIES = ("strong", "middling", "poor")


def record(scenario: str, quality: str) -> str:
    """Make one run and put it in its place; what came of it, in a line."""
    package = find_scenario(scenario)
    trainee = find(package, quality)
    voice = _voice(trainee.voice)
    target = package.folder / "runs" / quality
    before = load(target).score if (target / "attempt.json").is_file() else None
    with tempfile.TemporaryDirectory() as state:
        in_studio(
            package,
            lambda client: TraineeClient(client, package, voice).run(trainee.steps, None, True, quality),
            Path(state),
        )
        ((place, attempt),) = list_attempts(Path(state) / "attempts")
        target.mkdir(parents=True, exist_ok=True)
        (log,) = log_files(place)
        with log.open("rb") as plain, gzip.GzipFile(target / "log.jsonl.gz", "wb", mtime=0) as packed:
            shutil.copyfileobj(plain, packed)
        for side in ("trainee", "character"):
            pcm, rate = read_wav(place / f"{side}.wav")
            soundfile.write(target / f"{side}.ogg", pcm, rate, format="OGG", subtype="VORBIS")
        kept = replace(attempt, id=f"reference_{scenario}_{quality}", audio=Audio("trainee.ogg", "character.ogg"))
        save(kept, target)
    return f"{scenario}/{quality}: {before} -> {attempt.score} ({attempt.outcome})"


def main() -> int:
    every = [f"{scenario}/{quality}" for scenario in SCENARIOS for quality in QUALITIES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="*", metavar="SCENARIO/QUALITY", help=f"default: {' '.join(every)}")
    given = parser.parse_args().run
    if unknown := sorted(set(given) - set(every)):
        parser.error(f"no run {unknown[0]!r}; there are {', '.join(every)}")
    for run in given or every:
        scenario, quality = run.split("/")
        print(record(scenario, quality), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
