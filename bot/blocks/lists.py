"""Lists of requests for one person: `/access mine` and `/access pending`, with pages and working buttons.

Invariant: a list shows what the store said when it was asked for; its buttons carry ids, and each press is judged anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.blocks.elements import Block, Message, actions, button, code, length, moment, plain, small, who, words
from bot.blocks.request_card import APPROVE, CANCEL, DENY
from bot.surface import ACCESS
from core.request import Request, RequestStatus

MINE: Final = "Your requests"
PENDING: Final = "Waiting for a decision"
PER_PAGE: Final = 8
"""Three blocks each stay far below Slack's fifty for a message, and on one screen."""
_MOST_REASON: Final = 200

HELP: Final = "\n".join(
    [
        "*Ask for access*",
        f"`{ACCESS}` opens the form.",
        f"`{ACCESS} prod 2h deploy the fix for INC-12` asks at once: what, for how long, why.",
        f"`{ACCESS} mine` shows your requests, `{ACCESS} pending` what waits for a decision.",
        "Durations are written like `90m`, `2h` or `1h30m`.",
    ]
)


def list_page(title: str, requests: Sequence[Request], *, page: int, has_more: bool, now: datetime) -> Message:
    """One page of a list, with the buttons that can still work."""
    if not requests:
        nothing = "Nothing here." if page == 1 else "There is nothing on this page."
        return Message(text=f"{title}: nothing", blocks=(words(f"*{title}*"), words(nothing)))
    blocks: list[Block] = [words(f"*{title}*")]
    for request in requests:
        blocks += _row(request, now)
    if has_more:
        command = f"{ACCESS} {'mine' if title == MINE else 'pending'} {page + 1}"
        blocks.append(small(f"Page {page}. More: {code(command)}"))
    return Message(text=f"{title}: {len(requests)} on page {page}", blocks=tuple(blocks))


def _row(request: Request, now: datetime) -> list[Block]:
    status = RequestStatus.EXPIRED if request.is_overdue(now) else request.status
    line = f"{code(request.profile)} for *{length(request.duration)}* · {who(request.requester)} · {status}"
    blocks: list[Block] = [
        words(f"{line} · {moment(request.created_at)}"),
        {"type": "context", "elements": [plain(request.justification, _MOST_REASON)]},
    ]
    if status is RequestStatus.PENDING:
        blocks.append(
            actions(
                f"list:{request.id}",
                button("Approve", APPROVE, request.id, style="primary"),
                button("Deny…", DENY, request.id, style="danger"),
                button("Cancel", CANCEL, request.id),
            )
        )
    return blocks
