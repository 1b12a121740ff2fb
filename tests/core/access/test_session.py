"""A session: issued only under an open grant, ended once, and cleaned up when its credentials are dead."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydantic import ValidationError

from core.access.session import (
    AWAITS_CLEANUP,
    AWAITS_EXPIRY,
    SESSION_MACHINE,
    Session,
    SessionStatus,
    grant_of_source_identity,
    session_id_for,
)
from core.actor import ServiceName, UserId
from core.errors import InvalidInput, InvalidStateTransition
from tests.core.access.world import a_grant
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.access.grant import Grant

HOUR: Final = timedelta(hours=1)
DEVICE: Final = "00000000000000d1"
ANN: Final = UserId("U0ANN")


def _grant() -> Grant:
    grant = a_grant(source=f"REQUEST#{1:016x}", starts_at=A_MOMENT, ends_at=A_MOMENT + 2 * HOUR, now=A_MOMENT)
    return grant.open(A_MOMENT)


def _session(**changes: Any) -> Session:  # noqa: ANN401 - any of its fields
    made = Session.make(_grant(), device=DEVICE, device_name="laptop", lease=HOUR, now=A_MOMENT)
    return made.replace(**changes) if changes else made


def test_session_is_what_its_grant_gives() -> None:
    grant, session = _grant(), _session()
    assert (session.person, session.profile, session.right, session.expires_at) == (
        grant.person, grant.profile, grant.right, grant.ends_at,
    )  # fmt: skip
    assert session.id == session_id_for(grant.id, DEVICE) != session_id_for(DEVICE, grant.id)
    assert session.source_identity == f"countersign-{grant.id}-U0REQUESTER"
    assert grant_of_source_identity(session.source_identity) == grant.id
    assert (session.credentials_until, session.awaits, session.life_ends_at()) == (A_MOMENT + HOUR, AWAITS_EXPIRY, None)


@pytest.mark.parametrize("way", ["pending", "ending", "over"])
def test_nothing_is_issued_outside_an_open_grant(way: str) -> None:
    grant, now, session = _grant(), A_MOMENT + HOUR, _session()
    if way == "pending":
        grant = a_grant(source=grant.source, starts_at=A_MOMENT, ends_at=grant.ends_at, now=A_MOMENT)
    elif way == "ending":
        grant = grant.end_early(ANN, now, "I'm done")  # type: ignore[arg-type]
    else:
        now = grant.ends_at
    with pytest.raises(InvalidStateTransition, match="GRANT#"):
        Session.make(grant, device=DEVICE, device_name="laptop", lease=HOUR, now=now)
    with pytest.raises(InvalidStateTransition, match="GRANT#"):
        session.touch(grant, HOUR, now)


def test_grant_of_a_service_gives_only_to_its_devices() -> None:
    ci, test = ServiceName("ci-deploy"), ServiceName("ci-test")
    for of_grant, of_device in ((ci, None), (None, ci), (ci, test)):
        grant = _grant().replace(service=of_grant)
        with pytest.raises(InvalidInput, match="not made for"):
            Session.make(grant, device=DEVICE, device_name="runner", lease=HOUR, now=A_MOMENT, service=of_device)


def test_ended_session_issues_nothing() -> None:
    for ended in (_session().revoke(ANN, A_MOMENT, "Lost"), _session().expire(A_MOMENT + 2 * HOUR)):
        with pytest.raises(InvalidStateTransition, match="SESSION#"):
            ended.touch(_grant(), HOUR, A_MOMENT + HOUR)


def test_clock_that_goes_back_shortens_nothing() -> None:
    later = _session().touch(_grant(), HOUR, A_MOMENT + HOUR)
    again = later.touch(_grant(), HOUR, A_MOMENT)
    assert (again.issue_count, again.last_used_at, again.credentials_until) == (
        3, later.last_used_at, later.credentials_until,
    )  # fmt: skip


def test_key_of_the_last_issue_is_named_until_the_next() -> None:
    named = _session().note_key("ASIAEXAMPLEEXAMPLE01", A_MOMENT + HOUR + timedelta(seconds=2))
    assert named.credentials_until == A_MOMENT + HOUR + timedelta(seconds=2)
    assert named.touch(_grant(), HOUR, A_MOMENT).access_key_id is None
    revoked = _session().revoke(ANN, A_MOMENT, "Lost").note_key("ASIAEXAMPLEEXAMPLE01")
    assert (revoked.status, revoked.access_key_id) == (SessionStatus.REVOKED, "ASIAEXAMPLEEXAMPLE01")
    with pytest.raises(ValidationError):
        _session().note_key("a secret/with+more=")


def test_revoked_session_awaits_its_cleanup() -> None:
    revoked = _session().revoke(ANN, A_MOMENT, "Lost")
    assert (revoked.awaits, revoked.ended_by) == (AWAITS_CLEANUP, (ANN, A_MOMENT))
    assert revoked.revoke(UserId("U0BOB"), A_MOMENT + HOUR, "Another") == revoked
    with pytest.raises(InvalidStateTransition):
        revoked.clean(A_MOMENT + HOUR - timedelta(seconds=1))
    denied = revoked.note_deny(A_MOMENT)
    assert denied.note_deny(A_MOMENT + HOUR) == denied
    cleaned = denied.clean(A_MOMENT + HOUR)
    assert (cleaned.awaits, cleaned.life_ends_at()) == (None, A_MOMENT + HOUR)
    with pytest.raises(InvalidStateTransition):
        cleaned.expire(A_MOMENT + 3 * HOUR)


def test_session_expires_with_its_window_and_not_before() -> None:
    session = _session()
    with pytest.raises(InvalidStateTransition):
        session.expire(session.expires_at - timedelta(seconds=1))
    assert not session.is_usable(session.expires_at)
    expired = session.expire(session.expires_at)
    assert (expired.awaits, expired.life_ends_at()) == (None, session.expires_at)
    for move in (expired.revoke, lambda *_: expired.note_deny(A_MOMENT), lambda *_: expired.clean(A_MOMENT)):
        with pytest.raises(InvalidStateTransition):
            move(ANN, A_MOMENT, "Late")


def test_table_is_the_one_that_the_docstring_shows() -> None:
    table = {source: {target for target in SessionStatus if SESSION_MACHINE.may_move(source, target)}
             for source in SessionStatus}  # fmt: skip
    assert table == {
        SessionStatus.ACTIVE: {SessionStatus.ACTIVE, SessionStatus.REVOKED, SessionStatus.EXPIRED},
        SessionStatus.REVOKED: {SessionStatus.REVOKED},
        SessionStatus.EXPIRED: {SessionStatus.EXPIRED},
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"status": SessionStatus.REVOKED},
        {"revoked_by": ANN},
        {"denied_at": A_MOMENT},
        {"source_identity": "countersign-00000000000000a1-U0OTHER"},
        {"device": "00000000000000d2"},
        {"issue_count": 0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_session_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _session(**changes)


def test_stored_form_is_read_back_as_it_was() -> None:
    for session in (_session(), _session().revoke(ANN, A_MOMENT, "Lost").note_deny(A_MOMENT)):
        assert Session.from_item(session.to_item()) == session
        assert "service" not in session.to_item()
