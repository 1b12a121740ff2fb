"""Lists of break-glass events for one person: active ones, and those to review, the longest overdue first.

Invariant: a list shows what the store said when it was asked for; its buttons carry ids, and each click is
judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.views.access.state import shows_end, state_line
from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    countdown,
    divider,
    mention,
    moment,
    mrkdwn,
    plain,
)
from bot.views.break_glass.card import CLOSE, REVIEW, TIMELINE
from bot.views.pagination import PageButton, in_list, page_buttons
from core.access.summary import AccessSummary
from core.break_glass import BreakGlassEvent, EventStatus, ReasonCode

OLDER: Final = "break_glass_list:next"
NEWER: Final = "break_glass_list:previous"
_MAX_REASON: Final = 200

_REASONS: Final = ", ".join(f"`{each}`" for each in ReasonCode)


class BreakGlassListKind(StrEnum):
    """The lists, by the word that is typed for them."""

    ACTIVE = "active"
    REVIEWS = "reviews"

    @property
    def heading(self) -> str:
        """What the list is called."""
        return "Active break-glass events" if self is BreakGlassListKind.ACTIVE else "Waiting for a review"


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event, what its reader can do with it as far as is known now, and when its review is due.

    `access` is what it gave, if known. `waits_for` names who can review it, where the reader can't: it is their own.
    """

    event: BreakGlassEvent
    review_due: datetime
    may_close: bool = False
    may_review: bool = False
    waits_for: str | None = None
    access: AccessSummary | None = None


def event_list_page(
    kind: BreakGlassListKind, rows: Sequence[EventRow], *, page: int, has_more: bool, now: datetime
) -> Message:
    """One page of a list, with the buttons that can still work."""
    blocks: list[Block] = [mrkdwn(f"*{kind.heading}*")]
    if not rows:
        blocks.append(mrkdwn(NOTHING[kind] if page == 1 else "There's nothing left on this page."))
    for row in rows:
        blocks += [divider(), *event_row(row, now)]
    blocks += page_buttons(kind, page, has_more=has_more, back=PageButton("Back", NEWER), on=PageButton("More", OLDER))
    count = f"{len(rows)} on page {page}" if rows else "none"
    return Message(text=f"{kind.heading}: {count}", blocks=in_list(blocks, kind, page))


def event_row(row: EventRow, now: datetime) -> list[Block]:
    """One event as three blocks."""
    event = row.event
    line = f"{code(event.profile)} · *{event.reason_code}* · {mention(event.invoker)}"
    buttons = [button("Timeline", TIMELINE, event.id)]
    if event.is_granting(now):
        standing = f":rotating_light: until {moment(event.expires_at)} · ends {countdown(event.expires_at)}"
        buttons = ([button("Close…", CLOSE, event.id, style="danger")] if row.may_close else []) + buttons
    else:
        standing = _standing_after(row, now)
        buttons = ([button("Review…", REVIEW, event.id, style="primary")] if row.may_review else []) + buttons
    if row.access is not None:
        state = state_line(row.access, now)
        standing = state if shows_end(row.access, event.expires_at) else f"{standing}\n{state}"
    return [
        mrkdwn(f"{line}\n{standing} · {code(event.id)}"),
        {"type": "context", "elements": [plain(event.justification, _MAX_REASON)]},
        actions(f"list:{event.id}", *buttons),
    ]


def _standing_after(row: EventRow, now: datetime) -> str:
    event = row.event
    how = f"closed by {mention(event.closed_by or '')}" if event.status is EventStatus.CLOSED else "expired"
    is_overdue = now >= row.review_due
    due = (
        f":warning: *review overdue* since {moment(row.review_due)}"
        if is_overdue
        else (f"review due {moment(row.review_due)}")
    )
    others = f" · waiting for {row.waits_for or 'a reviewer'}" if row.waits_for is not None else ""
    return f"{how} {moment(event.closed_at or event.expires_at)} · {due}{others}"


NOTHING: Final = {
    BreakGlassListKind.ACTIVE: "There are no active break-glass events you can act on.",
    BreakGlassListKind.REVIEWS: "Nothing is waiting for your review.",
}
