"""The roster: who is on call in the schedules that the policy names, for those who ask about people.

Invariant: what isn't known is never answered: it is left out, or None. Nothing here raises, whatever a source does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final, Protocol

from core.actor import Need, UserId
from core.duty import (
    APPROVING_FOR,
    FRESH_FOR,
    HAND_OVER_GRACE,
    ON_CALL_PREFIX,
    Duty,
    OnCallName,
    is_on_call_name,
    on_call_name,
    schedule_of,
)

__all__ = [
    "APPROVING_FOR", "FRESH_FOR", "HAND_OVER_GRACE", "ON_CALL_PREFIX", "Duty", "FixedRoster", "Need", "NoRoster",
    "OnCallName", "Roster", "is_on_call_name", "on_call_name", "schedule_of",
]  # fmt: skip

STATED: Final = "stated"
"""The source of a duty that somebody wrote down, such as in a case of `countersign policy test`."""


class Roster(Protocol):
    """Answers from schedules. Safe for threads."""

    def duties(
        self, user_id: UserId, names: Collection[OnCallName], *, timeout_seconds: float = 0.0
    ) -> Mapping[OnCallName, Duty]:
        """What each of these schedules says about the person; one that isn't known is left out.

        Never raises. Waits at most `timeout_seconds` for sources of which there is no answer that still counts; with 0,
        it never waits.
        """
        ...

    def on_call_now(self, name: OnCallName) -> tuple[UserId, ...] | None:
        """Who is on call, to notify them; None when that isn't known. Never raises, and never waits."""
        ...


class NoRoster:
    """The roster of a process that asks no schedule: it knows nothing."""

    def duties(
        self, user_id: UserId, names: Collection[OnCallName], *, timeout_seconds: float = 0.0
    ) -> Mapping[OnCallName, Duty]:
        """Nothing is known."""
        del user_id, names, timeout_seconds
        return {}

    def on_call_now(self, name: OnCallName) -> tuple[UserId, ...] | None:
        """Nothing is known."""
        del name
        return None


class FixedRoster:
    """A roster that somebody wrote down: `countersign policy explain`, cases and tests.

    Nobody is on call in a schedule unless `people` says so. `at` is when it was written down.
    """

    def __init__(self, people: Mapping[OnCallName, Iterable[UserId]], at: datetime) -> None:
        self._people = {name: tuple(each) for name, each in people.items()}
        self._at = at

    def duties(
        self, user_id: UserId, names: Collection[OnCallName], *, timeout_seconds: float = 0.0
    ) -> Mapping[OnCallName, Duty]:
        """Every question has its answer."""
        del timeout_seconds
        return {name: self._duty(user_id, name) for name in names}

    def on_call_now(self, name: OnCallName) -> tuple[UserId, ...] | None:
        """Those who were written down."""
        return self._people.get(name, ())

    def _duty(self, user_id: UserId, name: OnCallName) -> Duty:
        is_on_call = user_id in self._people.get(name, ())
        return Duty(
            name=name,
            is_on_call=is_on_call,
            may_approve=is_on_call,
            source=STATED,
            schedule=schedule_of(name),
            answered_at=self._at,
        )
