"""How a command opens the store that the settings name.

Invariant: a command that only reads never creates a store, because an empty one would pass every check.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from bot.settings import Settings
from core.audit.keyring import AuditKeyring
from core.errors import InvalidInput
from core.stores.base import Stores
from core.stores.opening import SqliteLocation, open_stores, read_store_url

store_option = click.option("--store", metavar="URL", help="The store to use. Default: COUNTERSIGN_STORE.")


def require_file(settings: Settings) -> Path:
    """The path of the SQLite store, whether it exists or not. Raises InvalidInput for another kind of store."""
    location = read_store_url(settings.store)
    if not isinstance(location, SqliteLocation):
        problem = "DynamoDB is backed up by AWS, and not with this command"
        raise InvalidInput("store", problem, "See docs/disaster-recovery.md.")
    return Path(location.path)


@contextmanager
def opened(settings: Settings, keyring: AuditKeyring | None = None) -> Iterator[Stores]:
    """The open stores, by default with the keys of the settings; closes them at the end.

    Raises InvalidInput if the file doesn't exist, or StoreError.
    """
    location = read_store_url(settings.store)
    if isinstance(location, SqliteLocation) and not Path(location.path).is_file():
        raise InvalidInput("store", f"there is no file {location.path}", "Check COUNTERSIGN_STORE, or --store.")
    ring = keyring or settings.keyring
    with closing(open_stores(settings.store, keyring=ring, retention=settings.retention)) as stores:
        yield stores
