"""Lists of requests for one person: `/access mine` and `/access pending`, with pages and working buttons.

Invariant: a list shows what the store said when it was asked for; its buttons carry ids, and each click is
judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.slack.app_surface import ACCESS
from bot.views.access.buttons import access_buttons
from bot.views.access.sessions import session_blocks
from bot.views.access.state import state_line
from bot.views.acting import acting, from_where, short_words
from bot.views.asking.again import again_actions, may_ask_again
from bot.views.asking.confirm import confirm_buttons
from bot.views.block_kit import Block, Message, actions, button, code, divider, length, mention, moment, mrkdwn
from bot.views.pagination import PageButton, in_list, page_buttons
from bot.views.request.card import APPROVE, CANCEL, DECLARE_INSTEAD, DENY
from bot.views.request.votes import count_votes
from bot.views.request.window import starting, window
from core.access.session import Session
from core.access.summary import AccessSummary
from core.request import Request, RequestStatus

MINE: Final = "Your requests"
PENDING: Final = "Waiting for your decision"
_MAX_REASON: Final = 200

OLDER: Final = "list:older"
NEWER: Final = "list:newer"


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request, and what its reader can do with it as far as is known now. `access` is what it gave, if known.

    `approve_from` is when their hours open, while they can only deny it.
    """

    request: Request
    may_decide: bool = False
    may_cancel: bool = False
    may_declare: bool = False
    approve_from: datetime | None = None
    access: AccessSummary | None = None
    sessions: Sequence[Session] = ()


class ListKind(StrEnum):
    """The lists, by the word that is typed for them."""

    MINE = "mine"
    PENDING = "pending"

    @property
    def heading(self) -> str:
        """What the list is called."""
        return MINE if self is ListKind.MINE else PENDING


def list_page(kind: ListKind, rows: Sequence[RequestRow], *, page: int, has_more: bool, now: datetime) -> Message:
    """One page of a list, newest first, with the buttons that can still work."""
    blocks: list[Block] = [mrkdwn(f"*{kind.heading}*")]
    if not rows:
        blocks.append(mrkdwn(_NOTHING[kind] if page == 1 else "There's nothing left on this page."))
    for row in rows:
        blocks += [divider(), *list_row(row, now)]
    blocks += page_buttons(
        kind, page, has_more=has_more, back=PageButton("Newer", NEWER), on=PageButton("Older", OLDER)
    )
    count = f"{len(rows)} on page {page}" if rows else "none"
    return Message(text=f"{kind.heading}: {count}", blocks=in_list(blocks, kind, page))


def list_row(row: RequestRow, now: datetime) -> list[Block]:
    """One request as two or three blocks."""
    request = row.request
    status = RequestStatus.EXPIRED if request.is_overdue(now) else request.status
    who = f"{acting(request.requester, request.service)}{from_where(request)}"
    line = f"{code(request.profile)} for *{length(request.duration)}*{starting(request)} · {who}"
    blocks: list[Block] = [
        mrkdwn(f"{line}\n{_standing(request, status, row.access, now)}{_from(row)} · {code(request.id)}"),
        _small(row, now),
    ]
    if status is RequestStatus.PENDING and request.awaits_confirmation and row.may_cancel:
        blocks.append(confirm_buttons(request))
    elif status is RequestStatus.PENDING and (buttons := _buttons(row)):
        blocks.append(actions(f"list:{request.id}", *buttons))
    if row.may_cancel and may_ask_again(request, now):
        blocks.append(again_actions(request))
    if row.access is not None and row.may_cancel:
        # It is the reader's own.
        blocks += access_buttons(row.access, may_extend=True)
    return blocks


def _from(row: RequestRow) -> str:
    return f" · you can approve it from {moment(row.approve_from)}" if row.approve_from is not None else ""


def _small(row: RequestRow, now: datetime) -> Block:
    """What was written, and the credentials that were issued, as one block: Home has room for few."""
    words = short_words(row.request, _MAX_REASON)
    more = [element for block in session_blocks(row.sessions, now) for element in block["elements"]]
    return words | {"elements": [*words["elements"], *more]}


def _standing(request: Request, status: RequestStatus, access: AccessSummary | None, now: datetime) -> str:
    by = mention(request.approver or "")
    match status:
        case RequestStatus.PENDING:
            return f"{_waiting_for(request)} · until {moment(request.expires_at)}"
        case RequestStatus.APPROVED if access is not None:
            return f"{state_line(access, now)} · approved by {by}"
        case RequestStatus.APPROVED:
            return f"Approved by {by} · access {window(request)}"
        case RequestStatus.DENIED:
            return f"Denied by {by} · {moment(request.life_ends_at())}"
        case RequestStatus.CANCELLED:
            return f"Cancelled by {mention(request.ended_by[0] or '')} · {moment(request.life_ends_at())}"
    return f"Expired · no decision by {moment(request.expires_at)}"


def _waiting_for(request: Request) -> str:
    if request.awaits_confirmation:
        return f"Requested by {mention(request.asked_by or '')} · waits for your confirmation"
    return f"Waiting · {'needs one approval' if request.quorum == 1 else f'{count_votes(request)} so far'}"


def _buttons(row: RequestRow) -> list[Block]:
    request, buttons = row.request, list[Block]()
    if row.may_decide:
        if row.approve_from is None:
            buttons.append(button("Approve", APPROVE, request.id, style="primary"))
        buttons.append(button("Deny…", DENY, request.id, style="danger"))
    if row.may_cancel:
        buttons.append(button("Cancel", CANCEL, request.id))
    if row.may_declare:
        buttons.append(button("Break the glass instead…", DECLARE_INSTEAD, request.id))
    return buttons


_NOTHING: Final = {
    ListKind.MINE: f"You haven't requested anything yet. {code(ACCESS)} opens the form.",
    ListKind.PENDING: "Nothing is waiting for your decision.",
}
