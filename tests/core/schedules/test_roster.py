"""The roster: what a click costs, what holds while a source is away, and what a change of the policy forgets."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from core.actor import UserId
from core.errors import NotKnown
from core.on_call import HAND_OVER_GRACE, on_call_name
from core.policy.evaluator import Policy
from core.policy.loader import parse_policy
from core.schedules.base import SchedulePerson, ScheduleRefused, ScheduleUnavailable, Shift
from core.schedules.roster import ScheduleRoster
from core.schedules.watched import FIRST_PAUSE, LOOK_AHEAD, LOOK_BACK, REFRESH_AFTER, REMAP_AFTER
from tests.core.schedules.scripted_source import ScriptedSource, away
from tests.harness.clock import A_MOMENT, FrozenClock

if TYPE_CHECKING:
    from collections.abc import Iterator

SAM, KIM, EVE = UserId("U0SAM"), UserId("U0KIM"), UserId("U0EVE")
PRIMARY, NIGHT = on_call_name("primary"), on_call_name("night")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
HAND_OVER = A_MOMENT + HOUR
WAIT = 5.0


def a_policy(on_call: str = "{primary: {demo: {schedule: one}}}", more: str = "") -> Policy:
    return parse_policy(
        f"""
version: 1
on_call: {on_call}
profiles: {{prod: {{channel: C0ACCESS1}}}}
approval: [{{name: prod, profiles: [prod], approvers: [U0ANN], max_duration: 1h}}]
{more}
""".encode()
    )


class OnFile:
    """A policy that a test replaces."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def current(self) -> Policy:
        return self.policy


class Counts:
    """Counts look-ups and questions."""

    def __init__(self) -> None:
        self.lookups: Counter[str] = Counter()
        self.questions: Counter[str] = Counter()

    def looked_up(self, source: str, outcome: str) -> None:
        self.lookups[f"{source} {outcome}"] += 1

    def asked(self, outcome: str) -> None:
        self.questions[outcome] += 1


class Watch:
    """A roster with everything around it in a test's hand."""

    def __init__(self, source: ScriptedSource, policy: Policy | None = None) -> None:
        self.clock = FrozenClock()
        self.source = source
        self.file = OnFile(policy or a_policy())
        self.counts = Counts()
        self.mail: dict[str, UserId] = {}
        self.is_slack_away = False
        self.roster = ScheduleRoster(
            self.file, self.clock, self.find_by_email, {"demo": source.open}, observer=self.counts
        )

    def find_by_email(self, email: str) -> UserId | None:
        if self.is_slack_away:
            raise NotKnown("act", ("away",))
        return self.mail.get(email)

    def refresh(self) -> None:
        """What the thread in the background does each second, and the end of what it began."""
        self.roster.look(WAIT)

    def said(self, who: UserId, *, wait: float = WAIT) -> tuple[bool | None, bool | None] | None:
        """Whether the person is on call and may approve; None for no answer."""
        duty = self.roster.duties(who, {PRIMARY}, timeout_seconds=wait).get(PRIMARY)
        return None if duty is None else (duty.is_on_call, duty.may_approve)


def a_shift(
    who: str, starts_at: datetime | None = None, ends_at: datetime | None = None, *, email: str | None = None
) -> Shift:
    slack_id = None if email else who
    return Shift(
        person=SchedulePerson(source_id=who, name=who, slack_id=slack_id, email=email),
        starts_at=starts_at,
        ends_at=ends_at,
    )


@contextmanager
def watching(*shifts: Shift, policy: Policy | None = None) -> Iterator[Watch]:
    """A roster of these shifts."""
    watch = Watch(ScriptedSource(*shifts), policy)
    try:
        yield watch
    finally:
        watch.source.release()
        watch.roster.close()


# What a click costs ---------------------------------------------------------------------------------------------------


def test_clicks_of_a_day_cost_no_look_up() -> None:
    with watching(a_shift(SAM, None, HAND_OVER), a_shift(KIM, HAND_OVER)) as watch:
        watch.refresh()
        for _ in range(24 * 60):
            watch.clock.advance(REFRESH_AFTER)
            # Without waiting: what is asked for now can't be what answers.
            watch.refresh()
            watch.said(SAM, wait=0.0)
            watch.said(KIM, wait=0.0)

        assert watch.counts.questions == {"in_hand": 2 * 24 * 60}
        assert len(watch.source.asked) == 1 + 24 * 60


def test_first_click_waits_for_a_look_up_and_is_answered() -> None:
    with watching(a_shift(SAM)) as watch:
        assert (watch.said(SAM), watch.said(EVE)) == ((True, True), (False, False))
        assert (watch.counts.questions, len(watch.source.asked)) == ({"waited": 1, "in_hand": 1}, 1)


def test_clicks_at_once_share_one_look_up() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.source.hold()
        found: list[object] = []
        clicks = [Thread(target=lambda: found.append(watch.said(SAM))) for _ in range(5)]
        for each in clicks:
            each.start()
        watch.source.wait_until_asked()
        watch.source.release()
        for each in clicks:
            each.join()

        assert found == [(True, True)] * 5
        assert len(watch.source.asked) == 1


def test_answer_is_refreshed_in_the_background_before_it_is_old() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.refresh()
        watch.clock.advance(REFRESH_AFTER - SECOND)
        watch.refresh()
        assert len(watch.source.asked) == 1

        watch.clock.advance(SECOND)
        watch.refresh()
        assert len(watch.source.asked) == 2
        assert REFRESH_AFTER + 10 * SECOND < MINUTE


def test_look_up_covers_the_grace_and_the_next_day() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.refresh()

        assert watch.source.asked == [(A_MOMENT - LOOK_BACK, A_MOMENT + LOOK_AHEAD)]
        assert LOOK_BACK > HAND_OVER_GRACE


def test_hand_over_is_judged_by_the_shift_in_hand_and_refreshed() -> None:
    with watching(a_shift(SAM, None, HAND_OVER), a_shift(KIM, HAND_OVER)) as watch:
        watch.clock.set(HAND_OVER - SECOND)
        watch.refresh()
        watch.source.hold()
        watch.clock.advance(SECOND)

        assert (watch.said(KIM, wait=0.0), watch.said(SAM, wait=0.0)) == ((True, True), (False, True))
        watch.source.wait_until_asked()
        watch.source.wait_until_asked()
        assert watch.roster.on_call_now(PRIMARY) == (KIM,)


def test_source_that_hangs_is_not_waited_for_by_every_click() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.source.hold()
        watch.said(SAM, wait=0.0)
        watch.source.wait_until_asked()
        schedule = watch.roster._schedules()[PRIMARY]  # noqa: SLF001 - its patience is by the machine's clock
        schedule._started -= 1.0  # noqa: SLF001 - as above

        flight = schedule.ask()
        assert flight is not None
        assert flight[1] == 0.0
        assert watch.said(SAM) is None
        assert len(watch.source.asked) == 1


# While a source is away -----------------------------------------------------------------------------------------------


def test_last_answer_holds_for_approvers_only() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.refresh()
        watch.source.failure = away()
        seen = []
        for step in (59 * SECOND, SECOND, 4 * MINUTE - SECOND, SECOND):
            watch.clock.advance(step)
            seen.append(watch.said(SAM))

        assert seen == [(True, True), (None, True), (None, True), None]
        # Notifying somebody gives no right.
        assert watch.roster.on_call_now(PRIMARY) == (SAM,)
        watch.clock.advance(HOUR)
        assert watch.roster.on_call_now(PRIMARY) is None


def test_hand_over_holds_for_approvers_while_the_source_is_away() -> None:
    with watching(a_shift(SAM, None, HAND_OVER), a_shift(KIM, HAND_OVER)) as watch:
        watch.clock.set(HAND_OVER - 2 * MINUTE)
        watch.refresh()
        watch.source.failure = away()
        watch.clock.set(HAND_OVER + MINUTE)

        assert (watch.said(SAM), watch.said(KIM)) == ((None, True), (None, True))
        watch.clock.advance(MINUTE)
        assert (watch.said(SAM), watch.said(KIM)) == ((None, False), (None, True))


@pytest.mark.parametrize(
    ("failure", "outcome", "problem"),
    [
        (away(), "unavailable", "no answer"),
        (
            ScheduleRefused("there is no such schedule", "Correct it."),
            "refused",
            "there is no such schedule. Correct it.",
        ),
        (RuntimeError("a secret"), "failed", "RuntimeError while reading the answer"),
    ],
)
def test_source_that_failed_is_left_alone_for_a_while(
    failure: ScheduleUnavailable | ScheduleRefused | RuntimeError, outcome: str, problem: str
) -> None:
    with watching(a_shift(SAM)) as watch:
        watch.source.failure = failure
        for _ in range(5):
            assert watch.said(SAM) is None
        assert len(watch.source.asked) == 1
        assert watch.counts.lookups == {f"demo {outcome}": 1}
        assert [each.problem for each in watch.roster.snapshot()] == [problem]

        watch.source.failure = None
        watch.clock.advance(FIRST_PAUSE)
        assert watch.said(SAM) == (True, True)
        assert [each.problem for each in watch.roster.snapshot()] == [""]


def test_pauses_grow_and_a_source_can_ask_for_longer() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.source.failure = away()
        for _ in range(39):
            watch.refresh()
            watch.clock.advance(FIRST_PAUSE)
        # After 0, 5, 15, 35, 75 and 135 seconds.
        assert len(watch.source.asked) == 6

        watch.source.failure = away(timedelta(minutes=10))
        watch.clock.advance(MINUTE)
        watch.refresh()
        watch.clock.advance(timedelta(minutes=9))
        watch.refresh()
        assert len(watch.source.asked) == 7
        watch.clock.advance(MINUTE)
        watch.refresh()
        assert len(watch.source.asked) == 8


def test_source_that_refused_is_opened_anew() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.source.failure = ScheduleRefused("the key is refused", "Replace it.")
        watch.refresh()
        watch.source.failure = None
        watch.clock.advance(FIRST_PAUSE)
        watch.refresh()

        assert (len(watch.source.opened), watch.source.closed) == (2, 1)


# Clocks ---------------------------------------------------------------------------------------------------------------


def test_answer_is_unknown_after_the_clock_was_set_back() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.refresh()
        watch.clock.advance(-HOUR)

        assert watch.said(SAM, wait=0.0) is None
        watch.refresh()
        assert watch.said(SAM, wait=0.0) == (True, True)


def test_pause_ends_when_the_clock_is_set_back() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.source.failure = away(timedelta(minutes=10))
        watch.refresh()
        watch.source.failure = None
        watch.clock.advance(-HOUR)

        assert watch.said(SAM) == (True, True)


# People ---------------------------------------------------------------------------------------------------------------


def test_nobody_is_off_call_until_slack_says_who_is_on() -> None:
    with watching(a_shift("PSAM", email="sam@example.com")) as watch:
        watch.is_slack_away = True
        assert (watch.said(SAM), watch.said(EVE)) == (None, None)

        watch.is_slack_away, watch.mail = False, {"sam@example.com": SAM}
        watch.clock.advance(REMAP_AFTER)
        watch.refresh()
        assert (watch.said(SAM), watch.said(EVE)) == ((True, True), (False, False))


def test_deactivated_person_is_not_notified() -> None:
    with watching(a_shift(SAM), a_shift(KIM)) as watch:
        watch.roster.check_people(lambda user_id: user_id != SAM)
        watch.refresh()

        assert watch.roster.on_call_now(PRIMARY) == (KIM,)
        (state,) = watch.roster.snapshot()
        assert {each.person.name: bool(each.who.problem) for each in state.shifts} == {SAM: True, KIM: False}


def test_other_ids_of_a_person_are_on_call_too() -> None:
    policy = a_policy(more="same_person: [[U0SAM, W0SAM]]")
    with watching(a_shift(SAM), policy=policy) as watch:
        assert watch.said(UserId("W0SAM")) == (True, True)


# A policy that changes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        a_policy("{primary: {demo: {schedule: two}}}"),
        a_policy(more='people: {U0KIM: {"on-call:primary": U0SAM}}'),
    ],
    ids=["source", "people"],
)
def test_changed_schedule_forgets_its_answer(changed: Policy) -> None:
    with watching(a_shift(SAM)) as watch:
        watch.refresh()
        watch.file.policy = changed

        assert watch.said(SAM, wait=0.0) is None
        assert watch.source.closed == 1


def test_unchanged_schedule_keeps_its_answer() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.refresh()
        watch.file.policy = a_policy("{primary: {demo: {schedule: one}}, night: {demo: {schedule: two}}}")

        assert watch.said(SAM, wait=0.0) == (True, True)
        assert [each.name for each in watch.roster.snapshot()] == [PRIMARY, NIGHT]


def test_schedule_that_left_the_policy_is_not_known() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.refresh()
        watch.file.policy = a_policy("{night: {demo: {schedule: two}}}")

        assert watch.said(SAM) is None
        assert watch.roster.on_call_now(PRIMARY) is None


def test_source_is_closed_after_the_look_up_that_was_in_flight() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.source.hold()
        watch.said(SAM, wait=0.0)
        watch.source.wait_until_asked()
        (flight,) = [each.flight for each in watch.roster._schedules().values()]  # noqa: SLF001 - its end is waited for
        watch.file.policy = a_policy("{night: {demo: {schedule: two}}}")
        watch.roster.snapshot()
        assert watch.source.closed == 0

        watch.source.release()
        assert flight is not None
        flight.result(10)
        assert watch.source.closed == 1


# Starting and stopping ------------------------------------------------------------------------------------------------


def test_roster_that_was_started_looks_up_without_being_asked() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.roster.start()
        watch.source.wait_until_asked()


def test_roster_that_was_closed_asks_nothing() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.roster.start()
        watch.source.wait_until_asked()
        watch.roster.close()
        watch.clock.advance(HOUR)

        assert watch.said(KIM) is None
        assert len(watch.source.asked) == 1


def test_metrics_know_how_old_answers_are() -> None:
    with watching(a_shift(SAM)) as watch:
        watch.refresh()
        watch.clock.advance(MINUTE - SECOND)
        assert (watch.roster.ages(), watch.roster.count_unknown()) == ({"demo": 59.0}, 0)

        watch.clock.advance(SECOND)
        assert watch.roster.count_unknown() == 1
