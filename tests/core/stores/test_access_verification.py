"""Verification of access on each engine: an honest story has no findings, and a revoke that is hidden has one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.right import right_key
from core.audit.verification import verify_trail
from core.stores.schema import ACCESS
from tests.core.access.harness import HOUR, MINUTE
from tests.core.access.office import BOB, RITA, AccessOffice, right_of
from tests.core.stores.harness import KEYRING, DynamoHarness, StoreHarness

if TYPE_CHECKING:
    from tests.harness.clock import FrozenClock


def findings(harness: StoreHarness, clock: FrozenClock) -> dict[str, str]:
    """What verification finds, by chain."""
    return {each.chain: each.text for each in verify_trail(harness.stores, KEYRING, clock.now())}


@pytest.fixture
def office(harness: StoreHarness, clock: FrozenClock) -> AccessOffice:
    return AccessOffice(harness.stores, clock)


def test_access_from_approval_to_end_has_no_findings(
    office: AccessOffice, harness: StoreHarness, clock: FrozenClock
) -> None:
    request = office.approve()
    event = office.declare(BOB)
    assert findings(harness, clock) == {}
    office.pass_time(10 * MINUTE)
    office.close(event)
    assert findings(harness, clock) == {}
    office.pass_time(HOUR)
    assert office.actions(office.grant_of(request))[-1] == "grant_closed"
    assert findings(harness, clock) == {}
    office.pass_time(2 * HOUR)
    assert office.find_next_due() is None
    assert findings(harness, clock) == {}


def test_hidden_revoke_is_found(office: AccessOffice, harness: StoreHarness, clock: FrozenClock) -> None:
    office.approve()
    office.pass_time(10 * MINUTE)
    harness.forget_due(right_of(RITA))
    assert "is never due" in findings(harness, clock)[f"HOLDING#{right_of(RITA)}"]


def test_holding_that_nobody_sealed_is_found(office: AccessOffice, harness: StoreHarness, clock: FrozenClock) -> None:
    office.approve()
    office.pass_time(10 * MINUTE)
    harness.spoil_holding(right_of(RITA), {"is_ours": False})
    assert "its seal doesn't match" in findings(harness, clock)[f"HOLDING#{right_of(RITA)}"]


def test_right_that_does_not_list_its_grant_is_found(dynamo: DynamoHarness, clock: FrozenClock) -> None:
    office = AccessOffice(dynamo.stores, clock)
    first = office.approve(duration=10 * MINUTE)
    office.pass_time(MINUTE)
    # The later one becomes the last grant that the holding names.
    office.approve()
    office.pass_time(MINUTE)
    key = {"pk": {"S": f"HOLDING#{right_key(right_of(RITA))}"}}
    gone = {":gone": {"SS": [office.grant_of(first).id]}}
    dynamo.client.update_item(
        TableName=ACCESS.name(dynamo.prefix),
        Key=key,
        UpdateExpression="DELETE live :gone",
        ExpressionAttributeValues=gone,
    )
    told = findings(dynamo, clock)[f"HOLDING#{right_of(RITA)}"]
    assert told == f"{office.grant_of(first).chain} is live, and its right doesn't list it: nobody would end it"
    # Time goes on, and it is found as long as it lasts.
    clock.advance(timedelta(hours=1))
    assert f"HOLDING#{right_of(RITA)}" in findings(dynamo, clock)
