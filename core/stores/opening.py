"""Open the stores that a URL names.

Invariant: a URL that is not understood opens nothing; no part of it is guessed. Only here are engines chosen, and an
engine's library is imported only when its stores are opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl, unquote, urlsplit

from core.audit.keyring import AuditKeyring
from core.clock import Clock, SystemClock
from core.errors import InvalidInput
from core.stores.base import DEFAULT_RETENTION, Stores
from core.stores.commit import StoreSettings
from core.text import without_password

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{3,200}")
_ENDPOINT = re.compile(r"https?://[^\s/?#]+/?")
_NO_FILE = frozenset({"", ":memory:"})
"""Each connection would open a separate in-memory database."""
_FIX = "Write sqlite:///countersign.db or dynamodb://eu-west-1/countersign."


@dataclass(frozen=True, slots=True)
class SqliteLocation:
    """A file."""

    path: str


@dataclass(frozen=True, slots=True)
class DynamoLocation:
    """A region, the prefix of the tables' names, and, for tests, the address of another DynamoDB."""

    region: str
    prefix: str
    endpoint_url: str | None = None


def read_store_url(url: str) -> SqliteLocation | DynamoLocation:
    """Read `sqlite:///relative.db`, `sqlite:////absolute.db` or `dynamodb://region/prefix?endpoint_url=…`.

    Raises InvalidInput, naming the part that is wrong.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInput("store", f"{without_password(url)!r:.200} is not a URL", _FIX) from error
    path = unquote(parts.path).removeprefix("/")
    if parts.fragment:
        problem = f"{without_password(url)!r:.200} has a #, which would end it there"
        raise InvalidInput("store", problem, f"{_FIX} Write # as %23.")
    if parts.scheme == "sqlite":
        if parts.netloc or parts.query or path in _NO_FILE or "\0" in path:
            raise InvalidInput("store", f"{without_password(url)!r:.200} names no file", _FIX)
        return SqliteLocation(path)
    if parts.scheme == "dynamodb":
        if not _REGION.fullmatch(parts.netloc):
            raise InvalidInput("store", f"{without_password(parts.netloc)!r:.60} is not an AWS region", _FIX)
        if not _PREFIX.fullmatch(path):
            raise InvalidInput("store", f"{path!r:.60} is not a prefix for table names", _FIX)
        return DynamoLocation(parts.netloc, path, _read_endpoint(parts.query))
    problem = (
        f"{parts.scheme!r:.60} is not a kind of store" if parts.scheme else "it doesn't begin with a kind of store"
    )
    raise InvalidInput("store", problem, _FIX)


def _read_endpoint(query: str) -> str | None:
    options = parse_qsl(query, keep_blank_values=True)
    unknown = [name for name, _ in options if name != "endpoint_url"]
    if unknown:
        raise InvalidInput("store", f"{unknown[0]!r:.60} is not an option of a DynamoDB store", _FIX)
    if not options:
        return None
    if len(options) > 1 or not _ENDPOINT.fullmatch(options[0][1]):
        raise InvalidInput("store", "its endpoint_url is not one http:// or https:// address", _FIX)
    return options[0][1]


def open_stores(
    url: str,
    *,
    keyring: AuditKeyring | None = None,
    retention: timedelta = DEFAULT_RETENTION,
    clock: Clock | None = None,
) -> Stores:
    """Open the stores that a URL names. A missing SQLite file is created; missing DynamoDB tables are not.

    Raises InvalidInput for a URL that is not understood, and StoreMisconfigured for a file that cannot be used.
    """
    settings = StoreSettings(keyring or AuditKeyring(), retention, clock or SystemClock())
    location = read_store_url(url)
    if isinstance(location, SqliteLocation):
        from core.stores.sqlite import SqliteStores  # noqa: PLC0415 - see the module's docstring

        return SqliteStores(location.path, settings)
    from core.stores.dynamodb import DynamoStores  # noqa: PLC0415 - see the module's docstring
    from core.stores.dynamodb.connection import Connection  # noqa: PLC0415

    return DynamoStores(Connection.open(location.region, location.endpoint_url), location.prefix, settings)
