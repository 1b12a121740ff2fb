"""What a holding keeps, and how it is written."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.access.holding import MAX_UNTOLD, Holding, Observation, OperationKind
from core.access.timing import CALL_TIMEOUT, CLOCK_MARGIN, LEASE
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction
from core.errors import BrokenSeal, InvalidInput, MalformedRecord
from core.stores.seals import read_sealed_ledger, seal_ledger
from tests.core.access.world import RIGHT
from tests.harness.clock import A_MOMENT

GRANT = "0123456789abcdef"


def given_once() -> Holding:
    return Holding.empty(RIGHT).begin(OperationKind.GIVE, GRANT, "worker", A_MOMENT)


def test_stored_form_reads_back_and_keeps_newer_fields() -> None:
    holding = given_once().lose_operation().tell(AuditAction.GRANT_GIVEN, GRANT, {"generation": 1})
    item = {**holding.to_item(), "of_tomorrow": {"a": 1}}
    read = Holding.from_item(item)
    assert read.to_item() == item
    assert read.right == RIGHT


def test_older_form_with_only_its_owner_is_read() -> None:
    assert Holding.from_item({"owner": "aws|111122223333|admin|ann", "updated_at": None}) == Holding.empty(RIGHT)


def test_seal_of_a_ledger_covers_it() -> None:
    keyring = AuditKeyring()
    sealed = seal_ledger(given_once(), A_MOMENT, keyring)
    assert read_sealed_ledger(Holding.empty(RIGHT), sealed.item, keyring).operation == given_once().operation
    with pytest.raises(BrokenSeal):
        read_sealed_ledger(Holding.empty(RIGHT), {**sealed.item, "is_ours": False}, keyring)


def test_owner_is_the_key_of_a_right() -> None:
    with pytest.raises(InvalidInput):
        Holding(owner="not a right")
    with pytest.raises(MalformedRecord):
        Holding.from_item({"owner": "not a right"})


def test_lease_leaves_time_for_a_call_by_any_clock() -> None:
    leased = Holding.empty(RIGHT).take_lease("worker", A_MOMENT)
    last = A_MOMENT + LEASE - CALL_TIMEOUT - CLOCK_MARGIN
    assert leased.may_call("worker", last)
    assert not leased.may_call("worker", last + timedelta(seconds=1))
    assert not leased.may_call("other", A_MOMENT)


def test_first_give_claims_the_right() -> None:
    holding = given_once()
    assert holding.operation is not None
    assert holding.is_ours
    assert holding.operation.is_first
    again = holding.lose_operation().begin(OperationKind.GIVE, GRANT, "worker", A_MOMENT)
    assert again.operation is not None
    assert not again.operation.is_first
    assert again.operation.generation == 2


def test_steps_that_wait_to_be_told_are_bounded() -> None:
    holding = Holding.empty(RIGHT)
    for number in range(2 * MAX_UNTOLD):
        holding = holding.tell(AuditAction.GRANT_GIVEN, GRANT, {"generation": number})
    assert len(holding.untold) == MAX_UNTOLD
    assert holding.untold[-1].details == {"generation": 2 * MAX_UNTOLD - 1}


def test_released_holding_claims_nothing() -> None:
    released = given_once().lose_operation().release()
    assert (released.is_touched, released.observed, released.changed_at) == (False, Observation.UNKNOWN, None)
