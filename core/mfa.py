"""MFA: a code works once, and after five wrong codes the person is locked out for a while.

Invariant: a ledger of the person, with a version of its own, holds which codes were used and how many were wrong. It is
written together with the event that a correct code opens. For a wrong code it is written alone, before anybody learns
that the code was wrong. So five guesses count as five, and one code opens one event, no matter how many attempts run at
once on how many instances.
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
"""The name of the lock in LimitReached."""
FIELD: Final = "code"
"""The name of the code field in a form and in its errors."""
_KEPT: Final = timedelta(days=1)
"""Much longer than a code is valid or a lock lasts."""


class MfaVerifier(Protocol):
    """Knows people's codes."""

    @property
    def method(self) -> str:
        """How the invoker was verified, as the event records it, such as `totp`."""
        ...

    def find_step(self, person: UserId, code: str, now: datetime) -> int | None:
        """The time step, among those valid now, for which this is the person's code; None for a wrong code.

        Compared in constant time. Raises InvalidInput for text that can't be a code, NotAllowed for somebody who isn't
        enrolled in MFA, StoreUnavailable and StoreMisconfigured when their secret cannot be read.
        """
        ...


class CodeLedger(Ledger):
    """One person's recent codes: the time step of the last correct one, and the times of the wrong ones after it."""

    last_step: int | None = None
    wrong_at: tuple[UtcTime, ...] = ()

    @classmethod
    def of(cls, person: UserId) -> Self:
        """A person's ledger, still empty."""
        return cls(owner=f"{CODES_LEDGER}#{person}")

    @property
    def tries_left(self) -> int:
        """How many more wrong codes are possible before the lock."""
        return max(0, MAX_WRONG_CODES - len(self.wrong_at))

    def kept_until(self) -> datetime:
        """When it no longer differs from an empty ledger."""
        return (self.updated_at or datetime.min.replace(tzinfo=UTC)) + _KEPT

    def refuse_locked(self, now: datetime) -> None:
        """Raises LimitReached, with the end of the lock, after five wrong codes."""
        if len(self.wrong_at) >= MAX_WRONG_CODES and now < self.wrong_at[-1] + LOCK:
            limit = f"{MAX_WRONG_CODES} in {format_duration(LOCK)}"
            raise LimitReached(LIMIT, limit, self.wrong_at[-1] + LOCK)

    def accept(self, step: int) -> Self:
        """The ledger after a correct code. Raises CodeRefused when this one, or a later one, was used already."""
        if self.last_step is not None and step <= self.last_step:
            raise CodeRefused("used", self.tries_left)
        return self.model_copy(update={"last_step": step, "wrong_at": ()})

    def count_wrong(self, now: datetime) -> Self:
        """The ledger after a wrong code."""
        return self.model_copy(update={"wrong_at": (*self._wrong_lately(now), now)})

    def _wrong_lately(self, now: datetime) -> tuple[datetime, ...]:
        # The five wrong codes that caused the lock expire together with it, because the newest of them is as old as the
        # lock.
        return tuple(at for at in self.wrong_at if at > now - LOCK)
