"""The card of a request: one message in the profile's channel, rewritten after every change.

Invariant: a card shows what the record says and offers only buttons that can still work, for the people who read it:
to cancel is the requester's alone, so that button is where only they see it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bot.views.access.buttons import access_buttons
from bot.views.access.state import state_blocks, state_words
from bot.views.access.way_in import WayIn
from bot.views.acting import acting, request_blocks
from bot.views.asking.on_card import ask_option, waits_for_confirmation
from bot.views.asking.question import questions_so_far
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
    user_text,
)
from bot.views.request.votes import less_time, needed, vote_blocks
from bot.views.request.waiting import NO_TERMS, WaitingTerms, waiting_blocks
from bot.views.request.window import needed_by, starting, window
from core.access.summary import AccessSummary
from core.request import Request, RequestStatus

APPROVE: Final = "request:approve"
DENY: Final = "request:deny"
CANCEL: Final = "request:cancel"
MORE: Final = "request:more"
TIMELINE: Final = "request:timeline"
DECLARE_INSTEAD: Final = "request:declare_instead"
COMMENT: Final = "comment"
"""What the overflow menu's option asks for: to approve with a comment."""


def request_card(
    request: Request,
    now: datetime,
    deciders: str = "",
    access: AccessSummary | None = None,
    way_in: WayIn | None = None,
    ticket_url: str | None = None,
    waiting: WaitingTerms = NO_TERMS,
) -> Message:
    """The card as it stands at this moment. `deciders` mentions who may decide, in mrkdwn.

    `access` is what the decision gave, `way_in` how to use it; None for a decision without access. `ticket_url` is
    where its ticket can be read, `waiting` whom it escalates to and in which hours it is approved.
    """
    status = RequestStatus.EXPIRED if request.is_overdue(now) else request.status
    is_pending = status is RequestStatus.PENDING
    blocks = request_blocks(request, is_open=is_pending, mark=_mark(request, status), ticket_url=ticket_url)
    blocks += [*_votes(request, status), *questions_so_far(request)]
    if status is RequestStatus.PENDING:
        is_unconfirmed = request.awaits_confirmation
        if is_unconfirmed:
            blocks.append(waits_for_confirmation(request))
        else:
            blocks += [_waiting(request, deciders), *waiting_blocks(waiting, now)]
        blocks.append(_buttons(request, may_decide=not is_unconfirmed))
    else:
        blocks += _outcome(request, status, has_access=bool(request.rights))
    if access is not None:
        blocks += state_blocks(access, now, way_in=way_in)
    elif request.rights and status is RequestStatus.APPROVED:
        blocks.append(context("The state of this access isn't known. If it doesn't work, request it again."))
    timeline = button("Timeline", TIMELINE, request.id)
    if access is not None:
        blocks += access_buttons(access, timeline)
    elif status is not RequestStatus.PENDING:
        blocks.append(actions(f"request:{request.id}", timeline))
    return Message(text=summary(request, status, access), blocks=tuple(blocks))


def summary(request: Request, status: RequestStatus, access: AccessSummary | None = None) -> str:
    """One sentence for notifications and screen readers, without any text that a person typed."""
    what = f"{request.profile} for {length(request.duration)}{starting(request)}"
    who = f"{acting(request.requester, request.service)}{',' if request.service is not None else ''}"
    if request.asked_by is not None:
        who, what = mention(request.asked_by), f"{what} on behalf of {mention(request.requester)}"
    requested = f"{who} requested {what}"
    state = f", {state_words(access)}" if access is not None else ""
    return {
        RequestStatus.PENDING: f"{who} requests {what}.",
        RequestStatus.APPROVED: f"{requested}: approved by {mention(request.approver or '')}{state}.",
        RequestStatus.DENIED: f"{requested}: denied by {mention(request.approver or '')}.",
        RequestStatus.EXPIRED: f"{requested}: expired without a decision.",
        RequestStatus.CANCELLED: f"{requested}: cancelled by {mention(request.ended_by[0] or '')}.",
    }[status]


def _mark(request: Request, status: RequestStatus) -> str:
    if status is RequestStatus.PENDING and request.awaits_confirmation:
        return ":hourglass_flowing_sand: *Waiting for confirmation*"
    return {
        RequestStatus.PENDING: ":hourglass_flowing_sand: *Waiting for approval*",
        RequestStatus.APPROVED: ":white_check_mark: *Approved*",
        RequestStatus.DENIED: ":no_entry: *Denied*",
        RequestStatus.EXPIRED: ":alarm_clock: *Expired*",
        RequestStatus.CANCELLED: ":leftwards_arrow_with_hook: *Cancelled*",
    }[status]


def _votes(request: Request, status: RequestStatus) -> list[Block]:
    # A single vote is the outcome, and stands there.
    is_outcome = request.quorum == 1 and status is RequestStatus.APPROVED
    return vote_blocks(request, leave_out_counting=is_outcome)


def _waiting(request: Request, deciders: str) -> Block:
    by = f" from {deciders}" if deciders else ""
    # Not in small print: the people named here have to see it.
    return mrkdwn(f"Needs {needed(request)}{by} {needed_by(request)}")


def _buttons(request: Request, *, may_decide: bool) -> Block:
    timeline = button("Timeline", TIMELINE, request.id)
    if not may_decide:
        return actions(f"request:{request.id}", timeline)
    with_comment = {"text": label("Approve with a comment, or for less time…"), "value": f"{COMMENT}:{request.id}"}
    more: Block = {"type": "overflow", "action_id": MORE, "options": [with_comment, ask_option(request)]}
    return actions(
        f"request:{request.id}",
        button("Approve", APPROVE, request.id, style="primary"),
        button("Deny…", DENY, request.id, style="danger"),
        timeline,
        more,
    )


def cancel_button_for(request_id: str) -> Block:
    """What takes a pending request back, for messages that only its requester sees."""
    return button("Cancel request", CANCEL, request_id)


def _outcome(request: Request, status: RequestStatus, *, has_access: bool) -> list[Block]:
    by, at = mention(request.approver or ""), moment(request.decided_at or request.expires_at)
    match status:
        case RequestStatus.APPROVED:
            # The state of the access says until when.
            until = "" if has_access else f" · access {window(request)}"
            verdict = f"Approved by {by}{less_time(request)} · {at}{until}"
        case RequestStatus.DENIED:
            verdict = f"Denied by {by} · {at}"
        case RequestStatus.CANCELLED:
            canceller = mention(request.cancelled_by or request.requester)
            verdict = f"Cancelled by {canceller} · {at}{_replaced(request)}"
        case _:
            verdict = f"Expired · no decision by {at}"
    # Votes before the last one are above, with their comments.
    is_above = request.quorum > 1 and status is RequestStatus.APPROVED and bool(request.counting_approvals)
    if request.approver_comment is None or is_above:
        return [context(verdict)]
    said, _, small_print = verdict.partition(" · ")
    return [mrkdwn(f"{said}:"), user_text(request.approver_comment), context(small_print)]


def _replaced(request: Request) -> str:
    return f" · replaced by break-glass event {code(request.replaced_by)}" if request.replaced_by is not None else ""
