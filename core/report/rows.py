"""The rows of a report, and those of decisions: one for each request and event, made of its entries in the trail.

Invariant: a row says only what entries say. It is built entry by entry, in their order, and an entry that this version
doesn't know changes nothing but the status. Everything in it is text or a number, so it can be put aside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Self

from core.actor import is_person
from core.audit.trail import AuditAction, AuditEntry
from core.clock import format_time, parse_time

_MICROSECONDS: Final = 1000
"""Entries write durations in nanoseconds."""
_COMMIT_SECONDS: Final = 30
"""How long after a decision its entry may be stamped."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What every row says: what it is about, and when that began. Times are as entries write them; "" is unknown."""

    KIND: ClassVar[str] = ""

    id: str
    at: str
    person: str = ""
    profile: str = ""
    status: str = ""

    @property
    def began_at(self) -> datetime:
        """When it began."""
        return parse_time(self.at)

    def to_text(self) -> str:
        """The row as text that `from_text` reads."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` wrote."""
        said: dict[str, Any] = json.loads(text)
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        return cls(**values)

    @classmethod
    def begin(cls, entry: AuditEntry) -> Self:
        """The row of a chain, before its first entry."""
        _, _, record_id = entry.chain.partition("#")
        return cls(id=record_id, at=format_time(entry.at))

    def after(self, entry: AuditEntry) -> Self:
        """The row with what this entry says."""
        said = {"person": entry.subject or self.person, "profile": entry.profile or self.profile}
        return replace(self, status=entry.outcome, **said)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of its fields, in their order."""
        return tuple(each.name for each in fields(cls))


@dataclass(frozen=True, slots=True)
class ReportedRequest(ReportRow):
    """A request, and what was decided. `approvers` are those whose votes were recorded, in their order."""

    KIND: ClassVar[str] = "REQUEST"

    asked_by: str = ""
    service: str = ""
    justification: str = ""
    asked_seconds: int = 0
    rule: str = ""
    approvers: tuple[str, ...] = ()
    decided_by: str = ""
    decided_at: str = ""
    comment: str = ""
    expires_at: str = ""
    access_ends_at: str = ""
    starts_at: str = ""
    ticket: str = ""

    def after(self, entry: AuditEntry) -> Self:  # noqa: D102 - see the class above
        row, said = ReportRow.after(self, entry), entry.details
        match entry.event:
            case AuditAction.REQUEST_SUBMITTED:
                return replace(
                    row,
                    asked_by=text_of(said, "asked_by"),
                    service=text_of(said, "service"),
                    justification=text_of(said, "justification"),
                    asked_seconds=seconds_of(said, "duration"),
                    rule=text_of(said, "rule"),
                    expires_at=text_of(said, "expires_at"),
                    starts_at=text_of(said, "starts_at"),
                    ticket=text_of(said, "ticket"),
                )
            case AuditAction.APPROVAL_ADDED:
                return replace(row, approvers=(*row.approvers, entry.actor))
            case AuditAction.REQUEST_APPROVED:
                voters = (*row.approvers, entry.actor) if is_person(entry.actor) else row.approvers
                row = replace(row, approvers=voters, access_ends_at=text_of(said, "access_ends_at"))
            case AuditAction.REQUEST_DENIED | AuditAction.REQUEST_CANCELLED | AuditAction.REQUEST_EXPIRED:
                pass
            case _:
                return row
        comment = text_of(said, "reason") or text_of(said, "comment")
        return replace(row, decided_by=entry.actor, decided_at=format_time(entry.at), comment=comment)

    def is_over(self, now: datetime) -> bool:
        """True when nobody decided in time, whether or not that is recorded yet."""
        return bool(self.expires_at) and parse_time(self.expires_at) <= now

    @property
    def decided_moment(self) -> datetime:
        """When it was decided; only of a decided one."""
        return parse_time(self.decided_at)

    @property
    def decision_seconds(self) -> float | None:
        """How long it waited for people; None when no person decided."""
        if self.status not in {"approved", "denied"} or not is_person(self.decided_by):
            return None
        return (parse_time(self.decided_at) - self.began_at).total_seconds()

    @property
    def given_seconds(self) -> int:
        """For how long access was given."""
        if not self.access_ends_at or not self.decided_at:
            return 0
        opened = max(self.decided_at, self.starts_at)
        given = (parse_time(self.access_ends_at) - parse_time(opened)).total_seconds()
        # The entry was stamped a moment after the decision.
        return self.asked_seconds if abs(given - self.asked_seconds) < _COMMIT_SECONDS else round(given)


@dataclass(frozen=True, slots=True)
class ReportedEvent(ReportRow):
    """A break-glass event, how it ended, and what its review found."""

    KIND: ClassVar[str] = "BREAKGLASS"

    reason_code: str = ""
    justification: str = ""
    asked_seconds: int = 0
    rule: str = ""
    mfa: str = ""
    expires_at: str = ""
    ended_by: str = ""
    ended_at: str = ""
    end_reason: str = ""
    reviewer: str = ""
    reviewed_at: str = ""
    verdict: str = ""
    notes: str = ""
    follow_up: str = ""

    def after(self, entry: AuditEntry) -> Self:  # noqa: D102 - see the class above
        row, said = ReportRow.after(self, entry), entry.details
        match entry.event:
            case AuditAction.BREAK_GLASS_INVOKED:
                return replace(
                    row,
                    reason_code=text_of(said, "reason_code"),
                    justification=text_of(said, "justification"),
                    asked_seconds=seconds_of(said, "duration"),
                    rule=text_of(said, "rule"),
                    mfa=text_of(said, "mfa_method"),
                    expires_at=text_of(said, "expires_at"),
                )
            case AuditAction.BREAK_GLASS_CLOSED:
                reason = text_of(said, "reason")
                return replace(row, ended_by=entry.actor, ended_at=format_time(entry.at), end_reason=reason)
            case AuditAction.BREAK_GLASS_EXPIRED:
                # By the clock: the entry may be a little late.
                return replace(row, ended_by=entry.actor, ended_at=row.expires_at or format_time(entry.at))
            case AuditAction.BREAK_GLASS_REVIEWED:
                return replace(
                    row,
                    reviewer=entry.actor,
                    reviewed_at=format_time(entry.at),
                    verdict=text_of(said, "verdict"),
                    notes=text_of(said, "notes"),
                    follow_up=text_of(said, "follow_up"),
                )
            case _:
                return row

    @property
    def reviewed_moment(self) -> datetime:
        """When it was reviewed; only of a reviewed one."""
        return parse_time(self.reviewed_at)

    def has_ended(self, now: datetime) -> bool:
        """True when its time is over, whether or not anything has recorded that yet."""
        return bool(self.ended_at) or (bool(self.expires_at) and parse_time(self.expires_at) <= now)

    def review_due_at(self, within: timedelta) -> datetime | None:
        """Until when it is to be reviewed; None when its end isn't known."""
        ended = self.ended_at or self.expires_at
        return parse_time(ended) + within if ended else None


def text_of(details: Mapping[str, Any], name: str) -> str:
    """The text with this name among the details of an entry, or ""."""
    value = details.get(name)
    return value if isinstance(value, str) else ""


def seconds_of(details: Mapping[str, Any], name: str) -> int:
    """The duration with this name among the details of an entry, in seconds, or 0."""
    value = details.get(name)
    return value // (_MICROSECONDS * 1_000_000) if isinstance(value, int) else 0
