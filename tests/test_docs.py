"""What the documents say can be done as they say: links lead somewhere, commands take their options, examples load."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from npc.cli.main import COMMANDS, main
from npc.config.authored import parse
from npc.dialogue.character import Character
from npc.server import ServerSettings
from npc.simulation.standards import settings as standards
from npc.tts.cards import VoiceCard

ROOT = Path(__file__).resolve().parents[1]
#: The log tells of commands as they were.
DOCS = [
    ROOT / "README.md",
    *(doc for doc in sorted((ROOT / "docs").glob("*.md")) if doc.name not in ("log.md", "decisions.md")),
    *sorted((ROOT / "engine_plugins").glob("*/README.md")),
]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.M | re.S)


def prose(doc: Path) -> str:
    return FENCE.sub("", doc.read_text())


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: str(doc.relative_to(ROOT)))
def test_links_lead_somewhere(doc: Path) -> None:
    for place, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]+))?\)", prose(doc)):
        if place.startswith("http"):
            continue
        target = doc.parent / place if place else doc
        assert target.exists(), place
        if anchor:
            assert anchor in anchors(prose(target)), f"{place}#{anchor}"


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: str(doc.relative_to(ROOT)))
def test_files_and_modules_named_in_code_exist(doc: Path) -> None:
    text = doc.read_text()
    named = re.findall(r"(?<![\w./])((?:npc|docs|demo|scripts|tests|voices|engine_plugins)/[\w./*{},~-]*\w)", text)
    for name in named:
        head, brace, rest = name.partition("{")
        inner, _, tail = rest.partition("}")
        for part in inner.split(",") if brace else [""]:
            place = f"{head}{part}{tail}"
            assert list(ROOT.glob(place)) or list(ROOT.glob(f"{place}.*")), place
    for module in re.findall(r"python -m (npc[\w.]*\w)", text):
        assert importlib.util.find_spec(module), module


def commands(doc: Path) -> Iterator[list[str]]:
    """The words of every `npc …` in code, without what a comment or a gap of spaces sets apart."""
    text = doc.read_text()
    lines = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    for line in (*lines, *re.findall(r"`([^`]+)`", FENCE.sub("", text))):
        for found in re.findall(r"(?:^|; )(?:[A-Z_]+=\S+ )?npc ([a-z].*?)(?:  | #| ; |$)", line.strip()):
            words = found.split()
            if words[0] in COMMANDS:
                yield words


@cache
def help_of(*words: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return shown.getvalue()


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: str(doc.relative_to(ROOT)))
def test_commands_have_the_options_they_are_shown_with(doc: Path) -> None:
    for words in commands(doc):
        verb = words[1] if len(words) > 1 and words[1].isalnum() else "no verb"
        below = (words[0], verb) if re.search(rf"[{{,]{verb}[,}}]|^ +{verb} ", help_of(words[0]), re.M) else (words[0],)
        for word in words[1:]:
            if word.startswith("--"):
                option = word.partition("=")[0]
                assert re.search(rf"{option}\b", help_of(*below)), f"npc {' '.join(words)}: no {option}"


def yaml_blocks(name: str) -> list[str]:
    return [block for kind, block in FENCE.findall((ROOT / "docs" / name).read_text()) if kind == "yaml"]


def test_the_voice_card_is_one() -> None:
    (card,) = yaml_blocks("voices.md")
    assert parse(card, VoiceCard).id == "old-miller"


def test_the_facts_with_a_secret_are_a_characters() -> None:
    (facts,) = yaml_blocks("characters.md")
    who = {"id": "a", "name": "A", "role": "keeper", "biography": "I keep the shop.", **yaml.safe_load(facts)}
    assert [fact.is_secret for fact in Character.model_validate(who).facts] == [False, True]


def test_the_example_of_training_settings_loads() -> None:
    doc = standards.__doc__ or ""
    example = "\n".join(line[4:] for line in doc.splitlines() if line.startswith("    "))
    assert parse(example, standards.TrainingSettings).lti[0].client_id == "npc-1"


def test_the_key_that_is_shown_is_long_enough() -> None:
    (key,) = re.findall(r"NPC_SERVER__KEYS=(\S+) npc serve", (ROOT / "README.md").read_text())
    assert ServerSettings(host="0.0.0.0", keys=(key,))
