"""Draws cards again when the clock changes what they say: at a hand-over, and when approver hours open or close.

Invariant: it notifies nobody and decides nothing; only cards that are posted are rewritten. A pass in which nothing
changed reads no store and calls nobody. Slack is asked for a few cards in one pass; the others have their turn in the
next ones. A schedule that can't be asked changes nothing. What changed while no instance ran is not noticed: the next
change of the request draws its card.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from core.actor import UserId
from core.clock import Clock
from core.on_call import Roster, on_call_name
from core.policy import Policy, PolicySource
from core.policy.principals import PrincipalKind
from core.request import Request, RequestStatus
from core.services.due import Rest
from core.stores.base import Stores
from core.stores.record_store import iterate_newest_first

MAX_IN_PASS: Final = 20
"""Cards that one pass draws: Slack takes about fifty changed messages a minute."""
MAX_WAITING: Final = 200
"""Cards that one change draws, the newest requests first."""
MAX_LOOKED_AT: Final = 1_000


class WaitingCards:
    """Looks for changes. One pass at a time. `refresh` draws the card of a record; False when Slack didn't take it."""

    def __init__(
        self, stores: Stores, policy: PolicySource, clock: Clock, roster: Roster, refresh: Callable[[str], bool]
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._roster = roster
        self._refresh = refresh
        self._on_call: dict[str, frozenset[UserId]] = {}
        self._open: dict[str, bool] = {}
        self._waiting: dict[str, None] = {}

    def redraw_due(self, rest: Rest) -> tuple[str, ...]:
        """The records whose cards were drawn again. Raises StoreError."""
        policy, now = self._policy.current(), self._clock.now()
        schedules, rules = self._look_at_schedules(policy), self._look_at_hours(policy, now)
        if schedules or rules:
            found = (each.chain for each in self._find(policy, schedules, rules, now))
            self._waiting |= dict.fromkeys(islice(found, MAX_WAITING))
        drawn = list[str]()
        for chain in list(islice(self._waiting, MAX_IN_PASS)):
            if not self._refresh(chain):
                break
            del self._waiting[chain]
            drawn.append(chain)
            rest()
        return tuple(drawn)

    def _look_at_schedules(self, policy: Policy) -> frozenset[str]:
        """The schedules in which others are on call than at the last look, as far as anybody knows."""
        before, self._on_call = self._on_call, {}
        for name in policy.document.on_call:
            people = self._roster.on_call_now(on_call_name(name))
            last = before.get(name) if people is None else frozenset(people)
            if last is not None:
                self._on_call[name] = last
        return frozenset(each for each, people in self._on_call.items() if before.get(each, people) != people)

    def _look_at_hours(self, policy: Policy, now: datetime) -> frozenset[str]:
        """The rules whose approver hours opened or closed since the last look."""
        hours = {rule.name: rule.approver_hours for rule in policy.document.approval}
        before, self._open = self._open, {each: found.is_open(now) for each, found in hours.items() if found}
        return frozenset(each for each, is_open in self._open.items() if before.get(each, is_open) != is_open)

    def _find(
        self, policy: Policy, schedules: Collection[str], rules: Collection[str], now: datetime
    ) -> Iterator[Request]:
        pending = iterate_newest_first(self._stores.requests, "status", RequestStatus.PENDING, None)
        for request in islice(pending, MAX_LOOKED_AT):
            deciders = policy.notifications.deciders_of(request.rule, policy.waiting.urgent_since(request), now)
            names = {each.value for each in deciders if each.kind is PrincipalKind.ON_CALL}
            if (request.rule in rules or not names.isdisjoint(schedules)) and not request.is_overdue(now):
                yield request
