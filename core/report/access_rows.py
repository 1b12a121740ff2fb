"""The rows of a report about what followed from decisions: grants, sessions, and what was refused.

Invariant: a row says only what entries say; see `rows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Self

from core.audit.trail import REFUSALS_KIND, REFUSED, AuditAction, AuditEntry
from core.clock import format_time
from core.report.rows import ReportedEvent, ReportedRequest, ReportRow, text_of


@dataclass(frozen=True, slots=True)
class ReportedGrant(ReportRow):
    """Access at a target, by whose decision, and when it was open."""

    KIND: ClassVar[str] = "GRANT"

    right: str = ""
    source: str = ""
    decided_by: str = ""
    starts_at: str = ""
    expires_at: str = ""
    opened_at: str = ""
    ended_by: str = ""
    ended_at: str = ""
    end_reason: str = ""
    closed_at: str = ""

    def after(self, entry: AuditEntry) -> Self:  # noqa: D102 - see the class above
        row, said = ReportRow.after(self, entry), entry.details
        match entry.event:
            case AuditAction.GRANT_CREATED:
                told = {name: text_of(said, name) for name in ("right", "source", "starts_at", "expires_at")}
                return replace(row, decided_by=entry.actor, **told)
            case AuditAction.GRANT_OPENED:
                return replace(row, opened_at=format_time(entry.at))
            case AuditAction.GRANT_ENDED_EARLY:
                reason = text_of(said, "reason")
                return replace(row, ended_by=entry.actor, ended_at=format_time(entry.at), end_reason=reason)
            case AuditAction.GRANT_FAILED:
                return replace(row, closed_at=format_time(entry.at), end_reason=text_of(said, "reason"))
            case AuditAction.GRANT_CLOSED:
                return replace(row, closed_at=format_time(entry.at))
            case _:
                return row


@dataclass(frozen=True, slots=True)
class ReportedSession(ReportRow):
    """Credentials that were issued to a device, under which decision, and how often."""

    KIND: ClassVar[str] = "SESSION"

    source: str = ""
    right: str = ""
    device: str = ""
    service: str = ""
    source_identity: str = ""
    issues: int = 0
    last_issued_at: str = ""
    ended_by: str = ""
    ended_at: str = ""
    end_reason: str = ""

    def after(self, entry: AuditEntry) -> Self:  # noqa: D102 - see the class above
        row, said = ReportRow.after(self, entry), entry.details
        match entry.event:
            case AuditAction.CREDENTIALS_ISSUED:
                known = {
                    name: text_of(said, theirs) or getattr(row, name)
                    for name, theirs in (
                        ("source", "source"), ("right", "right"), ("device", "device_name"), ("service", "service"),
                        ("source_identity", "source_identity"),
                    )
                }  # fmt: skip
                count = said.get("issue_count")
                issues = count if isinstance(count, int) else row.issues
                return replace(row, issues=issues, last_issued_at=format_time(entry.at), **known)
            case AuditAction.SESSION_REVOKED | AuditAction.SESSION_EXPIRED:
                reason = text_of(said, "reason")
                return replace(row, ended_by=entry.actor, ended_at=format_time(entry.at), end_reason=reason)
            case _:
                return row


@dataclass(frozen=True, slots=True)
class ReportedRefusal(ReportRow):
    """An attempt that was refused. `person` tried it, `subject` is whose access it was about."""

    KIND: ClassVar[str] = "REFUSAL"

    action: str = ""
    subject: str = ""
    record: str = ""
    reasons: str = ""
    times: int = 1

    def after(self, entry: AuditEntry) -> Self:  # noqa: D102 - see the class above
        times = entry.details.get("times")
        return replace(
            self,
            id=f"{entry.chain}/{entry.seq}",
            person=entry.actor,
            profile=entry.profile or "",
            status=REFUSED,
            action=entry.event.value,
            subject=entry.subject or "",
            record=entry.record or "",
            reasons=_reasons(entry.details),
            times=times if isinstance(times, int) else 1,
        )


_BY_KIND: Final[Mapping[str, type[ReportRow]]] = {
    each.KIND: each for each in (ReportedRequest, ReportedEvent, ReportedGrant, ReportedSession)
}


def kind_of(entry: AuditEntry) -> type[ReportRow] | None:
    """What kind of row an entry belongs to; None when it has none."""
    kind, _, rest = entry.chain.partition("#")
    if kind == REFUSALS_KIND:
        return ReportedRefusal
    return _BY_KIND.get(kind) if rest else None


def _reasons(said: Mapping[str, Any]) -> str:
    """Why an attempt was refused, as its entry says it."""
    unmet = said.get("unmet")
    if isinstance(unmet, list):
        return "; ".join(map(str, unmet))
    if "limit" in said:
        return f"the limit {said['limit']} was reached"
    if "wanted" in said:
        return f"it was {said.get('status')} already"
    return text_of(said, "why") or text_of(said, "problem")
