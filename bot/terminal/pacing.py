"""How long to pause before a call is repeated.

Invariant: the pause grows with each failure up to a bound, and is never shorter than what the server asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

FIRST_PAUSE_SECONDS: Final = 1.0
MAX_PAUSE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class PassageOfTime:
    """The machine's passing of time: seconds that only go forward, and a pause. Tests give their own."""

    seconds: Callable[[], float] = field(default=time.monotonic)
    pause: Callable[[float], None] = field(default=time.sleep)


class Backoff:
    """The pauses of one row of failures."""

    def __init__(self, timing: PassageOfTime) -> None:
        self._timing = timing
        self._next = FIRST_PAUSE_SECONDS

    def pause(self, retry_after: float | None, at_most: float = MAX_PAUSE_SECONDS) -> None:
        """Pause before the next try: as long as the server asks, at least the growing pause, at most `at_most`."""
        wanted = max(self._next, retry_after or 0.0)
        self._next = min(self._next * 2, MAX_PAUSE_SECONDS)
        self._timing.pause(min(wanted, max(at_most, 0.0)))

    def reset(self) -> None:
        """The last call worked."""
        self._next = FIRST_PAUSE_SECONDS
