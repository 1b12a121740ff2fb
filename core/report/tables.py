"""The tables of a report: their columns, and the cells that each row fills.

Invariant: a table has the same columns on the page and as CSV, and a cell holds one plain value, without markup. What
people wrote is in cells of the kind TEXT, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from core.audit.trail import AuditEntry
from core.clock import format_time
from core.report.access_now import AccessNow
from core.report.access_rows import ReportedGrant, ReportedRefusal, ReportedSession
from core.report.collecting import RowBook
from core.report.figures import ACTIONS, outcome_of, review_of
from core.report.rows import ReportedEvent, ReportedRequest, ReportRow

T = TypeVar("T", bound=ReportRow)
Value = str | int
Cells = tuple[Value, ...]
_DIGITS_SHOWN = 12


class CellKind(StrEnum):
    """How a value is shown. PEOPLE are ids with a space between them; DURATION is in seconds; MOMENT as stored."""

    TEXT = "text"
    WORD = "word"
    CODE = "code"
    PEOPLE = "people"
    MOMENT = "moment"
    DURATION = "duration"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in files, its title on the page."""

    name: str
    title: str
    kind: CellKind = CellKind.WORD


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table whose rows are read when they are needed. `rows(limit)` gives the newest ones first; -1 gives all."""

    name: str
    title: str
    about: str
    columns: tuple[Column, ...]
    count: int
    rows: Callable[[int], Iterator[Cells]]


def make_tables(
    book: RowBook, access: AccessNow, policies: Sequence[AuditEntry], within: timedelta, now: datetime
) -> tuple[ReportTable, ...]:
    """All tables, in the order of an access review."""

    def table(
        name: str, title: str, about: str, columns: tuple[Column, ...], kind: type[T], read: Callable[[T], Cells]
    ) -> ReportTable:
        return ReportTable(name, title, about, columns, book.count(kind), _reader(book, kind, read))

    return (
        _access_table(access),
        _reviews_table(access),
        table(
            "requests", "Requests",
            "Every request about which something was recorded in the period, newest first.",
            _REQUEST_COLUMNS, ReportedRequest, lambda row: _request(row, now),
        ),
        table(
            "break_glass", "Break-glass events",
            "Every event about which something was recorded in the period, with its review, newest first.",
            _EVENT_COLUMNS, ReportedEvent, lambda row: _event(row, within, now),
        ),
        table(
            "grants", "Access at the targets",
            "Each right that a decision gave, and when it was open, newest first.",
            _GRANT_COLUMNS, ReportedGrant, _grant,
        ),
        table(
            "sessions", "Credentials",
            "Each device that got credentials under a grant, and how often, newest first.",
            _SESSION_COLUMNS, ReportedSession, _session,
        ),
        table(
            "refusals", "Refused attempts",
            "What was tried and refused, newest first. Equal attempts at one time are one row.",
            _REFUSAL_COLUMNS, ReportedRefusal, _refusal,
        ),
        _policy_table(policies),
    )  # fmt: skip


def _reader(book: RowBook, kind: type[T], read: Callable[[T], Cells]) -> Callable[[int], Iterator[Cells]]:
    return lambda limit: map(read, book.iterate(kind, newest_first=True, limit=limit))


_WHO = Column("person", "Who", CellKind.PEOPLE)
_PROFILE = Column("profile", "Profile", CellKind.CODE)
_WHY = Column("justification", "Why, in their words", CellKind.TEXT)
_ID = Column("id", "Id", CellKind.CODE)
_SOURCE = Column("source", "Decision", CellKind.CODE)
_RIGHT = Column("right", "Right", CellKind.CODE)
_SERVICE = Column("service", "Service", CellKind.CODE)

_REQUEST_COLUMNS = (
    Column("submitted_at", "Submitted", CellKind.MOMENT), _WHO, _PROFILE, _WHY,
    Column("asked_seconds", "Asked for", CellKind.DURATION), Column("outcome", "Outcome"),
    Column("decided_by", "Decided by", CellKind.PEOPLE), Column("decided_at", "Decided", CellKind.MOMENT),
    Column("comment", "Comment or reason", CellKind.TEXT), Column("given_seconds", "Given", CellKind.DURATION),
    Column("starts_at", "Starts later", CellKind.MOMENT), Column("access_ends_at", "Access until", CellKind.MOMENT),
    Column("rule", "Rule", CellKind.CODE),
    Column("asked_by", "Asked by somebody else", CellKind.PEOPLE), _SERVICE, _ID, Column("ticket", "Ticket"),
)  # fmt: skip


def _request(row: ReportedRequest, now: datetime) -> Cells:
    deciders = " ".join(dict.fromkeys((*row.approvers, *([row.decided_by] if row.decided_by else []))))
    return (
        row.at, row.person, row.profile, row.justification, row.asked_seconds, outcome_of(row, now), deciders,
        row.decided_at, row.comment, row.given_seconds, row.starts_at, row.access_ends_at, row.rule,
        row.asked_by, row.service, row.id, row.ticket,
    )  # fmt: skip


_EVENT_COLUMNS = (
    Column("declared_at", "Declared", CellKind.MOMENT), _WHO, _PROFILE, Column("reason_code", "Reason"), _WHY,
    Column("asked_seconds", "For", CellKind.DURATION), Column("ended_at", "Ended", CellKind.MOMENT),
    Column("ended_by", "Ended by", CellKind.PEOPLE), Column("end_reason", "How it ended", CellKind.TEXT),
    Column("mfa", "MFA"), Column("review", "Review"), Column("verdict", "Verdict"),
    Column("reviewer", "Reviewed by", CellKind.PEOPLE), Column("reviewed_at", "Reviewed", CellKind.MOMENT),
    Column("notes", "What was found", CellKind.TEXT), Column("follow_up", "Follow-up", CellKind.TEXT), _ID,
)  # fmt: skip


def _event(row: ReportedEvent, within: timedelta, now: datetime) -> Cells:
    review = review_of(row, within, now) if row.has_ended(now) else "not due: it is active"
    return (
        row.at, row.person, row.profile, row.reason_code, row.justification, row.asked_seconds, row.ended_at,
        row.ended_by, row.end_reason, row.mfa or "no", review, row.verdict.replace("_", " "), row.reviewer,
        row.reviewed_at, row.notes, row.follow_up, row.id,
    )  # fmt: skip


_GRANT_COLUMNS = (
    Column("starts_at", "From", CellKind.MOMENT), _WHO, _PROFILE, _RIGHT, Column("status", "Status"),
    Column("decided_by", "Decided by", CellKind.PEOPLE), Column("opened_at", "Open since", CellKind.MOMENT),
    Column("expires_at", "Until", CellKind.MOMENT), Column("ended_at", "Ended early", CellKind.MOMENT),
    Column("ended_by", "Ended by", CellKind.PEOPLE), Column("end_reason", "Why it ended early", CellKind.TEXT),
    Column("closed_at", "Gone since", CellKind.MOMENT), _SOURCE, _ID,
)  # fmt: skip


def _grant(row: ReportedGrant) -> Cells:
    return (
        row.starts_at or row.at, row.person, row.profile, row.right, row.status, row.decided_by, row.opened_at,
        row.expires_at, row.ended_at, row.ended_by, row.end_reason, row.closed_at, row.source, row.id,
    )  # fmt: skip


_SESSION_COLUMNS = (
    Column("first_issued_at", "First issued", CellKind.MOMENT), _WHO, _PROFILE, _RIGHT,
    Column("device", "Device", CellKind.TEXT), Column("status", "Status"),
    Column("issues", "Times issued", CellKind.NUMBER), Column("last_issued_at", "Last issued", CellKind.MOMENT),
    Column("ended_at", "Ended", CellKind.MOMENT), Column("ended_by", "Ended by", CellKind.PEOPLE),
    Column("end_reason", "Why it ended", CellKind.TEXT), Column("source_identity", "Source identity", CellKind.CODE),
    _SERVICE, _SOURCE, _ID,
)  # fmt: skip


def _session(row: ReportedSession) -> Cells:
    return (
        row.at, row.person, row.profile, row.right, row.device, row.status, row.issues, row.last_issued_at,
        row.ended_at, row.ended_by, row.end_reason, row.source_identity, row.service, row.source, row.id,
    )  # fmt: skip


_REFUSAL_COLUMNS = (
    Column("at", "When", CellKind.MOMENT), _WHO, Column("attempt", "What was tried"), _PROFILE,
    Column("subject", "Whose access", CellKind.PEOPLE), Column("reasons", "Why it was refused", CellKind.TEXT),
    Column("times", "Times", CellKind.NUMBER), Column("record", "About", CellKind.CODE),
)  # fmt: skip


def _refusal(row: ReportedRefusal) -> Cells:
    action = ACTIONS.get(row.action, row.action.replace("_", " "))
    return row.at, row.person, action, row.profile, row.subject, row.reasons, row.times, row.record


def _access_table(access: AccessNow) -> ReportTable:
    columns = (
        _WHO, _PROFILE, Column("how", "How"), Column("decided_by", "Decided by", CellKind.PEOPLE),
        Column("since", "Since", CellKind.MOMENT), Column("until", "Until", CellKind.MOMENT), Column("state", "State"),
        Column("rights", "Rights", CellKind.TEXT), _SERVICE, _SOURCE,
    )  # fmt: skip
    cells = [
        (
            each.person, each.profile, each.how, each.decided_by, format_time(each.since), format_time(each.until),
            each.state, "; ".join(each.rights), each.service, each.source,
        )
        for each in access.holders
    ]  # fmt: skip
    about = "Every access that is open at the moment of the report, the longest open first."
    return _listed("access_now", "Who has access now", about, columns, cells)


def _reviews_table(access: AccessNow) -> ReportTable:
    columns = (
        Column("declared_at", "Declared", CellKind.MOMENT), _WHO, _PROFILE, Column("reason_code", "Reason"), _WHY,
        Column("due_at", "Review due", CellKind.MOMENT), Column("review", "Review"), _ID,
    )  # fmt: skip
    cells = [
        (
            format_time(each.event.created_at), each.event.invoker, each.event.profile, each.event.reason_code.value,
            each.event.justification, format_time(each.due_at), "overdue" if each.is_overdue else "waiting",
            each.event.id,
        )
        for each in access.reviews
    ]  # fmt: skip
    about = "Every break-glass event that has ended and waits for its review, the longest due first."
    return _listed("reviews_due", "Reviews that are due", about, columns, cells)


def _policy_table(policies: Sequence[AuditEntry]) -> ReportTable:
    columns = (
        Column("at", "In force since", CellKind.MOMENT), Column("digest", "Digest", CellKind.CODE),
        Column("added_lines", "Lines added", CellKind.NUMBER),
        Column("removed_lines", "Lines removed", CellKind.NUMBER),
    )  # fmt: skip
    cells: list[Cells] = [
        (
            format_time(entry.at), str(entry.details.get("digest", ""))[:_DIGITS_SHOWN],
            _number(entry.details.get("added_lines")), _number(entry.details.get("removed_lines")),
        )
        for entry in reversed(policies)
    ]  # fmt: skip
    about = "Versions of the policy that came into force in the period. `countersign policy show DIGEST` prints one."
    return _listed("policy_versions", "Policy versions", about, columns, cells)


def _listed(name: str, title: str, about: str, columns: tuple[Column, ...], cells: Sequence[Cells]) -> ReportTable:
    return ReportTable(
        name, title, about, columns, len(cells), lambda limit: iter(cells if limit < 0 else cells[:limit])
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
