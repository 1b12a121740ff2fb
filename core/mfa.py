"""MFA: a code works once; five wrong codes lock the person out for a while, twenty until an operator unlocks them.

Invariant: a ledger of the person, with a version of its own, holds which codes were used and how many were wrong. It is
written together with the event that a correct code opens. For a wrong code it is written alone, before anybody learns
that the code was wrong. So five guesses count as five, and one code opens one event, no matter how many attempts run at
once on how many instances. A correct code ends a row of wrong ones; it doesn't make the week's wrong ones forgotten.
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
"""The first lock within the window. Each further one is twice as long."""
MAX_WRONG_IN_WINDOW: Final = 20
WINDOW: Final = timedelta(days=7)
"""Twenty guesses at a million codes, of which three are right at any time: one chance in 16,000 before it blocks."""
CODES_LEDGER: Final = "CODES"
LIMIT: Final = "wrong codes"
"""The name of the lock in LimitReached."""
FIELD: Final = "code"
"""The name of the code field in a form and in its errors."""
_KEPT: Final = WINDOW + timedelta(days=1)
_KEPT_WHILE_BLOCKED: Final = timedelta(days=3650)
"""A block doesn't end because a ledger was tidied away."""


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
    """One person's recent codes: the time step of the last correct one, and the times of the wrong ones after it.

    `wrong_in_window` are the times of all wrong ones within the window, and `locks` when each lock began.
    """

    last_step: int | None = None
    wrong_at: tuple[UtcTime, ...] = ()
    wrong_in_window: tuple[UtcTime, ...] = ()
    locks: tuple[UtcTime, ...] = ()

    @classmethod
    def of(cls, person: UserId) -> Self:
        """A person's ledger, still empty."""
        return cls(owner=f"{CODES_LEDGER}#{person}")

    @property
    def tries_left(self) -> int:
        """How many more wrong codes are possible before the lock."""
        left = min(MAX_WRONG_CODES - len(self.wrong_at), MAX_WRONG_IN_WINDOW - len(self.wrong_in_window))
        return max(0, left)

    @property
    def is_blocked(self) -> bool:
        """True when only an operator can let the person try again."""
        return len(self.wrong_in_window) >= MAX_WRONG_IN_WINDOW

    def kept_until(self) -> datetime:
        """When it no longer differs from an empty ledger."""
        kept = _KEPT_WHILE_BLOCKED if self.is_blocked else _KEPT
        return (self.updated_at or datetime.min.replace(tzinfo=UTC)) + kept

    def refuse_locked(self, now: datetime) -> None:
        """Raises LimitReached, with the end of the lock, after five wrong codes; CodeRefused while blocked."""
        if self.is_blocked:
            raise CodeRefused("blocked", 0)
        ends_at = self._lock_ends_at()
        if ends_at is not None and now < ends_at:
            raise LimitReached(LIMIT, f"{MAX_WRONG_CODES} in {format_duration(LOCK)}", ends_at)

    def accept(self, step: int) -> Self:
        """The ledger after a correct code. Raises CodeRefused when this one, or a later one, was used already."""
        if self.last_step is not None and step <= self.last_step:
            raise CodeRefused("used", self.tries_left)
        return self.model_copy(update={"last_step": step, "wrong_at": ()})

    def count_wrong(self, now: datetime) -> Self:
        """The ledger after a wrong code."""
        wrong = (*self._wrong_lately(now), now)
        in_window = (*self._within_window(self.wrong_in_window, now), now)[-MAX_WRONG_IN_WINDOW:]
        locks = self._within_window(self.locks, now)
        if len(wrong) >= MAX_WRONG_CODES:
            locks = (*locks, now)
        return self.model_copy(update={"wrong_at": wrong, "wrong_in_window": in_window, "locks": locks})

    def unlock(self) -> Self:
        """The ledger after an operator unlocked the person. A code that was used stays used."""
        return self.model_copy(update={"wrong_at": (), "wrong_in_window": (), "locks": ()})

    def _lock_ends_at(self) -> datetime | None:
        if self.locks:
            return self.locks[-1] + LOCK * (1 << len(self.locks) - 1)
        # An older version wrote no locks.
        return self.wrong_at[-1] + LOCK if len(self.wrong_at) >= MAX_WRONG_CODES else None

    @staticmethod
    def _within_window(times: tuple[datetime, ...], now: datetime) -> tuple[datetime, ...]:
        return tuple(at for at in times if at > now - WINDOW)

    def _wrong_lately(self, now: datetime) -> tuple[datetime, ...]:
        # The five wrong codes that caused the lock expire together with it, because the newest of them is as old as the
        # lock.
        return tuple(at for at in self.wrong_at if at > now - LOCK)
