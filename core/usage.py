"""Usage ledgers: who broke the glass and how often, so that limits are exact even when many try at once.

Invariant: a ledger is read consistently, judged by `find_limit`, and written back under its own `updated_at` in the
transaction that creates the event. Two invocations that were judged on the same ledger cannot both be written, so an
invoker has at most one live event for a profile, and no quota or cooldown is ever exceeded by one. A ledger knows when
an event was to end; how it ended is a fact of the event, which never changes again. A limit is refused only on events
whose end was looked up, so a close needs no ledger, and no ledger can stop a close.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from core.usage_archive import PackedUsages, PastUsage, is_packed, pack_usages, unpack_usages

HORIZON: Final = timedelta(days=31)
"""How long a ledger remembers. The policy takes no quota window and no cooldown longer than 30 days."""
MAX_USAGES: Final = 1000
"""How many usages a ledger remembers: twice the largest quota, because usages that were waived don't count."""
MAX_RECENT: Final = 10
"""How many usages a ledger holds in full. Older ones are archived: of them, limits need only the time."""
MAX_PER_QUOTA: Final = 500
"""The largest quota that the policy takes, so that a ledger always remembers enough to judge it."""
LIVE_EVENT: Final = "live event"
INVOKER_LEDGER: Final = "INVOKER"
PROFILE_LEDGER: Final = "PROFILE"
IdsOf = Callable[[UserId], Sequence[UserId]]
"""Says which ids belong to the same person; the first one stands for all of them."""


def each_alone(user_id: UserId) -> tuple[UserId, ...]:
    """The IdsOf by which every id is a person of its own."""
    return (user_id,)


class UsageLimits(BaseModel):
    """The limits of a break-glass rule. None means no such limit. A cooldown runs from the end of the last event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cooldown: Duration | None = None
    max_per_user: int | None = Field(default=None, ge=1, le=MAX_PER_QUOTA)
    max_per_profile: int | None = Field(default=None, ge=1, le=MAX_PER_QUOTA)
    quota_window: Duration = timedelta(hours=24)
    escalation_threshold: int | None = Field(default=None, ge=1, le=MAX_PER_QUOTA)


class Usage(StoredModel):
    """One event as recorded in a ledger. `ends_at` is its deadline until its close was looked up.

    A usage that somebody else than its invoker closed is waived: it starts no cooldown and counts against no quota, or
    one stolen session of an approver could keep the responders from their access.
    """

    event_id: RecordId
    invoker: ValidUserId
    profile: ValidProfileName
    at: UtcTime
    ends_at: UtcTime
    is_waived: bool = False

    @classmethod
    def of(cls, event: BreakGlassEvent, ids_of: IdsOf = each_alone) -> Self:
        """The usage of an event. A close with another id of the invoker waives nothing."""
        return cls(
            event_id=event.id,
            invoker=event.invoker,
            profile=event.profile,
            at=event.created_at,
            ends_at=event.closed_at or event.expires_at,
            is_waived=event.is_closed_by_other and event.closed_by not in ids_of(event.invoker),
        )


class UsageLedger(Ledger):
    """The recent events of one invoker or of one profile."""

    usages: tuple[Usage, ...] = ()
    archived: PackedUsages = ""

    @classmethod
    def of_invoker(cls, invoker: UserId) -> Self:
        """An invoker's ledger, still empty."""
        return cls(owner=f"{INVOKER_LEDGER}#{invoker}")

    @classmethod
    def of_profile(cls, profile: ProfileName) -> Self:
        """A profile's ledger, still empty."""
        return cls(owner=f"{PROFILE_LEDGER}#{profile}")

    def to_item(self) -> dict[str, JsonValue]:
        """The stored form: without what has its default value, which older versions don't know."""
        item = super().to_item()
        if not self.archived:
            del item["archived"]
        for usage in item["usages"] if isinstance(item["usages"], list) else ():
            if isinstance(usage, dict) and usage.get("is_waived") is False:
                del usage["is_waived"]
        return item

    def kept_until(self) -> datetime:
        """When no limit needs anything in this ledger any more."""
        # What is archived is older than the newest, which is never archived.
        return max((usage.ends_at for usage in self.usages), default=datetime.min.replace(tzinfo=UTC)) + HORIZON

    def add(self, event: BreakGlassEvent) -> Self:
        """The ledger with this event, and without usages that no limit needs any more."""
        since = event.created_at - HORIZON
        recent = [usage for usage in self.usages if usage.ends_at > since]
        return self._holding([*recent, Usage.of(event)], unpack_usages(self.archived, after=since))

    def recounted(self, events: Iterable[BreakGlassEvent], ids_of: IdsOf = each_alone) -> Self:
        """The ledger with nothing but these events, which are its newest."""
        return self._holding([Usage.of(event, ids_of) for event in events], [])

    def settle(self, *events: BreakGlassEvent, ids_of: IdsOf = each_alone) -> Self:
        """The ledger with what is known of the end of these events; it forgets and adds none."""
        ended = {event.id: Usage.of(event, ids_of) for event in events}
        usages = tuple(ended.get(usage.event_id, usage) for usage in self.usages)
        archive = unpack_usages(self.archived)
        settled = [
            past._replace(is_waived=ended[past.event_id].is_waived) if past.event_id in ended else past
            for past in archive
        ]
        archived = self.archived if settled == archive else pack_usages(settled)
        return self.model_copy(update={"usages": usages, "archived": archived})

    @property
    def count(self) -> int:
        """How many usages it remembers."""
        return len(self.usages) + len(unpack_usages(self.archived))

    def has(self, event_id: str) -> bool:
        """True when the ledger holds this event."""
        return any(usage.event_id == event_id for usage in self.usages) or is_packed(event_id, self.archived)

    def since(self, moment: datetime) -> tuple[PastUsage, ...]:
        """The usages after a moment, oldest first. A usage at exactly that moment is outside of the window."""
        recent = [PastUsage(usage.at, usage.event_id, usage.is_waived) for usage in self.usages if usage.at > moment]
        return tuple(sorted([*unpack_usages(self.archived, after=moment), *recent]))

    def live(self, profile: ProfileName, now: datetime) -> Usage | None:
        """The event that gives access to this profile now, if it wasn't closed; of several, the longest-lasting."""
        live = (usage for usage in self.usages if usage.profile == profile and usage.ends_at > now)
        return max(live, key=lambda usage: usage.ends_at, default=None)

    def last_end(self, profile: ProfileName) -> datetime | None:
        """When the last event for this profile ends or ended, without those that were waived."""
        ends = (usage.ends_at for usage in self.usages if usage.profile == profile and not usage.is_waived)
        return max(ends, default=None)

    def _holding(self, usages: Sequence[Usage], archive: Sequence[PastUsage]) -> Self:
        """At most MAX_USAGES: in full the newest few, and the last of each profile for its cooldown."""
        last = {
            usage.profile: usage for usage in sorted(usages, key=lambda usage: (not usage.is_waived, usage.ends_at))
        }
        needed = {usage.event_id for usage in last.values()}
        newest_first = sorted(usages, key=lambda usage: (usage.event_id in needed, usage.at), reverse=True)
        kept = newest_first[: max(len(needed), MAX_RECENT)][:MAX_USAGES]
        moved = [PastUsage(usage.at, usage.event_id, usage.is_waived) for usage in newest_first[len(kept) :]]
        room = MAX_USAGES - len(kept)
        older = sorted([*archive, *moved])[-room:] if room else []
        return self.model_copy(
            update={
                "usages": tuple(sorted(kept, key=lambda usage: usage.at)),
                "archived": pack_usages(older),
            }
        )


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

    Of several, the one that ends last, because its answer stays true. Before it refuses anybody, the ledgers must be
    settled with the events of `find_decisive`: somebody may have closed them.
    """
    hits = [_live_event(invoker, name, now), _cooldown(invoker, name, limits, now)]
    window = format_duration(limits.quota_window)
    for ledger, quota, whose in (
        (invoker, limits.max_per_user, "quota per user"),
        (profile, limits.max_per_profile, "quota per profile"),
    ):
        used = _counted(ledger, limits, now) if quota is not None else []
        if quota is not None and len(used) >= quota:
            # The quota has room again when all but `quota - 1` of the usages have left the window.
            leaves_last = used[len(used) - quota]
            hits.append(
                LimitHit(limit=whose, value=f"{quota} in {window}", ends_at=leaves_last.at + limits.quota_window)
            )
    return max((hit for hit in hits if hit is not None), key=lambda hit: hit.ends_at, default=None)


def find_decisive(
    invoker: UsageLedger, profile: UsageLedger, name: ProfileName, limits: UsageLimits, now: datetime
) -> tuple[str, ...]:
    """The ids of the events whose end may decide whether a limit is reached."""
    mine = {usage.event_id for usage in invoker.usages if usage.profile == name and not usage.is_waived}
    for ledger, quota in ((invoker, limits.max_per_user), (profile, limits.max_per_profile)):
        used = _counted(ledger, limits, now) if quota is not None else []
        if quota is not None and len(used) >= quota:
            mine |= {past.event_id for past in used}
    return tuple(sorted(mine))


def is_escalated(profile: UsageLedger, limits: UsageLimits, now: datetime) -> bool:
    """True when one more event for this profile reaches the threshold at which the security channel is notified.

    Waived usages count here: two people who close each other's events are loud all the same.
    """
    if limits.escalation_threshold is None:
        return False
    return len(profile.since(now - limits.quota_window)) + 1 >= limits.escalation_threshold


def _counted(ledger: UsageLedger, limits: UsageLimits, now: datetime) -> list[PastUsage]:
    return [past for past in ledger.since(now - limits.quota_window) if not past.is_waived]


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
