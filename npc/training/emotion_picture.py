"""The picture of a scripted quarrel: `python -m npc.training.emotion_picture docs/images/emotion.svg`.

Insult, insult, apology, praise, thanks, with the pauses of a talk. Above: valence, arousal and dominance; below: the
strongest feelings and the label that shows, then what voice and face are given to do. The same figures are asserted in
tests/dialogue/test_emotion.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from npc.animation.channels import INDEX
from npc.animation.expression import expression
from npc.dialogue.character import Character, Personality
from npc.dialogue.emotion import Baseline, EmotionState
from npc.dialogue.emotion_appraisal import Happening, appraise
from npc.dialogue.emotion_reading import PlayerReader
from npc.dialogue.emotion_words import load_word_emotions
from npc.tts import prosody_of

#: (second, what it is, what the player says)
SCRIPT: tuple[tuple[float, str, str], ...] = (
    (10.0, "insult", "You useless fool, your work is a disgrace."),
    (25.0, "insult", "You are a liar and a thief!"),
    (60.0, "apology", "I'm sorry. I apologise, that was unfair of me."),
    (85.0, "praise", "You run the best stall in the whole city. Well done!"),
    (105.0, "thanks", "Thank you so much for your patience."),
)
SECONDS = 180


def course(character: Character) -> list[tuple[float, EmotionState]]:
    """The state at every second of the script."""
    reader = PlayerReader(load_word_emotions())
    state = EmotionState.rest(Baseline.of(character))
    waiting = list(SCRIPT)
    states = []
    for second in range(SECONDS):
        state = state.fade(float(second))
        while waiting and waiting[0][0] <= second:
            _, _, text = waiting.pop(0)
            reading = reader.read(text)
            happening = Happening(reading.reaction, reading.strength, text)
            state = state.feel(appraise(happening, character, state.affect().dominance), float(second))
        states.append((float(second), state))
    return states


def draw(path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "npc"
    from matplotlib import pyplot

    character = Character(
        id="sela", name="Sela", role="merchant", biography="I sell lamps.",
        personality=Personality(agreeableness=0.5, neuroticism=0.4, extraversion=0.7),
    )  # fmt: skip
    states = course(character)
    seconds = [second for second, _ in states]
    figure, axes = pyplot.subplots(4, 1, figsize=(9, 9), sharex=True, layout="constrained")
    for name in ("valence", "arousal", "dominance"):
        axes[0].plot(seconds, [getattr(state.affect(), name) for _, state in states], label=name)
    axes[0].set_ylabel("state")
    axes[0].set_ylim(-1, 1)
    for emotion in ("anger", "sadness", "relief", "pride", "joy"):
        strengths = [next((f.strength for f in state.feelings if f.emotion == emotion), 0.0) for _, state in states]
        axes[1].plot(seconds, strengths, label=emotion)
    axes[1].set_ylabel("feelings")
    axes[1].set_ylim(0, 1)
    voices = [prosody_of(a.valence, a.arousal, a.dominance) for a in (state.affect() for _, state in states)]
    axes[2].plot(seconds, [voice.pitch_semitones for voice in voices], label="pitch, semitones")
    axes[2].plot(seconds, [10 * (voice.rate - 1) for voice in voices], label="speaking rate, +10 %")
    axes[2].plot(seconds, [10 * (voice.energy - 1) for voice in voices], label="energy, +10 %")
    axes[2].set_ylabel("voice")
    faces = [expression(state.affect()) for _, state in states]
    for channel in ("mouthSmileLeft", "mouthFrownLeft", "browDownLeft"):
        axes[3].plot(seconds, [float(face[INDEX[channel]]) for face in faces], label=channel)
    axes[3].set_ylabel("face")
    axes[3].set_xlabel("seconds")
    for axis in axes:
        axis.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        axis.legend(loc="upper right", fontsize=8, ncols=3, frameon=False)
        for second, _, _ in SCRIPT:
            axis.axvline(second, color="0.85", linewidth=0.8, zorder=0)
    for second, name, _ in SCRIPT:
        axes[0].annotate(name, (second + 1, -0.92), fontsize=8, color="0.35")
    shown = ""
    for second, state in states:
        label = state.affect().label
        if label != shown:
            axes[1].annotate(label, (second + 1, 0.9), fontsize=8, color="0.35")
            shown = label
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m npc.training.emotion_picture", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("docs/images/emotion.svg"))
    draw(parser.parse_args(argv).out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
