"""The engines of the contract suite: the same tests on SQLite, on moto and on AWS's DynamoDB Local.

Invariant: a test finds empty tables. On DynamoDB they are made once for each worker and emptied before each test,
because making them takes longer than most tests.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from core.clock import new_id
from tests.core.stores.harness import DynamoHarness, SqliteHarness, StoreHarness
from tests.harness.aws import dynamodb_client
from tests.harness.tables import make_older_audit_table, make_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

_LOCAL = pytest.param("dynamodb_local", marks=pytest.mark.engine)


@pytest.fixture(scope="session")
def made_tables(request: pytest.FixtureRequest) -> Iterator[Callable[[str], tuple[str, Any, str]]]:
    """The address, a client and the prefix of an engine's tables, made when they are asked for first."""
    made: dict[str, tuple[str, Any, str]] = {}
    with ExitStack() as clients:

        def make(engine: str) -> tuple[str, Any, str]:
            if engine not in made:
                url: str = request.getfixturevalue(f"{engine}_url")
                client, prefix = clients.enter_context(dynamodb_client(url)), f"contract-{new_id()}"
                # As after an upgrade; the other suites have tables that only this version made.
                make_older_audit_table(client, prefix)
                make_tables(client, prefix)
                made[engine] = url, client, prefix
            return made[engine]

        yield make


@pytest.fixture
def harness_on(
    request: pytest.FixtureRequest, clock: FrozenClock, tmp_path: Path
) -> Iterator[Callable[[str], StoreHarness]]:
    """One engine, empty, by its name."""
    with ExitStack() as opened:

        def make(engine: str) -> StoreHarness:
            if engine == "sqlite":
                harness: StoreHarness = SqliteHarness(tmp_path / "countersign.db", clock)
            else:
                url, client, prefix = request.getfixturevalue("made_tables")(engine)
                harness = DynamoHarness(engine, url, client, prefix, clock)
            opened.callback(harness.close)
            return harness

        yield make


@pytest.fixture(params=["sqlite", "moto", _LOCAL])
def harness(request: pytest.FixtureRequest, harness_on: Callable[[str], StoreHarness]) -> StoreHarness:
    """Each engine in turn, empty."""
    return harness_on(request.param)


@pytest.fixture(params=["moto", _LOCAL])
def dynamo(request: pytest.FixtureRequest, clock: FrozenClock) -> Iterator[DynamoHarness]:
    """Each DynamoDB in turn, empty: for what is true of DynamoDB only."""
    url, client, prefix = request.getfixturevalue("made_tables")(request.param)
    harness = DynamoHarness(request.param, url, client, prefix, clock)
    yield harness
    harness.close()


@pytest.fixture
def stores(harness: StoreHarness) -> Stores:
    """The stores of one running bot, on each engine in turn."""
    return harness.stores
