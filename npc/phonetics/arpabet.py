"""ARPAbet, the phone set of the CMU dictionary, and its place in the IPA.

ARPAbet vowels carry lexical stress as a digit ("AH0" none, "AH1" primary, "AH2" secondary). In the IPA stress is a mark
on the syllable; here it stays beside the phone, as in `npc.phonetics.phones.Phone`, because animation and timing want
it on the vowel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: General American values. AH and ER differ by stress: unstressed AH is schwa, unstressed ER is r-coloured schwa.
IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AXR": "ɚ", "AY": "aɪ", "EH": "ɛ", "ER": "ɝ",
    "EY": "eɪ", "IH": "ɪ", "IX": "ɨ", "IY": "i", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "u", "UX": "ʉ",
    "B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "DX": "ɾ", "EL": "l̩", "EM": "m̩", "EN": "n̩", "F": "f", "G": "ɡ",
    "HH": "h", "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "P": "p", "Q": "ʔ", "R": "ɹ", "S": "s",
    "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "WH": "ʍ", "Y": "j", "Z": "z", "ZH": "ʒ",
    "PAU": "", "SIL": "",
}  # fmt: skip

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y",
    "Z", "ZH",
)  # fmt: skip
#: The 39 phones of the CMU dictionary, in its order of vowels, then consonants.
PHONES39 = VOWELS + CONSONANTS

#: IPA back to ARPAbet, with spellings that other engines use for the same sounds.
_FROM_IPA = {symbol: name for name, symbol in IPA.items() if name in PHONES39} | {
    "ə": "AH", "ɐ": "AH", "ɨ": "IH", "ᵻ": "IH", "ɚ": "ER", "ɜː": "ER", "ɜ": "ER", "r": "R", "g": "G", "ɾ": "T",
    "ʔ": "T", "ɫ": "L", "l̩": "L", "m̩": "M", "n̩": "N", "ʍ": "W", "x": "K", "ɬ": "L", "ç": "HH", "ɲ": "N",
    "iː": "IY", "uː": "UW", "ɑː": "AA", "ɔː": "AO", "ɒ": "AA", "a": "AA", "aː": "AA", "e": "EH", "eː": "EY", "o": "OW",
    "oː": "OW", "y": "UW", "ø": "ER", "œ": "ER", "ʉ": "UW", "əʊ": "OW", "oʊ": "OW", "eə": "EH", "ɪə": "IH", "ʊə": "UH",
    "t͡ʃ": "CH", "d͡ʒ": "JH", "ʧ": "CH", "ʤ": "JH", "β": "V", "ɸ": "F", "ɣ": "G", "ʁ": "R", "ʀ": "R",
}  # fmt: skip

_SYLLABLE_MARKS = re.compile("[ˈˌ.]")
#: Length, aspiration, palatalisation, velarisation, and every combining mark (syllabic, nasal, voiceless …).
_DIACRITICS = re.compile("[ːˑʰʲˠʷ\u0300-\u036f]")


class UnknownPhone(ValueError):
    """A symbol that is in no phone set we know. The message names it."""


@dataclass(frozen=True, slots=True)
class Arpa:
    """One ARPAbet phone without its digit, and the stress that digit meant (0 for consonants)."""

    name: str
    stress: int = 0

    def __str__(self) -> str:
        return f"{self.name}{self.stress}" if self.name in VOWELS else self.name


def parse(phone: str) -> Arpa:
    """ "AH0" or "ah" (any case, digit optional) as a phone. Raises UnknownPhone."""
    name = phone.strip().upper()
    stress = 0
    if name and name[-1] in "012":
        name, stress = name[:-1], int(name[-1])
    if name not in IPA:
        raise UnknownPhone(f"{phone!r} is no ARPAbet phone")
    return Arpa(name, stress)


def parse_all(phones: str) -> tuple[Arpa, ...]:
    """A dictionary pronunciation such as "V EH1 L K AO0 R AH0". Raises UnknownPhone."""
    return tuple(parse(phone) for phone in phones.split())


def to_ipa(phone: str | Arpa) -> tuple[str, int]:
    """(IPA symbol, stress). Unstressed AH and ER become ə and ɚ when a digit says that they are unstressed."""
    arpa = parse(phone) if isinstance(phone, str) else phone
    marked = not isinstance(phone, str) or phone.strip()[-1:] == "0"
    if arpa.stress == 0 and marked and arpa.name in ("AH", "ER"):
        return ("ə" if arpa.name == "AH" else "ɚ"), 0
    return IPA[arpa.name], arpa.stress


def from_ipa(symbol: str, stress: int = 0) -> Arpa:
    """The nearest of the 39 phones; length, stress and syllable marks are ignored. Raises UnknownPhone."""
    bare = _SYLLABLE_MARKS.sub("", symbol)
    for candidate in (bare, bare.rstrip("ː"), _DIACRITICS.sub("", bare)):
        if candidate in _FROM_IPA:
            name = _FROM_IPA[candidate]
            return Arpa(name, stress if name in VOWELS else 0)
    raise UnknownPhone(f"{symbol!r} is no IPA symbol with an English neighbour")


def dictionary_phones(phones: str) -> tuple[str, ...]:
    """A pronunciation in the 39 phones of the CMU dictionary, which acoustic models know: no stress, no pauses, other
    phones by their nearest ("AX" is AH, "EL" is L). Raises UnknownPhone."""
    named = [parse(phone) for phone in phones.split()]
    return tuple(
        arpa.name if arpa.name in PHONES39 else from_ipa(IPA[arpa.name]).name for arpa in named if IPA[arpa.name]
    )
