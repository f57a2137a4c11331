"""LTI 1.3 as a tool: the OpenID Connect launch and the check of its token. Grades go back through `grades`.

    platform ─ login initiation ─▶ login()  ─ redirect: state, nonce ─▶ platform's authorisation endpoint
    platform ─ form_post: id_token, state ─▶ verify() ─▶ LtiLaunch: who, which scenario, which line item

A login is answered once, within ten minutes, and in the browser it began in (the caller keeps `state` in a cookie).
Only RS256 is taken, as the IMS Security Framework 1.0 asks; a token that names another algorithm is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from jwt.algorithms import RSAAlgorithm

_CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
_AGS = "https://purl.imsglobal.org/spec/lti-ags/"
SCORE_SCOPE = _AGS + "scope/score"
LINE_ITEM_SCOPE = _AGS + "scope/lineitem"
_ENDPOINT = _AGS + "claim/endpoint"
_INSTRUCTOR = "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"
#: A login that is not answered within this time is forgotten.
LOGIN_S = 600.0
#: Logins under way; past it the oldest is forgotten, and whoever began it has to click again.
MOST_LOGINS = 10_000
#: Clocks of platform and tool may differ by this much, seconds.
LEEWAY_S = 60.0


class LtiError(ValueError):
    """A launch is refused; the message says why."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A registration at a learning platform, as its administrator gives it."""

    issuer: str
    client_id: str
    authorisation_url: str
    token_url: str
    keys_url: str
    deployments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Login:
    """A login under way."""

    state: str
    nonce: str
    platform: Platform
    began: float


@dataclass(frozen=True, slots=True)
class LtiLaunch:
    """Who was launched into what. `user` is the platform's opaque id; no name or address is taken over."""

    platform: Platform
    deployment: str
    user: str
    resource: str
    scenario: str
    instructor: bool
    line_item: str | None
    line_items: str | None
    scopes: tuple[str, ...]
    return_url: str


class Logins:
    """The logins under way, of one process. Pure but for the identifiers, which may be given."""

    def __init__(
        self, platforms: Sequence[Platform], *, new_id: Callable[[], str] = lambda: secrets.token_urlsafe(24)
    ) -> None:
        self._platforms = tuple(platforms)
        self._new_id = new_id
        self._pending: dict[str, Login] = {}

    def begin(self, given: Mapping[str, str], launch_url: str, now: float) -> tuple[Login, str]:
        """Answer a login initiation: the login, and where to send the browser. Raises LtiError."""
        for name in ("iss", "login_hint", "target_link_uri"):
            if not given.get(name):
                raise LtiError(f"the login has no {name}")
        platform = self._platform(given["iss"], given.get("client_id"))
        login = Login(self._new_id(), self._new_id(), platform, now)
        self._pending = {key: one for key, one in self._pending.items() if now - one.began < LOGIN_S}
        while len(self._pending) >= MOST_LOGINS:
            del self._pending[next(iter(self._pending))]
        self._pending[login.state] = login
        asked = {
            "scope": "openid",
            "response_type": "id_token",
            "response_mode": "form_post",
            "prompt": "none",
            "client_id": platform.client_id,
            "redirect_uri": launch_url,
            "login_hint": given["login_hint"],
            "state": login.state,
            "nonce": login.nonce,
        }
        if given.get("lti_message_hint"):
            asked["lti_message_hint"] = given["lti_message_hint"]
        joint = "&" if urlsplit(platform.authorisation_url).query else "?"
        return login, platform.authorisation_url + joint + urlencode(asked)

    def take(self, state: str, cookie: str | None, now: float) -> Login:
        """The login of `state`, which is over with this. Raises LtiError."""
        if not state or cookie is None or not secrets.compare_digest(state.encode(), cookie.encode()):
            raise LtiError("this launch was not begun in this browser: allow cookies for this site and launch it again")
        login = self._pending.pop(state, None)
        if login is None or now - login.began >= LOGIN_S:
            raise LtiError("this launch is too old or was used already: launch it again")
        return login

    def _platform(self, issuer: str, client_id: str | None) -> Platform:
        fitting = [one for one in self._platforms if one.issuer == issuer and client_id in (None, "", one.client_id)]
        if not fitting:
            raise LtiError(f"no platform {issuer!r} (client {client_id or 'not named'}) is registered in training.yaml")
        if len(fitting) > 1:
            raise LtiError(f"{issuer!r} has several clients: its login must name client_id")
        return fitting[0]


def verify(id_token: str, login: Login, keys: Mapping[str, Any], now: float) -> LtiLaunch:
    """The launch that `id_token` speaks of. `keys` is the platform's JWK Set. Raises LtiError."""
    platform = login.platform
    try:
        header = jwt.get_unverified_header(id_token)
        if header.get("alg") != "RS256":
            raise LtiError(f"the id_token is signed with {header.get('alg')!r}; only RS256 is taken")
        key = _key(keys, header.get("kid"))
        claims = jwt.decode(
            id_token,
            key,
            algorithms=["RS256"],
            audience=platform.client_id,
            issuer=platform.issuer,
            options={"require": ["exp", "iat", "aud", "iss", "sub"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.PyJWTError as error:
        raise LtiError(f"the id_token is not valid: {error}") from None
    _check_times(claims, now)
    _check_claims(claims, login)
    endpoint = claims.get(_ENDPOINT) or {}
    custom = claims.get(_CLAIM + "custom") or {}
    return LtiLaunch(
        platform=platform,
        deployment=claims[_CLAIM + "deployment_id"],
        user=claims["sub"],
        resource=claims[_CLAIM + "resource_link"]["id"],
        scenario=str(custom.get("scenario", "")),
        instructor=_INSTRUCTOR in claims.get(_CLAIM + "roles", []),
        line_item=endpoint.get("lineitem"),
        line_items=endpoint.get("lineitems"),
        scopes=tuple(endpoint.get("scope", ())),
        return_url=str((claims.get(_CLAIM + "launch_presentation") or {}).get("return_url", "")),
    )


def _key(keys: Mapping[str, Any], kid: str | None) -> Any:
    for one in keys.get("keys", []):
        if one.get("kty") == "RSA" and (kid is None or one.get("kid") == kid):
            return RSAAlgorithm.from_jwk(one)
    raise LtiError(f"the platform has no key {kid!r}")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    if not all(isinstance(claims[name], int | float) for name in ("exp", "iat")):
        raise LtiError("exp and iat must be numbers")
    if now > claims["exp"] + LEEWAY_S:
        raise LtiError("the id_token has expired: launch it again (or set this server's clock)")
    if claims["iat"] > now + LEEWAY_S:
        raise LtiError("the id_token comes from the future: set this server's clock")


def _check_claims(claims: Mapping[str, Any], login: Login) -> None:
    platform = login.platform
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != platform.client_id:
        raise LtiError("the id_token is for several audiences and not authorised to this client (azp)")
    if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), login.nonce.encode()):
        raise LtiError("the id_token answers another login (nonce)")
    if claims.get(_CLAIM + "version") != "1.3.0":
        raise LtiError(f"LTI version {claims.get(_CLAIM + 'version')!r}; this tool speaks 1.3.0")
    if claims.get(_CLAIM + "message_type") != "LtiResourceLinkRequest":
        raise LtiError(f"message type {claims.get(_CLAIM + 'message_type')!r} is not handled; only resource links are")
    if claims.get(_CLAIM + "deployment_id") not in platform.deployments:
        raise LtiError(f"deployment {claims.get(_CLAIM + 'deployment_id')!r} is not registered in training.yaml")
    if not (claims.get(_CLAIM + "resource_link") or {}).get("id"):
        raise LtiError("the launch names no resource link")
    if not claims.get(_CLAIM + "target_link_uri"):
        raise LtiError("the launch names no target_link_uri")
