"""The card of a request: one message in the profile's channel, rewritten after every change.

Invariant: a card shows what the record says and offers only buttons that can still work; a decided request has none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    label,
    length,
    mention,
    moment,
    mrkdwn,
    plain,
    user_text,
)
from core.request import Request, RequestStatus

APPROVE: Final = "request:approve"
DENY: Final = "request:deny"
CANCEL: Final = "request:cancel"
MORE: Final = "request:more"
DECLARE_INSTEAD: Final = "request:declare_instead"
COMMENT: Final = "comment"
"""What the overflow menu's option asks for: to approve with a comment."""
_MAX_COMMENT: Final = 200
"""Characters of a vote's comment on the card: ten of them, at their longest, stay far below what Slack takes."""


def request_card(request: Request, now: datetime, deciders: str = "") -> Message:
    """The card as it stands at this moment. `deciders` mentions who may decide, in mrkdwn."""
    status = RequestStatus.EXPIRED if request.is_overdue(now) else request.status
    blocks: list[Block] = [mrkdwn(_headline(request, status)), user_text(request.justification)]
    blocks += _votes(request, status)
    if status is RequestStatus.PENDING:
        blocks += [_waiting(request, deciders), _buttons(request)]
    else:
        blocks += _outcome(request, status)
    return Message(text=summary(request, status), blocks=tuple(blocks))


def summary(request: Request, status: RequestStatus) -> str:
    """One sentence for notifications and screen readers, without any text that a person typed."""
    what = f"for {request.profile} for {length(request.duration)}"
    asked = f"{who(request.requester)} asked {what}"
    return {
        RequestStatus.PENDING: f"{who(request.requester)} asks {what}.",
        RequestStatus.APPROVED: f"{asked}: approved by {who(request.approver or '')}.",
        RequestStatus.DENIED: f"{asked}: denied by {who(request.approver or '')}.",
        RequestStatus.EXPIRED: f"{asked}: expired, nobody decided in time.",
        RequestStatus.CANCELLED: f"{asked}: cancelled by the requester.",
    }[status]


def _headline(request: Request, status: RequestStatus) -> str:
    mark = {
        RequestStatus.PENDING: ":hourglass_flowing_sand: *Waiting for approval*",
        RequestStatus.APPROVED: ":white_check_mark: *Approved*",
        RequestStatus.DENIED: ":no_entry: *Denied*",
        RequestStatus.EXPIRED: ":alarm_clock: *Expired*",
        RequestStatus.CANCELLED: ":leftwards_arrow_with_hook: *Cancelled*",
    }[status]
    asks = "asks" if status is RequestStatus.PENDING else "asked"
    return f"{mark}\n{who(request.requester)} {asks} for {code(request.profile)} for *{length(request.duration)}*"


def _votes(request: Request, status: RequestStatus) -> list[Block]:
    # A single vote is the outcome, and stands there.
    if not request.approvals or (request.required_approvals == 1 and status is RequestStatus.APPROVED):
        return []
    votes = ", ".join(mention(approval.approver) for approval in request.approvals)
    blocks = [context(f"{len(request.approvals)} of {request.required_approvals} approvals: {votes}")]
    return blocks + [_comment(each.approver, each.comment) for each in request.approvals if each.comment is not None]


def _comment(approver: str, comment: str) -> Block:
    # All blocks of a message together have a limit; the thread has each comment whole.
    return {"type": "context", "elements": [*context(mention(approver))["elements"], plain(comment, _MAX_COMMENT)]}


def _waiting(request: Request, deciders: str) -> Block:
    missing = request.required_approvals - len(request.approvals)
    needs = "one approval" if missing == 1 else f"{missing} approvals"
    by = f" from {deciders}" if deciders else ""
    # No small print: whoever is asked here is to see it.
    return mrkdwn(f"Needs {needs}{by}, by {moment(request.expires_at)} · {code(request.id)}")


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
    by = mention(request.approver or "")
    at = moment(request.decided_at or request.expires_at)
    match status:
        case RequestStatus.APPROVED:
            told = context(f"By {by} · {at} · access until {moment(request.life_ends_at())} · {code(request.id)}")
        case RequestStatus.DENIED:
            told = context(f"By {by} · {at} · {code(request.id)}")
        case RequestStatus.CANCELLED:
            told = context(f"By {who(request.requester)} · {at} · {code(request.id)}{_replaced(request)}")
        case _:
            told = context(f"Nobody decided by {at} · {code(request.id)}")
    # Votes before the last one stand above with their comments already.
    is_told_above = request.required_approvals > 1 and status is RequestStatus.APPROVED and bool(request.approvals)
    if request.approver_comment is None or is_told_above:
        return [told]
    return [user_text(request.approver_comment), told]


def _replaced(request: Request) -> str:
    return f" · for the break-glass event {code(request.replaced_by)}" if request.replaced_by is not None else ""
