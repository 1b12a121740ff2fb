"""Slack's rate limits: how often a method may be called, by the whole app or for each channel.

Invariant: in any window, a method passes at most as often as its tier allows. A refusal gives the whole seconds after
which the next call will pass.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from localslack.clock import Clock


@dataclass(frozen=True, slots=True)
class RateLimitTier:
    """At most this many calls in this many seconds."""

    calls: int
    seconds: int


# https://docs.slack.dev/apis/web-api/rate-limits: "20+ per minute" and so on; an app can't rely on the plus.
TIER_1 = RateLimitTier(1, 60)
TIER_2 = RateLimitTier(20, 60)
TIER_3 = RateLimitTier(50, 60)
TIER_4 = RateLimitTier(100, 60)
POSTING = RateLimitTier(3, 3)
"""chat.postMessage: about one a second in a channel, with short bursts. Slack doesn't publish their size; 3 here."""
FREE = RateLimitTier(1_000, 1)
"""auth.test and api.test: hundreds a minute pass."""


class RateLimits:
    """Counts the calls. Off by default: under a test clock that stands still, a used-up limit would never recover."""

    def __init__(self, clock: Clock, *, is_on: bool = False) -> None:
        self.is_on = is_on
        self._clock = clock
        self._passed: dict[tuple[str, str], deque[datetime]] = {}

    def seconds_to_wait(self, method: str, tier: RateLimitTier, channel: str = "") -> int:
        """0 if the call may pass, which counts it; otherwise Retry-After. Hold the journal's lock."""
        if not self.is_on:
            return 0
        now, window = self._clock.now(), timedelta(seconds=tier.seconds)
        passed = self._passed.setdefault((method, channel), deque())
        while passed and now - passed[0] >= window:
            passed.popleft()
        if len(passed) < tier.calls:
            passed.append(now)
            return 0
        return max(1, math.ceil((passed[0] + window - now).total_seconds()))
