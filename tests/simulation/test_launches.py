"""Attempts and launches over HTTP: who may see what, and how a learning system's learner gets in."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import numpy as np
import pytest
import yaml

from npc.server.settings import ServerSettings
from npc.server.training import Training
from npc.simulation.attempt import Attempt, save
from npc.simulation.standards.reporting import pseudonym
from tests.server.running import Running, running
from tests.server.scripted import ScriptedService
from tests.simulation.attempts import make
from tests.simulation.lrs_server import FakeLrs
from tests.simulation.test_cmi5 import DATA, query

KEY = "k" * 20
LMS = "https://lms.example.org"
SECRET = "package-secret-0123456789"


class Rehearsing(ScriptedService):
    """Knows one scenario."""

    def scenarios(self) -> Sequence[Mapping[str, Any]]:
        return [{"id": "angry-customer", "title": "The lost booking", "character": {"id": "ada"}}]

    async def transcribe(self, pcm: np.ndarray, rate: int) -> str:
        return ""


def go(
    folder: Path,
    settings: Mapping[str, Any],
    test: Callable[[Running, httpx.AsyncClient], Awaitable[None]],
    **more: Any,
) -> None:
    (folder / "training.yaml").write_text(yaml.safe_dump(dict(settings)))

    async def run() -> None:
        training = Training(folder)
        async with (
            running(Rehearsing(), ServerSettings(port=0, keys=(KEY,)), training) as server,
            httpx.AsyncClient(base_url=server.http, timeout=10) as client,
        ):
            await test(server, client)

    asyncio.run(run())


def recent(**changes: Any) -> Attempt:
    """An attempt whose retention has not run out."""
    return make(began=time.time() - 60, ended=time.time(), **changes)


def keyed(name: str = KEY) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


def entered(response: httpx.Response) -> dict[str, str]:
    """What the page is told in the fragment."""
    assert response.status_code == 303, response.text
    where = urlsplit(response.headers["location"])
    assert where.path == "/review-enter.html"
    assert where.query == "", "nothing that a log could keep"
    return {name: values[0] for name, values in parse_qs(where.fragment).items()}


async def ticket_of(client: httpx.AsyncClient, player: str, *scopes: str) -> str:
    asked = {"session": {"npc": {"player": {"id": player}, "scopes": list(scopes)}}}
    response = await client.post("/v1/realtime/client_secrets", json=asked, headers=keyed())
    return str(response.json()["value"])


def test_trainees_see_their_own_attempts_and_instructors_all(tmp_path: Path) -> None:
    for number, trainee in enumerate(("anna", "ben")):
        folder = tmp_path / "attempts" / f"att{number}"
        folder.mkdir(parents=True)
        save(recent(id=f"att{number}", trainee=trainee), folder)

    async def test(_: Running, client: httpx.AsyncClient) -> None:
        anna, teacher = await ticket_of(client, "anna"), await ticket_of(client, "carl", "instructor")
        for credential, seen in ((anna, ["anna"]), (teacher, ["anna", "ben"]), (KEY, ["anna", "ben"])):
            listed = await client.get("/v1/attempts", headers=keyed(credential))
            assert sorted(one["trainee"] for one in listed.json()["data"]) == seen
        assert (await client.get("/v1/attempts")).status_code == 401
        assert (await client.get("/v1/attempts/att1/report", headers=keyed(anna))).status_code == 404
        for path in ("../../etc", "%2e%2e%2fattempts", ".hidden", "x" * 200):
            assert (await client.get(f"/v1/attempts/{path}/report", headers=keyed())).status_code == 404
        report = await client.get("/v1/attempts/att0/report", headers=keyed(anna))
        assert "After-action review" in report.text
        assert report.headers["Cache-Control"] == "no-store"

        told = (await client.get("/v1/attempts/att0/result", params={"origin": LMS}, headers=keyed(anna))).json()
        assert (told["type"], told["success"], told["score"]["scaled"]) == ("npc.result", "passed", 0.6923)
        # The link in it opens the report without a header, and no other one.
        assert (await client.get("/" + told["report"])).status_code == 200
        assert (await client.get("/" + told["report"].replace("att0", "att1"))).status_code == 404
        pass_of_link = parse_qs(urlsplit(told["report"]).query)["ticket"][0]
        memory = "/v1/players/anna/memory?character=ada"
        for method, path in (("GET", "/v1/attempts"), ("DELETE", "/v1/trainees/anna"), ("GET", memory)):
            answer = await client.request(method, path, headers=keyed(pass_of_link))
            assert answer.status_code == 403, "the link's ticket opens its report and nothing else"
        refused = await client.get(
            "/v1/attempts/att0/result", params={"origin": "https://evil.org"}, headers=keyed(anna)
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_not_allowed")

    go(tmp_path, {"lms_origins": [LMS]}, test)


def test_erasing_over_http_needs_a_key_or_the_trainee_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "attempts" / "att0"
    folder.mkdir(parents=True)
    save(recent(id="att0", trainee="anna"), folder)

    async def test(_: Running, client: httpx.AsyncClient) -> None:
        teacher = await ticket_of(client, "carl", "instructor")
        assert (await client.delete("/v1/trainees/anna", headers=keyed(teacher))).status_code == 403
        anna = await ticket_of(client, "anna")
        told = (await client.delete("/v1/trainees/anna", headers=keyed(anna))).json()
        assert told["attempts"] == 1
        assert told["ask_also"] == [LMS]
        assert not folder.exists()

    go(tmp_path, {"lms_origins": [LMS]}, test)


def test_a_scorm_package_gets_its_learner_in_and_nobody_else(tmp_path: Path) -> None:
    good = {"scenario": "angry-customer", "secret": SECRET, "learner": "s-17", "name": "Ng, Anna", "report_to": LMS}
    settings = {"lms_origins": [LMS], "scorm": {"angry-customer": SECRET}}

    async def test(server: Running, client: httpx.AsyncClient) -> None:
        async def post(origin: str = LMS, **changes: str) -> httpx.Response:
            return await client.post("/v1/launch/scorm", data={**good, **changes}, headers={"Origin": origin})

        told = entered(await post())
        assert told["player"] == pseudonym(LMS, "s-17")
        assert told["report_to"] == LMS
        assert "Anna" not in json.dumps(told)
        listed = await client.get("/v1/attempts", headers=keyed(told["ticket"]))
        assert listed.json()["data"] == [], "the ticket lets in, to one's own things"
        assert (await post(secret="wrong")).json()["error"]["code"] == "package_secret"
        assert (await post(scenario="another")).json()["error"]["code"] == "unknown_scenario"
        assert (await post(report_to="https://evil.org")).json()["error"]["code"] == "origin_not_allowed"
        assert (await post(origin="https://evil.org")).status_code == 403
        # A learning system's origin may launch; it may not read.
        elsewhere = await client.get("/v1/attempts", headers={**keyed(), "Origin": LMS})
        assert elsewhere.status_code == 403

    go(tmp_path, settings, test)


def test_a_cmi5_launch_is_followed_only_to_registered_systems(tmp_path: Path) -> None:
    lrs = FakeLrs()
    lrs.documents["state:LMS.LaunchData"] = DATA
    origin = lrs.url.removesuffix("/xapi")
    given = {**query(lrs), "scenario": "angry-customer"}

    async def test(server: Running, client: httpx.AsyncClient) -> None:
        evil = await client.get("/v1/launch/cmi5", params={**given, "fetch": "http://169.254.169.254/latest"})
        assert evil.status_code == 403
        assert "169.254.169.254 is not one of lms_origins" in evil.json()["error"]["message"]
        assert lrs.token_fetches == 0
        told = entered(await client.get("/v1/launch/cmi5", params=given))
        assert told["back"] == "https://lms.example.org/back"
        assert len(lrs.statements) == 1
        again = await client.get("/v1/launch/cmi5", params=given)
        assert "launch it again" in again.json()["error"]["message"]

    try:
        go(tmp_path, {"lms_origins": [origin]}, test)
    finally:
        lrs.close()


def test_an_lti_launch_goes_through_login_cookie_and_token(tmp_path: Path) -> None:
    pytest.importorskip("jwt", reason="PyJWT is not installed (extra rehearsal)")
    pytest.importorskip("cryptography", reason="cryptography is not installed (extra rehearsal)")
    from tests.simulation import test_lti as platform_side

    registered = {"issuer": LMS, "client_id": "npc-1", "authorisation_url": LMS + "/auth", "token_url": LMS + "/token",
                  "keys_url": LMS + "/keys", "deployments": ["d-1"]}  # fmt: skip

    async def test(server: Running, client: httpx.AsyncClient) -> None:
        begin = {"iss": LMS, "login_hint": "h", "target_link_uri": "https://npc/x", "client_id": "npc-1"}
        login = await client.post("/v1/launch/lti/login", data=begin, headers={"Origin": LMS})
        assert login.status_code == 302
        asked = {name: values[0] for name, values in parse_qs(urlsplit(login.headers["location"]).query).items()}
        cookie = login.headers["set-cookie"]
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        body = platform_side.claims(nonce=asked["nonce"], iat=int(time.time()), exp=int(time.time()) + 60)
        form = urlencode({"state": asked["state"], "id_token": platform_side.signed(body)})
        headers = {"Origin": LMS, "Content-Type": "application/x-www-form-urlencoded"}
        without = await client.post("/v1/launch/lti", content=form, headers=headers)
        assert "not begun in this browser" in without.json()["error"]["message"]
        told = entered(
            await client.post("/v1/launch/lti", content=form, headers={**headers, "Cookie": cookie.split(";")[0]})
        )
        assert (told["player"], told["role"]) == (pseudonym(LMS, "user-17"), "trainee")
        keys = (await client.get("/v1/launch/lti/jwks")).json()["keys"]
        assert [(one["kty"], one["use"]) for one in keys] == [("RSA", "sig")]
        assert "d" not in keys[0], "the public part only"

    real = httpx.AsyncClient.get

    async def get(self: httpx.AsyncClient, url: Any, **more: Any) -> httpx.Response:
        if str(url) == LMS + "/keys":
            return httpx.Response(200, json=platform_side.KEY.public(), request=httpx.Request("GET", url))
        return await real(self, url, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.AsyncClient, "get", get)
        go(tmp_path, {"lms_origins": [LMS], "lti": [registered]}, test)


def test_without_training_yaml_nobody_is_launched(tmp_path: Path) -> None:
    async def test(_: Running, client: httpx.AsyncClient) -> None:
        form = {"scenario": "angry-customer", "secret": "", "report_to": LMS}
        assert (await client.post("/v1/launch/scorm", data=form)).status_code == 403
        assert (await client.post("/v1/launch/lti", data={})).status_code in (404, 405)

    go(tmp_path, {}, test)
