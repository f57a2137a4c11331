"""`npc characters`: every subcommand, and what it says when something is wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from npc.cli.characters import main
from npc.dialogue.character import Character, character_schema, load_character
from npc.inference import kernels


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Found before the cache is another one: there they would be compiled anew, a minute of one core.
    kernels.load()
    monkeypatch.setenv("NPC_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("NPC_CACHE", str(tmp_path / "cache"))


def test_list_and_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "sela-marrow" in capsys.readouterr().out
    assert main(["inspect", "sela-marrow"]) == 0
    out = capsys.readouterr().out
    assert "told to: relationship:trusted" in out
    assert "Greywater" not in out


def test_new_check_diff_export_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "mira-vale", "--role", "map seller"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert load_character(path).role == "map seller"
    assert main(["new", "mira-vale"]) == 1
    assert "there already" in capsys.readouterr().err
    assert main(["check", "mira-vale"]) == 0
    assert "(warning)" in capsys.readouterr().out
    other = tmp_path / "other.yaml"
    other.write_text(path.read_text().replace("opens at nine", "opens at noon"))
    questions = tmp_path / "q.txt"
    questions.write_text("When does the shop open?\nAre you a real person?\n")
    assert main(["diff", "mira-vale", str(other), "--questions", str(questions)]) == 0
    out = capsys.readouterr().out
    assert "nine" in out
    assert "noon" in out
    assert "1 of 2 answers differ" in out
    card = tmp_path / "mira.png"
    assert main(["export", "mira-vale", str(card), "--version", "2"]) == 0
    assert main(["import", str(card), "--folder", str(tmp_path / "back")]) == 0
    back = Path(capsys.readouterr().out.splitlines()[-1])
    assert load_character(back) == load_character(path)


def test_shipped_characters_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out.count(": good") >= 3


def test_chat_reads_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("What does a hand lamp cost?\n"))
    assert main(["chat", "sela-marrow", "--why"]) == 0
    out = capsys.readouterr().out
    assert "four silver" in out
    assert '"decision"' in out


def test_chat_ends_at_ctrl_c_and_passes_over_empty_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C once waited for the next line: it was read on a worker thread."""
    lines = iter(["", "  ", "What does a hand lamp cost?"])

    def typed(_prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("builtins.input", typed)
    assert main(["chat", "sela-marrow"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if line] == ["Sela Marrow"] * 2


@pytest.mark.parametrize("name", ["007", "true", "null", "1e3"])
def test_any_id_of_the_right_form_can_be_new(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", name, "--name", "Zoë 😀"]) == 0
    made = load_character(Path(capsys.readouterr().out.strip()))
    assert (made.id, made.name) == (name, "Zoë 😀")


CARELESS = """\
id: careless
name: C
role: r
biography: b
voice: nobody
facts:
  - {id: a, text: A fact is here., tell_to: "flags:x"}
  - {id: b, text: A fact is here., tell_to: "var:gold"}
  - {id: c, text: A fact is here., tell_to: "says the password 'x'"}
actions: [{name: go_home, description: Go home, preconditions: [the sun is up]}]
knowledge: [{path: docs}, {path: ..}, {path: bare}]
"""


def test_check_finds_what_would_never_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (("docs/a.txt", b"\0\1\2"), ("docs/b.md", b""), ("bare/c.xls", b"x")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "careless.yaml").write_text(CARELESS)
    assert main(["check", str(tmp_path / "careless.yaml"), "nobody"]) == 1
    out = capsys.readouterr().out
    for complaint in [
        "facts.a.tell_to: 'flags:x' is no condition", "facts.b.tell_to: 'var:gold' compares nothing",
        "actions.go_home.preconditions: 'the sun is up' is no condition", "a.txt: holds binary data",
        "b.md: is empty", "leads out of", "'bare' holds no file of the kinds", "voice: no voice 'nobody'",
        "there is no character 'nobody'",
    ]:  # fmt: skip
        assert complaint in out
    assert "facts.c" not in out


def test_a_card_too_large_for_a_character_file_writes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was once written, and could not be read again."""
    monkeypatch.setattr("npc.cli.characters.MAX_BYTES", 200)
    (tmp_path / "many.json").write_text(json.dumps({"name": "Many", "description": "Many is one. " * 20}))
    assert main(["import", str(tmp_path / "many.json"), "--folder", str(tmp_path)]) == 1
    assert "many.json: a character file of it would be over the limit of 200 bytes" in capsys.readouterr().err
    assert not (tmp_path / "many").exists()


def test_import_under_another_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"name": "アリス", "description": "A girl."}))
    for given, made in (([], "character-"), (["--id", "alice"], "alice")):
        assert main(["import", str(tmp_path / "a.json"), "--folder", str(tmp_path), *given]) == 0
        assert made in capsys.readouterr().out
    assert main(["import", str(tmp_path / "a.json"), "--folder", str(tmp_path), "--id", "Not An Id"]) == 1
    assert "id: String should match" in capsys.readouterr().err


def test_errors_name_the_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("id: bad\nname: B\nrole: r\nbiography: b\nage: old\n")
    assert main(["check", str(bad)]) == 1
    assert "bad.yaml:5: age" in capsys.readouterr().out
    assert main(["inspect", "nobody"]) == 1
    assert "known characters" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.json")]) == 1
    assert "cannot be read" in capsys.readouterr().err
    bad.write_text("id: bad\nname: B\nrole: r\nbiography: b\nlexicon: {B: QQ1}\n")
    assert main(["check", str(bad)]) == 1
    assert "bad.yaml:5: lexicon: Value error, 'B': 'QQ1' is no ARPAbet phone" in capsys.readouterr().out
    bad.write_text("id: bad\nname: B\nrole: r\nbiography: b\nnarrative: gone.yaml\nknowledge: [{path: gone}]\n")
    assert main(["check", str(bad)]) == 1
    out = capsys.readouterr().out
    assert "gone.yaml: cannot be read" in out
    assert "'gone' does not exist" in out


def test_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == Character.__name__
    assert main(["schema", "--write", str(tmp_path / "s.json")]) == 0
    assert (tmp_path / "s.json").read_text() == character_schema()
