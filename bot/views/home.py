"""The Home tab: a person's requests, what is waiting for them, active break-glass events, and their devices.

Invariant: it shows what the store said when it was drawn; its buttons carry ids, and each click is judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.slack.app_surface import ACCESS
from bot.views.block_kit import Block, Message, actions, button, code, context, divider, heading, moment

ASK: Final = "home:ask"
BREAK: Final = "home:break"
MAX_ROWS: Final = 3
"""In each section; four blocks each, so that six sections and an outcome stay below Slack's hundred for a view."""


@dataclass(frozen=True, slots=True)
class HomeSection:
    """One part of the tab: its rows as blocks. `more` is what to type for the rest."""

    title: str
    rows: Sequence[Sequence[Block]]
    nothing: str
    more: str | None = None


def home_tab(
    sections: Sequence[HomeSection], now: datetime, *, may_break: bool = False, outcome: Message | None = None
) -> Block:
    """The tab as a view. `may_break`: this person can break the glass for something; `outcome`: of their last click."""
    blocks: list[Block] = [*(outcome.blocks if outcome is not None else ())]
    if outcome is not None:
        blocks.append(divider())
    buttons = [button("Request access", ASK, "form", style="primary")]
    buttons += [button("Break the glass…", BREAK, "form", style="danger")] if may_break else []
    blocks.append(actions("home", *buttons))
    for section in sections:
        blocks.append(heading(section.title))
        if not section.rows:
            blocks.append(context(section.nothing))
        for number, row in enumerate(section.rows[:MAX_ROWS]):
            blocks += [divider()] if number else []
            blocks += _in_section(row, section.title)
        if section.more is not None:
            blocks.append(context(f"To see all of them: {code(section.more)}"))
    blocks.append(context(f"As of {moment(now)} · {code(f'{ACCESS} help')} lists what you can type"))
    return {"type": "home", "blocks": blocks}


def _in_section(row: Sequence[Block], title: str) -> list[Block]:
    # A request can be in two sections, and a view takes each block_id once.
    return [block | {"block_id": f"{block['block_id']}:{title}"} if "block_id" in block else block for block in row]


def home_notice(message: Message) -> Block:
    """The tab of a person to whom nothing can be shown, with the reason."""
    return {"type": "home", "blocks": list(message.blocks)}
