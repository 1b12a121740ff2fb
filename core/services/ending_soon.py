"""Remind people before the access of an approved request ends: once, while there is time to extend it.

Invariant: the reminder is recorded in the chain of one grant of the request, and there is one for each request. Nobody
is reminded of access that ended early, or that other access of theirs outlasts. A sweep costs what is due.
"""

from __future__ import annotations

from datetime import datetime

from core.access.grant import Grant, GrantId
from core.actor import CLOCK
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock, format_time
from core.errors import MalformedRecord, NotFound
from core.policy import PolicySource
from core.request import Request, RequestId
from core.services.due import PER_PAGE, DueWatch, Rest, Watched
from core.services.observer import Observer
from core.services.open_access import read_grants
from core.services.use_case import reading_again_if_decided
from core.stores.access import GrantWrite
from core.stores.base import Stores
from core.stores.record_store import Page


class EndingSoon:
    """Reminds of what ends soon. Safe for threads."""

    def __init__(self, stores: Stores, policy: PolicySource, clock: Clock, observer: Observer) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._observer = observer
        self._settled: dict[str, datetime] = {}
        watched = Watched(self._read_live, lambda each: stores.access.get(GrantId(each)), self._due_at)
        self._watch = DueWatch(watched, clock, lambda: policy.current().digest)

    def remind(self, rest: Rest) -> tuple[Grant, ...]:
        """Record the reminders that are due. Returns the grants in whose chains they are."""
        now = self._clock.now()
        self._settled = {source: ends_at for source, ends_at in self._settled.items() if ends_at > now}
        return self._watch.change(self._remind_if_due, rest)

    def _read_live(self, cursor: str | None, since: datetime | None) -> Page[Grant]:
        page = self._stores.access.list_live(limit=PER_PAGE, cursor=cursor)
        if since is None or all(grant.created_at >= since for grant in page.items):
            return page
        # The list is newest first: what follows was seen before.
        return Page(tuple(each for each in page.items if each.created_at >= since), None, page.malformed)

    def _due_at(self, grant: Grant) -> datetime | None:
        """When its reminder is due; of short access, when half of its time has passed."""
        is_told = grant.ending_told_at is not None or grant.source in self._settled
        if is_told or grant.is_emergency or not grant.is_wanted(grant.starts_at):
            return None
        return grant.ends_at - min(self._policy.current().ask_before_end(grant.rule or ""), grant.duration / 2)

    def _remind_if_due(self, grant: Grant, now: datetime) -> Grant | None:
        due_at = self._due_at(grant)
        if due_at is None or now < due_at or not grant.is_wanted(now):
            return None
        try:
            request = self._stores.requests.get(RequestId(grant.source.partition("#")[2]))
        except (MalformedRecord, NotFound):
            # The store raised the alarm; the grant ends in its time all the same.
            self._settled[grant.source] = grant.ends_at
            return None
        grants = read_grants(self._stores, request)
        if any(each.ending_told_at is not None for each in grants):
            self._settled[grant.source] = grant.ends_at
            return None
        open_ = [each for each in grants if each.is_wanted(now)]
        if not open_ or all(self._is_outlasted(each, now) for each in open_):
            return None
        return self._record(request, open_[0], now)

    def _is_outlasted(self, grant: Grant, now: datetime) -> bool:
        """True when the person keeps the right beyond the end of this grant, by another decision."""
        others = self._stores.access.get_right(grant.right).grants
        # Access that starts later counts, if it leaves no gap.
        later = (each for each in others if each.starts_at <= grant.ends_at < each.ends_at)
        return any(each.is_wanted(max(now, each.starts_at)) for each in later)

    def _record(self, request: Request, grant: Grant, now: datetime) -> Grant:
        told = grant.tell_ending(now)
        details = {"source": grant.source, "ends_at": format_time(grant.ends_at)}
        entry = EntryDraft.of(told, AuditAction.ACCESS_ENDING_SOON, CLOCK, details)
        with reading_again_if_decided(request):
            (stored,) = self._stores.access.end((GrantWrite(told, entry),))
        self._settled[grant.source] = grant.ends_at
        self._observer.committed(stored, entry.event)
        return stored
