"""Tables that were restored under another prefix, as point-in-time recovery does it: docs/disaster-recovery.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from core.audit.checkpoint import SETTLE_TIME, Checkpointer
from core.audit.trail import AuditAction
from core.audit.verification import verify_trail
from core.clock import new_id
from core.request import RequestId
from core.stores.schema import TABLES
from tests.builders import a_draft, a_request
from tests.core.stores.harness import KEYRING, DynamoHarness
from tests.harness.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.core.stores.harness import StoreHarness


def test_other_prefix_keeps_every_seal(harness_on: Callable[[str], StoreHarness]) -> None:
    before = cast("DynamoHarness", harness_on("moto"))
    pending = before.stores.requests.create(a_request(), a_draft())
    before.clock.advance(2 * SETTLE_TIME)
    Checkpointer(before.stores.audit, before.clock).seal_due(is_forced=True)
    items = [(table, before.client.scan(TableName=table.name(before.prefix))["Items"]) for table in TABLES]

    prefix = f"restored-{new_id()}"
    make_tables(before.client, prefix)
    after = DynamoHarness("moto", before.url, before.client, prefix, before.clock)
    for table, found in items:
        for item in found:
            after.client.put_item(TableName=table.name(prefix), Item=item)

    assert list(verify_trail(after.stores, KEYRING, after.clock.now())) == []
    stored = after.stores.requests.get(RequestId(pending.id))
    cancelled = stored.cancel(stored.requester, after.clock.now())
    after.stores.requests.update(cancelled, a_draft(AuditAction.REQUEST_CANCELLED, outcome="cancelled"))
    assert list(verify_trail(after.stores, KEYRING, after.clock.now())) == []
    after.close()
