"""MFA whose codes a test knows in advance.

Invariant: like a real one it gives each person a code of their own for each time step, and one step to either side
counts too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from core.actor import UserId
from core.errors import NotAllowed

STEP_SECONDS: Final = 30


def code_at(person: str, now: datetime, *, steps: int = 0) -> str:
    """The code of this person, now or some steps of time later."""
    return f"{person}/{int(now.timestamp()) // STEP_SECONDS + steps}"


@dataclass
class WrittenCodes:
    """A MfaVerifier of these people, or of everybody. `asked` counts the codes that it looked at."""

    people: frozenset[str] | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def method(self) -> str:
        """As a real one calls itself."""
        return "totp"

    def find_step(self, person: UserId, code: str, now: datetime) -> int | None:
        """The step of a code that is valid now."""
        self.asked.append(code)
        if self.people is not None and person not in self.people:
            raise NotAllowed("break glass", (f"no second factor is enrolled for {person}",))
        steps = {code_at(person, now, steps=each): each for each in (-1, 0, 1)}
        return int(now.timestamp()) // STEP_SECONDS + steps[code] if code in steps else None
