"""Every scenario, raced by threads and by processes, on SQLite, on DynamoDB Local and on moto.

COUNTERSIGN_RACE_ROUNDS sets the rounds; benchmarks/README.md says how to run ten thousand.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.tables import create_tables
from tests.core.races import break_glass, emergencies, requests
from tests.core.races.people import Contestants, Processes, Threads
from tests.core.races.scenario import Scenario, run_rounds
from tests.harness.aws import REGION, dynamodb_client

ASKED_FOR = int(os.environ.get("COUNTERSIGN_RACE_ROUNDS", "0"))
# When a store loses its conditions, nearly every round fails: 6 to 10 of 10, in every scenario.
ROUNDS = ASKED_FOR or 60
# There a round costs some thirty times as much.
ROUNDS_ON_DYNAMODB_LOCAL = ASKED_FOR or 8
SCENARIOS = (*requests.SCENARIOS, *break_glass.SCENARIOS, *emergencies.SCENARIOS)
# It copies every table for each transaction, handles one request at a time, and is no judge of races.
ON_MOTO = frozenset({"all approve", "approve deny cancel expire", "one live event", "quota per user"})
SCENARIOS_ON_MOTO = tuple(each for each in SCENARIOS if each.name in ON_MOTO)
EVERY_SCENARIO, EVERY_SCENARIO_ON_MOTO = (
    pytest.mark.parametrize("scenario", those, ids=lambda scenario: scenario.name.replace(" ", "-"))
    for those in (SCENARIOS, SCENARIOS_ON_MOTO)
)
ContestantsOn = Callable[[str], AbstractContextManager[Contestants]]

pytestmark = [pytest.mark.race, pytest.mark.usefixtures("aws_environment")]


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    with closing(Processes()) as processes:
        yield processes


@pytest.fixture(params=["threads", "processes"])
def contestants_on(request: pytest.FixtureRequest) -> ContestantsOn:
    if request.param == "threads":
        return Threads.on
    # Asked for here, so that a run of threads alone starts no process.
    processes: Processes = request.getfixturevalue("processes")
    return processes.on


@EVERY_SCENARIO
def test_on_sqlite(tmp_path: Path, contestants_on: ContestantsOn, scenario: Scenario) -> None:
    url = f"sqlite:///{tmp_path}/races.db"
    run_rounds(url, contestants_on, scenario, max(1, ROUNDS // scenario.share))


@pytest.mark.engine
@EVERY_SCENARIO
def test_on_dynamodb_local(
    dynamodb_local_url: str, table_prefix: str, contestants_on: ContestantsOn, scenario: Scenario
) -> None:
    url = _make_tables(dynamodb_local_url, table_prefix)
    run_rounds(url, contestants_on, scenario, max(1, ROUNDS_ON_DYNAMODB_LOCAL // scenario.share))


@EVERY_SCENARIO_ON_MOTO
def test_on_moto(moto_url: str, table_prefix: str, scenario: Scenario) -> None:
    """A few scenarios in few rounds: that moto agrees is good to know."""
    url = _make_tables(moto_url, table_prefix)
    run_rounds(url, Threads.on, scenario, max(1, ROUNDS // scenario.share // 100))


def _make_tables(endpoint_url: str, prefix: str) -> str:
    with dynamodb_client(endpoint_url) as client:
        create_tables(Connection(client), prefix)
    return f"dynamodb://{REGION}/{prefix}?endpoint_url={endpoint_url}"
