"""What an instructor whispers: read as directions, and followed by a character without a language model."""

from __future__ import annotations

import asyncio

import pytest

from npc.dialogue.composed import ComposedResponder, phrases
from npc.dialogue.interface import WorldEvent
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.mind import CharacterMind
from npc.dialogue.whisper import Direction, read

from .minds import make_mind, say
from .test_composed import CHARACTER
from .test_mind import SMITH


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("say: I want my money back", "I want my money back."),
        ('Say "Who is in charge there?"', "Who is in charge there?"),
        ("tell him that you need it by Friday", "I need it by Friday."),
        ("say that nobody told you and that your son is ill", "Nobody told me and that my son is ill."),
        ("ask about the refund", "What about the refund?"),
        ("ask: is this recorded?", "Is this recorded?"),
    ],
)
def test_words_to_say_are_said_in_the_first_person(hint: str, said: str) -> None:
    assert read(hint).say == said


@pytest.mark.parametrize(
    ("hint", "wanted"),
    [
        ("be angrier", Direction(moods=(("anger", 0.8),))),
        ("Get a bit more impatient.", Direction(moods=(("anger", 0.8),))),
        ("calm down", Direction(moods=(("relief", 0.8),))),
        ("be less angry", Direction(moods=(("relief", 0.8),))),
        ("bring up the day off", Direction(topic="the day off")),
        ("go along with it", Direction(stance="agree")),
        ("don't agree to it", Direction(stance="refuse")),
        ("cry, and mention your mother", Direction(topic="your mother", moods=(("sadness", 0.8),))),
        ("be friendlier and go along with it", Direction(stance="agree", moods=(("trust", 0.8),))),
        ("the trainee is doing well", Direction()),
        ("", Direction()),
    ],
)
def test_directions(hint: str, wanted: Direction) -> None:
    assert read(hint) == wanted
    assert wanted.understood == (wanted != Direction())


def test_what_is_said_word_for_word_is_not_cut_into_directions() -> None:
    assert read("say: fine, and be angry then").say == "Fine, and be angry then."
    assert read("say: fine, and be angry then").moods == ()


# -- followed by the composed mind -------------------------------------------------------------------------------------


def mind_of(character: object = CHARACTER) -> CharacterMind:
    return make_mind(character, ComposedResponder(character, Knowledge(character)))  # type: ignore[arg-type]


def answers(*steps: str) -> list[str]:
    """What the character says; a step in brackets is whispered."""

    async def go() -> list[str]:
        mind, said = mind_of(), []
        for number, step in enumerate(steps):
            if step.startswith("("):
                assert not await mind.observe(WorldEvent("whisper", {"text": step.strip("()")}))
            else:
                said.append(" ".join(clause.text for clause in await say(mind, step, f"t{number}")))
        return said

    return asyncio.run(go())


def test_the_next_reply_says_it_and_the_one_after_is_its_own_again() -> None:
    first, second = answers(
        "(say: The river is too high today.)", "Good morning.", "What does a passenger on foot pay?"
    )
    assert first == "The river is too high today."
    assert "two coppers" in second


def test_what_is_to_be_brought_up_is_told_and_cited() -> None:
    async def go() -> None:
        mind = mind_of()
        await mind.observe(WorldEvent("whisper", {"text": "bring up your sister Ida"}))
        clauses = await say(mind, "Thank you.", "t1")
        assert "My sister Ida bakes bread on Mill Street." in [clause.text for clause in clauses]
        assert [c.fact_id for clause in clauses for c in clause.citations] == ["sister"]

    asyncio.run(go())


@pytest.mark.parametrize("topic", ["the silver under the plank", "how Maud sank the old ferry"])
def test_a_secret_stays_one_whoever_whispers(topic: str) -> None:
    said = " ".join(answers(f"(bring up {topic})", "Nice weather."))
    assert "third plank" not in said
    assert "sank" not in said


def test_it_goes_along_or_does_not() -> None:
    assert answers("(go along with it)", "You'll get a voucher, then.")[0].replace(",", "") in {
        line.replace("{you}", "").replace(",", "") for line in phrases.AGREED
    }
    assert answers("(refuse)", "You'll get a voucher, then.")[0] in {
        line.replace("{you}", "") for line in phrases.NOT_AGREED
    }


def test_a_feeling_is_felt_at_once() -> None:
    async def go() -> None:
        mind = mind_of()
        before = mind.state().affect
        await mind.observe(WorldEvent("whisper", {"text": "be angrier"}))
        after = mind.state().affect
        assert after.label == "anger"
        assert after.valence < before.valence
        assert (await say(mind, "Good morning."))[0].affect.label == "anger"

    asyncio.run(go())


def test_a_whisper_waits_while_something_else_must_be_said() -> None:
    """A line that safety or an action's question fixes did not follow the hint: the reply after it does."""

    async def go() -> None:
        mind = mind_of(SMITH)
        await mind.observe(WorldEvent("whisper", {"text": "say: Come back tomorrow."}))
        assert (await say(mind, "What of the election?", "t1"))[0].text == "I keep to iron."
        assert (await say(mind, "Fine weather.", "t2"))[0].text == "Come back tomorrow."

    asyncio.run(go())
