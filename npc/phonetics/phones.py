"""Timed phones and words: what a synthesiser knows about its sound and an animator needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from npc.audio.clock import Span


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone: IPA symbol, span in samples, lexical stress of a vowel (0 none, 1 primary, 2 secondary).

    Silence and breath are phones too, with the symbol "" (empty).
    """

    ipa: str
    span: Span
    stress: int = 0


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word of a text: its characters `[text_start, text_end)`, and when they sound, in samples."""

    text_start: int
    text_end: int
    span: Span
