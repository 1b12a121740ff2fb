"""What a card says of the page that was sent about its record.

Invariant: a name that a pager gave is shown as plain text, never as markup; the time is in the reader's own zone.
"""

from __future__ import annotations

from typing import Final

from bot.views.block_kit import Block, Message, moment, plain
from core.pagers.page_ledger import PageLedger

_MAX_LINE: Final = 200


def with_page(card: Message, page: PageLedger | None) -> Message:
    """The card with who took the page on, above its buttons; the card itself where nobody did."""
    line = _acknowledged(page) if page is not None else None
    if line is None:
        return card
    buttons = (index for index, each in enumerate(card.blocks) if each["type"] == "actions")
    at = next(buttons, len(card.blocks))
    return Message(text=card.text, blocks=(*card.blocks[:at], line, *card.blocks[at:]))


def _acknowledged(page: PageLedger) -> Block | None:
    taken = page.acknowledgement
    if taken is None or page.pager is None:
        return None
    who = plain(f"Acknowledged by {taken.by} in {page.pager}", _MAX_LINE)
    when = {"type": "mrkdwn", "text": moment(taken.at), "verbatim": True}
    return {"type": "context", "elements": [who, when]}
