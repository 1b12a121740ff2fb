from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from core.audit.chain_check import Head, SealCheck, verify_entries
from core.audit.findings import Finding, FindingKind, Tally
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, AuditEntry, seal
from core.audit.verification import verify_chain, verify_trail
from core.break_glass import BreakGlassEvent
from core.clock import format_time
from core.errors import MalformedRecord
from core.record import Record
from core.request import Request
from core.stores import Stores, open_stores
from tests.builders import (
    APPROVER,
    DAY,
    INVOKER,
    REQUESTER,
    SECOND_APPROVER,
    a_clock_draft,
    a_draft,
    a_refusal,
    a_request,
    a_reviewed_event,
    an_event,
)
from tests.harness.clock import A_MOMENT, FrozenClock
from tests.harness.keys import AUDIT_KEY, OTHER_AUDIT_KEY

KEYED: Final = AuditKeyring.from_text(AUDIT_KEY)
UNKEYED: Final = AuditKeyring()
RETENTION: Final = timedelta(days=90)


class Office:
    """Real stores in a file, and somebody who gets at that file behind the bot's back."""

    def __init__(self, path: Path, keyring: AuditKeyring, clock: FrozenClock) -> None:
        self.path = path
        self.keyring = keyring
        self.clock = clock
        self.stores: Stores = open_stores(f"sqlite:///{path}", keyring=keyring, retention=RETENTION, clock=clock)

    def tamper(self, statement: str, *values: object) -> int:
        """Run a statement on the file, as a forger would; how many rows it changed."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, values).rowcount

    def read_body(self, table: str, key: str, value: str | int) -> dict[str, Any]:
        """The JSON of one row."""
        with closing(sqlite3.connect(self.path)) as connection:
            row = connection.execute(f"SELECT body FROM {table} WHERE {key} = ?", (value,)).fetchone()  # noqa: S608
        return dict(json.loads(row[0]))

    def edit(self, table: str, key: str, value: str | int, change: dict[str, object]) -> None:
        """Change the JSON of one row."""
        body = {**self.read_body(table, key, value), **change}
        assert self.tamper(f"UPDATE {table} SET body = ? WHERE {key} = ?", json.dumps(body), value)  # noqa: S608

    def a_history(self) -> Request:
        """A request with a chain of three entries: asked, one vote, approved."""
        made = self.stores.requests.create(a_request(required_approvals=2), a_draft())
        voted = self.stores.requests.update(
            made.approve(APPROVER, A_MOMENT), a_draft(AuditAction.APPROVAL_ADDED, actor=APPROVER)
        )
        return self.stores.requests.update(
            voted.approve(SECOND_APPROVER, A_MOMENT),
            a_draft(AuditAction.REQUEST_APPROVED, actor=SECOND_APPROVER, outcome="approved"),
        )

    def an_ended_event(self) -> BreakGlassEvent:
        """An event with a chain of two entries: invoked, closed."""
        made = self.stores.break_glass.create(
            an_event(), a_draft(AuditAction.BREAK_GLASS_INVOKED, actor=INVOKER, outcome="active")
        )
        return self.stores.break_glass.update(
            made.close(INVOKER, A_MOMENT, "it is up again"),
            a_draft(AuditAction.BREAK_GLASS_CLOSED, actor=INVOKER, outcome="closed"),
        )

    def refusals(self, count: int = 3) -> str:
        """A chain of refused attempts, with its name."""
        for number in range(count):
            self.stores.refusals.note(a_refusal(details={"number": number}))
        self.stores.refusals.flush()
        (chain,) = [chain for chain, _ in self.stores.audit.iterate_chains() if chain.startswith("REFUSALS#")]
        return chain

    def findings(self) -> list[Finding]:
        """What verification finds now."""
        return list(verify_trail(self.stores, self.keyring, self.clock.now()))

    def kinds(self, chain: str) -> list[FindingKind]:
        """The kinds of what is found; everything has to be about this chain."""
        findings = self.findings()
        assert {finding.chain for finding in findings} <= {chain}
        return [finding.kind for finding in findings]


@pytest.fixture(params=[KEYED, UNKEYED], ids=["keyed", "unkeyed"])
def office(tmp_path: Path, clock: FrozenClock, request: pytest.FixtureRequest) -> Iterator[Office]:
    """Stores with some bystanders whose chains nobody touches."""
    opened = Office(tmp_path / "countersign.db", request.param, clock)
    opened.a_history()
    opened.an_ended_event()
    yield opened
    opened.stores.close()


def test_untouched_trail_has_no_findings_and_is_counted(office: Office) -> None:
    office.refusals()
    tally = Tally()
    assert list(verify_trail(office.stores, office.keyring, office.clock.now(), tally)) == []
    assert (tally.chains, tally.records, tally.entries) == (3, 2, 8)


EDITS: Final[dict[str, object]] = {
    "id": "0000000000000000",
    "event": "request_denied",
    "actor": "U0FORGER",
    "outcome": "denied",
    "subject": "U0FORGER",
    "profile": "staging",
    "record": "REQUEST#0000000000000000",
    "details": {"forged": True},
    "chain": "REQUEST#0000000000000000",
    "at": format_time(A_MOMENT + DAY),
    "record_digest": "ef" * 32,
    "kept_until": format_time(A_MOMENT),
    "previous": "ef" * 32,
    "digest": "ef" * 32,
}


@pytest.mark.parametrize("seq", [1, 2, 3])
@pytest.mark.parametrize("field", EDITS)
def test_edited_entry_is_found_where_it_stands(office: Office, field: str, seq: int) -> None:
    request = office.a_history()
    body = next(entry for entry in office.stores.audit.get_chain(request.chain) if entry.seq == seq).to_item()
    assert office.tamper(
        "UPDATE audit SET body = ? WHERE chain = ? AND seq = ?",
        json.dumps({**body, field: EDITS[field]}),
        request.chain,
        seq,
    )
    found = office.findings()
    assert FindingKind.EDITED in {finding.kind for finding in found}
    assert any(f"entry {seq} " in finding.text for finding in found)
    assert {finding.chain for finding in found} == {request.chain}


def test_entry_that_claims_another_key_is_found(office: Office) -> None:
    request = office.a_history()
    body = office.stores.audit.get_chain(request.chain)[1].to_item()
    office.tamper(
        "UPDATE audit SET body = ? WHERE chain = ? AND seq = 2", json.dumps({**body, "key_id": "0" * 8}), request.chain
    )
    assert office.kinds(request.chain) == [FindingKind.UNKNOWN_KEY]


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("seq = 1", "entry 1 should stand before entry 2"),
        ("seq = 2", "entry 2 should stand before entry 3"),
        ("seq = 3", "the last 1 of 3 are missing"),
        ("seq < 3", "entries 1 to 2 should stand before entry 3"),
        ("seq > 1", "the last 2 of 3 are missing"),
        ("seq > 0", "all 3 entries are missing"),
    ],
)
def test_removed_entries_are_found_and_named(office: Office, condition: str, text: str) -> None:
    request = office.a_history()
    office.tamper(f"DELETE FROM audit WHERE chain = ? AND {condition}", request.chain)  # noqa: S608
    (finding,) = office.findings()
    assert (finding.chain, finding.kind) == (request.chain, FindingKind.REMOVED)
    assert text in finding.text


def test_entries_that_changed_places_are_found(office: Office) -> None:
    request = office.a_history()
    for old, new in ((2, 9), (3, 2), (9, 3)):
        office.tamper("UPDATE audit SET seq = ? WHERE chain = ? AND seq = ?", new, request.chain, old)
    assert FindingKind.REORDERED in office.kinds(request.chain)


@pytest.mark.parametrize("has_key", [True, False], ids=["with the key", "without the key"])
def test_appended_entry_is_found_whoever_sealed_it(office: Office, *, has_key: bool) -> None:
    request = office.a_history()
    forged = seal(
        a_draft(outcome="approved"),
        office.keyring if has_key else AuditKeyring.from_text(OTHER_AUDIT_KEY),
        chain=request.chain,
        seq=4,
        previous=request.audit_head,
        at=A_MOMENT,
        record_digest=request.content_digest(),
    )
    _insert(office, forged)
    kinds = office.kinds(request.chain)
    assert FindingKind.APPENDED in kinds
    assert (FindingKind.UNKNOWN_KEY in kinds) is not has_key


def _insert(office: Office, entry: AuditEntry) -> None:
    office.tamper(
        "INSERT INTO audit (chain, seq, id, at, body) VALUES (?, ?, ?, ?, ?)",
        entry.chain,
        entry.seq,
        entry.id,
        format_time(entry.at),
        json.dumps(entry.to_item()),
    )


def test_last_entry_replaced_by_another_genuine_one_is_found(office: Office) -> None:
    request = office.a_history()
    _replace(office, office.stores.audit.get_chain(request.chain)[-1])
    assert office.kinds(request.chain) == [FindingKind.EDITED, FindingKind.RECORD_CHANGED]


def _replace(office: Office, entry: AuditEntry) -> None:
    """Put another entry in its place, which somebody with the key sealed."""
    other = seal(
        a_draft(outcome="approved"),
        office.keyring,
        chain=entry.chain,
        seq=entry.seq,
        previous=entry.previous,
        at=entry.at,
        record_digest=entry.record_digest,
    )
    office.tamper("DELETE FROM audit WHERE chain = ? AND seq = ?", entry.chain, entry.seq)
    _insert(office, other)


def test_middle_entry_replaced_by_another_genuine_one_is_found(office: Office) -> None:
    request = office.a_history()
    middle = office.stores.audit.get_chain(request.chain)[1]
    _replace(office, middle)
    finding, of_record = office.findings()
    assert (finding.chain, finding.kind) == (request.chain, FindingKind.REORDERED)
    assert finding.text == "entry 3 (request_approved) does not follow the one before it"
    assert of_record.kind is FindingKind.RECORD_CHANGED
    assert "no entry has the vote of" in of_record.text


@pytest.mark.parametrize(
    "change",
    [
        {"justification": "Something else entirely"},
        {"requester": "U0FORGER"},
        {"updated_at": format_time(A_MOMENT + DAY)},
        {"approver_comment": "forged"},
    ],
)
def test_record_that_was_changed_behind_the_bots_back_is_found(office: Office, change: dict[str, object]) -> None:
    request = office.a_history()
    office.edit("requests", "id", request.id, change)
    assert office.kinds(request.chain) == [FindingKind.RECORD_CHANGED]


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"audit_length": 2}, [FindingKind.APPENDED]),
        ({"audit_length": 4}, [FindingKind.REMOVED]),
        # The chain has the length that the record says, so the record is compared with it, and its seal is broken.
        ({"audit_head": "ef" * 32}, [FindingKind.EDITED, FindingKind.RECORD_CHANGED]),
    ],
)
def test_record_whose_head_was_changed_is_found(
    office: Office, change: dict[str, object], kinds: list[FindingKind]
) -> None:
    request = office.a_history()
    office.edit("requests", "id", request.id, change)
    assert office.kinds(request.chain) == kinds


def test_event_that_was_made_active_again_is_found(office: Office) -> None:
    event = office.an_ended_event()
    body = office.read_body("break_glass", "id", event.id)
    for name in ("closed_by", "closed_reason", "closed_at"):
        del body[name]
    office.tamper("UPDATE break_glass SET body = ? WHERE id = ?", json.dumps({**body, "status": "active"}), event.id)
    assert office.kinds(event.chain) == [FindingKind.RECORD_CHANGED]


def test_record_that_was_removed_too_early_is_found(office: Office) -> None:
    request, event = office.a_history(), office.an_ended_event()
    office.tamper("DELETE FROM requests WHERE id = ?", request.id)
    office.tamper("DELETE FROM break_glass WHERE id = ?", event.id)
    assert {(finding.chain, finding.kind) for finding in office.findings()} == {
        (request.chain, FindingKind.RECORD_REMOVED),
        (event.chain, FindingKind.RECORD_REMOVED),
    }


def test_record_that_was_restored_to_an_earlier_state_is_found(office: Office) -> None:
    made = office.stores.requests.create(a_request(), a_draft())
    before = json.dumps(office.read_body("requests", "id", made.id))
    office.stores.requests.update(
        made.deny(APPROVER, A_MOMENT, "not today"), a_draft(AuditAction.REQUEST_DENIED, actor=APPROVER)
    )
    office.tamper("UPDATE requests SET body = ?, status = 'pending' WHERE id = ?", before, made.id)
    assert office.kinds(made.chain) == [FindingKind.APPENDED]


def test_deletion_by_the_bot_is_no_finding_but_a_return_is_one(office: Office) -> None:
    request = office.a_history()
    body = json.dumps(office.read_body("requests", "id", request.id))
    office.stores.requests.delete(request, a_clock_draft(AuditAction.RECORD_DELETED, outcome="deleted"))
    assert office.findings() == []
    office.tamper(
        "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        request.id,
        request.requester,
        request.profile,
        request.status,
        format_time(request.created_at),
        format_time(request.updated_at),
        format_time(request.expires_at),
        body,
    )
    assert office.kinds(request.chain) == [FindingKind.APPENDED]


def test_record_whose_time_to_be_kept_is_over_may_be_gone(office: Office) -> None:
    request = office.a_history()
    office.tamper("DELETE FROM requests WHERE id = ?", request.id)
    kept_until = request.life_ends_at() + RETENTION
    office.clock.set(kept_until - timedelta(microseconds=1))
    assert office.kinds(request.chain) == [FindingKind.RECORD_REMOVED]
    office.clock.set(kept_until)
    assert office.findings() == []


def test_event_that_was_not_reviewed_may_never_be_gone(office: Office) -> None:
    ended, reviewed = office.an_ended_event(), office.an_ended_event()
    office.stores.break_glass.update(
        a_reviewed_event(reviewed), a_draft(AuditAction.BREAK_GLASS_REVIEWED, actor=APPROVER)
    )
    office.tamper("DELETE FROM break_glass WHERE id IN (?, ?)", ended.id, reviewed.id)
    office.clock.advance(timedelta(days=3650))
    assert office.kinds(ended.chain) == [FindingKind.RECORD_REMOVED]


# Refused attempts


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("seq = 1", "entry 1 should stand before entry 2"),
        ("seq = 2", "entry 2 should stand before entry 3"),
        ("seq = 3", "the last 1 of 3 are missing"),
        ("seq > 0", "the last 3 of 3 are missing"),
    ],
)
def test_removed_refusals_are_found(office: Office, condition: str, text: str) -> None:
    chain = office.refusals()
    office.tamper(f"DELETE FROM audit WHERE chain = ? AND {condition}", chain)  # noqa: S608
    (finding,) = office.findings()
    assert (finding.chain, finding.kind) == (chain, FindingKind.REMOVED)
    assert text in finding.text


def test_edited_and_appended_refusals_are_found(office: Office) -> None:
    chain = office.refusals()
    entry = office.stores.audit.get_chain(chain)[-1]
    forged = seal(a_refusal(), office.keyring, chain=chain, seq=4, previous=entry.digest, at=A_MOMENT)
    _insert(office, forged)
    assert office.kinds(chain) == [FindingKind.APPENDED]
    office.tamper("DELETE FROM audit WHERE chain = ? AND seq = 4", chain)
    body = json.dumps({**entry.to_item(), "actor": "U0FORGER"})
    office.tamper("UPDATE audit SET body = ? WHERE chain = ? AND seq = 3", body, chain)
    assert office.kinds(chain) == [FindingKind.EDITED]


# What cannot be read


@pytest.mark.parametrize("body", ["not json", "[]", "{}", '{"seq": 1}'])
def test_unreadable_entry_is_a_finding_and_others_are_verified(office: Office, body: str) -> None:
    request, other = office.a_history(), office.a_history()
    office.tamper("UPDATE audit SET body = ? WHERE chain = ? AND seq = 2", body, request.chain)
    office.edit("requests", "id", other.id, {"justification": "Something else entirely"})
    assert {(finding.chain, finding.kind) for finding in office.findings()} == {
        (request.chain, FindingKind.UNREADABLE),
        (other.chain, FindingKind.RECORD_CHANGED),
    }


@pytest.mark.parametrize("body", ["not json", "[]", "{}", json.dumps({"duration": 10**400})])
def test_record_that_cannot_be_read_is_a_finding(office: Office, body: str) -> None:
    request = office.a_history()
    office.tamper("UPDATE requests SET body = ? WHERE id = ?", body, request.id)
    assert office.kinds(request.chain) == [FindingKind.UNREADABLE]


@pytest.mark.parametrize("chain", ["LEDGER#0123456789abcdef", "nonsense", ""])
def test_chain_of_no_kind_of_record_is_a_finding(office: Office, chain: str) -> None:
    _insert(office, seal(a_draft(), office.keyring, chain=chain or "none", seq=1, previous="", at=A_MOMENT))
    assert office.kinds(chain or "none") == [FindingKind.UNREADABLE]


# While the bot works


class Working:
    """Stores into which the bot writes between two readings of verification, a given number of times."""

    def __init__(self, stores: Stores, work: list[Callable[[], object]]) -> None:
        self._stores = stores
        self._work = work

    @property
    def requests(self) -> Any:  # noqa: ANN401  It delegates.
        """The requests, before whose reading the bot does its work."""
        if self._work:
            self._work.pop(0)()
        return self._stores.requests

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  Whatever the stores have.
        return getattr(self._stores, name)


def test_vote_between_the_readings_is_no_finding(office: Office) -> None:
    made = office.stores.requests.create(a_request(required_approvals=2), a_draft())
    records = [made]

    def vote() -> None:
        voted = records[-1].approve(APPROVER, A_MOMENT)
        records.append(office.stores.requests.update(voted, a_draft(AuditAction.APPROVAL_ADDED, actor=APPROVER)))

    def cancel() -> None:
        cancelled = records[-1].cancel(REQUESTER, A_MOMENT)
        records.append(
            office.stores.requests.update(cancelled, a_draft(AuditAction.REQUEST_CANCELLED, outcome="cancelled"))
        )

    working = Working(office.stores, [vote, cancel])
    assert list(verify_chain(working, made.chain, office.keyring, A_MOMENT)) == []
    assert [record.status for record in records] == ["pending", "pending", "cancelled"]


def test_records_that_come_and_go_meanwhile_are_no_findings(office: Office) -> None:
    request = office.a_history()
    work: list[Callable[[], object]] = [
        lambda: office.stores.requests.delete(request, a_clock_draft(AuditAction.RECORD_DELETED, outcome="deleted")),
        office.a_history,
        office.a_history,
    ]
    working = Working(office.stores, work)
    assert list(verify_trail(working, office.keyring, A_MOMENT)) == []
    assert work == []


# One chain by itself


def test_chain_without_a_known_head_is_checked_as_far_as_it_goes(office: Office) -> None:
    request = office.a_history()
    entries, seals = office.stores.audit.get_chain(request.chain), SealCheck(office.keyring)
    assert list(verify_entries(request.chain, entries, None, seals)) == []
    assert list(verify_entries(request.chain, entries[:2], None, seals)) == []
    assert [finding.kind for finding in verify_entries(request.chain, entries[1:], None, seals)] == [
        FindingKind.REMOVED
    ]
    twice = [entries[0], entries[0], *entries[1:]]
    head = Head(3, request.audit_head)
    assert [finding.kind for finding in verify_entries(request.chain, twice, head, seals)] == [FindingKind.REORDERED]


def test_new_key_verifies_with_the_old_one_and_alone_names_it(tmp_path: Path, clock: FrozenClock) -> None:
    old = Office(tmp_path / "countersign.db", KEYED, clock)
    record: Record = old.stores.requests.create(a_request(), a_draft())
    old.stores.close()
    new_text, old_text = OTHER_AUDIT_KEY, AUDIT_KEY
    office = Office(tmp_path / "countersign.db", AuditKeyring.from_text(f"{new_text},{old_text}"), clock)
    assert isinstance(record, Request)
    office.stores.requests.update(
        record.cancel(REQUESTER, A_MOMENT), a_draft(AuditAction.REQUEST_CANCELLED, outcome="cancelled")
    )
    assert office.findings() == []
    office.keyring = AuditKeyring.from_text(new_text)
    (finding,) = office.findings()
    assert (finding.kind, finding.chain) == (FindingKind.UNKNOWN_KEY, record.chain)
    assert KEYED.key_id in finding.text
    office.stores.close()


def test_unreadable_chain_reads_as_what_is_wrong_with_it(office: Office) -> None:
    request = office.a_history()
    office.tamper("UPDATE audit SET body = '{' WHERE chain = ? AND seq = 1", request.chain)
    with pytest.raises(MalformedRecord):
        office.stores.audit.get_chain(request.chain)
    (finding,) = verify_chain(office.stores, request.chain, office.keyring, A_MOMENT)
    assert finding.kind is FindingKind.UNREADABLE
