"""How many calls one device or one address may make: token buckets.

Invariant: a bucket never holds more than its burst. There are never more buckets than the bound: the one that was used
longest ago makes room, which gives back a few calls and takes none away. Used on the server's own thread only.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bot.api.refusals import ApiRefusal, rate_limited

MAX_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls at once, and so many a second from then on."""

    burst: int
    per_second: float


@dataclass(frozen=True, slots=True)
class CallRates:
    """The limits of one server. `failures` are calls of one address with a token that isn't valid.

    `waiting_each` is how many long polls of one device may be open.
    """

    device: Rate = Rate(60, 10.0)
    pairing: Rate = Rate(20, 0.5)
    exchange: Rate = Rate(60, 5.0)
    failures: Rate = Rate(20, 0.5)
    unpaired: Rate = Rate(60, 10.0)
    waiting_each: int = 16


class TokenBuckets:
    """A bucket for each key."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic, *, bound: int = MAX_BUCKETS) -> None:
        self._rate = rate
        self._clock = clock
        self._bound = bound
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """How many calls were left, and when that was; the bucket that was used longest ago first."""

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str) -> None:
        """Count one call. Raises ApiRefusal when there is none left."""
        left = self._left(key)
        if left < 1:
            raise ApiRefusal(rate_limited(math.ceil((1 - left) / self._rate.per_second)))
        self._keep(key, left - 1)

    def check(self, key: str) -> None:
        """The same, but counts nothing."""
        if (left := self._left(key)) < 1:
            raise ApiRefusal(rate_limited(math.ceil((1 - left) / self._rate.per_second)))

    def _left(self, key: str) -> float:
        left, at = self._buckets.get(key, (float(self._rate.burst), self._clock()))
        return min(float(self._rate.burst), left + (self._clock() - at) * self._rate.per_second)

    def _keep(self, key: str, left: float) -> None:
        self._buckets[key] = (left, self._clock())
        self._buckets.move_to_end(key)
        while len(self._buckets) > self._bound:
            self._buckets.popitem(last=False)
