"""An event and the request that it replaces change together or not at all; so do an event and the codes it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.audit.trail import AuditAction, seal
from core.break_glass import EventId
from core.clock import TICK
from core.errors import BrokenChain, ConcurrentModification, EventExists, InvalidStateTransition, RequestNotFound
from core.mfa import CodeLedger
from core.request import RequestId, RequestStatus
from core.stores.base import Replaced
from tests.builders import APPROVER, INVOKER, PROD, a_draft, a_request, an_event
from tests.core.stores.harness import KEYRING
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.break_glass import BreakGlassEvent
    from core.request import Request
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness


@pytest.fixture
def request_(stores: Stores) -> Request:
    return stores.requests.create(a_request(requester=INVOKER), a_draft())


def _declare(stores: Stores, event: BreakGlassEvent, request: Request) -> BreakGlassEvent:
    cancelled = request.cancel(INVOKER, A_MOMENT, replaced_by=event.id)
    ledgers = [ledger.add(event) for ledger in stores.break_glass.get_ledgers(event.invoker, event.profile)]
    replacing = Replaced(cancelled, a_draft(AuditAction.REQUEST_CANCELLED))
    return stores.break_glass.create(event, a_draft(AuditAction.BREAK_GLASS_INVOKED), ledgers, replacing=replacing)


def test_request_is_cancelled_with_the_event_that_replaces_it(stores: Stores, request_: Request) -> None:
    event = an_event(instead_of=request_.id)
    assert _declare(stores, event, request_) == stores.break_glass.get(EventId(event.id))
    cancelled = stores.requests.get(RequestId(request_.id))
    assert (cancelled.status, cancelled.replaced_by) == (RequestStatus.CANCELLED, event.id)
    assert [entry.event for entry in stores.audit.get_chain(cancelled.chain)][1:] == [AuditAction.REQUEST_CANCELLED]
    assert stores.audit.get_chain(cancelled.chain)[-1].record_digest == cancelled.content_digest()


def test_request_that_was_decided_meanwhile_leaves_no_event(harness: StoreHarness, request_: Request) -> None:
    stores = harness.stores
    approved = stores.requests.update(request_.approve(APPROVER, A_MOMENT), a_draft())
    before = harness.stored_entries()
    event = an_event()
    with pytest.raises(InvalidStateTransition) as refusal:
        _declare(stores, event, request_)
    assert (refusal.value.record, refusal.value.decided_by) == (request_.chain, APPROVER)
    assert harness.stored(event) is None
    assert harness.stored_ledgers() == {}
    assert harness.stored_entries() == before
    assert stores.requests.get(RequestId(request_.id)) == approved


def test_request_that_gained_a_vote_meanwhile_leaves_no_event(harness: StoreHarness) -> None:
    stores = harness.stores
    request = stores.requests.create(a_request(requester=INVOKER, required_approvals=2), a_draft())
    stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    event = an_event()
    with pytest.raises(ConcurrentModification):
        _declare(stores, event, request)
    assert harness.stored(event) is None
    assert harness.stored_ledgers() == {}


def test_request_that_is_gone_leaves_no_event(harness: StoreHarness, request_: Request) -> None:
    harness.stores.requests.delete(request_, a_draft(AuditAction.RECORD_DELETED))
    event = an_event()
    with pytest.raises(RequestNotFound):
        _declare(harness.stores, event, request_)
    assert harness.stored(event) is None


def test_event_that_exists_leaves_the_request_as_it_was(stores: Stores, request_: Request) -> None:
    event = stores.break_glass.create(an_event(), a_draft())
    with pytest.raises(EventExists):
        _declare(stores, event, request_)
    assert stores.requests.get(RequestId(request_.id)) == request_


def test_ledger_that_changed_leaves_the_request_as_it_was(stores: Stores, request_: Request) -> None:
    event, other = an_event(), an_event()
    ledgers = [ledger.add(event) for ledger in stores.break_glass.get_ledgers(event.invoker, event.profile)]
    stores.break_glass.create(
        other, a_draft(), [each.add(other) for each in stores.break_glass.get_ledgers(INVOKER, PROD)]
    )
    replacing = Replaced(request_.cancel(INVOKER, A_MOMENT, replaced_by=event.id), a_draft())
    with pytest.raises(ConcurrentModification):
        stores.break_glass.create(event, a_draft(), ledgers, replacing=replacing)
    assert stores.requests.get(RequestId(request_.id)) == request_


def test_taken_place_in_the_requests_chain_leaves_no_event(harness: StoreHarness, request_: Request) -> None:
    harness.add_entry(seal(a_draft(), KEYRING, chain=request_.chain, seq=2, previous="", at=A_MOMENT))
    event = an_event()
    with pytest.raises(BrokenChain, match="audit verify"):
        _declare(harness.stores, event, request_)
    assert harness.stored(event) is None
    assert harness.stores.requests.get(RequestId(request_.id)) == request_


# Codes


def _codes(stores: Stores) -> CodeLedger:
    return stores.break_glass.get_ledgers_and_codes(INVOKER, PROD)[2]


def test_codes_are_read_with_both_ledgers_and_begin_empty(stores: Stores) -> None:
    by_invoker, by_profile, codes = stores.break_glass.get_ledgers_and_codes(INVOKER, PROD)
    assert (by_invoker, by_profile) == stores.break_glass.get_ledgers(INVOKER, PROD)
    assert codes == CodeLedger.of(INVOKER)


def test_wrong_code_is_written_alone_under_its_own_version(stores: Stores) -> None:
    empty = _codes(stores)
    stores.break_glass.put_codes(empty.count_wrong(A_MOMENT))
    once = _codes(stores)
    assert once.wrong_at == (A_MOMENT,)
    stores.break_glass.put_codes(once.count_wrong(A_MOMENT))
    assert _codes(stores).wrong_at == (A_MOMENT, A_MOMENT)
    for stale in (empty, once):
        with pytest.raises(ConcurrentModification):
            stores.break_glass.put_codes(stale.count_wrong(A_MOMENT))
    assert len(_codes(stores).wrong_at) == 2


def test_code_ledger_version_moves_on_a_clock_standing_still(stores: Stores) -> None:
    stores.break_glass.put_codes(_codes(stores).count_wrong(A_MOMENT))
    stores.break_glass.put_codes(_codes(stores).count_wrong(A_MOMENT))
    assert _codes(stores).updated_at == A_MOMENT + TICK


def test_code_is_used_with_its_event_or_not_at_all(harness: StoreHarness) -> None:
    stores = harness.stores
    unused = _codes(stores)
    first, second = an_event(mfa_method="totp"), an_event(mfa_method="totp", profile=type(PROD)("staging"))
    stores.break_glass.create(first, a_draft(), [unused.accept(7)])
    with pytest.raises(ConcurrentModification):
        stores.break_glass.create(second, a_draft(), [unused.accept(7)])
    assert harness.stored(second) is None
    assert _codes(stores).last_step == 7


def test_ledgers_of_codes_are_no_events(stores: Stores) -> None:
    stores.break_glass.put_codes(_codes(stores).count_wrong(A_MOMENT))
    assert list(stores.break_glass.iterate()) == []
