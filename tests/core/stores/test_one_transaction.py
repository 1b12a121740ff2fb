"""A record, its audit entries and its ledgers move together or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.audit.trail import AuditAction, AuditEntry, seal
from core.break_glass import EventId
from core.clock import TICK
from core.errors import BrokenChain, ConcurrentModification, EventExists, RequestExists
from core.request import RequestId
from core.usage import UsageLedger
from tests.builders import (
    APPROVER,
    HOUR,
    INVOKER,
    PROD,
    STAGING,
    a_draft,
    a_request,
    an_approved_request,
    an_event,
)
from tests.core.stores.harness import KEYRING
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.break_glass import BreakGlassEvent
    from core.record import Record
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness


def _invoke(stores: Stores, event: BreakGlassEvent) -> BreakGlassEvent:
    by_invoker, by_profile = stores.break_glass.get_ledgers(event.invoker, event.profile)
    return stores.break_glass.create(event, a_draft(), [by_invoker.add(event), by_profile.add(event)])


def _squatter(record: Record, seq: int) -> AuditEntry:
    """An entry that no change of the record wrote, in a place of its chain."""
    return seal(a_draft(), KEYRING, chain=record.chain, seq=seq, previous="", at=A_MOMENT)


def test_every_change_has_its_entry_and_every_entry_its_change(harness: StoreHarness) -> None:
    stores = harness.stores
    request = stores.requests.create(a_request(required_approvals=2), a_draft())
    voted = stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    denied = stores.requests.update(voted.deny(INVOKER, A_MOMENT, "Not on a Friday"), a_draft())
    entries = stores.audit.get_chain(request.chain)
    assert [entry.record_digest for entry in entries] == [each.content_digest() for each in (request, voted, denied)]
    assert [entry.previous for entry in entries] == ["", request.audit_head, voted.audit_head]
    assert all(KEYRING.is_genuine(entry) for entry in entries)
    assert len(harness.stored_entries()) == denied.audit_length == 3


@pytest.mark.parametrize("place", [1, 2], ids=["the first entry", "the second entry"])
def test_taken_entry_key_keeps_a_record_from_being_created(harness: StoreHarness, place: int) -> None:
    request = an_approved_request()
    harness.add_entry(_squatter(request, place))
    with pytest.raises(RequestExists):
        harness.stores.requests.create(request, a_draft(), a_draft(AuditAction.REQUEST_APPROVED))
    assert harness.stored(request) is None
    assert harness.stored_entries() == [(request.chain, place)]


def test_taken_entry_key_keeps_an_event_and_its_ledgers_out(harness: StoreHarness) -> None:
    event = an_event()
    harness.add_entry(_squatter(event, 1))
    with pytest.raises(EventExists):
        _invoke(harness.stores, event)
    assert harness.stored(event) is None
    assert harness.stored_ledgers() == {}


def test_taken_entry_key_leaves_the_record_as_it_was(harness: StoreHarness) -> None:
    stores = harness.stores
    request = stores.requests.create(a_request(), a_draft())
    before = harness.stored(request)
    harness.add_entry(_squatter(request, 2))
    with pytest.raises(BrokenChain, match="audit verify"):
        stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    with pytest.raises(BrokenChain, match="audit verify"):
        stores.requests.delete(request, a_draft(AuditAction.RECORD_DELETED))
    assert harness.stored(request) == before
    assert len(harness.stored_entries()) == 2


def test_ledger_that_changed_leaves_no_event_and_no_entry(harness: StoreHarness) -> None:
    stores = harness.stores
    event, other = an_event(), an_event()
    by_invoker, by_profile = stores.break_glass.get_ledgers(INVOKER, PROD)
    _invoke(stores, other)
    ledgers, entries = harness.stored_ledgers(), harness.stored_entries()
    with pytest.raises(ConcurrentModification):
        stores.break_glass.create(event, a_draft(), [by_invoker.add(event), by_profile.add(event)])
    assert harness.stored(event) is None
    assert (harness.stored_ledgers(), harness.stored_entries()) == (ledgers, entries)


def test_one_of_two_ledgers_that_changed_is_enough(harness: StoreHarness) -> None:
    stores = harness.stores
    event = an_event()
    by_invoker, by_profile = stores.break_glass.get_ledgers(INVOKER, PROD)
    _invoke(stores, an_event(invoker=APPROVER))
    ledgers = harness.stored_ledgers()
    with pytest.raises(ConcurrentModification):
        stores.break_glass.create(event, a_draft(), [by_invoker.add(event), by_profile.add(event)])
    assert harness.stored_ledgers() == ledgers
    _invoke(stores, an_event(profile=STAGING))
    by_profile = stores.break_glass.get_ledgers(INVOKER, PROD)[1]
    with pytest.raises(ConcurrentModification):
        stores.break_glass.create(event, a_draft(), [by_invoker.add(event), by_profile.add(event)])
    assert harness.stored(event) is None


def test_ledger_that_changed_leaves_the_event_open(harness: StoreHarness) -> None:
    stores = harness.stores
    event = _invoke(stores, an_event())
    by_invoker, _ = stores.break_glass.get_ledgers(INVOKER, PROD)
    _invoke(stores, an_event(profile=STAGING))
    before = harness.stored(event)
    closed = event.close(INVOKER, A_MOMENT, "All is well again")
    with pytest.raises(ConcurrentModification):
        stores.break_glass.update(closed, a_draft(), [by_invoker.settle(closed)])
    assert harness.stored(event) == before
    assert len(stores.audit.get_chain(event.chain)) == 1


def test_refused_change_of_an_event_leaves_its_ledger(harness: StoreHarness) -> None:
    stores = harness.stores
    event = _invoke(stores, an_event())
    stores.break_glass.update(event.expire(A_MOMENT + HOUR), a_draft())
    ledgers = harness.stored_ledgers()
    by_invoker, _ = stores.break_glass.get_ledgers(INVOKER, PROD)
    closed = event.close(INVOKER, A_MOMENT, "All is well again")
    with pytest.raises(Exception, match="expired"):
        stores.break_glass.update(closed, a_draft(), [by_invoker.settle(closed)])
    assert harness.stored_ledgers() == ledgers


def test_close_moves_the_event_its_entry_and_its_ledger_together(stores: Stores) -> None:
    event = _invoke(stores, an_event())
    by_invoker, by_profile = stores.break_glass.get_ledgers(INVOKER, PROD)
    closed = event.close(INVOKER, A_MOMENT + TICK, "All is well again")
    stored = stores.break_glass.update(closed, a_draft(), [by_invoker.settle(closed)])
    assert stores.break_glass.get(EventId(event.id)) == stored
    now_by_invoker, now_by_profile = stores.break_glass.get_ledgers(INVOKER, PROD)
    assert now_by_invoker.live(PROD, A_MOMENT + TICK) is None
    assert now_by_invoker.updated_at is not None
    assert by_invoker.updated_at is not None
    assert now_by_invoker.updated_at > by_invoker.updated_at
    assert now_by_profile == by_profile


def test_same_invocation_again_conflicts_and_finds_its_event(stores: Stores) -> None:
    """Reading the ledgers again shows the event; "exists already" would tell its own invoker nothing."""
    event = an_event()
    by_invoker, by_profile = stores.break_glass.get_ledgers(INVOKER, PROD)
    ledgers = [by_invoker.add(event), by_profile.add(event)]
    stores.break_glass.create(event, a_draft(), ledgers)
    with pytest.raises(ConcurrentModification):
        stores.break_glass.create(event, a_draft(), ledgers)
    assert stores.break_glass.get_ledgers(INVOKER, PROD)[0].has(event.id)


# --- ledgers


def test_ledgers_begin_empty_and_unversioned(stores: Stores) -> None:
    by_invoker, by_profile = stores.break_glass.get_ledgers(INVOKER, PROD)
    assert by_invoker == UsageLedger.of_invoker(INVOKER)
    assert by_profile == UsageLedger.of_profile(PROD)
    assert by_invoker.updated_at is by_profile.updated_at is None


def test_both_ledgers_know_an_event_once_it_is_stored(stores: Stores) -> None:
    event = _invoke(stores, an_event())
    by_invoker, by_profile = stores.break_glass.get_ledgers(INVOKER, PROD)
    assert by_invoker.has(event.id)
    assert by_profile.has(event.id)
    assert by_invoker.updated_at == by_profile.updated_at == event.updated_at
    of_other, of_staging = stores.break_glass.get_ledgers(APPROVER, STAGING)
    assert (of_other.usages, of_staging.usages) == ((), ())


def test_ledger_version_moves_forward_on_a_clock_standing_still(stores: Stores) -> None:
    versions = []
    for _ in range(3):
        _invoke(stores, an_event())
        by_invoker, by_profile = stores.break_glass.get_ledgers(INVOKER, PROD)
        versions.append(by_invoker.updated_at)
        assert by_profile.updated_at == by_invoker.updated_at
    assert versions == [A_MOMENT, A_MOMENT + TICK, A_MOMENT + 2 * TICK]


def test_ledger_version_moves_forward_though_the_clock_goes_back(stores: Stores) -> None:
    _invoke(stores, an_event())
    _invoke(stores, an_event(now=A_MOMENT - HOUR))
    assert stores.break_glass.get_ledgers(INVOKER, PROD)[0].updated_at == A_MOMENT + TICK


def test_invoker_and_profile_of_the_same_name_have_two_ledgers(stores: Stores) -> None:
    event = _invoke(stores, an_event(invoker=INVOKER, profile=PROD))
    by_invoker, by_profile = stores.break_glass.get_ledgers(INVOKER, type(PROD)(INVOKER))
    assert by_invoker.has(event.id)
    assert by_profile.usages == ()


def test_request_is_stored_without_any_ledger(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(a_request(), a_draft())
    assert harness.stores.requests.get(RequestId(request.id)) == request
    assert harness.stored_ledgers() == {}
