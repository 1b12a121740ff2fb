"""Records and drafts that are valid as they stand, so that a test shows only what it is about.

Invariant: what is built depends on nothing but the arguments, save for fresh ids; it is made at `A_MOMENT`, where a
FrozenClock starts, unless the caller says otherwise.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from core.actor import CLOCK, Actor, DeciderId, ProfileName, UserGroupId, UserId
from core.audit.trail import AuditAction, EntryDraft, EntryId
from core.break_glass import BreakGlassEvent, EventId, ReasonCode
from core.clock import new_id
from core.request import Request, RequestId
from core.review import Verdict
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from pydantic import JsonValue

REQUESTER = UserId("U0REQUESTER")
APPROVER = UserId("U0APPROVER")
SECOND_APPROVER = UserId("U0SECOND")
INVOKER = UserId("U0INVOKER")
REVIEWER = UserId("U0REVIEWER")
PROD = ProfileName("prod")
STAGING = ProfileName("staging")

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class AnsweredPerson(Actor):
    """A person about whom every question was answered: what isn't in `memberships` is a no."""

    def is_in(self, group: UserGroupId) -> bool:
        return self.memberships.get(group, False)


def a_person(user: str, *groups: str, email: str | None = None) -> AnsweredPerson:
    """A verified person who is in these user groups and in no other."""
    return AnsweredPerson(id=UserId(user), email=email, memberships={UserGroupId(each): True for each in groups})


def a_user() -> UserId:
    """A person whom no other test knows, for tests that share their tables."""
    return UserId(f"U{new_id().upper()}")


def a_profile() -> ProfileName:
    """A profile that no other test knows, for tests that share their tables."""
    return ProfileName(f"profile-{new_id()}")


def a_request(
    *,
    requester: UserId = REQUESTER,
    profile: ProfileName = PROD,
    justification: str = "Deploy the fix for INC-12",
    rule: str = "prod",
    now: datetime = A_MOMENT,
    duration: timedelta = HOUR,
    required_approvals: int = 1,
    decide_within: timedelta = DAY,
    request_id: RequestId | None = None,
) -> Request:
    """A pending request, made at `now`."""
    return Request.submit(
        requester=requester,
        profile=profile,
        justification=justification,
        rule=rule,
        now=now,
        duration=duration,
        required_approvals=required_approvals,
        decide_within=decide_within,
        request_id=request_id,
    )


def an_approved_request(
    *,
    requester: UserId = REQUESTER,
    profile: ProfileName = PROD,
    approver: UserId = APPROVER,
    comment: str | None = None,
    now: datetime = A_MOMENT,
    duration: timedelta = HOUR,
) -> Request:
    """A request that was made and approved at `now`."""
    return a_request(requester=requester, profile=profile, now=now, duration=duration).approve(approver, now, comment)


def an_event(
    *,
    invoker: UserId = INVOKER,
    profile: ProfileName = PROD,
    reason_code: ReasonCode = ReasonCode.INCIDENT,
    justification: str = "The checkout is down, INC-12",
    rule: str = "on-call",
    now: datetime = A_MOMENT,
    duration: timedelta = HOUR,
    mfa_method: str | None = None,
    instead_of: str | None = None,
    event_id: EventId | None = None,
) -> BreakGlassEvent:
    """An active break-glass event, invoked at `now`."""
    return BreakGlassEvent.invoke(
        invoker=invoker,
        profile=profile,
        reason_code=reason_code,
        justification=justification,
        rule=rule,
        now=now,
        duration=duration,
        mfa_method=mfa_method,
        instead_of=instead_of,
        event_id=event_id,
    )


def a_closed_event(
    *,
    invoker: UserId = INVOKER,
    profile: ProfileName = PROD,
    closed_by: UserId = INVOKER,
    reason: str = "The checkout is up again",
    now: datetime = A_MOMENT,
) -> BreakGlassEvent:
    """An event that was invoked and closed at `now`."""
    return an_event(invoker=invoker, profile=profile, now=now).close(closed_by, now, reason)


def a_reviewed_event(
    event: BreakGlassEvent,
    *,
    reviewer: UserId = REVIEWER,
    verdict: Verdict = Verdict.JUSTIFIED,
    notes: str = "The runbook left no other way",
    now: datetime = A_MOMENT,
) -> BreakGlassEvent:
    """This ended event with its review."""
    return event.add_review(reviewer, now, verdict, notes)


def a_draft(
    event: AuditAction = AuditAction.REQUEST_SUBMITTED,
    *,
    actor: UserId | DeciderId = REQUESTER,
    outcome: str = "pending",
    subject: UserId | None = None,
    profile: ProfileName | None = None,
    record: str | None = None,
    details: dict[str, JsonValue] | None = None,
    draft_id: EntryId | None = None,
) -> EntryDraft:
    """What a service wants written down about one change."""
    return EntryDraft(
        id=draft_id or EntryId(new_id()),
        event=event,
        actor=DeciderId(actor),
        outcome=outcome,
        subject=subject,
        profile=profile,
        record=record,
        details=details or {},
    )


def a_refusal(
    event: AuditAction = AuditAction.APPROVE_REFUSED,
    *,
    actor: UserId | DeciderId = APPROVER,
    record: str | None = None,
    details: dict[str, JsonValue] | None = None,
) -> EntryDraft:
    """What a service wants written down about one attempt that changed nothing."""
    return a_draft(event, actor=actor, outcome="refused", record=record, details=details)


def a_clock_draft(event: AuditAction = AuditAction.REQUEST_EXPIRED, *, outcome: str = "expired") -> EntryDraft:
    """What is written down about a change that only the passing of time made."""
    return a_draft(event, actor=CLOCK, outcome=outcome)
