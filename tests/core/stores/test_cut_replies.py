"""A truncated reply counts as lost: the call is repeated, and the reply is never read as empty."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from core.errors import StoreUnavailable
from core.request import RequestId
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection, Timing
from core.usage import UsageLedger
from tests.builders import a_draft, a_request, an_event
from tests.harness import faults
from tests.harness.aws import dynamodb_client
from tests.harness.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.request import Request
    from core.stores.base import Stores
    from tests.core.stores.harness import DynamoHarness


def ask_get(stores: Stores, request: Request) -> str:
    return stores.requests.get(RequestId(request.id)).id


def ask_query(stores: Stores, request: Request) -> str:
    return stores.requests.list_by_requester(request.requester).items[0].id


def ask_scan(stores: Stores, request: Request) -> str:
    return next(each.id for each in stores.requests.iterate() if each == request)


ASK: dict[str, Callable[[Stores, Request], str]] = {"GetItem": ask_get, "Query": ask_query, "Scan": ask_scan}


@contextmanager
def through(proxy: TcpProxy, dynamo: DynamoHarness, *, deadline_seconds: float) -> Iterator[Stores]:
    with dynamodb_client(proxy.url) as client:
        stores = DynamoStores(
            Connection(client, Timing(deadline_seconds=deadline_seconds)), dynamo.prefix, dynamo.settings
        )
        yield stores
        stores.refusals.close()


@pytest.mark.parametrize("operation", ASK)
def test_reply_cut_anywhere_is_asked_for_again(dynamo: DynamoHarness, operation: str) -> None:
    request = dynamo.stores.requests.create(a_request(), a_draft())
    with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=30) as stores:
        for after_bytes in (0, 1, 16, 40, 80, 120, 180, 240, 400, -200, -60, -5, -1):
            proxy.next(faults.CutReply(after_bytes), only=operation)

            assert ASK[operation](stores, request) == request.id


def test_ledger_whose_reply_was_cut_is_not_an_empty_one(dynamo: DynamoHarness) -> None:
    event = an_event()
    ledger = UsageLedger.of_invoker(event.invoker).add(event)
    dynamo.stores.break_glass.create(event, a_draft(), (ledger,))
    with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=30) as stores:
        for after_bytes in (40, 120, 240, -60, -1):
            proxy.next(faults.CutReply(after_bytes), only="BatchGetItem")

            assert stores.break_glass.get_ledgers(event.invoker, event.profile)[0].has(event.id)


@pytest.mark.parametrize("after_bytes", [40, 120, 240, -60, -1])
def test_store_is_unavailable_when_every_reply_is_cut(dynamo: DynamoHarness, after_bytes: int) -> None:
    request = dynamo.stores.requests.create(a_request(), a_draft())
    with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=0.2) as stores:
        proxy.next(faults.CutReply(after_bytes), only="GetItem", times=None)

        with pytest.raises(StoreUnavailable):
            stores.requests.get(RequestId(request.id))
