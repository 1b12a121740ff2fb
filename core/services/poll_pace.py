"""How often a machine may ask whether its pairing was confirmed.

Invariant: in memory, of this process alone, and bounded: a poll costs no write, and a flood of other codes can do no
more than make it forget.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from core.access.pairing import INTERVAL
from core.clock import Clock

MAX_REMEMBERED: Final = 1000
TOLERANCE: Final = timedelta(seconds=1)
"""A request that took long may be followed sooner by the next one."""


class PollPace:
    """Remembers when each code was asked for last. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._asked: OrderedDict[str, datetime] = OrderedDict()

    def may_ask(self, code: str) -> bool:
        """False when the last question that was answered is too short ago."""
        now = self._clock.now()
        with self._lock:
            last = self._asked.get(code)
            # A clock that was set back holds nobody up.
            if last is not None and last <= now < last + INTERVAL - TOLERANCE:
                return False
            self._asked[code] = now
            self._asked.move_to_end(code)
            while len(self._asked) > MAX_REMEMBERED:
                self._asked.popitem(last=False)
            return True
