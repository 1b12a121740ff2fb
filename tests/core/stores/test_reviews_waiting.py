"""The events that wait for their review: each from its end until its review, whatever else the table holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from core.actor import UserId
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventId
from tests.builders import HOUR, INVOKER, a_draft, a_reviewed_event, an_event
from tests.core.stores.harness import SqliteHarness
from tests.harness.clock import A_MOMENT, FrozenClock

if TYPE_CHECKING:
    from pathlib import Path

    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness

MINUTE = timedelta(minutes=1)


def _live(stores: Stores, number: int = 0) -> BreakGlassEvent:
    event = an_event(invoker=UserId(f"U0ONCALL{number}"), now=A_MOMENT + number * MINUTE)
    return stores.break_glass.create(event, a_draft(AuditAction.BREAK_GLASS_INVOKED))


def _closed(stores: Stores, number: int = 0) -> BreakGlassEvent:
    event = _live(stores, number)
    closed = event.close(event.invoker, event.created_at, "The checkout is up again")
    return stores.break_glass.update(closed, a_draft(AuditAction.BREAK_GLASS_CLOSED))


def _waiting(stores: Stores) -> list[str]:
    return [event.id for event in stores.break_glass.list_waiting_for_review().items]


def test_event_waits_from_its_end_until_its_review(stores: Stores) -> None:
    event = _live(stores)
    asked = stores.break_glass.update(event.ask(A_MOMENT), a_draft(AuditAction.BREAK_GLASS_ENDING_SOON))
    assert _waiting(stores) == [], "a live event waits for nothing"
    expired = stores.break_glass.update(asked.expire(A_MOMENT + 2 * HOUR), a_draft(AuditAction.BREAK_GLASS_EXPIRED))
    assert _waiting(stores) == [event.id]
    reminded = stores.break_glass.update(expired.remind(A_MOMENT + 3 * HOUR), a_draft(AuditAction.REVIEW_REMINDED))
    assert stores.break_glass.list_waiting_for_review().items == (reminded,)
    reviewed = stores.break_glass.update(a_reviewed_event(reminded), a_draft(AuditAction.BREAK_GLASS_REVIEWED))
    assert _waiting(stores) == []
    assert stores.break_glass.get(EventId(event.id)) == reviewed


def test_list_pages_newest_first_over_waiting_events_only(stores: Stores) -> None:
    ended = [_closed(stores, number) for number in range(5)]
    _live(stores, 7)
    first = stores.break_glass.list_waiting_for_review(limit=3)
    second = stores.break_glass.list_waiting_for_review(limit=3, cursor=first.cursor)
    assert [*first.items, *second.items] == ended[::-1]
    assert second.cursor is None
    since = stores.break_glass.list_waiting_for_review(since=ended[3].created_at)
    assert since.items == (ended[4], ended[3])


def test_malformed_event_is_named_and_hides_no_other(harness: StoreHarness) -> None:
    stores = harness.stores
    sound, broken = _closed(stores, 0), _closed(stores, 1)
    harness.make_unreadable(broken)
    page = stores.break_glass.list_waiting_for_review()
    assert page.items == (sound,)
    assert page.malformed == (broken.id,)


def test_deleted_event_waits_no_longer(stores: Stores) -> None:
    event = _closed(stores)
    stores.break_glass.delete(event, a_draft(AuditAction.RECORD_DELETED))
    assert _waiting(stores) == []


def test_sqlite_finds_what_waits_by_an_index(tmp_path: Path, clock: FrozenClock) -> None:
    harness = SqliteHarness(tmp_path / "countersign.db", clock)
    harness.close()
    with closing(sqlite3.connect(harness.path)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT id, created_at, body FROM break_glass"
            " WHERE awaits = ? AND created_at >= ? AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC",
            ("review", "", "~", ""),
        ).fetchall()
    assert "USING INDEX break_glass_by_awaits" in plan[0][3]
    assert "TEMP B-TREE" not in str(plan)


def test_event_keeps_when_people_were_asked(stores: Stores) -> None:
    event = _live(stores)
    asked = stores.break_glass.update(event.ask(A_MOMENT + MINUTE), a_draft(AuditAction.BREAK_GLASS_ENDING_SOON))
    closed = stores.break_glass.update(
        asked.close(INVOKER, A_MOMENT + 2 * MINUTE, "all is well again"), a_draft(AuditAction.BREAK_GLASS_CLOSED)
    )
    assert stores.break_glass.get(EventId(event.id)).asked_at == closed.asked_at == A_MOMENT + MINUTE
