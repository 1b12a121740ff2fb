"""People's preferences, on every engine: sealed, the last choice counts, and what can't be read is no choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.actor import UserId
from core.errors import BrokenSeal, InvalidInput, MalformedRecord
from core.preferences import PREFERENCES_LEDGER, DmKind, DmPreferences
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness

ANN, BEN = UserId("U0ANN"), UserId("U0BEN")


def test_person_who_chose_nothing_wants_everything(stores: Stores) -> None:
    assert all(stores.preferences.get(ANN).wants(each) for each in DmKind)


def test_choice_is_read_by_another_instance(harness: StoreHarness) -> None:
    harness.open().preferences.put(ANN, lambda before: before.choose([DmKind.REMINDERS], A_MOMENT))
    found = harness.open().preferences.get(ANN)
    assert (found.person, found.muted, found.chosen_at) == (ANN, ("reminders",), A_MOMENT)
    assert harness.stores.preferences.get(BEN).muted == ()


def test_last_choice_counts(stores: Stores) -> None:
    stores.preferences.put(ANN, lambda before: before.choose([DmKind.REMINDERS, DmKind.ACCESS], A_MOMENT))
    stores.preferences.put(ANN, lambda before: before.choose([DmKind.REVIEWS], A_MOMENT))
    assert stores.preferences.get(ANN).muted == ("reviews",)


def test_choice_made_at_once_with_another_is_kept(harness: StoreHarness) -> None:
    stores, other, tries = harness.stores, harness.open(), list[int]()

    def choose(before: DmPreferences) -> DmPreferences:
        if not tries:
            other.preferences.put(ANN, lambda found: found.choose([DmKind.ACCESS], A_MOMENT))
        tries.append(1)
        return before.choose([DmKind.REVIEWS], A_MOMENT)

    stores.preferences.put(ANN, choose)
    assert (len(tries), stores.preferences.get(ANN).muted) == (2, ("reviews",))


def test_damaged_choice_is_an_error_until_the_next_one(harness: StoreHarness) -> None:
    store = harness.stores.preferences
    store.put(ANN, lambda before: before.choose([DmKind.ACCESS], A_MOMENT))
    harness.damage_ledger(f"{PREFERENCES_LEDGER}#{ANN}")
    with pytest.raises(MalformedRecord):
        store.get(ANN)
    store.put(ANN, lambda before: before.choose([DmKind.REVIEWS], A_MOMENT))
    assert store.get(ANN).muted == ("reviews",)


def test_choice_that_somebody_else_wrote_has_a_broken_seal(harness: StoreHarness) -> None:
    harness.stores.preferences.put(ANN, lambda before: before.choose([], A_MOMENT))
    harness.spoil_ledger(f"{PREFERENCES_LEDGER}#{ANN}", {"chosen_at": "2020-01-01T00:00:00.000000Z"})
    with pytest.raises(BrokenSeal):
        harness.stores.preferences.get(ANN)


def test_kind_of_a_newer_version_stays_muted() -> None:
    newer = DmPreferences.of(ANN).model_copy(update={"muted": ("digests", "access")})
    assert newer.choose([DmKind.REVIEWS], A_MOMENT).muted == ("digests", "reviews")
    assert newer.choose([DmKind.REVIEWS], A_MOMENT, [DmKind.REVIEWS]).muted == ("access", "digests", "reviews")


def test_preferences_belong_to_a_person() -> None:
    with pytest.raises(InvalidInput, match="not a person's id"):
        DmPreferences.of(UserId("S0SRE"))
