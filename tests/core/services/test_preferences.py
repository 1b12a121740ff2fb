"""The choice of direct messages: doubt sends, and only what was muted stays away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from core.actor import Actor, UserId
from core.errors import MalformedRecord, StoreUnavailable
from core.preferences import DmKind, DmPreferences
from core.services.preferences import DmChoices
from tests.harness.clock import FrozenClock

if TYPE_CHECKING:
    from core.stores.base import Stores

ANN: Final = UserId("U0ANN")


class _Broken:
    """Preferences that can't be read."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get(self, person: UserId) -> DmPreferences:
        del person
        raise self._error

    def put(self, person: UserId, change: object) -> DmPreferences:
        del change
        return self.get(person)


def test_muted_kind_is_not_wanted(stores: Stores, clock: FrozenClock) -> None:
    choices = DmChoices(stores.preferences, clock)
    choices.choose(Actor(id=ANN), [DmKind.REMINDERS])
    assert choices.muted_by(Actor(id=ANN)) == {DmKind.REMINDERS}
    assert not choices.wants_dm(ANN, DmKind.REMINDERS)
    assert choices.wants_dm(ANN, DmKind.DECISIONS)
    assert choices.wants_dm(UserId("U0BEN"), DmKind.REMINDERS)


def test_what_has_no_kind_is_always_sent(clock: FrozenClock) -> None:
    assert DmChoices(_Broken(AssertionError("this costs no read")), clock).wants_dm(ANN, None)


@pytest.mark.parametrize("error", [StoreUnavailable("it is away"), MalformedRecord("LEDGER#X", "it is damaged")])
def test_choice_that_cannot_be_read_mutes_nothing(clock: FrozenClock, error: Exception) -> None:
    assert DmChoices(_Broken(error), clock).wants_dm(ANN, DmKind.ACCESS)
