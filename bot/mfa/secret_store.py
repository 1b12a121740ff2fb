"""Where people's secrets are kept: a file of one host, or the SSM Parameter Store of AWS.

Invariant: a reader of these secrets can generate anybody's codes. So they are stored apart from the records, and only
one is read at a time. A location that isn't understood opens nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from core.actor import UserId
from core.errors import InvalidInput
from core.text import without_password

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_PARAMETERS = re.compile(r"(/[A-Za-z0-9_.-]{1,100}){1,10}")
_ENDPOINT = re.compile(r"https?://[^\s/?#]+/?")
_FIX = "Write a path such as countersign-mfa.json, or ssm://eu-west-1/countersign/mfa."


class Secrets(Protocol):
    """People's secrets, in base32. Safe for threads."""

    def find(self, person: UserId) -> SecretStr | None:
        """One person's secret; None: there is none. Raises StoreUnavailable, StoreMisconfigured."""
        ...

    def put(self, person: UserId, secret: SecretStr, *, is_replacing: bool) -> None:
        """Keep a secret. Raises InvalidInput when there is one already, unless it is to be replaced; as `find`, too."""
        ...

    def remove(self, person: UserId) -> bool:
        """Forget a secret; False: there was none. Raises like `find`."""
        ...

    def people(self) -> tuple[UserId, ...]:
        """Who has a secret, in order. Raises like `find`."""
        ...


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A file."""

    path: str


@dataclass(frozen=True, slots=True)
class ParameterLocation:
    """A region, and the path under which each person has a parameter; for tests the address of another SSM."""

    region: str
    path: str
    endpoint_url: str | None = None


def read_location(text: str) -> FileLocation | ParameterLocation:
    """Read `path/to/file.json` or `ssm://region/path`. Raises InvalidInput, naming the part that is wrong."""
    try:
        parts = urlsplit(text)
    except ValueError as error:
        problem = f"{without_password(text)!r:.200} is not a path or an ssm:// URL"
        raise InvalidInput("mfa secrets", problem, _FIX) from error
    if parts.scheme == "ssm":
        if not _REGION.fullmatch(parts.netloc):
            raise InvalidInput("mfa secrets", f"{without_password(parts.netloc)!r:.60} is not an AWS region", _FIX)
        path = parts.path.rstrip("/")
        # SSM refuses names that begin with these two.
        if not _PARAMETERS.fullmatch(path) or path.lower().startswith(("/aws", "/ssm")):
            raise InvalidInput("mfa secrets", f"{parts.path!r:.60} is not a valid parameter path", _FIX)
        return ParameterLocation(parts.netloc, path, _read_endpoint(parts.query))
    if parts.scheme or not text.strip() or "\0" in text or text.endswith("/"):
        raise InvalidInput("mfa secrets", f"{without_password(text)!r:.200} is not a file path", _FIX)
    return FileLocation(text)


def already_enrolled(person: UserId) -> InvalidInput:
    """The error that says that somebody has a secret already."""
    return InvalidInput("user", f"{person} is already enrolled", "To replace their secret, add --replace.")


def _read_endpoint(query: str) -> str | None:
    options = parse_qsl(query, keep_blank_values=True)
    if not options:
        return None
    if len(options) > 1 or options[0][0] != "endpoint_url" or not _ENDPOINT.fullmatch(options[0][1]):
        raise InvalidInput("mfa secrets", "its options are not a single endpoint_url", _FIX)
    return options[0][1]
