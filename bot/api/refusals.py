"""How each error of Countersign becomes a problem of the HTTP API: in this one place.

Invariant: every class of the tree in core/errors.py has an entry of its own or of a class above it that means the same
to a caller. What is not known here is answered as unavailable, and logged by the caller; its text isn't shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

from bot.api.problems import Problem, ProblemCode
from core import errors
from core.access.credentials import AccessEnded, IssuerUnavailable, NothingOpen
from core.access.device import DeviceEnded, TokenRefused
from core.access.pairing import PairingExpired, PairingRefused, PairingTooFast, PairingUnknown, PairingWaiting
from core.access.principals import PrincipalUnavailable, PrincipalUnknown
from core.duty import is_on_call_name
from core.errors import CountersignError
from core.invalid_policy import InvalidPolicy
from core.open_requests import OPEN_REQUEST
from core.record import NewerRecord
from core.schedules.base import ScheduleRefused, ScheduleUnavailable
from core.services.vote import ApprovalFormNeeded

E = TypeVar("E", bound=CountersignError)
RETRY_SECONDS: Final = 5
"""After what usually passes: Slack or the store didn't answer in time."""
OPENING_SECONDS: Final = 2
"""After what usually passes: the target is still opening the access."""
_NOTHING: Final = "Nothing was changed."


class ApiRefusal(CountersignError):
    """A call of the HTTP API is answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem


def to_problem(error: CountersignError, now: datetime) -> Problem:
    """The problem that says what this error means to the caller."""
    for kind in type(error).__mro__:
        if (build := PROBLEMS.get(kind)) is not None:
            return build(error, now)
    return broken()


def broken() -> Problem:
    """Something failed that nobody expected; the log has it."""
    detail = "It is not known whether anything changed; look it up before you try again. The operators' log says more."
    return Problem.of(
        ProblemCode.UNAVAILABLE, "Countersign failed", detail, retry_after=RETRY_SECONDS, outcome_unknown=True
    )


def busy() -> Problem:
    """There is no room for the call."""
    title = "Countersign is overloaded"
    return Problem.of(ProblemCode.UNAVAILABLE, title, f"{_NOTHING} Try again in a moment.", retry_after=1)


def rate_limited(seconds: int) -> Problem:
    """Too many calls: try again after so many seconds."""
    seconds = max(seconds, 1)
    detail = f"{_NOTHING} Try again in {seconds} s, and less often from then on."
    return Problem.of(ProblemCode.RATE_LIMITED, "Too many calls", detail, retry_after=seconds)


def unauthorized(detail: str) -> Problem:
    """There is no token, or it isn't one that works."""
    return Problem.of(ProblemCode.UNAUTHORIZED, "This machine isn't paired", detail)


def _invalid(error: errors.InvalidInput, _now: datetime) -> Problem:
    return Problem.of(
        ProblemCode.INVALID_INPUT, f"{error.field} can't be used", f"{error.problem}. {error.fix}", field=error.field
    )


def _policy_is_broken(_error: InvalidPolicy, _now: datetime) -> Problem:
    detail = f"The policy file has a mistake; the operators' log says which. {_NOTHING}"
    return Problem.of(ProblemCode.UNAVAILABLE, "The policy can't be used", detail)


def _not_allowed(error: errors.NotAllowed, _now: datetime) -> Problem:
    detail = f"{'; '.join(error.reasons)}. {_NOTHING}"
    return Problem.of(ProblemCode.NOT_ALLOWED, f"{error.action} is not allowed", detail, reasons=error.reasons)


def _not_known(error: errors.NotKnown, _now: datetime) -> Problem:
    detail = f"{'; '.join(error.reasons)}. {_NOTHING} Try again in a moment."
    is_schedule = bool(error.groups) and all(is_on_call_name(each) for each in error.groups)
    return Problem.of(
        ProblemCode.UNAVAILABLE,
        "Who is on call couldn't be confirmed" if is_schedule else "Who you are couldn't be confirmed",
        detail,
        reasons=error.reasons,
        retry_after=RETRY_SECONDS,
    )


def _ticket_not_known(error: errors.TicketNotKnown, now: datetime) -> Problem:
    return _not_known(error, now).model_copy(update={"title": "The ticket couldn't be checked"})


def _refused(error: CountersignError, _now: datetime) -> Problem:
    detail = f"{_sentence(error)} {_NOTHING}"
    return Problem.of(ProblemCode.NOT_ALLOWED, "It was refused", detail, reasons=(str(error),))


def _sentence(error: object) -> str:
    """The text with a full stop."""
    return f"{str(error).rstrip('.')}."


def _not_at_the_target(error: PrincipalUnknown, _now: datetime) -> Problem:
    title = f"{error.target} doesn't know you"
    detail = f"{_sentence(error.reason)} {_NOTHING}"
    return Problem.of(ProblemCode.NOT_ALLOWED, title, detail, reasons=(error.reason,))


def _conflicted(_error: errors.ConcurrentModification, _now: datetime) -> Problem:
    title = "Others changed it at the same time"
    return Problem.of(ProblemCode.UNAVAILABLE, title, f"{_NOTHING} Try again in a moment.", retry_after=RETRY_SECONDS)


def _needs_slack(_error: CountersignError, _now: datetime) -> Problem:
    detail = f"This has to be done in Slack. {_NOTHING}"
    return Problem.of(ProblemCode.NOT_ALLOWED, "It needs a form in Slack", detail)


def _later(error: CountersignError, _now: datetime) -> Problem:
    detail = f"{_sentence(error)} {_NOTHING} Try again in a moment."
    return Problem.of(ProblemCode.UNAVAILABLE, "It couldn't be done now", detail, retry_after=RETRY_SECONDS)


def _limit(error: errors.LimitReached, now: datetime) -> Problem:
    left = max(math.ceil((error.ends_at - now).total_seconds()), 0)
    if error.limit == OPEN_REQUEST:
        detail = f"Your request {error.value} for this profile is still open. {_NOTHING} Wait for it, or cancel it."
        return Problem.of(
            ProblemCode.LIMIT_REACHED, "You have an open request", detail, existing=error.value, ends_at=error.ends_at
        )
    return Problem.of(
        ProblemCode.LIMIT_REACHED,
        "A limit is reached",
        f"{error.limit}: {error.value}. {_NOTHING} The limit ends at the time in ends_at.",
        reasons=(f"{error.limit}: {error.value}",),
        ends_at=error.ends_at,
        retry_after=left,
    )


def _decided(error: errors.InvalidStateTransition, _now: datetime) -> Problem:
    by = f" by {error.decided_by}" if error.decided_by else ""
    why = f": {error.reason}" if error.reason else f", so it can't become {error.wanted}"
    return Problem.of(
        ProblemCode.CONFLICT,
        f"It is {error.status}",
        f"It is {error.status}{by}{why}. {_NOTHING}",
        decided_by=error.decided_by,
        decided_at=error.decided_at,
        record_status=error.status,
    )


def _newer(error: NewerRecord, _now: datetime) -> Problem:
    detail = f"{_sentence(error)} {_NOTHING} Try again, or finish the upgrade."
    return Problem.of(ProblemCode.UNAVAILABLE, "It needs a newer version", detail, retry_after=RETRY_SECONDS)


def _not_found(_error: errors.NotFound, _now: datetime) -> Problem:
    return not_found()


def not_found() -> Problem:
    """There is no such record, or not for this caller."""
    detail = f"There is nothing with this id that you can see. {_NOTHING} Check the id."
    return Problem.of(ProblemCode.NOT_FOUND, "Not found", detail)


def _exists(_error: errors.AlreadyExists, _now: datetime) -> Problem:
    detail = f"Something else has the id that this call would get. {_NOTHING} Use another Idempotency-Key."
    return Problem.of(ProblemCode.CONFLICT, "It exists already", detail)


def _store_failed(_error: errors.StoreError, _now: datetime) -> Problem:
    # What is wrong in the store is for the operators: the caller can't fix it.
    detail = f"The records can't be used as they are. {_NOTHING} Tell the operators; their log says more."
    return Problem.of(ProblemCode.UNAVAILABLE, "The store failed", detail)


def _store_is_away(error: errors.StoreUnavailable, _now: datetime) -> Problem:
    if error.is_outcome_unknown:
        detail = "It isn't known whether the change was recorded. Look it up, or repeat it with the same key."
        return Problem.of(
            ProblemCode.UNAVAILABLE, "The store didn't answer", detail, retry_after=RETRY_SECONDS, outcome_unknown=True
        )
    detail = f"{_NOTHING} Try again in a moment."
    return Problem.of(ProblemCode.UNAVAILABLE, "The store didn't answer", detail, retry_after=RETRY_SECONDS)


def _no_token(error: TokenRefused, _now: datetime) -> Problem:
    return unauthorized(f"{error} {_NOTHING}")


def _device_ended(error: DeviceEnded, _now: datetime) -> Problem:
    title = "This machine's pairing has ended"
    return Problem.of(ProblemCode.PAIRING_EXPIRED, title, f"{error} {_NOTHING}", record_status=error.status.value)


def _waiting(_error: PairingWaiting, _now: datetime) -> Problem:
    detail = "Nobody has typed the code in Slack yet. Ask again after the interval."
    return Problem.of(ProblemCode.AUTHORIZATION_PENDING, "The pairing waits to be confirmed", detail)


def _too_fast(_error: PairingTooFast, _now: datetime) -> Problem:
    detail = "Add five seconds to the interval, and ask again then."
    return Problem.of(ProblemCode.SLOW_DOWN, "Asked again too early", detail)


def _pairing_expired(_error: CountersignError, _now: datetime) -> Problem:
    detail = "The code's time is over, or its token was fetched already. Start again: countersign login"
    return Problem.of(ProblemCode.EXPIRED_TOKEN, "The pairing is over", detail)


def _pairing_refused(_error: PairingRefused, _now: datetime) -> Problem:
    detail = "The pairing was refused in Slack. This machine got no token."
    return Problem.of(ProblemCode.ACCESS_DENIED, "The pairing was refused", detail)


def _access_ended(error: AccessEnded, _now: datetime) -> Problem:
    detail = f"Your access to {error.profile} has ended. Nothing was issued. Request it again if you need it."
    return Problem.of(ProblemCode.ENDED, "The access has ended", detail, ends_at=error.ended_at)


def _nothing_open(error: NothingOpen, _now: datetime) -> Problem:
    retry = OPENING_SECONDS if error.is_opening else None
    code = ProblemCode.UNAVAILABLE if error.is_opening else ProblemCode.NOT_ALLOWED
    return Problem.of(code, "No access is open", f"{_sentence(error)} Nothing was issued.", retry_after=retry)


def _no_issuer(error: IssuerUnavailable, _now: datetime) -> Problem:
    retry = None if error.is_final else RETRY_SECONDS
    return Problem.of(ProblemCode.UNAVAILABLE, "AWS gave no credentials", str(error), retry_after=retry)


def _given(error: ApiRefusal, _now: datetime) -> Problem:
    return error.problem


_Build = Callable[[Any, datetime], Problem]
PROBLEMS: Final[dict[type, _Build]] = {
    ApiRefusal: _given,
    errors.InvalidInput: _invalid,
    InvalidPolicy: _policy_is_broken,
    ApprovalFormNeeded: _needs_slack,
    errors.NotAllowed: _not_allowed,
    errors.NotKnown: _not_known,
    errors.TicketNotKnown: _ticket_not_known,
    errors.Refused: _refused,
    errors.LimitReached: _limit,
    errors.InvalidStateTransition: _decided,
    NewerRecord: _newer,
    errors.NotFound: _not_found,
    errors.AlreadyExists: _exists,
    errors.StoreError: _store_failed,
    errors.ConcurrentModification: _conflicted,
    PrincipalUnknown: _not_at_the_target,
    PrincipalUnavailable: _later,
    errors.StoreUnavailable: _store_is_away,
    errors.DeliveryFailed: _later,
    ScheduleUnavailable: _later,
    ScheduleRefused: _later,
    TokenRefused: _no_token,
    DeviceEnded: _device_ended,
    PairingWaiting: _waiting,
    PairingTooFast: _too_fast,
    PairingExpired: _pairing_expired,
    PairingUnknown: _pairing_expired,
    PairingRefused: _pairing_refused,
    AccessEnded: _access_ended,
    NothingOpen: _nothing_open,
    IssuerUnavailable: _no_issuer,
}
