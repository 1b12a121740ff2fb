"""The ticket of a request: its field in the form, and how a card shows it.

Invariant: a ticket is a link only where the policy says that it can be read, and always shown by its own name. One that
couldn't be checked says so, above the buttons.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bot.views.block_kit import Block, code, escape, mrkdwn
from bot.views.inputs import field, text_box
from bot.views.links import card_link
from core.policy.ticket_rules import TICKET
from core.request import Request
from core.tickets.base import MAX_TICKET_LENGTH

__all__ = ["TICKET", "ticket_blocks", "ticket_field"]

_MAX_TYPED: Final = 500
"""More than a ticket: people paste addresses."""


def ticket_field(examples: Iterable[str], begun: str) -> list[Block]:
    """The field, where a chosen profile asks for a ticket; `examples` show what is meant."""
    wanted = tuple(dict.fromkeys(examples))
    if not wanted and not begun:
        return []
    box = text_box((1, _MAX_TYPED), typed=begun[:_MAX_TYPED], example=wanted[0] if wanted else "", is_long=False)
    hint = "Left empty, the one that your reason names counts." if wanted else "No profile that you chose asks for one."
    return [field(TICKET, "Ticket", box, hint=hint, is_optional=True)]


def ticket_blocks(request: Request, url: str | None = None, *, is_open: bool = False) -> list[Block]:
    """The ticket, and that it couldn't be checked; nothing for a request without one."""
    ticket = request.ticket
    if ticket is None:
        return []
    shown = card_link(url, escape(ticket[:MAX_TICKET_LENGTH])) or code(ticket)
    if request.ticket_problem is None:
        return [mrkdwn(f"Ticket: {shown}")]
    then = " Look at it before you approve." if is_open else ""
    warning = f":warning: *This ticket couldn't be checked*: {escape(request.ticket_problem.rstrip('.'))}.{then}"
    return [mrkdwn(f"Ticket: {shown}\n{warning}")]
