"""The credentials that were issued for access, as its row in a list shows them: on which device, how often, and when.

Invariant: one line of small print for each row, whatever the number of devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.views.block_kit import Block, context, relative_time
from bot.views.devices.facts import host
from core.access.session import Session, SessionStatus

MAX_SHOWN: Final = 3


def session_blocks(sessions: Sequence[Session], now: datetime) -> list[Block]:
    """The sessions of one access, the latest used first; nothing where no credentials were issued."""
    latest = sorted(sessions, key=lambda each: each.last_used_at, reverse=True)
    lines = [_line(each, now) for each in latest[:MAX_SHOWN]]
    if len(latest) > MAX_SHOWN:
        lines.append(f"and on {len(latest) - MAX_SHOWN} more")
    return [context(f":key: {' · '.join(lines)}")] if lines else []


def _line(session: Session, now: datetime) -> str:
    times = "once" if session.issue_count == 1 else f"{session.issue_count} times"
    over = " (ended)" if session.status is not SessionStatus.ACTIVE else ""
    used = relative_time(session.last_used_at, now)
    return f"{host(session.device_name)}{over}: credentials issued {times}, last {used}"
