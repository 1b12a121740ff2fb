"""Ask again for what somebody asked for before, and what became of several profiles that were asked for at once.

Invariant: the button is only where its requester alone sees it, and only on what has ended. It carries the request's id
and nothing else: what is asked for is read from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from bot.views.block_kit import Block, Message, actions, button, code, mention, mrkdwn
from bot.views.request.window import needed_by, window
from core.errors import CountersignError
from core.request import Request, RequestStatus

AGAIN: Final = "request:again"
_UNCHANGED: Final = "Nothing was requested"


def may_ask_again(request: Request, now: datetime) -> bool:
    """True when its requester can ask for it again with one press: it has ended, and no machine asked for it."""
    has_ended = request.status is not RequestStatus.PENDING or request.is_overdue(now)
    return has_ended and not request.has_time_left(now) and request.service is None


def again_button(request: Request) -> Block:
    """Requests the same again: profile, duration and the words of then."""
    return button("Request again", AGAIN, request.id)


def again_actions(request: Request) -> Block:
    """The button in a row of its own, for the message that says how the request ended."""
    return actions(f"again:{request.id}", again_button(request))


def submitted_several(
    done: Sequence[tuple[str, Request | CountersignError]],
    explain: Sequence[str],
    closed_hours: Callable[[Request], str] = lambda _: "",
) -> Message:
    """What became of each profile of one form. `explain` has a sentence for each refusal, in their order.

    `closed_hours` says of a request that its approvers can't approve it yet.
    """
    sentences = iter(explain)
    made = sum(isinstance(each, Request) for _, each in done)
    lines = [
        f"• {code(profile)}: {_standing(became, closed_hours) if isinstance(became, Request) else next(sentences)}"
        for profile, became in done
    ]
    of = "" if made == len(done) else f" of {len(done)}"
    first = f"You requested {made}{of} profiles. Each is decided separately:"
    text = first if made else f"{_UNCHANGED}:"
    return Message(text=text, blocks=(mrkdwn(text), *(mrkdwn(line) for line in lines)))


def _standing(request: Request, closed_hours: Callable[[Request], str]) -> str:
    if request.status is RequestStatus.APPROVED:
        return f"approved immediately by {mention(request.approver or '')}, {window(request)}."
    if request.awaits_confirmation:
        return f"waits for {mention(request.requester)} to confirm it."
    needs = "one approval" if request.required_approvals == 1 else f"{request.required_approvals} approvals"
    hours = closed_hours(request)
    return f"needs {needs} {needed_by(request)} · {code(request.id)}{f'. {hours}' if hours else ''}"
