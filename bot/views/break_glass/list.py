"""Lists of break-glass events for one person: what is live, and what waits for a review, the longest overdue first.

Invariant: a list shows what the store said when it was asked for; its buttons carry ids, and each press is judged anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.slack.app_surface import BREAK_GLASS
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
from bot.views.pagination import PageButton, page_buttons
from core.break_glass import BreakGlassEvent, EventStatus, ReasonCode

OLDER: Final = "break_glass_list:next"
NEWER: Final = "break_glass_list:previous"
_MAX_REASON: Final = 200

_REASONS: Final = ", ".join(f"`{each}`" for each in ReasonCode)
HELP: Final = f"""\
*Break the glass in an emergency: access at once, seen by everybody, reviewed afterwards*
`{BREAK_GLASS}` opens the form.
`{BREAK_GLASS} prod incident 1h the checkout is down, see INC-12` declares at once: what, which reason, how long, why.
The reasons: {_REASONS}.
`{BREAK_GLASS} active` shows what is live.
`{BREAK_GLASS} close <id> it is up again` closes it, and so does Close on its card.
`{BREAK_GLASS} reviews` shows what waits for your review."""


class BreakGlassListKind(StrEnum):
    """The lists, by the word that is typed for them."""

    ACTIVE = "active"
    REVIEWS = "reviews"

    @property
    def heading(self) -> str:
        """What the list is called."""
        return "Live break-glass" if self is BreakGlassListKind.ACTIVE else "Waiting for a review"


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event, what its reader may do with it as far as is known now, and until when it is to be reviewed."""

    event: BreakGlassEvent
    review_due: datetime
    may_close: bool = False
    may_review: bool = False


def event_list_page(
    kind: BreakGlassListKind, rows: Sequence[EventRow], *, page: int, has_more: bool, now: datetime
) -> Message:
    """One page of a list, with the buttons that can still work."""
    blocks: list[Block] = [mrkdwn(f"*{kind.heading}*")]
    if not rows:
        blocks.append(mrkdwn(_NOTHING[kind] if page == 1 else "There is nothing on this page any more."))
    for row in rows:
        blocks += [divider(), *event_row(row, now)]
    blocks += page_buttons(kind, page, has_more=has_more, back=PageButton("Back", NEWER), on=PageButton("More", OLDER))
    count = f"{len(rows)} on page {page}" if rows else "nothing"
    return Message(text=f"{kind.heading}: {count}", blocks=tuple(blocks))


def event_row(row: EventRow, now: datetime) -> list[Block]:
    """One event as three blocks."""
    event = row.event
    line = f"{code(event.profile)} · *{event.reason_code}* · {who(event.invoker)}"
    buttons = [button("Timeline", TIMELINE, event.id)]
    if event.is_granting(now):
        standing = f":rotating_light: until {moment(event.expires_at)} · ends {countdown(event.expires_at)}"
        buttons = ([button("Close…", CLOSE, event.id, style="danger")] if row.may_close else []) + buttons
    else:
        standing = _standing_after(row, now)
        buttons = ([button("Review…", REVIEW, event.id, style="primary")] if row.may_review else []) + buttons
    return [
        mrkdwn(f"{line}\n{standing} · {code(event.id)}"),
        {"type": "context", "elements": [plain(event.justification, _MAX_REASON)]},
        actions(f"list:{event.id}", *buttons),
    ]


def _standing_after(row: EventRow, now: datetime) -> str:
    event = row.event
    how = f"closed by {who(event.closed_by or '')}" if event.status is EventStatus.CLOSED else "expired"
    is_overdue = now >= row.review_due
    due = (
        f":warning: *review overdue* since {moment(row.review_due)}"
        if is_overdue
        else (f"review due {moment(row.review_due)}")
    )
    return f"{how} {moment(event.closed_at or event.expires_at)} · {due}"


_NOTHING: Final = {
    BreakGlassListKind.ACTIVE: "No glass is broken that you would have to do with.",
    BreakGlassListKind.REVIEWS: "Nothing waits for your review.",
}
