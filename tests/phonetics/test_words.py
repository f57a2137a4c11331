"""Phone sets, dictionary, pronunciation of unknown words, text as spoken, word classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.phonetics import arpabet, g2p
from npc.phonetics.lexicon import default_lexicon, read_lexicon
from npc.phonetics.normalize import cardinal, ordinal, spoken, spoken_words, year
from npc.phonetics.wordclass import word_class


@pytest.mark.parametrize("phone", arpabet.PHONES39)
def test_arpabet_and_ipa_map_both_ways(phone: str) -> None:
    marked = f"{phone}1" if phone in arpabet.VOWELS else phone
    symbol, stress = arpabet.to_ipa(marked)
    assert arpabet.from_ipa(symbol, stress) == arpabet.parse(marked)


def test_unstressed_vowels_reduce() -> None:
    assert arpabet.to_ipa("AH0") == ("ə", 0)
    assert arpabet.to_ipa("AH1") == ("ʌ", 1)
    assert arpabet.to_ipa("er0") == ("ɚ", 0)
    assert arpabet.dictionary_phones("V EH1 L K AO0 R AH0") == ("V", "EH", "L", "K", "AO", "R", "AH")
    assert arpabet.dictionary_phones("b AX1 PAU dx EL") == ("B", "AH", "T", "L")


@pytest.mark.parametrize(
    ("symbol", "name"), [("t͡ʃ", "CH"), ("iː", "IY"), ("əʊ", "OW"), ("ˈɡ", "G"), ("tʰ", "T"), ("ɐ", "AH")]
)
def test_other_engines_ipa_is_understood(symbol: str, name: str) -> None:
    assert arpabet.from_ipa(symbol).name == name


def test_unknown_phones_are_named() -> None:
    with pytest.raises(arpabet.UnknownPhone, match="'QQ'"):
        arpabet.parse("QQ")
    with pytest.raises(arpabet.UnknownPhone, match="'ʘ'"):
        arpabet.from_ipa("ʘ")


def test_dictionary() -> None:
    lexicon = default_lexicon()
    assert len(lexicon) > 120_000
    assert lexicon.phones("Tomato") == ("T AH M EY T OW", "T AH M AA T OW")
    assert lexicon.phones("velkora") == ()


def test_dictionary_errors_name_the_line(tmp_path: Path) -> None:
    (tmp_path / "d.dict").write_text("a AH\nbroken\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"d\.dict:2: no phones for 'broken'"):
        read_lexicon(tmp_path / "d.dict")


@pytest.mark.parametrize(
    ("word", "phones"),
    [("Velkora", "V EH L K AO R AH"), ("Brannick", "B R AE N IH K"), ("Fennimar", "F EH N IH M AA R")],
)
def test_invented_names_are_pronounced(word: str, phones: str) -> None:
    assert g2p.pronounce(word)[0] == phones


def test_variants_differ_and_accents_count_as_letters() -> None:
    variants = g2p.pronounce("Isaulde", 5)
    assert len(set(variants)) == 5
    assert g2p.pronounce("Zoë") == g2p.pronounce("zoe")
    assert g2p.pronounce("42") == ()


@given(st.text(max_size=30))
def test_any_text_is_pronounced_in_known_phones(text: str) -> None:
    for phones in g2p.pronounce(text, 2):
        assert all(phone in arpabet.PHONES39 for phone in phones.split())


def test_witten_bell_sums_to_one() -> None:
    model = g2p.default_model()
    for history in ((-1, -1, -1, -1), (3, 7, 20, 5), ()):
        total = sum(model.probability(graphone, history) for graphone in range(-1, len(model._graphones)))
        assert total == pytest.approx(1.0, abs=1e-9)


def test_model_survives_saving(tmp_path: Path) -> None:
    model = g2p.GraphoneModel([("a", "AE"), ("b", "B")], {(): {0: 2, 1: 1, -1: 1}, (0,): {1: 1}}, 3)
    g2p.save_model(tmp_path / "m.gz", model)
    again = g2p.load_model(tmp_path / "m.gz")
    assert again.pronounce("ab") == model.pronounce("ab")
    g2p.save_model(tmp_path / "n.gz", again)
    assert (tmp_path / "m.gz").read_bytes() == (tmp_path / "n.gz").read_bytes()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Dr. Kell arrives at 7:30 with 3 gp.", "doctor Kell arrives at seven thirty with three gold pieces"),
        ("It costs $3.50.", "It costs three dollars and fifty cents"),
        ("In 1987 and 2005", "In nineteen eighty seven and two thousand five"),
        ("the 3rd of May at 10:05 pm", "the third of May at ten oh five p m"),
        (
            "3/4 of 20%, -4, 007, 3.14",
            "three quarters of twenty percent minus four zero zero seven three point one four",
        ),
        ("No. I said no. 3", "No I said number three"),
        ("St. Anne's is in High St. now", "saint Anne's is in High St now"),
        ("the U.S. TV, e.g. HTTP", "the u s t v for example h t t p"),
        ("2 in the morning", "two in the morning"),
        ("salt & pepper", "salt and pepper"),
        ("1,200 men", "one thousand two hundred men"),
        ("the 1990s", "the nineteen nineties"),
        ("In 1987, the war began", "In nineteen eighty seven the war began"),
        ("take 5, min", "take five min"),
    ],
)
def test_text_as_spoken(written: str, said: str) -> None:
    assert " ".join(spoken_words(written)) == said


@given(st.text(max_size=80))
def test_spoken_tokens_are_in_order_and_inside_the_text(text: str) -> None:
    at = 0
    for token in spoken(text):
        assert at <= token.start < token.end <= len(text)
        assert token.words
        at = token.end


@given(st.integers(0, 10**15 - 1))
def test_numbers_are_words(number: int) -> None:
    assert not any(letter.isdigit() for letter in cardinal(number))
    assert ordinal(number).endswith(("th", "st", "nd", "rd"))


@pytest.mark.parametrize("written", ["{}", "{}th", "1/{}", "${}", "{} km", "-{}.5"])
def test_numbers_without_end_are_said_figure_by_figure(written: str) -> None:
    """Python converts no text of more than 4,300 figures: this was a ValueError."""
    assert spoken_words(written.format("7" * 5_000)).count("seven") == 5_000


def test_years() -> None:
    assert [year(n) for n in (1905, 1900, 2000, 2014)] == [
        "nineteen oh five", "nineteen hundred", "two thousand", "twenty fourteen",
    ]  # fmt: skip


def test_word_classes() -> None:
    words = ["where", "can", "i", "find", "the", "old", "lanterns", "quickly", "please"]
    assert [word_class(word) for word in words] == [
        "wh", "modal", "subject", "transitive", "article", "noun", "plural", "adverb", "polite",
    ]  # fmt: skip
