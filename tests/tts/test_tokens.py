"""Tokens cover the text, keep their characters, and never carry what a C string or a 64-byte buffer cannot."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc.tts.tokens import LONGEST, fold, tokenise


def named(text: str, **known: str) -> list[tuple[str, str, str, str]]:
    tokens = tokenise(text, {word: phones.split() for word, phones in known.items()})
    return [(token.before, token.name, token.after, text[token.start : token.end]) for token in tokens]


def test_punctuation_is_kept_apart_and_characters_are_the_text_s() -> None:
    assert named('"Well-met," said Éowyn (the 2nd).') == [
        ('"', "Well-met", ',"', '"Well-met,"'),
        ("", "said", "", "said"),
        ("", "Eowyn", "", "Éowyn"),
        ("(", "the", "", "(the"),
        ("", "2nd", ").", "2nd)."),
    ]


def test_a_dash_or_an_ellipsis_between_words_is_a_comma() -> None:
    assert [(name, after) for _, name, after, _ in named("stop — no…wait, go—now")] == [
        ("stop", ","),
        ("no", ","),
        ("wait", ","),
        ("go", ","),
        ("now", ""),
    ]


@pytest.mark.parametrize("text", ["", "   \n", "…", "— ? !", "***", "日本語", "\x00\x01"])
def test_what_nobody_can_say_is_no_token(text: str) -> None:
    assert tokenise(text) == []


def test_a_lexicon_word_is_found_in_any_case_and_with_a_possessive() -> None:
    known = {"zhavik": ["ZH", "AE1", "V", "IH0", "K"], "ross": ["R", "AO1", "S"], "vel": ["V", "EH1", "L"]}
    tokens = tokenise("ZHAVIK, Zhavik’s Ross's vel's vela", known)
    assert [token.phones and token.phones[-2:] for token in tokens] == [
        ("IH0", "K"),
        ("K", "S"),
        ("IH0", "Z"),
        ("L", "Z"),
        None,
    ]


def test_fold_spells_out_ligatures_and_curly_quotes() -> None:
    assert fold("Œuvre of Þór’s “naïve” Straße") == 'Oeuvre of Thor\'s "naive" Strasse'


@given(st.text(max_size=300))
def test_tokens_are_in_order_inside_the_text_short_and_plain(text: str) -> None:
    tokens = tokenise(text)
    for token in tokens:
        assert 0 <= token.start < token.end <= len(text)
        assert 0 < len(token.name) <= LONGEST
        assert token.name.isascii()
        assert token.name.isprintable()
    spans = [(token.start, token.end) for token in tokens]
    assert spans == sorted(spans)
    assert all(a == b or a[1] <= b[0] for a, b in itertools.pairwise(spans))
