"""Turns that need no fact: what they are taken for, and what is said to them."""

from __future__ import annotations

import random

import pytest

from npc.dialogue.character import Character
from npc.dialogue.composed.features import Candidate
from npc.dialogue.composed.grounding import ground, is_empty_assent, move_of, nearest, offer
from npc.dialogue.context import Context, Exchange
from npc.dialogue.interface import PlayerTurn

CHARACTER = Character.model_validate(
    {
        "id": "ferryman",
        "name": "Hob",
        "role": "ferryman",
        "biography": "Hob rows.",
        "languages": ["en", "de"],
        "facts": [
            {"id": "fare", "text": "The ferry costs two coppers."},
            {"id": "last", "text": "The last ferry leaves at dusk."},
            {"id": "chest", "text": "A chest lies under the pier.", "secret": True},
        ],
        "actions": [
            {"name": "row", "description": "Row the player across."},
            {"name": "wait", "description": "Wait for a visitor (at most an hour)"},
            {"name": "unwait", "description": "Leave without them"},
            {"name": "sink", "description": "Sink the boat", "permission": "game"},
        ],
    }
)


def said(*exchanges: Exchange) -> Context:
    return Context(PlayerTurn("t", "…", False), history=exchanges)


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("What?", "repeat"),
        ("Sorry, I didn't catch that.", "repeat"),
        ("could you say that again please", "repeat"),
        ("What do you mean?", "meaning"),
        ("Really?", "sure"),
        ("Are you sure about that?", "sure"),
        ("Go on, please.", "more"),
        ("Tell me more about it", "more"),
        ("Anything else?", "more"),
        ("Tell me something interesting.", "anything"),
        ("Can you help me?", "help"),
        ("What can I do here?", "help"),
        ("What did I just say?", "echo"),
        ("Hello, is anybody there?", "presence"),
        ("So tell me a secret then", "secret"),
        ("Do you speak Spanish?", "language"),
        ("What would you do in my place?", "advice"),
        ("So what should I do now?", "advice"),
        ("What should I do about the leak?", None),
        ("What was that noise?", None),
        ("Tell me more about the bridge.", None),
        ("Can you help me lift this?", None),
        ("Go on board.", None),
        ("What do you know about Mara?", None),
        ("Really good soup.", None),
        ("", None),
    ],
)
def test_only_whole_turns_are_moves(text: str, move: str | None) -> None:
    assert move_of(text) == move


def test_what_was_said_is_said_again_with_its_source() -> None:
    context = said(Exchange("How much?", "The ferry costs two coppers.", ("fare",)))
    found = ground("repeat", CHARACTER, context, (), random.Random(1))
    assert found.values == {"text": "The ferry costs two coppers."}
    assert found.fact_ids == ("fare",)
    again = said(Exchange("What?", "I said: The ferry costs two coppers.", ("fare",)))
    assert ground("repeat", CHARACTER, again, (), random.Random(1)).values["text"] == "The ferry costs two coppers."


def test_more_is_near_what_was_told_and_never_told_twice() -> None:
    fare = Candidate("a", "The ferry costs two coppers.", "fact", "fare")
    last = Candidate("b", "The last ferry leaves at dusk.", "fact", "last")
    other = Candidate("c", "Eels sell well in spring.", "fact", "eels")
    context = said(Exchange("How much?", "The ferry costs two coppers.", ("fare",)))
    assert ground("more", CHARACTER, context, (other, fare, last), random.Random(1)).tell is last
    done = said(*context.history, Exchange("Go on.", "The last ferry leaves at dusk.", ("last",)))
    exhausted = ground("more", CHARACTER, done, (other, fare, last), random.Random(1))
    assert exhausted.tell is None
    assert exhausted.lines


def test_a_secret_is_told_only_when_open() -> None:
    chest = Candidate("s", "A chest lies under the pier.", "fact", "chest")
    assert ground("secret", CHARACTER, said(), (), random.Random(1)).tell is None
    assert ground("secret", CHARACTER, said(), (chest,), random.Random(1)).tell is chest


def test_the_player_s_words_come_back_as_they_were() -> None:
    context = said(Exchange("I lost my hat.", "I see."))
    assert ground("echo", CHARACTER, context, (), random.Random(1)).values == {"text": "I lost my hat."}


def test_an_offer_names_what_a_player_may_ask_for() -> None:
    assert offer(CHARACTER) == "I can row you across, wait for you or leave without them. Ask me about the ferry."
    assert "chest" not in offer(CHARACTER)
    assert "sink" not in offer(CHARACTER)


def test_yes_asks_for_nothing_where_nothing_was_offered() -> None:
    assert is_empty_assent("Yes please.", "The ferry costs two coppers.")
    assert is_empty_assent("Okay", "")
    assert not is_empty_assent("Yes please.", "Shall I row you across?")
    assert not is_empty_assent("Yes, row me across.", "")


def test_nearest_needs_a_shared_word() -> None:
    assert nearest("the ferry leaves", ["eels sell well", "a ferry costs two coppers"]) == 1
    assert nearest("the ferry leaves", ["eels sell well"]) is None
