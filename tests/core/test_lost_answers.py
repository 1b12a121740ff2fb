"""Bad days on DynamoDB: the answer to the caller is what is in the table, or that the outcome is unknown."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Final

import pytest

from core.clock import new_id
from core.errors import InvalidStateTransition, StoreMisconfigured, StoreUnavailable
from core.request import RequestId, RequestStatus
from core.stores import Stores
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection, Timing
from core.stores.dynamodb.tables import create_tables
from tests.builders import SECOND_APPROVER
from tests.core.changes import CHANGES, NOW, Change, Close, Create, Invoke, Update
from tests.harness import faults
from tests.harness.aws import ENVIRONMENT, REGION
from tests.harness.clock import FrozenClock
from tests.harness.faults import CutReply, CutRequest, Fault, HoldReply, HoldRequest, SwapReply
from tests.harness.tcp_proxy import TcpProxy

_WRITE: Final = "TransactWriteItems"
ON_MOTO: Final = (Update,)
_PATIENT: Final = Timing(connect_seconds=5, reply_seconds=10, deadline_seconds=60)
_HASTY: Final = Timing(connect_seconds=5, reply_seconds=1.5, deadline_seconds=120)
"""A reply is late quickly; but there is time for as many tries as it takes."""
_BRIEF: Final = Timing(connect_seconds=5, reply_seconds=10, deadline_seconds=0.15)
_HASTY_AND_BRIEF: Final = Timing(connect_seconds=5, reply_seconds=0.05, deadline_seconds=0.15)


@dataclass(frozen=True, slots=True)
class Network:
    """One engine: `direct` reach it, and all others go through the proxy."""

    engine: str
    proxy: TcpProxy
    direct: Stores
    patient: Stores
    hasty: Stores
    brief: Stores
    hasty_and_brief: Stores


@pytest.fixture(scope="module", params=["moto", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def network_of_module(request: pytest.FixtureRequest) -> Iterator[Network]:
    url: str = request.getfixturevalue(f"{request.param}_url")
    prefix = f"lost-{new_id()}"
    with ExitStack() as cleanup:
        environment = cleanup.enter_context(pytest.MonkeyPatch.context())
        for name, value in ENVIRONMENT.items():
            environment.setenv(name, value)

        def connect(timing: Timing, endpoint_url: str) -> Stores:
            connection = Connection.open(REGION, endpoint_url, timing)
            stores = DynamoStores(connection, prefix, StoreSettings(clock=FrozenClock(NOW)))
            return cleanup.enter_context(closing(stores))

        with closing(Connection.open(REGION, url, _PATIENT)) as connection:
            create_tables(connection, prefix)
        proxy = cleanup.enter_context(TcpProxy(url))
        through = (connect(timing, proxy.url) for timing in (_PATIENT, _HASTY, _BRIEF, _HASTY_AND_BRIEF))
        yield Network(request.param, proxy, connect(_PATIENT, url), *through)


@pytest.fixture
def network(network_of_module: Network) -> Iterator[Network]:
    yield network_of_module
    network_of_module.proxy.clear()


@pytest.fixture(params=CHANGES, ids=lambda change: change.__name__)
def change(request: pytest.FixtureRequest, network: Network) -> Change:
    kind: type[Change] = request.param
    if network.engine == "moto" and kind not in ON_MOTO:
        pytest.skip("moto: one kind of change is enough to show that the client is right; AWS's engine judges them all")
    return kind(network.direct)


PASSING: Final[dict[str, list[Fault]]] = {
    "cut before it took effect": [CutRequest()],
    "cut before it took effect, three times": [CutRequest()] * 3,
    "cut after it took effect": [CutReply()],
    "cut after it took effect, three times": [CutReply()] * 3,
    "cut within the reply": [CutReply(60)],
    "cut at the last byte": [CutReply(-1)],
    "500 after it took effect": [SwapReply(faults.internal_server_error())],
    "503 page after it took effect": [SwapReply(faults.unavailable_page())],
    "conflict with itself after it took effect": [CutReply(), faults.transaction_canceled()],
    "500": [faults.internal_server_error()] * 3,
    "503 page": [faults.unavailable_page()] * 3,
    "throttled": [faults.throttling()] * 3,
    "throughput exceeded": [faults.throughput_exceeded()] * 3,
    "one item throttled": [faults.transaction_canceled("None", "ThrottlingError")] * 3,
    "one item's throughput exceeded": [faults.transaction_canceled("None", "ProvisionedThroughputExceeded")] * 3,
    "conflict on the record": [faults.transaction_canceled("TransactionConflict", "None")] * 3,
    "conflict on the entry": [faults.transaction_canceled("None", "TransactionConflict")] * 3,
    "conflict as an error of its own": [faults.transaction_conflict()] * 3,
    "in progress": [faults.transaction_in_progress()] * 3,
    "lost, in progress, throttled": [CutReply(), faults.transaction_in_progress(), faults.throttling()],
    "throttled, then lost": [faults.throttling(), CutReply()],
}


@pytest.mark.parametrize("day", PASSING)
def test_fault_that_passes_in_time_ends_in_one_change(network: Network, change: Change, day: str) -> None:
    for fault in PASSING[day]:
        network.proxy.next(fault, only=_WRITE)
    returned = change.make(network.patient)
    assert change.has_happened()
    assert returned == change.read()


def test_reply_that_comes_too_late_changes_nothing_twice(network: Network, change: Change) -> None:
    hold = HoldReply()
    network.proxy.next(hold, only=_WRITE)
    returned = change.make(network.hasty)
    assert change.has_happened()
    assert returned == change.read()
    hold.release()
    hold.wait_until_finished()
    assert change.has_happened()


def test_request_arriving_after_its_retry_changes_nothing_twice(network: Network, change: Change) -> None:
    hold = HoldRequest()
    network.proxy.next(hold, only=_WRITE)
    returned = change.make(network.hasty)
    assert change.has_happened()
    hold.release()
    hold.wait_until_finished()
    assert change.has_happened()
    assert returned == change.read()


@pytest.mark.parametrize("kind", [Create, Update, Invoke, Close])
def test_change_is_ours_though_its_answer_was_lost_meanwhile(
    network: Network, kind: type[Create | Update | Invoke | Close]
) -> None:
    change = kind(network.direct)
    late_reply, repetitions = HoldReply(), HoldRequest()
    network.proxy.next(late_reply, only=_WRITE)
    network.proxy.next(repetitions, only=_WRITE, times=None)
    with ThreadPoolExecutor(1) as other:
        ours = other.submit(change.make, network.hasty)
        late_reply.wait_until_reached()
        later = change.change_later()
        repetitions.release()
        returned = ours.result()
    late_reply.release()
    assert returned is not None
    assert later is not None
    assert later.audit_length == returned.audit_length + 1
    assert change.read() == later
    assert change.has_happened()


@pytest.mark.parametrize("lost", [True, False])
def test_hard_error_means_unchanged_only_if_no_answer_was_lost(network: Network, *, lost: bool) -> None:
    change = Update(network.direct)
    if lost:
        network.proxy.next(CutReply(), only=_WRITE)
    network.proxy.next(faults.expired_credentials(), only=_WRITE)
    with pytest.raises(StoreUnavailable if lost else StoreMisconfigured) as error:
        change.make(network.patient)
    assert getattr(error.value, "is_outcome_unknown", False) is lost
    assert change.has_happened() is lost


def test_other_decision_is_reported_when_ours_was_lost(network: Network) -> None:
    change, repetitions = Update(network.direct), HoldRequest()
    network.proxy.next(CutRequest(), only=_WRITE)
    network.proxy.next(repetitions, only=_WRITE, times=None)
    with ThreadPoolExecutor(1) as other:
        ours = other.submit(change.make, network.patient)
        repetitions.wait_until_reached()
        denied = change.decide_instead()
        repetitions.release()
        with pytest.raises(InvalidStateTransition) as refusal:
            ours.result()
    assert (refusal.value.status, refusal.value.decided_by) == (RequestStatus.DENIED, SECOND_APPROVER)
    assert change.read() == denied
    assert not change.has_happened()


LASTING: Final[dict[str, tuple[list[Fault], Fault, bool, bool]]] = {
    # The first faults, the one that lasts, whether the outcome is unknown then, and what it is.
    "throttled": ([], faults.throttling(), False, False),
    "throughput exceeded": ([], faults.throughput_exceeded(), False, False),
    "conflict": ([], faults.transaction_canceled("None", "TransactionConflict"), False, False),
    "500": ([], faults.internal_server_error(), True, False),
    "503 page": ([], faults.unavailable_page(), True, False),
    "in progress": ([], faults.transaction_in_progress(), True, False),
    "every request cut": ([], CutRequest(), True, False),
    "every reply cut": ([], CutReply(), True, True),
    "every reply a 500": ([], SwapReply(faults.internal_server_error()), True, True),
    "lost on the way, then throttled": ([CutRequest()], faults.throttling(), True, False),
    "lost on the way back, then throttled": ([CutReply()], faults.throttling(), True, True),
    "500 after it took effect, then throttled": (
        [SwapReply(faults.internal_server_error())],
        faults.throttling(),
        True,
        True,
    ),
}


@pytest.mark.parametrize("day", LASTING)
def test_fault_that_lasts_ends_in_an_honest_error(network: Network, change: Change, day: str) -> None:
    first, lasting, is_unknown, has_happened = LASTING[day]
    for fault in first:
        network.proxy.next(fault, only=_WRITE)
    network.proxy.next(lasting, only=_WRITE, times=None)
    with pytest.raises(StoreUnavailable) as error:
        change.make(network.brief)
    assert error.value.is_outcome_unknown is is_unknown
    assert change.has_happened() is has_happened


def test_outcome_is_unknown_and_changed_when_every_reply_is_late(network: Network, change: Change) -> None:
    hold = HoldReply()
    network.proxy.next(hold, only=_WRITE, times=None)
    with pytest.raises(StoreUnavailable) as error:
        change.make(network.hasty_and_brief)
    assert error.value.is_outcome_unknown
    hold.wait_until_reached()
    assert change.has_happened()
    hold.release()


def test_outcome_is_unknown_when_every_request_is_late(network: Network, change: Change) -> None:
    hold = HoldRequest()
    network.proxy.next(hold, only=_WRITE, times=None)
    with pytest.raises(StoreUnavailable) as error:
        change.make(network.hasty_and_brief)
    assert error.value.is_outcome_unknown
    assert not change.has_happened()
    hold.release()
    hold.wait_until_finished()
    assert change.has_happened()


@pytest.mark.usefixtures("aws_environment")
def test_refused_connection_means_nothing_was_changed(change: Change) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    connection = Connection.open(REGION, address, _BRIEF)
    with (
        closing(DynamoStores(connection, "nowhere", StoreSettings())) as stores,
        pytest.raises(StoreUnavailable) as error,
    ):
        change.make(stores)
    assert not error.value.is_outcome_unknown
    assert not change.has_happened()


READING: Final[dict[str, list[Fault]]] = {
    "cut before": [CutRequest()],
    "cut after": [CutReply()],
    "500": [faults.internal_server_error()] * 3,
    "503 page": [faults.unavailable_page()] * 3,
    "throttled": [faults.throttling()] * 3,
    "throughput exceeded": [faults.throughput_exceeded()] * 3,
}


@pytest.mark.parametrize("day", READING)
def test_read_is_retried(network: Network, day: str) -> None:
    request, event = Update(network.direct).record, Close(network.direct).record
    for operation in ("GetItem", "BatchGetItem", "Query"):
        for fault in READING[day]:
            network.proxy.next(fault, only=operation)
    assert network.patient.requests.get(RequestId(request.id)) == request
    by_invoker, by_profile = network.patient.break_glass.get_ledgers(event.invoker, event.profile)
    assert by_invoker.has(event.id)
    assert by_profile.has(event.id)
    assert network.patient.requests.list_by_profile(request.profile, limit=1).items
    assert len(network.patient.audit.get_chain(request.chain)) == 1


@pytest.mark.parametrize("fault", [CutRequest(), CutReply(), faults.throttling(), faults.unavailable_page()])
def test_read_without_an_answer_is_reported(network: Network, fault: Fault) -> None:
    """Never that there is no such record."""
    request = Update(network.direct).record
    network.proxy.next(fault, times=None)
    for read in (
        lambda: network.brief.requests.get(RequestId(request.id)),
        lambda: network.brief.requests.list_by_status(RequestStatus.PENDING),
        lambda: network.brief.break_glass.get_ledgers(SECOND_APPROVER, request.profile),
        lambda: network.brief.audit.get_chain(request.chain),
    ):
        with pytest.raises(StoreUnavailable) as error:
            read()
        assert not error.value.is_outcome_unknown
