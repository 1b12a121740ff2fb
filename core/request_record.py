"""What a request says: the stored fields, and what follows from them without changing anything.

Invariant: it only reads. What may change, and when, is in `core/request.py`; what always holds in
`core/request_consistency.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field, JsonValue

from core.access.right import ValidRight
from core.actor import UserId, ValidDeciderId, ValidUserId
from core.approval import Approval, Comment, counting, keeps_votes, shortest
from core.clock import UtcTime, format_time
from core.question import Question, keeps_questions
from core.record import AccessRecord, RecordId, RuleName, digest_content
from core.request_bounds import (
    FIXED_WHEN_MADE,
    DeviceLabel,
    Justification,
    ServiceLabel,
    TicketLabel,
    TicketProblem,
)
from core.request_status import REQUEST_MACHINE, RequestStatus

_ASKER_VOTED: Final = "given by the person who asked for it"
_BEFORE_CONFIRMATION: Final = "given before the requester confirmed that they want it"


def find_opening(decided_at: datetime, starts_at: datetime | None) -> datetime:
    """When access opens that was decided on at this moment, and asked for from that one."""
    return decided_at if starts_at is None else max(decided_at, starts_at)


class RequestRecord(AccessRecord):
    """The fields of a request. `raised_approvals` is what a stricter policy asked for since it was made.

    `asked_by` is who asked for it, when that is somebody else than `requester`, the person who gets the access;
    `confirmed_at` is when the requester said that they want it, `cancelled_by` who cancelled it, if not the requester.
    `bundle` is what requests that were made together have in common. `starts_at` is when the access is to start, if not
    with the approval; it is the deadline, too. `ticket` is what it is for; `ticket_problem` says why that couldn't be
    checked when it was last looked at. `escalated_steps` is how many steps of its rule's escalation were announced; who
    may decide doesn't depend on it.
    """

    GAINING: ClassVar[tuple[str, ...]] = (
        "approvals", "reminded_at", "raised_approvals", "confirmed_at", "questions", "escalated_steps",
    )  # fmt: skip
    LEFT_OUT: ClassVar[frozenset[str]] = AccessRecord.LEFT_OUT | {"escalated_steps"}
    requester: ValidUserId
    justification: Justification
    rule: RuleName
    rights: tuple[ValidRight, ...] = ()
    service: ServiceLabel | None = None
    device: DeviceLabel | None = None
    device_id: RecordId | None = None
    asked_by: ValidUserId | None = None
    bundle: RecordId | None = None
    ticket: TicketLabel | None = None
    ticket_problem: TicketProblem | None = None
    starts_at: UtcTime | None = None
    required_approvals: int
    approvals: tuple[Approval, ...] = ()
    questions: tuple[Question, ...] = ()
    status: RequestStatus = RequestStatus.PENDING
    approver: ValidDeciderId | None = None
    approver_comment: Comment | None = None
    decided_at: UtcTime | None = None
    reminded_at: UtcTime | None = None
    confirmed_at: UtcTime | None = None
    access_ends_at: UtcTime | None = None
    replaced_by: RecordId | None = None
    cancelled_by: ValidUserId | None = None
    raised_approvals: int | None = None
    escalated_steps: Annotated[int, Field(ge=0)] = 0

    def is_overdue(self, now: datetime) -> bool:
        """True when nobody decided in time, whether or not that is recorded yet."""
        return self.status is RequestStatus.PENDING and now >= self.expires_at

    def is_granting(self, now: datetime) -> bool:
        """True while the request gives access: not before the start that was asked for."""
        return self.has_time_left(now) and not self.is_ahead(now)

    def is_ahead(self, now: datetime) -> bool:
        """True for approved access that opens later."""
        opens_at = self.access_opens_at
        # Of access from now on, the decision itself opens it, by whichever clock that was.
        return self.starts_at is not None and opens_at is not None and now < opens_at

    def has_time_left(self, now: datetime) -> bool:
        """True while the request gives access, or will: it was approved, and its window isn't over."""
        return self.access_ends_at is not None and now < self.access_ends_at

    @property
    def access_opens_at(self) -> datetime | None:
        """When the window of access opens or opened: with the approval, or at the start that was asked for."""
        if self.access_ends_at is None or self.decided_at is None:
            return None
        opens_at = find_opening(self.decided_at, self.starts_at)
        # What an older version approved, which knows nothing of a start, opened with the approval.
        return opens_at if self.access_ends_at == opens_at + self.granted_duration else self.decided_at

    @property
    def ahead(self) -> timedelta | None:
        """How far ahead its start was when it was made; None for access from now on."""
        return self.starts_at - self.created_at if self.starts_at is not None else None

    @property
    def halfway(self) -> datetime | None:
        """When half of the wait for its start is over: people are reminded then at the latest. None for access now."""
        return self.waits_since + (self.starts_at - self.waits_since) / 2 if self.starts_at is not None else None

    def has_approval_by(self, approver: str) -> bool:
        """True when this person's vote counts already."""
        voters = {approval.approver for approval in self.counting_approvals}
        return approver in voters - self.find_void().keys()

    def find_void(self) -> dict[UserId, str]:
        """Votes that only an older version counts, which knows nothing of people who ask for others; with the reason.

        They lapse with the next vote.
        """
        if self.asked_by is None or self.confirmed_at is None:
            return {}
        early = {each.approver: _BEFORE_CONFIRMATION for each in self.approvals if each.at < self.confirmed_at}
        return early | {each.approver: _ASKER_VOTED for each in self.approvals if each.approver == self.asked_by}

    @property
    def counting_approvals(self) -> tuple[Approval, ...]:
        """The votes that have not lapsed, in their order."""
        return counting(self.approvals)

    @property
    def granted_duration(self) -> timedelta:
        """How long the access is: the shortest that a vote which counts gave, or else as long as was asked."""
        return shortest(self.approvals, self.duration)

    @property
    def is_unconfirmed(self) -> bool:
        """True when the person whom somebody asked for never said that they want the access."""
        return self.asked_by is not None and self.confirmed_at is None

    @property
    def awaits_confirmation(self) -> bool:
        """True while the person whom somebody asked for has not said yet that they want the access."""
        return self.status is RequestStatus.PENDING and self.is_unconfirmed

    @property
    def own_words(self) -> str:
        """The justification in the requester's own words; nothing where somebody else asked, and wrote it."""
        return self.justification if self.asked_by is None else ""

    @property
    def waits_since(self) -> datetime:
        """Since when it waits for approvers: since it was made, or since its requester confirmed it."""
        return self.confirmed_at or self.created_at

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
        """Votes and questions are only ever added; a reminder and a confirmation stay.

        A vote may lapse, once, and changes in nothing else. A question may be answered, once.
        """
        lost = [] if keeps_votes(stored.get("approvals"), self.approvals) else ["approvals"]
        if not keeps_questions(stored.get("questions"), self.questions):
            lost.append("questions")
        for name, at in (("reminded_at", self.reminded_at), ("confirmed_at", self.confirmed_at)):
            was = stored.get(name)
            if was is not None and (at is None or was != format_time(at)):
                lost.append(name)
        raised = stored.get("raised_approvals")
        if isinstance(raised, int) and raised > self.quorum:
            lost.append("raised_approvals")
        escalated = stored.get("escalated_steps")
        if isinstance(escalated, int) and escalated > self.escalated_steps:
            lost.append("escalated_steps")
        return tuple(lost)
