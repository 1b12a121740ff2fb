"""A break-glass event: access taken in an emergency, seen by everybody, ended on time, and answered for afterwards.

Its statuses and the moves between them are in `event_status`.

Invariant: an ended event never changes again, save that it gains its review, once, by somebody who did not invoke
it, and until then the moment of the last reminder. An event past `expires_at` grants nothing and blocks nobody,
whether or not anything has recorded its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final, NewType, Self

from pydantic import JsonValue, model_validator

from core.access.right import Right, ValidRight
from core.actor import ChannelId, ProfileName, UserId, ValidChannelId, ValidUserId
from core.clock import UtcTime, new_id
from core.duration import check_duration
from core.errors import InvalidStateTransition, NotAllowed
from core.event_status import EVENT_MACHINE, EventStatus, ReasonCode
from core.record import AccessRecord, RecordId, RuleName
from core.review import Review, Verdict
from core.text import text_rule

__all__ = [
    "AWAITS_REVIEW", "DEFAULT_DURATION", "EVENT_MACHINE", "JUSTIFICATION_LENGTH", "MAX_DURATION", "MAX_PROBLEM_LENGTH",
    "REASON_LENGTH", "BreakGlassEvent", "EventId", "EventStatus", "ReasonCode",
]  # fmt: skip

EventId = NewType("EventId", str)
MAX_DURATION: Final = timedelta(hours=4)
DEFAULT_DURATION: Final = timedelta(hours=1)
JUSTIFICATION_LENGTH: Final = (20, 1000)
REASON_LENGTH: Final = (3, 500)
MAX_PROBLEM_LENGTH: Final = 500
AWAITS_REVIEW: Final = "review"


class BreakGlassEvent(AccessRecord):
    """One emergency access. `rule` is the policy rule that allowed it; `request_id` isn't used yet.

    `declared_in` is the Slack channel where it was declared, if any; `instead_of` is the pending request that it
    replaced; `asked_at` is when the invoker was asked whether it is over, `reminded_at` when reviewers were reminded
    last. `rights` is what it gives, found for the invoker when it was declared; `access_problem` is why rights of the
    profile are not among them.
    """

    KIND: ClassVar[str] = "BREAKGLASS"
    NOUN: ClassVar[str] = "event"

    invoker: ValidUserId
    justification: Annotated[
        str, text_rule("justification", at_least=JUSTIFICATION_LENGTH[0], at_most=JUSTIFICATION_LENGTH[1])
    ]
    reason_code: ReasonCode
    rule: RuleName
    rights: tuple[ValidRight, ...] = ()
    access_problem: Annotated[str, text_rule("access problem", at_least=1, at_most=MAX_PROBLEM_LENGTH)] | None = None
    request_id: RecordId
    status: EventStatus = EventStatus.ACTIVE
    mfa_verified: bool = False
    mfa_method: Annotated[str, text_rule("mfa method", at_least=1, at_most=100)] | None = None
    declared_in: ValidChannelId | None = None
    instead_of: RecordId | None = None
    asked_at: UtcTime | None = None
    reminded_at: UtcTime | None = None
    closed_by: ValidUserId | None = None
    closed_reason: Annotated[str, text_rule("reason", at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])] | None = (
        None
    )
    closed_at: UtcTime | None = None
    review: Review | None = None

    @classmethod
    def invoke(  # noqa: PLR0913 - one argument for each fact that is fixed here
        cls,
        *,
        invoker: UserId,
        profile: ProfileName,
        reason_code: ReasonCode,
        justification: str,
        rule: str,
        now: datetime,
        duration: timedelta = DEFAULT_DURATION,
        mfa_method: str | None = None,
        declared_in: ChannelId | None = None,
        instead_of: str | None = None,
        rights: tuple[Right, ...] = (),
        access_problem: str | None = None,
        event_id: EventId | None = None,
    ) -> Self:
        """A new active event. Raises InvalidInput, naming the field, for anything out of bounds."""
        check_duration("duration", duration, MAX_DURATION)
        return cls(
            id=event_id or new_id(),
            invoker=invoker,
            profile=profile,
            reason_code=reason_code,
            justification=justification,
            duration=duration,
            rule=rule,
            request_id=new_id(),
            created_at=now,
            updated_at=now,
            expires_at=now + duration,
            mfa_verified=mfa_method is not None,
            mfa_method=mfa_method,
            declared_in=declared_in,
            instead_of=instead_of,
            rights=rights,
            access_problem=access_problem,
        )

    def ask(self, now: datetime) -> Self:
        """Note that the invoker is asked whether it is over, once. Raises InvalidStateTransition when it is."""
        if not self.is_granting(now):
            status = EventStatus.EXPIRED if self.is_overdue(now) else self.status
            raise InvalidStateTransition(self.chain, status, "asked")
        return self if self.asked_at is not None else self.replace(asked_at=now)

    def close(self, closed_by: UserId, now: datetime, reason: str) -> Self:
        """End the access before its time. The person who closed it already gets the same event back.

        Raises InvalidStateTransition when somebody else closed it or its time has passed.
        """
        if self.status is EventStatus.CLOSED and self.closed_by == closed_by:
            return self
        self._check(EventStatus.CLOSED, now)
        return self.replace(status=EventStatus.CLOSED, closed_by=closed_by, closed_reason=reason, closed_at=now)

    def expire(self, now: datetime) -> Self:
        """Record that the time passed. Raises InvalidStateTransition before that, and when somebody closed it."""
        if self.status is EventStatus.EXPIRED:
            return self
        self._check(EventStatus.EXPIRED, self.created_at)
        if not self.is_overdue(now):
            raise InvalidStateTransition(self.chain, self.status, EventStatus.EXPIRED, reason="it has time left")
        return self.replace(status=EventStatus.EXPIRED)

    def add_review(
        self, reviewer: UserId, now: datetime, verdict: Verdict, notes: str, follow_up: str | None = None
    ) -> Self:
        """Answer for an ended event, once. The person who reviewed it already gets the same event back.

        Raises NotAllowed for the invoker, InvalidStateTransition while the event is active or once it is reviewed.
        """
        if reviewer == self.invoker:
            raise NotAllowed("review", ("nobody reviews their own break-glass event",))
        if self.review is not None and self.review.reviewer == reviewer:
            return self
        if self.review is not None:
            raise InvalidStateTransition(
                self.chain, "reviewed", "reviewed", decided_by=self.review.reviewer, decided_at=self.review.at
            )
        if not EVENT_MACHINE.is_final(self.status):
            raise InvalidStateTransition(self.chain, self.status, "reviewed", reason="it has not ended")
        return self.replace(review=Review(reviewer=reviewer, at=now, verdict=verdict, notes=notes, follow_up=follow_up))

    def remind(self, now: datetime) -> Self:
        """Note that its reviewers are reminded. Raises InvalidStateTransition unless it ended and has no review."""
        if not self.is_waiting_for_review:
            status = "reviewed" if self.review is not None else self.status
            raise InvalidStateTransition(self.chain, status, "reminded")
        return self.replace(reminded_at=now)

    def is_overdue(self, now: datetime) -> bool:
        """True when the time has passed but nothing has recorded that yet."""
        return self.status is EventStatus.ACTIVE and now >= self.expires_at

    def is_granting(self, now: datetime) -> bool:
        """True while the event gives access."""
        return self.status is EventStatus.ACTIVE and now < self.expires_at

    def ended_at(self, now: datetime) -> datetime | None:
        """When the access ended; None while it lasts."""
        return None if self.is_granting(now) else self.closed_at or self.expires_at

    def ask_at(self, ask_before_end: timedelta) -> datetime:
        """When the invoker is to be asked whether it is over; of a short event, when half of its time has passed."""
        return self.expires_at - min(ask_before_end, self.duration / 2)

    def review_due_at(self, review_within: timedelta) -> datetime:
        """Until when it is to be reviewed, once it has ended."""
        return (self.closed_at or self.expires_at) + review_within

    @property
    def is_closed_by_other(self) -> bool:
        """True when somebody else than its invoker closed it."""
        return self.closed_by is not None and self.closed_by != self.invoker

    @property
    def is_waiting_for_review(self) -> bool:
        """True from its end until its review, as far as its end is recorded."""
        return self.status is not EventStatus.ACTIVE and self.review is None

    @property
    def awaits(self) -> str | None:
        """A review, or nothing."""
        return AWAITS_REVIEW if self.is_waiting_for_review else None

    @property
    def state(self) -> EventStatus:
        """The event's status."""
        return self.status

    @property
    def person(self) -> UserId:
        """The invoker."""
        return self.invoker

    @property
    def ended_by(self) -> tuple[str | None, datetime | None]:
        """Who closed it and when."""
        return self.closed_by, self.closed_at

    def life_ends_at(self) -> datetime | None:
        """The moment of the review; before it the event is kept, because somebody still owes an answer."""
        return self.review.at if self.review is not None else None

    def legal_sources(self) -> frozenset[str]:
        """What only gained a question, a reminder or a review replaces the same; an end, only what has not ended."""
        if self.status is EventStatus.ACTIVE:
            return frozenset({self.status} if self.asked_at is not None else ())
        is_same = self.review is not None or self.reminded_at is not None
        return frozenset({self.status if is_same else EventStatus.ACTIVE})

    def facts_to_keep(self, item: Mapping[str, JsonValue] | None = None) -> Mapping[str, JsonValue]:
        """What was fixed when the glass was broken; once it has ended also how, and that it has no review."""
        stored = item if item is not None else self.to_item()
        facts = {name: stored.get(name) for name in _FIXED_WHEN_INVOKED}
        if self.review is not None or self.reminded_at is not None:
            return facts | {name: stored.get(name) for name in _FIXED_WHEN_ENDED} | {"review": None}
        # Nobody is asked twice, and an event that ends keeps the time of the question.
        return facts | {"asked_at": None if self.status is EventStatus.ACTIVE else stored.get("asked_at")}

    def _check(self, target: EventStatus, now: datetime) -> None:
        status = EventStatus.EXPIRED if self.is_overdue(now) else self.status
        by, at = self.closed_by, self.ended_at(now)
        if status is target:
            # Only a question, a reminder and a review, each with its own method, may keep the status.
            raise InvalidStateTransition(self.chain, status, target, decided_by=by, decided_at=at)
        EVENT_MACHINE.check(self.chain, status, target, decided_by=by, decided_at=at)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for is_kept, rule in self._consistency():
            if not is_kept:
                raise ValueError(rule)
        check_duration("duration", self.duration, MAX_DURATION)
        return self

    def _consistency(self) -> tuple[tuple[bool, str], ...]:
        is_closed = self.status is EventStatus.CLOSED
        said_by_closer = (self.closed_by, self.closed_reason, self.closed_at)
        return (
            (self.expires_at == self.created_at + self.duration, "the window lasts for the duration"),
            (all((each is not None) == is_closed for each in said_by_closer), "a closed event says who, when and why"),
            (self.mfa_verified == (self.mfa_method is not None), "a verified step-up names its method"),
            (self.review is None or self.status is not EventStatus.ACTIVE, "only an ended event has a review"),
            (self.reminded_at is None or self.status is not EventStatus.ACTIVE, "only an ended event has reminders"),
            (self.review is None or self.review.reviewer != self.invoker, "nobody reviews their own event"),
        )


_FIXED_WHEN_INVOKED: Final = (
    "invoker",
    "profile",
    "reason_code",
    "justification",
    "duration",
    "rule",
    "request_id",
    "created_at",
    "expires_at",
    "mfa_verified",
    "mfa_method",
    "declared_in",
    "instead_of",
    "rights",
    "access_problem",
)
_FIXED_WHEN_ENDED: Final = ("asked_at", "closed_by", "closed_reason", "closed_at")
