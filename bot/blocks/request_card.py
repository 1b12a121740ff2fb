"""The card of a request: one message in the profile's channel, rewritten after every change.

Invariant: a card shows what the record says and offers only buttons that can still work; a decided request has none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bot.blocks.elements import (
    Block,
    Message,
    actions,
    button,
    code,
    label,
    length,
    moment,
    said,
    small,
    who,
    words,
)
from core.request import Request, RequestStatus

APPROVE: Final = "request:approve"
DENY: Final = "request:deny"
CANCEL: Final = "request:cancel"
MORE: Final = "request:more"
COMMENT: Final = "comment"
"""What the overflow menu's option asks for: to approve with a comment."""


def request_card(request: Request, now: datetime) -> Message:
    """The card as it stands at this moment."""
    status = RequestStatus.EXPIRED if request.is_overdue(now) else request.status
    blocks: list[Block] = [words(_headline(request, status)), said(request.justification)]
    blocks += _votes(request)
    if status is RequestStatus.PENDING:
        blocks += [_waiting(request), _buttons(request)]
    else:
        blocks += _outcome(request, status)
    return Message(text=summary(request, status), blocks=tuple(blocks))


def summary(request: Request, status: RequestStatus) -> str:
    """One sentence for notifications and screen readers, without any text that a person typed."""
    asks = f"{who(request.requester)} asks for {request.profile} for {length(request.duration)}"
    return {
        RequestStatus.PENDING: f"{asks}.",
        RequestStatus.APPROVED: f"{asks}: approved by {who(request.approver or '')}.",
        RequestStatus.DENIED: f"{asks}: denied by {who(request.approver or '')}.",
        RequestStatus.EXPIRED: f"{asks}: expired, nobody decided in time.",
        RequestStatus.CANCELLED: f"{asks}: cancelled by the requester.",
    }[status]


def _headline(request: Request, status: RequestStatus) -> str:
    mark = {
        RequestStatus.PENDING: ":hourglass_flowing_sand: *Waiting for approval*",
        RequestStatus.APPROVED: ":white_check_mark: *Approved*",
        RequestStatus.DENIED: ":no_entry: *Denied*",
        RequestStatus.EXPIRED: ":alarm_clock: *Expired*",
        RequestStatus.CANCELLED: ":leftwards_arrow_with_hook: *Cancelled*",
    }[status]
    return f"{mark}\n{who(request.requester)} asks for {code(request.profile)} for *{length(request.duration)}*"


def _votes(request: Request) -> list[Block]:
    if request.required_approvals == 1 or not request.approvals:
        return []
    votes = ", ".join(who(approval.approver) for approval in request.approvals)
    blocks = [small(f"{len(request.approvals)} of {request.required_approvals} approvals: {votes}")]
    return blocks + [said(approval.comment) for approval in request.approvals if approval.comment is not None]


def _waiting(request: Request) -> Block:
    missing = request.required_approvals - len(request.approvals)
    needs = "one approval" if missing == 1 else f"{missing} approvals"
    return small(f"Needs {needs} · decide by {moment(request.expires_at)} · {code(request.id)}")


def _buttons(request: Request) -> Block:
    with_comment: Block = {
        "type": "overflow",
        "action_id": MORE,
        "options": [{"text": label("Approve with a comment…"), "value": f"{COMMENT}:{request.id}"}],
    }
    return actions(
        f"request:{request.id}",
        button("Approve", APPROVE, request.id, style="primary"),
        button("Deny…", DENY, request.id, style="danger"),
        button("Cancel", CANCEL, request.id),
        with_comment,
    )


def _outcome(request: Request, status: RequestStatus) -> list[Block]:
    by = who(request.approver or "")
    at = moment(request.decided_at or request.expires_at)
    match status:
        case RequestStatus.APPROVED:
            told = small(f"By {by} · {at} · access until {moment(request.life_ends_at())} · {code(request.id)}")
        case RequestStatus.DENIED:
            told = small(f"By {by} · {at} · {code(request.id)}")
        case RequestStatus.CANCELLED:
            told = small(f"By {who(request.requester)} · {at} · {code(request.id)}")
        case _:
            told = small(f"Nobody decided by {at} · {code(request.id)}")
    # Votes before the last one stand above with their comments already.
    is_told_above = request.required_approvals > 1 and status is RequestStatus.APPROVED and bool(request.approvals)
    if request.approver_comment is None or is_told_above:
        return [told]
    return [said(request.approver_comment), told]
