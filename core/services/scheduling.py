"""Access that starts later: which starts can be asked for at all, whatever the policy says.

Invariant: a start that has passed, or that comes before anybody could decide, is refused with a sentence that says so,
and nothing is written.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core.clock import format_time
from core.duration import format_duration
from core.errors import InvalidInput
from core.request_bounds import MAX_STARTS_WITHIN, MIN_LEAD
from core.written_time import STARTS_AT

_FROM_NOW: Final = "Choose a later one, or leave it out: then the access opens as soon as it is approved."


def find_start_mistake(starts_at: datetime | None, now: datetime) -> InvalidInput | None:
    """Why no access can start then: it has passed, is too near, or too far ahead. None for a good start, or none."""
    if starts_at is None or now + MIN_LEAD <= starts_at <= now + MAX_STARTS_WITHIN:
        return None
    when = format_time(starts_at)[:16].replace("T", " ") + " UTC"
    if starts_at <= now:
        return InvalidInput(STARTS_AT, f"{when} has passed", _FROM_NOW)
    if starts_at < now + MIN_LEAD:
        return InvalidInput(STARTS_AT, f"{when} is less than {format_duration(MIN_LEAD)} away", _FROM_NOW)
    return InvalidInput(
        STARTS_AT, f"{when} is too far ahead", f"Choose one within {format_duration(MAX_STARTS_WITHIN)}."
    )
