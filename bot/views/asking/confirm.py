"""Asking on behalf of somebody: the message that asks them to confirm, and what each side reads afterwards.

Invariant: both people are named, each by what they did. The words are those of the person who asked, and say so. Only
the person who gets the access is asked to confirm.
"""

from __future__ import annotations

from typing import Final

from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    escape,
    length,
    mention,
    moment,
    mrkdwn,
    user_text,
)
from bot.views.request.card import CANCEL, cancel_button_for
from bot.views.request.window import window
from core.errors import LimitReached
from core.request import Request, RequestStatus

CONFIRM: Final = "request:confirm"


def please_confirm(request: Request, *where: Block) -> Message:
    """To the person who gets the access: confirm that you want it, or say that you don't."""
    asker = mention(request.asked_by or "")
    line = f"{asker} requested {code(request.profile)} for *{length(request.duration)}* for you. Do you need it?"
    until = f"Nobody can approve it before you confirm, by {moment(request.expires_at)}."
    return Message(
        text=f"{asker} requested {code(request.profile)} for you. Do you need it?",
        blocks=(
            mrkdwn(f"{line} Why, in the words of {asker}:"),
            user_text(request.justification),
            mrkdwn(until),
            confirm_buttons(request),
            *(where or (context(f"Request {code(request.id)}"),)),
        ),
    )


def confirm_buttons(request: Request) -> Block:
    """What the person who gets the access can answer, where only they read it."""
    return actions(
        f"confirm:{request.id}",
        button("Confirm", CONFIRM, request.id, style="primary"),
        button("I don't need this", CANCEL, request.id),
    )


def confirmed(request: Request) -> Message:
    """To the person who confirmed it."""
    return _with_cancel(
        f"You confirmed the request for {code(request.profile)} that {mention(request.asked_by or '')} made for you. "
        f"{_needs(request)} You'll be notified of the outcome.",
        request,
    )


def confirmed_in_thread(request: Request, deciders: str) -> Message:
    """In the thread of the card, for those who can decide now."""
    line = f"{mention(request.requester)} confirmed that they want this access."
    if request.status is not RequestStatus.PENDING:
        return _line(line)
    return _line(f"{line} {deciders}: {_lower(_needs(request))}" if deciders else f"{line} {_needs(request)}")


def confirmed_to_asker(request: Request, *where: Block) -> Message:
    """To the person who asked."""
    line = f"{mention(request.requester)} confirmed your request for {code(request.profile)} on their behalf."
    return Message(text=line, blocks=(mrkdwn(line), *where))


def submitted_for(request: Request) -> Message:
    """To the person who asked, right away."""
    return _with_cancel(
        f"You requested {code(request.profile)} for {length(request.duration)} for {mention(request.requester)}. They "
        f"have to confirm it by {moment(request.expires_at)}; then it can be approved. You'll be notified of the "
        "outcome.",
        request,
    )


def already_open_for(person: str, profile: str, reached: LimitReached, link: str | None) -> Message:
    """To the person who asked: the other one has such a request open. `link` is the address of its card, if known."""
    which = code(reached.value) if link is None else f"<{link}|{escape(reached.value)}>"
    line = (
        f"{mention(person)} already has a request open for {code(profile)}: {which}, until {moment(reached.ends_at)}."
    )
    return _line(
        f"{line} Nothing was changed. It has to be decided or cancelled first; {mention(person)} can cancel it."
    )


def cancelled_by_other(request: Request, by: str, *where: Block) -> Message:
    """To the other one of the two."""
    if by == request.requester:
        line = f"{mention(by)} doesn't need {code(request.profile)}, which you requested for them: it's cancelled."
    else:
        line = f"{mention(by)} cancelled the request for {code(request.profile)} that they made for you."
    return Message(text=line, blocks=(mrkdwn(line), *where))


def ended_for_asker(request: Request, *where: Block) -> Message:
    """The outcome, to the person who asked."""
    by, line = mention(request.approver or ""), ""
    whose = f"{mention(request.requester)}'s request for {code(request.profile)}, which you made for them,"
    match request.status:
        case RequestStatus.APPROVED:
            line = f":white_check_mark: {whose} was approved by {by}, {window(request)}."
        case RequestStatus.DENIED:
            line = f":no_entry: {whose} was denied by {by}."
        case _:
            late = "they didn't confirm it in time" if request.is_unconfirmed else "nobody decided in time"
            line = f":alarm_clock: {whose} expired: {late}."
    return Message(text=line, blocks=(mrkdwn(line), *where))


def _needs(request: Request) -> str:
    missing = request.quorum - len(request.counting_approvals)
    return f"It needs {'one approval' if missing == 1 else f'{missing} approvals'} by {moment(request.expires_at)}."


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _with_cancel(text: str, request: Request) -> Message:
    cancel = actions(f"submitted:{request.id}", cancel_button_for(request.id))
    return Message(text=text, blocks=(mrkdwn(text), cancel))


def _line(text: str) -> Message:
    return Message(text=text, blocks=(mrkdwn(text),))
