"""What every store of sessions promises, on each engine: a session stands only while its grant is what was read."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from core.access.grant import GrantId
from core.access.session import SessionExists, SessionId, SessionNotFound, SessionStatus
from core.actor import UserId
from core.audit.trail import AuditAction
from core.errors import BrokenSeal, ConcurrentModification, FixedFactChanged, GrantNotFound, InvalidStateTransition
from core.stores.sessions import FoundSessions
from tests.builders import REQUESTER
from tests.core.access.world import RIGHT
from tests.core.stores.access_bench import HOUR, OTHER, drafted
from tests.core.stores.session_bench import DESKTOP, LAPTOP, SessionBench, issued
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.access.session import Session
    from core.stores.record_store import Page
    from tests.core.stores.harness import StoreHarness
    from tests.harness.clock import FrozenClock


@pytest.fixture
def bench(harness: StoreHarness, clock: FrozenClock) -> SessionBench:
    """Sessions on each engine in turn."""
    return SessionBench.on(harness.stores, clock)


class TestIssuing:
    """Creating and touching."""

    def test_session_is_read_as_it_was_created(self, bench: SessionBench) -> None:
        grant = bench.open_grant()
        assert bench.state(grant).session is None
        session = bench.issue(grant)
        state = bench.state(grant)
        assert (state.grant, state.session) == (grant, session)
        assert bench.store.get(SessionId(session.id)) == session
        assert session.expires_at == grant.ends_at
        assert session.source_identity == f"countersign-{grant.id}-{REQUESTER}"

    def test_second_create_is_refused_and_changes_nothing(self, bench: SessionBench) -> None:
        grant = bench.open_grant()
        session = bench.issue(grant)
        bench.clock.advance(HOUR / 4)
        with pytest.raises(SessionExists):
            bench.issue(grant)
        assert bench.store.get(SessionId(session.id)) == session

    def test_touch_counts_and_never_shortens(self, bench: SessionBench) -> None:
        grant = bench.open_grant()
        first = bench.issue(grant)
        bench.clock.advance(HOUR / 4)
        second = bench.touch(first, grant)
        assert (second.issue_count, second.last_used_at) == (2, A_MOMENT + HOUR / 4)
        assert second.credentials_until == A_MOMENT + HOUR / 4 + HOUR
        assert bench.store.get(SessionId(first.id)) == second
        with pytest.raises(ConcurrentModification, match="SESSION#"):
            bench.touch(first, grant)

    @pytest.mark.parametrize("way", ["create", "touch"])
    def test_nothing_is_issued_once_the_grant_ended(self, bench: SessionBench, way: str) -> None:
        grant = bench.open_grant()
        session = bench.issue(grant)
        bench.end(grant)
        attempt = partial(bench.issue, grant, DESKTOP) if way == "create" else partial(bench.touch, session, grant)
        with pytest.raises(ConcurrentModification, match="GRANT#"):
            attempt()
        assert bench.store.list_of_grant(GrantId(grant.id)).sessions == (session,)

    @pytest.mark.parametrize("way", ["create", "touch"])
    def test_nothing_is_issued_under_a_grant_put_back(
        self, bench: SessionBench, harness: StoreHarness, way: str
    ) -> None:
        grant = bench.open_grant()
        session, stored = bench.issue(grant), harness.stored(grant)
        bench.end(grant)
        assert stored is not None
        harness.put_back(grant, stored)
        attempt = partial(bench.issue, grant, DESKTOP) if way == "create" else partial(bench.touch, session, grant)
        with pytest.raises(BrokenSeal, match="GRANT#"):
            attempt()
        harness.stores.refusals.flush()
        assert AuditAction.SEAL_BROKEN in {each.event for each in harness.stores.audit.export()}

    def test_nothing_is_issued_over_a_grant_that_was_changed(self, bench: SessionBench, harness: StoreHarness) -> None:
        grant = bench.open_grant()
        harness.spoil(grant, {"expires_at": "2099-01-01T00:00:00.000000Z"})
        with pytest.raises(BrokenSeal):
            bench.state(grant)
        harness.spoil(grant, {"expires_at": grant.to_item()["expires_at"], "seal": "00:00"})
        with pytest.raises(ConcurrentModification, match="GRANT#"):
            bench.issue(grant)

    def test_no_session_without_its_grant(self, bench: SessionBench) -> None:
        grant = bench.open_grant()
        with pytest.raises(SessionNotFound):
            bench.store.get(SessionId("00000000000000ff"))
        bench.access.store.delete(grant, drafted(grant, AuditAction.RECORD_DELETED))
        with pytest.raises(GrantNotFound):
            bench.state(grant)
        with pytest.raises(ConcurrentModification):
            bench.issue(grant)


class TestEnding:
    """Revoking, expiring and cleaning up."""

    def test_two_ends_are_one(self, bench: SessionBench) -> None:
        session = bench.issue(bench.open_grant())
        revoked = bench.revoke(session)
        assert revoked.status is SessionStatus.REVOKED
        with pytest.raises(InvalidStateTransition):
            bench.update(session.replace(status=SessionStatus.EXPIRED), AuditAction.SESSION_EXPIRED)
        with pytest.raises(ConcurrentModification):
            bench.revoke(session)
        assert bench.store.get(SessionId(session.id)) == revoked

    def test_who_revoked_it_stays(self, bench: SessionBench) -> None:
        revoked = bench.revoke(bench.issue(bench.open_grant()))
        for changes in ({"revoked_reason": "Another"}, {"revoked_by": UserId("U0REQUESTER")}):
            with pytest.raises(FixedFactChanged, match="revoked"):
                bench.update(revoked.replace(**changes), AuditAction.SESSION_REVOKED)

    def test_whose_it_is_stays(self, bench: SessionBench) -> None:
        session = bench.issue(bench.open_grant())
        for changes in ({"device_name": "other"}, {"expires_at": session.expires_at + HOUR}, {"right": OTHER}):
            with pytest.raises(FixedFactChanged):
                bench.update(session.replace(**changes), AuditAction.CREDENTIALS_ISSUED)

    def test_right_lists_what_is_not_cleaned_up(self, bench: SessionBench) -> None:
        grant = bench.open_grant()
        first = bench.issue(grant)
        bench.clock.advance(timedelta(minutes=1))
        second = bench.issue(grant, DESKTOP)
        bench.open_grant(2, right=OTHER)
        bench.end(bench.read_grant(grant))
        assert bench.store.list_of_right(RIGHT).sessions == (first, second)
        revoked = bench.revoke(first)
        denied = bench.update(revoked.note_deny(bench.clock.now()), AuditAction.DENY_PUT)
        assert bench.store.list_of_right(RIGHT).sessions == (denied, second)
        bench.clock.advance(2 * HOUR)
        cleaned = bench.update(denied.clean(bench.clock.now()), AuditAction.DENY_REMOVED)
        expired = bench.update(second.expire(bench.clock.now()), AuditAction.SESSION_EXPIRED)
        assert bench.store.list_of_right(RIGHT).sessions == ()
        assert bench.store.list_of_grant(GrantId(grant.id)).sessions == (cleaned, expired)

    def test_deleted_session_is_gone_and_its_chain_ends(self, bench: SessionBench) -> None:
        session = bench.issue(bench.open_grant())
        bench.store.delete(session, issued(session))
        assert bench.store.list_of_right(RIGHT) == FoundSessions()
        with pytest.raises(SessionNotFound):
            bench.store.get(SessionId(session.id))
        assert bench.store.list_of_grant(GrantId(session.grant)).sessions == ()


class TestLists:
    """Who has what, and what is due."""

    def test_lists_show_sessions_and_never_grants(self, bench: SessionBench) -> None:
        grant = bench.open_grant()
        session = bench.issue(grant)
        bench.clock.advance(timedelta(minutes=1))
        other = bench.issue(bench.read_grant(grant), DESKTOP)
        revoked = bench.revoke(other)
        assert _items(bench.store.list_by_person(REQUESTER)) == [revoked, session]
        assert _items(bench.store.list_by_profile(grant.profile)) == [revoked, session]
        assert _items(bench.store.list_by_status(SessionStatus.ACTIVE)) == [session]
        assert _items(bench.store.list_by_status(SessionStatus.REVOKED)) == [revoked]
        assert _items(bench.store.list_awaiting("expiry")) == [session]
        assert _items(bench.store.list_awaiting("cleanup")) == [revoked]
        access = bench.access.store
        of_grants = (access.list_by_person(REQUESTER), access.list_by_profile(grant.profile), access.list_live())
        assert [list(page.items) for page in (*of_grants, access.list_by_status(grant.status))] == [[grant]] * 4
        assert [each.id for each in access.iterate()] == list(access.iterate_ids()) == [grant.id]
        assert {each.id for each in bench.store.iterate()} == set(bench.store.iterate_ids()) == {session.id, other.id}
        assert access.count_live(10) == 1

    def test_list_goes_on_where_its_page_ended(self, bench: SessionBench) -> None:
        grant = bench.open_grant()
        made = []
        for number in range(3):
            bench.clock.advance(timedelta(seconds=1))
            made.append(bench.issue(grant, f"{number:016x}"))
        first = bench.store.list_by_person(REQUESTER, limit=2)
        second = bench.store.list_by_person(REQUESTER, limit=2, cursor=first.cursor)
        assert [*first.items, *second.items] == made[::-1]
        since = bench.store.list_by_person(REQUESTER, since=made[-1].created_at)
        assert list(since.items) == made[-1:]

    def test_source_identity_finds_all_of_its_grant(self, bench: SessionBench) -> None:
        grant = bench.open_grant()
        sessions = (bench.issue(grant), bench.issue(grant, DESKTOP))
        bench.issue(bench.open_grant(2, right=OTHER))
        assert set(bench.store.find_by_source_identity(sessions[0].source_identity)) == set(sessions)
        ours = f"countersign-{grant.id}"
        for text in ("", "ann", ours, f"{ours}-U0OTHER", "countersign-x-U0REQUESTER"):
            assert bench.store.find_by_source_identity(text) == ()

    def test_one_damaged_session_hides_no_other(self, bench: SessionBench, harness: StoreHarness) -> None:
        grant = bench.open_grant()
        first, second, third = (bench.issue(grant, device) for device in (LAPTOP, DESKTOP, "00000000000000d3"))
        harness.spoil(first, {"issue_count": 9})
        harness.make_unreadable(second)
        found = bench.store.list_of_right(RIGHT)
        assert found.sessions == (third,)
        assert found.unreadable == tuple(sorted((first.id, second.id)))
        assert bench.store.list_of_grant(GrantId(grant.id)) == found
        with pytest.raises(BrokenSeal):
            bench.store.get(SessionId(first.id))


class TestDoors:
    """The doors of roles."""

    def test_door_is_shut_until_it_is_opened(self, bench: SessionBench) -> None:
        door = bench.store.get_door(RIGHT)
        assert (door.is_open, door.generation) == (False, 0)
        opened = bench.store.move_door(door.open("00000000000000a1", 3, bench.clock.now()))
        assert bench.store.get_door(RIGHT) == opened
        assert opened.is_open
        assert bench.store.get_door(OTHER).is_open is False
        shut = bench.store.move_door(opened.shut("00000000000000a1", 4, bench.clock.now()))
        assert bench.store.get_door(RIGHT) == shut

    def test_second_move_of_one_door_is_refused(self, bench: SessionBench) -> None:
        empty = bench.store.get_door(RIGHT)
        opened = bench.store.move_door(empty.open("00000000000000a1", 3, bench.clock.now()))
        for late in (empty, empty):
            with pytest.raises(ConcurrentModification, match="DOOR#aws"):
                bench.store.move_door(late.open("00000000000000a1", 4, bench.clock.now()))
        assert bench.store.get_door(RIGHT) == opened

    @pytest.mark.parametrize("change", [{"is_open": True}, {"seal": 5, "updated_at": 5}, {"seal": None}])
    def test_door_that_was_forged_counts_as_none(
        self, bench: SessionBench, harness: StoreHarness, change: dict[str, object]
    ) -> None:
        door, now = bench.store.get_door(RIGHT), bench.clock.now()
        bench.store.move_door(door.shut("00000000000000a1", 3, now))
        harness.spoil_ledger(f"DOOR#{RIGHT}", change)
        found = bench.store.get_door(RIGHT)
        assert (found.is_open, found.generation) == (False, 0)

        opened = bench.store.move_door(found.open("00000000000000a1", 4, now))
        assert bench.store.get_door(RIGHT) == opened
        with pytest.raises(ConcurrentModification):
            bench.store.move_door(found.open("00000000000000a2", 5, now))


def _items(page: Page[Session]) -> list[Session]:
    assert page.malformed == ()
    return list(page.items)
