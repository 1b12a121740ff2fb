"""What the HTTP API says of each record: pure functions of records.

Invariant: nothing is said that its person couldn't see in Slack, and no digest of a secret. `version` changes whenever
anything that the client is shown of a request changes, and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal

from bot.api.models import (
    AccessInfo,
    ApprovalInfo,
    CredentialsInfo,
    EarlyEndInfo,
    PersonInfo,
    QuestionInfo,
    RequestInfo,
    RightInfo,
    SessionInfo,
)
from bot.api.pairing_models import DeviceInfo
from core.access.device import Device
from core.access.grant import EarlyEnd, Grant
from core.access.grant_status import AccessPhase
from core.access.summary import AccessSummary, summarize
from core.actor import is_person
from core.break_glass import BreakGlassEvent
from core.clock import format_time
from core.duty import OnCallName, is_on_call_name, schedule_of
from core.request import Request, RequestStatus
from core.services.issuing import IssuedCredentials

_VERSION_LENGTH: Final = 16
FindName = Callable[[str], str | None]
"""The name of a user or a user group, from what is at hand; None if it isn't. Never waits."""


def describe_person(user_id: str, find_name: FindName) -> PersonInfo:
    """A person, a user group or a schedule, with the name as far as it is known."""
    if is_on_call_name(user_id):
        return PersonInfo(id=user_id, name=f"on call in {schedule_of(OnCallName(user_id))}")
    return PersonInfo(id=user_id, name=find_name(user_id))


def describe_device(device: Device, now: datetime, *, asking: str | None = None) -> DeviceInfo:
    """A device, by the clock. `asking` is the id of the one that asks."""
    return DeviceInfo(
        id=device.id,
        name=device.name,
        agent=device.agent,
        address=device.address,
        service=device.service,
        status=device.status_at(now).value,
        created_at=device.created_at,
        last_used_at=device.last_used_at,
        expires_at=device.expires_at,
        is_this=device.id == asking,
    )


def version_of(request: Request, grants: Iterable[Grant], now: datetime) -> str:
    """An opaque text that differs whenever the request, its access, or what the clock makes of them differs."""
    parts = [request.id, format_time(request.updated_at), str(request.is_overdue(now))]
    # Where nothing is opened, only the clock changes it at the start.
    parts += ["ahead"] if request.is_ahead(now) else []
    for grant in sorted(grants, key=lambda each: each.id):
        parts += [grant.id, format_time(grant.updated_at), grant.describe(now).phase.value]
    return sha256("\n".join(parts).encode()).hexdigest()[:_VERSION_LENGTH]


def describe_request(
    request: Request, grants: Sequence[Grant], now: datetime, find_name: FindName, approvers: Iterable[str] = ()
) -> RequestInfo:
    """A request, by the clock, with the access that it gave."""
    status = RequestStatus.EXPIRED if request.is_overdue(now) else request.status
    is_pending, access = status is RequestStatus.PENDING, summarize(grants, now)
    return RequestInfo(
        id=request.id,
        version=version_of(request, grants, now),
        profile=request.profile,
        status=status,
        requester=request.requester,
        asked_by=request.asked_by,
        asked_by_name=_name_of(request.asked_by, find_name),
        awaits_confirmation=is_pending and request.awaits_confirmation,
        bundle=request.bundle,
        ticket=request.ticket,
        ticket_problem=request.ticket_problem,
        service=request.service,
        device=request.device,
        justification=request.justification,
        duration_seconds=int(request.duration.total_seconds()),
        granted_seconds=int(request.granted_duration.total_seconds()) if request.access_ends_at is not None else None,
        required_approvals=request.quorum,
        approvals=_describe_votes(request, find_name),
        approvers=tuple(describe_person(each, find_name) for each in approvers) if is_pending else (),
        created_at=request.created_at,
        expires_at=request.expires_at,
        starts_at=request.starts_at,
        decided_by=request.ended_by[0],
        decided_by_name=_name_of(request.ended_by[0], find_name),
        decided_at=request.decided_at,
        comment=request.approver_comment,
        access_opens_at=request.access_opens_at,
        is_ahead=request.is_ahead(now),
        access_ends_at=request.access_ends_at,
        replaced_by=request.replaced_by,
        access=describe_access(access, find_name, request.service) if access is not None else None,
        questions=_describe_questions(request, find_name),
    )


def describe_access(access: AccessSummary, find_name: FindName, service: str | None = None) -> AccessInfo:
    """The access of one decision."""
    return AccessInfo(
        source=access.source,
        id=access.source_id,
        kind=_kind_of(access.source),
        profile=access.profile,
        person=access.grantee,
        service=service,
        phase=access.phase,
        starts_at=access.starts_at,
        until=access.until,
        opened_at=access.opened_at,
        closed_at=access.closed_at,
        residual_until=access.residual_until,
        ended_early=_describe_early_end(access.ended_early, find_name),
        decided_by=access.decided_by,
        decided_by_name=_name_of(access.decided_by, find_name),
        is_delayed=access.is_delayed,
        is_overdue=access.is_overdue,
        may_end=access.may_end,
        rights=tuple(
            RightInfo(
                target=each.right.target,
                resource=each.right.resource,
                level=each.right.level,
                phase=each.phase,
                problem=each.problem,
            )
            for each in access.rights
        ),
    )


def describe_event(event: BreakGlassEvent, now: datetime, find_name: FindName) -> AccessInfo:
    """The access of an event for a profile that gives no rights: it is open while the event is active."""
    is_open = event.is_granting(now)
    closed_at = event.ended_by[1]
    return AccessInfo(
        source=event.chain,
        id=event.id,
        kind="break_glass",
        profile=event.profile,
        person=event.invoker,
        phase=AccessPhase.OPEN if is_open else AccessPhase.CLOSED,
        starts_at=event.created_at,
        until=event.expires_at if is_open or closed_at is None else closed_at,
        closed_at=None if is_open else closed_at,
        decided_by=event.invoker,
        decided_by_name=_name_of(event.invoker, find_name),
        may_end=is_open,
    )


def describe_credentials(issued: IssuedCredentials) -> CredentialsInfo:
    """Credentials, for the device that they were issued to."""
    session = issued.session
    return CredentialsInfo(
        access_key_id=issued.access_key_id,
        secret_access_key=issued.secret_access_key,
        session_token=issued.session_token,
        expiration=issued.expiration,
        access_ends_at=issued.access_ends_at,
        session=SessionInfo(
            id=session.id,
            grant=session.grant,
            source=session.source,
            source_identity=session.source_identity,
            issue_count=session.issue_count,
        ),
    )


def _describe_votes(request: Request, find_name: FindName) -> tuple[ApprovalInfo, ...]:
    return tuple(
        ApprovalInfo(
            approver=describe_person(each.approver, find_name),
            at=each.at,
            comment=each.comment,
            duration_seconds=int(each.duration.total_seconds()) if each.duration is not None else None,
        )
        for each in request.counting_approvals
    )


def _describe_questions(request: Request, find_name: FindName) -> tuple[QuestionInfo, ...]:
    return tuple(
        QuestionInfo(
            number=each.number,
            asker=describe_person(each.asker, find_name),
            at=each.at,
            text=each.text,
            answer=each.answer,
            answered_at=each.answered_at,
        )
        for each in request.questions
    )


def _describe_early_end(early: EarlyEnd | None, find_name: FindName) -> EarlyEndInfo | None:
    if early is None:
        return None
    return EarlyEndInfo(by=early.by, by_name=_name_of(early.by, find_name), at=early.at, reason=early.reason)


def _name_of(decider: str | None, find_name: FindName) -> str | None:
    """A rule and the clock have no name in Slack, and aren't asked about there."""
    return find_name(decider) if decider is not None and is_person(decider) else None


def _kind_of(source: str) -> Literal["request", "break_glass"]:
    return "request" if source.startswith(f"{Request.KIND}#") else "break_glass"
