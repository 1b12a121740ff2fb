"""When to ask a receiver again: when it says so itself, and when somebody first has to fix something.

Invariant: whatever a Retry-After header says, the pause is between a second and an hour: nobody can put a delivery off
for years.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from core.clock import require_utc

MIN_PAUSE: Final = timedelta(seconds=1)
MAX_PAUSE: Final = timedelta(hours=1)
FIX_PAUSE: Final = timedelta(minutes=10)
"""After what an operator has to fix: soon enough that it resumes on its own then, seldom enough to fill no log."""
_MAX_DIGITS: Final = 9
"""Digits: thirty years in seconds, more than anybody means."""


def read_retry_after(header: str | None, now: datetime | None) -> timedelta | None:
    """How long to wait: seconds, or until an HTTP date (RFC 9110, section 10.2.3); None when neither is there.

    Without `now`, a date is not read.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        seconds = int(text) if len(text) <= _MAX_DIGITS else int("9" * _MAX_DIGITS)
        return min(max(timedelta(seconds=seconds), MIN_PAUSE), MAX_PAUSE)
    if now is None:
        return None
    try:
        moment = require_utc(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        # A date without a zone counts as none: it could mean any hour.
        return None
    return min(max(moment - now, MIN_PAUSE), MAX_PAUSE)
