"""Answers to one person: what happened, whether anything changed, and what to do now.

Invariant: each answer is true of the record at the moment it was read, names who decided and when, and blames nobody.
"""

from __future__ import annotations

import re
from datetime import datetime

from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    escape,
    label,
    length,
    mention,
    moment,
    mrkdwn,
    relative_time,
)
from bot.views.request.card import DECLARE_INSTEAD
from core.errors import (
    CodeRefused,
    CountersignError,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)
from core.request import Request, RequestStatus
from core.usage import LIVE_EVENT

_UNCHANGED = "Nothing was changed."
_ID = re.compile(r"\b[UWS](?=[A-Z]*[0-9])[A-Z0-9]{4,31}\b")
"""How Slack's ids look in a policy's sentence. A profile that looks like one is shown as a name that Slack lacks."""
NOT_RECORDED_YET = (
    "This is not recorded yet: the store is slow to answer. You will be told as soon as the outcome is known."
)
BROKEN = "Something went wrong inside Countersign. It is not known whether this was recorded: please look at the card."
NO_FORM = "The form did not open: Slack was slow. Nothing was changed. Please try again."
NOTHING_TO_ASK_FOR = (
    "There is nothing that you may ask for: no rule of the policy names you. Whoever keeps the policy can change that."
)
OUT_OF_DATE = "This comes from an older version of Countersign. Nothing was changed. Please use the newest message."
TOO_BUSY = "Nothing was recorded: too much is going on at once. Please try again in a moment."


def notice(message: Message) -> Block:
    """A modal view that only says something, in place of the form that was sent."""
    return {
        "type": "modal",
        "title": label("Countersign", 24),
        "close": label("Close", 24),
        "blocks": list(message.blocks),
    }


def reply(text: str) -> Message:
    """An answer of one paragraph."""
    return Message(text=text, blocks=(mrkdwn(text),))


def explain(error: CountersignError, now: datetime, reader: str = "") -> Message:
    """What an error means to the person who pressed the button or sent the form: `reader`, who reads "you"."""
    return reply(_sentence(error, now, reader))


def explain_in_field(error: CountersignError, reader: str = "") -> str:
    """The same for the line under a form's field, which Slack shows as it is: no mentions, no times of the reader's."""
    match error:
        case InvalidInput():
            return f"{_capital(error.problem)}. {error.fix}"
        case NotAllowed():
            return f"{_capital('; '.join(_to_reader(reason, reader) for reason in error.reasons))}."
        case LimitReached():
            return f"{_limit(error)} until {error.ends_at:%Y-%m-%d %H:%M} UTC."
        case CodeRefused():
            return _code_refused(error)
    return f"The store cannot be reached. {_UNCHANGED} What you typed is still here: try again in a minute."


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


def submitted(request: Request, *, may_declare: bool = False) -> Message:
    """What a request has come to so far; whoever may break the glass for it is shown how, if it cannot wait."""
    asked = f"You asked for {code(request.profile)} for {length(request.duration)}"
    if request.status is RequestStatus.APPROVED:
        return reply(
            f"{asked}. {who(request.approver or '')} approved it at once: until {moment(request.life_ends_at())}."
        )
    needs = "one approval" if request.required_approvals == 1 else f"{request.required_approvals} approvals"
    line = f"{asked}. It needs {needs} by {moment(request.expires_at)}. You will be told the outcome."
    if not may_declare:
        return reply(line)
    instead = actions(f"instead:{request.id}", button("Break the glass instead…", DECLARE_INSTEAD, request.id))
    return Message(text=line, blocks=(mrkdwn(line), instead))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _to_reader(reason: str, reader: str) -> str:
    if not reader:
        return reason
    return reason.replace(f"{reader} is ", "you are ").replace(reader, "you")


def _with_people(reason: str, reader: str) -> str:
    """A policy's sentence in mrkdwn: ids of people and user groups as Slack shows them."""
    return _ID.sub(
        lambda found: f"<!subteam^{found[0]}>" if found[0][0] == "S" else f"<@{found[0]}>",
        escape(_to_reader(reason, reader)),
    )


def _sentence(error: CountersignError, now: datetime, reader: str) -> str:
    match error:
        case InvalidStateTransition():
            text = _already(error, now)
        case NotAllowed():
            text = (
                f"You cannot do this: {'; '.join(_with_people(each, reader) for each in error.reasons)}. {_UNCHANGED}"
            )
        case LimitReached():
            text = f"{escape(_limit(error))} until {moment(error.ends_at)}. {_UNCHANGED}"
        case CodeRefused():
            text = f"{_code_refused(error)} {_UNCHANGED}"
        case NotFound():
            text = f"There is no such record any more. {_UNCHANGED}"
        case InvalidInput():
            text = f"{escape(_capital(error.problem))}. {escape(error.fix)} {_UNCHANGED}"
        case StoreUnavailable() if error.is_outcome_unknown:
            text = "The store did not answer. It is not known whether this was recorded: please look at the card."
        case StoreUnavailable():
            text = f"The store cannot be reached. {_UNCHANGED} Please try again in a minute."
        case _:
            text = (
                f"Countersign cannot use its store as it is. {_UNCHANGED} Trying again will not help: please tell "
                "whoever runs Countersign."
            )
    return text


def _limit(error: LimitReached) -> str:
    if error.limit == LIVE_EVENT:
        return f"You have this already, by the event {error.value},"
    return f"Not now: {error.limit} ({error.value})"


def _code_refused(error: CodeRefused) -> str:
    if error.problem == "used":
        return "This code was used already. Wait for the next one that your app shows."
    tries = "1 more try" if error.tries_left == 1 else f"{error.tries_left} more tries"
    return f"This code is wrong. You have {tries}."


def _already(error: InvalidStateTransition, now: datetime) -> str:
    if error.reason is not None and error.decided_by is None:
        return f"This cannot be done now: it is {escape(error.status)}, and {escape(error.reason)}. {_UNCHANGED}"
    by = f" by {who(error.decided_by)}" if error.decided_by else ""
    when = f" {ago(error.decided_at, now)}" if error.decided_at else ""
    return f"This was already {escape(error.status)}{by}{when}. {_UNCHANGED}"
