"""What is asked of a long past: each list, each count, and the check of the limits.

Invariant: the answers are the same at every length of the past.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from benchmarks.harness import HOUR, POLICY
from benchmarks.past import BUSY, PROD, newest_id
from core.actor import ProfileName, UserId
from core.break_glass import EventStatus
from core.clock import new_id
from core.request import RequestStatus
from core.stores.base import Stores
from core.usage import Usage, UsageLedger, find_limit

PAGE: Final = 10
"""The length of a page: at the shortest past, each list still has more than this."""
LIMITS: Final = POLICY.document.break_glass[0].limits()
_DAY: Final = timedelta(days=1)
Ask = Callable[[Stores, datetime], object]


@dataclass(frozen=True, slots=True)
class Question:
    """One question and how to ask it."""

    name: str
    ask: Ask


def check_limits(stores: Stores, person: UserId, profile: ProfileName, now: datetime) -> object:
    """What breaking the glass does before it writes: read both ledgers, judge them."""
    by_invoker, by_profile = stores.break_glass.get_ledgers(person, profile)
    return find_limit(by_invoker, by_profile, profile, LIMITS, now)


def make_ledgers(person: UserId, profile: ProfileName, count: int, now: datetime) -> tuple[UsageLedger, ...]:
    """The ledgers of the person and of the profile, with so many usages spread over the last weeks."""
    by_invoker, by_profile = UsageLedger.of_invoker(person), UsageLedger.of_profile(profile)
    usages = []
    for number in reversed(range(count)):
        at = now - timedelta(days=1) - number * timedelta(days=29) / count
        usages.append(Usage(event_id=new_id(), invoker=person, profile=profile, at=at, ends_at=at + HOUR))
    changes = {"usages": tuple(usages), "updated_at": now}
    return by_invoker.model_copy(update=changes), by_profile.model_copy(update=changes)


def _some(values: Iterable[object]) -> object:
    return list(islice(values, PAGE))


QUESTIONS: Final = (
    Question("the limits: get_ledgers, find_limit", lambda stores, now: check_limits(stores, BUSY, PROD, now)),
    Question("requests.list_by_requester", lambda stores, _: stores.requests.list_by_requester(BUSY, limit=PAGE)),
    Question(
        "requests.list_by_status, pending",
        lambda stores, _: stores.requests.list_by_status(RequestStatus.PENDING, limit=PAGE),
    ),
    Question(
        "requests.list_by_status, approved",
        lambda stores, _: stores.requests.list_by_status(RequestStatus.APPROVED, limit=PAGE),
    ),
    Question("requests.list_by_profile", lambda stores, _: stores.requests.list_by_profile(PROD, limit=PAGE)),
    Question("requests.find_granting", lambda stores, now: stores.requests.find_granting(BUSY, PROD, now)),
    Question("break_glass.list_by_invoker", lambda stores, _: stores.break_glass.list_by_invoker(BUSY, limit=PAGE)),
    Question(
        "break_glass.list_by_status, active",
        lambda stores, _: stores.break_glass.list_by_status(EventStatus.ACTIVE, limit=PAGE),
    ),
    Question(
        "break_glass.list_by_status, closed",
        lambda stores, _: stores.break_glass.list_by_status(EventStatus.CLOSED, limit=PAGE),
    ),
    Question("break_glass.list_by_profile", lambda stores, _: stores.break_glass.list_by_profile(PROD, limit=PAGE)),
    Question(
        "break_glass.find_active_by_invoker_and_profile",
        lambda stores, now: stores.break_glass.find_active_by_invoker_and_profile(BUSY, PROD, now),
    ),
    Question(
        "break_glass.count_by_invoker_since, a day",
        lambda stores, now: stores.break_glass.count_by_invoker_since(BUSY, now - _DAY),
    ),
    Question(
        "break_glass.count_by_profile_since, a day",
        lambda stores, now: stores.break_glass.count_by_profile_since(PROD, now - _DAY),
    ),
    Question(
        "break_glass.get_last_by_invoker_and_profile",
        lambda stores, _: stores.break_glass.get_last_by_invoker_and_profile(BUSY, PROD),
    ),
    Question("the outbox: outbox.iterate_due", lambda stores, now: _some(stores.outbox.iterate_due(now))),
    Question("audit.export, the last day", lambda stores, now: _some(stores.audit.export(since=now - _DAY))),
    Question("one chain: audit.get_chain", lambda stores, _: stores.audit.get_chain(f"REQUEST#{newest_id(0)}")),
)
