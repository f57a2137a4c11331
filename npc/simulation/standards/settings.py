"""`training.yaml` in the service's folder: which learning systems there are, and how they are reached.

    service: https://npc.example.org          # how learning systems and browsers reach this server
    lms_origins: [https://lms.example.org]    # where launching pages, cmi5 endpoints and fetch URLs may lie
    xapi: {endpoint: https://lrs.example.org/xapi, user: key, password: secret, transcript: true}
    scorm: {angry-customer: sixteen-letters-or-more}    # secrets of exported packages, by scenario
    lti:
      - issuer: https://lms.example.org
        client_id: npc-1
        authorisation_url: https://lms.example.org/auth
        token_url: https://lms.example.org/token
        keys_url: https://lms.example.org/keys
        deployments: ["1"]

Without the file nothing is launched from outside and nothing is sent anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from npc.config import authored
from npc.simulation.standards.lrs import LrsAccount

FILE_NAME = "training.yaml"
_Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class XapiPart(_Part):
    """Where statements go: a learning record store, or a file."""

    endpoint: _Url | None = None
    """The part of the store's URL before `statements`."""
    user: str = ""
    password: str = Field(default="", repr=False)
    file: Path | None = None
    """Append statements here instead, one JSON object a line."""
    transcript: bool = True
    """Whether what was said goes with them."""

    @model_validator(mode="after")
    def _one(self) -> XapiPart:
        if (self.endpoint is None) == (self.file is None):
            raise ValueError("xapi needs either an endpoint or a file")
        if self.endpoint is not None and not (self.user and self.password):
            raise ValueError("an xapi endpoint needs user and password")
        return self

    @property
    def account(self) -> LrsAccount | None:
        return LrsAccount.basic(self.endpoint, self.user, self.password) if self.endpoint is not None else None


class LtiPart(_Part):
    """A registration at an LTI 1.3 platform; the platform's administrator gives all of it."""

    issuer: _Url
    client_id: Annotated[str, Field(min_length=1)]
    authorisation_url: _Url
    token_url: _Url
    keys_url: _Url
    deployments: Annotated[tuple[str, ...], Field(min_length=1)]
    instructors: bool = False
    """Whether whom the platform calls an instructor may sit in on any session of this server."""


class TrainingSettings(_Part):
    """All of it."""

    service: _Url = "http://127.0.0.1:8765"
    lms_origins: tuple[_Url, ...] = ()
    xapi: XapiPart | None = None
    scorm: dict[str, Annotated[str, Field(min_length=16)]] = Field(default_factory=dict, repr=False)
    lti: tuple[LtiPart, ...] = ()

    @field_validator("lms_origins")
    @classmethod
    def _origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for origin in given:
            if origin.count("/") != 2:
                raise ValueError(f"{origin!r} must be an origin like https://lms.example.org, without a path")
        return given


def load_training(folder: Path) -> TrainingSettings:
    """The settings in `folder`, or the defaults without a file. Raises AuthoredFileError with file and line."""
    path = folder / FILE_NAME
    return authored.load(path, TrainingSettings) if path.is_file() else TrainingSettings()
