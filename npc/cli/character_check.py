"""`npc characters check`: what a character's file alone cannot show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from npc.config.authored import AuthoredFileError
from npc.dialogue.character import Character
from npc.dialogue.character_library import Installed
from npc.dialogue.conditions import is_sentence, problem_of
from npc.dialogue.knowledge.ingest import SUFFIXES, DocumentError, read_document
from npc.dialogue.knowledge.sources import files_of
from npc.dialogue.narrative_check import check_narrative
from npc.tts import VoiceNotFound, find_card


def problems_of(installed: Installed) -> list[str]:
    """One line each, with the file; lines that end in "(warning)" can be lived with."""
    character, folder = installed.character, installed.path.parent
    problems = [f"{installed.path}: {problem}" for problem in _conditions(character)]
    if character.narrative is not None:
        try:
            problems += check_narrative(folder / character.narrative)
        except AuthoredFileError as error:
            problems += error.problems
    problems += [f"{installed.path}: knowledge: {problem}" for problem in _documents(character, folder)]
    if character.voice.card is not None:
        try:
            find_card(character.voice.card)
        except (VoiceNotFound, AuthoredFileError) as error:
            problems.append(f"{installed.path}: voice: {error}; another is chosen by gender and age (warning)")
    if not character.licence:
        problems.append(f"{installed.path}: licence: say under which licence others may use the character (warning)")
    return problems


def _conditions(character: Character) -> Iterator[str]:
    """Conditions that can never be judged: a secret that never opens, an action that is always refused."""
    guarded = [(f"facts.{fact.id}", fact.tell_to) for fact in character.facts]
    guarded += [(f"knowledge.{source.path}", source.tell_to) for source in character.knowledge]
    for where, condition in guarded:
        # A misspelt kind ("flags:x") would be read as a sentence that nobody ever says.
        odd = condition is not None and re.fullmatch(r"\w+:\S+", condition.strip()) is not None
        if condition is not None and (odd or not is_sentence(condition)) and (problem := problem_of(condition)):
            yield f"{where}.tell_to: {problem}, or a sentence about what the player says"
    for action in character.actions:
        for condition in action.preconditions:
            if problem := problem_of(condition):
                yield f"actions.{action.name}.preconditions: {problem}"


def _documents(character: Character, folder: Path) -> Iterator[str]:
    """What is wrong with the character's documents, and what of them is left out."""
    for source in character.knowledge:
        try:
            files = files_of(folder, source)
        except DocumentError as error:
            yield str(error)
            continue
        if not files:
            yield f"{source.path!r} holds no file of the kinds {', '.join(source.include or SUFFIXES)}"
        for file in files:
            try:
                yield from (f"{note} (warning)" for note in read_document(file).notes)
            except DocumentError as error:
                yield str(error)
