from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.actor import ProfileName, UserId
from core.break_glass import MAX_DURATION, BreakGlassEvent
from core.clock import TICK
from core.errors import MalformedRecord
from core.usage import (
    HORIZON,
    MAX_PER_QUOTA,
    MAX_USAGES,
    LimitHit,
    Usage,
    UsageLedger,
    UsageLimits,
    find_limit,
    is_escalated,
)
from tests.builders import DAY, HOUR, INVOKER, PROD, STAGING, an_event
from tests.harness.clock import A_MOMENT

OTHER: Final = UserId("U0OTHER")
THIRTY_DAYS: Final = timedelta(days=30)


class Ledgers(NamedTuple):
    invoker: UsageLedger
    profile: UsageLedger


def ledgers_of(*events: BreakGlassEvent, invoker: UserId = INVOKER, profile: ProfileName = PROD) -> Ledgers:
    """The two ledgers as the store would hold them after these events."""
    by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
    for event in events:
        if event.invoker == invoker:
            by_invoker = by_invoker.add(event)
        if event.profile == profile:
            by_profile = by_profile.add(event)
    return Ledgers(by_invoker, by_profile)


def hit_of(ledgers: Ledgers, limits: UsageLimits, now: datetime) -> LimitHit | None:
    return find_limit(ledgers.invoker, ledgers.profile, PROD, limits, now)


def test_unused_ledger_blocks_nothing() -> None:
    limits = UsageLimits(cooldown=THIRTY_DAYS, max_per_user=1, max_per_profile=1)
    assert hit_of(ledgers_of(), limits, A_MOMENT) is None


# One live event per invoker and profile


def test_active_event_blocks_another_one_until_exactly_its_end() -> None:
    event = an_event()
    used = ledgers_of(event)
    hit = LimitHit(limit="live event", value=event.id, ends_at=A_MOMENT + HOUR)
    assert hit_of(used, UsageLimits(), A_MOMENT) == hit
    assert hit_of(used, UsageLimits(), A_MOMENT + HOUR - TICK) == hit
    assert hit_of(used, UsageLimits(), A_MOMENT + HOUR) is None


def test_active_event_blocks_no_other_profile_or_person() -> None:
    assert hit_of(ledgers_of(an_event(profile=STAGING)), UsageLimits(), A_MOMENT) is None
    assert hit_of(ledgers_of(an_event(invoker=OTHER)), UsageLimits(), A_MOMENT) is None


def test_close_ends_the_block_at_once() -> None:
    event = an_event()
    closed = event.close(INVOKER, A_MOMENT + TICK, "done with it")
    used = ledgers_of(event)
    ended = Ledgers(used.invoker.settle(closed), used.profile)
    assert hit_of(ended, UsageLimits(), A_MOMENT + TICK) is None
    assert used.invoker.settle(an_event()) == used.invoker, "a close of an event that the ledger forgot changes nothing"


def test_live_usage_is_the_one_of_that_profile() -> None:
    staging, prod = an_event(profile=STAGING), an_event()
    ledger = ledgers_of(staging, prod).invoker
    assert ledger.live(PROD, A_MOMENT) == Usage.of(prod)
    assert ledger.live(PROD, A_MOMENT + HOUR) is None
    assert ledger.has(staging.id)
    assert not ledger.has("0123456789abcdef")


# Cooldowns


def test_cooldown_runs_from_the_end_until_exactly_when_it_says() -> None:
    limits = UsageLimits(cooldown=HOUR / 2)
    used = ledgers_of(an_event())
    over = A_MOMENT + HOUR + HOUR / 2
    hit = LimitHit(limit="cooldown", value="30m", ends_at=over)
    assert hit_of(used, limits, A_MOMENT + HOUR) == hit
    assert hit_of(used, limits, over - TICK) == hit
    assert hit_of(used, limits, over) is None


def test_cooldown_runs_from_the_close_of_a_closed_event() -> None:
    limits = UsageLimits(cooldown=HOUR)
    event = an_event(duration=4 * HOUR)
    closed = event.close(INVOKER, A_MOMENT + TICK, "enough of it")
    used = Ledgers(ledgers_of(event).invoker.settle(closed), ledgers_of(event).profile)
    assert hit_of(used, limits, A_MOMENT + TICK) == LimitHit(
        limit="cooldown", value="1h", ends_at=A_MOMENT + TICK + HOUR
    )
    assert hit_of(used, limits, A_MOMENT + TICK + HOUR) is None


def test_active_event_is_the_answer_before_its_cooldown() -> None:
    hit = hit_of(ledgers_of(an_event()), UsageLimits(cooldown=HOUR), A_MOMENT)
    assert hit is not None
    assert hit.limit == "live event"


def test_cooldown_counts_the_last_end_and_not_the_last_beginning() -> None:
    long, short = an_event(duration=4 * HOUR), an_event(now=A_MOMENT + HOUR, duration=HOUR)
    used = ledgers_of(long, short)
    limits = UsageLimits(cooldown=HOUR)
    hit = hit_of(used, limits, A_MOMENT + 4 * HOUR)
    assert hit is not None
    assert hit.ends_at == A_MOMENT + 5 * HOUR


def test_cooldown_is_of_one_person_for_one_profile() -> None:
    limits, now = UsageLimits(cooldown=THIRTY_DAYS), A_MOMENT + HOUR
    assert hit_of(ledgers_of(an_event(profile=STAGING)), limits, now) is None
    assert hit_of(ledgers_of(an_event(invoker=OTHER)), limits, now) is None


# Quotas


def test_quota_per_person_counts_every_profile_in_its_window() -> None:
    limits = UsageLimits(max_per_user=2, quota_window=DAY)
    used = ledgers_of(an_event(profile=STAGING), an_event(now=A_MOMENT + 2 * HOUR))
    hit = LimitHit(limit="quota per user", value="2 in 1d", ends_at=A_MOMENT + DAY)
    assert hit_of(used, limits, A_MOMENT + 4 * HOUR) == hit
    assert hit_of(used, limits, A_MOMENT + DAY - TICK) == hit
    assert hit_of(used, limits, A_MOMENT + DAY) is None


def test_quota_per_profile_counts_every_person() -> None:
    limits = UsageLimits(max_per_profile=2, quota_window=DAY)
    used = ledgers_of(an_event(invoker=OTHER), an_event(invoker=UserId("U0THIRD"), now=A_MOMENT + HOUR))
    hit = hit_of(used, limits, A_MOMENT + 2 * HOUR)
    assert hit == LimitHit(limit="quota per profile", value="2 in 1d", ends_at=A_MOMENT + DAY)
    assert hit_of(ledgers_of(an_event(invoker=OTHER, profile=STAGING)), limits, A_MOMENT) is None


def test_one_below_the_quota_is_still_free() -> None:
    limits = UsageLimits(max_per_user=2, max_per_profile=2)
    assert hit_of(ledgers_of(an_event()), limits, A_MOMENT + HOUR) is None


def test_lowered_quota_says_when_enough_usages_have_left() -> None:
    events = [an_event(now=A_MOMENT + number * HOUR) for number in range(4)]
    hit = hit_of(ledgers_of(*events), UsageLimits(max_per_user=2, quota_window=DAY), A_MOMENT + 5 * HOUR)
    assert hit is not None
    assert hit.ends_at == A_MOMENT + 2 * HOUR + DAY, "the third of four has to leave before one of two is free"


def test_limit_that_ends_last_is_reported_of_several() -> None:
    limits = UsageLimits(cooldown=HOUR, max_per_user=1, quota_window=DAY)
    hit = hit_of(ledgers_of(an_event()), limits, A_MOMENT)
    assert hit is not None
    assert (hit.limit, hit.ends_at) == ("quota per user", A_MOMENT + DAY)
    assert hit.to_details() == {"limit": "quota per user", "value": "1 in 1d", "ends_at": "2026-01-16T03:53:45.120000Z"}


# The time in the refusal is right, whatever happened before

OFFSETS: Final = st.integers(0, 400).map(lambda number: number * timedelta(minutes=15))


@st.composite
def histories(draw: st.DrawFn) -> list[BreakGlassEvent]:
    """Events of two people on two profiles in any order of time, some of them closed early."""
    events = []
    for at in draw(st.lists(OFFSETS, max_size=12)):
        event = an_event(
            invoker=draw(st.sampled_from([INVOKER, OTHER])),
            profile=draw(st.sampled_from([PROD, STAGING])),
            now=A_MOMENT + at,
            duration=draw(st.sampled_from([HOUR / 4, HOUR, MAX_DURATION])),
        )
        is_closed = draw(st.booleans())
        events.append(event.close(event.invoker, event.created_at + HOUR / 8, "done with it") if is_closed else event)
    return events


all_limits = st.builds(
    UsageLimits,
    cooldown=st.none() | st.sampled_from([TICK, HOUR, DAY, THIRTY_DAYS]),
    max_per_user=st.none() | st.integers(1, 4),
    max_per_profile=st.none() | st.integers(1, 4),
    quota_window=st.sampled_from([TICK, HOUR, DAY, THIRTY_DAYS]),
)


@given(events=histories(), limits=all_limits, at=OFFSETS)
def test_limit_is_over_at_the_time_given_and_not_one_tick_before(
    events: list[BreakGlassEvent], limits: UsageLimits, at: timedelta
) -> None:
    now = A_MOMENT + at
    used = ledgers_of(*events)
    hit = hit_of(used, limits, now)
    if hit is None:
        return
    assert hit.ends_at > now
    assert hit.limit in _standing(used, limits, hit.ends_at - TICK)
    # Only a cooldown can stand in the way then, which begins when a live event ends; nothing that stood there before.
    assert _standing(used, limits, hit.ends_at) <= {"cooldown"} - {hit.limit}


def _standing(used: Ledgers, limits: UsageLimits, now: datetime) -> set[str]:
    """Every limit that would refuse, each judged separately."""
    window = limits.quota_window
    hits = (
        hit_of(used, UsageLimits(cooldown=limits.cooldown), now),
        *(
            # For a profile that was never used there is neither a live event nor a cooldown.
            find_limit(used.invoker, used.profile, ProfileName("unused"), quota, now)
            for quota in (
                UsageLimits(max_per_user=limits.max_per_user, quota_window=window),
                UsageLimits(max_per_profile=limits.max_per_profile, quota_window=window),
            )
        ),
    )
    return {hit.limit for hit in hits if hit is not None}


# What a ledger may forget


class Unbounded(NamedTuple):
    """What the ledgers would say if they never forgot: every event there ever was."""

    events: Sequence[BreakGlassEvent]

    def is_blocked(self, limits: UsageLimits, now: datetime) -> bool:
        mine = [event for event in self.events if event.invoker == INVOKER]
        on_prod = [event for event in self.events if event.profile == PROD]
        ends = [event.closed_at or event.expires_at for event in mine if event.profile == PROD]
        last = max(ends, default=None)
        start = now - limits.quota_window
        return (
            (last is not None and last > now)
            or (last is not None and limits.cooldown is not None and now < last + limits.cooldown)
            or sum(event.created_at > start for event in mine) >= (limits.max_per_user or 10**9)
            or sum(event.created_at > start for event in on_prod) >= (limits.max_per_profile or 10**9)
        )


@given(
    gaps=st.lists(st.sampled_from([TICK, HOUR, DAY, 10 * DAY, THIRTY_DAYS - HOUR, THIRTY_DAYS, HORIZON]), max_size=25),
    on_prod=st.integers(0, 2**25),
    limits=all_limits,
    wait=st.sampled_from([timedelta(), TICK, HOUR, DAY, THIRTY_DAYS - TICK, THIRTY_DAYS, HORIZON]),
)
def test_forgotten_usage_matters_to_no_limit_of_up_to_30_days(
    gaps: list[timedelta], on_prod: int, limits: UsageLimits, wait: timedelta
) -> None:
    events, now = [], A_MOMENT
    for number, gap in enumerate(gaps):
        now += gap
        events.append(an_event(profile=PROD if on_prod >> number & 1 else STAGING, now=now))
    is_blocked = hit_of(ledgers_of(*events), limits, now + wait) is not None
    assert is_blocked == Unbounded(events).is_blocked(limits, now + wait)


def test_later_event_elsewhere_keeps_the_longest_cooldown() -> None:
    used = ledgers_of(an_event(), an_event(profile=STAGING, now=A_MOMENT + THIRTY_DAYS))
    over = A_MOMENT + HOUR + THIRTY_DAYS
    assert hit_of(used, UsageLimits(cooldown=THIRTY_DAYS), over - TICK) is not None
    assert hit_of(used, UsageLimits(cooldown=THIRTY_DAYS), over) is None


def test_ledger_forgets_what_ended_a_horizon_ago() -> None:
    old = an_event()
    kept = UsageLedger.of_invoker(INVOKER).add(old).add(an_event(now=A_MOMENT + HOUR + HORIZON - TICK))
    assert kept.has(old.id)
    assert not UsageLedger.of_invoker(INVOKER).add(old).add(an_event(now=A_MOMENT + HOUR + HORIZON)).has(old.id)


def _length(ledger: UsageLedger) -> int:
    return len(ledger.since(A_MOMENT - DAY))


def _crowded(count: int) -> UsageLedger:
    """A ledger after this many events on STAGING, a second apart."""
    usages = [Usage.of(an_event(profile=STAGING, now=A_MOMENT + n * timedelta(seconds=1))) for n in range(count)]
    return UsageLedger.of_invoker(INVOKER).model_copy(update={"usages": tuple(usages)})


def test_thousand_usages_elsewhere_push_out_no_cooldown() -> None:
    prod = an_event(duration=MAX_DURATION)
    crowded = _crowded(MAX_USAGES - 1)
    ledger = crowded.model_copy(update={"usages": (Usage.of(prod), *crowded.usages)})
    for number in range(3):
        ledger = ledger.add(an_event(profile=STAGING, now=A_MOMENT + timedelta(seconds=MAX_USAGES + number)))
    assert _length(ledger) == MAX_USAGES
    assert ledger.live(PROD, A_MOMENT + HOUR) == Usage.of(prod)
    profile = UsageLedger.of_profile(PROD)
    at_end = A_MOMENT + MAX_DURATION
    assert find_limit(ledger, profile, PROD, UsageLimits(cooldown=THIRTY_DAYS), at_end) == LimitHit(
        limit="cooldown", value="30d", ends_at=at_end + THIRTY_DAYS
    )


def test_largest_quota_is_exact_after_a_thousand_usages() -> None:
    ledger = _crowded(MAX_USAGES)
    for number in range(5):
        ledger = ledger.add(an_event(profile=STAGING, now=A_MOMENT + timedelta(seconds=MAX_USAGES + number)))
    assert _length(ledger) == MAX_USAGES
    now = A_MOMENT + timedelta(seconds=MAX_USAGES + 5)
    limits = UsageLimits(max_per_user=MAX_PER_QUOTA, quota_window=timedelta(seconds=MAX_PER_QUOTA))
    hit = find_limit(ledger, UsageLedger.of_profile(PROD), PROD, limits, now - TICK)
    assert hit is not None
    assert hit.ends_at == now
    assert find_limit(ledger, UsageLedger.of_profile(PROD), PROD, limits, now) is None


def test_full_ledger_drops_the_oldest_usage_on_any_clock() -> None:
    late = an_event(profile=STAGING, now=A_MOMENT - HOUR)
    ledger = _crowded(MAX_USAGES).add(late)
    assert not ledger.has(late.id)
    assert _length(ledger) == MAX_USAGES


def test_full_ledger_fits_into_an_item_of_dynamodb() -> None:
    ledger = _crowded(MAX_USAGES)
    assert sum(len(str(usage)) for usage in ledger.to_item()["usages"]) < 300_000  # type: ignore[misc, union-attr]


# Escalation


@pytest.mark.parametrize(("others", "expected"), [(0, False), (1, False), (2, True), (3, True)])
def test_event_at_the_threshold_and_later_ones_escalate(others: int, *, expected: bool) -> None:
    used = ledgers_of(*(an_event(invoker=UserId(f"U0INVOKER{number}")) for number in range(others)))
    limits = UsageLimits(escalation_threshold=3, quota_window=DAY)
    assert is_escalated(used.profile, limits, A_MOMENT + DAY - TICK) is expected
    assert not is_escalated(used.profile, limits, A_MOMENT + DAY), "they have left the window"
    assert not is_escalated(used.profile, UsageLimits(), A_MOMENT)


# The stored form


@given(events=histories())
def test_from_item_reads_back_exactly_what_to_item_wrote(events: list[BreakGlassEvent]) -> None:
    for ledger in ledgers_of(*events):
        stored = ledger.model_copy(update={"updated_at": A_MOMENT})
        assert UsageLedger.from_item(stored.to_item()) == stored
        assert UsageLedger.from_item(ledger.to_item()) == ledger


@pytest.mark.parametrize(
    "broken",
    [
        {"usages": [{"event_id": "0123"}]},
        {"usages": "none"},
        {"updated_at": "yesterday"},
        {"owner": None},
        {"usages": [{**Usage.of(an_event()).model_dump(), "invoker": "bob"}]},
        {"usages": [{**Usage.of(an_event()).model_dump(), "at": A_MOMENT.replace(tzinfo=None)}]},
    ],
)
def test_unreadable_ledger_is_malformed_and_so_allows_nothing(broken: dict[str, object]) -> None:
    with pytest.raises(MalformedRecord, match="LEDGER#"):
        UsageLedger.from_item({**UsageLedger.of_invoker(INVOKER).to_item(), **broken})


def test_ledgers_of_a_person_and_a_profile_of_one_name_are_two() -> None:
    assert UsageLedger.of_invoker(UserId("U0X")).owner != UsageLedger.of_profile(ProfileName("U0X")).owner


def test_ledger_is_kept_for_as_long_as_a_limit_can_ask_for_it() -> None:
    assert ledgers_of(an_event(), an_event(profile=STAGING, duration=MAX_DURATION)).invoker.kept_until() == (
        A_MOMENT + MAX_DURATION + HORIZON
    )
    assert UsageLedger.of_invoker(INVOKER).kept_until() < A_MOMENT


@pytest.mark.parametrize("quota", [0, -1, MAX_PER_QUOTA + 1])
def test_quota_that_a_ledger_could_not_judge_cannot_be_set(quota: int) -> None:
    for name in ("max_per_user", "max_per_profile", "escalation_threshold"):
        with pytest.raises(ValidationError):
            UsageLimits.model_validate({name: quota})
