"""Scenario packages: read whole or refused with file and line; signed, zipped, and not to be walked out of."""

from __future__ import annotations

import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from npc.config.paths import data_dir
from npc.simulation.attempt import attempt_schema
from npc.simulation.package import SIGNATURE, PackageError, list_scenarios, make_key, open_package, pack, sign
from npc.simulation.scenario import scenario_schema
from tests.simulation.scenarios_made import write

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"


@pytest.mark.parametrize(("name", "schema"), [("scenario", scenario_schema), ("attempt", attempt_schema)])
def test_published_schemas_are_current(name: str, schema: object) -> None:
    assert callable(schema)
    committed = (SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")
    assert committed == schema(), "run `npc scenario schema [--attempt] --write FILE`"


def test_shipped_scenarios_fit_the_issue() -> None:
    packages, errors = list_scenarios()
    assert errors == ()
    shipped = {p.scenario.id: p for p in packages if p.folder.is_relative_to(data_dir("demo"))}
    assert {"angry-customer", "clinical-intake", "safety-stop"} <= shipped.keys()
    for package in shipped.values():
        items = package.scenario.rubric.items
        assert len(items) >= 10
        assert len({item.kind for item in items}) >= 6
        assert len(package.scenario.levels) == 3
        assert package.scenario.debrief


def test_unsigned_is_a_warning_and_a_signature_names_its_key(tmp_path: Path) -> None:
    folder = write(tmp_path / "till")
    package = open_package(folder)
    assert package.signer is None
    assert "not signed" in package.warnings[0]
    made = make_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    assert sign(folder, tmp_path / "key.pem") == made
    signed = open_package(folder)
    assert signed.signer == made
    assert signed.warnings == ()
    assert signed.digest == package.digest


def test_a_package_is_read_again_only_when_one_of_its_files_changed(tmp_path: Path) -> None:
    folder = write(tmp_path / "till")
    package = open_package(folder)
    assert open_package(folder) is package
    (folder / "notes.md").write_text("new")
    assert open_package(folder).digest != package.digest
    (folder / "scenario.yaml").unlink()
    with pytest.raises(PackageError, match="no such file"):
        open_package(folder)


@pytest.mark.parametrize("harm", ["changed", "added", "removed", "resigned list"])
def test_a_signed_package_cannot_be_changed_unnoticed(tmp_path: Path, harm: str) -> None:
    folder = write(tmp_path / "till")
    make_key(tmp_path / "key.pem")
    sign(folder, tmp_path / "key.pem")
    if harm == "changed":
        (folder / "ada.yaml").write_text((folder / "ada.yaml").read_text() + "# x\n")
    elif harm == "added":
        (folder / "more.txt").write_text("more")
    elif harm == "removed":
        (folder / "ada.yaml").unlink()
    else:
        data = json.loads((folder / SIGNATURE).read_text())
        data["files"]["ada.yaml"] = "0" * 64
        (folder / SIGNATURE).write_text(json.dumps(data))
    with pytest.raises(PackageError, match=r"changed|not in the signed|missing|does not fit"):
        open_package(folder)


def test_a_zip_is_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPC_CACHE", str(tmp_path / "cache"))
    folder = write(tmp_path / "till")
    first, second = pack(folder, tmp_path / "a.zip"), pack(folder, tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()
    assert open_package(first).digest == open_package(folder).digest


@pytest.mark.parametrize("entry", ["../evil.yaml", "/evil.yaml", "a\\..\\evil.yaml"])
def test_a_zip_that_leads_out_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setenv("NPC_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("scenario.yaml", "x")
        archive.writestr(zipfile.ZipInfo(entry), "x")
    with pytest.raises(PackageError, match="leads out"):
        open_package(tmp_path / "bad.zip")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("scenario.yaml", "title: At the till", "title: [unclosed"), r"scenario\.yaml:4: not valid YAML"),
        (("scenario.yaml", "kind: timing", "kind: telepathy"), r"scenario\.yaml:22: rubric\.items\.4\.kind"),
        (("scenario.yaml", "metric: response_delay_s, max: 10", "max: 10"), "kind timing needs metric"),
        (("scenario.yaml", "default_level: easy", "default_level: mild"), "default_level 'mild'"),
        (("scenario.yaml", "file: ada.yaml", "file: ../ada.yaml"), r"scenario\.yaml:8: .*leads out"),
        (("scenario.yaml", "file: ada.yaml", "file: bea.yaml"), r"bea\.yaml: cannot be read"),
        (("story.yaml", "to: gone", "to: nowhere"), r"story\.yaml:\d+: .*no section 'nowhere'"),
        (("ada.yaml", "name: Ada Quill", "nome: Ada Quill"), r"ada\.yaml:3: nome"),
    ],
)
def test_what_is_broken_is_named_with_file_and_line(
    tmp_path: Path, change: tuple[str, str, str], complaint: str
) -> None:
    with pytest.raises(PackageError, match=complaint):
        open_package(write(tmp_path / "till", change))


def test_emotions_of_trainees_are_refused_at_work_without_a_reason(tmp_path: Path) -> None:
    judged = "    - {id: calm, kind: emotion, description: Stays calm, emotions: [trust]}\n"
    item = ("scenario.yaml", "    - {id: served", judged + "    - {id: served")
    work = ("scenario.yaml", "sector: consumer", "sector: workplace")
    with pytest.raises(PackageError, match=r"Article 5\(1\)\(f\)"):
        open_package(write(tmp_path / "a", item, work))
    reason = (
        "scenario.yaml",
        "sector: workplace",
        "sector: workplace\nprivacy: {emotion: {reason: safety, statement: Crane drivers must not be exhausted.}}",
    )
    assert open_package(write(tmp_path / "b", item, work, reason)).scenario.infers_emotion
    assert open_package(write(tmp_path / "c", item)).scenario.infers_emotion


def test_a_zip_whose_contents_are_damaged_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checksum or compressed data is wrong: that once ended the command and the listing of all scenarios."""
    monkeypatch.setenv("NPC_CACHE", str(tmp_path / "cache"))
    raw = pack(write(tmp_path / "till"), tmp_path / "good.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "good.zip") as archive:
        begins = [info.header_offset + 30 + len(info.filename) for info in archive.infolist()]
    for place in begins:
        for byte in (0x00, 0xFF):
            bad = bytearray(raw)
            bad[place : place + 8] = bytes([byte]) * 8
            (tmp_path / "bad.zip").write_bytes(bytes(bad))
            with pytest.raises(PackageError, match="not a zip that can be read"):
                open_package(tmp_path / "bad.zip")


def test_a_name_that_is_a_file_and_a_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPC_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for name in ("scenario.yaml", "a", "a/b"):
            archive.writestr(name, "x")
    with pytest.raises(PackageError, match="cannot be unpacked"):
        open_package(tmp_path / "bad.zip")


def test_a_zip_may_be_opened_by_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They once unpacked into one folder and took each other's files away."""
    monkeypatch.setenv("NPC_CACHE", str(tmp_path / "cache"))
    folder = write(tmp_path / "till")
    for number in range(100):
        (folder / f"more-{number}.txt").write_text(str(number))
    path = pack(folder, tmp_path / "till.zip")
    write_bytes = Path.write_bytes

    def slowly(self: Path, data: bytes) -> int:
        time.sleep(0.0005)
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", slowly)
    with ThreadPoolExecutor(8) as pool:
        assert {package.digest for package in pool.map(open_package, [path] * 8)} == {open_package(folder).digest}
    assert [one.name for one in (tmp_path / "cache" / "scenarios").iterdir() if "new" in one.name] == []
