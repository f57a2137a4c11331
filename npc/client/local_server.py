"""A server for one command: `npc talk` and the benchmarks start one when no `--url` is given and stop it at the end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: A cold start takes about two seconds on the embedded profile; larger ones load gigabytes.
START_SECONDS = 120.0


class ServerFailed(RuntimeError):
    """The server did not start; the message ends with what it printed."""


@contextmanager
def local_server(*arguments: str, state: Path | None = None, seconds: float = START_SECONDS) -> Iterator[str]:
    """Run `npc serve ARGUMENTS` on a free loopback port; yields its base URL once it is ready.

    `state` is its state folder (memory, logs); by default a new one that is removed afterwards. Raises ServerFailed.
    """
    with tempfile.TemporaryDirectory(prefix="npc-") as scratch, (Path(scratch) / "server.log").open("w+") as log:
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        # Two BLAS threads that spin beside other work made the first answer wait minutes instead of seconds.
        environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, "NPC_STATE": str(state or Path(scratch) / "state")}
        # Open to this machine's programs alone, whatever keys and address the service has for others.
        own = ["--host", "127.0.0.1", "--port", str(port), "--set", "server.keys=[]"]
        command = [sys.executable, "-m", "npc.cli.main", "serve", *own, *arguments]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(url, process, Path(log.name), seconds)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerFailed(f"the server stopped with status {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise ServerFailed(f"the server was not ready within {seconds:.0f} s:\n{log.read_text()[-3000:]}")
