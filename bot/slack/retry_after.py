"""How long to wait before a retry: what the receiver asks for, or the pause after an error that an operator must fix.

Invariant: whatever a Retry-After header says, the pause is between a second and an hour, so no receiver can delay a
delivery for years.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from core.clock import require_utc

MIN_PAUSE: Final = timedelta(seconds=1)
MAX_PAUSE: Final = timedelta(hours=1)
FIX_PAUSE: Final = timedelta(minutes=10)
"""After an error that an operator must fix: short enough to resume soon after it, long enough not to fill the log."""
_MAX_DIGITS: Final = 9
"""Nine digits of seconds are thirty years, more than any receiver means."""


def read_retry_after(header: str | None, now: datetime | None) -> timedelta | None:
    """How long to wait: seconds, or until an HTTP date (RFC 9110, section 10.2.3); None without a valid header.

    Without `now`, a date is ignored.
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
        # A date without a time zone is ignored: it could mean any hour.
        return None
    return min(max(moment - now, MIN_PAUSE), MAX_PAUSE)
