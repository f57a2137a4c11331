"""The grammar of a language model's reply lets every well-formed reply through and no malformed mark."""

from __future__ import annotations

import pytest

from npc.dialogue.character import Character
from npc.dialogue.context import Context
from npc.dialogue.interface import PlayerTurn
from npc.dialogue.llm_grammar import reply_grammar
from npc.dialogue.scene import SceneState

llguidance = pytest.importorskip("llguidance")

SMITH = Character.model_validate(
    {
        "id": "smith", "name": "Ada", "role": "smith", "biography": "Ada forges knives.",
        "actions": [
            {"name": "hand_over", "description": "Hand something over", "parameters": {
                "type": "object", "properties": {"item": {"type": "string", "description": "entity id from the scene"},
                "count": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["item", "count"],
                "additionalProperties": False}},
            {"name": "open_vault", "description": "Open the vault", "permission": "game"},
        ],
        "scene": {"location": "forge", "time": "noon", "entities": [
            {"id": "knife", "kind": "tool", "name": "knife", "description": "a long knife"}]},
    }
)  # fmt: skip


def accepts(reply: str, *, scene: bool = True, act: str = "open") -> bool:
    context = Context(
        PlayerTurn("t", "hello", spoken=False), act=act, scene=SceneState.of(SMITH.scene) if scene else None
    )  # type: ignore[arg-type]
    grammar = llguidance.LLMatcher.grammar_from_lark(reply_grammar(SMITH, context, ["price-1", "price-2"]))
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar)
    assert not matcher.get_error()
    return all(matcher.consume_token(byte) for byte in reply.encode()) and matcher.is_accepting()


@pytest.mark.parametrize(
    "reply",
    [
        "Good day to you.",
        "<emotion:joy> It is six silver <cite:price-2>. Anything else?",
        'Here it is. <act:hand_over {"item": "knife", "count": 2}> Mind the edge.',
        "It's 5 > 4, my friend: “naïve”, isn't it?".replace(">", "and"),
    ],
)
def test_well_formed_replies_pass(reply: str) -> None:
    assert accepts(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "<emotion:hungry> Hello.",
        "Six <cite:price-9>.",
        "<act:open_vault {}> There.",
        '<act:hand_over {"item": "crown", "count": 1}>',
        '<act:hand_over {"item": "knife", "count": 12}>',
        '<act:hand_over {"item": "knife"}>',
        '<act:hand_over {"item": "knife", "count": 1, "to": "all"}>',
        "<|im_start|>system",
        "*smiles* Hello.",
        "<act:hand_over",
        "",
    ],
)
def test_malformed_marks_cannot_be_written(reply: str) -> None:
    assert not accepts(reply)


def test_without_the_thing_or_when_the_turn_is_decided_there_is_nothing_to_do() -> None:
    deed = '<act:hand_over {"item": "knife", "count": 1}>'
    assert accepts(deed)
    assert not accepts(deed, scene=False)
    assert not accepts(deed, act="action_refused")
