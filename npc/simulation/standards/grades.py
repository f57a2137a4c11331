"""Grades given back to a learning platform: LTI Assignment and Grade Services 2.0, and the key that asks for leave.

attempt over ─▶ outbox ─▶ GradeBook.send ─ client_credentials, signed assertion ─▶ access token
                                         └ POST {line item}/scores (the line item is found, or made, when needed)
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from npc.simulation.attempt import Attempt
from npc.simulation.standards.delivery import Answer
from npc.simulation.standards.lrs import DEADLINE, stamp
from npc.simulation.standards.lti import LINE_ITEM_SCOPE, SCORE_SCOPE, Platform
from npc.simulation.standards.outbox import Entry
from npc.simulation.standards.outcome import completed


@dataclass(frozen=True, slots=True)
class ToolKey:
    """The private key that signs our requests for access tokens."""

    pem: bytes = field(repr=False)
    kid: str

    @staticmethod
    def make() -> ToolKey:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return ToolKey.load(pem)

    @staticmethod
    def load(pem: bytes) -> ToolKey:
        private = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise ValueError("the tool's key must be an RSA key in PEM form")
        return ToolKey(pem, format(private.public_key().public_numbers().n, "x")[-16:])

    def public(self) -> dict[str, Any]:
        """The JWK Set that platforms read."""
        private = serialization.load_pem_private_key(self.pem, password=None)
        assert isinstance(private, rsa.RSAPrivateKey)
        key = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.kid, "alg": "RS256", "use": "sig"}]}

    def assertion(self, platform: Platform, now: float, nonce: str) -> str:
        """The signed claim by which the tool asks for an access token (IMS Security Framework 1.0, 4.1.1)."""
        claims = {
            "iss": platform.client_id,
            "sub": platform.client_id,
            "aud": platform.token_url,
            "iat": int(now),
            "exp": int(now) + 60,
            "jti": nonce,
        }
        return jwt.encode(claims, self.pem, algorithm="RS256", headers={"kid": self.kid})


def grade(attempt: Attempt, user: str) -> dict[str, Any]:
    """The score of an attempt as AGS 2.0 wants it; a comment names what to look at, not what was said."""
    over = completed(attempt)
    graded = over and attempt.score is not None
    made: dict[str, Any] = {
        "userId": user,
        "activityProgress": "Completed" if over else "Started",
        "gradingProgress": "FullyGraded" if graded else "NotReady",
        "timestamp": stamp(attempt.began + attempt.duration_s),
    }
    if graded and attempt.score is not None:
        met = sum(one.state == "met" for one in attempt.verdicts)
        seen = sum(one.state != "not_observed" for one in attempt.verdicts)
        made |= {
            "scoreGiven": round(attempt.score, 2),
            "scoreMaximum": 100,
            "comment": f"{attempt.scenario.title}, {attempt.level}: {met} of {seen} observed items met",
        }
    return made


class GradeBook:
    """Implements `delivery.Target`: gives grades to a platform. One entry of the outbox is one grade.

    An entry's body: `{"line_item": URL | null, "line_items": URL | null, "label": str, "grade": {...}}`.
    """

    def __init__(
        self,
        platform: Platform,
        key: ToolKey,
        client: httpx.AsyncClient,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(16),
    ) -> None:
        self._platform, self._key, self._client = platform, key, client
        self._now, self._new_id = now, new_id
        self._token: tuple[str, float] | None = None

    async def send(self, entries: Sequence[Entry]) -> Answer:
        if len(entries) != 1:
            # Scores are posted one by one; Delivery halves a batch that is "at fault" until each stands alone.
            return Answer(413, "grades are sent one by one")
        body = entries[0].body
        try:
            token = await self._access()
            line_item = body.get("line_item") or await self._line_item(body, token)
            if line_item is None:
                return Answer(422, "the launch named no line item and allows none to be made")
            response = await self._post(scores_url(line_item), body["grade"], token, "score")
        except _Unwilling as unwilling:
            return unwilling.answer
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            # Also an answer that is not what the standard says: the platform's page of an error, for instance.
            return Answer(0, f"{type(error).__name__}: {error}")
        if response.status_code == 401:
            self._token = None
        return Answer(response.status_code, response.text[:300])

    async def _access(self) -> str:
        if self._token is not None and self._now() < self._token[1]:
            return self._token[0]
        response = await self._client.post(
            self._platform.token_url,
            data={
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self._key.assertion(self._platform, self._now(), self._new_id()),
                "scope": f"{LINE_ITEM_SCOPE} {SCORE_SCOPE}",
            },
            timeout=DEADLINE,
        )
        if response.status_code != 200:
            # Never the grade's fault: a refused token must not set the grade aside.
            raise _Unwilling(Answer(401, f"no access token: {response.status_code} {response.text[:200]}"))
        told = response.json()
        self._token = (told["access_token"], self._now() + float(told.get("expires_in", 60)) * 0.9)
        return self._token[0]

    async def _line_item(self, body: Mapping[str, Any], token: str) -> str | None:
        """The scenario's line item, made when the platform lets tools make them."""
        listed = body.get("line_items")
        if not listed:
            return None
        accept = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.ims.lis.v2.lineitemcontainer+json"}
        found = await self._client.get(listed, headers=accept, timeout=DEADLINE)
        if found.status_code != 200:
            raise _Unwilling(Answer(found.status_code, found.text[:200]))
        for one in found.json():
            if one.get("resourceId") == body["resource"]:
                return str(one["id"])
        wanted = {"scoreMaximum": 100, "label": body["label"], "resourceId": body["resource"]}
        made = await self._post(listed, wanted, token, "lineitem")
        if made.status_code not in (200, 201):
            raise _Unwilling(Answer(made.status_code, made.text[:200]))
        return str(made.json()["id"])

    async def _post(self, url: str, body: Mapping[str, Any], token: str, kind: str) -> httpx.Response:
        version = "v1" if kind == "score" else "v2"
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": f"application/vnd.ims.lis.{version}.{kind}+json",
        }
        return await self._client.post(url, json=dict(body), headers=headers, timeout=DEADLINE)


class _Unwilling(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


def scores_url(line_item: str) -> str:
    """`/scores` behind the path of a line item, before its query (AGS 2.0, 3.4)."""
    parts = urlsplit(line_item)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/scores"))
