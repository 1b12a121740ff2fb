"""Answers to `/breakglass close` where no single event is meant.

Invariant: nothing was closed; each line that is offered closes one event, with the words that were typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.slack.app_surface import BREAK_GLASS
from bot.views.block_kit import Message, code, code_line, countdown, mrkdwn
from bot.views.replies import reply
from core.break_glass import BreakGlassEvent

_MAX_SHOWN: Final = 10
_REASON: Final = "it works again"


def which_to_close(events: Sequence[BreakGlassEvent], reason: str) -> Message:
    """Several own events are live: a line for each, to copy."""
    line = "You have several live break-glass events. Nothing was changed. Send the line of the one to close:"
    rows = [
        mrkdwn(
            f"{code(event.profile)}, ends {countdown(event.expires_at)}:\n"
            f"{code_line(BREAK_GLASS, 'close', event.id, reason or _REASON)}"
        )
        for event in events[:_MAX_SHOWN]
    ]
    return Message(text=line, blocks=(mrkdwn(line), *rows))


def nothing_to_close(profile: str | None) -> Message:
    """The person has no live event, or none for this profile."""
    which = f" for {code(profile)}" if profile is not None else ""
    return reply(
        f"You have no live break-glass event{which}. Nothing was changed. To close somebody else's, press Close on its "
        f"card, or find it here:\n{code_line(BREAK_GLASS, 'active')}"
    )
