"""Break-glass races: one live event, exact cooldowns and quotas, one end of an event.

Invariant: each check looks at a ledger too, for it is they that the next limit is judged by.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core.actor import ProfileName
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventStatus
from core.clock import TICK
from core.request import DEFAULT_DECIDE_WITHIN
from core.stores import Stores
from core.usage import Usage
from tests.core.races.attempts import (
    APPROVERS,
    COOLDOWN,
    EACH,
    HOUR,
    INVOKERS,
    QUOTA,
    REQUESTER,
    Act,
    Attempt,
    carry_out,
    invoke,
    submit,
)
from tests.core.races.scenario import Round, Scenario, Trail, expired_line, was_refused

LONG_LEDGER: Final = 300
"""So many usages in full take 75 KB. DynamoDB Local sends what is longer than 32 KB in chunks."""
_SOME_TIME: Final = timedelta(minutes=10)
_ONE: Final = INVOKERS[0]


def _invoke_at_once(_: Stores, at: datetime) -> list[Attempt]:
    return [Attempt(Act.INVOKE, _ONE, at, "rare")] * 4


def _check_one_live_event(done: Round, trail: Trail) -> None:
    (event,) = _events(done, trail)
    assert _limits(done) == {("live event", event.expires_at)}
    assert _used(done) == {Usage.of(event)}


def _invoke_with_a_long_ledger(stores: Stores, at: datetime) -> list[Attempt]:
    """The invoker has used hundreds of profiles, so what a refused transaction returns is long."""
    by_invoker, _ = stores.break_glass.get_ledgers(_ONE, ProfileName("rare"))
    usages = tuple(
        Usage(
            event_id=f"{number:016x}",
            invoker=_ONE,
            profile=ProfileName(f"other-{number}"),
            at=at - HOUR,
            ends_at=at - TICK,
        )
        for number in range(LONG_LEDGER)
    )
    stores.break_glass.put_ledger(by_invoker.model_copy(update={"usages": usages, "archived": ""}))
    return [Attempt(Act.INVOKE, _ONE, at, "rare")] * 8


def _check_one_live_event_in_a_long_ledger(done: Round, trail: Trail) -> None:
    (event,) = _events(done, trail)
    assert _limits(done) == {("live event", event.expires_at)}
    by_invoker, _ = done.ledgers
    assert len(by_invoker.usages) == LONG_LEDGER + 1
    assert by_invoker.has(event.id)


def _invoke_around_the_cooldown(stores: Stores, at: datetime) -> list[Attempt]:
    """For half of the instances the cooldown ends in a microsecond, and for half it has ended just now."""
    event = invoke(stores, "rare", at)
    closed_at = at + _SOME_TIME
    carry_out(stores, Attempt(Act.CLOSE, _ONE, closed_at, event.id))
    over = closed_at + COOLDOWN
    return [Attempt(Act.INVOKE, _ONE, moment, "rare") for moment in (over - TICK, over) for _ in range(2)]


def _check_cooldown(done: Round, trail: Trail) -> None:
    (event,) = _events(done, trail)
    assert event.created_at == max(each.attempt.at for each in done.results)
    assert _limits(done) <= {("cooldown", event.created_at), ("live event", event.expires_at)}
    assert len(_used(done)) == 2
    assert Usage.of(event) in _used(done)


def _invoke_four_profiles(_: Stores, at: datetime) -> list[Attempt]:
    return [Attempt(Act.INVOKE, _ONE, at, profile) for profile in EACH]


def _invoke_by_four_people(_: Stores, at: datetime) -> list[Attempt]:
    return [Attempt(Act.INVOKE, who, at, "shared") for who in INVOKERS[:4]]


def _check_quota(done: Round, trail: Trail) -> None:
    events = _events(done, trail)
    assert len(events) == QUOTA
    is_per_user = len({event.profile for event in events}) > 1
    assert {limit for limit, _ in _limits(done)} == {"quota per user" if is_per_user else "quota per profile"}
    # The quota's own ledger is the one that remembers all of them.
    by_invoker, by_profile = done.ledgers
    assert set((by_invoker if is_per_user else by_profile).usages) == {Usage.of(event) for event in events}


def _end_it_both_ways(stores: Stores, at: datetime) -> list[Attempt]:
    event = invoke(stores, "rare", at)
    late = at + HOUR
    return [
        Attempt(Act.CLOSE, _ONE, at, event.id),
        *(Attempt(Act.CLOSE, who, at, event.id) for who in APPROVERS[:2]),
        *(Attempt(Act.EXPIRE_EVENTS, REQUESTER, late) for _ in range(2)),
        Attempt(Act.CLOSE, APPROVERS[3], late, event.id),
    ]


def _check_one_end(done: Round, trail: Trail) -> None:
    closers = done.of(Act.CLOSE)
    event = trail.event(closers[0])
    recorded = [each for each in done.of(Act.EXPIRE_EVENTS) if each.records]
    winners = [each for each in closers if each.is_yes]
    assert all(each.records == (event,) for each in [*winners, *recorded])
    assert all(was_refused(each, event) for each in closers if each not in winners)
    begin = (AuditAction.BREAK_GLASS_INVOKED, event.invoker, "active")
    if event.status is EventStatus.EXPIRED:
        assert (len(winners), len(recorded)) in {(0, 1), (0, 0)}
        assert trail.story(event) == [begin, expired_line(AuditAction.BREAK_GLASS_EXPIRED)]
    else:
        (winner,) = winners
        assert winner.attempt.at < event.expires_at
        assert not recorded
        assert (event.status, event.closed_by) == (EventStatus.CLOSED, winner.attempt.who)
        assert trail.story(event) == [begin, (AuditAction.BREAK_GLASS_CLOSED, winner.attempt.who, "closed")]
    assert {usage.event_id for usage in _used(done)} == {event.id}


def _invoke_while_closing(stores: Stores, at: datetime) -> list[Attempt]:
    event = invoke(stores, "rare", at)
    again = at + _SOME_TIME
    invocation = Attempt(Act.INVOKE, _ONE, again, "rare")
    # Read at once, a ledger is nearly always the one from before the close; so one of them looks for the close first.
    after = Attempt(Act.INVOKE_ONCE_CLOSED, _ONE, again, "rare", key=event.id)
    return [Attempt(Act.CLOSE, _ONE, again, event.id), invocation, invocation, after]


def _check_no_gap(done: Round, trail: Trail) -> None:
    """What is not live any more cools down: there is no moment between the two."""
    (close,) = done.yes
    event = trail.event(close)
    assert close.records == (event,)
    cooldown = ("cooldown", close.attempt.at + COOLDOWN)
    assert {cooldown} <= _limits(done) <= {cooldown, ("live event", event.expires_at)}
    assert {usage.event_id for usage in _used(done)} == {event.id}


def _sweep_at_once(stores: Stores, at: datetime) -> list[Attempt]:
    """Three requests and one event are overdue, and two instances sweep."""
    for _ in range(3):
        submit(stores, "one", at)
    invoke(stores, "rare", at)
    late = at + DEFAULT_DECIDE_WITHIN
    return [Attempt(act, REQUESTER, late) for act in (Act.EXPIRE_REQUESTS, Act.EXPIRE_EVENTS) for _ in range(2)]


def _check_swept_once(done: Round, trail: Trail) -> None:
    assert len(done.yes) == len(done.results)
    swept = [record for each in done.results for record in each.records]
    assert len({record.chain for record in swept}) == len(swept) == 4
    for record in swept:
        assert trail.records[record.chain] == record
        assert [line[1:] for line in trail.story(record)[1:]] == [("clock", "expired")]


def _invoke_again_and_again(_: Stores, at: datetime) -> list[Attempt]:
    return [Attempt(Act.INVOKE, _ONE, at, "rare", key=f"view {at}")] * 4


def _check_one_event(done: Round, trail: Trail) -> None:
    (event,) = set(_events(done, trail))
    assert len(done.yes) == len(done.results)
    assert _used(done) == {Usage.of(event)}


def _events(done: Round, trail: Trail) -> list[BreakGlassEvent]:
    """The events that somebody got, each as the table and the trail have it; the others met a limit."""
    events: list[BreakGlassEvent] = []
    for each in done.results:
        assert each.error in {"", "LimitReached"}
        for event in each.records:
            assert isinstance(event, BreakGlassEvent)
            assert trail.records[event.chain] == event
            assert trail.story(event) == [(AuditAction.BREAK_GLASS_INVOKED, event.invoker, "active")]
            events.append(event)
    return events


def _limits(done: Round) -> set[tuple[str | None, datetime | None]]:
    return {(each.limit, each.ends_at) for each in done.of(Act.INVOKE, Act.INVOKE_ONCE_CLOSED) if not each.is_yes}


def _used(done: Round) -> set[Usage]:
    """What the invoker's ledger remembers; the profile's remembers the same events."""
    by_invoker, by_profile = done.ledgers
    assert {usage.event_id for usage in by_invoker.usages} == {usage.event_id for usage in by_profile.usages}
    return set(by_invoker.usages)


_RARE: Final = (_ONE, "rare")
SCENARIOS: Final = (
    Scenario("one live event", _invoke_at_once, _check_one_live_event, _RARE),
    Scenario("a long ledger", _invoke_with_a_long_ledger, _check_one_live_event_in_a_long_ledger, _RARE),
    Scenario("cooldown", _invoke_around_the_cooldown, _check_cooldown, _RARE),
    Scenario("quota per user", _invoke_four_profiles, _check_quota, (_ONE, EACH[0])),
    Scenario("quota per profile", _invoke_by_four_people, _check_quota, (_ONE, "shared")),
    Scenario("close against expire", _end_it_both_ways, _check_one_end, _RARE, share=4),
    Scenario("invoke while closing", _invoke_while_closing, _check_no_gap, _RARE, share=4),
    Scenario("sweep at once", _sweep_at_once, _check_swept_once, share=4),
    Scenario("one invocation delivered again", _invoke_again_and_again, _check_one_event, _RARE, share=4),
)
