"""Emotion: bounded, deterministic, in the expected direction, and able to say why."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.dialogue.character import Character, Goal, Personality
from npc.dialogue.emotion import HALF_LIFE, VAD, Baseline, EmotionState, Impulse, personality_mood
from npc.dialogue.emotion_appraisal import REACTIONS, Happening, appraise
from npc.dialogue.emotion_reading import DeliveryHabit, PlayerReader
from npc.dialogue.emotion_words import FOLD, load_word_emotions
from npc.protocol.names import EMOTIONS

READER = PlayerReader(load_word_emotions())


def person(**traits: float) -> Character:
    return Character(id="a", name="A", role="r", biography="b", personality=Personality(**traits))


def turn(state: EmotionState, text: str, now: float, character: Character) -> EmotionState:
    reading = READER.read(text)
    return state.feel(appraise(Happening(reading.reaction, reading.strength, text), character, state.mood[2]), now)


def test_tables_cover_every_emotion() -> None:
    assert set(VAD) == set(EMOTIONS) == set(HALF_LIFE)
    assert set(FOLD.values()) <= set(EMOTIONS)


def test_insult_apology_praise_moves_as_a_person_would() -> None:
    character = person(agreeableness=0.4, neuroticism=0.5)
    calm = EmotionState.rest(Baseline.of(character))
    hurt = turn(calm, "You useless fool, your work is a disgrace.", 10.0, character)
    again = turn(hurt, "You are a liar and a thief!", 20.0, character)
    sorry = turn(again, "I'm sorry, I apologise. Please forgive me.", 30.0, character)
    glad = turn(sorry, "You are the kindest person I have met. Well done!", 40.0, character)
    glad = turn(glad, "Thank you so much for everything.", 45.0, character)
    valence = [state.affect().valence for state in (calm, hurt, again, sorry, glad)]
    assert valence[1] < valence[0]
    assert valence[2] < valence[1]
    assert valence[3] > valence[2]
    assert valence[4] > max(valence[:4])
    assert hurt.affect().label == "anger"
    assert glad.affect().label in ("joy", "pride")
    assert "insulted" in again.why("anger")[0].cause


def test_what_was_stirred_last_shows_before_an_older_grudge() -> None:
    rest = EmotionState.rest(Baseline("neutral", (0.0, 0.0, 0.0)))
    cross = rest.feel([Impulse("anger", 0.5, "an insult")], 1.0)
    assert cross.affect().label == cross.fade(3.0).affect().label == "anger"
    thanked = cross.feel([Impulse("joy", 0.4, "thanks")], 5.0)
    assert thanked.affect().label == "joy"
    assert any(feeling.emotion == "anger" for feeling in thanked.feelings)
    assert cross.feel([Impulse("joy", 0.1, "a greeting")], 5.0).affect().label == "anger"


def test_personality_decides_between_anger_and_hurt() -> None:
    insult = Happening("insult", 0.9)
    hot = appraise(insult, person(agreeableness=0.1, neuroticism=0.2), 0.4)
    soft = appraise(insult, person(agreeableness=0.9, neuroticism=0.95), -0.5)
    assert max(hot, key=lambda i: i.strength).emotion == "anger"
    assert max(soft, key=lambda i: i.strength).emotion == "sadness"


@pytest.mark.parametrize(
    ("words", "touched"),
    [
        ("The harbour is on fire!", True),
        ("The old mine fell in.", True),
        ("My old knees hurt.", False),
        ("The bakery is on fire!", False),
    ],
)
def test_a_goal_is_touched_by_its_own_words_and_by_its_keywords(words: str, touched: bool) -> None:
    """The words of the goal itself once did nothing, and each word of a phrase touched it alone."""
    goal = Goal(text="Protect the harbour", priority=1.0, keywords=("old mine",))
    keeper = person().model_copy(update={"goals": (goal,)})
    causes = [impulse.cause for impulse in appraise(Happening("bad_news", 0.6, words), keeper)]
    assert all(("it touches my goal" in cause) is touched for cause in causes)


def test_feelings_fade_to_the_baseline() -> None:
    character = person()
    state = EmotionState.rest(Baseline("joy", (0.3, 0.2, 0.1))).feel([Impulse("anger", 0.9, "x")], 0.0)
    late = state.fade(7200.0)
    assert late.affect().label == "joy"
    assert late.mood == pytest.approx((0.3, 0.2, 0.1), abs=1e-3)
    assert character.personality.neuroticism == 0.5


def test_fading_in_steps_equals_fading_at_once() -> None:
    state = EmotionState.rest(Baseline("neutral", (0.1, 0.0, 0.0))).feel([Impulse("anger", 0.9, "x")], 0.0)
    stepped = state
    for now in range(1, 61):
        stepped = stepped.fade(float(now))
    once = state.fade(60.0)
    assert stepped.mood == pytest.approx(once.mood)
    assert stepped.feelings[0].strength == pytest.approx(once.feelings[0].strength)


def test_a_cause_felt_again_and_again_is_not_the_first_forgotten() -> None:
    """Of many causes those met first were once forgotten first, however often they came again."""
    state = EmotionState.rest(Baseline.of(person()))
    praise = Impulse("joy", 0.5, "praise")
    for number in range(40):
        state = state.feel([praise], float(number))
        state = state.feel([Impulse("curiosity", 0.2, f"thing {number}")], float(number))
    assert state.seen["joy: praise"] == 6


def test_praise_cannot_be_farmed() -> None:
    state = EmotionState.rest(Baseline("neutral", (0.0, 0.0, 0.0)))
    first = state.feel([Impulse("joy", 0.5, "praise")], 0.0)
    gain_first = first.feelings[0].strength
    second = first.feel([Impulse("joy", 0.5, "praise")], 0.0)
    assert second.feelings[0].strength - gain_first < 0.5 * (1 - gain_first)


impulses = st.builds(Impulse, st.sampled_from(EMOTIONS), st.floats(-2, 3), st.text(max_size=5))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.lists(impulses, max_size=6), st.floats(0, 1000)), max_size=30))
def test_always_bounded_and_deterministic(events: list[tuple[list[Impulse], float]]) -> None:
    def run() -> EmotionState:
        state, now = EmotionState.rest(Baseline("concern", (-0.5, 0.9, -1.0), 1.0)), 0.0
        for pushes, passed in events:
            now += passed
            state = state.feel(pushes, now)
        return state

    state = run()
    assert state == run()
    affect = state.affect()
    assert 0.0 <= affect.intensity <= 1.0
    assert all(-1.0 <= value <= 1.0 for value in (affect.valence, affect.arousal, affect.dominance, *state.mood))
    assert all(0.0 <= feeling.strength <= 1.0 for feeling in state.feelings)


@given(
    st.builds(Personality, openness=st.floats(0, 1), neuroticism=st.floats(0, 1)),
    st.sampled_from(REACTIONS),
    st.floats(-1, 2),
    st.floats(-1, 1),
)
def test_appraisal_is_total(p: Personality, reaction: str, strength: float, dominance: float) -> None:
    for impulse in appraise(Happening(reaction, strength, "x"), person(), dominance):
        assert impulse.emotion in EMOTIONS
        assert 0.0 < impulse.strength <= 1.0
        assert impulse.cause
    assert all(-1 <= value <= 1 for value in personality_mood(p))


@pytest.mark.parametrize(
    ("text", "reaction"),
    [
        ("You're a liar.", "insult"),
        ("I'm so sorry about your brother.", "sympathy"),
        ("I'm sorry, I was rude.", "apology"),
        ("Sorry, no, I meant the blue one.", "none"),
        ("Thank you, that helps.", "thanks"),
        ("I'll break your arm.", "threat"),
        ("Bad news: the mill burned down.", "bad_news"),
        ("Good morning! Where is the mill?", "greeting"),
        ("How much is the rope?", "none"),
        ("Are you a liar?", "none"),
        ("", "none"),
    ],
)
def test_fixed_forms(text: str, reaction: str) -> None:
    assert READER.read(text).reaction == reaction


@pytest.mark.parametrize(
    "asked", ["what happens if i miss the ferry", "and is it dangerous at night", "what's your favourite colour"]
)
def test_a_question_without_its_mark_is_not_judged_by_its_tone(asked: str) -> None:
    """A recogniser writes none; "ferry" and "miss" are sad words."""
    assert READER.read(asked).reaction == "none"


def test_what_only_begins_like_a_question_is_judged_by_its_tone() -> None:
    assert "tone" in READER.read("What a wonderful, lovely shop you have").witnesses
    assert "tone" in READER.read("I miss my sister so much").witnesses


def test_words_show_the_players_emotion() -> None:
    assert READER.read("I am so scared, I'm terrified of the dark").affect.label == "fear"
    assert READER.read("hahaha that is hilarious lol").affect.label == "amusement"
    assert READER.read("x" * 100_000).affect.intensity <= 1.0


def test_voice_is_compared_with_the_speakers_own_habit() -> None:
    habit = DeliveryHabit()
    usual = {"rate_wps": 2.5, "pitch_hz": 120.0, "energy_db": -30.0}
    loud = {"rate_wps": 3.4, "pitch_hz": 165.0, "energy_db": -22.0}
    assert habit.arousal(loud) == 0.0
    for _ in range(4):
        habit = habit.heard(usual)
    assert habit.arousal(usual) == pytest.approx(0.0, abs=1e-6)
    assert habit.arousal(loud) > 0.5
    assert habit.arousal({"pitch_hz": float("nan")}) == 0.0
    calm = READER.read("You're a liar.", habit, usual)
    shouted = READER.read("You're a liar.", habit, loud)
    assert shouted.strength > calm.strength
    assert shouted.affect.arousal > calm.affect.arousal
