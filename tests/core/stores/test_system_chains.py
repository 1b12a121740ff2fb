"""Chains that belong to no record: appended to by any number of instances, each entry once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from core.audit.findings import Tally
from core.audit.trail import AuditAction, EntryDraft
from core.audit.verification import verify_trail
from core.clock import TICK
from core.errors import MalformedRecord, StoreUnavailable
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection, Timing
from core.stores.system_chains import ENTRIES_LOOKED_AT
from tests.builders import HOUR, a_draft
from tests.core.stores.harness import KEYRING, DynamoHarness
from tests.harness import faults
from tests.harness.aws import REGION
from tests.harness.clock import A_MOMENT
from tests.harness.faults import CutReply, Fault
from tests.harness.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from core.audit.trail import AuditEntry
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness

CHAIN = "DIRECTORY"


def _system_draft(number: int = 0) -> EntryDraft:
    # Until there are actions of their own for what these chains hold, any will do.
    return a_draft(AuditAction.RECORD_DELETED, outcome="noted", details={"number": number})


def _append(stores: Stores, count: int) -> list[AuditEntry]:
    return [stores.audit.append(CHAIN, _system_draft(number)) for number in range(count)]


def test_chain_that_nobody_wrote_has_no_last_entry(stores: Stores) -> None:
    assert stores.audit.get_last(CHAIN) is None


def test_appended_entries_are_a_sealed_chain(stores: Stores) -> None:
    entries = _append(stores, 3)
    assert stores.audit.get_chain(CHAIN) == tuple(entries)
    assert [each.seq for each in entries] == [1, 2, 3]
    assert [each.previous for each in entries] == ["", entries[0].digest, entries[1].digest]
    assert all(KEYRING.is_genuine(each) for each in entries)
    assert stores.audit.get_last(CHAIN) == entries[-1]


def test_two_chains_do_not_mix(stores: Stores) -> None:
    one, other = stores.audit.append("POLICY", _system_draft()), stores.audit.append(CHAIN, _system_draft())
    assert stores.audit.get_last("POLICY") == one
    assert stores.audit.get_last(CHAIN) == other
    assert (one.seq, other.seq) == (1, 1)


def test_appended_entry_waits_for_its_delivery(stores: Stores) -> None:
    entry = stores.audit.append(CHAIN, _system_draft())
    assert [each.entry for each in stores.outbox.iterate_due(A_MOMENT)] == [entry]


def test_appended_times_move_forward_though_the_clock_goes_back(harness: StoreHarness) -> None:
    first = harness.stores.audit.append(CHAIN, _system_draft())
    harness.clock.advance(-HOUR)
    assert first.at == A_MOMENT
    assert harness.stores.audit.append(CHAIN, _system_draft()).at == A_MOMENT + TICK


def test_verification_follows_appended_chains(harness: StoreHarness) -> None:
    entries, tally = _append(harness.stores, 3), Tally()
    assert list(verify_trail(harness.stores, KEYRING, A_MOMENT, tally)) == []
    assert (tally.chains, tally.entries) == (1, 3)
    harness.remove_entry(entries[1])
    assert {str(each.kind) for each in verify_trail(harness.stores, KEYRING, A_MOMENT)} == {"removed"}


def test_draft_that_comes_again_is_appended_once(stores: Stores) -> None:
    draft = _system_draft()
    entry = stores.audit.append(CHAIN, draft)
    _append(stores, ENTRIES_LOOKED_AT - 1)
    assert stores.audit.append(CHAIN, draft) == entry
    assert len(stores.audit.get_chain(CHAIN)) == ENTRIES_LOOKED_AT


def test_damaged_last_entry_keeps_no_later_one_out(harness: StoreHarness) -> None:
    first = harness.stores.audit.append(CHAIN, _system_draft())
    harness.spoil_entry(first)
    with pytest.raises(MalformedRecord):
        harness.stores.audit.get_last(CHAIN)
    second = harness.stores.audit.append(CHAIN, _system_draft())
    assert second.seq == first.seq + 1
    assert harness.stores.audit.get_last(CHAIN) == second
    assert {str(each.kind) for each in verify_trail(harness.stores, KEYRING, A_MOMENT)} == {"unreadable"}


@pytest.mark.parametrize("chain", ["REQUEST#0123456789abcdef", "REFUSALS#0123456789abcdef", "nonsense", ""])
def test_no_other_chain_can_be_appended_to(stores: Stores, chain: str) -> None:
    with pytest.raises(ValueError, match="system chains"):
        stores.audit.append(chain, _system_draft())
    assert list(stores.audit.iterate_chains()) == []


def test_instances_that_append_at_once_all_succeed(harness: StoreHarness) -> None:
    instances, each_appends = 4, 5
    opened = [harness.open() for _ in range(instances)]
    barrier = Barrier(instances)

    def append_all(stores: Stores) -> list[AuditEntry]:
        barrier.wait()
        return _append(stores, each_appends)

    with ThreadPoolExecutor(instances) as pool:
        appended = [entry for entries in pool.map(append_all, opened) for entry in entries]
    chain = harness.stores.audit.get_chain(CHAIN)
    assert sorted(appended, key=lambda entry: entry.seq) == list(chain)
    assert [each.seq for each in chain] == list(range(1, instances * each_appends + 1))
    assert list(verify_trail(harness.stores, KEYRING, A_MOMENT)) == []


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize("day", ["cut", "cut three times", "500 afterwards"])
def test_lost_answer_appends_once(dynamo: DynamoHarness, day: str) -> None:
    scripts: dict[str, list[Fault]] = {
        "cut": [CutReply()],
        "cut three times": [CutReply()] * 3,
        "500 afterwards": [faults.SwapReply(faults.internal_server_error())],
    }
    with TcpProxy(dynamo.url) as proxy:
        for fault in scripts[day]:
            proxy.next(fault, only="TransactWriteItems")
        patient = Timing(connect_seconds=5, reply_seconds=10, deadline_seconds=60)
        with closing(Connection.open(REGION, proxy.url, patient)) as connection:
            stores = DynamoStores(connection, dynamo.prefix, dynamo.settings)
            entry = stores.audit.append(CHAIN, _system_draft())
    assert dynamo.stores.audit.get_chain(CHAIN) == (entry,)


@pytest.mark.usefixtures("aws_environment")
def test_append_of_unknown_outcome_may_be_repeated(dynamo: DynamoHarness) -> None:
    draft = _system_draft()
    with TcpProxy(dynamo.url) as proxy:
        proxy.next(CutReply(), only="TransactWriteItems")
        brief = Timing(connect_seconds=5, reply_seconds=10, deadline_seconds=0)
        with closing(Connection.open(REGION, proxy.url, brief)) as connection:
            stores = DynamoStores(connection, dynamo.prefix, dynamo.settings)
            with pytest.raises(StoreUnavailable) as caught:
                stores.audit.append(CHAIN, draft)
    assert caught.value.is_outcome_unknown
    entry = dynamo.stores.audit.append(CHAIN, draft)
    assert dynamo.stores.audit.get_chain(CHAIN) == (entry,)
