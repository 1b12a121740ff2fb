"""The stage, on each store in turn where that matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from tests.bot.end_to_end.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from tests.engines.clock import FrozenClock


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    stores = SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=clock))
    yield stores
    stores.close()


@pytest.fixture
def stage(stores: Stores, clock: FrozenClock) -> Iterator[Stage]:
    with Stage(stores, clock) as stage:
        yield stage
