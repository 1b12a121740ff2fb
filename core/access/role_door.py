"""A role door: a target's own memory of one right, whether the broker may issue credentials for it.

Invariant: what is open is never forgotten before it is shut. A step that is older than one that the door has seen
changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Self

from pydantic import Field, field_validator

from core.access.holding import DORMANT_FOR
from core.access.right import Right, parse_right_key, right_key
from core.clock import UtcTime
from core.ledger import Ledger
from core.record import RecordId

DOOR_LEDGER: Final = "DOOR"
_KEPT_WHILE_OPEN: Final = timedelta(days=3650)


class RoleDoor(Ledger):
    """The door of one right. `generation` is the last step that it has seen, for `grant`, and `moved_at` when."""

    is_open: bool = False
    generation: int = Field(default=0, ge=0)
    grant: RecordId | None = None
    moved_at: UtcTime | None = None

    @field_validator("owner")
    @classmethod
    def _is_key(cls, owner: str) -> str:
        kind, _, key = owner.partition("#")
        if kind != DOOR_LEDGER:
            raise ValueError("a door belongs to a right")
        return f"{DOOR_LEDGER}#{right_key(parse_right_key(key))}"

    @classmethod
    def shut_for(cls, right: Right) -> Self:
        """The door of a right before anything is known of it."""
        return cls(owner=f"{DOOR_LEDGER}#{right_key(right)}")

    @property
    def right(self) -> Right:
        """The right."""
        return parse_right_key(self.owner.partition("#")[2])

    def has_seen_newer(self, generation: int, now: datetime) -> bool:
        """True when this step comes too late: a newer one was here. A shut door forgets that, as the holding does."""
        is_forgotten = not self.is_open and now >= self.kept_until()
        return not is_forgotten and generation < self.generation

    def open(self, grant: str, generation: int, now: datetime) -> Self:
        """Open from now on. Raises ValueError for an older step."""
        return self._move(grant, generation, now, is_open=True)

    def shut(self, grant: str, generation: int, now: datetime) -> Self:
        """Shut from now on. Raises ValueError for an older step."""
        return self._move(grant, generation, now, is_open=False)

    def kept_until(self) -> datetime:
        """As long as the holding of its right is kept, at most; while it is open, much longer than any access."""
        return (self.moved_at or _LONG_AGO) + (_KEPT_WHILE_OPEN if self.is_open else DORMANT_FOR)

    def _move(self, grant: str, generation: int, now: datetime, *, is_open: bool) -> Self:
        if self.has_seen_newer(generation, now):
            raise ValueError(f"step {generation} is older than {self.generation}")
        return self.model_copy(update={"is_open": is_open, "generation": generation, "grant": grant, "moved_at": now})


_LONG_AGO: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
