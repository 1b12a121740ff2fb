"""Replies to one person about their decision on a request: what it came to, and what they decided already.

Invariant: each answer is true of the record at the moment it was read, and one press gets one answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bot.views.block_kit import Message, actions, code, length, mention, mrkdwn, relative_time
from bot.views.replies import reply, with_people
from bot.views.request.card import cancel_button_for
from bot.views.request.votes import count_missing, lapsed_votes
from bot.views.request.window import window
from core.request import Request, RequestId, RequestStatus

OWN_REQUEST: Final = (
    "Nobody decides on their own request. Nothing was changed. If you don't need it any more, cancel it."
)
OWN_WHILE_ON_CALL: Final = (
    "Nobody decides on their own request, also while nobody else is on call. Nothing was changed. {next}. If you don't "
    "need it any more, cancel it."
)


def voted(request: Request, voter: str = "", pressed_at: datetime | None = None) -> Message:
    """What an approver's vote came to. `pressed_at`: a vote of this voter from before was given by an earlier press."""
    vote = next((each for each in request.counting_approvals if each.approver == voter), None)
    if vote is not None and pressed_at is not None and vote.at < pressed_at:
        return reply(f"You already approved this {relative_time(vote.at, pressed_at)}. {_standing(request)}")
    if request.status is RequestStatus.APPROVED:
        return reply(f"Approved. {_standing(request)}")
    lapsed = lapsed_votes(request, request.approvals[-1].at) if request.approvals else ""
    line = f"Your approval counts. {_standing(request)}"
    return reply(f"{line}\n{lapsed}" if lapsed else line)


def denied(request: Request) -> Message:
    """What a denial came to."""
    what = f"{code(request.profile)} for {length(request.duration)}"
    return reply(f"You denied {what}. {mention(request.requester)} will be notified, with your reason.")


def own_request(request_id: RequestId, ask_next: str = "", reader: str = "") -> Message:
    """The requester pressed a button that is for others: what they can do is cancel it.

    `ask_next` says whom to ask instead, for who is on call.
    """
    cancelling = actions(f"own:{request_id}", cancel_button_for(request_id))
    said = with_people(ask_next, reader)
    text = OWN_WHILE_ON_CALL.format(next=f"{said[:1].upper()}{said[1:]}") if ask_next else OWN_REQUEST
    return Message(text=text, blocks=(mrkdwn(text), cancelling))


def _standing(request: Request) -> str:
    if request.status is not RequestStatus.APPROVED:
        missing = count_missing(request)
        return "One more is needed." if missing == 1 else f"{missing} more are needed."
    if request.rights:
        when = "now, " if request.starts_at is None else ""
        opens = f"Access to {code(request.profile)} opens {when}{window(request)}"
        return f"{opens}. {mention(request.requester)} will be notified when it's open."
    return f"{mention(request.requester)} has {code(request.profile)} {window(request)}."
