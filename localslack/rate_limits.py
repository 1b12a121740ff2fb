"""Slack's rate limits: how often each method may be called, for the whole app or for each channel.

Invariant: within any window a method is let through at most as often as its tier allows, and a refusal names the
whole seconds after which the next call will pass.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock


@dataclass(frozen=True, slots=True)
class Pace:
    """So many calls in so many seconds."""

    calls: int
    seconds: int


# https://docs.slack.dev/apis/web-api/rate-limits: "20+ per minute" and so on; the plus is not to be relied on.
TIER_1 = Pace(1, 60)
TIER_2 = Pace(20, 60)
TIER_3 = Pace(50, 60)
TIER_4 = Pace(100, 60)
POSTING = Pace(3, 3)
"""chat.postMessage: about one a second in a channel, with short bursts. Slack publishes no burst; three stand in."""
FREE = Pace(1_000, 1)
"""auth.test and the like: hundreds a minute pass."""


class RateLimits:
    """Counts the calls. Off unless asked for, since under a clock that stands still no allowance ever returns."""

    def __init__(self, clock: Clock, *, is_on: bool = False) -> None:
        self.is_on = is_on
        self._clock = clock
        self._passed: dict[tuple[str, str], deque[datetime]] = {}

    def seconds_to_wait(self, method: str, pace: Pace, channel: str = "") -> int:
        """0 lets the call pass and counts it; otherwise Retry-After. Call it under the journal's lock."""
        if not self.is_on:
            return 0
        now, window = self._clock.now(), timedelta(seconds=pace.seconds)
        passed = self._passed.setdefault((method, channel), deque())
        while passed and now - passed[0] >= window:
            passed.popleft()
        if len(passed) < pace.calls:
            passed.append(now)
            return 0
        return max(1, math.ceil((passed[0] + window - now).total_seconds()))
