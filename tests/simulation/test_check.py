"""`npc scenario check` proves what cannot be, with file and line, and draws the graph."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from npc.simulation.check import check, possible
from npc.simulation.graph import draw
from npc.simulation.package import list_scenarios, open_package
from tests.simulation.scenarios_made import write


def test_sound_scenarios_have_no_findings(tmp_path: Path) -> None:
    assert check(open_package(write(tmp_path / "till"))) == []
    for package in list_scenarios()[0]:
        assert [one for one in check(package) if one.level == "error"] == []


@pytest.mark.parametrize(
    ("change", "level", "complaint"),
    [
        (("story.yaml", 'flag:has_receipt"', 'flag:has_recipe"'), "error", "flag 'has_recipe' is set by nothing"),
        (("story.yaml", "var:printed=true", "var:printed=maybe"), "error", "can never hold"),
        (("story.yaml", '["flag:has_receipt"', '["turns>=4", "turns<2"'), "error", "can never hold"),
        (("scenario.yaml", "fact: reason", "fact: cause"), "error", "no fact 'cause'"),
        (("scenario.yaml", "objective: has_receipt", "objective: has_ink"), "error", "no objective 'has_ink'"),
        (("scenario.yaml", "action: print_receipt", "action: shred"), "error", "nobody can do 'shred'"),
        (("scenario.yaml", "metric: response_delay_s", "metric: charm"), "error", "no metric 'charm'"),
        (("scenario.yaml", "before: greet", "before: grunt"), "error", "no item 'grunt'"),
        (("scenario.yaml", "before: greet", "before: served"), "error", "kind objective have no moment"),
        (("scenario.yaml", "{name: hard, label: Hard", "{name: mean, label: Mean"), "error", "no position on the"),
        (("ada.yaml", "source: Ada,", "source: Ada, tell_to: 'flag:trusted_her',"), "warning", "fact 'reason' is told"),
        (("ada.yaml", "source: Ada,", "source: Ada, secret: true,"), "error", "no path can meet it"),
    ],
)
def test_what_cannot_be_is_found(tmp_path: Path, change: tuple[str, str, str], level: str, complaint: str) -> None:
    found = check(open_package(write(tmp_path / "till", change)))
    hits = [one for one in found if complaint in one.text]
    assert hits, found
    assert level in {one.level for one in hits}
    assert all(f"{change[0]}:" in one.place or "scenario.yaml:" in one.place for one in hits)


def test_orders_that_exclude_each_other_are_found(tmp_path: Path) -> None:
    back = "    - {id: back, kind: order, description: And back, before: ask, after: greet}\n    - {id: quick"
    found = check(open_package(write(tmp_path / "till", ("scenario.yaml", "    - {id: quick", back))))
    assert any("no path can meet both" in one.text for one in found)


def test_impossible_is_certain() -> None:
    values = {"gold": {3}, "open": {False, True}, "shut": {False}}
    assert possible("var:gold>=3", values, ())
    assert not possible("var:gold>3", values, ())
    assert possible("flag:open", values, ())
    assert not possible("flag:shut", values, ())
    assert possible({"any": ["flag:shut", "said:'please'"]}, values, ())
    assert not possible({"all": ["flag:open", "not flag:open"]}, values, ())
    assert not possible("told:secret", values, ("open-fact",))


def test_the_picture_holds_every_section(tmp_path: Path) -> None:
    for package in (*list_scenarios()[0], open_package(write(tmp_path / "till"))):
        root = ElementTree.fromstring(draw(package))
        texts = [node.text for node in root.iter() if node.text]
        assert all(section.id in texts for section in package.story.sections)
