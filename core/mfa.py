"""The second factor: one code works once, and after five wrong codes nobody may try for a while.

Invariant: which codes were used, and how many were wrong, stands in a ledger of the person that moves under its own
version: with the event that a right code opens, or alone for a wrong one, and then before anybody hears that it was
wrong. So however many try at once, on however many instances, five guesses are five, and one code opens one event.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, Self

from core.actor import UserId
from core.clock import UtcTime
from core.duration import format_duration
from core.errors import CodeRefused, LimitReached
from core.ledger import Ledger

MAX_WRONG_CODES: Final = 5
LOCK: Final = timedelta(minutes=15)
"""Five guesses at a million codes, of which three are right at any time, every 15 minutes: one chance in 690 a day."""
CODES_LEDGER: Final = "CODES"
LIMIT: Final = "wrong codes"
"""How LimitReached calls the lock."""
FIELD: Final = "code"
"""How a form, and an error about it, calls the code."""
_KEPT: Final = timedelta(days=1)
"""Far longer than a code is valid and than a lock lasts."""


class MfaVerifier(Protocol):
    """Knows people's codes."""

    @property
    def method(self) -> str:
        """What an event says of how its invoker was verified, such as `totp`."""
        ...

    def find_step(self, person: UserId, code: str, now: datetime) -> int | None:
        """The number of the time step whose code of this person this is, of those that are valid now; None: wrong.

        Compared in constant time. Raises InvalidInput for what cannot be a code, NotAllowed for somebody who has no
        second factor, StoreUnavailable and StoreMisconfigured when their secret cannot be read.
        """
        ...


class CodeLedger(Ledger):
    """What one person did with codes lately: the step of the last right one, and when wrong ones followed it."""

    last_step: int | None = None
    wrong_at: tuple[UtcTime, ...] = ()

    @classmethod
    def of(cls, person: UserId) -> Self:
        """A person's ledger, still empty."""
        return cls(owner=f"{CODES_LEDGER}#{person}")

    @property
    def tries_left(self) -> int:
        """How many more codes may be wrong before the lock."""
        return max(0, MAX_WRONG_CODES - len(self.wrong_at))

    def kept_until(self) -> datetime:
        """When it is as good as an empty one."""
        return (self.updated_at or datetime.min.replace(tzinfo=UTC)) + _KEPT

    def refuse_locked(self, now: datetime) -> None:
        """Raises LimitReached, which says until when, after five wrong codes."""
        if len(self.wrong_at) >= MAX_WRONG_CODES and now < self.wrong_at[-1] + LOCK:
            limit = f"{MAX_WRONG_CODES} in {format_duration(LOCK)}"
            raise LimitReached(LIMIT, limit, self.wrong_at[-1] + LOCK)

    def accept(self, step: int) -> Self:
        """The ledger after a right code. Raises CodeRefused when this one, or a later one, was used already."""
        if self.last_step is not None and step <= self.last_step:
            raise CodeRefused("used", self.tries_left)
        return self.model_copy(update={"last_step": step, "wrong_at": ()})

    def count_wrong(self, now: datetime) -> Self:
        """The ledger after a wrong code."""
        return self.model_copy(update={"wrong_at": (*self._wrong_lately(now), now)})

    def _wrong_lately(self, now: datetime) -> tuple[datetime, ...]:
        # The five that locked leave together when the lock ends, because the newest of them is as old as the lock.
        return tuple(at for at in self.wrong_at if at > now - LOCK)
