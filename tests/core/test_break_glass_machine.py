"""A break-glass event under every order of events, against a model of a few lines, with a clock that also goes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.actor import UserId
from core.break_glass import BreakGlassEvent
from core.errors import InvalidStateTransition, NotAllowed
from core.review import Verdict
from tests.builders import HOUR, INVOKER, an_event
from tests.harness.clock import A_MOMENT

people = st.sampled_from((INVOKER, UserId("U0PERSON1"), UserId("U0PERSON2")))
NOTES = "Nothing else would have helped"


class EventMachine(RuleBasedStateMachine):
    """The model: the end (a word, by whom, when), the reviewer, and when people were asked last."""

    @initialize(duration=st.sampled_from([HOUR / 2, HOUR, 4 * HOUR]))
    def invoke(self, duration: timedelta) -> None:
        self.now = A_MOMENT
        self.event = an_event(duration=duration)
        self.deadline = A_MOMENT + duration
        self.end: tuple[str, str | None, datetime | None] = ("active", None, None)
        self.reviewer: UserId | None = None
        self.asked_at: datetime | None = None
        self.reminded_at: datetime | None = None

    @rule(step=st.sampled_from([-HOUR, -timedelta(microseconds=1), timedelta(microseconds=1), HOUR / 2, HOUR]))
    def move_clock(self, step: timedelta) -> None:
        self.now += step

    @rule(who=people)
    def close(self, who: UserId) -> None:
        if self.end[:2] == ("closed", who):
            assert self.event.close(who, self.now, "closed already") is self.event
        elif self.end[0] != "active" or self._is_too_late():
            assert _refusal(lambda: self.event.close(who, self.now, "closing it")) is InvalidStateTransition
        else:
            self.event = self.event.close(who, self.now, "closing it")
            self.end = ("closed", who, self.now)

    @rule()
    def expire(self) -> None:
        if self.end[0] == "expired":
            assert self.event.expire(self.now) is self.event
        elif self._is_too_late():
            self.event = self.event.expire(self.now)
            self.end = ("expired", None, None)
        else:
            assert _refusal(lambda: self.event.expire(self.now)) is InvalidStateTransition

    @rule()
    def ask(self) -> None:
        if self.end[0] != "active" or self._is_too_late():
            assert _refusal(lambda: self.event.ask(self.now)) is InvalidStateTransition
        else:
            self.event = self.event.ask(self.now)
            self.asked_at = self.asked_at or self.now

    @rule()
    def remind(self) -> None:
        if self.end[0] == "active" or self.reviewer is not None:
            assert _refusal(lambda: self.event.remind(self.now)) is InvalidStateTransition
        else:
            self.event = self.event.remind(self.now)
            self.reminded_at = self.now

    @rule(who=people, verdict=st.sampled_from(Verdict))
    def review(self, who: UserId, verdict: Verdict) -> None:
        if who == INVOKER:
            assert _refusal(lambda: self.event.add_review(who, self.now, verdict, NOTES)) is NotAllowed
        elif self.reviewer == who:
            assert self.event.add_review(who, self.now, verdict, NOTES) is self.event
        elif self.reviewer is not None or self.end[0] == "active":
            assert _refusal(lambda: self.event.add_review(who, self.now, verdict, NOTES)) is InvalidStateTransition
        else:
            self.event = self.event.add_review(who, self.now, verdict, NOTES)
            self.reviewer = who

    @invariant()
    def the_record_is_what_the_model_says(self) -> None:
        status, by, at = self.end
        assert self.event.status == status
        assert self.event.ended_by == (by, at)
        assert (self.event.review and self.event.review.reviewer) == self.reviewer
        assert (self.event.asked_at, self.event.reminded_at) == (self.asked_at, self.reminded_at)
        assert self.event.is_overdue(self.now) == self._is_too_late()
        assert self.event.is_granting(self.now) == (status == "active" and self.now < self.deadline)
        assert BreakGlassEvent.from_item(self.event.to_item()) == self.event

    def _is_too_late(self) -> bool:
        return self.end[0] == "active" and self.now >= self.deadline


def _refusal(change: Callable[[], object]) -> type[Exception] | None:
    try:
        change()
    except (InvalidStateTransition, NotAllowed) as refusal:
        return type(refusal)
    return None


TestEventMachine = EventMachine.TestCase
TestEventMachine.settings = settings(max_examples=40, stateful_step_count=30)
