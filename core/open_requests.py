"""The ledger of one person's requests for one profile, so that limits on requests are exact even when many try at once.

Invariant: a submission is judged on the ledger and on the requests that it lists, and the ledger moves in the
transaction that creates the request. Two submissions that were judged on the same ledger cannot both be written, so a
person never has more open requests for a profile than the rule allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field

from core.actor import ProfileName
from core.clock import UtcTime
from core.duration import Duration, format_duration
from core.ledger import Ledger
from core.record import RecordId
from core.request import Request, RequestStatus
from core.stored import StoredModel
from core.usage import HORIZON, LimitHit

OPEN_REQUEST: Final = "open request"
"""The name of the limit when one open request is all that a person may have; its value is the request's id."""
OPEN_REQUESTS: Final = "open requests"
COOLDOWN_AFTER_DENIAL: Final = "cooldown after a denial"
MAX_PENDING: Final = 20
"""The most open requests that a policy may allow one person for one profile."""
MAX_LISTED: Final = 2 * MAX_PENDING
OPEN_REQUESTS_LEDGER: Final = "OPEN"
SERVICE_PREFIX: Final = "service:"
"""Before the name of a service, where otherwise a person's id stands."""


class RequestLimits(BaseModel):
    """The limits of an approval rule on the requests of one person for one profile. None means no cooldown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pending: int = Field(default=1, ge=1, le=MAX_PENDING)
    cooldown_after_denial: Duration | None = None


class ListedRequest(StoredModel):
    """A request that may count against a limit, until this time."""

    id: RecordId
    until: UtcTime


class OpenRequests(Ledger):
    """The requests of one person for one profile that may be open, or whose denial may count."""

    requests: tuple[ListedRequest, ...] = ()

    @classmethod
    def of(cls, person: str, profile: ProfileName) -> Self:
        """The ledger of a person, or of a service as `count_for` writes it, and a profile, still empty."""
        return cls(owner=f"{OPEN_REQUESTS_LEDGER}#{person}#{profile}")

    def kept_until(self) -> datetime:
        """When nothing in this ledger counts any more."""
        return max((each.until for each in self.requests), default=datetime.min.replace(tzinfo=UTC))

    def listed(self, now: datetime) -> tuple[str, ...]:
        """The ids of the requests that may still count."""
        return tuple(each.id for each in self.requests if each.until > now)

    def has(self, request_id: str) -> bool:
        """True when the ledger lists this request."""
        return any(each.id == request_id for each in self.requests)

    def add(self, request: Request, counting: Sequence[Request], limits: RequestLimits, now: datetime) -> Self:
        """The ledger with this request. Of those that it listed, it keeps the ones that still count."""
        cooldown = limits.cooldown_after_denial or timedelta()
        kept = {each.id for each in counting if _is_open(each, now) or _denied_lately(each, cooldown, now)}
        earlier = [each for each in self.requests if each.id in kept and each.until > now]
        new = ListedRequest(id=request.id, until=request.expires_at + cooldown)
        return self.model_copy(update={"requests": (*earlier, new)[-MAX_LISTED:]})

    def recounted(self, requests: Iterable[Request], now: datetime) -> Self:
        """The ledger with those of these requests that may count under some policy; of too many, what matters most."""
        counting = [each for each in requests if _is_open(each, now) or _denied_lately(each, HORIZON, now)]
        kept = sorted(counting, key=lambda each: (_is_open(each, now), each.created_at))[-MAX_LISTED:]
        # Under which cooldown they count is for the policy to say, when the next request is judged.
        listed = tuple(ListedRequest(id=each.id, until=each.expires_at + HORIZON) for each in kept)
        return self.model_copy(update={"requests": listed})


def count_for(person: str, service: str | None) -> str:
    """For whom a request counts: for the service that it is for, or else for the person."""
    return person if service is None else f"{SERVICE_PREFIX}{service}"


def find_request_limit(listed: Sequence[Request], limits: RequestLimits, now: datetime) -> LimitHit | None:
    """The limit that prevents a new request now, judged on the requests that the ledger lists; None for none."""
    waiting = sorted((each for each in listed if _is_open(each, now)), key=lambda each: each.created_at)
    if len(waiting) >= limits.max_pending:
        if limits.max_pending == 1:
            return LimitHit(limit=OPEN_REQUEST, value=waiting[-1].id, ends_at=waiting[-1].expires_at)
        # There is room again when all but `max_pending - 1` of them have ended.
        ends_at = sorted(each.expires_at for each in waiting)[len(waiting) - limits.max_pending]
        return LimitHit(limit=OPEN_REQUESTS, value=str(limits.max_pending), ends_at=ends_at)
    cooldown = limits.cooldown_after_denial
    if cooldown is None:
        return None
    denied_at = [each.decided_at for each in listed if _denied_lately(each, cooldown, now)]
    last = max((at for at in denied_at if at is not None), default=None)
    if last is None:
        return None
    return LimitHit(limit=COOLDOWN_AFTER_DENIAL, value=format_duration(cooldown), ends_at=last + cooldown)


def _is_open(request: Request, now: datetime) -> bool:
    return request.status is RequestStatus.PENDING and not request.is_overdue(now)


def _denied_lately(request: Request, cooldown: timedelta, now: datetime) -> bool:
    is_denied = request.status is RequestStatus.DENIED and request.decided_at is not None
    return is_denied and request.decided_at is not None and now < request.decided_at + cooldown
