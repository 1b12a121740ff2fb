"""DynamoDB's busy and its long answers: asked again with pauses until a deadline, and read whole or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from core.errors import ConcurrentModification, StoreUnavailable
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection, Timing
from tests.builders import INVOKER, PROD, a_draft, an_event
from tests.harness import faults
from tests.harness.aws import dynamodb_client
from tests.harness.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.core.stores.harness import DynamoHarness

# 20 ms, doubled up to 500 ms, and half of it on average: far fewer than a loop without a pause makes in 0.5 s.
MAX_CALLS = 100
_LONG = b'{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "' + b"x" * 40_000 + b'"}'


@contextmanager
def through(proxy: TcpProxy, dynamo: DynamoHarness, *, deadline_seconds: float = 30) -> Iterator[DynamoStores]:
    with dynamodb_client(proxy.url) as client:
        stores = DynamoStores(
            Connection(client, Timing(deadline_seconds=deadline_seconds)), dynamo.prefix, dynamo.settings
        )
        yield stores
        stores.refusals.close()


def _nothing_read(dynamo: DynamoHarness) -> faults.Answer:
    owners = (f"INVOKER#{INVOKER}", f"PROFILE#{PROD}")
    keys: list[dict[str, object]] = [{"pk": {"S": f"LEDGER#{owner}"}} for owner in owners]
    return faults.unprocessed_keys(f"{dynamo.prefix}-break-glass", *keys)


def test_unprocessed_keys_end_at_the_deadline(dynamo: DynamoHarness) -> None:
    with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=0.5) as stores:
        proxy.next(_nothing_read(dynamo), only="BatchGetItem", times=None)

        with pytest.raises(StoreUnavailable, match="UnprocessedKeys") as caught:
            stores.break_glass.get_ledgers(INVOKER, PROD)
        assert not caught.value.is_outcome_unknown
        assert 1 < proxy.counts["BatchGetItem"] < MAX_CALLS


def test_unprocessed_keys_are_read_at_last(dynamo: DynamoHarness) -> None:
    event = an_event()
    by_invoker, by_profile = (each.add(event) for each in dynamo.stores.break_glass.get_ledgers(INVOKER, PROD))
    dynamo.stores.break_glass.create(event, a_draft(), [by_invoker, by_profile])
    with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo) as stores:
        proxy.next(_nothing_read(dynamo), only="BatchGetItem", times=3)

        assert all(ledger.has(event.id) for ledger in stores.break_glass.get_ledgers(INVOKER, PROD))
        assert proxy.counts["BatchGetItem"] == 4


def test_long_refusal_in_chunks_is_an_answer(dynamo: DynamoHarness) -> None:
    """Throttled, once, at length: the write is certain not to have happened, and is repeated."""
    with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=0.2) as stores:
        proxy.next(faults.Answer(400, _LONG, chunk_bytes=8192), only="TransactWriteItems", times=None)

        with pytest.raises(StoreUnavailable) as caught:
            stores.break_glass.create(an_event(), a_draft())
        assert not caught.value.is_outcome_unknown


# Behind the head: inside a chunk; behind a chunk; behind the last chunk's content; and before the empty chunk.
@pytest.mark.parametrize("cut_at", [3_000, 20_000, -8, -7, -6, -5])
def test_long_refusal_cut_between_chunks_is_lost(dynamo: DynamoHarness, cut_at: int) -> None:
    with TcpProxy(dynamo.url) as proxy, through(proxy, dynamo, deadline_seconds=0.2) as stores:
        cut = faults.Answer(400, _LONG, chunk_bytes=8192, cut_at=cut_at)
        proxy.next(cut, only="TransactWriteItems", times=None)

        with pytest.raises(StoreUnavailable) as caught:
            stores.break_glass.create(an_event(), a_draft())
        assert caught.value.is_outcome_unknown


def test_refusal_with_two_large_ledgers_says_why(dynamo: DynamoHarness) -> None:
    """DynamoDB Local sends more than 32 KB in chunks: the refused transaction's reply holds the stored ledgers."""
    long = "x" * 40_000
    first = dynamo.stores.break_glass.create(an_event(), a_draft())
    dynamo.spoil(first, {"padding": long})

    with pytest.raises(ConcurrentModification):
        dynamo.stores.break_glass.delete(first.model_copy(update={"updated_at": first.expires_at}), a_draft())
