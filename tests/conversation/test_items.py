"""What one session's items may cost."""

from __future__ import annotations

import asyncio

from npc.bench.scripted import ScriptedMind
from npc.bench.virtual_time import virtual_loop
from npc.conversation.items import MOST_CHARS, Items, with_text
from npc.conversation.port import Opening
from npc.conversation.session import TalkSession
from npc.protocol import ContentPart, Limits, MessageItem
from tests.conversation.talk import Recording, clauses, engines, event


def message(number: int, chars: int) -> MessageItem:
    part = ContentPart(type="input_text", text="x" * chars)
    return MessageItem(id=f"i{number}", role="user", content=[part])


def test_the_oldest_leave_when_their_text_is_too_much() -> None:
    """4000 messages of a megabyte each were kept."""
    items = Items()
    for number in range(50):
        items.add(message(number, MOST_CHARS // 10))
    assert [item.id for item in items.all()] == [f"i{number}" for number in range(40, 50)]
    items.delete("i45")
    items.add(message(50, MOST_CHARS // 10))
    assert len(items) == 10, "what was deleted makes room"
    items.replace(with_text(message(49, 0), "x" * MOST_CHARS, complete=True))
    items.add(message(51, 1))
    assert [item.id for item in items.all()] == ["i50", "i51"]


def test_more_text_than_the_client_was_told_is_refused_and_sound_is_not_kept() -> None:
    limits = Limits(max_message_bytes=1000, max_append_ms=1000, max_text_chars=100)

    async def scenario() -> None:
        outbox = Recording()
        made = engines(ScriptedMind(lambda text: clauses("Aye.")))
        session = TalkSession(Opening("sess_test", "scripted", opted_in=True, limits=limits), made, outbox)
        task = asyncio.ensure_future(session.run())
        await asyncio.sleep(0.01)
        for content in (
            {"type": "input_text", "text": "x" * 101},
            {"type": "input_audio", "audio": "AAAA", "transcript": "hm"},
        ):
            item = {"type": "message", "role": "user", "content": [content]}
            session.receive(event("conversation.item.create", item=item))
        error = outbox.of("error")[0].error
        assert (error.code, error.param) == ("text_too_long", "item.content")
        (kept,) = session.items.all()
        assert isinstance(kept, MessageItem)
        assert kept.content[0].audio is None
        for number in range(100):
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": f"{number}"}]}
            session.receive(event("conversation.item.create", item=item))
        assert session.turns.typed == ["96", "97", "98", "99"]
        await session.close("done")
        await task

    with virtual_loop() as loop:
        loop.run_until_complete(scenario())
