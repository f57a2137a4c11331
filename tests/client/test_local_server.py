"""The server of one command is open to that command, whatever the environment says to the service."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from npc.cli.serve import _overrides, _parser, listening
from npc.client.local_server import ServerFailed, local_server
from npc.config.settings import load_settings


def test_keys_and_address_of_the_service_are_not_those_of_a_commands_own_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With NPC_SERVER__KEYS set, `npc talk` was refused (401) by the server it had started itself."""
    started: list[list[str]] = []

    class Stopped(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **given: Any) -> None:
            started.append(command)
            super().__init__(["false"], **given)

    monkeypatch.setattr(subprocess, "Popen", Stopped)
    with pytest.raises(ServerFailed, match="stopped with status 1"), local_server(state=tmp_path):
        raise AssertionError("unreachable")
    environment = {"NPC_SERVER__KEYS": "0123456789abcdef", "NPC_SERVER__HOST": "0.0.0.0"}
    arguments = _parser().parse_args(started[0][started[0].index("serve") + 1 :])
    made = listening(load_settings(None, None, _overrides(arguments), environment))
    assert (made.keys, made.host) == ((), "127.0.0.1")
