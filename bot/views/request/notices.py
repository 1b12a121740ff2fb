"""What is said when something happened to a request: in its thread, and to the requester.

Invariant: what people typed is plain text. What is said is true of the request as it is now, which may be later than
the thing that happened.
"""

from __future__ import annotations

from bot.slack.app_surface import ACCESS
from bot.views.block_kit import Block, Message, code, context, length, mention, moment, mrkdwn, user_text
from core.request import Request, RequestStatus


def approval_added(approver: str, request: Request) -> Message:
    """Somebody's vote counts, and more are needed."""
    votes = enumerate(request.approvals, start=1)
    count, comment = next(
        ((number, vote.comment) for number, vote in votes if vote.approver == approver), (len(request.approvals), None)
    )
    return _news(f"{who(approver)} approved: {count} of {request.required_approvals} approvals.", comment)


def ended(request: Request) -> Message:
    """How the request ended, for its thread."""
    by = mention(request.approver or "")
    match request.status:
        case RequestStatus.APPROVED:
            line = f"Approved by {by}. Access to {code(request.profile)} until {moment(request.life_ends_at())}."
        case RequestStatus.DENIED:
            line = f"Denied by {by}."
        case RequestStatus.CANCELLED:
            line = f"Cancelled by {who(request.requester)}, who asked{_instead(request)}."
        case _:
            line = f"Expired: nobody decided by {moment(request.expires_at)}."
    return _news(line, request.approver_comment)


def still_waiting(request: Request, deciders: str) -> Message:
    """A reminder, to those who may decide."""
    missing = request.required_approvals - len(request.approvals)
    needs = "one approval" if missing == 1 else f"{missing} approvals"
    line = f"This still needs {needs} by {moment(request.expires_at)}."
    return _news(f"{deciders}: {line[0].lower()}{line[1:]}" if deciders else line, None)


def outcome(request: Request, channel: str | None) -> Message:
    """How the request ended, for whoever asked. `channel` is where its card stands."""
    asked = f"Your request for {code(request.profile)} for {length(request.duration)}"
    by = mention(request.approver or "")
    match request.status:
        case RequestStatus.APPROVED:
            line = f":white_check_mark: {asked} is approved, by {by}. Access until {moment(request.life_ends_at())}."
        case RequestStatus.DENIED:
            line = f":no_entry: {asked} is denied, by {by}."
        case _:
            ask_again = f"If you still need it, ask again with {code(ACCESS)}."
            line = f":alarm_clock: {asked} has expired: nobody decided in time. {ask_again}"
    where = f"<#{channel}> · " if channel is not None else ""
    return _news(line, request.approver_comment, context(f"{where}{code(request.id)}"))


def _news(line: str, comment: str | None, *more: Block) -> Message:
    comments = [user_text(comment)] if comment is not None else []
    return Message(text=line, blocks=(mrkdwn(line), *comments, *more))


def _instead(request: Request) -> str:
    if request.replaced_by is None:
        return ""
    return f" and declared break-glass instead: event {code(request.replaced_by)}"
