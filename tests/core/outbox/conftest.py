"""What the tests of the outbox share: a SQLite file, and outboxes that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from core.outbox.outbox import Outbox, Sink
from core.stores.base import Stores
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from tests.core.sinks import PATIENCE_SECONDS
from tests.harness.clock import FrozenClock

OpenOutbox: TypeAlias = Callable[..., Outbox]


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    """Stores in a file of their own."""
    stores = SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=clock))
    yield stores
    stores.close()


@pytest.fixture
def open_outbox(stores: Stores, clock: FrozenClock) -> Iterator[OpenOutbox]:
    """Opens an outbox with these sinks, on another store if one is given; each is finished at the end."""
    opened: list[Outbox] = []

    def open_outbox(*sinks: Sink, store: Any = None) -> Outbox:  # noqa: ANN401  Whatever a DeliveryStore has.
        opened.append(Outbox(store or stores.outbox, sinks, clock))
        return opened[-1]

    yield open_outbox
    for outbox in opened:
        assert outbox.finish(PATIENCE_SECONDS)
