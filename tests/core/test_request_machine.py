"""A request under every order of events, against a model of a few lines, with a clock that also goes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.actor import UserId
from core.errors import InvalidStateTransition, NotAllowed
from core.request import Request
from tests.builders import DAY, HOUR, REQUESTER, a_request
from tests.harness.clock import A_MOMENT

PEOPLE = (REQUESTER, *(UserId(f"U0PERSON{number}") for number in range(4)))
people = st.sampled_from(PEOPLE)


class RequestMachine(RuleBasedStateMachine):
    """The model: who voted, reminders, announced steps, the end (a word, by whom, when), and nothing else."""

    @initialize(
        needed=st.integers(1, 3), wait=st.sampled_from([HOUR, DAY]), duration=st.sampled_from([HOUR / 2, HOUR]),
        ahead=st.sampled_from([None, HOUR, DAY]),
    )  # fmt: skip
    def submit(self, needed: int, wait: timedelta, duration: timedelta, ahead: timedelta | None) -> None:
        self.now = A_MOMENT
        self.request = a_request(required_approvals=needed, decide_within=wait, duration=duration)
        if ahead is not None:
            self.request = self.request.schedule(A_MOMENT + ahead)
        self.made = self.request
        self.voters: list[UserId] = []
        self.end: tuple[str, str | None, datetime | None] | None = None
        self.ended: Request | None = None
        self.reminded_at: datetime | None = None
        self.steps = 0

    @rule(step=st.sampled_from([-HOUR, -timedelta(microseconds=1), timedelta(microseconds=1), HOUR / 2, HOUR, DAY]))
    def move_clock(self, step: timedelta) -> None:
        self.now += step

    @rule(who=people)
    def approve(self, who: UserId) -> None:
        may = who != REQUESTER
        if may and who in self.voters and (self.end is None or self.end[0] == "approved") and not self._is_too_late():
            assert self.request.approve(who, self.now, "again") is self.request
        elif self._must_refuse(lambda: self.request.approve(who, self.now, "yes"), NotAllowed if not may else None):
            return
        else:
            self.request = self.request.approve(who, self.now, "yes")
            self.voters.append(who)
            if len(self.voters) == self.made.required_approvals:
                self._end("approved", who)

    @rule()
    def approve_by_policy(self) -> None:
        if not self._must_refuse(lambda: self.request.approve_by_policy(self.now), None):
            self.request = self.request.approve_by_policy(self.now)
            self._end("approved", "policy:prod")

    @rule(who=people)
    def deny(self, who: UserId) -> None:
        if self.end is not None and self.end[:2] == ("denied", who):
            assert self.request.deny(who, self.now, "no again") is self.request
        elif not self._must_refuse(
            lambda: self.request.deny(who, self.now, "no"), NotAllowed if who == REQUESTER else None
        ):
            self.request = self.request.deny(who, self.now, "no")
            self._end("denied", who)

    @rule(who=people)
    def cancel(self, who: UserId) -> None:
        if who == REQUESTER and self.end is not None and self.end[0] == "cancelled":
            assert self.request.cancel(who, self.now) is self.request
        elif not self._must_refuse(
            lambda: self.request.cancel(who, self.now), NotAllowed if who != REQUESTER else None
        ):
            self.request = self.request.cancel(who, self.now)
            self._end("cancelled", REQUESTER)

    @rule()
    def expire(self) -> None:
        if self.end is not None and self.end[0] == "expired":
            assert self.request.expire(self.now) is self.request
        elif self._is_too_late():
            self.request = self.request.expire(self.now)
            self.end, self.ended = ("expired", None, None), self.request
        else:
            assert self._refusal(lambda: self.request.expire(self.now)) is InvalidStateTransition

    @rule()
    def remind(self) -> None:
        if self._must_refuse(lambda: self.request.remind(self.now), None):
            return
        before, self.request = self.request, self.request.remind(self.now)
        assert (self.request is before) == (self.reminded_at is not None)
        self.reminded_at = self.reminded_at or self.now

    @rule(steps=st.integers(1, 3))
    def escalate(self, steps: int) -> None:
        if self._must_refuse(lambda: self.request.escalate(steps, self.now), None):
            return
        before, self.request = self.request, self.request.escalate(steps, self.now)
        assert (self.request is before) == (steps <= self.steps)
        self.steps = max(self.steps, steps)

    @invariant()
    def the_record_is_what_the_model_says(self) -> None:
        status, by, at = self.end or ("pending", None, None)
        assert self.request.status == status
        assert self.request.ended_by == (by, at)
        assert [approval.approver for approval in self.request.approvals] == self.voters
        assert self.request.reminded_at == self.reminded_at
        assert self.request.escalated_steps == self.steps
        assert self.request.is_overdue(self.now) == self._is_too_late()
        starts_at = self.made.starts_at
        opened = (max(at, starts_at) if starts_at else at) if status == "approved" and at else None
        has_time_left = opened is not None and self.now < opened + self.made.duration
        assert self.request.has_time_left(self.now) == has_time_left
        is_ahead = starts_at is not None and self.now < starts_at
        assert self.request.is_granting(self.now) == (has_time_left and not is_ahead)

    @invariant()
    def what_was_asked_never_changes_and_an_end_never_either(self) -> None:
        assert self.request.facts_to_keep() == self.made.facts_to_keep()
        assert self.ended in (None, self.request)
        assert Request.from_item(self.request.to_item()) == self.request

    def _is_too_late(self) -> bool:
        return self.end is None and self.now >= self.made.expires_at

    def _end(self, status: str, by: str) -> None:
        self.end, self.ended = (status, by, self.now), self.request

    def _must_refuse(self, event: Callable[[], object], first: type[Exception] | None) -> bool:
        """A person without the right is refused in any state; after its end, recorded or not, everybody is refused."""
        expected = first or (InvalidStateTransition if self.end is not None or self._is_too_late() else None)
        if expected is not None:
            assert self._refusal(event) is expected
        return expected is not None

    @staticmethod
    def _refusal(event: Callable[[], object]) -> type[Exception] | None:
        try:
            event()
        except (InvalidStateTransition, NotAllowed) as refusal:
            return type(refusal)
        return None


TestRequestMachine = RequestMachine.TestCase
TestRequestMachine.settings = settings(max_examples=40, stateful_step_count=30)
