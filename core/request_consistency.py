"""What always holds for a request, whichever version of it is read or written.

Invariant: a request that breaks one of these is never made, and one that was stored is reported as malformed.
"""

from __future__ import annotations

from core.actor import is_person
from core.request_record import RequestRecord, find_opening
from core.request_status import RequestStatus


def find_broken_rule(request: RequestRecord) -> str | None:
    """The first rule that the request breaks, as a sentence; None when it keeps them all."""
    return next((rule for is_kept, rule in judge_rules(request) if not is_kept), None)


def judge_rules(request: RequestRecord) -> tuple[tuple[bool, str], ...]:
    """Each rule, and whether the request keeps it."""
    return (*_votes(request), *_times(request))


def _votes(request: RequestRecord) -> tuple[tuple[bool, str], ...]:
    approvers = {approval.approver for approval in request.approvals}
    counted = request.counting_approvals
    is_approved = request.status is RequestStatus.APPROVED
    is_decided = request.status in {RequestStatus.APPROVED, RequestStatus.DENIED}
    is_quorate = len(counted) >= request.quorum
    by_person = request.approver is not None and is_person(request.approver)
    raised = request.raised_approvals
    return (
        (len({each.approver for each in counted}) == len(counted), "an approver counts once"),
        (request.requester not in approvers | {request.approver}, "nobody decides on their own request"),
        (request.asked_by != request.requester, "nobody asks for themself on behalf of somebody"),
        (is_decided == (request.approver is not None), "a decided request, and only it, says who decided"),
        (not is_approved or is_quorate == by_person, "people approve by quorum, the policy without one"),
        (is_approved or not is_quorate, "a quorum approves"),
        (len(counted) <= request.quorum, "no vote is counted beyond the quorum"),
        (raised is None or raised > request.required_approvals, "a quorum only rises"),
        (request.status is not RequestStatus.DENIED or request.approver_comment is not None, "a denial has a reason"),
        (
            all(each.duration is None or each.duration < request.duration for each in request.approvals),
            "a vote gives less time than was asked, or all of it",
        ),
    )


def _times(request: RequestRecord) -> tuple[tuple[bool, str], ...]:
    is_approved = request.status is RequestStatus.APPROVED
    numbers = tuple(each.number for each in request.questions)
    return (
        (is_approved == (request.access_ends_at is not None), "an approved request, and only it, has a window"),
        (
            (request.decided_at is None) == (request.status in {RequestStatus.PENDING, RequestStatus.EXPIRED}),
            "a request that somebody ended says when",
        ),
        (
            request.replaced_by is None or request.status is RequestStatus.CANCELLED,
            "only a cancelled one is replaced",
        ),
        (
            request.cancelled_by is None
            or (request.status is RequestStatus.CANCELLED and request.cancelled_by == request.asked_by),
            "only the requester, and who asked for them, cancels",
        ),
        (
            not is_approved or _has_its_window(request),
            "the window opens with the approval, or at its start, and lasts as long as it gave",
        ),
        (
            request.reminded_at is None or request.reminded_at < request.expires_at,
            "nobody is reminded after the deadline",
        ),
        (
            request.confirmed_at is None
            or (request.asked_by is not None and request.confirmed_at < request.expires_at),
            "only what somebody else asked for is confirmed, before the deadline",
        ),
        (
            request.starts_at is None or request.starts_at == request.expires_at,
            "people decide until the start",
        ),
        (numbers == tuple(range(1, len(numbers) + 1)), "questions are numbered as they were asked"),
    )


def _has_its_window(request: RequestRecord) -> bool:
    decided_at = request.decided_at or request.created_at
    opens_at = find_opening(decided_at, request.starts_at)
    # The others are what an older version decided, which doesn't know that a vote can give less, or that access can
    # start later: it stays readable, and verification reports it.
    older = {decided_at + request.granted_duration, decided_at + request.duration}
    return request.access_ends_at in {opens_at + request.granted_duration} | older
