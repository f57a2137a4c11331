"""LTI 1.3: our check takes and refuses what pylti1p3 takes and refuses; grades are as that library sends them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

jwt = pytest.importorskip("jwt", reason="PyJWT is not installed (extra rehearsal)")
pytest.importorskip("cryptography", reason="cryptography is not installed (extra rehearsal)")

from npc.simulation.standards.delivery import Backoff, Delivery  # noqa: E402
from npc.simulation.standards.grades import GradeBook, ToolKey, grade, scores_url  # noqa: E402
from npc.simulation.standards.lti import (  # noqa: E402
    LINE_ITEM_SCOPE,
    LOGIN_S,
    SCORE_SCOPE,
    Login,
    Logins,
    LtiError,
    Platform,
    verify,
)
from npc.simulation.standards.outbox import Outbox  # noqa: E402
from tests.simulation.attempts import make  # noqa: E402

NOW = time.time()
CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
PLATFORM = Platform(
    issuer="https://lms.example.org",
    client_id="npc-1",
    authorisation_url="https://lms.example.org/auth?tenant=3",
    token_url="https://lms.example.org/token",
    keys_url="https://lms.example.org/keys",
    deployments=("d-1",),
)
KEY, OTHER = ToolKey.make(), ToolKey.make()


def login(nonce: str = "nonce-1") -> Login:
    return Login("state-1", nonce, PLATFORM, NOW)


def claims(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "iss": PLATFORM.issuer,
        "aud": PLATFORM.client_id,
        "sub": "user-17",
        "exp": int(NOW) + 36_000,
        "iat": int(NOW),
        "nonce": "nonce-1",
        CLAIM + "version": "1.3.0",
        CLAIM + "message_type": "LtiResourceLinkRequest",
        CLAIM + "deployment_id": "d-1",
        CLAIM + "target_link_uri": "https://npc.example.org/v1/launch/lti",
        CLAIM + "resource_link": {"id": "link-1"},
        CLAIM + "roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"],
        CLAIM + "custom": {"scenario": "angry-customer"},
        "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint": {
            "scope": [SCORE_SCOPE, LINE_ITEM_SCOPE],
            "lineitem": "https://lms.example.org/items/9?type=a",
            "lineitems": "https://lms.example.org/items",
        },
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


def signed(body: Mapping[str, Any], key: ToolKey = KEY, **header: Any) -> str:
    token: str = jwt.encode(dict(body), key.pem, algorithm="RS256", headers={"kid": key.kid, **header})
    return token


def theirs(token: str) -> bool:
    """Whether pylti1p3 lets this launch in."""
    pylti = pytest.importorskip("pylti1p3.message_launch", reason="pylti1p3 is not installed (extra dev)")
    from pylti1p3.cookie import CookieService
    from pylti1p3.exception import LtiException
    from pylti1p3.request import Request
    from pylti1p3.session import SessionService
    from pylti1p3.tool_config import ToolConfDict

    class Asked(Request):
        def __init__(self) -> None:
            self.store: dict[str, Any] = {"lti1p3-nonce-nonce-1": True}

        @property
        def session(self) -> dict[str, Any]:
            return self.store

        def is_secure(self) -> bool:
            return True

        def get_param(self, name: str) -> str:
            return {"id_token": token, "state": "state-1"}.get(name, "")

    class Cookies(CookieService):
        def get_cookie(self, name: str) -> str | None:
            return "state-1"

        def set_cookie(self, name: str, value: Any, exp: int = 3600) -> None:
            return None

    class Launch(pylti.MessageLaunch):  # type: ignore[misc, name-defined]
        def _get_request_param(self, name: str) -> str:
            return str(self._request.get_param(name))

    config = ToolConfDict(
        {
            PLATFORM.issuer: {
                "client_id": PLATFORM.client_id,
                "auth_login_url": PLATFORM.authorisation_url,
                "auth_token_url": PLATFORM.token_url,
                "key_set_url": PLATFORM.keys_url,
                "key_set": KEY.public(),
                "deployment_ids": list(PLATFORM.deployments),
            }
        }
    )
    asked = Asked()
    try:
        Launch(asked, config, SessionService(asked), Cookies()).validate()
    except Exception as error:
        # An issuer that is not registered is a bare Exception there.
        if not isinstance(error, LtiException) and "not found in settings" not in str(error):
            raise
        return False
    return True


def ours(token: str) -> bool:
    try:
        verify(token, login(), KEY.public(), NOW)
    except LtiError:
        return False
    return True


def test_a_good_launch_is_let_in_by_both_and_read_whole() -> None:
    token = signed(claims())
    assert theirs(token)
    launch = verify(token, login(), KEY.public(), NOW)
    assert (launch.user, launch.scenario, launch.instructor) == ("user-17", "angry-customer", False)
    assert launch.line_item == "https://lms.example.org/items/9?type=a"
    assert SCORE_SCOPE in launch.scopes
    teacher = {CLAIM + "roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"]}
    assert verify(signed(claims(**teacher)), login(), KEY.public(), NOW).instructor


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example.org"},
        {"aud": "another-tool"},
        {"nonce": "nonce-of-another-login"},
        {"exp": int(NOW) - 3600},
        {"sub": None},
        {CLAIM + "version": "1.1"},
        {CLAIM + "message_type": "LtiSomethingElse"},
        {CLAIM + "deployment_id": "d-2"},
        {CLAIM + "resource_link": {}},
    ],
    ids=str,
)
def test_what_is_wrong_with_a_launch_is_refused_by_both(change: dict[str, Any]) -> None:
    token = signed(claims(**change))
    assert not theirs(token)
    assert not ours(token)


def test_a_forged_signature_is_refused_by_both() -> None:
    for token in (signed(claims(), OTHER), signed(claims(), OTHER, kid=KEY.kid)):
        assert not theirs(token)
        assert not ours(token)


def test_no_other_algorithm_is_taken() -> None:
    unsigned = jwt.encode(claims(), None, algorithm="none", headers={"kid": KEY.kid})
    with pytest.raises(LtiError, match="RS256"):
        verify(unsigned, login(), KEY.public(), NOW)
    shared = jwt.encode(claims(), "public" * 8, algorithm="HS256", headers={"kid": KEY.kid})
    with pytest.raises(LtiError, match="RS256"):
        verify(shared, login(), KEY.public(), NOW)
    with pytest.raises(LtiError, match="not valid"):
        verify("not.a.token", login(), KEY.public(), NOW)


@pytest.mark.parametrize(("skew", "let_in"), [(-50.0, True), (50.0, True), (-4000.0, False), (4000.0, False)])
def test_clocks_may_differ_by_a_minute(skew: float, let_in: bool) -> None:
    token = signed(claims(iat=int(NOW + skew), exp=int(NOW + skew) + 5))
    assert ours(token) == let_in


def test_the_login_sends_the_browser_to_the_platform_and_is_answered_once() -> None:
    ids = iter("abcdef")
    logins = Logins([PLATFORM], new_id=lambda: next(ids) * 8)
    begun, url = logins.begin(
        {"iss": PLATFORM.issuer, "login_hint": "h", "target_link_uri": "https://t", "lti_message_hint": "m"},
        "https://npc.example.org/v1/launch/lti",
        NOW,
    )
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith("https://lms.example.org/auth?tenant=3&")
    assert asked["response_mode"] == "form_post"
    assert (asked["state"], asked["nonce"], asked["lti_message_hint"]) == (begun.state, begun.nonce, "m")
    with pytest.raises(LtiError, match="not begun in this browser"):
        logins.take(begun.state, None, NOW)
    assert logins.take(begun.state, begun.state, NOW) == begun
    with pytest.raises(LtiError, match="used already"):
        logins.take(begun.state, begun.state, NOW)
    late, _ = logins.begin({"iss": PLATFORM.issuer, "login_hint": "h", "target_link_uri": "t"}, "u", NOW)
    with pytest.raises(LtiError, match="too old"):
        logins.take(late.state, late.state, NOW + LOGIN_S)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"iss": "x", "login_hint": "h"}, "target_link_uri"),
        ({"iss": "https://evil.org", "login_hint": "h", "target_link_uri": "t"}, "evil.org"),
    ],
)
def test_a_login_that_cannot_be_followed_says_why(given: dict[str, str], message: str) -> None:
    with pytest.raises(LtiError, match=message):
        Logins([PLATFORM]).begin(given, "u", NOW)


# -- grades ---


class FakePlatform:
    """Token endpoint and line items; `down` answers come first."""

    def __init__(self, down: list[int]) -> None:
        self.down = down
        self.scores: list[tuple[str, str, dict[str, Any]]] = []
        self.items: list[dict[str, Any]] = []
        self.assertions: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            return httpx.Response(self.down.pop(0))
        if request.url.path == "/token":
            form = parse_qs(request.content.decode())
            self.assertions.append(form["client_assertion"][0])
            return httpx.Response(200, json={"access_token": "tok", "expires_in": 3600, "token_type": "Bearer"})
        if request.headers.get("Authorization") != "Bearer tok":
            return httpx.Response(401)
        if request.url.path == "/items":
            if request.method == "GET":
                return httpx.Response(200, json=self.items)
            self.items.append({**json.loads(request.content), "id": "https://lms.example.org/items/new"})
            return httpx.Response(201, json=self.items[-1])
        self.scores.append((str(request.url), request.headers["Content-Type"], json.loads(request.content)))
        return httpx.Response(200)


def give(platform: FakePlatform, body: dict[str, Any], tmp_path: Path) -> Delivery:
    async def run() -> Delivery:
        outbox = Outbox(tmp_path / "outbox.sqlite")
        outbox.put("lti", "t-4f1a", [("grade", body)])
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        async with httpx.AsyncClient(transport=httpx.MockTransport(platform)) as client:
            book = GradeBook(PLATFORM, KEY, client, now=lambda: NOW)
            delivery = Delivery(outbox, "lti", book, backoff=Backoff(draw=lambda low, high: high), sleep=sleep)
            await delivery.run()
        assert len(outbox) == 0
        outbox.close()
        return delivery

    return asyncio.run(run())


def test_a_grade_arrives_after_an_outage_as_the_other_library_would_send_it(tmp_path: Path) -> None:
    pylti_grade = pytest.importorskip("pylti1p3.grade", reason="pylti1p3 is not installed (extra dev)")
    platform = FakePlatform([500, 503, 401])
    given = grade(make(), "user-17")
    body = {"line_item": "https://lms.example.org/items/9?type=a", "resource": "r", "label": "l", "grade": given}
    delivery = give(platform, body, tmp_path)
    assert delivery.progress.failures == 3
    [(url, kind, sent)] = platform.scores
    assert url == "https://lms.example.org/items/9/scores?type=a"
    assert kind == "application/vnd.ims.lis.v1.score+json"
    other = pylti_grade.Grade()
    other.set_score_given(69.23).set_score_maximum(100).set_user_id("user-17").set_activity_progress("Completed")
    other.set_grading_progress("FullyGraded").set_timestamp(given["timestamp"]).set_comment(given["comment"])
    assert sent == json.loads(other.get_value())
    told = jwt.decode(
        platform.assertions[0],
        jwt.PyJWK(KEY.public()["keys"][0]).key,
        algorithms=["RS256"],
        audience=PLATFORM.token_url,
        # Signed for a minute from NOW, which is the time this module was imported at.
        options={"verify_exp": False},
    )
    assert (told["iss"], told["sub"]) == ("npc-1", "npc-1")


def test_without_a_line_item_one_is_made_once(tmp_path: Path) -> None:
    platform = FakePlatform([])
    body = {
        "line_item": None,
        "line_items": "https://lms.example.org/items",
        "resource": "angry-customer",
        "label": "The lost booking",
        "grade": grade(make(), "user-17"),
    }
    give(platform, body, tmp_path)
    give(platform, body, tmp_path)
    assert len(platform.items) == 1
    assert [url for url, _, _ in platform.scores] == ["https://lms.example.org/items/new/scores"] * 2


def test_an_attempt_that_was_abandoned_gives_no_points() -> None:
    told = grade(replace(make(), outcome="abandoned", passed=None), "user-17")
    assert "scoreGiven" not in told
    assert (told["activityProgress"], told["gradingProgress"]) == ("Started", "NotReady")
    assert scores_url("https://x/items/9/") == "https://x/items/9/scores"
