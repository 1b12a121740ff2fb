"""The harness, on each store in turn where that matters."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection
from core.stores.sqlite import SqliteStores
from tests.end_to_end.harness import Harness
from tests.harness.aws import dynamodb_client
from tests.harness.patience import be_patient
from tests.harness.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock


# Of a module, so that a bot that serves a whole module has it too.
@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        be_patient(patch)
        yield


@pytest.fixture
def harness(stores: Stores, clock: FrozenClock) -> Iterator[Harness]:
    with Harness(stores, clock) as harness:
        yield harness


@pytest.fixture(params=["sqlite", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def stores_on_each_engine(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FrozenClock, table_prefix: str
) -> Iterator[Stores]:
    """The stores of one running bot, on each engine in turn."""
    settings = StoreSettings(clock=clock)
    with ExitStack() as held:
        if request.param == "sqlite":
            opened: Stores = SqliteStores(str(tmp_path / "countersign.db"), settings)
        else:
            client = held.enter_context(dynamodb_client(request.getfixturevalue("dynamodb_local_url")))
            make_tables(client, table_prefix)
            opened = DynamoStores(Connection(client), table_prefix, settings)
        yield opened
        opened.close()
