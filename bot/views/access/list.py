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

from bot.slack.app_surface import ACCESS
from bot.views.access.buttons import access_buttons
from bot.views.access.sessions import session_blocks
from bot.views.access.state import state_line
from bot.views.acting import acting
from bot.views.block_kit import Block, Message, code, context, divider, mention, mrkdwn
from bot.views.pagination import PageButton, in_list, page_buttons
from core.access.session import Session
from core.access.summary import AccessSummary

OLDER: Final = "access_list:next"
NEWER: Final = "access_list:previous"


class AccessListKind(StrEnum):
    """The lists, by the word that is typed for them."""

    LIVE = "live"

    @property
    def heading(self) -> str:
        """What the list is called."""
        return "Live access"


@dataclass(frozen=True, slots=True)
class AccessRow:
    """One access, and what its reader can do with it as far as is known now. `may_end`: it is the reader's own.

    `sessions` are those of its credentials.
    """

    access: AccessSummary
    may_end: bool = False
    may_revoke: bool = False
    sessions: Sequence[Session] = ()


def access_list_page(
    kind: AccessListKind, rows: Sequence[AccessRow], *, page: int, has_more: bool, now: datetime
) -> Message:
    """One page of the list, with the buttons that can still work."""
    blocks: list[Block] = [mrkdwn(f"*{kind.heading}*")]
    if not rows:
        blocks.append(
            mrkdwn("There is no live access that you can see." if page == 1 else "There's nothing left on this page.")
        )
    for row in rows:
        blocks += [divider(), *access_row(row, now)]
    blocks += page_buttons(kind, page, has_more=has_more, back=PageButton("Back", NEWER), on=PageButton("More", OLDER))
    count = f"{len(rows)} on page {page}" if rows else "none"
    return Message(text=f"{kind.heading}: {count}", blocks=in_list(blocks, kind, page))


def access_row(row: AccessRow, now: datetime) -> list[Block]:
    """One access as one to four blocks, for this list and for the Home tab: who has what, until when, and why."""
    access = row.access
    who = f"{code(access.profile)} · {acting(access.grantee, access.service)}"
    emergency = " · :rotating_light: break-glass" if access.is_emergency else ""
    decided = "" if access.is_emergency else f" · decided by {mention(access.decided_by)}"
    line = f"{who}{emergency}\n{state_line(access, now)}{decided} · {code(access.source_id)}"
    buttons = access_buttons(access, may_extend=True) if row.may_end else []
    # Revoking takes a reason, so it is typed.
    is_anothers = row.may_revoke and not row.may_end and access.may_end
    hint = f"To revoke it:\n{code(f'{ACCESS} revoke {access.source_id} <why>')}"
    small = [*session_blocks(row.sessions, now), *([context(hint)] if is_anothers else [])]
    return [mrkdwn(line), *small, *buttons]
