"""The notes of changes in the directory and the last answers about user groups, on every engine."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.actor import UserGroupId, UserId
from core.break_glass import EventId
from core.directory import NOTES_LEDGER, DirectoryNotes
from core.errors import ConcurrentModification, NotFound
from core.mfa import CodeLedger
from core.request import RequestId
from core.user_group import UserGroupMembers
from tests.builders import PROD, a_draft, a_request, an_event
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.core.stores.harness import DynamoHarness, StoreHarness

ANN, BEN, SRE, DEV = UserId("U0ANN"), UserId("U0BEN"), UserGroupId("S0SRE"), UserGroupId("S0DEV")
SECOND = timedelta(seconds=1)


def test_change_noted_by_one_instance_is_read_by_another(harness: StoreHarness) -> None:
    harness.open().directory.note([ANN, SRE], A_MOMENT)
    notes = harness.open().directory.notes()
    assert (notes.changed_at(ANN), notes.changed_at(SRE), notes.changed_at(BEN)) == (A_MOMENT, A_MOMENT, None)


def test_nothing_noted_reads_as_nothing(stores: Stores) -> None:
    assert stores.directory.notes() == DirectoryNotes()


def test_notes_come_with_the_record(stores: Stores) -> None:
    request = stores.requests.create(a_request(), a_draft())
    event = stores.break_glass.create(an_event(), a_draft())
    stores.directory.note([ANN], A_MOMENT)

    found, with_request = stores.requests.get_with_notes(RequestId(request.id))
    same, with_event = stores.break_glass.get_with_notes(EventId(event.id))

    assert (found, same) == (request, event)
    assert (with_request.changed_at(ANN), with_event.changed_at(ANN)) == (A_MOMENT, A_MOMENT)


@pytest.mark.parametrize("with_codes", [False, True])
def test_notes_come_with_the_ledgers(stores: Stores, *, with_codes: bool) -> None:
    stores.directory.note([ANN], A_MOMENT)
    ledgers = stores.break_glass.read_ledgers(ANN, PROD, codes_of=ANN if with_codes else None)
    assert ledgers[:2] == stores.break_glass.get_ledgers(ANN, PROD)
    assert (ledgers.codes is not None, ledgers.notes.changed_at(ANN)) == (with_codes, A_MOMENT)


def test_codes_are_those_of_the_id_that_typed_one(stores: Stores) -> None:
    stores.break_glass.put_codes(CodeLedger.of(BEN).count_wrong(A_MOMENT))
    ledgers = stores.break_glass.read_ledgers(ANN, PROD, codes_of=BEN)
    assert ledgers.by_invoker.owner == f"INVOKER#{ANN}"
    assert ledgers.codes == stores.break_glass.get_codes(BEN)


def test_record_that_is_missing_is_not_found_with_notes(stores: Stores) -> None:
    stores.directory.note([ANN], A_MOMENT)
    with pytest.raises(NotFound):
        stores.requests.get_with_notes(RequestId("0" * 16))
    with pytest.raises(NotFound):
        stores.break_glass.get_with_notes(EventId("0" * 16))


def test_notes_that_are_damaged_mean_that_everything_changed(harness: StoreHarness) -> None:
    stores = harness.stores
    request = stores.requests.create(a_request(), a_draft())
    event = stores.break_glass.create(an_event(), a_draft())
    stores.directory.note([BEN], A_MOMENT)
    harness.damage_ledger(NOTES_LEDGER)
    now = harness.clock.advance(SECOND)

    for notes in (
        stores.directory.notes(),
        stores.requests.get_with_notes(RequestId(request.id))[1],
        stores.break_glass.get_with_notes(EventId(event.id))[1],
        stores.break_glass.read_ledgers(ANN, PROD, codes_of=None).notes,
    ):
        assert notes.changed_at(ANN) == now


def test_damaged_notes_are_repaired_by_the_next_one(harness: StoreHarness) -> None:
    harness.stores.directory.note([BEN], A_MOMENT)
    harness.damage_ledger(NOTES_LEDGER)
    noted_at = harness.clock.advance(SECOND)
    harness.stores.directory.note([SRE], noted_at)
    harness.clock.advance(SECOND)
    notes = harness.stores.directory.notes()
    # What was in the damaged notes is covered, because everything counts as changed.
    assert {notes.changed_at(each) for each in (ANN, BEN, SRE)} == {noted_at}


def test_notes_of_instances_at_once_are_all_kept(harness: StoreHarness) -> None:
    instances = [harness.open() for _ in range(3)]

    def note(number: int, stores: Stores) -> None:
        for each in range(4):
            stores.directory.note([f"U0{number}X{each}"], A_MOMENT)

    threads = [threading.Thread(target=note, args=each) for each in enumerate(instances)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(harness.stores.directory.notes().changes) == 12


def test_answer_about_a_group_outlives_the_process(harness: StoreHarness) -> None:
    answer = UserGroupMembers.of(SRE, frozenset({ANN, BEN}), A_MOMENT, slack_version=7)
    stored = harness.stores.directory.put_group(answer)
    assert harness.open().directory.get_groups([SRE, DEV]) == {SRE: stored}
    assert stored.users == (ANN, BEN)


def test_answer_is_replaced_only_in_the_version_that_was_read(stores: Stores) -> None:
    first = stores.directory.put_group(UserGroupMembers.of(SRE, frozenset({ANN}), A_MOMENT))
    second = stores.directory.put_group(first.model_copy(update={"users": (BEN,)}))
    for outdated in (first, UserGroupMembers.of(SRE, frozenset(), A_MOMENT)):
        with pytest.raises(ConcurrentModification):
            stores.directory.put_group(outdated)
    assert stores.directory.get_groups([SRE]) == {SRE: second}


def test_answer_that_cannot_be_read_is_no_answer(harness: StoreHarness) -> None:
    harness.stores.directory.put_group(UserGroupMembers.of(SRE, frozenset({ANN}), A_MOMENT))
    kept = harness.stores.directory.put_group(UserGroupMembers.of(DEV, frozenset({BEN}), A_MOMENT))
    harness.damage_ledger(UserGroupMembers.owner_of(SRE))
    assert harness.stores.directory.get_groups([SRE, DEV]) == {DEV: kept}


def test_many_groups_are_read_at_once(stores: Stores) -> None:
    groups = [UserGroupId(f"S0G{number}") for number in range(120)]
    for each in groups[::40]:
        stores.directory.put_group(UserGroupMembers.of(each, frozenset({ANN}), A_MOMENT))
    assert set(stores.directory.get_groups(groups)) == set(groups[::40])


def test_notes_cost_no_round_trip_of_their_own(dynamo: DynamoHarness) -> None:
    stores = dynamo.stores
    request = stores.requests.create(a_request(), a_draft())
    event = stores.break_glass.create(an_event(), a_draft())
    with dynamo.calls() as calls:
        stores.requests.get_with_notes(RequestId(request.id))
        stores.break_glass.get_with_notes(EventId(event.id))
        stores.break_glass.read_ledgers(ANN, PROD, codes_of=ANN)
    assert [name for name, _ in calls] == ["BatchGetItem"] * 3
    for _, arguments in calls:
        assert all(table["ConsistentRead"] for table in arguments["RequestItems"].values())
