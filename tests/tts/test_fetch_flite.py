"""Flite is found or fetched without root and without hands; where it cannot be, the line to type is printed.

apt-get and dpkg-deb are scripts here: tests never touch the network.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from npc.tts import fetch_flite
from npc.tts.fetch_flite import ENGINE, FliteMissing, fetch, instructions, locate

APT = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *update*) touch {work}/updated; exit 0;;
  *download*libflite1*) [ "{needs_update}" = yes ] && [ ! -e {work}/updated ] && {{ echo "E: no lists" >&2; exit 100; }}
     touch libflite1_2.2-5_amd64.deb; exit 0;;
  *download*libasound2t64*) echo "E: Unable to locate package" >&2; exit 100;;
  *download*libasound2*) touch libasound2_1.2_amd64.deb; exit 0;;
esac
exit 1
"""
UNPACK = """#!/bin/sh
mkdir -p "$3/usr/lib/x86_64-linux-gnu"
case "$2" in
  *libflite1*) touch "$3/usr/lib/x86_64-linux-gnu/libflite.so.1";;
  *libasound2*) touch "$3/usr/lib/x86_64-linux-gnu/libasound.so.2";;
esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache, no system library and no tools."""
    monkeypatch.setenv("NPC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NPC_FLITE_DIR", raising=False)
    monkeypatch.setattr(fetch_flite, "_system_folders", lambda: iter(()))
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("mkdir", "touch", "sh"):
        (tools / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(tools))
    return tmp_path


def debian(machine: Path, *, needs_update: bool = False) -> Path:
    log = machine / "log"
    made = {
        "apt-get": APT.format(log=log, work=machine, needs_update="yes" if needs_update else "no"),
        "dpkg-deb": UNPACK,
    }
    for name, script in made.items():
        path = machine / "bin" / name
        path.write_text(script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return log


def test_fetched_into_the_cache_once(machine: Path) -> None:
    debian(machine)
    said: list[str] = []
    assert locate() is None
    found = fetch(said.append)
    assert (found / ENGINE).exists()
    assert found.is_relative_to(machine / "cache")
    assert locate() == found
    assert "12 MB" in said[0]
    assert fetch() == found


def test_without_package_lists_they_are_fetched_for_this_user_alone(machine: Path) -> None:
    log = debian(machine, needs_update=True)
    assert (fetch() / ENGINE).exists()
    update = next(line for line in log.read_text().splitlines() if line.endswith("update"))
    assert "Dir::State::lists=" in update
    assert "/var" not in update


def test_alsa_s_library_comes_along_where_the_machine_has_none(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian(machine)
    monkeypatch.setattr(fetch_flite, "_loads", lambda soname: False)
    found = fetch()
    assert (found / "libasound.so.2").exists()
    assert fetch_flite.alsa() == found / "libasound.so.2"


def test_another_system_is_told_what_to_type(machine: Path) -> None:
    with pytest.raises(FliteMissing, match="NPC_FLITE_DIR"):
        fetch()
    (machine / "bin" / "dnf").symlink_to("/bin/true")
    assert instructions() == "sudo dnf install flite"


def test_a_mirror_that_has_no_flite_is_reported_with_the_line_to_type(machine: Path) -> None:
    debian(machine)
    (machine / "bin" / "apt-get").write_text("#!/bin/sh\necho 'E: Temporary failure resolving' >&2\nexit 100\n")
    with pytest.raises(FliteMissing, match=r"Temporary failure resolving.*sudo apt-get install libflite1"):
        fetch()


def test_a_named_folder_decides_alone(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian(machine)
    fetch()
    monkeypatch.setenv("NPC_FLITE_DIR", str(machine))
    assert locate() is None
    (machine / ENGINE).touch()
    assert locate() == machine


def test_speaks_with_the_system_library_hidden(flite: None) -> None:
    """What `make demo` fetched is enough: a fresh process that may only use the cache says a sentence."""
    if not (fetch_flite.cache_dir() / "flite").is_dir():
        pytest.skip("Flite is installed on the system and was not fetched into the cache")
    speak = (
        "from npc.tts.flite import *; from npc.tts.interface import SpeechRequest; "
        "print(sum(c.pcm.size for c in FliteVoice(FliteSettings('slt')).synthesize(SpeechRequest('Hello.'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", speak],
        env={**os.environ, "NPC_FLITE_DIR": "cache"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert int(done.stdout) > 5_000
