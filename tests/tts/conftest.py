"""What the voice tests share: Flite, or a named reason why it is not there."""

from __future__ import annotations

import pytest

from npc.tts import fetch_flite


@pytest.fixture(scope="session")
def flite() -> None:
    """Skips, by name, where there is no Flite."""
    if fetch_flite.locate() is None:
        pytest.skip(f"no Flite library: npc doctor --fix, or {fetch_flite.instructions()}")
