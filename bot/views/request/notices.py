"""What is posted when something happened to a request: in its thread, and to the requester.

Invariant: what people typed is plain text, and a line before it says whose words they are. What a notice says is true
of the request as it is now, which may be later than what it is about.
"""

from __future__ import annotations

from datetime import timedelta

from bot.views.access.state import state_sentence
from bot.views.acting import acting, why_blocks, your_request
from bot.views.asking.again import again_actions
from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    length,
    mention,
    moment,
    mrkdwn,
    user_text,
)
from bot.views.links import NO_PLACE, CardPlace, where_line, where_with_id
from bot.views.request.card import APPROVE, DENY
from bot.views.request.votes import lapsed_votes, less_time, needed
from bot.views.request.window import needed_by, starting, window
from core.access.summary import AccessSummary
from core.request import Request, RequestStatus


def approval_added(approver: str, request: Request) -> Message:
    """One more vote counts, and more are needed."""
    counting = request.counting_approvals
    number, vote = next(
        ((number, vote) for number, vote in enumerate(counting, start=1) if vote.approver == approver),
        (len(counting), None),
    )
    line = f"{mention(approver)} approved: {number} of {request.quorum} approvals."
    lapsed = lapsed_votes(request, vote.at) if vote is not None else ""
    comment = vote.comment if vote is not None else None
    return _notice(line, comment, f"{mention(approver)} said:", *([context(lapsed)] if lapsed else []))


def ended(request: Request, access: AccessSummary | None = None) -> Message:
    """How the request ended, for its thread."""
    by = mention(request.approver or "")
    match request.status:
        case RequestStatus.APPROVED:
            line = f"Approved by {by}{less_time(request)}. {_access(request, access)}"
            return _notice(line, request.approver_comment, f"{by} said:")
        case RequestStatus.DENIED:
            return _with_words(f"Denied by {by}", request.approver_comment)
        case RequestStatus.CANCELLED:
            line = f"Cancelled by {mention(request.cancelled_by or request.requester)}{_instead(request)}."
        case _:
            line = f"Expired: no decision by {moment(request.expires_at)}."
    return _notice(line)


def still_waiting(request: Request, deciders: str, place: CardPlace = NO_PLACE) -> Message:
    """A reminder to the people who can decide, with the buttons to do it."""
    line = f"his request still needs {needed(request)} {needed_by(request)}."
    asked = f"{deciders}: t{line}" if deciders else f"T{line}"
    decide = _decide(f"reminder:{request.id}", request)
    return _notice(asked, None, "", context(_what(request)), decide, where_line(place))


def escalated_in_thread(request: Request, people: str, waited: timedelta, place: CardPlace = NO_PLACE) -> Message:
    """To the people whom a step of the escalation names, with the buttons to decide."""
    line = f"his request has waited {length(waited)}, and you can decide on it now."
    asked = f"{people}: t{line}" if people else f"T{line}"
    asked = f"{asked} It still needs {needed(request)} {needed_by(request)}."
    decide = _decide(f"escalated:{request.id}", request)
    return _notice(asked, None, "", context(_what(request)), decide, where_line(place))


def please_decide(request: Request, place: CardPlace = NO_PLACE, waited: timedelta | None = None) -> Message:
    """To one person who can decide: who is on call, or, with `waited`, to whom the request escalated."""
    why = "You're on call, and" if waited is None else f"It has waited {length(waited)}. You"
    needs = f"{why} can decide: it needs {needed(request)} {needed_by(request)}."
    decide = _decide(f"to-decide:{request.id}", request)
    return _notice(
        f"{_what(request)}. {needs}", None, "", *why_blocks(request), decide, where_with_id(place, request.id)
    )


def outcome(request: Request, place: CardPlace = NO_PLACE, summary: AccessSummary | None = None) -> Message:
    """How the request ended, for the requester. `place` is where its card is."""
    access = f"{your_request(request)} for {length(request.duration)}"
    by = mention(request.approver or "")
    where = where_with_id(place, request.id)
    match request.status:
        case RequestStatus.APPROVED:
            until = f"Access {window(request)}."
            state = state_sentence(summary) if summary is not None else until
            line = f":white_check_mark: {access} was approved by {by}{less_time(request)}. {state}"
            return _notice(line, request.approver_comment, f"{by} said:", where)
        case RequestStatus.DENIED:
            again = [again_actions(request)] if request.service is None else []
            line = f":no_entry: {access} was denied by {by}"
            return _with_words(line, request.approver_comment, *again, where)
    late = "you didn't confirm it in time" if request.is_unconfirmed else "nobody decided in time"
    line = f":alarm_clock: {access} expired: {late}."
    if request.service is not None:
        return _notice(f"{line} If it's still needed, let the service request it again.", None, "", where)
    return _notice(f"{line} If you still need it, request it again.", None, "", again_actions(request), where)


def _what(request: Request) -> str:
    who = acting(request.asked_by or request.requester, request.service)
    for_whom = f" on behalf of {mention(request.requester)}" if request.asked_by is not None else ""
    return f"{who} requests {code(request.profile)} for *{length(request.duration)}*{starting(request)}{for_whom}"


def _decide(block_id: str, request: Request) -> Block:
    return actions(
        block_id,
        button("Approve", APPROVE, request.id, style="primary"),
        button("Deny…", DENY, request.id, style="danger"),
    )


def _with_words(line: str, said: str | None, *more: Block) -> Message:
    """A line that what somebody said explains: their words come after its colon."""
    if said is None:
        return _notice(f"{line}.", None, "", *more)
    return Message(text=f"{line}.", blocks=(mrkdwn(f"{line}:"), user_text(said), *more))


def _notice(line: str, comment: str | None = None, lead: str = "", *more: Block) -> Message:
    """A line, and a person's words if there are any; `lead` says whose they are."""
    if comment is None:
        return Message(text=line, blocks=(mrkdwn(line), *more))
    return Message(text=line, blocks=(mrkdwn(f"{line} {lead}".rstrip()), user_text(comment), *more))


def _access(request: Request, access: AccessSummary | None) -> str:
    if access is None:
        return f"Access to {code(request.profile)} {window(request)}."
    return state_sentence(access, f"Access to {code(request.profile)}")


def _instead(request: Request) -> str:
    if request.replaced_by is None:
        return ""
    return f", who declared break-glass event {code(request.replaced_by)} instead"
