"""IPA to mouths: the whole alphabet resolves, features generalise, and bad symbols never stop a face."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.animation.articulation import MAX_LEAD_S, Articulation, Manner, articulations
from npc.animation.coarticulation import LOOKAHEAD_S
from npc.animation.interface import OCULUS15

#: Pulmonic, non-pulmonic and other consonants and the vowels of the 2020 IPA chart, plus eSpeak NG's own vowels.
CHART = tuple(
    "pbtdʈɖcɟkɡgqɢʔmɱnɳɲŋɴʙrʀⱱɾɽɸβfvθðszʃʒʂʐçʝxɣχʁħʕhɦɬɮʋɹɻjɰlɭʎʟʘǀǃǂǁɓɗʄɠʛʍwɥʜʢʡɕʑɺɧiyɨʉɯuɪʏʊeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒɚɝᵻɫ"
)
#: Symbols as phonemisers write them: length, stress, ties, nasals, syllabics, aspiration, palatalisation, tones.
WRITTEN = {
    "iː": "ih",
    "ˈɑː": "aa",
    "t͡ʃ": "CH",
    "dʒ": "CH",
    "ts": "SS",
    "ɑ̃": "aa",
    "n̩": "nn",
    "l̩": "nn",
    "tʰ": "DD",
    "pʲ": "PP",
    "ɔɪ": "oh",
    "eɪ": "E",
    "aʊ": "aa",
    "oʊ": "oh",
    "a1": "aa",
    "i˥": "ih",
    "ʊɹ": "ou",
    "ɔː": "oh",
    "ɝː": "RR",
    "pf": "FF",
}


@pytest.mark.parametrize("symbol", CHART)
def test_every_symbol_of_the_chart_has_a_mouth(symbol: str) -> None:
    for art in articulations(symbol):
        assert art.viseme in OCULUS15[1:]
        assert art.manner is not Manner.REST


@pytest.mark.parametrize(("written", "viseme"), WRITTEN.items())
def test_written_forms(written: str, viseme: str) -> None:
    assert articulations(written)[0].viseme == viseme


@pytest.mark.parametrize("pause", ["", " ", "pau", "_"])
def test_silence_is_rest(pause: str) -> None:
    assert [a.manner for a in articulations(pause)] == [Manner.REST]


def test_diphthongs_have_two_targets() -> None:
    assert [a.viseme for a in articulations("aɪ")] == ["aa", "ih"]
    assert [a.viseme for a in articulations("aʊ")] == ["aa", "ou"]


def test_unlisted_letters_fall_back_on_their_latin_base() -> None:
    assert articulations("ƭ")[0].viseme == "DD"  # LATIN SMALL LETTER T WITH HOOK
    assert articulations("ƒ")[0].manner is Manner.LABIODENTAL
    assert articulations("ẅ")[0].manner is Manner.ROUND


def test_labialised_consonants_round_the_lips() -> None:
    assert articulations("kʷ")[0].pucker >= 0.5
    assert articulations("k")[0].pucker == 0.0


@given(st.text(max_size=8))
def test_any_text_gives_a_sane_articulation(symbol: str) -> None:
    found = articulations(symbol)
    assert found
    for art in found:
        assert isinstance(art, Articulation)
        for name in ("jaw", "funnel", "pucker", "stretch", "lower_down", "upper_up", "tongue"):
            assert 0.0 <= getattr(art, name) <= 1.0
        # A reach of 1.5 leads would outrun the stream's look-ahead otherwise.
        assert art.lead_s <= MAX_LEAD_S < LOOKAHEAD_S


def test_openness_orders_the_jaw() -> None:
    jaws = [articulations(v)[0].jaw for v in ("i", "e", "ɛ", "æ", "a")]
    assert jaws == sorted(jaws)
    assert articulations("u")[0].pucker > articulations("ɔ")[0].pucker
