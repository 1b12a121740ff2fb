"""Which direct messages a person gets: their own choice of what Countersign may send them.

Invariant: only what this table names can be muted. What needs the person's answer, what went wrong with their access
and what concerns their security has no kind, so it is always sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from core.actor import UserId, is_person
from core.clock import UtcTime
from core.errors import InvalidInput
from core.ledger import Ledger

PREFERENCES_LEDGER: Final = "PREFERENCES"
_KEPT_FOR: Final = timedelta(days=3650)
_LONG_AGO: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


class DmKind(StrEnum):
    """The direct messages that a person can mute, by the name under which the choice is stored."""

    DECISIONS = "decisions"
    ACCESS = "access"
    REMINDERS = "reminders"
    REVIEWS = "reviews"
    ON_CALL = "on_call"


class DmPreferences(Ledger):
    """What one person chose. `muted` has the kinds they don't want; a newer version's kinds are kept in it."""

    muted: tuple[str, ...] = ()
    chosen_at: UtcTime | None = None

    @classmethod
    def of(cls, person: UserId) -> Self:
        """The preferences of a person who has chosen nothing: every direct message is sent."""
        if not is_person(person):
            raise InvalidInput("person", f"{person!r:.60} is not a person's id", "Open the form in Slack again.")
        return cls(owner=f"{PREFERENCES_LEDGER}#{person}")

    @property
    def person(self) -> UserId:
        """Whose preferences these are."""
        return UserId(self.owner.partition("#")[2])

    def wants(self, kind: DmKind) -> bool:
        """True unless the person muted this kind."""
        return kind.value not in self.muted

    def choose(self, muted: Iterable[DmKind], at: datetime, offered: Iterable[DmKind] = DmKind) -> Self:
        """The same person's new choice among the kinds that were `offered`. All other kinds stay as they were."""
        among = {each.value for each in offered}
        kept = {each for each in self.muted if each not in among}
        chosen = {each.value for each in muted} & among
        return self.model_copy(update={"muted": tuple(sorted(kept | chosen)), "chosen_at": at})

    def kept_until(self) -> datetime:
        """Long after anybody still works here."""
        return (self.chosen_at or _LONG_AGO) + _KEPT_FOR
