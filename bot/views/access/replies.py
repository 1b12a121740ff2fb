"""Replies to one person about access: what ending it did, and why nothing was done.

Invariant: nothing here says that access is gone unless the target said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.views.access.rights import target_names
from bot.views.access.state import access_after
from bot.views.acting import your_access
from bot.views.block_kit import Message, code, mention, moment
from bot.views.replies import reply
from core.access.grant_status import AccessPhase
from core.access.summary import AccessSummary

MAX_NAMED: Final = 10


def access_ended(access: AccessSummary) -> Message:
    """What "I'm done" did."""
    if access.is_cancelled:
        return reply(f"{your_access(access)}, which was to open {moment(access.starts_at)}, is cancelled.")
    return reply(f"{your_access(access)} ends now. {_removal(access)}")


def access_revoked(ended: Sequence[AccessSummary], person: str) -> Message:
    """What revoking did: one access, or several of one person."""
    if not ended:
        return nothing_to_revoke(person)
    profiles = ", ".join(dict.fromkeys(code(each.profile) for each in ended[:MAX_NAMED]))
    more = f" and {len(ended) - MAX_NAMED} more" if len(ended) > MAX_NAMED else ""
    if len(ended) == 1 and ended[0].is_cancelled:
        return reply(f"{mention(person)}'s access to {profiles} is cancelled before it opens. They'll be notified.")
    removal = _removal(ended[0]) if len(ended) == 1 else "It's being removed; the cards say when it's gone."
    return reply(f"{mention(person)}'s access to {profiles}{more} ends now. {removal} They'll be notified.")


def nothing_to_end() -> Message:
    """The reader has no access that could be ended."""
    return reply("You have no access that can be ended. Nothing was changed.")


def nothing_to_revoke(person: str) -> Message:
    """That person has no access that could be ended."""
    return reply(f"{mention(person)} has no access that can be ended. Nothing was changed.")


def cannot_extend(access: AccessSummary | None) -> Message:
    """There is nothing to extend: the access is over, or there is none, or it is break-glass access."""
    if access is not None and access.is_emergency:
        return reply("Break-glass access can't be extended. Nothing was changed.")
    if access is not None and access.phase is AccessPhase.SCHEDULED:
        line = f"This access opens {moment(access.starts_at)}, so it can't be extended yet. Nothing was changed."
        return reply(f"{line} To have it for longer, cancel it and request it again.")
    return reply("This access is over, so it can't be extended. Nothing was changed.")


def _removal(access: AccessSummary) -> str:
    if access.is_live:
        return f"It's being removed from {target_names(access.rights)}; the card says when it's gone."
    return access_after(access)
