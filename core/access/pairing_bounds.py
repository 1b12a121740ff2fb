"""The bounds of pairing: how many pairings may wait at a time, and how many wrong codes a person may type.

Invariant: each bound is a ledger, which moves under its own version with what it counts. A wrong code is counted before
anybody learns that it was wrong, so five guesses count as five, however many are made at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, IPv6Network
from typing import Final, Self

from core.access.pairing import KEPT_FOR, PAIRING_PREFIX, Pairing
from core.actor import UserId
from core.clock import UtcTime
from core.duration import format_duration
from core.errors import LimitReached
from core.ledger import Ledger
from core.stored import StoredModel

MAX_WRONG: Final = 5
LOCK: Final = timedelta(minutes=15)
MAX_OPEN: Final = 200
"""How many pairings may wait at a time: anybody may ask for one, without saying who they are."""
MAX_OPEN_PER_ADDRESS: Final = 50
WRONG_CODES: Final = "wrong pairing codes"
OPEN_PAIRINGS: Final = "open pairings"
_SITE_BITS: Final = 64
NOWHERE: Final = "?"
"""An address that isn't known."""


class OpenPairing(StoredModel):
    """A pairing that waits: where it was asked for, and when it ends."""

    address: str
    ends_at: UtcTime


class OpenPairings(Ledger):
    """The pairings that wait, so that a flood of them ends at a bound."""

    owner: str = f"{PAIRING_PREFIX}open"
    waiting: tuple[OpenPairing, ...] = ()

    def add(self, pairing: Pairing, now: datetime) -> Self:
        """The ledger with one more. Raises LimitReached when as many wait as may, in all or from one address."""
        waiting = tuple(each for each in self.waiting if each.ends_at > now)
        address = _site_of(pairing.address) or NOWHERE
        same = [each for each in waiting if each.address == address]
        _refuse_at(waiting, MAX_OPEN, now)
        _refuse_at(same, MAX_OPEN_PER_ADDRESS, now)
        return self.model_copy(update={"waiting": (*waiting, OpenPairing(address=address, ends_at=pairing.expires_at))})

    def kept_until(self) -> datetime:
        """When none of them can still wait."""
        return max((each.ends_at for each in self.waiting), default=datetime.min.replace(tzinfo=UTC)) + KEPT_FOR


class PairingTries(Ledger):
    """The wrong codes that one person typed lately."""

    wrong_at: tuple[UtcTime, ...] = ()

    @classmethod
    def of(cls, person: UserId) -> Self:
        """A person's ledger, still empty."""
        return cls(owner=f"{PAIRING_PREFIX}tries#{person}")

    def refuse_locked(self, now: datetime) -> None:
        """Raises LimitReached, with the end of the lock, after five wrong codes."""
        wrong = self._lately(now)
        if len(wrong) >= MAX_WRONG:
            raise LimitReached(WRONG_CODES, f"{MAX_WRONG} in {format_duration(LOCK)}", wrong[-1] + LOCK)

    def count_wrong(self, now: datetime) -> Self:
        """The ledger after a wrong code."""
        return self.model_copy(update={"wrong_at": (*self._lately(now), now)})

    def tries_left(self, now: datetime) -> int:
        """How many more wrong codes are possible before the lock."""
        return max(0, MAX_WRONG - len(self._lately(now)))

    def kept_until(self) -> datetime:
        """When it no longer differs from an empty ledger."""
        return max(self.wrong_at, default=datetime.min.replace(tzinfo=UTC)) + KEPT_FOR

    def _lately(self, now: datetime) -> tuple[datetime, ...]:
        return tuple(at for at in self.wrong_at if at > now - LOCK)


def _site_of(address: str) -> str:
    """What counts as one address: one customer of a provider usually has a whole /64 of IPv6."""
    try:
        return str(IPv6Network((IPv6Address(address.partition("%")[0]), _SITE_BITS), strict=False))
    except ValueError:
        return address


def _refuse_at(waiting: Sequence[OpenPairing], most: int, now: datetime) -> None:
    if len(waiting) >= most:
        raise LimitReached(OPEN_PAIRINGS, str(most), min((each.ends_at for each in waiting), default=now))
