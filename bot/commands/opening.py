"""How a command opens the store that the settings name.

Invariant: a command that reads makes no store: an empty one would look flawless.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bot.settings import Settings
from core.errors import InvalidInput
from core.stores.base import Stores
from core.stores.opening import SqliteLocation, open_stores, read_store_url


@contextmanager
def opened(settings: Settings) -> Iterator[Stores]:
    """The stores, closed in the end. Raises InvalidInput when there is no such file, StoreError."""
    location = read_store_url(settings.store)
    if isinstance(location, SqliteLocation) and not Path(location.path).is_file():
        raise InvalidInput("store", f"there is no file {location.path}", "Check COUNTERSIGN_STORE, or --store.")
    with closing(open_stores(settings.store, keyring=settings.keyring, retention=settings.retention)) as stores:
        yield stores
