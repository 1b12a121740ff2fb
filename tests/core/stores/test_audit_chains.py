"""Chains of refused attempts, the reading of all chains, and the export."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.audit.trail import REFUSALS_KIND, AuditAction, AuditEntry, seal
from core.audit.verification import verify_trail
from core.clock import TICK, new_id
from core.errors import ConcurrentModification, MalformedRecord
from tests.builders import APPROVER, DAY, HOUR, a_clock_draft, a_draft, a_refusal, a_request, an_event
from tests.core.stores.harness import KEYRING
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness

BATCH = 24
"""DynamoDB Local takes 25 writes in one transaction; AWS takes 100."""


def _refusals(
    count: int, after: AuditEntry | None = None, chain: str = "", now: datetime = A_MOMENT
) -> list[AuditEntry]:
    """Sealed refusals that go on after an entry, or begin a chain."""
    entries: list[AuditEntry] = []
    name = after.chain if after is not None else chain or f"{REFUSALS_KIND}#{new_id()}"
    for number in range(count):
        last = entries[-1] if entries else after
        seq, previous = (last.seq + 1, last.digest) if last is not None else (1, "")
        at = now + number * TICK
        entries.append(seal(a_refusal(), KEYRING, chain=name, seq=seq, previous=previous, at=at))
    return entries


def test_chain_that_nobody_wrote_is_empty(stores: Stores) -> None:
    assert stores.audit.get_chain(f"REQUEST#{new_id()}") == ()
    assert stores.audit.get_refusals_head(f"{REFUSALS_KIND}#{new_id()}") == (0, "")


def test_refusals_are_added_in_order_and_move_the_head(stores: Stores) -> None:
    first = _refusals(3)
    chain = first[0].chain
    stores.audit.append_refusals(first)
    assert stores.audit.get_refusals_head(chain) == (3, first[-1].digest)
    more = _refusals(2, after=first[-1])
    stores.audit.append_refusals(more)
    assert stores.audit.get_chain(chain) == (*first, *more)
    assert stores.audit.get_refusals_head(chain) == (5, more[-1].digest)


def test_full_batch_is_one_transaction(harness: StoreHarness) -> None:
    harness.exempt("dynamodb_local", "it is of 2020 and takes 25 writes in one transaction; AWS takes 100 since 2022")
    batch = _refusals(99)
    harness.stores.audit.append_refusals(batch)
    assert harness.stores.audit.get_chain(batch[0].chain) == tuple(batch)


def test_same_refusals_again_are_recognised(harness: StoreHarness) -> None:
    first = _refusals(3)
    harness.stores.audit.append_refusals(first)
    before = sorted(harness.stored_entries())
    harness.stores.audit.append_refusals(first)
    more = _refusals(2, after=first[-1])
    harness.stores.audit.append_refusals(more)
    harness.stores.audit.append_refusals(more)
    assert harness.stores.audit.get_chain(first[0].chain) == (*first, *more)
    assert len(harness.stored_entries()) == len(before) + 2


def test_refusals_that_do_not_follow_the_head_are_refused(stores: Stores) -> None:
    first = _refusals(3)
    chain = first[0].chain
    stores.audit.append_refusals(first)
    for foreign in (
        _refusals(2, chain=chain),
        _refusals(2, after=first[0]),
        _refusals(1, after=_refusals(3, chain=chain)[-1]),
        _refusals(2, after=_refusals(9, chain=chain)[-1]),
    ):
        with pytest.raises(ConcurrentModification):
            stores.audit.append_refusals(foreign)
    assert stores.audit.get_chain(chain) == tuple(first)
    assert stores.audit.get_refusals_head(chain) == (3, first[-1].digest)


def test_place_that_is_taken_leaves_the_whole_batch_out(harness: StoreHarness) -> None:
    batch = _refusals(3)
    harness.add_entry(batch[1].model_copy(update={"id": new_id()}))
    with pytest.raises(ConcurrentModification):
        harness.stores.audit.append_refusals(batch)
    assert harness.stores.audit.get_refusals_head(batch[0].chain) == (0, "")
    assert harness.stored_entries() == [(batch[0].chain, 2)]


def test_every_chain_is_read_whole_and_in_order(stores: Stores) -> None:
    request = stores.requests.create(a_request(required_approvals=2), a_draft())
    voted = stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    event = stores.break_glass.create(an_event(), a_draft())
    refusals = _refusals(BATCH)
    stores.audit.append_refusals(refusals)
    chains = list(stores.audit.iterate_chains())
    assert dict(chains) == {
        voted.chain: stores.audit.get_chain(voted.chain),
        event.chain: stores.audit.get_chain(event.chain),
        refusals[0].chain: tuple(refusals),
    }
    assert len(chains) == 3


def test_chain_with_an_unreadable_entry_hides_no_other(harness: StoreHarness) -> None:
    stores = harness.stores
    requests = [stores.requests.create(a_request(), a_draft()) for _ in range(4)]
    requests[2] = stores.requests.update(requests[2].cancel(requests[2].requester, A_MOMENT), a_draft())
    first, _ = stores.audit.get_chain(requests[2].chain)
    harness.spoil_entry(first)
    found = dict(stores.audit.iterate_chains())
    assert len(found) == 4
    assert [chain for chain, entries in found.items() if isinstance(entries, MalformedRecord)] == [requests[2].chain]
    error = found[requests[2].chain]
    assert isinstance(error, MalformedRecord)
    assert f"{requests[2].chain}/1" in error.record
    with pytest.raises(MalformedRecord):
        stores.audit.get_chain(requests[2].chain)


def test_more_chains_and_entries_than_one_read_are_all_read(harness: StoreHarness) -> None:
    harness.exempt("moto", "it copies every table for each transaction, so that 500 entries take a minute")
    stores = harness.stores
    first = last = _refusals(BATCH)
    stores.audit.append_refusals(first)
    for _ in range(21):
        last = _refusals(BATCH, after=last[-1])
        stores.audit.append_refusals(last)
    request = stores.requests.create(a_request(), a_draft())
    found = dict(stores.audit.iterate_chains())
    refusals = found[first[0].chain]
    assert isinstance(refusals, tuple)
    assert [entry.seq for entry in refusals] == list(range(1, 22 * BATCH + 1))
    assert set(found) == {first[0].chain, request.chain}
    exported = [entry.id for entry in stores.audit.export()]
    assert len(exported) == len(set(exported)) == 22 * BATCH + 1


def test_written_chains_verify(harness: StoreHarness) -> None:
    stores = harness.stores
    request = stores.requests.create(a_request(), a_draft(), a_draft())
    stores.requests.update(
        request.cancel(request.requester, A_MOMENT), a_draft(AuditAction.REQUEST_CANCELLED, outcome="cancelled")
    )
    stores.requests.delete(stores.requests.create(a_request(), a_draft()), a_draft(AuditAction.RECORD_DELETED))
    event = stores.break_glass.create(an_event(), a_draft(AuditAction.BREAK_GLASS_INVOKED, outcome="active"))
    stores.break_glass.update(event.expire(A_MOMENT + HOUR), a_clock_draft(AuditAction.BREAK_GLASS_EXPIRED))
    stores.audit.append_refusals(_refusals(3))
    assert list(verify_trail(stores, KEYRING, A_MOMENT)) == []
    harness.spoil(event, {"justification": "Something else altogether"})
    assert [finding.chain for finding in verify_trail(stores, KEYRING, A_MOMENT)] == [event.chain]


# --- export


def test_export_has_since_and_not_until(harness: StoreHarness) -> None:
    stores = harness.stores
    for minutes in (0, 10, 20, 30):
        stores.requests.create(a_request(now=A_MOMENT + timedelta(minutes=minutes)), a_draft())
    harness.clock.set(A_MOMENT + HOUR)
    since, until = A_MOMENT + timedelta(minutes=10), A_MOMENT + timedelta(minutes=30)

    def minutes_of(since: datetime | None = None, until: datetime | None = None) -> list[int]:
        return [(entry.at - A_MOMENT).seconds // 60 for entry in stores.audit.export(since=since, until=until)]

    assert minutes_of() == [0, 10, 20, 30]
    assert minutes_of(since=since) == [10, 20, 30]
    assert minutes_of(since=since + TICK) == [20, 30]
    assert minutes_of(until=until) == [0, 10, 20]
    assert minutes_of(since=since, until=until) == [10, 20]
    assert minutes_of(since=until, until=since) == minutes_of(since=since, until=since) == []
    assert minutes_of(since=A_MOMENT + DAY) == []
    assert minutes_of(until=datetime(2024, 1, 1, tzinfo=UTC)) == []


def test_export_is_oldest_first_across_chains_months_and_years(harness: StoreHarness) -> None:
    stores = harness.stores
    moments = [
        datetime(2025, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2025, 12, 1, tzinfo=UTC),
        datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
    ]
    for moment in (moments[3], moments[0], moments[4], moments[2], moments[1]):
        stores.requests.create(a_request(now=moment), a_draft())
    harness.clock.set(moments[-1])
    assert [entry.at for entry in stores.audit.export()] == moments
    assert [entry.at for entry in stores.audit.export(since=moments[1], until=moments[3])] == moments[1:3]
    assert [entry.at for entry in stores.audit.export(since=moments[2])] == moments[2:]


def test_export_has_what_an_instance_with_a_fast_clock_wrote(harness: StoreHarness) -> None:
    harness.clock.set(datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC))
    ahead = datetime(2026, 2, 1, 0, 0, 1, tzinfo=UTC)
    harness.stores.requests.create(a_request(now=ahead), a_draft())
    assert [entry.at for entry in harness.stores.audit.export()] == [ahead]


def test_export_skips_and_logs_what_cannot_be_read(harness: StoreHarness, caplog: pytest.LogCaptureFixture) -> None:
    stores = harness.stores
    requests = [stores.requests.create(a_request(now=A_MOMENT + number * TICK), a_draft()) for number in range(3)]
    harness.spoil_entry(stores.audit.get_chain(requests[1].chain)[0])
    harness.clock.set(A_MOMENT + HOUR)
    assert [entry.chain for entry in stores.audit.export()] == [requests[0].chain, requests[2].chain]
    found: list[MalformedRecord] = []
    assert len([*stores.audit.export(on_malformed=found.append)]) == 2
    assert [each.record for each in found] == [f"audit entry {requests[1].chain}/1"]
    assert requests[1].chain in caplog.text
