"""Flite passes the contract of every synthesiser, plain and marked."""

from __future__ import annotations

import pytest

from npc.tts.flite import VOICES, FliteSettings, FliteVoice
from npc.tts.watermark import Watermarked
from tests.tts.contract import check_all


@pytest.mark.parametrize("name", VOICES)
def test_plain(flite: None, name: str) -> None:
    check_all(FliteVoice(FliteSettings(name)), word_times=True, phone_times=True, rate_error=0.08)


def test_marked(flite: None) -> None:
    check_all(Watermarked(FliteVoice(FliteSettings("slt"))), word_times=True, phone_times=True, rate_error=0.08)
