"""One press of a button, as a value that can be sent to another process, and what whoever pressed was told.

Invariant: a press goes through the services, as in production. Each has its own idea of the time, as the clocks of two
machines differ. What is told is what was returned or raised, with nothing left out that a check may need.
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
from core.errors import CountersignError, InvalidStateTransition, LimitReached
from core.policy import parse_policy
from core.record import Record
from core.request import Approval, Request, RequestId, RequestStatus
from core.services import BreakGlassService, RequestService
from core.stores import Stores
from tests.harness.clock import FrozenClock
from tests.harness.mfa import WrittenCodes

BEGIN: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""When the races are: in the future, for DynamoDB Local deletes what its TTL calls old by the machine's clock."""
APPROVERS: Final = tuple(UserId(f"U0APPR{number:03d}") for number in range(1, 11))
REQUESTER: Final = UserId("U0REQUESTER")
INVOKERS: Final = tuple(UserId(f"U0ONCALL{number:03d}") for number in range(1, 11))
EACH: Final = tuple(f"each-{number}" for number in range(1, 5))
"""Four profiles, of which one person may have two."""
COOLDOWN: Final = timedelta(minutes=30)
QUOTA: Final = 2
HOUR: Final = timedelta(hours=1)
REMIND_AFTER: Final = HOUR
_MAX_READS: Final = 100_000

POLICY: Final = parse_policy(
    f"""
version: 1
groups: {{approvers: [{", ".join(APPROVERS)}]}}
profiles:
  one: {{channel: C0ACCESS1}}
  three: {{channel: C0ACCESS1}}
  slow: {{channel: C0ACCESS1}}
  rare: {{channel: C0ACCESS1}}
  shared: {{channel: C0ACCESS1}}
{"".join(f"  {name}: {{channel: C0ACCESS1}}" + chr(10) for name in EACH)}
approval:
  - {{name: three, profiles: [three], approvers: [group:approvers], required_approvals: 3, max_duration: 8h}}
  - {{name: slow, profiles: [slow], approvers: [group:approvers], required_approvals: 2, max_duration: 8h,
     remind_after: 1h}}
  - {{name: one, profiles: ["*"], approvers: [group:approvers], max_duration: 8h}}
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
    INVOKE = "invoke"
    INVOKE_ONCE_CLOSED = "invoke once closed"
    CLOSE = "close"
    EXPIRE_EVENTS = "expire events"
    DECLARE_INSTEAD = "declare instead"
    TRY_CODE = "try code"
    ASK_INVOKERS = "ask invokers"
    REMIND_REVIEWERS = "remind reviewers"


@dataclass(frozen=True, slots=True)
class Press:
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
class Told:
    """The answer to a press: the records that came back, or the name of the error and its facts."""

    press: Press
    records: tuple[Record, ...] = ()
    error: str = ""
    said: str = ""
    status: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    limit: str | None = None
    ends_at: datetime | None = None

    @classmethod
    def of_error(cls, press: Press, error: CountersignError) -> Self:
        """What an error tells. An error itself does not travel between processes."""
        name = type(error).__name__
        if isinstance(error, InvalidStateTransition):
            by, at = error.decided_by, error.decided_at
            return cls(press, (), name, str(error), status=str(error.status), decided_by=by, decided_at=at)
        if isinstance(error, LimitReached):
            return cls(press, (), name, str(error), limit=error.limit, ends_at=error.ends_at)
        return cls(press, (), name, str(error))

    @property
    def is_yes(self) -> bool:
        """True when the press did what it says."""
        return not self.error


def carry_out(stores: Stores, press: Press) -> Told:
    """Press it."""
    try:
        return Told(press, _ACTS[press.act](stores, press))
    except CountersignError as error:
        return Told.of_error(press, error)


def submit(stores: Stores, profile: str, at: datetime) -> Request:
    """A pending request, to be raced for."""
    request = _submit(stores, Press(Act.SUBMIT, REQUESTER, at, profile))[0]
    assert isinstance(request, Request)
    return request


def invoke(stores: Stores, profile: str, at: datetime) -> BreakGlassEvent:
    """A live event, to be raced for."""
    event = _invoke(stores, Press(Act.INVOKE, INVOKERS[0], at, profile))[0]
    assert isinstance(event, BreakGlassEvent)
    return event


def _requests(stores: Stores, press: Press) -> RequestService:
    return RequestService(stores, POLICY, FrozenClock(press.at))


def _events(stores: Stores, press: Press) -> BreakGlassService:
    return BreakGlassService(stores, POLICY, FrozenClock(press.at), mfa=WrittenCodes())


def _person(press: Press) -> Actor:
    groups = frozenset({UserGroupId("S0ONCALL")}) if press.who in INVOKERS else frozenset[UserGroupId]()
    return Actor(id=press.who, user_groups=groups)


def _submit(stores: Stores, press: Press) -> tuple[Record, ...]:
    why = "to see who is first"
    return (_requests(stores, press).submit(_person(press), press.on, HOUR, why, idempotency_key=press.key),)


def _approve(stores: Stores, press: Press) -> tuple[Record, ...]:
    comment = f"approved by {press.who}"
    return (_requests(stores, press).approve(RequestId(press.on), _person(press), comment),)


def _deny(stores: Stores, press: Press) -> tuple[Record, ...]:
    return (_requests(stores, press).deny(RequestId(press.on), _person(press), f"denied by {press.who}"),)


def _cancel(stores: Stores, press: Press) -> tuple[Record, ...]:
    return (_requests(stores, press).cancel(RequestId(press.on), _person(press)),)


def _overwrite(stores: Stores, press: Press) -> tuple[Record, ...]:
    assert press.read is not None
    if press.read.status is RequestStatus.PENDING:
        approved = press.read.approve(press.who, press.at)
    else:
        # It was read approved already, which no service would approve again: only the store stands in the way here.
        vote = Approval(approver=press.who, at=press.at)
        approved = press.read.replace(approver=press.who, approver_comment=None, approvals=(vote,))
    event = AuditAction.REQUEST_APPROVED
    draft = EntryDraft(event=event, actor=DeciderId(press.who), outcome=approved.status, subject=approved.requester)
    return (stores.requests.update(approved, draft),)


def _expire_requests(stores: Stores, press: Press) -> tuple[Record, ...]:
    return _requests(stores, press).expire_due()


def _remind(stores: Stores, press: Press) -> tuple[Record, ...]:
    return _requests(stores, press).remind_due()


def _invoke(stores: Stores, press: Press) -> tuple[Record, ...]:
    why = "the site is down and nobody else is awake"
    service, person = _events(stores, press), _person(press)
    return (service.invoke(person, press.on, ReasonCode.INCIDENT, why, HOUR, idempotency_key=press.key),)


def _invoke_once_closed(stores: Stores, press: Press) -> tuple[Record, ...]:
    for _ in range(_MAX_READS):
        if stores.break_glass.get(EventId(press.key or "")).status is not EventStatus.ACTIVE:
            return _invoke(stores, replace(press, key=None))
    raise AssertionError("nobody closed it")


def _declare_instead(stores: Stores, press: Press) -> tuple[Record, ...]:
    why, request = "the site is down and nobody else is awake", RequestId(press.key or "")
    service, person = _events(stores, press), _person(press)
    return (service.invoke(person, press.on, ReasonCode.INCIDENT, why, HOUR, instead_of=request),)


def _try_code(stores: Stores, press: Press) -> tuple[Record, ...]:
    why = "the site is down and nobody else is awake"
    service, person = _events(stores, press), _person(press)
    return (
        service.invoke(person, press.on, ReasonCode.INCIDENT, why, HOUR, code=press.key, idempotency_key=press.form),
    )


def _ask_invokers(stores: Stores, press: Press) -> tuple[Record, ...]:
    return _events(stores, press).ask_due()


def _remind_reviewers(stores: Stores, press: Press) -> tuple[Record, ...]:
    return _events(stores, press).remind_due()


def _close(stores: Stores, press: Press) -> tuple[Record, ...]:
    return (_events(stores, press).close(EventId(press.on), _person(press), f"closed by {press.who}"),)


def _expire_events(stores: Stores, press: Press) -> tuple[Record, ...]:
    return _events(stores, press).expire_due()


_ACTS: Final[dict[Act, Callable[[Stores, Press], tuple[Record, ...]]]] = {
    Act.SUBMIT: _submit,
    Act.APPROVE: _approve,
    Act.DENY: _deny,
    Act.CANCEL: _cancel,
    Act.OVERWRITE: _overwrite,
    Act.EXPIRE_REQUESTS: _expire_requests,
    Act.REMIND: _remind,
    Act.INVOKE: _invoke,
    Act.INVOKE_ONCE_CLOSED: _invoke_once_closed,
    Act.CLOSE: _close,
    Act.EXPIRE_EVENTS: _expire_events,
    Act.DECLARE_INSTEAD: _declare_instead,
    Act.TRY_CODE: _try_code,
    Act.ASK_INVOKERS: _ask_invokers,
    Act.REMIND_REVIEWERS: _remind_reviewers,
}
