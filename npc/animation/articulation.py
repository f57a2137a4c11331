"""IPA symbols to articulations: features, the Oculus viseme, and the lip and jaw targets they imply.

Every symbol that eSpeak NG or a Coqui phonemiser writes resolves: a base letter gives features, diacritics are
stripped (a few of them add rounding or palatalisation), diphthongs become two articulations, and a letter outside
the table falls back on the Latin letter in its Unicode name ("LATIN SMALL LETTER T WITH ..." articulates like t).

Targets are computed from features, so that a vowel nobody listed still gets a plausible mouth:

    openness 0 (i, u) .. 1 (a)   -> jaw 0.13 .. 0.52
    rounding 0 .. 1              -> pucker for close vowels, funnel for open ones
    frontness                    -> spread lips (stretch)
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Final


class Manner(Enum):
    """What a phone demands of the visible mouth."""

    REST = "rest"
    VOWEL = "vowel"
    BILABIAL = "bilabial"  # the lips must close
    LABIODENTAL = "labiodental"  # the lower lip must touch the upper teeth
    SIBILANT = "sibilant"  # the jaw must be nearly shut
    TONGUE = "tongue"  # invisible at the lips: neighbours decide
    GLIDE = "glide"  # r, j, labial fricatives: own lips, no constraint
    ROUND = "round"  # w and its kin: lip-heavy


@dataclass(frozen=True, slots=True)
class Articulation:
    """One mouth target. Channel weights in [0, 1]; dominance is relative to a vowel's 1.

    `lead_s` and `lag_s` say how far the lips reach before and after the phone (jaw and tongue use fixed, shorter
    reaches). `hold` is the part of the phone, from and to, during which a closure or contact is held.
    """

    viseme: str
    manner: Manner
    jaw: float = 0.0
    funnel: float = 0.0
    pucker: float = 0.0
    stretch: float = 0.0
    lower_down: float = 0.0
    upper_up: float = 0.0
    tongue: float = 0.0
    jaw_dominance: float = 1.0
    lip_dominance: float = 1.0
    lead_s: float = 0.08
    lag_s: float = 0.08
    hold: tuple[float, float] = (0.0, 1.0)


REST: Final = Articulation("sil", Manner.REST)

# height 0 close .. 1 open, backness 0 front .. 1 back, rounding 0 .. 1 (IPA vowel chart)
_VOWELS: Final[dict[str, tuple[float, float, float]]] = {
    "i": (0.0, 0.0, 0.0), "y": (0.0, 0.0, 1.0), "ɨ": (0.05, 0.5, 0.0), "ʉ": (0.05, 0.5, 1.0), "ɯ": (0.0, 1.0, 0.0),
    "u": (0.0, 1.0, 1.0), "ɪ": (0.18, 0.2, 0.0), "ʏ": (0.18, 0.2, 1.0), "ʊ": (0.18, 0.85, 0.9), "e": (0.36, 0.0, 0.0),
    "ø": (0.36, 0.0, 1.0), "ɘ": (0.4, 0.5, 0.0), "ɵ": (0.4, 0.5, 1.0), "ɤ": (0.4, 1.0, 0.0), "o": (0.4, 1.0, 1.0),
    "ə": (0.5, 0.5, 0.0), "ɛ": (0.62, 0.0, 0.0), "œ": (0.62, 0.0, 1.0), "ɜ": (0.6, 0.5, 0.0), "ɞ": (0.6, 0.5, 1.0),
    "ʌ": (0.68, 0.8, 0.0), "ɔ": (0.66, 1.0, 0.85), "æ": (0.85, 0.0, 0.0), "ɐ": (0.8, 0.5, 0.0), "a": (1.0, 0.3, 0.0),
    "ɶ": (1.0, 0.0, 0.7), "ä": (1.0, 0.5, 0.0), "ɑ": (1.0, 1.0, 0.0), "ɒ": (0.95, 1.0, 0.6), "ᵻ": (0.15, 0.4, 0.0),
    "ᵿ": (0.2, 0.7, 0.7), "ɩ": (0.18, 0.2, 0.0), "ɷ": (0.18, 0.85, 0.9),
}  # fmt: skip
_RHOTIC_VOWELS: Final = "ɚɝ"

#: When the lips are shut, as shares of the phone: a voiceless stop ends with its burst, a voiced one begins with the
#: vowel's tail. Measured on three synthetic voices by the energy of the sound (`npc.bench.closures`).
_CLOSED: Final = {"p": (0.0, 0.85), "b": (0.2, 1.0), "m": (0.0, 1.0)}
_BILABIAL: Final = "pbmɓʘʙ"
_LABIAL_FRICATIVE: Final = "ɸβ"
_LABIODENTAL: Final = "fvɱʋⱱȸȹ"
_DENTAL: Final = "θðǀ"
_SIBILANT: Final = "szɬɮʦʣ"
_POSTALVEOLAR: Final = "ʃʒɕʑʂʐʧʤʨʥɧ"
_ALVEOLAR_STOP: Final = "tdɾɗʈɖɽǃǁᶑ"
_NASAL_LATERAL: Final = "nlɫɳɭɲʎɺʟ"
_RHOTIC: Final = "rɹɻʁʀ"
_BACK: Final = "kɡgŋxɣɰqɢɴχħʕʜʢʡhɦʔcɟçʝʄǂɠʛ"
_PALATAL_GLIDE: Final = "j"
_ROUND_GLIDE: Final = "wʍɥ"

#: Lip-heavy phones start early and end late: onset ~120 ms, offset 120-150 ms (JALI rules, design note of this field).
_HEAVY_LEAD, _HEAVY_LAG = 0.14, 0.14
#: No articulation reaches further ahead than this; a face stream holds back that much.
MAX_LEAD_S: Final = 0.18

_IGNORED: Final = set("ˈˌː ̯ˑ.|‖‿͜͡^-_'’`,;:!?\"()[]{}~*+=/\\%@&#<>\u200d\u200c↗↘˥˦˧˨˩ꜛꜜ")


def _vowel(height: float, back: float, rounding: float) -> Articulation:
    close = 1.0 - height
    front = max(0.0, 1.0 - 2.0 * back)
    spread = (1.0 - rounding) * front
    if rounding > 0.5:
        viseme = "ou" if height < 0.3 else "oh"
    elif height < 0.3:
        viseme = "ih"
    elif (height < 0.75 and back < 0.3) or height < 0.45:
        viseme = "E"
    else:
        viseme = "aa"
    heavy = rounding > 0.5
    return Articulation(
        viseme=viseme,
        manner=Manner.VOWEL,
        jaw=(0.14 + 0.38 * height) * (1.0 - 0.15 * rounding),
        funnel=rounding * (0.22 + 0.35 * min(1.0, height * 1.6)),
        pucker=rounding * (0.30 + 0.44 * close),
        stretch=spread * (0.12 + 0.2 * close),
        lower_down=(1.0 - rounding) * (0.10 + 0.10 * close),
        upper_up=(1.0 - rounding) * 0.07,
        lip_dominance=1.0 + 1.6 * rounding,
        lead_s=_HEAVY_LEAD if heavy else 0.075,
        lag_s=_HEAVY_LAG if heavy else 0.075,
    )


def _consonant(symbol: str) -> Articulation | None:
    """Articulation of one IPA consonant letter, or None if it is none."""
    if symbol in _BILABIAL:
        return Articulation("PP", Manner.BILABIAL, jaw=0.10, jaw_dominance=0.8, lip_dominance=0.3,
                            lead_s=0.07, lag_s=0.07, hold=_CLOSED.get(symbol, (0.0, 0.8)))  # fmt: skip
    if symbol in _LABIODENTAL:
        return Articulation("FF", Manner.LABIODENTAL, jaw=0.09, upper_up=0.12, jaw_dominance=0.9, lip_dominance=0.3,
                            lead_s=0.07, lag_s=0.07, hold=(0.0, 0.9))  # fmt: skip
    if symbol in _LABIAL_FRICATIVE:
        return Articulation(
            "PP", Manner.GLIDE, jaw=0.10, pucker=0.15, lower_down=0.05, lip_dominance=1.0, lead_s=0.06, lag_s=0.06
        )
    if symbol in _DENTAL:
        return Articulation("TH", Manner.TONGUE, jaw=0.17, lower_down=0.15, upper_up=0.08, tongue=0.30,
                            jaw_dominance=0.9, lip_dominance=0.35, lead_s=0.06, lag_s=0.06)  # fmt: skip
    if symbol in _SIBILANT:
        return Articulation("SS", Manner.SIBILANT, jaw=0.12, stretch=0.14, lower_down=0.16, upper_up=0.05,
                            jaw_dominance=1.4, lip_dominance=0.45, lead_s=0.06, lag_s=0.06)  # fmt: skip
    if symbol in _POSTALVEOLAR:
        return Articulation("CH", Manner.SIBILANT, jaw=0.12, funnel=0.45, pucker=0.22, lower_down=0.12, upper_up=0.08,
                            jaw_dominance=1.4, lip_dominance=1.5, lead_s=_HEAVY_LEAD, lag_s=_HEAVY_LAG)  # fmt: skip
    if symbol in _RHOTIC:
        uvular = symbol in "ʁʀ"
        return Articulation("RR", Manner.TONGUE if uvular else Manner.GLIDE, jaw=0.17, funnel=0.16, pucker=0.22,
                            lower_down=0.06, lip_dominance=0.1 if uvular else 0.8, lead_s=0.10, lag_s=0.09)  # fmt: skip
    if symbol in _ALVEOLAR_STOP:
        return Articulation("DD", Manner.TONGUE, jaw=0.15, lower_down=0.12, upper_up=0.04, jaw_dominance=0.7,
                            lip_dominance=0.10, lead_s=0.06, lag_s=0.06)  # fmt: skip
    if symbol in _NASAL_LATERAL:
        return Articulation("nn", Manner.TONGUE, jaw=0.18, lower_down=0.10, upper_up=0.04, jaw_dominance=0.5,
                            lip_dominance=0.10, lead_s=0.06, lag_s=0.06)  # fmt: skip
    if symbol in _PALATAL_GLIDE:
        return Articulation(
            "ih", Manner.GLIDE, jaw=0.13, stretch=0.22, lower_down=0.12, lip_dominance=0.6, lead_s=0.06, lag_s=0.06
        )
    if symbol in _ROUND_GLIDE:
        return Articulation("ou", Manner.ROUND, jaw=0.12, funnel=0.25, pucker=0.76, lip_dominance=3.0,
                            lead_s=_HEAVY_LEAD, lag_s=_HEAVY_LAG)  # fmt: skip
    if symbol in _BACK:
        # h and the glottal stop have no mouth of their own at all.
        glottal = symbol in "hɦʔħʕ"
        return Articulation("kk", Manner.TONGUE, jaw=0.20, lower_down=0.10, upper_up=0.04,
                            jaw_dominance=0.15 if glottal else 0.45, lip_dominance=0.05 if glottal else 0.08,
                            lead_s=0.06, lag_s=0.06)  # fmt: skip
    return None


_TWO_LETTER: Final = {"ts": "ʦ", "dz": "ʣ", "tʃ": "ʧ", "dʒ": "ʤ", "tɕ": "ʨ", "dʑ": "ʥ", "tʂ": "ʧ", "dʐ": "ʤ", "pf": "f"}


def _letter(symbol: str) -> Articulation | None:
    """Articulation of one letter; None for what carries no articulation (tone marks, modifiers, digits)."""
    if symbol in _RHOTIC_VOWELS:
        return replace(_vowel(0.45, 0.5, 0.0), viseme="RR", funnel=0.16, pucker=0.26, lip_dominance=1.2, lead_s=0.10)
    if symbol in _VOWELS:
        return _vowel(*_VOWELS[symbol])
    known = _consonant(symbol)
    if known is not None:
        return known
    name = unicodedata.name(symbol, "")
    if "MODIFIER" in name or not unicodedata.category(symbol).startswith("L"):
        return None
    for word in name.split("LETTER ")[1:]:
        base = word.split(" ")[0].lower()
        if len(base) == 1 and base != symbol:
            return _letter(base)
    return _vowel(0.5, 0.5, 0.0) if name else None


@lru_cache(maxsize=4096)
def articulations(ipa: str) -> tuple[Articulation, ...]:
    """Articulations of one phone symbol in order: one for most, two for diphthongs, `REST` for silence.

    Never raises and never returns an empty tuple: a symbol that says nothing about the mouth is a glottal, whose lips
    and jaw follow its neighbours.
    """
    if not ipa.strip() or ipa in ("pau", "sil", "_", "#"):
        return (REST,)
    text = unicodedata.normalize("NFD", ipa.lower() if ipa.isascii() else ipa)
    rounded = "ʷ" in text
    letters = "".join(c for c in text if c not in _IGNORED and not unicodedata.combining(c))
    found: list[Articulation] = []
    i = 0
    while i < len(letters):
        pair = _TWO_LETTER.get(letters[i : i + 2])
        art = _letter(pair or letters[i])
        i += 2 if pair else 1
        if art is None:
            continue
        if rounded and art.manner is not Manner.BILABIAL:
            art = replace(
                art, pucker=max(art.pucker, 0.6), lip_dominance=max(art.lip_dominance, 1.5), lead_s=_HEAVY_LEAD
            )
        if not found or found[-1] != art:
            found.append(art)
    return tuple(found) or (_consonant("ʔ") or REST,)
