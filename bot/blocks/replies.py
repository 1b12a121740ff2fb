"""Answers to one person: what happened, whether anything changed, and what to do now.

Invariant: each answer is true of the record at the moment it was read, names who decided and when, and blames nobody.
"""

from __future__ import annotations

from datetime import datetime

from bot.blocks.elements import Block, Message, ago, code, escape, label, length, moment, who, words
from core.errors import (
    CountersignError,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)
from core.request import Request, RequestStatus

_UNCHANGED = "Nothing was changed."
NOT_RECORDED_YET = (
    "This is not recorded yet: the store is slow to answer. You will be told as soon as the outcome is known."
)
BROKEN = "Something went wrong inside Countersign. It is not known whether this was recorded: please look at the card."
TOO_BUSY = "Nothing was recorded: too much is going on at once. Please try again in a moment."


def notice(text: str) -> Block:
    """A modal view that only says something, in place of the form that was sent."""
    return {"type": "modal", "title": label("Countersign", 24), "close": label("Close", 24), "blocks": [words(text)]}


def reply(text: str) -> Message:
    """An answer of one paragraph."""
    return Message(text=text, blocks=(words(text),))


def explain(error: CountersignError, now: datetime) -> Message:
    """What an error means to the person who pressed the button or sent the form."""
    return reply(_sentence(error, now))


def voted(request: Request) -> Message:
    """What an approver's press has done."""
    if request.status is RequestStatus.APPROVED:
        return reply(
            f"Approved. {who(request.requester)} has {code(request.profile)} until {moment(request.life_ends_at())}."
        )
    missing = request.required_approvals - len(request.approvals)
    return reply(f"Your approval counts. {missing} more {'is' if missing == 1 else 'are'} needed.")


def denied(request: Request) -> Message:
    """What a denial has done."""
    return reply(f"Denied. {who(request.requester)} is told, with your reason.")


def cancelled(request: Request) -> Message:
    """What taking a request back has done."""
    return reply(f"Your request for {code(request.profile)} is cancelled.")


def submitted(request: Request) -> Message:
    """What a request has come to so far."""
    asked = f"You asked for {code(request.profile)} for {length(request.duration)}"
    if request.status is RequestStatus.APPROVED:
        return reply(
            f"{asked}. {who(request.approver or '')} approved it at once: until {moment(request.life_ends_at())}."
        )
    needs = "one approval" if request.required_approvals == 1 else f"{request.required_approvals} approvals"
    return reply(f"{asked}. It needs {needs} by {moment(request.expires_at)}. You will be told the outcome.")


def _sentence(error: CountersignError, now: datetime) -> str:
    match error:
        case InvalidStateTransition():
            text = _already(error, now)
        case NotAllowed():
            text = f"You cannot do this: {'; '.join(escape(reason) for reason in error.reasons)}. {_UNCHANGED}"
        case LimitReached():
            limit = f"{escape(error.limit)} ({escape(error.value)})"
            text = f"Not now: {limit} until {moment(error.ends_at)}. {_UNCHANGED}"
        case NotFound():
            text = f"There is no such record any more. {_UNCHANGED}"
        case InvalidInput():
            problem = escape(error.problem[:1].upper() + error.problem[1:])
            text = f"{problem}. {escape(error.fix)} {_UNCHANGED}"
        case StoreUnavailable() if error.is_outcome_unknown:
            text = "The store did not answer. It is not known whether this was recorded: please look at the card."
        case _:
            text = f"The store cannot be reached. {_UNCHANGED} Please try again in a minute."
    return text


def _already(error: InvalidStateTransition, now: datetime) -> str:
    by = f" by {who(error.decided_by)}" if error.decided_by else ""
    when = f" {ago(error.decided_at, now)}" if error.decided_at else ""
    return f"This was already {escape(error.status)}{by}{when}. {_UNCHANGED}"
