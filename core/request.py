"""A request for access to a profile, from its submission to the one decision that ends it.

Invariant: one decision, made once. A transition of a final request either changes nothing at all (the same person made
the same decision again) or raises InvalidStateTransition; it never touches who decided, the comment, the window or the
duration. The deadline is a fact of the clock: after `expires_at` a pending request can only become expired. A vote that
lapsed stays in the record and doesn't count.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, NewType, Self

from pydantic import JsonValue, model_validator

from core.access.right import Right, ValidRight
from core.actor import DeciderId, ProfileName, UserId, ValidDeciderId, ValidUserId, by_policy, is_person
from core.approval import COMMENT_LENGTH, Approval, Comment, counting, keeps_votes, lapse
from core.clock import UtcTime, format_time, new_id
from core.errors import InvalidStateTransition, NotAllowed
from core.record import AccessRecord, RecordId, RuleName, digest_content
from core.request_bounds import (
    DEFAULT_DECIDE_WITHIN,
    DEFAULT_DURATION,
    FIXED_WHEN_MADE,
    JUSTIFICATION_LENGTH,
    MAX_APPROVALS,
    MAX_DECIDE_WITHIN,
    MAX_DURATION,
    DeviceLabel,
    Justification,
    ServiceLabel,
    check_bounds,
)
from core.request_status import REQUEST_MACHINE, RequestStatus

__all__ = [
    "COMMENT_LENGTH", "DEFAULT_DECIDE_WITHIN", "DEFAULT_DURATION", "JUSTIFICATION_LENGTH", "MAX_APPROVALS",
    "MAX_DECIDE_WITHIN", "MAX_DURATION", "REQUEST_MACHINE", "Approval", "Request", "RequestId", "RequestStatus",
]  # fmt: skip

RequestId = NewType("RequestId", str)


class Request(AccessRecord):
    """A person's request for `rights`, under `rule`; `raised_approvals` is what a stricter policy asked for since."""

    KIND: ClassVar[str] = "REQUEST"
    GAINING: ClassVar[tuple[str, ...]] = ("approvals", "reminded_at", "raised_approvals")
    requester: ValidUserId
    justification: Justification
    rule: RuleName
    rights: tuple[ValidRight, ...] = ()
    service: ServiceLabel | None = None
    device: DeviceLabel | None = None
    device_id: RecordId | None = None
    required_approvals: int
    approvals: tuple[Approval, ...] = ()
    status: RequestStatus = RequestStatus.PENDING
    approver: ValidDeciderId | None = None
    approver_comment: Comment | None = None
    decided_at: UtcTime | None = None
    reminded_at: UtcTime | None = None
    access_ends_at: UtcTime | None = None
    replaced_by: RecordId | None = None
    raised_approvals: int | None = None

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

    def approve(
        self,
        approver: UserId,
        now: datetime,
        comment: str | None = None,
        *,
        quorum: int = 0,
        lapsed: Mapping[UserId, str] | None = None,
    ) -> Self:
        """Count one approver's vote; the last one needed approves the request and opens the window of access.

        `quorum` is how many approvals the policy asks for now: it counts if it is more than before. `lapsed` are the
        approvers whose votes no longer count, each with the reason. A person who voted already gets the same request
        back. Raises NotAllowed for the requester, InvalidStateTransition when it is decided or its time has passed.
        """
        self._refuse_requester(approver, "approve")
        status = self._status_at(now)
        if status in {RequestStatus.PENDING, RequestStatus.APPROVED} and self.has_approval_by(approver):
            return self
        self._check(RequestStatus.APPROVED, now)
        vote = Approval(approver=approver, at=now, comment=comment)
        approvals = (*lapse(self.approvals, lapsed or {}, now), vote)
        raised = quorum if quorum > self.quorum else self.raised_approvals
        if len(counting(approvals)) < max(self.quorum, quorum):
            return self.replace(approvals=approvals, raised_approvals=raised)
        return self._approved(DeciderId(approver), now, comment, approvals)

    def approve_by_policy(self, now: datetime) -> Self:
        """Approve at once, by the rule under which the request was made: a decision of the policy, not of a person."""
        self._check(RequestStatus.APPROVED, now)
        return self._approved(by_policy(self.rule), now, None, self.approvals)

    def deny(self, approver: UserId, now: datetime, reason: str) -> Self:
        """Deny the request. The person who denied it already gets the same request back.

        Raises NotAllowed for the requester, InvalidStateTransition when the request is decided or its time has passed.
        """
        self._refuse_requester(approver, "deny")
        if self.status is RequestStatus.DENIED and self.approver == DeciderId(approver):
            return self
        self._check(RequestStatus.DENIED, now)
        return self.replace(
            status=RequestStatus.DENIED, approver=DeciderId(approver), approver_comment=reason, decided_at=now
        )

    def cancel(self, requester: UserId, now: datetime, replaced_by: str | None = None) -> Self:
        """Take the request back, perhaps for a break-glass event; only its requester may. Idempotent."""
        if requester != self.requester:
            raise NotAllowed("cancel", ("only the requester can cancel a request",))
        if self.status is RequestStatus.CANCELLED:
            return self
        self._check(RequestStatus.CANCELLED, now)
        return self.replace(status=RequestStatus.CANCELLED, decided_at=now, replaced_by=replaced_by)

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

    def is_overdue(self, now: datetime) -> bool:
        """True when nobody decided in time, whether or not that is recorded yet."""
        return self.status is RequestStatus.PENDING and now >= self.expires_at

    def is_granting(self, now: datetime) -> bool:
        """True while the request gives access."""
        return self.access_ends_at is not None and now < self.access_ends_at

    def has_approval_by(self, approver: str) -> bool:
        """True when this person's vote counts already."""
        return any(approval.approver == approver for approval in self.counting_approvals)

    @property
    def counting_approvals(self) -> tuple[Approval, ...]:
        """The votes that have not lapsed, in their order."""
        return counting(self.approvals)

    @property
    def quorum(self) -> int:
        """How many votes approve it: as many as when it was made, or more if the policy became stricter since."""
        return max(self.required_approvals, self.raised_approvals or 0)

    @property
    def state(self) -> RequestStatus:
        """The request's status."""
        return self.status

    @property
    def person(self) -> UserId:
        """The requester."""
        return self.requester

    @property
    def ended_by(self) -> tuple[str | None, datetime | None]:
        """Who decided, or the requester who cancelled, and when."""
        return (self.requester if self.status is RequestStatus.CANCELLED else self.approver), self.decided_at

    def life_ends_at(self) -> datetime:
        """The end of the access, or of the wait, or the moment of the decision."""
        return self.access_ends_at or self.decided_at or self.expires_at

    def legal_sources(self) -> frozenset[str]:
        """The statuses from which the table allows a move to this one."""
        return REQUEST_MACHINE.sources(self.status)

    def facts_to_keep(self, item: Mapping[str, JsonValue] | None = None) -> Mapping[str, JsonValue]:
        """What was fixed when the request was made, so that people decide on exactly what was requested."""
        stored = item if item is not None else self.to_item()
        return {name: stored.get(name) for name in FIXED_WHEN_MADE}

    def facts_digest(self) -> str:
        """SHA-256 over its name and what was fixed when it was made: what an approver decides on."""
        facts = self.facts_to_keep().items()
        return digest_content({"id": self.id, **{name: value for name, value in facts if value is not None}})

    def find_lost(self, stored: Mapping[str, JsonValue]) -> tuple[str, ...]:
        """Votes are only ever added, and a reminder stays: a vote may lapse, once, and changes in nothing else."""
        lost = [] if keeps_votes(stored.get("approvals"), self.approvals) else ["approvals"]
        reminded_at = stored.get("reminded_at")
        if reminded_at is not None and (self.reminded_at is None or reminded_at != format_time(self.reminded_at)):
            lost.append("reminded_at")
        raised = stored.get("raised_approvals")
        if isinstance(raised, int) and raised > self.quorum:
            lost.append("raised_approvals")
        return tuple(lost)

    def _approved(
        self, approver: DeciderId, now: datetime, comment: str | None, approvals: tuple[Approval, ...]
    ) -> Self:
        return self.replace(
            status=RequestStatus.APPROVED,
            approver=approver,
            approver_comment=comment,
            approvals=approvals,
            decided_at=now,
            access_ends_at=now + self.duration,
        )

    def _status_at(self, now: datetime) -> RequestStatus:
        return RequestStatus.EXPIRED if self.is_overdue(now) else self.status

    def _check(self, target: RequestStatus, now: datetime) -> None:
        status = self._status_at(now)
        by, at = self.ended_by
        if status is RequestStatus.EXPIRED:
            at = self.expires_at
        REQUEST_MACHINE.check(self.chain, status, target, decided_by=by, decided_at=at)

    def _refuse_requester(self, approver: UserId, action: str) -> None:
        # The policy refuses this too; here it holds even if a policy is wrong.
        if approver == self.requester:
            raise NotAllowed(action, ("nobody decides on their own request",))

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        check_bounds(self.duration, self.expires_at - self.created_at, self.required_approvals)
        for is_kept, rule in self._consistency():
            if not is_kept:
                raise ValueError(rule)
        return self

    def _consistency(self) -> tuple[tuple[bool, str], ...]:
        approvers = {approval.approver for approval in self.approvals}
        counted = self.counting_approvals
        is_approved = self.status is RequestStatus.APPROVED
        is_decided = self.status in {RequestStatus.APPROVED, RequestStatus.DENIED}
        is_quorate = len(counted) >= self.quorum
        by_person = self.approver is not None and is_person(self.approver)
        return (
            (len({each.approver for each in counted}) == len(counted), "an approver counts once"),
            (self.requester not in approvers | {self.approver}, "nobody decides on their own request"),
            (is_decided == (self.approver is not None), "a decided request, and only it, says who decided"),
            (not is_approved or is_quorate == by_person, "people approve by quorum, the policy without one"),
            (is_approved or not is_quorate, "a quorum approves"),
            (len(counted) <= self.quorum, "no vote is counted beyond the quorum"),
            (self.raised_approvals is None or self.raised_approvals > self.required_approvals, "a quorum only rises"),
            (self.status is not RequestStatus.DENIED or self.approver_comment is not None, "a denial has a reason"),
            (is_approved == (self.access_ends_at is not None), "an approved request, and only it, has a window"),
            (
                (self.decided_at is None) == (self.status in {RequestStatus.PENDING, RequestStatus.EXPIRED}),
                "a request that somebody ended says when",
            ),
            (self.replaced_by is None or self.status is RequestStatus.CANCELLED, "only a cancelled one is replaced"),
            (
                not is_approved or self.access_ends_at == (self.decided_at or self.created_at) + self.duration,
                "the window opens with the approval and lasts for the duration",
            ),
            (self.reminded_at is None or self.reminded_at < self.expires_at, "nobody is reminded after the deadline"),
        )
