"""A request for access to a profile, from its submission to the one decision that ends it.

Invariant: one decision, made once. A transition of a final request either changes nothing at all (the same person made
the same decision again) or raises InvalidStateTransition; it never touches who decided, the comment, the window or the
duration. The deadline is a fact of the clock: after `expires_at` a pending request can only become expired. A vote that
lapsed stays in the record and doesn't count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NewType, Self

from pydantic import model_validator

from core import question
from core.access.right import Right
from core.actor import DeciderId, ProfileName, UserId, by_policy
from core.approval import COMMENT_LENGTH, Approval, counting, lapse, shortest
from core.clock import new_id
from core.duty import OnCallName
from core.errors import InvalidStateTransition, NotAllowed
from core.request_bounds import (
    DEFAULT_DECIDE_WITHIN,
    DEFAULT_DURATION,
    JUSTIFICATION_LENGTH,
    MAX_APPROVALS,
    MAX_DECIDE_WITHIN,
    MAX_DURATION,
    check_bounds,
    find_shorter,
)
from core.request_consistency import find_broken_rule
from core.request_record import RequestRecord, find_opening
from core.request_status import REQUEST_MACHINE, RequestStatus

__all__ = [
    "COMMENT_LENGTH", "DEFAULT_DECIDE_WITHIN", "DEFAULT_DURATION", "JUSTIFICATION_LENGTH", "MAX_APPROVALS",
    "MAX_DECIDE_WITHIN", "MAX_DURATION", "REQUEST_MACHINE", "Approval", "Request", "RequestId", "RequestStatus",
]  # fmt: skip

RequestId = NewType("RequestId", str)
_ONLY_THEY = "only the requester, and the person who asked for them, can {} this request"
NOT_CONFIRMED = "{requester} has not confirmed yet that they want this access"


class Request(RequestRecord):
    """A person's request for `rights`, under `rule`, and how it changes."""

    KIND: ClassVar[str] = "REQUEST"
    NOUN: ClassVar[str] = "request"

    @classmethod
    def submit(
        cls,
        *,
        requester: UserId,
        profile: ProfileName,
        justification: str,
        rule: str,
        now: datetime,
        duration: timedelta = DEFAULT_DURATION,
        required_approvals: int = 1,
        decide_within: timedelta = DEFAULT_DECIDE_WITHIN,
        rights: tuple[Right, ...] = (),
        request_id: RequestId | None = None,
    ) -> Self:
        """A new pending request. Raises InvalidInput, naming the field, for anything out of bounds."""
        return cls(
            id=request_id or new_id(),
            requester=requester,
            profile=profile,
            justification=justification,
            duration=duration,
            rule=rule,
            rights=rights,
            required_approvals=required_approvals,
            created_at=now,
            updated_at=now,
            expires_at=now + decide_within,
        )

    def schedule(self, starts_at: datetime) -> Self:
        """The same new request, of access that opens then: people can decide until then. Raises InvalidInput."""
        return self.replace(starts_at=starts_at, expires_at=starts_at)

    def approve(
        self,
        approver: UserId,
        now: datetime,
        comment: str | None = None,
        *,
        duration: timedelta | None = None,
        quorum: int = 0,
        lapsed: Mapping[UserId, str] | None = None,
        on_call: OnCallName | None = None,
    ) -> Self:
        """Count one approver's vote; the last one needed approves the request and opens the window of access.

        `duration` is how much time this vote gives, if less than was asked: the shortest counts. `quorum` is how many
        approvals the policy asks for now: it counts if it is more than before. `lapsed` are the approvers whose votes
        no longer count, each with the reason. `on_call` is the schedule that let them vote. A person who voted already
        gets the same request back.

        Raises InvalidInput for more time than was asked; NotAllowed for the requester, for the person who asked, and
        before the requester confirmed; InvalidStateTransition when it is decided or its time has passed.
        """
        self._refuse_involved(approver, "approve")
        status = self._status_at(now)
        if status in {RequestStatus.PENDING, RequestStatus.APPROVED} and self.has_approval_by(approver):
            return self
        self._check(RequestStatus.APPROVED, now)
        self.require_confirmed("approve")
        less = find_shorter(duration, self.duration)
        vote = Approval(approver=approver, at=now, comment=comment, duration=less, on_call=on_call)
        approvals = (*lapse(self.approvals, {**(lapsed or {}), **self.find_void()}, now), vote)
        raised = quorum if quorum > self.quorum else self.raised_approvals
        if len(counting(approvals)) < max(self.quorum, quorum):
            return self.replace(approvals=approvals, raised_approvals=raised)
        return self._approved(DeciderId(approver), now, comment, approvals)

    def approve_by_policy(self, now: datetime) -> Self:
        """Approve at once, by the rule under which the request was made: a decision of the policy, not of a person."""
        self._check(RequestStatus.APPROVED, now)
        self.require_confirmed("approve")
        return self._approved(by_policy(self.rule), now, None, self.approvals)

    def deny(self, approver: UserId, now: datetime, reason: str) -> Self:
        """Deny the request. The person who denied it already gets the same request back.

        Raises NotAllowed for the requester, for the person who asked, and before the requester confirmed;
        InvalidStateTransition when the request is decided or its time has passed.
        """
        self._refuse_involved(approver, "deny")
        if self.status is RequestStatus.DENIED and self.approver == DeciderId(approver):
            return self
        self._check(RequestStatus.DENIED, now)
        self.require_confirmed("deny")
        return self.replace(
            status=RequestStatus.DENIED, approver=DeciderId(approver), approver_comment=reason, decided_at=now
        )

    def cancel(self, person: UserId, now: datetime, replaced_by: str | None = None) -> Self:
        """Take the request back, perhaps for a break-glass event. Its requester may, and who asked for them.

        Idempotent. Raises NotAllowed, InvalidStateTransition.
        """
        self.find_speaker((person,), "cancel")
        if self.status is RequestStatus.CANCELLED:
            return self
        self._check(RequestStatus.CANCELLED, now)
        by = person if person != self.requester else None
        return self.replace(status=RequestStatus.CANCELLED, decided_at=now, replaced_by=replaced_by, cancelled_by=by)

    def confirm(self, person: UserId, now: datetime) -> Self:
        """The requester says that they want what somebody asked for them. Confirmed already: the same request.

        Raises NotAllowed for everybody else, InvalidStateTransition when it is decided or its time has passed.
        """
        if person != self.requester or self.asked_by is None:
            raise NotAllowed("confirm", ("only the person who gets the access can confirm that they want it",))
        self._check(RequestStatus.PENDING, now)
        return self if self.confirmed_at is not None else self.replace(confirmed_at=now)

    def ask(self, approver: UserId, text: str, now: datetime) -> Self:
        """Ask the requester something. The same question by the same person, still open: the same request.

        Raises InvalidInput, NotAllowed for the requester and the person who asked, InvalidStateTransition.
        """
        self._refuse_involved(approver, "ask about")
        self._check(RequestStatus.PENDING, now)
        asked = question.ask(self.questions, approver, text, now)
        return self if asked is self.questions else self.replace(questions=asked)

    def answer(self, person: UserId, number: int, text: str, now: datetime) -> Self:
        """Answer a question: the requester may, and who asked for them. The same answer again: the same request.

        Raises InvalidInput, NotAllowed for everybody else, InvalidStateTransition.
        """
        self.find_speaker((person,), "answer")
        self._check(RequestStatus.PENDING, now)
        answered = question.answer(self.questions, number, person, text, now)
        return self if answered is self.questions else self.replace(questions=answered)

    def expire(self, now: datetime) -> Self:
        """Record that the deadline passed. Raises InvalidStateTransition before it, and when somebody decided."""
        if self.status is RequestStatus.EXPIRED:
            return self
        self._check(RequestStatus.EXPIRED, self.created_at)
        if not self.is_overdue(now):
            reason = "its deadline has not passed"
            raise InvalidStateTransition(self.chain, self.status, RequestStatus.EXPIRED, reason=reason)
        return self.replace(status=RequestStatus.EXPIRED)

    def remind(self, now: datetime) -> Self:
        """Record that the approvers are reminded. A pending request that was reminded already stays the same.

        Raises InvalidStateTransition when the request is decided or its time has passed.
        """
        self._check(RequestStatus.PENDING, now)
        return self if self.reminded_at is not None else self.replace(reminded_at=now)

    def escalate(self, steps: int, now: datetime) -> Self:
        """Record that this many steps of its escalation are announced. If they were already, it stays the same.

        Raises NotAllowed before the requester confirmed, InvalidStateTransition when it is decided or its time passed.
        """
        self._check(RequestStatus.PENDING, now)
        self.require_confirmed("escalate")
        return self if steps <= self.escalated_steps else self.replace(escalated_steps=steps)

    def check_pending(self, now: datetime) -> None:
        """Raises InvalidStateTransition, which says who decided, unless it still waits for a decision."""
        self._check(RequestStatus.PENDING, now)

    def find_speaker(self, ids: Sequence[UserId], action: str) -> UserId:
        """Which of a person's ids speaks for this request: the requester's, or that of who asked for them.

        Raises NotAllowed for everybody else.
        """
        found = next((each for each in (self.requester, self.asked_by) if each in ids), None)
        if found is None:
            only = "only the requester can {} a request" if self.asked_by is None else _ONLY_THEY
            raise NotAllowed(action, (only.format(action),))
        return found

    def require_confirmed(self, action: str) -> None:
        """Raises NotAllowed while the person whom somebody asked for has not confirmed that they want the access."""
        if self.awaits_confirmation:
            raise NotAllowed(action, (NOT_CONFIRMED.format(requester=self.requester),), unmet=("confirmation",))

    @property
    def ended_by(self) -> tuple[str | None, datetime | None]:
        """Who decided or cancelled, and when."""
        if self.status is RequestStatus.CANCELLED:
            return self.cancelled_by or self.requester, self.decided_at
        return self.approver, self.decided_at

    def _approved(
        self, approver: DeciderId, now: datetime, comment: str | None, approvals: tuple[Approval, ...]
    ) -> Self:
        return self.replace(
            status=RequestStatus.APPROVED,
            approver=approver,
            approver_comment=comment,
            approvals=approvals,
            decided_at=now,
            access_ends_at=find_opening(now, self.starts_at) + shortest(approvals, self.duration),
        )

    def _status_at(self, now: datetime) -> RequestStatus:
        return RequestStatus.EXPIRED if self.is_overdue(now) else self.status

    def _check(self, target: RequestStatus, now: datetime) -> None:
        status = self._status_at(now)
        by, at = self.ended_by
        if status is RequestStatus.EXPIRED:
            at = self.expires_at
        REQUEST_MACHINE.check(self.chain, status, target, decided_by=by, decided_at=at)

    def _refuse_involved(self, approver: UserId, action: str) -> None:
        # The policy refuses this too; here it holds even if a policy is wrong.
        if approver == self.requester:
            raise NotAllowed(action, ("nobody decides on their own request",))
        if approver == self.asked_by:
            raise NotAllowed(action, ("nobody decides on a request that they made for somebody else",))

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        check_bounds(self.duration, self.expires_at - self.created_at, self.required_approvals)
        if (rule := find_broken_rule(self)) is not None:
            raise ValueError(rule)
        return self
