"""Launches from learning systems: LTI 1.3, cmi5 and SCORM packages all end at the page with a ticket for one trainee.

    LMS ─▶ /v1/launch/scorm | cmi5 | lti ─▶ checked ─▶ remembered ─▶ 303 review-enter.html#ticket…

The ticket travels in the fragment, which browsers send to nobody. Where nothing is registered in training.yaml every
launch is refused. A learner is known here by a pseudonym; names that an LMS sends are dropped.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from npc.conversation.port import Rehearses, Service
from npc.server.auth import INSTRUCTOR, Gate, Refused, Ticket
from npc.server.settings import Bounds
from npc.server.training import Training
from npc.simulation.standards.cmi5 import Launch, LaunchError, follow
from npc.simulation.standards.lrs import DEADLINE
from npc.simulation.standards.reporting import Kind, pseudonym

_COOKIE = "npc-lti-state"
#: A platform's keys are read again after this time, or at once for a key that is not known, but not more often than …
_KEYS_S, _KEYS_AGAIN_S = 3600.0, 60.0


class _Keys:
    """Public keys of platforms, read when needed."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._known: dict[str, tuple[float, Mapping[str, Any]]] = {}

    async def of(self, url: str, kid: str | None) -> Mapping[str, Any]:
        read, keys = self._known.get(url, (float("-inf"), {}))
        age = time.monotonic() - read
        known = any(one.get("kid") == kid for one in keys.get("keys", []))
        if age > _KEYS_S or (not known and age > _KEYS_AGAIN_S):
            try:
                response = await self._client.get(url, timeout=DEADLINE)
                response.raise_for_status()
                keys = response.json()
            except (httpx.HTTPError, ValueError) as error:
                raise Refused(502, "platform_keys", f"the platform's keys cannot be read: {error}") from None
            self._known[url] = (time.monotonic(), keys)
        return keys


def routes(training: Training, service: Service, gate: Gate, bounds: Bounds) -> APIRouter:
    """All launches. A launch that cannot be followed is answered with what is wrong with it."""
    router = APIRouter()
    reporting, settings = training.reporting, training.settings
    keys = _Keys(reporting.client)

    async def scenario_of(name: str) -> Mapping[str, Any]:
        listed: Sequence[Mapping[str, Any]] = ()
        if isinstance(service, Rehearses):
            listed = await asyncio.to_thread(service.scenarios)
        for one in listed:
            if one["id"] == name:
                return one
        known = ", ".join(str(one["id"]) for one in listed) or "none"
        raise Refused(404, "unknown_scenario", f"there is no scenario {name[:80]!r}; there are: {known}")

    def enter(
        kind: Kind,
        scenario: Mapping[str, Any],
        player: str,
        data: Mapping[str, Any],
        *,
        report_to: str = "",
        back: str = "",
        instructor: bool = False,
    ) -> RedirectResponse:
        """Remember the launch and send the browser to the page."""
        launched = reporting.remember(kind, player, str(scenario["id"]), data)
        character = str(scenario["character"]["id"])
        ticket = Ticket(
            expires=int(time.time()) + bounds.ticket_max_s,
            nonce=secrets.token_urlsafe(9),
            player=player,
            character=None if instructor else character,
            scopes=(INSTRUCTOR,) if instructor else (),
        )
        told = {
            "ticket": gate.mint(ticket),
            "player": player,
            "scenario": scenario["id"],
            "character": character,
            "launch": launched.id,
            "report_to": report_to,
            "back": back,
            "role": "instructor" if instructor else "trainee",
        }
        return RedirectResponse(f"/review-enter.html#{urlencode(told)}", 303)

    @router.post("/v1/launch/scorm")
    async def scorm(request: Request) -> Response:
        """From the launch page of a SCORM package."""
        form = await _form(request)
        scenario = await scenario_of(form.get("scenario", ""))
        wanted = settings.scorm.get(str(scenario["id"]), "")
        if not wanted or not secrets.compare_digest(wanted.encode(), form.get("secret", "").encode()):
            raise Refused(
                403, "package_secret", "this package's secret is not the one in training.yaml; export it again"
            )
        report_to = form.get("report_to", "")
        if report_to not in settings.lms_origins:
            raise Refused(403, "origin_not_allowed", f"{report_to[:100]!r} is not one of lms_origins in training.yaml")
        learner = form.get("learner") or secrets.token_hex(8)
        return enter("scorm", scenario, pseudonym(report_to, learner), {}, report_to=report_to)

    @router.get("/v1/launch/cmi5")
    async def cmi5(request: Request) -> Response:
        """The launch URL of the assignable unit in an exported cmi5 package."""
        try:
            launch = Launch.parse(request.query_params)
            scenario = await scenario_of(request.query_params.get("scenario", ""))
            strangers = set(launch.origins) - set(settings.lms_origins)
            if strangers:
                # Otherwise a link could make this server call any address of its network.
                raise LaunchError(f"{', '.join(sorted(strangers))} is not one of lms_origins in training.yaml")
            unit = await follow(launch, reporting.outbox, reporting.now(), reporting.client)
        except LaunchError as error:
            raise Refused(403, "cmi5_launch", str(error)) from None
        account = launch.actor["account"]
        player = pseudonym(account["homePage"], account["name"])
        return enter("cmi5", scenario, player, unit.to_json(), back=unit.return_url)

    if settings.lti:
        _add_lti(router, training, keys, scenario_of, enter)
    return router


def _add_lti(router: APIRouter, training: Training, keys: _Keys, scenario_of: Any, enter: Any) -> None:
    """LTI needs the extra `rehearsal`; it is imported only where a platform is registered."""
    import jwt

    from npc.simulation.standards.lti import Logins, LtiError, Platform, verify

    settings, reporting = training.settings, training.reporting
    registered = [Platform(**one.model_dump(exclude={"instructors"})) for one in settings.lti]
    with_instructors = {(one.issuer, one.client_id) for one in settings.lti if one.instructors}
    logins = Logins(registered)
    launch_url = f"{settings.service.rstrip('/')}/v1/launch/lti"

    async def login(request: Request) -> Response:
        """OpenID Connect third-party login initiation, by GET or POST."""
        given = await _form(request) if request.method == "POST" else dict(request.query_params)
        try:
            begun, url = logins.begin(given, launch_url, reporting.now())
        except LtiError as error:
            raise Refused(403, "lti_login", str(error)) from None
        response = RedirectResponse(url, 302)
        # None and Secure: the platform's form_post comes from another site.
        response.set_cookie(
            _COOKIE, begun.state, max_age=600, path="/v1/launch/lti", secure=True, httponly=True, samesite="none"
        )
        return response

    async def launch(request: Request) -> Response:
        form = await _form(request)
        try:
            begun = logins.take(form.get("state", ""), request.cookies.get(_COOKIE), reporting.now())
            token = form.get("id_token", "")
            kid = jwt.get_unverified_header(token).get("kid")
            launched = verify(token, begun, await keys.of(begun.platform.keys_url, kid), reporting.now())
        except (LtiError, jwt.PyJWTError) as error:
            raise Refused(403, "lti_launch", str(error)) from None
        scenario = await scenario_of(launched.scenario or request.query_params.get("scenario", ""))
        platform = launched.platform
        player = pseudonym(platform.issuer, launched.user)
        data = {
            "issuer": platform.issuer,
            "client_id": platform.client_id,
            "user": launched.user,
            "line_item": launched.line_item,
            "line_items": launched.line_items,
        }
        sits_in = launched.instructor and (platform.issuer, platform.client_id) in with_instructors
        response: Response = enter("lti", scenario, player, data, back=launched.return_url, instructor=sits_in)
        response.delete_cookie(_COOKIE, path="/v1/launch/lti", secure=True, samesite="none")
        return response

    async def jwks() -> JSONResponse:
        """Our public key, which platforms check our requests for tokens with."""
        return JSONResponse(reporting.tool_key().public())

    router.add_api_route("/v1/launch/lti/login", login, methods=["GET", "POST"])
    router.add_api_route("/v1/launch/lti", launch, methods=["POST"])
    router.add_api_route("/v1/launch/lti/jwks", jwks, methods=["GET"])


async def _form(request: Request) -> dict[str, str]:
    """A URL-encoded form (the server bounds the body); a repeated field counts once, the last one."""
    body = await request.body()
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50))
    except (UnicodeDecodeError, ValueError):
        raise Refused(400, "bad_form", "send a URL-encoded form") from None
