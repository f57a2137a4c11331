"""The page's controls in a browser that takes its time, under Node (virtual/talking.mjs, virtual/rehearsal.mjs)."""

from __future__ import annotations

import pytest

from tests.browser.test_clock import play


def test_let_go_while_the_browser_asks_nobody_is_listened_to() -> None:
    assert play("talking.mjs", "released") == {"on": False, "sent": []}


def test_push_to_talk_ends_wherever_the_pointer_is_let_go() -> None:
    sent = ["input_audio_buffer.clear", "input_audio_buffer.commit", "response.create"]
    assert play("talking.mjs", "slipped") == {"held": True, "on": False, "sent": sent}


def test_presses_while_the_browser_asks_open_one_microphone() -> None:
    assert play("talking.mjs", "twice") == {"on": True, "asked": 1}


def test_a_microphone_whose_worklet_does_not_load_is_given_back_and_said() -> None:
    got = play("talking.mjs", "worklet")
    assert (got["on"], got["stopped"]) == (False, 1)
    assert got["notices"] == ["The microphone did not start: no network. Press the button again, or type instead."]


def test_sound_that_failed_once_can_be_tried_again_and_keeps_nobody_waiting() -> None:
    got = play("talking.mjs", "speaker")
    assert (got["first"], got["second"]) == ("no network", "open")
    assert got["seconds"] == pytest.approx(2.0, abs=1.0)


@pytest.mark.parametrize(
    ("message", "asked", "mended", "kept"),
    [
        ("attempt 'old' is over (abandoned); begin another one", ["old", None], False, False),
        ("there is no attempt 'old'", ["old", None], False, False),
        ("attempt 'old' is running in another session", ["old"], True, True),
    ],
)
def test_an_attempt_that_cannot_be_gone_on_with_is_begun_anew(
    message: str, asked: list[str | None], mended: bool, kept: bool
) -> None:
    assert play("rehearsal.mjs", message) == {"asked": asked, "mended": mended, "kept": kept}
