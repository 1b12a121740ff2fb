"""Verification of access on real stores: grants, the decisions that made them, and the holdings of their rights."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.access.grant import Grant, grant_id_for
from core.access.right import right_key
from core.actor import DeciderId
from core.audit.findings import FindingKind, Tally
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, EntryDraft
from core.audit.verification import verify_trail
from core.clock import format_time
from core.request import RequestStatus
from core.stores import open_stores
from core.stores.access import GrantWrite
from tests.core.access.harness import HOUR, MINUTE
from tests.core.access.office import ANN, BOB, RITA, WHY, AccessOffice, right_of
from tests.harness.clock import A_MOMENT
from tests.harness.keys import AUDIT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from core.audit.findings import Finding
    from core.request import Request
    from tests.harness.clock import FrozenClock

KEYRING = AuditKeyring.from_text(AUDIT_KEY)


DECIDED: Final = {
    RequestStatus.PENDING: AuditAction.REQUEST_REMINDED,
    RequestStatus.APPROVED: AuditAction.REQUEST_APPROVED,
}
TOLD_BY_CHAIN: Final = {
    "a pending request": "was never approved",
    "another person": "was decided for another person or profile",
    "another profile": "was decided for another person or profile",
    "another right": "doesn't give this right",
    "another decider": "its decider is not that of",
    "a longer window": "its window is not that of",
}


def as_approved(request: Request) -> Request:
    """The request as an approver decides it."""
    return request.approve(ANN.id, request.created_at)


def ends_at(request: Request) -> str | None:
    """When its access ends."""
    return format_time(request.access_ends_at) if request.access_ends_at is not None else None


def a_grant_of(request: Request, changes: Mapping[str, Any]) -> Grant:
    """The grant that approving the request makes, but for these changes."""
    right, source, starts_at = request.rights[0], request.chain, request.created_at
    made = Grant.make(
        grantee=request.requester,
        profile=request.profile,
        right=right,
        source=source,
        decided_by=DeciderId(ANN.id),
        justification=request.justification,
        starts_at=starts_at,
        ends_at=starts_at + HOUR,
        now=request.created_at,
    )
    facts = {**made.__dict__, **changes}
    facts |= {
        "id": grant_id_for(source, facts["right"]),
        "expires_at": facts["starts_at"] + facts["duration"],
    }
    return Grant.model_validate(facts)


class Archive(AccessOffice):
    """An office on a file that somebody can get at behind the bot's back."""

    path: Path

    def tamper(self, statement: str, *values: object) -> int:
        """Run a statement on the file; how many rows it changed."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, values).rowcount

    def read(self, table: str, key: str, value: str) -> dict[str, Any]:
        """A row."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.row_factory = sqlite3.Row
            return dict(connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", (value,)).fetchone())  # noqa: S608

    def put_back(self, table: str, row: dict[str, Any]) -> None:
        """Put an older version of a row back."""
        names = ", ".join(row)
        marks = ", ".join("?" for _ in row)
        self.tamper(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", *row.values())  # noqa: S608

    def findings(self) -> list[Finding]:
        """What verification finds now."""
        return list(verify_trail(self.stores, KEYRING, self.clock.now()))


@pytest.fixture
def archive(tmp_path: Path, clock: FrozenClock) -> Iterator[Archive]:
    path = tmp_path / "countersign.db"
    with closing(
        open_stores(f"sqlite:///{path}", keyring=KEYRING, clock=clock, retention=timedelta(days=90))
    ) as stores:
        archive = Archive(stores, clock)
        archive.path = path
        yield archive


def test_honest_access_has_no_findings_and_is_counted(archive: Archive) -> None:
    archive.approve()
    archive.pass_time(10 * MINUTE)
    event = archive.declare()
    archive.pass_time(MINUTE)
    archive.close(event)
    assert archive.findings() == []
    archive.pass_time(3 * HOUR)
    archive.approve()
    tally = Tally()
    assert list(verify_trail(archive.stores, KEYRING, archive.clock.now(), tally)) == []
    assert (tally.records, tally.grants) == (6, 3)


def test_grant_that_is_gone_is_named_by_its_decision(archive: Archive) -> None:
    request, event = archive.approve(), archive.declare()
    for grant in (archive.grant_of(request), archive.grant_of(event)):
        archive.tamper("DELETE FROM grants WHERE id = ?", grant.id)
        archive.tamper("DELETE FROM audit WHERE chain = ?", grant.chain)
    told = {finding.chain: finding.text for finding in archive.findings()}
    assert f"it gives {right_of(RITA)}, and no grant was made of it" in told[request.chain]
    assert f"it gives {right_of(ANN)}, and no grant was made of it" in told[event.chain]


def test_grant_that_is_gone_alone_is_found(archive: Archive) -> None:
    grant = archive.grant_of(archive.approve())
    archive.tamper("DELETE FROM grants WHERE id = ?", grant.id)
    (finding,) = archive.findings()
    assert (finding.chain, finding.kind) == (grant.chain, FindingKind.RECORD_REMOVED)


def test_grant_that_is_no_longer_kept_is_not_missed(archive: Archive) -> None:
    grant = archive.grant_of(archive.approve())
    archive.pass_time(3 * HOUR)
    archive.clock.set(archive.clock.now() + timedelta(days=91))
    archive.tamper("DELETE FROM grants WHERE id = ?", grant.id)
    assert archive.findings() == []


def test_grant_of_nobody_is_found(archive: Archive) -> None:
    request = archive.approve()
    archive.tamper("DELETE FROM requests WHERE id = ?", request.id)
    archive.tamper("DELETE FROM audit WHERE chain = ?", request.chain)
    (finding,) = archive.findings()
    assert finding.chain == archive.stores.access.list_live().items[0].chain
    assert finding.text == f"{request.chain} doesn't exist"


def test_grant_outlives_the_record_of_its_decision(archive: Archive) -> None:
    request = archive.approve()
    archive.tamper("DELETE FROM requests WHERE id = ?", request.id)
    (finding,) = archive.findings()
    assert (finding.chain, finding.kind) == (request.chain, FindingKind.RECORD_REMOVED)


CHANGES: Final[dict[str, tuple[dict[str, Any], Callable[[Request], Request], str]]] = {
    "a pending request": ({}, lambda request: request, "is pending, not approved"),
    "another person": ({"grantee": BOB.id}, as_approved, "its person is not that of"),
    "another profile": ({"profile": "staging"}, as_approved, "its profile is not that of"),
    "another right": ({"right": right_of(BOB)}, as_approved, "doesn't give this right"),
    "another decider": ({"decided_by": BOB.id}, as_approved, "its decider is not that of"),
    "another reason": ({"justification": "No reason at all"}, as_approved, "its justification is not that of"),
    "a longer window": ({"duration": 2 * HOUR}, as_approved, "its window is not that of"),
    "another window": ({"starts_at": A_MOMENT + HOUR}, as_approved, "its window is not that of"),
}


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "by its chain"])
@pytest.mark.parametrize("change", CHANGES)
def test_grant_is_what_was_decided(archive: Archive, change: str, *, is_kept: bool) -> None:
    changes, decide, told = CHANGES[change]
    asked = archive.requests.submit(RITA, "prod", HOUR, WHY)
    decided = decide(asked)
    forged = a_grant_of(decided, changes)
    created = EntryDraft.of(forged, AuditAction.GRANT_CREATED, forged.decided_by)
    entry = EntryDraft.of(decided, DECIDED[decided.status], ANN.id, {"access_ends_at": ends_at(decided)})
    archive.stores.requests.update(decided, entry, grants=(GrantWrite(forged, created),))
    if not is_kept:
        archive.tamper("DELETE FROM requests WHERE id = ?", asked.id)
    texts = [finding.text for finding in archive.findings() if finding.chain == forged.chain]
    if is_kept or change in TOLD_BY_CHAIN:
        assert len(texts) == 1
        assert TOLD_BY_CHAIN.get(change, told) in texts[0] if not is_kept else told in texts[0]


def test_event_that_was_closed_ends_its_access(archive: Archive) -> None:
    event = archive.declare()
    closed = event.close(ANN.id, archive.clock.now(), "it is up again")
    entry = EntryDraft.of(closed, AuditAction.BREAK_GLASS_CLOSED, ANN.id, {"reason": "it is up again"})
    archive.stores.break_glass.update(closed, entry)
    (finding,) = archive.findings()
    assert finding.text == f"it was closed, and its grant {archive.grant_of(event).chain} goes on"


TAMPERED: Final[dict[str, tuple[str, str]]] = {
    "no due time": ("UPDATE holdings SET due_at = NULL", "is never due"),
    "a due time out of reach": ("UPDATE holdings SET due_at = '9999-01-01T00:00:00.000000Z'", "is due only 9999-01-01"),
    "an urgency that nobody looks for": ("UPDATE holdings SET urgency = 'never'", "is never due"),
    "no holding": ("DELETE FROM holdings", "tells of its step"),
    "a holding nobody sealed": ("UPDATE holdings SET body = json_set(body, '$.is_ours', json('false'))", "its seal"),
}


@pytest.mark.parametrize("tampered", TAMPERED)
def test_revoke_cannot_be_hidden(archive: Archive, tampered: str) -> None:
    statement, told = TAMPERED[tampered]
    archive.approve()
    archive.pass_time(10 * MINUTE)
    assert archive.findings() == []
    assert archive.tamper(statement) == 1
    found = [each.text for each in archive.findings() if each.chain == f"HOLDING#{right_of(RITA)}"]
    assert any(told in text for text in found)


def test_last_look_cannot_be_put_off(archive: Archive) -> None:
    archive.approve(duration=10 * MINUTE)
    archive.pass_time(15 * MINUTE)
    assert archive.tamper("UPDATE holdings SET due_at = '9999-01-01T00:00:00.000000Z'") == 1
    (finding,) = archive.findings()
    assert "it is to be looked at by" in finding.text


@pytest.mark.parametrize("change", ["awaits = NULL", "right_key = 'aws|1|2|3'"])
def test_live_grant_that_its_right_does_not_list_is_found(archive: Archive, change: str) -> None:
    grant = archive.grant_of(archive.approve())
    assert archive.tamper(f"UPDATE grants SET {change}") == 1  # noqa: S608
    found = {each.chain: each.text for each in archive.findings()}
    assert "its right doesn't list it: nobody would end it" in found[f"HOLDING#{grant.right}"]
    assert "beside it" in found[grant.chain]


def test_holding_that_was_put_back_is_found(archive: Archive) -> None:
    key = right_key(right_of(RITA))
    archive.approve(duration=10 * MINUTE)
    archive.pass_time(2 * HOUR)
    before = archive.read("holdings", "right_key", key)
    archive.approve()
    archive.pass_time(10 * MINUTE)
    archive.put_back("holdings", {**before, "due_at": archive.read("holdings", "right_key", key)["due_at"]})
    found = [each for each in archive.findings() if each.chain == f"HOLDING#{key}"]
    assert any("it was put back to step" in each.text for each in found)
