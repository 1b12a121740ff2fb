"""A session that an honest change sealed after somebody had changed it: its own chain, and its grant, tell."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.access.session import SessionStatus
from core.actor import UserId
from core.audit.replay import find_contradictions
from core.audit.session_replay import compare_with_grant
from core.audit.trail import AuditAction
from core.stores import open_stores
from tests.core.stores.access_bench import HOUR
from tests.core.stores.session_bench import SessionBench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.audit.trail import AuditEntry
    from tests.harness.clock import FrozenClock


class Told:
    """A session that was issued twice, revoked, denied and cleaned up, with its chain and its grant."""

    def __init__(self, bench: SessionBench, entries: Any) -> None:  # noqa: ANN401 - reads a chain
        self.grant = bench.open_grant()
        session = bench.touch(bench.issue(self.grant), self.grant)
        session = bench.update(session.note_key("ASIAEXAMPLEEXAMPLE01"), AuditAction.CREDENTIALS_ISSUED)
        session = bench.revoke(session)
        session = bench.update(session.note_deny(bench.clock.now()), AuditAction.DENY_PUT)
        bench.clock.advance(HOUR)
        self.session = bench.update(session.clean(bench.clock.now()), AuditAction.DENY_REMOVED)
        self.entries: tuple[AuditEntry, ...] = entries(session.chain)


@pytest.fixture
def told(tmp_path: Path, clock: FrozenClock) -> Iterator[Told]:
    stores = open_stores(f"sqlite:///{tmp_path / 'told.db'}", clock=clock)
    yield Told(SessionBench.on(stores, clock), stores.audit.get_chain)
    stores.close()


def test_honest_session_contradicts_nothing(told: Told) -> None:
    assert list(find_contradictions(told.session, told.entries)) == []
    assert list(compare_with_grant(told.session, told.grant)) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"issue_count": 1}, "its issue count is not that of its entries"),
        ({"access_key_id": "ASIAEXAMPLEEXAMPLE02"}, "its access key id is not that of its entries"),
        ({"credentials_until": "later"}, "its credentials until is not that of its entries"),
        ({"device_name": "other"}, "its device name is not what was issued"),
        ({"expires_at": "later"}, "its expires at is not what was issued"),
        ({"revoked_by": UserId("U0OTHER")}, "it was not revoked by the person whom its entries name"),
        ({"denied_at": None}, "its deny is not that of its entries"),
        ({"cleaned_at": None}, "its cleanup is not that of its entries"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_what_no_entry_says_is_found(told: Told, changes: dict[str, Any], text: str) -> None:
    later = {name: getattr(told.session, name) + HOUR for name, value in changes.items() if value == "later"}
    assert text in list(find_contradictions(told.session.replace(**(changes | later)), told.entries))


def test_revoke_that_was_taken_back_is_found(told: Told) -> None:
    gone = ("revoked_by", "revoked_at", "revoked_reason", "denied_at", "cleaned_at")
    active = told.session.replace(status=SessionStatus.ACTIVE, **dict.fromkeys(gone))
    found = list(find_contradictions(active, told.entries))
    assert "it is active, and its last entry says revoked" in found
    assert "its revoke is not that of its entries" in found


def test_session_outside_its_grant_is_found(told: Told) -> None:
    session, grant = told.session, told.grant
    shorter = grant.replace(duration=HOUR / 2, expires_at=grant.starts_at + HOUR / 2)
    assert list(compare_with_grant(session, shorter)) == [f"its end is not that of {grant.chain}"]
    late = session.replace(last_used_at=grant.ends_at + HOUR)
    assert list(compare_with_grant(late, grant)) == [f"its credentials were issued after {grant.chain} had ended"]
    never_open = grant.replace(status="pending", opened_at=None)
    assert list(compare_with_grant(session, never_open)) == [
        f"its credentials were issued before {grant.chain} was open"
    ]
    ended_first = grant.end_early(UserId("U0REQUESTER"), grant.starts_at + timedelta(seconds=1), "I'm done")  # type: ignore[arg-type]
    after = session.replace(last_used_at=grant.starts_at + HOUR / 4)
    assert list(compare_with_grant(after, ended_first)) == [
        f"its credentials were issued after {grant.chain} had ended"
    ]
