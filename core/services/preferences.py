"""A person's choice of direct messages: read, changed, and asked before each one is sent.

Invariant: doubt sends. A choice that can't be read, a seal that is broken or a store that doesn't answer mutes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from core.actor import Actor, UserId
from core.clock import Clock
from core.errors import MalformedRecord, StoreError
from core.preferences import DmKind, DmPreferences
from core.stores.preferences import PreferenceStore

_log = logging.getLogger("countersign.preferences")


class DmChoices:
    """The choices of everybody. Safe for threads."""

    def __init__(self, preferences: PreferenceStore, clock: Clock) -> None:
        self._preferences = preferences
        self._clock = clock

    def muted_by(self, person: Actor) -> frozenset[DmKind]:
        """The kinds that this person muted; none where their choice can't be read. Raises StoreUnavailable."""
        try:
            chosen = self._preferences.get(person.id)
        except MalformedRecord:
            return frozenset()
        return frozenset(each for each in DmKind if not chosen.wants(each))

    def choose(self, person: Actor, muted: Iterable[DmKind], offered: Iterable[DmKind] = DmKind) -> DmPreferences:
        """Replace what this person chose among the kinds that were `offered`. Raises StoreUnavailable."""
        kinds, among, now = tuple(muted), tuple(offered), self._clock.now()
        return self._preferences.put(person.id, lambda before: before.choose(kinds, now, among))

    def wants_dm(self, person: UserId, kind: DmKind | None) -> bool:
        """False only when this person muted this kind. None is what can't be muted, and costs no read."""
        if kind is None:
            return True
        try:
            return self._preferences.get(person).wants(kind)
        except StoreError as error:
            _log.warning("the preferences of %s can't be read, so the message is sent: %s", person, error)
            return True
