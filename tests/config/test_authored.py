"""Hand-written files: whatever stands in them is read once, or is told with file and line what is wrong with it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from npc.config.authored import AuthoredFileError, load, parse


class Page(BaseModel):
    a: Any = None
    b: Any = None


_LEVELS = [
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: " + "[" * 200_000, "page:2: nested more than 100 levels deep"),
        ("a: 1\nb:\n" + "- " * 200_000, "page:3: nested more than 100 levels deep"),
        ("a: " + "{a: " * 20_000 + "1" + "}" * 20_000, "page:1: nested more than 100 levels deep"),
        ("a: &a [x]\n" + "".join(_LEVELS), "more than 200000 values"),
        ("a: &a [*a]", "page:1: an alias contains itself"),
        ("a: 1\na: 2", "page:2: the key 'a' stands twice"),
        ("a: 1\nb: 2026-02-30", "page:2: '2026-02-30' is not what it looks like .*put the text in quotes"),
        ("a: 1\nb: [!!int x]", "page:2: 'x' is not what it looks like"),
        ("? [1, 2]\n: 3", "page:1: not valid YAML: found unhashable key"),
        ("a: 1\n---\nb: 2", "page:2: not valid YAML"),
        ("a: \x00", "page: not valid YAML"),
        ("", "page:1: the file must hold a mapping of fields"),
        ("- a", "page:1: the file must hold a mapping of fields, found list"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(text: str, complaint: str) -> None:
    """Deep nesting once ended the whole process: the C parser's stack ran over."""
    began = time.monotonic()
    with pytest.raises(AuthoredFileError, match=complaint):
        parse(text, Page, "page")
    assert time.monotonic() - began < 5


def test_what_is_right_is_read() -> None:
    assert parse("a: &x {k: [1, 2]}\nb: {<<: *x, d: 2026-02-28}", Page).a == {"k": [1, 2]}
    assert parse('{"a": "2026-02-30", "b": ' + "[" * 98 + "]" * 98 + "}", Page).a == "2026-02-30"


class Note(BaseModel):
    model_config = ConfigDict(frozen=True)
    text: str


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "note.yaml"
    path.write_text("text: one")
    first = load(path, Note)
    assert load(path, Note) is first
    path.write_text("text: other")
    os.utime(path, ns=(1, 1))
    assert load(path, Note).text == "other"


def test_a_broken_file_stays_an_error_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "note.yaml"
    path.write_text("tex: one")
    for _ in range(2):
        with pytest.raises(AuthoredFileError, match=r"note\.yaml:1: text"):
            load(path, Note)
    path.write_text("text: mended")
    assert load(path, Note).text == "mended"
