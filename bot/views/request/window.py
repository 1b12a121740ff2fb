"""When access starts that was asked for later, and its window once it was approved, in the words of cards and lists.

Invariant: access from now on reads as it always did; what starts later says so wherever its length or its end is said.
"""

from __future__ import annotations

from bot.views.block_kit import moment
from core.request import Request


def starting(request: Request) -> str:
    """When it is to start, with a space before; nothing for access from now on."""
    return f" from {moment(request.starts_at)}" if request.starts_at is not None else ""


def window(request: Request) -> str:
    """The window of approved access: until when, and from when if it was asked for later."""
    until = f"until {moment(request.life_ends_at())}"
    if request.starts_at is None or request.access_opens_at is None:
        return until
    return f"from {moment(request.access_opens_at)} {until}"


def needed_by(request: Request) -> str:
    """By when it has to be decided, and that this is when it starts."""
    by = f"by {moment(request.expires_at)}"
    return f"{by}, when it starts" if request.starts_at is not None else by
