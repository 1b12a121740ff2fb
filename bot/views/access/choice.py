"""Asks a person with several open accesses which one they mean.

Invariant: each choice is a button of its own row, which is judged again when it is pressed; nothing was changed yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.views.access.list import AccessRow, access_row
from bot.views.block_kit import Block, Message, divider, mrkdwn
from bot.views.break_glass.list import EventRow, event_row
from bot.views.pagination import PER_PAGE


def which_access(
    question: str, accesses: Sequence[AccessRow], events: Sequence[EventRow], now: datetime, more: str
) -> Message:
    """The question, and a row for each access, and for each event without access. `more` says how to name another."""
    rows = [*(access_row(row, now) for row in accesses), *(event_row(row, now) for row in events)]
    blocks: list[Block] = [mrkdwn(question)]
    for row in rows[:PER_PAGE]:
        blocks += [divider(), *row]
    if len(rows) > PER_PAGE:
        blocks.append(mrkdwn(more))
    return Message(text=question, blocks=tuple(blocks))
