"""Make what is held agree with what is wanted: for each right that is due, read, decide, write the intent, call, write.

Invariant: level-triggered, with no memory of its own. Every call of a target follows a commit that says so, under a
lease, judged on grants that nobody changed since they were read; and its result is written only under the same lease.
A worker that calls after its lease has ended, because it was frozen, makes the right due for a look. Any number of
instances may do this at once.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from core.access.clock_steps import correct_ahead
from core.access.conclusion import Hearing, conclude
from core.access.grant import Grant, GrantStatus
from core.access.holding import Holding, OperationKind
from core.access.plan import Call, Give, Look, Poll, Rest, Take, choose_move, find_urgency, settle_leases
from core.access.progress import GrantChange, find_change, keep_books, tell_steps
from core.access.rebuilding import explain, rebuild, reclaim
from core.access.right import Right
from core.access.timing import MAX_PAUSE, TELL_DELAY, TELL_EMERGENCY_DELAY
from core.access.wanted import find_wanting, is_wanted
from core.actor import CLOCK
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock, is_trusted, new_id
from core.errors import BrokenChain, ConcurrentModification
from core.stores.access import AccessStore, RightState
from core.targets.base import Answer, OperationKey, Target, Unknown

MAX_ROUNDS: Final = 40
"""How many commits one visit of a right makes at most; the right stays due."""
MAX_RESIDUAL: Final = timedelta(hours=12)
"""What is said of open sessions when their target can't say how long they live: as long as any of AWS."""
_log = logging.getLogger("countersign.access")


class Reconciler:
    """Reconciles rights, one visit at a time. Safe for threads, if the store and the targets are.

    `targets` are those of the configuration, by name; a right whose target is gone stays due, and is reported.
    `on_change` hears of each grant that was changed, after its commit; it neither waits nor raises.
    """

    def __init__(
        self,
        store: AccessStore,
        targets: Mapping[str, Target],
        clock: Clock,
        *,
        holder: str | None = None,
        jitter: Callable[[], float] = random.random,
        on_change: Callable[[Grant, Sequence[EntryDraft]], object] | None = None,
    ) -> None:
        self._store = store
        self._targets = targets
        self._clock = clock
        self._holder = holder or new_id()
        self._visits = count(1)
        self._jitter = jitter
        self._on_change = on_change or (lambda _grant, _entries: None)

    def reconcile(self, right: Right, grant: str | None = None) -> Answer | None:
        """Do all that is due for a right now. Returns the target's last answer, None if it wasn't called.

        `grant` is the id of one that is known to be overdue, should the right itself not list it any more.

        Raises StoreError; what was under way is then taken up when its lease ends.
        """
        visit = f"{self._holder}-{next(self._visits)}"
        also = (grant,) if grant is not None else ()
        state, last = self._read(right, also), None
        unwritten: tuple[Call, Answer, datetime] | None = None
        for _ in range(MAX_ROUNDS):
            try:
                state, call = self._decide(state, visit, is_written=unwritten is None)
            except ConcurrentModification:
                state = self._read_again(right, also, visit, unwritten)
                continue
            except _RolledBack as rolled_back:
                state = replace(state, grants=rolled_back.others)
                continue
            unwritten = None
            if call is None:
                return last
            if isinstance(call, GrantChange):
                continue
            if not state.holding.may_call(visit, self._clock.now()):
                # Frozen since the commit. Nothing was called; the next holder of the lease looks first.
                return last
            asked_at = self._clock.now()
            last = self._call(state.holding, call)
            unwritten = call, last, asked_at
            state = self._conclude(state, *unwritten)
        return last

    def _read(self, right: Right, also: Sequence[str]) -> RightState:
        """The right as it is now. One of which all knowledge was damaged or removed is rebuilt first."""
        for _ in range(MAX_ROUNDS):
            state = self._store.get_right(right, also)
            if not state.is_lost:
                return state
            with suppress(ConcurrentModification):
                return self._rebuild(state)
        raise ConcurrentModification(Holding.empty(right).key)

    def _rebuild(self, state: RightState) -> RightState:
        now = self._clock.now()
        rebuilt = rebuild(state.holding.right, state.grants, state.given, now)
        rebuilt = rebuilt.change(urgency=find_urgency(rebuilt, state.grants, now))
        _log.error("%s: what was known of it is lost or can't be trusted; it is rebuilt from its grants", rebuilt.key)
        about = next((each for each in state.grants if each.id == rebuilt.last_grant), None)
        if about is None:
            # Of its grants, none can be read: the alarm of their seals is the only notice.
            return self._store.commit(state, rebuilt)
        entry = EntryDraft.of(about, AuditAction.HOLDING_REBUILT, CLOCK, explain(rebuilt))
        return self._commit(state, rebuilt, GrantChange(about, (entry,), rebuilt))

    def _read_again(
        self, right: Right, also: Sequence[str], visit: str, unwritten: tuple[Call, Answer, datetime] | None
    ) -> RightState:
        """The right as it is now, with an answer that was not written yet."""
        while True:
            state = self._read(right, also)
            if unwritten is None:
                return state
            call, _, _ = unwritten
            lease = state.holding.lease
            if lease is not None and lease.holder == visit:
                return self._conclude(state, *unwritten)
            if not isinstance(call, Give | Take):
                return state
            # The lease ended during the call: others may have acted on what was true before it.
            kind = OperationKind.GIVE if isinstance(call, Give) else OperationKind.TAKE
            with suppress(ConcurrentModification):
                return self._store.commit(state, state.holding.disturb(kind, call.grant, self._clock.now()))

    def _decide(
        self, state: RightState, visit: str, *, is_written: bool
    ) -> tuple[RightState, Call | GrantChange | None]:
        """Commit the next change of a grant, or the intent of the next call, or until when to rest."""
        now = self._clock.now()
        grants = state.grants
        known = correct_ahead(state.holding, now) if is_trusted(self._clock) else state.holding
        settled = settle_leases(known, now)
        reclaimed = reclaim(settled, grants, now)
        if reclaimed is not settled:
            # Nothing becomes ours because of a grant that was put back.
            self._distrust(state, grants)
        holding = keep_books(reclaimed, grants, now)
        residual = self._residual(holding.right)
        change = find_change(holding, grants, now, residual, is_clock_trusted=is_trusted(self._clock))
        if change is not None and not holding.is_leased(now):
            soon = change.holding.change(next_look_at=now, urgency=find_urgency(holding, grants, now))
            return self._commit_or_distrust(state, soon, change), change
        move = self._hold_back(choose_move(holding, grants, now), state, now)
        if isinstance(move, Rest):
            return self._rest(state, holding, move, now, is_written=is_written)
        if isinstance(move, Give | Look):
            self._distrust(state, find_wanting(grants, now))
        return self._store.commit(state, _begin(holding, move, grants, visit, now)), move

    def _rest(
        self, state: RightState, holding: Holding, move: Rest, now: datetime, *, is_written: bool
    ) -> tuple[RightState, GrantChange | None]:
        if holding.is_leased(now):
            return state, None
        if (untold := tell_steps(holding, state.grants)) is not None:
            return self._commit_or_distrust(state, untold.holding, untold), untold
        rested = holding.release() if move.release else holding
        until = _bound(move.until, state.grants, now)
        urgency = find_urgency(rested, state.grants, until or now)
        rested = rested.change(next_look_at=until, urgency=urgency, lease=None)
        if is_written and rested == state.holding:
            return state, None
        return self._store.commit(state, rested), None

    def _commit(self, state: RightState, holding: Holding, change: GrantChange) -> RightState:
        committed = self._store.commit(state, holding, change.grant, change.entries)
        self._on_change(change.grant, change.entries)
        return committed

    def _commit_or_distrust(self, state: RightState, holding: Holding, change: GrantChange) -> RightState:
        """Commit. A grant whose chain has no place for that holds up neither the others of its right, nor a take."""
        try:
            return self._commit(state, holding, change)
        except BrokenChain:
            self._distrust(state, (change.grant,))
            raise

    def _distrust(self, state: RightState, grants: Sequence[Grant]) -> None:
        """Raises _RolledBack when one of these grants isn't what its chain says: it counts as not there."""
        gone = self._store.find_rolled_back(grants)
        if gone:
            raise _RolledBack(tuple(each for each in state.grants if each.id not in gone))

    def _hold_back(self, move: Call | Rest, state: RightState, now: datetime) -> Call | Rest:
        """By a clock that is off nobody's time is over: only what somebody ended is taken."""
        wants = any(grant.status in {GrantStatus.PENDING, GrantStatus.ACTIVE} for grant in state.grants)
        if isinstance(move, Take) and wants and not is_trusted(self._clock):
            return Rest(now + TELL_EMERGENCY_DELAY)
        return move

    def _call(self, holding: Holding, call: Call) -> Answer:
        right = holding.right
        try:
            target = self._targets.get(right.target)
            if target is None:
                return Unknown(
                    f"the target {right.target} is not in the policy any more; put it back, or revoke by hand"
                )
            return _ask(target, right, call, holding.generation)
        except Exception as error:  # noqa: BLE001 - whatever a target raises, its answer is lost, and the right stays due
            _log.warning("%s of %s: the answer is lost", type(call).__name__.lower(), right, exc_info=True)
            return Unknown(f"{type(error).__name__}: {error}")

    def _conclude(self, state: RightState, call: Call, answer: Answer, asked_at: datetime) -> RightState:
        """The state with the answer; it is committed together with what follows from it."""
        # A look is as old as its question, however long the answer took to arrive.
        now = asked_at if isinstance(call, Look) else self._clock.now()
        wanted = is_wanted(state.grants, self._clock.now())
        holding = conclude(state.holding, call, answer, Hearing(now, wanted, self._jitter()))
        return replace(state, holding=holding)

    def _residual(self, right: Right) -> timedelta:
        try:
            target = self._targets.get(right.target)
            return target.residual(right) if target is not None else timedelta(0)
        except Exception:  # noqa: BLE001 - a target that fails here must not keep its own rights from being taken
            _log.warning("how long a session can outlive %s is not known", right, exc_info=True)
            return MAX_RESIDUAL


class _RolledBack(Exception):
    """Older versions of grants were put back. `others` are those of the right that can be trusted."""

    def __init__(self, others: tuple[Grant, ...]) -> None:
        super().__init__()
        self.others = others


def _begin(holding: Holding, call: Call, grants: Sequence[Grant], visit: str, now: datetime) -> Holding:
    urgent = holding.change(urgency=find_urgency(holding, grants, now))
    match call:
        case Give():
            return urgent.begin(OperationKind.GIVE, call.grant, visit, now)
        case Take():
            return urgent.begin(OperationKind.TAKE, call.grant, visit, now)
        case Look() | Poll():
            return urgent.take_lease(visit, now)


def _ask(target: Target, right: Right, call: Call, generation: int) -> Answer:
    match call:
        case Look():
            return target.inspect(right)
        case Poll():
            return target.poll(call.token)
        case Give():
            return target.give(right, call.until, OperationKey(call.grant, generation))
        case Take():
            return target.take(right, OperationKey(call.grant, generation))


def _bound(until: datetime | None, grants: Sequence[Grant], now: datetime) -> datetime | None:
    """Not so late that people would be told too late that opening takes long."""
    alerts = [
        grant.starts_at + (TELL_EMERGENCY_DELAY if grant.is_emergency else TELL_DELAY)
        for grant in grants
        if grant.status is GrantStatus.PENDING and grant.delay_told_at is None and grant.is_wanted(now)
    ]
    if until is None and any(grant.is_live for grant in grants):
        until = now + MAX_PAUSE
    bounded = min((each for each in (until, *alerts) if each is not None), default=None)
    return None if bounded is None else max(bounded, now + _TICK)


_TICK: Final = timedelta(seconds=1)
