"""Waiting for a request: until it is decided, and until its access is open.

Invariant: waiting changes nothing. A lost connection, a busy server and a restart of the server are waited out; the
request is kept, whatever happens to this process.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bot.api.models import MAX_WAIT_SECONDS, PersonInfo, RequestInfo
from bot.api.problems import ProblemCode
from bot.terminal.client import ApiClient
from bot.terminal.errors import ExitCode, ServerFailed, ServerRefused
from bot.terminal.pacing import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, Backoff, PassageOfTime
from bot.terminal.progress import Progress
from core.access.grant_status import AccessPhase
from core.clock import Clock
from core.request_status import RequestStatus
from core.targets.words import one_line

_NAMES_SECONDS: Final = 1
_MAX_NAMES: Final = 4
_GIVE_UP_AFTER: Final = timedelta(minutes=10)
"""For how long an absent server is waited for after the request has expired."""


class Outcome(StrEnum):
    """What became of a request, as scripts read it."""

    WAITING = "waiting"
    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    """It was approved, and its access could not be opened."""
    ENDED = "ended"
    """It was approved, and its access is over."""


EXIT_CODES: Final = {
    Outcome.WAITING: ExitCode.TIMED_OUT,
    Outcome.GRANTED: ExitCode.DONE,
    Outcome.DENIED: ExitCode.DENIED,
    Outcome.EXPIRED: ExitCode.EXPIRED,
    Outcome.CANCELLED: ExitCode.DENIED,
    Outcome.FAILED: ExitCode.REFUSED,
    Outcome.ENDED: ExitCode.REFUSED,
}
"""How a command that waited ends."""

_OF_STATUS: Final = {
    RequestStatus.PENDING: Outcome.WAITING,
    RequestStatus.DENIED: Outcome.DENIED,
    RequestStatus.EXPIRED: Outcome.EXPIRED,
    RequestStatus.CANCELLED: Outcome.CANCELLED,
}
_OF_PHASE: Final = {
    AccessPhase.SCHEDULED: Outcome.WAITING,
    AccessPhase.OPENING: Outcome.WAITING,
    AccessPhase.OPEN: Outcome.GRANTED,
    AccessPhase.CLOSING: Outcome.ENDED,
    AccessPhase.CLOSED: Outcome.ENDED,
    AccessPhase.FAILED: Outcome.FAILED,
}


def outcome_of(request: RequestInfo) -> Outcome:
    """What became of the request so far."""
    if request.status is not RequestStatus.APPROVED:
        return _OF_STATUS[request.status]
    return _OF_PHASE[request.access.phase] if request.access is not None else Outcome.GRANTED


class RequestWait:
    """Follows one request."""

    def __init__(self, client: ApiClient, progress: Progress, clock: Clock, timing: PassageOfTime) -> None:
        self._client = client
        self._progress = progress
        self._clock = clock
        self._timing = timing

    def wait(self, request: RequestInfo, at_most: timedelta | None = None) -> RequestInfo:
        """The request when it has an outcome, or as it is after `at_most`.

        Raises ServerFailed when the server stays away until long after the request has expired, ServerRefused, or
        NotPaired.
        """
        ends_at = self._timing.seconds() + at_most.total_seconds() if at_most is not None else None
        backoff = Backoff(self._timing)
        while outcome_of(request) is Outcome.WAITING:
            left = ends_at - self._timing.seconds() if ends_at is not None else float(MAX_WAIT_SECONDS)
            if left <= 0:
                break
            self._progress.wait_for(*describe_wait(request))
            try:
                request = self._ask(request, left)
                backoff.reset()
            except (ServerFailed, ServerRefused) as error:
                self._raise_if_final(error, request)
                self._progress.wait_for(f"{error}" if isinstance(error, ServerFailed) else "The server asks to wait")
                backoff.pause(error.retry_after, left if ends_at is not None else MAX_PAUSE_SECONDS)
        return request

    def _ask(self, request: RequestInfo, left: float) -> RequestInfo:
        began = self._timing.seconds()
        found = self._client.wait_for_request(request.id, request.version, max(1, min(MAX_WAIT_SECONDS, int(left))))
        if found.version == request.version and self._timing.seconds() - began < FIRST_PAUSE_SECONDS:
            # A server or proxy that doesn't hold the call must not be asked in a tight loop.
            self._timing.pause(FIRST_PAUSE_SECONDS)
        return found

    def _raise_if_final(self, error: ServerFailed | ServerRefused, request: RequestInfo) -> None:
        if isinstance(error, ServerRefused) and error.code != ProblemCode.RATE_LIMITED:
            raise error
        if self._clock.now() > request.expires_at + _GIVE_UP_AFTER:
            raise error


def with_names(client: ApiClient, request: RequestInfo) -> RequestInfo:
    """The same request a moment later, if a name is missing: the server asks Slack for it meanwhile."""
    if all(each.name is not None for each in request.approvers):
        return request
    with suppress(ServerFailed, ServerRefused):
        return client.wait_for_request(request.id, request.version, _NAMES_SECONDS)
    return request


def describe_wait(request: RequestInfo) -> tuple[str, datetime | None]:
    """What the request waits for, and until when it does."""
    if request.status is RequestStatus.PENDING:
        who = names_of(request.approvers)
        count = f" ({len(request.approvals)} of {request.required_approvals})" if request.required_approvals > 1 else ""
        return f"Waiting for approval{count}{f' by {who}' if who else ''}", request.expires_at
    if request.access is not None and request.access.is_delayed:
        return f"Approved. Access to {request.profile} is late; Countersign keeps trying", request.access_ends_at
    if request.access is not None and request.access.phase is AccessPhase.SCHEDULED:
        return f"Approved. Waiting for access to {request.profile} to start", request.access.starts_at
    return f"Approved. Opening access to {request.profile}", request.access_ends_at


def names_of(people: tuple[PersonInfo, ...]) -> str:
    """Their names, or their Slack ids where no name is known: `Jon, Aiko or 3 others`."""
    names = [name_of(each) for each in people]
    if len(names) > _MAX_NAMES:
        names = [*names[: _MAX_NAMES - 1], f"{len(names) - _MAX_NAMES + 1} others"]
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)


def name_of(person: PersonInfo) -> str:
    """The name, or the Slack id."""
    return one_line(person.name, 60) or one_line(person.id, 60)
