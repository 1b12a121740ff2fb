"""A token bucket: how many calls this process may make to a target that limits its callers.

Invariant: over any time, at most `burst` calls plus `calls_per_second` for each second of it were allowed. A caller
waits for a short time at most; who would wait longer is told how long, and keeps no thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

CALLS_PER_SECOND: Final = 5.0
"""A quarter of what Identity Center allows an instance, whose limit is shared with the console and Terraform."""
BURST: Final = 5
MAX_WAIT_SECONDS: Final = 2.0


@dataclass(eq=False)
class CallPace:
    """One bucket, shared by all callers of a process. `sleep` and `elapsed` are the machine's, but in tests."""

    calls_per_second: float = CALLS_PER_SECOND
    burst: int = BURST
    max_wait_seconds: float = MAX_WAIT_SECONDS
    sleep: Callable[[float], object] = time.sleep
    elapsed: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _free_at: float | None = field(default=None, init=False, repr=False)

    def wait(self) -> float | None:
        """Wait until one more call may be made: None. Or, if that takes too long, the seconds until then, at once."""
        with self._lock:
            now = self.elapsed()
            # The virtual schedule of the calls: each takes its share of a second, and `burst` of them may be early.
            share = 1 / self.calls_per_second
            free_at = max(self._free_at if self._free_at is not None else now, now)
            pause = max(0.0, free_at - (self.burst - 1) * share - now)
            if pause > self.max_wait_seconds:
                return pause
            self._free_at = free_at + share
        if pause:
            self.sleep(pause)
        return None
