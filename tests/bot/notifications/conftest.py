"""Fixtures of the notification tests: a workspace, a SQLite file, and a clock that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bot.notifications.harness import Office, a_workspace
from tests.core.services.harness import ChangingPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores
    from localslack.server import LocalSlack
    from tests.harness.clock import FrozenClock


@pytest.fixture
def slack(clock: FrozenClock) -> Iterator[LocalSlack]:
    with a_workspace(clock) as slack:
        yield slack


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy that the test may edit."""
    return ChangingPolicy()


@pytest.fixture
def office(slack: LocalSlack, stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> Office:
    """One instance."""
    return Office(slack, stores, policy, clock)
