"""Whatever a model prefers, what comes out is whole: references placed once, in order, no name, number or tag."""

from __future__ import annotations

import random
import re
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from npc.dialogue.realiser.check import objection
from npc.dialogue.realiser.contract import SPECIAL, Frame, Part
from npc.dialogue.realiser.grammar import Bounds, ReferenceGrammar, Vocabulary
from npc.dialogue.realiser.render import Rendered, render

_LINES = ("Well, that I can tell you. I'm sorry, no idea.", "Mind Your tongue, Anna! 42 coins? yes: no; I'll go.") * 4


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=480, special_tokens=list(SPECIAL), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    tokenizer.train_from_iterator(_LINES, trainer)
    return Vocabulary(tokenizer, 512)


def walk(grammar: ReferenceGrammar, chance: random.Random, most: int = 300) -> list[int]:
    """Tokens drawn evenly from what is allowed, as the worst of models might."""
    found: list[int] = []
    for _ in range(most):
        allowed = np.flatnonzero(np.isfinite(grammar.mask()))
        assert len(allowed), "nothing is allowed"
        token = int(chance.choice(allowed))
        if grammar.push(token):
            return found
        found.append(token)
    pytest.fail("no end in sight")


_SHAPES: tuple[tuple[Part, ...], ...] = (("c",), ("e",), ("v",), ("e", "v", "c"), ("e", "w", "v", "c"), ("e", "c"))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.sampled_from(_SHAPES), max_size=3), st.booleans(), st.booleans())
def test_a_random_model_says_what_must_be_said_and_nothing_it_may_not(
    seed: int, shapes: list[tuple[Part, ...]], address: bool, noun: bool
) -> None:
    frames = [Frame(i, shape) for i, shape in enumerate(shapes)]
    words = {(part, i): 3 for part in "cewvn" for i in range(8)}
    grammar = ReferenceGrammar(vocabulary(), frames, words, nouns=(7,) if noun else (), address=address,
                               bounds=Bounds(2, 14))  # fmt: skip
    tokens = walk(grammar, random.Random(seed))
    text = "".join(vocabulary().text[token] for token in tokens)
    told = [(part, int(k)) for part, k in re.findall(r"<([cewv])><#(\d)>", text)]
    assert len(told) == len(set(told)), "a reference came twice"
    for frame in frames:
        parts = {part for part, k in told if k == frame.index}
        whole = set(frame.parts) - {"c"}
        assert parts == {"c"} or (parts == whole and frame.parts != ("e", "c"))
    assert [k for _, k in told] == sorted(k for _, k in told), "frames out of order"
    own = re.sub(r"<(?:[cewvn]><#\d|you)>", " x", text)
    assert re.fullmatch(r"[A-Za-z' ,.!?:;-]*", own), "a tag, a number or another sign"
    assert not re.search(r"[^.!?] (?!I(?![a-z]))[A-Z]", own), "a name"
    assert text.count("<you>") <= address
    assert own.rstrip()[-1] in ".!?"
    values = {(part, i): "the old mill" for part in "cewvn" for i in range(8)}
    said = render(tokens, values, "friend", vocabulary())
    assert len(said.text.split()) <= 14 + 3 * sum(max(1, len(shape) - 1) for shape in shapes) + 3
    assert "<" not in said.text


def test_an_unknown_tokenizer_is_refused() -> None:
    tokenizer = Tokenizer(models.BPE())
    with pytest.raises(ValueError, match="another model"):
        Vocabulary(tokenizer, 10)


def _ids(text: str) -> list[int]:
    split = re.findall(r"<[^>]+>|.", text)
    return [vocabulary().id[piece] if piece.startswith("<") else vocabulary().text.index(piece) for piece in split]


def test_references_are_realised_where_they_stand() -> None:
    values = {("c", 0): "The rope costs six silver.", ("e", 1): "the lamp", ("n", 5): "your dog"}
    assert render(_ids("<c><#0>."), values, "", vocabulary()).text == "The rope costs six silver."
    said = render(_ids("Well,<c><#0>, no?<e><#1>!"), values, "", vocabulary())
    assert said.text == "Well, the rope costs six silver, no? The lamp!"
    assert said.spans == (("c", 0, 1, 6), ("e", 1, 7, 9))
    assert render(_ids("Is<n><#5> well<you>?"), values, "friend", vocabulary()).text == "Is your dog well, friend?"


def _said(text: str, own: str | None = None) -> Rendered:
    return Rendered(text, own if own is not None else text, ())


WORDS = frozenset(["well", "no", "yes", "i", "don't", "know", "that", "it's", "so", "ask", "me", "something", "else"])


@pytest.mark.parametrize(
    ("text", "intent", "polarity", "why"),
    [
        ("I don't know.", "unknown", "", ""),
        ("Well, well.", "unknown", "", "does not admit not knowing"),
        ("I don't know.", "fact", "", "takes the answer back"),
        ("Yes. It's so.", "fact", "yes", ""),
        ("Well. It's so.", "fact", "yes", "no yes"),
        ("No. It's so.", "fact", "", "yes or no unasked"),
        ("Zorbo.", "heard", "", "not a word"),
        ("Ask me something else.", "locked", "", "said before"),
        ("...", "heard", "", "empty"),
    ],
)
def test_objections(text: str, intent: str, polarity: str, why: str) -> None:
    assert objection(_said(text), intent, polarity, words=WORDS, said=("Ask me something else, friend.",)) == why


def test_a_price_is_not_asked_in_anothers_name() -> None:
    said = _said("For rope I ask six.", "For … i ask …")
    assert objection(said, "fact", "", words={"for", "i", "ask"}, said=(), own_price=False) == "claims the sale"


def test_somebody_is_no_it() -> None:
    words = {"when", "did", "you", "see", "it", "last"}
    for thing, why in (("dad", "somebody is no it"), ("knife", "")):
        said = _said(f"Your {thing}? When did you see it last?", "…? When did you see it last?")
        assert objection(said, "heard", "", words=words, said=()) == why


def test_a_frame_holds_one_statement() -> None:
    words = {"come", "that's", "when", "opens"}
    for value, why in (("at dusk and closes at two", "two statements in one frame"), ("at dusk", "")):
        said = _said(f"Come {value}, that's when the stall opens.", "Come …, that's when … opens.")
        assert objection(said, "fact", "", words=words, said=()) == why


def test_a_name_that_was_given_is_not_asked_for() -> None:
    words = {"hello", "and", "who", "might", "you", "be"}
    said = _said("Hello. And who might you be?")
    assert objection(said, "hello", "", words=words, said=(), named=True) == "asks for a known name"
    assert objection(said, "hello", "", words=words, said=()) == ""
