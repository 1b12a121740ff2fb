"""What people are told of all grants of one decision: never better than the truth."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.access.grant import Grant
from core.access.grant_status import AccessPhase
from core.access.right import Right
from core.access.summary import OVERDUE_AFTER, summarize, summarize_each
from core.actor import DeciderId
from tests.core.access.world import a_grant
from tests.harness.clock import A_MOMENT

HOUR = timedelta(hours=1)
NOW = A_MOMENT + timedelta(minutes=5)
SOURCE = "REQUEST#0123456789abcdef"
BY = DeciderId("U0APPROVER")
REFUSAL = "no such account"


def grant(number: int = 1, source: str = SOURCE) -> Grant:
    right = Right(target="aws", resource="111122223333", level=f"level-{number}", principal="ann")
    return a_grant(source=source, starts_at=A_MOMENT, ends_at=A_MOMENT + HOUR, now=A_MOMENT, right=right)


def is_open(number: int = 1) -> Grant:
    return grant(number).open(A_MOMENT)


def refused(number: int = 2) -> Grant:
    return grant(number).fail(A_MOMENT, REFUSAL)


def ending(number: int = 1) -> Grant:
    return is_open(number).end_early(BY, NOW, "the incident is over")


def closed(number: int = 1, **more: object) -> Grant:
    return ending(number).close(NOW, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grants", "phase"),
    [
        ([grant()], AccessPhase.OPENING),
        ([is_open(), grant(2)], AccessPhase.OPENING),
        ([is_open(), refused()], AccessPhase.OPEN),
        ([grant(), refused()], AccessPhase.OPENING),
        ([refused(1), refused(2)], AccessPhase.FAILED),
        ([ending(), grant(2).end_early(BY, NOW, "done")], AccessPhase.CLOSING),
        ([closed(), ending(2)], AccessPhase.CLOSING),
        ([closed(), refused()], AccessPhase.CLOSED),
    ],
)
def test_all_rights_together_are_one_phase(grants: list[Grant], phase: AccessPhase) -> None:
    access = summarize(grants, NOW)
    assert access is not None
    assert access.phase is phase


def test_no_grants_are_no_access() -> None:
    assert summarize([], NOW) is None


def test_open_since_the_last_right_opened() -> None:
    later = grant(2).open(A_MOMENT + timedelta(seconds=30))
    access = summarize([later, is_open()], NOW)
    assert access is not None
    assert (access.opened_at, access.is_partial) == (A_MOMENT + timedelta(seconds=30), False)


def test_refused_right_makes_it_partial_and_says_why() -> None:
    access = summarize([is_open(), refused()], NOW)
    assert access is not None
    assert access.is_partial
    assert (access.problem, len(access.refused), len(access.open_rights)) == (REFUSAL, 1, 1)


def test_passed_window_is_closing_and_then_overdue() -> None:
    end = A_MOMENT + HOUR
    moments = [end - timedelta(seconds=1), end, end + OVERDUE_AFTER]
    seen = [summarize([is_open()], moment) for moment in moments]
    assert [(each.phase, each.is_overdue, each.may_end) for each in seen if each] == [
        (AccessPhase.OPEN, False, True),
        (AccessPhase.CLOSING, False, False),
        (AccessPhase.CLOSING, True, False),
    ]


def test_residue_is_the_longest_and_passes() -> None:
    residues = [timedelta(minutes=30), HOUR]
    grants = [closed(number, residual_until=NOW + each) for number, each in enumerate(residues)]
    access = summarize(grants, NOW)
    assert access is not None
    assert access.residual_until == NOW + HOUR
    assert [access.has_residue(NOW + each) for each in (timedelta(0), HOUR)] == [True, False]


def test_early_end_says_who_and_since_when() -> None:
    access = summarize([ending(), refused()], NOW + HOUR)
    assert access is not None
    assert access.ended_early is not None
    assert (access.ended_early.by, access.until, access.is_ended_by_grantee) == (BY, NOW, False)


def test_only_requested_access_may_be_extended() -> None:
    access = summarize([is_open()], NOW)
    emergency = summarize([grant(1, "BREAKGLASS#0123456789abcdef").open(A_MOMENT)], NOW)
    assert access is not None
    assert emergency is not None
    assert (access.may_extend, emergency.may_extend, emergency.may_end) == (True, False, True)


def test_overdue_access_comes_first_in_a_list() -> None:
    sources = [f"REQUEST#{number:016x}" for number in range(3)]
    ends = [A_MOMENT + 2 * HOUR, A_MOMENT + HOUR / 4, A_MOMENT + HOUR / 2]
    grants = [
        a_grant(source=source, starts_at=A_MOMENT, ends_at=end, now=A_MOMENT).open(A_MOMENT)
        for source, end in zip(sources, ends, strict=True)
    ]
    found = summarize_each(grants, A_MOMENT + HOUR)
    assert [each.source for each in found] == [sources[1], sources[2], sources[0]]
    assert [each.is_overdue for each in found] == [True, True, False]
