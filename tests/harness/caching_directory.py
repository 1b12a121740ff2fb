"""The directory of one instance: it keeps what it was told until the notes say that it is too old.

Invariant: it forgets nothing on its own, so that only a note can end a right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from core.actor import Actor, UserGroupId, UserId
from core.directory import DirectoryNotes
from core.on_call import Duty, OnCallName
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory


class CachingDirectory:
    """The directory of one instance: it keeps answers until the notes say that they are too old."""

    def __init__(self, office: OfficeDirectory, clock: FrozenClock) -> None:
        self._office = office
        self._clock = clock
        self._known: dict[tuple[UserId, UserGroupId], tuple[bool, datetime]] = {}

    def person(self, user_id: UserId, notes: DirectoryNotes) -> Actor:
        return self._office.person(user_id, notes)

    def memberships(
        self, user_id: UserId, groups: Collection[UserGroupId], notes: DirectoryNotes
    ) -> Mapping[UserGroupId, bool]:
        found: dict[UserGroupId, bool] = {}
        for group in groups:
            known, changed_at = self._known.get((user_id, group)), notes.changed_at(group)
            if known is None or (changed_at is not None and known[1] <= changed_at):
                answer = self._office.memberships(user_id, {group}, notes)[group]
                known = self._known[user_id, group] = (answer, self._clock.now())
            found[group] = known[0]
        return found

    def duties(self, user_id: UserId, names: Collection[OnCallName]) -> Mapping[OnCallName, Duty]:
        return self._office.duties(user_id, names)
