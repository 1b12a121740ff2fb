"""What an answer says about a person: at a hand-over, as it gets older, and while somebody isn't known."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actor import UserId
from core.on_call import APPROVING_FOR, FRESH_FOR, HAND_OVER_GRACE, on_call_name
from core.schedules.answer import NOTIFYING_FOR, MappedShift, PersonOnCall, ScheduleAnswer, find_on_call, judge_duty
from core.schedules.base import SchedulePerson
from tests.harness.clock import A_MOMENT

SAM, KIM, EVE = UserId("U0SAM"), UserId("U0KIM"), UserId("U0EVE")
HAND_OVER = A_MOMENT
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
TICK = timedelta(microseconds=1)
YES, NO, UNKNOWN = (True, True), (False, False), (None, None)


def a_shift(
    who: UserId | None, starts_at: datetime | None, ends_at: datetime | None, *, is_known: bool = True
) -> MappedShift:
    """Somebody's shift."""
    name = who or "somebody"
    return MappedShift(
        person=SchedulePerson(source_id=name, name=name),
        who=PersonOnCall(user_id=who, is_known=is_known),
        starts_at=starts_at,
        ends_at=ends_at,
    )


def an_answer(*shifts: MappedShift, answered_at: datetime = HAND_OVER) -> ScheduleAnswer:
    """What the source said."""
    return ScheduleAnswer(
        name=on_call_name("primary"),
        source="pagerduty",
        schedule="PPRIMARY",
        shifts=shifts,
        answered_at=answered_at,
        until=answered_at + timedelta(hours=24),
    )


def said(answer: ScheduleAnswer, who: UserId, now: datetime) -> tuple[bool | None, bool | None]:
    """Whether the person is on call, and whether they may approve."""
    duty = judge_duty(answer, (who,), now)
    return duty.is_on_call, duty.may_approve


SAM_UNTIL, KIM_FROM = a_shift(SAM, HAND_OVER - HOUR, HAND_OVER), a_shift(KIM, HAND_OVER, HAND_OVER + HOUR)


@pytest.mark.parametrize(
    ("after", "sam", "kim"),
    [
        (-MINUTE, YES, NO),
        (-TICK, YES, NO),
        (timedelta(), (False, True), YES),
        (HAND_OVER_GRACE - TICK, (False, True), YES),
        (HAND_OVER_GRACE, NO, YES),
    ],
)
def test_hand_over_is_at_the_instant_and_has_grace_backwards(
    after: timedelta, sam: tuple[bool | None, bool | None], kim: tuple[bool | None, bool | None]
) -> None:
    now = HAND_OVER + after
    answer = an_answer(SAM_UNTIL, KIM_FROM, answered_at=now)

    assert (said(answer, SAM, now), said(answer, KIM, now), said(answer, EVE, now)) == (sam, kim, NO)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (-TICK, UNKNOWN),
        (timedelta(), YES),
        (FRESH_FOR - TICK, YES),
        (FRESH_FOR, (None, True)),
        (APPROVING_FOR - TICK, (None, True)),
        (APPROVING_FOR, UNKNOWN),
    ],
)
def test_answer_counts_for_a_minute_and_five_for_approvers(
    age: timedelta, expected: tuple[bool | None, bool | None]
) -> None:
    answer = an_answer(a_shift(SAM, None, None))

    assert said(answer, SAM, HAND_OVER + age) == expected


@pytest.mark.parametrize(("age", "expected"), [(30 * SECOND, NO), (2 * MINUTE, (None, False)), (9 * MINUTE, UNKNOWN)])
def test_no_is_not_known_for_longer_than_yes(age: timedelta, expected: tuple[bool | None, bool | None]) -> None:
    answer = an_answer(a_shift(SAM, None, None))

    assert said(answer, EVE, HAND_OVER + age) == expected


def test_next_shift_in_hand_counts_before_the_next_answer() -> None:
    answer = an_answer(SAM_UNTIL, KIM_FROM, answered_at=HAND_OVER - 10 * SECOND)
    now = HAND_OVER + 10 * SECOND

    assert (said(answer, SAM, now), said(answer, KIM, now), said(answer, EVE, now)) == ((False, True), YES, NO)


def test_end_of_the_last_shift_in_hand_bounds_the_answer() -> None:
    answer = an_answer(SAM_UNTIL, answered_at=HAND_OVER - 10 * SECOND)
    now = HAND_OVER + 10 * SECOND

    assert (said(answer, SAM, now), said(answer, KIM, now)) == ((None, True), UNKNOWN)
    assert find_on_call(answer, now) is None


def test_gap_that_the_source_names_is_nobody() -> None:
    now = HAND_OVER + 10 * SECOND
    answer = an_answer(SAM_UNTIL, answered_at=now)

    assert said(answer, KIM, now) == NO
    assert find_on_call(answer, now) == ()


def test_nobody_is_off_call_while_somebody_isnt_known() -> None:
    answer = an_answer(a_shift(SAM, None, None), a_shift(None, None, None, is_known=False))

    assert (said(answer, SAM, HAND_OVER), said(answer, EVE, HAND_OVER)) == (YES, UNKNOWN)


def test_somebody_who_is_nobody_takes_no_place() -> None:
    answer = an_answer(a_shift(None, None, None))

    assert said(answer, EVE, HAND_OVER) == NO
    assert find_on_call(answer, HAND_OVER) == ()


def test_all_ids_of_a_person_count() -> None:
    assert judge_duty(an_answer(a_shift(SAM, None, None)), (EVE, SAM), HAND_OVER).is_on_call


def test_duty_names_the_shift_that_ends_last() -> None:
    long = a_shift(SAM, HAND_OVER - HOUR, HAND_OVER + HOUR)
    duty = judge_duty(an_answer(a_shift(SAM, None, HAND_OVER + MINUTE), long), (SAM,), HAND_OVER)

    assert (duty.starts_at, duty.ends_at) == (long.starts_at, long.ends_at)
    assert (duty.source, duty.schedule, duty.answered_at) == ("pagerduty", "PPRIMARY", HAND_OVER)


def test_duty_in_the_grace_names_the_shift_that_ended() -> None:
    now = HAND_OVER + MINUTE

    assert judge_duty(an_answer(SAM_UNTIL, KIM_FROM, answered_at=now), (SAM,), now).ends_at == HAND_OVER


def test_those_on_call_now_are_named_once_for_notices() -> None:
    answer = an_answer(a_shift(SAM, None, None), a_shift(SAM, None, None), KIM_FROM, SAM_UNTIL)

    assert find_on_call(answer, HAND_OVER) == (SAM, KIM)
    assert find_on_call(answer, HAND_OVER + NOTIFYING_FOR - SECOND) == (SAM, KIM)
    assert find_on_call(answer, HAND_OVER + NOTIFYING_FOR) is None


# Whatever the source says ---------------------------------------------------------------------------------------------

_times = st.integers(-400, 400).map(lambda seconds: HAND_OVER + seconds * SECOND)


@st.composite
def _shifts(draw: st.DrawFn) -> MappedShift:
    starts_at, ends_at = sorted((draw(_times), draw(_times)))
    return a_shift(
        draw(st.sampled_from([SAM, KIM, None])),
        draw(st.sampled_from([starts_at, None])),
        draw(st.sampled_from([ends_at + SECOND, None])),
        is_known=draw(st.booleans()),
    )


_answers = st.builds(lambda shifts, at: an_answer(*shifts, answered_at=at), st.lists(_shifts(), max_size=4), _times)


@settings(max_examples=50)
@given(_answers, _times)
def test_right_rests_on_a_shift_that_covers_now(answer: ScheduleAnswer, now: datetime) -> None:
    is_on_call, _ = said(answer, SAM, now)

    covering = any(each.covers(now) and each.who.user_id == SAM for each in answer.shifts)
    assert not is_on_call or (covering and timedelta() <= now - answer.answered_at < FRESH_FOR)


@settings(max_examples=50)
@given(_answers, _times)
def test_approving_rests_on_a_shift_that_is_not_long_over(answer: ScheduleAnswer, now: datetime) -> None:
    _, may_approve = said(answer, SAM, now)

    own = [each for each in answer.shifts if each.who.user_id == SAM]
    recent = any(each.covers(now) or each.ended_within(now - HAND_OVER_GRACE, now) for each in own)
    assert not may_approve or (recent and timedelta() <= now - answer.answered_at < APPROVING_FOR)


@settings(max_examples=50)
@given(_answers, _times)
def test_approvers_know_at_least_as_much(answer: ScheduleAnswer, now: datetime) -> None:
    is_on_call, may_approve = said(answer, SAM, now)

    assert may_approve is True or may_approve == is_on_call or is_on_call is None


@settings(max_examples=50)
@given(_answers, _times)
def test_those_who_are_notified_may_approve_if_it_is_known(answer: ScheduleAnswer, now: datetime) -> None:
    for each in find_on_call(answer, now) or ():
        assert judge_duty(answer, (each,), now).may_approve is not False
