"""Lists of access: who has what now, until when, and by whose decision. Overdue access comes first.

Invariant: a list shows what the store said when it was asked for; its buttons carry sources, and each click is judged
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.views.access.buttons import access_buttons
from bot.views.block_kit import Block, Message, code, divider, mention, moment, mrkdwn
from bot.views.pagination import PageButton, page_buttons
from core.access.summary import AccessSummary

OLDER: Final = "access_list:next"
NEWER: Final = "access_list:previous"


class AccessListKind(StrEnum):
    """The lists, by the word that is typed for them."""

    LIVE = "live"

    @property
    def heading(self) -> str:
        """What the list is called."""
        return "Access that is live now"


@dataclass(frozen=True, slots=True)
class AccessRow:
    """One access, and what its reader can do with it as far as is known now. `may_end`: it is the reader's own."""

    access: AccessSummary
    may_end: bool = False
    may_revoke: bool = False


def access_list_page(
    kind: AccessListKind, rows: Sequence[AccessRow], *, page: int, has_more: bool, now: datetime
) -> Message:
    """One page of the list, with the buttons that can still work."""
    blocks: list[Block] = [mrkdwn(f"*{kind.heading}*")]
    if not rows:
        blocks.append(mrkdwn("Nobody has access now." if page == 1 else "There's nothing left on this page."))
    for row in rows:
        blocks += [divider(), *access_row(row, now)]
    blocks += page_buttons(kind, page, has_more=has_more, back=PageButton("Back", NEWER), on=PageButton("More", OLDER))
    count = f"{len(rows)} on page {page}" if rows else "none"
    return Message(text=f"{kind.heading}: {count}", blocks=tuple(blocks))


def access_row(row: AccessRow, now: datetime) -> list[Block]:  # noqa: ARG001 - drawn next
    """One access as one or two blocks, for this list and for the Home tab."""
    access = row.access
    line = f"{code(access.profile)} · {mention(access.grantee)} · {access.phase} until {moment(access.until)}"
    buttons = access_buttons(access, may_extend=True) if row.may_end else []
    return [mrkdwn(f"{line} · {code(access.source_id)}"), *buttons]
