"""Somebody who can write to the tables puts back what was used up: sealed, but not what its chain says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.pairing import PairingExpired
from core.actor import Actor, UserId
from core.directory import FixedDirectory
from core.errors import BrokenChain
from core.services import PairingService
from tests.core.targets.role_office import RITA, RoleOffice
from tests.harness.pretend_aws import serve_pretend_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.core.stores.harness import SqliteHarness, StoreHarness
    from tests.harness.clock import FrozenClock

pytestmark = pytest.mark.parametrize("harness", ["sqlite"], indirect=True)
"""What the services do is the same on every engine."""


@pytest.fixture
def office(harness: StoreHarness, clock: FrozenClock, aws_environment: None) -> Iterator[RoleOffice]:
    del aws_environment
    with serve_pretend_aws(clock) as aws:
        yield RoleOffice(harness.stores, clock, aws)


def test_session_that_is_put_back_is_denied_all_the_same(office: RoleOffice, harness: StoreHarness) -> None:
    source, issued = office.open(), office.issue()
    stored = harness.stored(issued.session)
    assert stored is not None
    office.sessions.revoke(issued.session.id, RITA, "lost laptop")
    harness.put_back(issued.session, stored)
    with pytest.raises(BrokenChain):
        office.issue()

    other = RITA.model_copy(update={"id": UserId("U0EVE")})
    office.open(other)
    lost = office.issue(other)
    office.sessions.revoke(lost.session.id, other, "lost laptop")
    office.end(source)
    office.tend()
    assert not any(map(office.works, (issued, lost)))


def test_pairing_that_is_put_back_makes_no_second_device(office: RoleOffice, harness: SqliteHarness) -> None:
    pairing = PairingService(harness.stores, office.policy, office.clock, directory=FixedDirectory())
    started = pairing.start("laptop", "", "10.0.0.1")
    pairing.confirm(started.user_code, Actor(id=RITA.id))
    (confirmed,) = harness.ask("SELECT body, updated_at, owner FROM ledgers WHERE owner LIKE 'PAIRING#code#%'")
    pairing.exchange(started.device_code, "10.0.0.1")
    harness.ask("UPDATE ledgers SET body = ?, updated_at = ? WHERE owner = ?", *confirmed)
    office.clock.advance(timedelta(seconds=10))
    with pytest.raises(PairingExpired, match="used already"):
        pairing.exchange(started.device_code, "10.0.0.1")
