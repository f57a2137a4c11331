"""The thread that writes an attempt: whatever ends it is told, and nothing waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from npc.simulation import recording
from npc.simulation.recording import AttemptWriter
from tests.simulation.attempts import make


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("not to be written")])
def test_what_ends_the_writer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Only a full disk was; after anything else the attempt seemed to be recorded."""

    def fails(*_: object) -> Path:
        raise error

    monkeypatch.setattr(recording, "save", fails)
    writer = AttemptWriter(tmp_path / "att")
    writer.line("a", {}, 0.0)
    writer.save(make())
    writer.close()
    assert writer.error is not None
    assert str(error.args[-1]) in writer.error
