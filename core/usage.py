"""Usage ledgers: who broke the glass and how often, so that limits are exact even when many try at once.

Invariant: a ledger is read consistently, judged by `find_limit`, and written back under its own `updated_at` in the
transaction that creates the event. Two invocations that were judged on the same ledger cannot both be written, so an
invoker has at most one live event for a profile, and no quota or cooldown is ever exceeded by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from core.actor import ProfileName, UserId, ValidProfileName, ValidUserId
from core.break_glass import BreakGlassEvent
from core.clock import UtcTime
from core.duration import Duration, format_duration
from core.ledger import Ledger
from core.record import RecordId
from core.stored import StoredModel

HORIZON: Final = timedelta(days=31)
"""How long a ledger remembers. The policy takes no quota window and no cooldown longer than 30 days."""
MAX_USAGES: Final = 1000
"""How many usages a ledger remembers: a usage takes under 250 bytes, and an item of DynamoDB holds 400 KB."""
MAX_PER_QUOTA: Final = 500
"""The largest quota that the policy takes, so that a ledger always remembers enough to judge it."""
LIVE_EVENT: Final = "live event"
INVOKER_LEDGER: Final = "INVOKER"
PROFILE_LEDGER: Final = "PROFILE"


class UsageLimits(BaseModel):
    """The limits of a break-glass rule. None means no such limit. A cooldown runs from the end of the last event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cooldown: Duration | None = None
    max_per_user: int | None = Field(default=None, ge=1, le=MAX_PER_QUOTA)
    max_per_profile: int | None = Field(default=None, ge=1, le=MAX_PER_QUOTA)
    quota_window: Duration = timedelta(hours=24)
    escalation_threshold: int | None = Field(default=None, ge=1, le=MAX_PER_QUOTA)


class Usage(StoredModel):
    """One event as recorded in a ledger. `ends_at` is its deadline until somebody closes it."""

    event_id: RecordId
    invoker: ValidUserId
    profile: ValidProfileName
    at: UtcTime
    ends_at: UtcTime

    @classmethod
    def of(cls, event: BreakGlassEvent) -> Self:
        """The usage of an event."""
        return cls(
            event_id=event.id,
            invoker=event.invoker,
            profile=event.profile,
            at=event.created_at,
            ends_at=event.closed_at or event.expires_at,
        )


class UsageLedger(Ledger):
    """The recent events of one invoker or of one profile."""

    usages: tuple[Usage, ...] = ()

    @classmethod
    def of_invoker(cls, invoker: UserId) -> Self:
        """An invoker's ledger, still empty."""
        return cls(owner=f"{INVOKER_LEDGER}#{invoker}")

    @classmethod
    def of_profile(cls, profile: ProfileName) -> Self:
        """A profile's ledger, still empty."""
        return cls(owner=f"{PROFILE_LEDGER}#{profile}")

    def kept_until(self) -> datetime:
        """When no limit needs anything in this ledger any more."""
        return max((usage.ends_at for usage in self.usages), default=datetime.min.replace(tzinfo=UTC)) + HORIZON

    def add(self, event: BreakGlassEvent) -> Self:
        """The ledger with this event, and without usages that no limit needs any more."""
        recent = [usage for usage in self.usages if usage.ends_at > event.created_at - HORIZON]
        return self.model_copy(update={"usages": _most_needed([*recent, Usage.of(event)])})

    def end(self, event: BreakGlassEvent) -> Self:
        """The ledger after a close: the event is no longer live, and its cooldown runs from now."""
        usages = tuple(Usage.of(event) if usage.event_id == event.id else usage for usage in self.usages)
        return self.model_copy(update={"usages": usages})

    def has(self, event_id: str) -> bool:
        """True when the ledger holds this event."""
        return any(usage.event_id == event_id for usage in self.usages)

    def since(self, moment: datetime) -> tuple[Usage, ...]:
        """The usages after a moment, oldest first. A usage at exactly that moment is outside of the window."""
        return tuple(sorted((usage for usage in self.usages if usage.at > moment), key=lambda usage: usage.at))

    def live(self, profile: ProfileName, now: datetime) -> Usage | None:
        """The event that gives access to this profile now; of several, the longest-lasting. None if there is none."""
        live = (usage for usage in self.usages if usage.profile == profile and usage.ends_at > now)
        return max(live, key=lambda usage: usage.ends_at, default=None)

    def last_end(self, profile: ProfileName) -> datetime | None:
        """When the last event for this profile ends or ended."""
        return max((usage.ends_at for usage in self.usages if usage.profile == profile), default=None)


class LimitHit(BaseModel):
    """A limit that has been reached: its name, its value as people read it, and when it ends."""

    model_config = ConfigDict(frozen=True)

    limit: str
    value: str
    ends_at: UtcTime

    def to_details(self) -> dict[str, JsonValue]:
        """The details for the audit entry."""
        return dict(self.model_dump(mode="json"))


def find_limit(
    invoker: UsageLedger, profile: UsageLedger, name: ProfileName, limits: UsageLimits, now: datetime
) -> LimitHit | None:
    """The limit that prevents a new event now, or None.

    Of several, the one that ends last, because its answer stays true.
    """
    hits = [_live_event(invoker, name, now), _cooldown(invoker, name, limits, now)]
    window = format_duration(limits.quota_window)
    for ledger, quota, whose in (
        (invoker, limits.max_per_user, "quota per user"),
        (profile, limits.max_per_profile, "quota per profile"),
    ):
        used = ledger.since(now - limits.quota_window)
        if quota is not None and len(used) >= quota:
            # The quota has room again when all but `quota - 1` of the usages have left the window.
            leaves_last = used[len(used) - quota]
            hits.append(
                LimitHit(limit=whose, value=f"{quota} in {window}", ends_at=leaves_last.at + limits.quota_window)
            )
    return max((hit for hit in hits if hit is not None), key=lambda hit: hit.ends_at, default=None)


def is_escalated(profile: UsageLedger, limits: UsageLimits, now: datetime) -> bool:
    """True when one more event for this profile reaches the threshold at which the security channel is notified."""
    if limits.escalation_threshold is None:
        return False
    return len(profile.since(now - limits.quota_window)) + 1 >= limits.escalation_threshold


def _most_needed(usages: Sequence[Usage]) -> tuple[Usage, ...]:
    """At most MAX_USAGES, oldest first: the last one of each profile for its cooldown, the newest ones for quotas."""
    last_by_profile = {usage.profile: usage for usage in sorted(usages, key=lambda usage: usage.ends_at)}
    last = {usage.event_id for usage in last_by_profile.values()}
    by_need = sorted(usages, key=lambda usage: (usage.event_id in last, usage.at), reverse=True)
    return tuple(sorted(by_need[:MAX_USAGES], key=lambda usage: usage.at))


def _live_event(invoker: UsageLedger, name: ProfileName, now: datetime) -> LimitHit | None:
    live = invoker.live(name, now)
    if live is None:
        return None
    return LimitHit(limit=LIVE_EVENT, value=live.event_id, ends_at=live.ends_at)


def _cooldown(invoker: UsageLedger, name: ProfileName, limits: UsageLimits, now: datetime) -> LimitHit | None:
    ended = invoker.last_end(name)
    if limits.cooldown is None or ended is None or ended + limits.cooldown <= now or ended > now:
        return None
    return LimitHit(limit="cooldown", value=format_duration(limits.cooldown), ends_at=ended + limits.cooldown)
