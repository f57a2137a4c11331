"""A mind that does not read the trainee's feelings: it hears what was said and done with words, and nothing beyond.

Article 5(1)(f) of Regulation (EU) 2024/1689 prohibits AI systems that infer emotions of a natural person in the areas
of workplace and education, except for medical or safety reasons. In such packages (`Scenario.infers_emotion` False)
the character still takes an apology for an apology and an insult for an insult, which are acts of speech with a fixed
form or a plain meaning. What is left out: the emotion of the words, the arousal of the voice, and every guess that
rests on either. So there is nothing that could be shown, judged, sent or logged.
"""

from __future__ import annotations

from collections.abc import Mapping

from npc.dialogue.emotion_reading import DeliveryHabit, Encoder, PlayerReader, Reading


class SpeechActs(PlayerReader):
    """A reader for which the trainee's own emotion does not exist."""

    def __init__(self, encoder: Encoder | None) -> None:
        # Without the word classifier of the emotions: it is not even loaded.
        self._encoder = encoder

    def read(
        self, text: str, delivery: DeliveryHabit | None = None, measured: Mapping[str, float] | None = None
    ) -> Reading:
        text = " ".join(text[:600].split())
        if not text:
            return Reading()
        reaction, strength = self._by_form(text)
        if reaction is not None:
            return Reading(reaction, round(strength, 4), witnesses={"form": f"{reaction} {strength:.2f}"})
        reaction, strength = self._by_meaning(text)
        return Reading(reaction, round(strength, 4), witnesses={"meaning": f"{reaction} {strength:.2f}"})
