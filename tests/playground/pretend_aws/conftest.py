from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.harness.clock import FrozenClock
from tests.harness.pretend_aws import BROKER, add_accounts, serve_pretend_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playground.pretend_aws import AwsKeys, PretendAws

_START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[PretendAws, FrozenClock]]:
    """One server for a module: stopping one takes longer than a test."""
    clock = FrozenClock(_START)
    with serve_pretend_aws(clock) as aws:
        yield aws, clock


@pytest.fixture
def clock(served: tuple[PretendAws, FrozenClock]) -> FrozenClock:
    served[1].set(_START)
    return served[1]


@pytest.fixture
def aws(served: tuple[PretendAws, FrozenClock], clock: FrozenClock) -> PretendAws:
    del clock
    served[0].reset()
    add_accounts(served[0])
    return served[0]


@pytest.fixture
def broker(aws: PretendAws) -> AwsKeys:
    """The keys of a machine with the broker's role."""
    return aws.add_role_session(BROKER)
