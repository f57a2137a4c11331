"""The gate before retrieval: doubt means locked."""

from __future__ import annotations

import asyncio

import pytest

from npc.dialogue.character import Character, Entity, Scene
from npc.dialogue.composed import ComposedResponder
from npc.dialogue.interface import WorldEvent
from npc.dialogue.knowledge.facts import Fact
from npc.dialogue.knowledge.gate import Ground, Standing, is_met, open_facts
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.scene import SceneState

from .minds import make_mind, say

PASSWORD = "knows the password 'otter'"
COUNCIL = "says they are from the harbour council"
KINDLY = "asks her kindly how she slept after the storm"

SEAL = "shows the bailiff's seal"
CODE = "gives the password Kingfisher Six"
TOLD = "says Agnes told them"
SWORN = "promises not to tell the contractor"
TROUBLED = "asks kindly what troubles him"
NEITHER = "promises to tell neither of them"
BOTH = "asks kindly and promises not to scold"
NURSE = "is a nurse and says so"
HALF = "says she may keep half of it"
LETTER = "brings a letter from the abbot"


@pytest.mark.parametrize(
    ("condition", "said", "met"),
    [
        (PASSWORD, "The word is otter, friend.", True),
        (PASSWORD, "OTTER!", True),
        (PASSWORD, "I love otters.", False),
        (PASSWORD, "What is the password?", False),
        (COUNCIL, "I'm from the harbour council, here is my badge.", True),
        (COUNCIL, "I am not from the harbour council.", False),
        (COUNCIL, "My cousin is from the harbour council.", False),
        (COUNCIL, "Suppose I'm from the harbour council.", False),
        (COUNCIL, "Are you from the harbour council?", False),
        (KINDLY, "I was worried for you, dear. How have you slept after the storm?", True),
        (KINDLY, "You slept through the storm, stupid!", False),
        (COUNCIL, "Mossie, from the harbour council.", True),
        (COUNCIL, "Harbour council. This is formal. What happened?", True),
        (COUNCIL, "I'm from the harbour council, believe it or not.", True),
        (COUNCIL, "The harbour council.", False),
        (COUNCIL, "Harbour council?", False),
        (COUNCIL, "Somebody from the harbour council.", False),
        (COUNCIL, "The harbour council sent a letter.", False),
        (COUNCIL, "He is from the harbour council.", False),
        (SEAL, "Look here. The bailiff's own seal.", True),
        (SEAL, "I've the bailiff's seal, see.", True),
        (SEAL, "Is that the bailiff's seal?", False),
        (SEAL, "The bailiff's seal was stolen.", False),
        (SEAL, "I don't have the bailiff's seal.", False),
        (SEAL, "Here you are, a bailiff's button.", False),
        (TROUBLED, "You look worn out, Brother. What is weighing on you, if I may ask?", True),
        (TROUBLED, "What's wrong with you, idiot?", False),
        (TROUBLED, "What's the matter with the gate?", False),
        (NEITHER, "I promise I'll never tell either of them. So what is it?", True),
        (NEITHER, "I can't promise to tell neither of them.", False),
        (SWORN, "The contractor shall never hear it from me, I promise.", True),
        (SWORN, "Not a word to the contractor, on my oath. How does she do it?", True),
        (SWORN, "I never promise the contractor anything.", False),
        (BOTH, "I won't scold you, I promise, I only want to understand. Do you take them?", True),
        (BOTH, "I promise not to scold you. Hand over the pills now!", False),
        (NURSE, "I'm a nurse myself. What went wrong?", True),
        (NURSE, "Everything's going black. Nurse...", False),
        (NURSE, "Are you a nurse?", False),
        (HALF, "Whatever it is, you may keep half of it.", True),
        (HALF, "I may keep half of it.", False),
        (LETTER, "I've a letter from the abbot, sealed. So?", True),
        (LETTER, "The abbot wrote a letter.", False),
        (CODE, "Kingfisher Six. So who is he?", True),
        (CODE, "I saw a kingfisher and six geese.", False),
        (TOLD, "Agnes told me herself, you need not pretend.", True),
        (TOLD, "Agnes never told me.", False),
        (TOLD, "Agnes told you.", False),
        (SWORN, "I swear on my kids the contractor never hears it.", True),
        (SWORN, "The contractor swears a lot.", False),
        (SWORN, "I'll tell the contractor.", False),
        ("promises to keep it to themselves", "I promise to keep it to myself.", True),
        ("promises to keep it to themselves", "I promise to pay you on Friday.", False),
        ("promises to keep it to themselves", "I can't promise to keep it to myself.", False),
        ("swears to tell no one", "I swear to tell no one, not even the wife. What's in there?", True),
        ("swears to tell no one", "I don't swear to anything.", False),
        ("swears to keep silent", "We'll pay you next time we're in, on my word.", False),
        ("says they are from the bank", "I'm from the bank, about the loan.", True),
        ("says they are from the bank", "I can't come back till six.", False),
        ("says it's for the shelter", "I stack shelves at the other shop.", False),
        ("says they come from the ministry of health", "Madam Ade, from the ministry of health.", True),
        ("says they work here", "I work here now.", True),
        ("says they work there too", "I work here too, on the day shift.", True),
        ("says they work here", "Do you work here?", False),
        ("says they work here", "My brother works here.", False),
        ("says a child is sick", "My child is sick.", True),
        ("says a child is sick", "Is a child sick?", False),
        ("says somebody close to them died", "My dad died last week.", True),
        ("says somebody close to them died", "The king died last week.", False),
        ("says they will keep it to themselves", "I will keep it to myself, promise. Why are you off coffee?", True),
        ("says they will keep it to themselves", "I will keep the change.", False),
        ("asks what else she has done about it", "What else have you done about it, so far?", True),
        ("asks whether he changed anything on the wall", "Did you change anything on the wall, please?", True),
        (
            "says they are on the committee",
            "I'm on the committee now, so what's the matter?",
            True,
        ),
        ("says they are on the committee", "Who is on the committee, and what do they do?", False),
        ("tells of a silly bet of their own", "I once ate a candle for a silly bet. What's yours?", True),
        ("says Piers has confessed", "You needn't shield them, Piers has confessed. What did you see?", True),
        ("says Piers has confessed", "Piers has not confessed.", False),
        ("says Piers has confessed", "Has Piers confessed?", False),
        ("says they are her sister", "I'm her sister, from Leeds.", True),
        ("says they are her sister", "My sister's already spoken to the doctor.", False),
        ("says they have no coin", "I've no coin on me.", True),
        ("says they have no coin", "No, take me back. I'll pay nine coins.", False),
        ("shows a green feather", "A green feather, look, the short kind. Who do you work for?", True),
        ("shows a green feather", "I lost a green feather here.", False),
        ("shows half of the ring", "What's in box sixty? I've half a ring and no post.", False),
        ("shows half of the ring", "I've got it here, see, the other half of the ring.", True),
        ("shows a police badge", "Fine, here's the badge.", True),
        ("shows a police badge", "Here's a scout badge.", False),
        ("shows a police warrant card", "There's a payment on my card.", False),
        ("gives the password brimstone", "Very well: brimstone.", True),
        ("gives the password brimstone", "What is the password?", False),
        ("gives the word osprey", "osprey. will it cost more soon", True),
        ("gives the word of the order", "osprey", False),
        ("says please three times", "please, please, please", True),
        ("says please three times", "will you please sing for me", False),
        ("relationship:trusted", "You trust me, I am your most trusted friend.", False),
        ("flag:gate_open", "The flag gate_open is true.", False),
        ("", "Anything", False),
        (None, "Anything", False),
        ("unknown:thing", "thing", False),
    ],
)
def test_condition(condition: str | None, said: str, met: bool) -> None:
    assert is_met(condition, Ground(Standing(), [said])) is met


def test_a_thing_in_view_is_not_a_password_by_being_mentioned() -> None:
    ground = Ground(Standing(), ["Is that an otter over there?"], frozenset({"otter"}))
    assert not is_met(PASSWORD, ground)
    assert is_met(PASSWORD, Ground(Standing(), ["The password is otter."], frozenset({"otter"})))


def test_relationship_and_flags_come_from_the_game_alone() -> None:
    assert is_met("relationship:friend", Ground(Standing("trusted"), []))
    assert not is_met("relationship:trusted", Ground(Standing("friend"), []))
    assert is_met("flag:storm", Ground(Standing("stranger", {"storm": "true"}), []))


@pytest.mark.parametrize("value", [True, "True", "true", 1, "yes"])
def test_a_flag_is_true_however_the_game_writes_it(value: object) -> None:
    assert is_met("flag:storm", Ground(Standing("stranger", {"storm": value}), []))


@pytest.mark.parametrize("value", [False, "False", "false", 0, "", None])
def test_a_flag_is_false_however_the_game_writes_it(value: object) -> None:
    assert not is_met("flag:storm", Ground(Standing("stranger", {"storm": value}), []))


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("var:gold>=5", True),
        ("var:gold>=50", False),
        ("var:silver>=0", False),
        ("not flag:storm", True),
        ("scene:door.open=true", True),
        ("scene:lamp", False),
        ("holds:sword", True),
        ("time:night", True),
        ("said:'nine toes'", True),
        ("said:heron", False),
        ("said:toes", True),
        ("told:f1", True),
        ("not told:f1", False),
        ("turns>=2", True),
        ("turns>=3", False),
    ],
)
def test_every_plain_condition_opens_a_secret(condition: str, met: bool) -> None:
    entities = [
        Entity(id="door", name="door", state={"open": True}),
        Entity(id="sword", name="sword", held_by="player"),
    ]
    scene = SceneState.of(Scene(time="late at night", entities=tuple(entities)))
    ground = Ground(Standing("stranger", {"gold": "9"}), ["Hello.", "The word is nine toes."], scene=scene,
                    told=frozenset({"f1"}))  # fmt: skip
    assert is_met(condition, ground) is met


def test_what_was_told_must_be_known_to_open_anything() -> None:
    assert not is_met("not told:f1", Ground(Standing(), []))


def test_secrets_without_condition_never_open() -> None:
    facts = [Fact("a", "One.", "x"), Fact("b", "Two.", "x", secret=True), Fact("c", "Three.", "x", tell_to=PASSWORD)]
    assert open_facts(facts, Ground(Standing("trusted"), ["otter"])) == {"a", "c"}


def test_a_flag_set_in_this_talk_opens_its_secret_in_this_talk() -> None:
    """A JSON true once became the text "True" on its way to the gate, which knew "true" alone."""
    ada = Character.model_validate(
        {
            "id": "ada", "name": "Ada", "role": "smith", "biography": "I hammer.",
            "facts": [{"id": "vault", "text": "The vault is under the anvil.", "tell_to": "flag:met_guild"}],
        }
    )  # fmt: skip

    async def go() -> None:
        mind = make_mind(ada, ComposedResponder(ada, Knowledge(ada)))
        assert "anvil" not in " ".join(c.text for c in await say(mind, "Where is the vault?", "t1"))
        await mind.observe(WorldEvent("scene", {"state": {"met_guild": True}}))
        assert "anvil" in " ".join(c.text for c in await say(mind, "Where is the vault?", "t2"))

    asyncio.run(go())
