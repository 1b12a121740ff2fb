"""What a store keeps of people's preferences: a sealed ledger for each person, beside the other ledgers.

Invariant: preferences that can't be read or whose seal is broken are an error, never a choice: the caller then sends
everything. The person's next choice replaces them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, Protocol

from core.actor import UserId
from core.errors import ConcurrentModification, MalformedRecord, StoreUnavailable
from core.preferences import DmPreferences
from core.stores.ledgers import LedgerStore

CHOICE_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.05


class PreferenceStore(Protocol):
    """The preferences of every person."""

    def get(self, person: UserId) -> DmPreferences:
        """What this person chose, or the empty preferences. Raises BrokenSeal, MalformedRecord, StoreUnavailable."""
        ...

    def put(self, person: UserId, change: Callable[[DmPreferences], DmPreferences]) -> DmPreferences:
        """Replace this person's preferences with what `change` makes of them. The last choice counts.

        Raises StoreUnavailable.
        """
        ...


class LedgerPreferences:
    """The PreferenceStore of every engine that keeps ledgers."""

    def __init__(self, ledgers: LedgerStore) -> None:
        self._ledgers = ledgers

    def get(self, person: UserId) -> DmPreferences:
        """What this person chose, or the empty preferences."""
        return self._ledgers.get_ledger(DmPreferences.of(person))

    def put(self, person: UserId, change: Callable[[DmPreferences], DmPreferences]) -> DmPreferences:
        """Replace this person's preferences with what `change` makes of them."""
        for _ in range(CHOICE_TRIES):
            chosen = change(self._replaceable(person))
            try:
                self._ledgers.put_ledger(chosen)
            except ConcurrentModification:
                time.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - not a secret
            else:
                return chosen
        raise StoreUnavailable(f"the preferences of {person} were changed {CHOICE_TRIES} times in the meantime")

    def _replaceable(self, person: UserId) -> DmPreferences:
        try:
            return self.get(person)
        except MalformedRecord:
            # Nothing in it is believed, and the new choice says all of it.
            return self._ledgers.get_replaceable(DmPreferences.of(person))
