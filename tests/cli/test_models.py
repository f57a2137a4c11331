"""`npc models pull` against a hub of our own on loopback."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from npc.cli.models import CATALOGUE, Known, here_of, use
from npc.config.settings import load_settings

pytest.importorskip("huggingface_hub")

FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": bytes(range(256)) * 64,
    "weights.pickle": b"no",
}
COMMIT = "0" * 39 + "1"


class Hub(BaseHTTPRequestHandler):
    """Just enough of the hub's API for one repository, o/m."""

    corrupt = False

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self.answer(send=False)

    def do_GET(self) -> None:
        self.answer(send=True)

    def answer(self, *, send: bool) -> None:
        path = self.path.split("?")[0]
        headers = {}
        if path.startswith("/api/models/o/m"):
            body = json.dumps(self.tree() if "/tree/" in path else self.info()).encode()
        elif path.startswith(f"/o/m/resolve/{COMMIT}/") and path.rsplit("/", 1)[1] in FILES:
            body = FILES[path.rsplit("/", 1)[1]]
            if self.corrupt and path.endswith(".safetensors"):
                body = body[::-1]
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}
        else:
            self.send_error(404)
            return
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if send:
            self.wfile.write(body)

    def tree(self) -> list[dict[str, object]]:
        return [{"type": "file", "path": name, "size": len(body), "oid": "0" * 40} for name, body in FILES.items()]

    def info(self) -> dict[str, object]:
        lfs = {"sha256": hashlib.sha256(FILES["model.safetensors"]).hexdigest(), "size": 16384, "pointerSize": 1}
        siblings = [{"rfilename": name, "size": len(body)} for name, body in FILES.items()]
        siblings[1]["lfs"] = lfs  # type: ignore[assignment]
        return {"id": "o/m", "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "downloads": 0}


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.corrupt = False
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def pull(hub: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": "",
        "HOME": str(tmp_path),
        "HF_ENDPOINT": hub,
        "NPC_CACHE": str(tmp_path),
        "HF_HUB_DISABLE_XET": "1",
    }
    command = [sys.executable, "-m", "npc.cli.main", "models", "pull", "o/m", "--yes"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_pull_fetches_what_our_loaders_read(hub: str, tmp_path: Path) -> None:
    done = pull(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    place = tmp_path / "models" / "o--m"
    assert (place / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not (place / "weights.pickle").exists()
    assert f"npc serve --set llm.model=native --set llm.path={place}" in done.stdout


@pytest.mark.parametrize("known", CATALOGUE, ids=lambda known: known.name)
def test_the_command_it_prints_is_one_that_serve_takes(known: Known, tmp_path: Path) -> None:
    pairs = [part.split("=") for part in use(known, tmp_path).split() if "=" in part]
    settings = load_settings(overrides=dict(pairs), environment={})
    part, name = known.setting.split(".")
    assert getattr(getattr(settings, part), name) == str(tmp_path)


def test_a_file_that_fails_its_checksum_is_removed(hub: str, tmp_path: Path) -> None:
    Hub.corrupt = True
    done = pull(hub, tmp_path)
    assert done.returncode == 1
    assert "checksum" in done.stderr
    assert not (tmp_path / "models" / "o--m" / "model.safetensors").exists()


def test_a_hub_that_cannot_be_reached_is_said_in_a_line(tmp_path: Path) -> None:
    """The hub's client moved to another HTTP library, whose errors came through as a traceback."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        done = pull(f"http://127.0.0.1:{nobody.getsockname()[1]}", tmp_path)
    assert done.returncode == 1
    assert "o/m could not be fetched" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_download_that_was_broken_off_is_not_called_here(hub: str, tmp_path: Path) -> None:
    """The folder alone was taken for the model: npc models list said yes to a pull that had failed its checksum."""
    place = tmp_path / "models" / "o--m"
    assert here_of(place) == ""
    Hub.corrupt = True
    pull(hub, tmp_path)
    assert here_of(place) == "in part: pull again"
    Hub.corrupt = False
    pull(hub, tmp_path)
    assert here_of(place) == "yes"
    (place / "more.incomplete").write_bytes(b"")
    assert here_of(place) == "in part: pull again"
