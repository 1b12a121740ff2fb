"""The next step for a right: one pure function of what is wanted, what is known, and the time.

Invariant: nothing is taken that a live grant wants, that stood before us, or that we didn't give; nothing is given or
taken while another operation is under way; what a target may still be about to show is looked at again, not repeated.
A take doesn't wait for a look. What only grants of a newer version want isn't given, and what they have is left to them
until their end, at which it is taken like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.access.grant import Grant, GrantStatus
from core.access.holding import Holding, Observation, OperationKind, Urgency
from core.access.rebuilding import is_unseen
from core.access.timing import (
    FIRST_PAUSE,
    FRESH,
    LAST_LOOK,
    LEFT_TO_NEWER,
    LOOK_EVERY,
    LOOK_PAUSE,
    MAX_PAUSE,
    REPEAT_AFTER,
    SETTLE,
)
from core.access.wanted import find_next_edge, find_wanting, is_wanted, wanted_since


@dataclass(frozen=True, slots=True)
class Look:
    """See whether the right is there."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask what became of the operation."""

    token: str


@dataclass(frozen=True, slots=True)
class Give:
    """Give the right, for this grant, until the last of its windows ends."""

    grant: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Take:
    """Take the right, which was given for this grant."""

    grant: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do until then; None: until somebody changes a grant. `release`: nothing of ours can be left."""

    until: datetime | None
    release: bool = False


Call = Look | Poll | Give | Take


def choose_move(holding: Holding, grants: Sequence[Grant], now: datetime) -> Call | Rest:
    """What to do next. A holding with an operation that nobody works on any more has to be `settle_leases`d first."""
    wanting = find_wanting(grants, now)
    if (until := _find_wait(holding, wanting, now)) is not None:
        # A pause ends with what was wanted when it began.
        return _rest_until(until, grants, now)
    if holding.operation is not None and holding.operation.token is not None:
        return Poll(holding.operation.token)
    if wanting:
        return _move_towards_held(holding, wanting, grants, now)
    return _move_towards_absent(holding, grants, now)


def settle_leases(holding: Holding, now: datetime) -> Holding:
    """The holding without a lease that has ended. An operation that was under way by it has lost its answer."""
    if holding.lease is None or holding.is_leased(now):
        return holding
    if holding.operation is not None and holding.operation.token is None:
        # Its worker may have called until the lease ended, however early it wrote the intent.
        latest = max(holding.operation.since, holding.lease.until)
        return holding.change(operation=holding.operation.model_copy(update={"since": latest})).lose_operation()
    return holding.change(lease=None)


def find_urgency(holding: Holding, grants: Sequence[Grant], at: datetime) -> Urgency:
    """What the right waits for at that moment."""
    wanting = find_wanting(grants, at)
    if wanting:
        waiting = [grant for grant in wanting if grant.status is GrantStatus.PENDING]
        if not waiting and holding.observed is not Observation.ABSENT:
            return Urgency.LOOK
        return Urgency.EMERGENCY if any(grant.is_emergency for grant in waiting or wanting) else Urgency.GRANT
    is_ending = any(grant.is_live and grant.ended_at <= at for grant in grants)
    is_held = holding.is_ours and not holding.is_absence_proved
    return Urgency.REVOKE if is_ending or is_held else Urgency.LOOK


def _find_wait(holding: Holding, wanting: Sequence[Grant], now: datetime) -> datetime | None:
    if holding.lease is not None and holding.is_leased(now):
        return holding.lease.until
    pause = holding.pause
    if pause is None or now >= pause.until or pause.is_wanted != bool(wanting):
        return None
    # A pause doesn't hold back an emergency that nobody knew of when it began.
    is_new = any(grant.is_emergency and grant.created_at > pause.since for grant in wanting)
    return None if is_new else pause.until


def _move_towards_held(  # noqa: PLR0911 - one case after the other
    holding: Holding, wanting: Sequence[Grant], grants: Sequence[Grant], now: datetime
) -> Call | Rest:
    understood = [grant for grant in wanting if grant.is_understood]
    if understood and _is_known_taken(holding, now):
        # Lists may still show what we took ourselves a moment ago.
        return _give(understood)
    if _is_look_due(holding, now):
        return Look()
    if holding.observed is Observation.HELD:
        return _watch(holding, grants, now)
    if not understood:
        return _rest_until(now + LEFT_TO_NEWER, grants, now)
    if (repeat_at := _find_repeat(holding, OperationKind.GIVE, holding.given_at)) > now:
        return _look_or_rest(holding, repeat_at, grants, now)
    if (try_at := _find_next_try(holding, understood)) is None:
        # They are about to fail; nothing else was asked of this right.
        return _watch(holding, grants, now)
    if try_at > now:
        return _rest_until(try_at, grants, now)
    if not holding.is_touched and (holding.seen_at is None or now >= holding.seen_at + FRESH):
        return Look()
    return _give(understood)


def _move_towards_absent(  # noqa: PLR0911 - one case after the other
    holding: Holding, grants: Sequence[Grant], now: datetime
) -> Call | Rest:
    if not holding.is_touched:
        is_ending = any(grant.is_live and grant.ended_at <= now for grant in grants)
        if is_ending and is_unseen(holding):
            return Look()
        return Rest(find_next_edge(grants, now), release=True)
    if holding.observed is Observation.UNKNOWN:
        return Look()
    if not holding.is_absence_proved:
        if (repeat_at := _find_repeat(holding, OperationKind.TAKE, holding.taken_at)) > now:
            return _look_or_rest(holding, repeat_at, grants, now)
        return Take(_find_last(holding, grants))
    if _is_look_due(holding, now):
        return Look()
    if _find_next_look(holding) is None:
        return Rest(find_next_edge(grants, now), release=True)
    return _watch(holding, grants, now)


def _give(wanting: Sequence[Grant]) -> Give:
    return Give(wanting[0].id, wanting[0].ends_at)


def _is_known_taken(holding: Holding, now: datetime) -> bool:
    """True right after the target confirmed a take, with nothing done since."""
    is_last = holding.confirmed is OperationKind.TAKE and holding.lost is None and holding.is_ours
    return is_last and not holding.is_settled(holding.taken_at, now)


def _find_next_look(holding: Holding) -> datetime | None:
    """When to look next; None if never, because nothing of ours can be left."""
    seen_at, changed_at = holding.seen_at, holding.changed_at
    if seen_at is None or not holding.is_seen or holding.observed is Observation.UNKNOWN:
        return _AT_ONCE
    if holding.lost is not None:
        return seen_at + 2 * LOOK_PAUSE
    if changed_at is not None and seen_at < changed_at + SETTLE:
        return changed_at + SETTLE
    if holding.observed is Observation.HELD:
        return seen_at + LOOK_EVERY
    return changed_at + LAST_LOOK if changed_at is not None and seen_at < changed_at + LAST_LOOK else None


def _is_look_due(holding: Holding, now: datetime) -> bool:
    next_look = _find_next_look(holding)
    return next_look is not None and now >= next_look


def _find_repeat(holding: Holding, kind: OperationKind, confirmed_at: datetime | None) -> datetime:
    """From when on the operation may be called (again), although the target doesn't show its effect."""
    lost = holding.lost
    if lost is not None and lost.kind is kind:
        return lost.since + REPEAT_AFTER
    if confirmed_at is not None and holding.confirmed is kind:
        # Lists only lag.
        return confirmed_at + SETTLE
    return _AT_ONCE


def _find_next_try(holding: Holding, wanting: Sequence[Grant]) -> datetime | None:
    """From when on a give may be tried that was refused before; None: it was refused to all who want it."""
    refused = holding.refused
    if refused is None or any(wanted_since(grant) > refused.at for grant in wanting):
        return _AT_ONCE
    if not any(grant.status is GrantStatus.ACTIVE for grant in wanting):
        return None
    # They had it, and the target doesn't give it back: no reason to ask without a pause.
    pause: timedelta = FIRST_PAUSE * 2 ** min(holding.failures, 10)
    return refused.at + min(pause, MAX_PAUSE)


def _look_or_rest(holding: Holding, repeat_at: datetime, grants: Sequence[Grant], now: datetime) -> Call | Rest:
    next_look = holding.seen_at + LOOK_PAUSE if holding.seen_at is not None and holding.is_seen else now
    return Look() if now >= next_look else _rest_until(min(next_look, repeat_at), grants, now)


def _rest_until(until: datetime | None, grants: Sequence[Grant], now: datetime) -> Rest:
    edge = find_next_edge(grants, now)
    return Rest(min((each for each in (edge, until) if each is not None), default=None))


def _watch(holding: Holding, grants: Sequence[Grant], now: datetime) -> Rest:
    return _rest_until(_find_next_look(holding), grants, now)


def _find_last(holding: Holding, grants: Sequence[Grant]) -> str:
    ending = [grant for grant in grants if grant.status is GrantStatus.ENDING]
    last = max(ending, key=lambda grant: (grant.ended_at, grant.id), default=None)
    return last.id if last is not None else holding.last_grant or grants[0].id


_AT_ONCE = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
__all__ = ["Call", "Give", "Look", "Poll", "Rest", "Take", "choose_move", "find_urgency", "is_wanted", "settle_leases"]
