"""A grant's statuses, its window, and what people are told of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product

import pytest

from core.access.grant import AccessPhase, Grant, GrantStatus, grant_id_for
from core.actor import DeciderId
from core.errors import InvalidInput, InvalidStateTransition, MalformedRecord
from core.stores.commit import explain_refusal
from tests.core.access.world import RIGHT, a_grant
from tests.harness.clock import A_MOMENT

HOUR = timedelta(hours=1)
SOURCE = "REQUEST#0123456789abcdef"
BY = DeciderId("U0REQUESTER")


def pending(source: str = SOURCE, start: datetime = A_MOMENT) -> Grant:
    return a_grant(source=source, starts_at=start, ends_at=start + HOUR, now=A_MOMENT)


def in_status(status: GrantStatus) -> Grant:
    grant = pending()
    match status:
        case GrantStatus.PENDING:
            return grant
        case GrantStatus.ACTIVE:
            return grant.open(A_MOMENT)
        case GrantStatus.ENDING:
            return grant.open(A_MOMENT).expire(A_MOMENT + HOUR)
        case GrantStatus.ENDED:
            return grant.open(A_MOMENT).expire(A_MOMENT + HOUR).close(A_MOMENT + HOUR)
        case GrantStatus.FAILED:
            return grant.fail(A_MOMENT, "no such account")


MOVES = {
    GrantStatus.ACTIVE: lambda grant: grant.open(A_MOMENT),
    GrantStatus.ENDING: lambda grant: grant.end_early(BY, A_MOMENT + HOUR / 2, "done"),
    GrantStatus.ENDED: lambda grant: grant.close(A_MOMENT + HOUR),
    GrantStatus.FAILED: lambda grant: grant.fail(A_MOMENT, "no such account"),
}
LEGAL = {
    (GrantStatus.PENDING, GrantStatus.ACTIVE),
    (GrantStatus.PENDING, GrantStatus.ENDING),
    (GrantStatus.PENDING, GrantStatus.FAILED),
    (GrantStatus.ACTIVE, GrantStatus.ENDING),
    (GrantStatus.ENDING, GrantStatus.ENDED),
}


@pytest.mark.parametrize(("source", "target"), list(product(GrantStatus, MOVES)))
def test_only_the_moves_of_the_table_are_made(source: GrantStatus, target: GrantStatus) -> None:
    grant = in_status(source)
    if (source, target) in LEGAL:
        assert MOVES[target](grant).status is target
    else:
        with pytest.raises(InvalidStateTransition):
            MOVES[target](grant)


def test_early_end_again_by_the_same_person_changes_nothing() -> None:
    ended = in_status(GrantStatus.ACTIVE).end_early(BY, A_MOMENT, "done")
    assert ended.end_early(BY, A_MOMENT + HOUR, "again") is ended
    with pytest.raises(InvalidStateTransition):
        ended.end_early(DeciderId("U0APPROVER"), A_MOMENT, "revoked")


def test_window_that_has_passed_cannot_end_early() -> None:
    with pytest.raises(InvalidStateTransition, match="its time has passed"):
        pending().end_early(BY, A_MOMENT + HOUR, "done")


def test_window_does_not_end_before_its_time() -> None:
    with pytest.raises(InvalidStateTransition, match="time left"):
        pending().expire(A_MOMENT + HOUR - timedelta(microseconds=1))


def test_it_is_wanted_inside_its_window_only() -> None:
    grant = pending(start=A_MOMENT + HOUR)
    tick = timedelta(microseconds=1)
    times = [A_MOMENT + HOUR - tick, A_MOMENT + HOUR, A_MOMENT + 2 * HOUR - tick, A_MOMENT + 2 * HOUR]
    assert [grant.is_wanted(each) for each in times] == [False, True, True, False]


@pytest.mark.parametrize("status", GrantStatus)
def test_stored_form_reads_back_and_keeps_newer_fields(status: GrantStatus) -> None:
    grant = in_status(status)
    item = {**grant.to_item(), "of_tomorrow": 1}
    read = Grant.from_item(item)
    assert read.to_item() == item
    assert read.status is status
    assert item["right"] == "aws|111122223333|admin|ann"


def test_one_decision_makes_one_grant_of_a_right() -> None:
    assert pending().id == pending(start=A_MOMENT + HOUR).id == grant_id_for(SOURCE, RIGHT)
    assert pending().id != pending("BREAKGLASS#0123456789abcdef").id
    with pytest.raises(MalformedRecord, match="one decision makes one grant"):
        Grant.from_item({**pending().to_item(), "id": "0" * 16})


def test_early_end_is_not_lost() -> None:
    ended = in_status(GrantStatus.ACTIVE).end_early(BY, A_MOMENT, "done")
    forgetful = in_status(GrantStatus.ENDING).close(A_MOMENT + HOUR)
    assert "ended_early" in str(explain_refusal(ended, forgetful))


@pytest.mark.parametrize("length", [timedelta(0), timedelta(hours=9)])
def test_window_has_bounds(length: timedelta) -> None:
    with pytest.raises(InvalidInput):
        a_grant(source=SOURCE, starts_at=A_MOMENT, ends_at=A_MOMENT + length, now=A_MOMENT)


def test_people_are_told_the_phase() -> None:
    later = pending(start=A_MOMENT + HOUR)
    assert later.describe(A_MOMENT).phase is AccessPhase.SCHEDULED
    assert [in_status(each).describe(A_MOMENT).phase.value for each in GrantStatus] == [
        "opening", "open", "closing", "closed", "failed",
    ]  # fmt: skip
    assert in_status(GrantStatus.ACTIVE).describe(A_MOMENT + HOUR).phase is AccessPhase.CLOSING
    assert in_status(GrantStatus.FAILED).describe(A_MOMENT).reason == "no such account"


def test_only_break_glass_is_an_emergency() -> None:
    assert not pending().is_emergency
    assert pending("BREAKGLASS#0123456789abcdef").is_emergency
