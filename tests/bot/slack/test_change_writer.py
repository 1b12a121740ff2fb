"""What an instance hears is written down, however often the store fails, and nobody waits for it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.slack.change_writer import ChangeWriter
from core.actor import UserGroupId
from core.errors import StoreUnavailable
from core.services.user_groups import UserGroupService
from core.user_group import UserGroupMembers
from tests.core.services.test_user_groups import POLICY
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from core.directory import DirectoryNotes
    from core.stores.base import Stores
    from core.stores.directory import DirectoryStore
    from tests.harness.clock import FrozenClock

ANN, SRE = "U0ANN", UserGroupId("S0SRE")


class FlakyStore:
    """A directory store that fails a number of times, and can be made to wait."""

    def __init__(self, store: DirectoryStore) -> None:
        self.store = store
        self.failures_left = 0
        self.attempts = 0
        self.gate = threading.Event()
        self.gate.set()

    def notes(self) -> DirectoryNotes:
        return self.store.notes()

    def note(self, ids: Iterable[str], at: datetime) -> DirectoryNotes:
        self._try()
        return self.store.note(ids, at)

    def get_groups(self, groups: Iterable[UserGroupId]) -> Mapping[UserGroupId, UserGroupMembers]:
        self._try()
        return self.store.get_groups(groups)

    def put_group(self, members: UserGroupMembers) -> UserGroupMembers:
        return self.store.put_group(members)

    def _try(self) -> None:
        assert self.gate.wait(10)
        self.attempts += 1
        if self.failures_left:
            self.failures_left -= 1
            raise StoreUnavailable("throttled")


@pytest.fixture
def store(stores: Stores) -> FlakyStore:
    return FlakyStore(stores.directory)


@pytest.fixture
def writer(store: FlakyStore, stores: Stores, clock: FrozenClock) -> Iterator[ChangeWriter]:
    groups = UserGroupService(store, stores.audit, POLICY, clock)
    writer = ChangeWriter(store, groups, clock, wait=lambda _event, _seconds: None)
    yield writer
    writer.close()


def test_change_is_noted(writer: ChangeWriter, stores: Stores) -> None:
    writer.note([ANN, SRE], A_MOMENT)
    writer.flush()
    notes = stores.directory.notes()
    assert (notes.changed_at(ANN), notes.changed_at(SRE)) == (A_MOMENT, A_MOMENT)


def test_change_is_noted_even_if_the_store_fails_at_first(
    writer: ChangeWriter, store: FlakyStore, stores: Stores
) -> None:
    store.failures_left = 7
    writer.note([ANN], A_MOMENT)
    writer.flush()
    assert stores.directory.notes().changed_at(ANN) == A_MOMENT
    assert store.attempts == 8


def test_nobody_waits_for_the_store(writer: ChangeWriter, store: FlakyStore, stores: Stores) -> None:
    store.gate.clear()
    for number in range(100):
        writer.note([f"U0P{number}"], A_MOMENT)
    writer.learn([UserGroupMembers.of(SRE, frozenset({ANN}), A_MOMENT)])
    store.gate.set()
    writer.flush()
    assert len(stores.directory.notes().changes) == 100


def test_changes_that_come_together_are_written_together(
    writer: ChangeWriter, store: FlakyStore, stores: Stores
) -> None:
    store.gate.clear()
    for number in range(100):
        writer.note([f"U0P{number}"], A_MOMENT)
    store.gate.set()
    writer.flush()
    assert len(stores.directory.notes().changes) == 100
    # The first one was on its way already; the 99 others took one write.
    assert store.attempts <= 2


def test_answers_are_kept(writer: ChangeWriter, store: FlakyStore, stores: Stores) -> None:
    store.failures_left = 2
    writer.learn([UserGroupMembers.of(SRE, frozenset({ANN}), A_MOMENT)])
    writer.flush()
    assert stores.directory.get_groups([SRE])[SRE].users == (ANN,)


def test_only_the_newest_answer_about_a_group_is_written(
    writer: ChangeWriter, store: FlakyStore, stores: Stores
) -> None:
    store.gate.clear()
    writer.note([SRE], A_MOMENT)
    for version in (2, 3, 1):
        users = frozenset({f"U0V{version}"})
        writer.learn([UserGroupMembers.of(SRE, users, A_MOMENT, slack_version=version)])
    store.gate.set()
    writer.flush()
    assert stores.directory.get_groups([SRE])[SRE].users == ("U0V3",)


def test_close_tries_once_more(store: FlakyStore, stores: Stores, clock: FrozenClock) -> None:
    store.failures_left = 10**6
    tried = threading.Event()

    def wait(closing: threading.Event, _seconds: float) -> None:
        tried.set()
        closing.wait()

    writer = ChangeWriter(
        store,
        UserGroupService(store, stores.audit, POLICY, clock),
        clock,
        wait=wait,
    )
    writer.note([ANN], A_MOMENT)
    assert tried.wait(10)
    store.failures_left = 0
    writer.close()
    assert stores.directory.notes().changed_at(ANN) == A_MOMENT


def test_repair_replaces_notes_only(writer: ChangeWriter, stores: Stores) -> None:
    stores.directory.note([ANN], A_MOMENT - timedelta(seconds=1))
    writer.repair()
    writer.flush()
    assert stores.directory.notes().changed_at(ANN) == A_MOMENT - timedelta(seconds=1)
