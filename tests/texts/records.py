"""The records, people and times of the snapshot: the same at each run.

Invariant: nothing here is random, and nothing depends on the machine: each id is written out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bot.views.links import CardPlace
from core.actor import Actor, ChannelId, DeciderId, UserId
from core.audit.trail import AuditAction, AuditEntry, EntryId
from core.break_glass import BreakGlassEvent, EventId
from core.policy import parse_policy
from core.request import RequestId
from core.review import Verdict
from tests.builders import (
    APPROVER,
    HOUR,
    INVOKER,
    PROD,
    REQUESTER,
    REVIEWER,
    SECOND_APPROVER,
    STAGING,
    a_person,
    a_request,
    an_event,
)
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from pydantic import JsonValue

    from core.request import Request

MINUTE: Final = timedelta(minutes=1)
NOW: Final = A_MOMENT
LATER: Final = NOW + 10 * MINUTE
AFTER: Final = NOW + 2 * timedelta(days=1)
REQUEST: Final = RequestId("00000000000000a1")
OTHER_REQUEST: Final = RequestId("00000000000000a2")
EVENT: Final = EventId("00000000000000e1")
CLOUDTRAIL: Final = "00000000000000c1"
CHANNEL: Final = ChannelId("C0ACCESS1")
SECURITY: Final = ChannelId("C0SECURITY")
PLACE: Final = CardPlace(CHANNEL, "https://acme.slack.com/archives/C0ACCESS1/p1768450800000100")

POLICY: Final = parse_policy(
    b"""\
version: 1
groups: {sre: [U0APPROVER, U0SECOND, U0REVIEWER]}
security_channel: C0SECURITY
profiles:
  prod: {description: Production account, channel: C0ACCESS1}
  staging: {channel: C0ACCESS1}
  vault: {description: Secrets, channel: C0ACCESS1}
approval:
  - name: prod
    profiles: [prod]
    requesters: [U0REQUESTER, U0APPROVER, S0ENGINEERS]
    approvers: [group:sre, S0LEADS]
    required_approvals: 2
    max_duration: 4h
    auto_approve:
      requesters: [S0ENGINEERS]
      max_duration: 1h
      time: {days: [mon, tue], hours: "09:00-17:00", timezone: UTC}
  - {name: rest, profiles: ["*"], requesters: [U0REQUESTER], approvers: [group:sre], max_duration: 1h}
break_glass:
  - name: on-call
    profiles: [prod, staging]
    users: [U0INVOKER, S0ONCALL]
    allowed_reason_codes: [incident, recovery]
    max_duration: 2h
    cooldown: 30m
    max_per_user: 3
    max_per_profile: 10
    escalation_threshold: 2
    notify: [S0SECURITY, U0REVIEWER]
    fallback: "Runbook: https://wiki.example.com/break-glass"
    time: {days: [mon, tue], hours: "09:00-17:00", timezone: UTC}
  - {name: guarded, profiles: [vault], users: [U0INVOKER], max_duration: 1h, mfa: required}
""",
    "policy.yml",
)


def person(user_id: UserId | str, *groups: str) -> Actor:
    """A verified person in these user groups."""
    return a_person(user_id, *groups)


def pending(votes: int = 1) -> Request:
    """A request that waits for so many approvals."""
    return a_request(request_id=REQUEST, required_approvals=votes)


def scheduled() -> Request:
    """A request of access that starts later."""
    return pending().schedule(NOW + 24 * HOUR)


def ticketed() -> Request:
    """A request for a ticket."""
    return pending().replace(ticket="INC-12")


def ticket_unchecked() -> Request:
    """A request for a ticket that couldn't be checked."""
    return ticketed().replace(ticket_problem="Jira (example.atlassian.net) gave no answer (TimeoutError)")


def half_approved() -> Request:
    """A request with one of two approvals, and a comment."""
    return pending(2).approve(APPROVER, LATER, "Fine for tonight")


def half_approved_again() -> Request:
    """A request that still has one of two approvals: the second vote came when the first no longer counted."""
    return half_approved().approve(SECOND_APPROVER, LATER, lapsed={APPROVER: "no longer an approver of rule prod"})


def approved() -> Request:
    """A request that two people approved."""
    return half_approved().approve(SECOND_APPROVER, LATER, None)


def approved_by_one() -> Request:
    """A request that needed one approval and has it, with a comment."""
    return pending().approve(APPROVER, LATER, "Fine for tonight")


def denied() -> Request:
    """A request that somebody denied."""
    return pending().deny(APPROVER, LATER, "Not during the freeze")


def cancelled() -> Request:
    """A request that its requester took back."""
    return pending().cancel(REQUESTER, LATER)


def replaced() -> Request:
    """A request whose requester declared break-glass instead."""
    return pending().cancel(REQUESTER, LATER, replaced_by=EVENT)


def expired() -> Request:
    """A request on which nobody decided."""
    return pending().expire(AFTER)


def staging_request() -> Request:
    """A request for another profile."""
    return a_request(request_id=OTHER_REQUEST, profile=STAGING)


def active(**more: object) -> BreakGlassEvent:
    """A live event."""
    event = an_event(event_id=EVENT, mfa_method="totp")
    return event.model_copy(update={"request_id": CLOUDTRAIL, "declared_in": CHANNEL, **more})


def without_code() -> BreakGlassEvent:
    """A live event without a code, in the place of a request."""
    return active(mfa_method=None, mfa_verified=False, instead_of=REQUEST)


def closed(by: UserId = INVOKER) -> BreakGlassEvent:
    """An event that somebody closed."""
    return active().close(by, LATER, "The checkout is up again")


def ended() -> BreakGlassEvent:
    """An event whose time has passed."""
    return active().expire(NOW + HOUR)


def reviewed(verdict: Verdict = Verdict.JUSTIFIED) -> BreakGlassEvent:
    """An event with its review."""
    return closed().add_review(
        REVIEWER, AFTER, verdict, "The runbook left no other way", "https://wiki.example.com/INC-12"
    )


def an_entry(
    event: AuditAction, actor: str, chain: str, seq: int = 1, *, details: dict[str, JsonValue] | None = None
) -> AuditEntry:
    """An entry of the trail, as it is before it is sealed."""
    return AuditEntry(
        id=EntryId(f"{seq:016x}"),
        chain=chain,
        seq=seq,
        at=NOW + seq * MINUTE,
        event=event,
        actor=DeciderId(actor),
        outcome="done",
        profile=PROD,
        details=details or {},
        key_id="none",
    )
