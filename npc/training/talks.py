"""Written talks as requests meet them: every turn with what was said, told and done before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from npc.dialogue.actions_choice import Surroundings, Talk
from npc.dialogue.composed.likeness import context_before
from npc.dialogue.context import Exchange
from npc.dialogue.interface import Action
from npc.dialogue.knowledge.parts import parts
from npc.dialogue.scene import SceneState
from npc.training.minds import Said, Written


def talked(mind: Written) -> Iterator[tuple[Said, list[Exchange], list[Action | None]]]:
    """Every turn with the exchanges before it, as they would have gone, and what was done in each."""
    for talk in mind.talks:
        history: list[Exchange] = []
        done: list[Action | None] = []
        for said in talk:
            yield said, list(history), list(done)
            reply, told = "", tuple[str, ...]()
            if said.fact is not None and said.kind not in ("secret", "action_refused"):
                reply, told = mind.facts[said.fact - 1][0], (f"f{said.fact}",)
            history.append(Exchange(said.text, reply, told))
            done.append(Action("", said.action[0], said.action[1]) if said.action is not None else None)


def surroundings(
    mind: Written, scene: SceneState, history: Sequence[Exchange], done: Sequence[Action | None]
) -> Surroundings:
    """What the mind would fill arguments from at that point of the talk."""
    last = history[-1].reply if history else ""
    recent = [part for e in reversed(history[-4:]) for part in (e.read, e.player)]
    known = [part for text, condition in mind.facts if condition is None for part in parts(text)]
    return Surroundings(
        scene, last, before=context_before(history), talk=Talk(recent, tuple(reversed(done[-4:])), known),
        player_words="\n".join(e.player for e in history[-6:]),
    )  # fmt: skip
