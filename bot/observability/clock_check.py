"""Whether this machine's clock agrees with Slack's, by the Date header of the answers that come anyway.

Invariant: how long an answer took never makes a right clock look wrong: what counts is by how much the clock is off at
least. One odd answer changes nothing.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from statistics import median
from typing import Final

from core.clock import Clock, SystemClock, require_utc

MAX_OFFSET: Final = timedelta(seconds=5)
SAMPLES: Final = 5
MIN_SAMPLES: Final = 3
_RESOLUTION: Final = timedelta(seconds=1)
"""A Date header has whole seconds: it was sent up to a second later than it says."""
_log = logging.getLogger("countersign.clock")


class ComparedClock:
    """A clock that knows whether it is off. Thread-safe."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._offsets: deque[float] = deque(maxlen=SAMPLES)
        self._is_off = False

    def now(self) -> datetime:
        """The machine's time, aware and in UTC, even if it is off."""
        return self._clock.now()

    @property
    def is_off(self) -> bool:
        """Whether the clock is more than 5 seconds ahead or behind, by most of the last answers."""
        return self._is_off

    @property
    def is_known(self) -> bool:
        """Whether there were enough answers to tell."""
        return len(self._offsets) >= MIN_SAMPLES

    @property
    def offset_seconds(self) -> float:
        """By how many seconds the clock is ahead at least; negative if it is behind. 0 before the first answer."""
        with self._lock:
            return median(self._offsets) if self._offsets else 0.0

    def compare(self, date: str | None, sent_at: datetime) -> None:
        """Note the Date header of an answer to what was sent at this moment. A header that can't be read is ignored."""
        try:
            theirs = require_utc(parsedate_to_datetime(date or ""))
        except (ValueError, TypeError, OverflowError):
            return
        offset = _offset(sent_at, self.now(), theirs).total_seconds()
        with self._lock:
            self._offsets.append(offset)
            middle = median(self._offsets)
            was_off, self._is_off = self._is_off, self.is_known and abs(middle) > MAX_OFFSET.total_seconds()
            has_changed = was_off is not self._is_off
        if has_changed and self._is_off:
            way = "ahead of" if middle > 0 else "behind"
            _log.error(
                "this machine's clock is %d s %s Slack's. Until it is right, this instance expires nothing and reminds "
                "nobody. Synchronize the clock with NTP",
                abs(middle),
                way,
            )
        elif has_changed:
            _log.info("this machine's clock agrees with Slack's again")


def _offset(sent_at: datetime, received_at: datetime, theirs: datetime) -> timedelta:
    """How far the clock is off at least; nothing if it may be right."""
    if sent_at > theirs + _RESOLUTION:
        return sent_at - theirs - _RESOLUTION
    return min(received_at - theirs, timedelta())
