"""One attempt of a person, as a value that can be sent to another process, and what they were answered.

Invariant: an attempt goes through the services, as in production. Each has its own idea of the time, as the clocks of
two machines differ. The result is what was returned or raised, with nothing left out that a check may need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from core.actor import Actor, DeciderId, UserGroupId, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import BreakGlassEvent, EventId, EventStatus, ReasonCode
from core.directory import FixedDirectory
from core.errors import CountersignError, InvalidStateTransition, LimitReached
from core.policy import parse_policy
from core.record import Record
from core.request import Approval, Request, RequestId, RequestStatus
from core.services import BreakGlassService, RequestService
from core.stores import Stores
from tests.harness.clock import FrozenClock
from tests.harness.mfa import WrittenCodes

BEGIN: Final = datetime(2035, 1, 1, tzinfo=UTC)
"""When the races are: in the future, for DynamoDB Local deletes what its TTL calls old by the machine's clock. But not
far: to verify the trail is a query for each month until then."""
APPROVERS: Final = tuple(UserId(f"U0APPR{number:03d}") for number in range(1, 11))
REQUESTER: Final = UserId("U0REQUESTER")
INVOKERS: Final = tuple(UserId(f"U0ONCALL{number:03d}") for number in range(1, 11))
EACH: Final = tuple(f"each-{number}" for number in range(1, 5))
"""Four profiles, of which one person may have two."""
COOLDOWN: Final = timedelta(minutes=30)
QUOTA: Final = 2
OPEN_AT_ONCE: Final = 3
"""How many open requests one person may have, but for the profile three."""
HOUR: Final = timedelta(hours=1)
REMIND_AFTER: Final = HOUR
ESCALATED_TO: Final = UserId("U0STEP")
_MAX_READS: Final = 100_000

POLICY: Final = parse_policy(
    f"""
version: 1
groups: {{approvers: [{", ".join(APPROVERS)}]}}
profiles:
  one: {{channel: C0ACCESS1}}
  three: {{channel: C0ACCESS1}}
  slow: {{channel: C0ACCESS1}}
  stepped: {{channel: C0ACCESS1}}
  rare: {{channel: C0ACCESS1}}
  shared: {{channel: C0ACCESS1}}
{"".join(f"  {name}: {{channel: C0ACCESS1}}" + chr(10) for name in EACH)}
approval:
  - {{name: three, profiles: [three], approvers: [group:approvers], required_approvals: 3, max_duration: 8h}}
  - {{name: slow, profiles: [slow], approvers: [group:approvers], required_approvals: 2, max_duration: 8h,
     remind_after: 1h, max_pending: {OPEN_AT_ONCE}}}
  - {{name: stepped, profiles: [stepped], approvers: [group:approvers], required_approvals: 2, max_duration: 8h,
     escalate_after: 1h, escalate_to: [{ESCALATED_TO}], max_pending: {OPEN_AT_ONCE}}}
  - {{name: one, profiles: ["*"], approvers: [group:approvers], max_duration: 8h, max_pending: {OPEN_AT_ONCE}}}
break_glass:
  - {{name: rare, profiles: [rare], users: [S0ONCALL], max_duration: 4h, cooldown: 30m}}
  - {{name: shared, profiles: [shared], users: [S0ONCALL], max_duration: 4h, max_per_profile: {QUOTA}}}
  - {{name: each, profiles: [each-*], users: [S0ONCALL], max_duration: 4h, max_per_user: {QUOTA}}}
""".encode()
)


class Act(StrEnum):
    """What can be pressed. OVERWRITE skips the service: it writes an approval of a request that was read before."""

    SUBMIT = "submit"
    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    OVERWRITE = "overwrite"
    EXPIRE_REQUESTS = "expire requests"
    REMIND = "remind"
    ESCALATE = "escalate"
    INVOKE = "invoke"
    INVOKE_ONCE_CLOSED = "invoke once closed"
    CLOSE = "close"
    EXPIRE_EVENTS = "expire events"
    DECLARE_INSTEAD = "declare instead"
    TRY_CODE = "try code"
    ASK_INVOKERS = "ask invokers"
    REMIND_REVIEWERS = "remind reviewers"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who pressed what, and when by their instance's clock. `on` is a record's id, or the profile that is wanted.

    `key` is the idempotency key; of DECLARE_INSTEAD it is the request that is replaced, and of INVOKE_ONCE_CLOSED the
    event that has to be closed first. Of TRY_CODE it is the code, and `form` the idempotency key.
    """

    act: Act
    who: UserId
    at: datetime
    on: str = ""
    key: str | None = None
    read: Request | None = None
    form: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The answer to an attempt: the records that came back, or the name of the error and its facts."""

    attempt: Attempt
    records: tuple[Record, ...] = ()
    error: str = ""
    said: str = ""
    status: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    limit: str | None = None
    ends_at: datetime | None = None

    @classmethod
    def of_error(cls, attempt: Attempt, error: CountersignError) -> Self:
        """What an error tells. An error itself does not travel between processes."""
        name = type(error).__name__
        if isinstance(error, InvalidStateTransition):
            by, at = error.decided_by, error.decided_at
            return cls(attempt, (), name, str(error), status=str(error.status), decided_by=by, decided_at=at)
        if isinstance(error, LimitReached):
            return cls(attempt, (), name, str(error), limit=error.limit, ends_at=error.ends_at)
        return cls(attempt, (), name, str(error))

    @property
    def is_yes(self) -> bool:
        """True when the attempt did what it says."""
        return not self.error


def carry_out(stores: Stores, attempt: Attempt) -> AttemptResult:
    """Press it."""
    try:
        return AttemptResult(attempt, _ACTS[attempt.act](stores, attempt))
    except CountersignError as error:
        return AttemptResult.of_error(attempt, error)


def submit(stores: Stores, profile: str, at: datetime) -> Request:
    """A pending request, to be raced for."""
    request = _submit(stores, Attempt(Act.SUBMIT, REQUESTER, at, profile))[0]
    assert isinstance(request, Request)
    return request


def invoke(stores: Stores, profile: str, at: datetime) -> BreakGlassEvent:
    """A live event, to be raced for."""
    event = _invoke(stores, Attempt(Act.INVOKE, INVOKERS[0], at, profile))[0]
    assert isinstance(event, BreakGlassEvent)
    return event


DIRECTORY: Final = FixedDirectory({UserGroupId("S0ONCALL"): INVOKERS})


def _requests(stores: Stores, attempt: Attempt) -> RequestService:
    return RequestService(stores, POLICY, FrozenClock(attempt.at), directory=DIRECTORY)


def _events(stores: Stores, attempt: Attempt) -> BreakGlassService:
    return BreakGlassService(stores, POLICY, FrozenClock(attempt.at), mfa=WrittenCodes(), directory=DIRECTORY)


def _person(attempt: Attempt) -> Actor:
    return Actor(id=attempt.who, memberships={UserGroupId("S0ONCALL"): attempt.who in INVOKERS})


def _submit(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    why = "to see who is first"
    return (_requests(stores, attempt).submit(_person(attempt), attempt.on, HOUR, why, idempotency_key=attempt.key),)


def _approve(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    comment = f"approved by {attempt.who}"
    return (_requests(stores, attempt).approve(RequestId(attempt.on), _person(attempt), comment),)


def _deny(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    return (_requests(stores, attempt).deny(RequestId(attempt.on), _person(attempt), f"denied by {attempt.who}"),)


def _cancel(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    return (_requests(stores, attempt).cancel(RequestId(attempt.on), _person(attempt)),)


def _overwrite(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    assert attempt.read is not None
    if attempt.read.status is RequestStatus.PENDING:
        approved = attempt.read.approve(attempt.who, attempt.at)
    else:
        # It was read approved already, which no service would approve again: only the store can refuse it here.
        vote = Approval(approver=attempt.who, at=attempt.at)
        approved = attempt.read.replace(approver=attempt.who, approver_comment=None, approvals=(vote,))
    event = AuditAction.REQUEST_APPROVED
    draft = EntryDraft(event=event, actor=DeciderId(attempt.who), outcome=approved.status, subject=approved.requester)
    return (stores.requests.update(approved, draft),)


def _expire_requests(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    return _requests(stores, attempt).expire_due()


def _remind(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    return _requests(stores, attempt).remind_due()


def _escalate(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    return _requests(stores, attempt).escalate_due()


def _invoke(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    why = "the site is down and nobody else is awake"
    service, person = _events(stores, attempt), _person(attempt)
    return (service.invoke(person, attempt.on, ReasonCode.INCIDENT, why, HOUR, idempotency_key=attempt.key),)


def _invoke_once_closed(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    for _ in range(_MAX_READS):
        if stores.break_glass.get(EventId(attempt.key or "")).status is not EventStatus.ACTIVE:
            return _invoke(stores, replace(attempt, key=None))
    raise AssertionError("nobody closed it")


def _declare_instead(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    why, request = "the site is down and nobody else is awake", RequestId(attempt.key or "")
    service, person = _events(stores, attempt), _person(attempt)
    return (service.invoke(person, attempt.on, ReasonCode.INCIDENT, why, HOUR, instead_of=request),)


def _try_code(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    why = "the site is down and nobody else is awake"
    service, person = _events(stores, attempt), _person(attempt)
    return (
        service.invoke(
            person, attempt.on, ReasonCode.INCIDENT, why, HOUR, code=attempt.key, idempotency_key=attempt.form
        ),
    )


def _ask_invokers(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    return _events(stores, attempt).ask_due()


def _remind_reviewers(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    return _events(stores, attempt).remind_due()


def _close(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    return (_events(stores, attempt).close(EventId(attempt.on), _person(attempt), f"closed by {attempt.who}"),)


def _expire_events(stores: Stores, attempt: Attempt) -> tuple[Record, ...]:
    return _events(stores, attempt).expire_due()


_ACTS: Final[dict[Act, Callable[[Stores, Attempt], tuple[Record, ...]]]] = {
    Act.SUBMIT: _submit,
    Act.APPROVE: _approve,
    Act.DENY: _deny,
    Act.CANCEL: _cancel,
    Act.OVERWRITE: _overwrite,
    Act.EXPIRE_REQUESTS: _expire_requests,
    Act.REMIND: _remind,
    Act.ESCALATE: _escalate,
    Act.INVOKE: _invoke,
    Act.INVOKE_ONCE_CLOSED: _invoke_once_closed,
    Act.CLOSE: _close,
    Act.EXPIRE_EVENTS: _expire_events,
    Act.DECLARE_INSTEAD: _declare_instead,
    Act.TRY_CODE: _try_code,
    Act.ASK_INVOKERS: _ask_invokers,
    Act.REMIND_REVIEWERS: _remind_reviewers,
}
