"""A local Slack, and a tiny real Bolt app behind real transports.

Invariant: each test has its own Slack, its own app and its own metrics; the machine's clock runs, as signatures need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.observability.metrics import Metrics
from localslack.records import Channel, Person
from localslack.server import LocalSlack
from tests.bot.transport.small_app import ACCESS, ANN, SmallApp

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with LocalSlack() as slack:
        slack.workspace.add(
            Person(id=ANN, name="ann"),
            Channel(id=ACCESS, name="access-prod", members=(ANN, slack.backend.app.bot_user)),
        )
        yield slack


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def small_app(slack: LocalSlack, metrics: Metrics) -> Iterator[SmallApp]:
    app = SmallApp(slack, metrics)
    yield app
    app.close()
