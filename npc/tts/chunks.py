"""Cut a finished clause into pieces, each with the phones and words that begin in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from npc.phonetics.phones import Phone, SpokenWord
from npc.tts.interface import Pcm16, SpeechChunk


class Pairing:
    """Hands out the phones and words of a clause piece by piece: those that begin before the end of the sound given so
    far; with the last piece also any that begin exactly at the end."""

    def __init__(self, phones: Sequence[Phone], words: Sequence[SpokenWord], total: int) -> None:
        self._phones, self._words, self._total = tuple(phones), tuple(words), total
        self._at = self._phone = self._word = 0

    def pair(self, pcm: Pcm16) -> SpeechChunk:
        """The next piece of sound with what begins in it."""
        self._at += pcm.size
        until = self._at if self._at < self._total else self._total + 1
        phone, word = self._phone, self._word
        while phone < len(self._phones) and self._phones[phone].span.start < until:
            phone += 1
        while word < len(self._words) and self._words[word].span.start < until:
            word += 1
        chunk = SpeechChunk(pcm, self._phones[self._phone : phone], self._words[self._word : word])
        self._phone, self._word = phone, word
        return chunk


def chunked(pcm: Pcm16, phones: Sequence[Phone], words: Sequence[SpokenWord], size: int) -> Iterator[SpeechChunk]:
    """A whole clause in pieces of `size` samples, the last one shorter."""
    pairing = Pairing(phones, words, pcm.size)
    for at in range(0, pcm.size, size):
        yield pairing.pair(pcm[at : at + size])
