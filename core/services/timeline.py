"""The timeline of a break-glass event or a request: what happened, what was done at the targets, who was notified.

It ends with how to find what was done with the access: in AWS, not here.

Invariant: it is read from the audit trail and the records, and is shown only to the person whose access it is and to
those who may act on it. The steps of all its access cost two reads, however many rights there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.access.grant import Grant
from core.access.session import Session
from core.actor import Actor
from core.audit.places import in_batches
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent, EventId
from core.directory import Directory
from core.pagers.page_ledger import PageLedger
from core.pagers.pages import Pages
from core.policy import Policy, PolicySource
from core.record import Record
from core.request import MAX_DECIDE_WITHIN, Request, RequestId
from core.services.activity import GrantActivity, read_activity
from core.services.granting import grant_ids_of
from core.services.membership import Judging
from core.stores.base import Stores
from core.stores.messages import MessageRef

BEFORE: Final = timedelta(hours=24)
"""How long before the event a request by the same person still counts as related."""
MAX_REQUESTS: Final = 10
_DECIDED: Final = frozenset({AuditAction.REQUEST_APPROVED, AuditAction.BREAK_GLASS_INVOKED})
MAX_GRANTS: Final = 100
"""How many grants one read of a store takes: those of the event, and of its latest requests."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """`entries` are those of the event, of its requests, and of the access of both, oldest first.

    `places` say where the event's messages are, `page` is the page about it. The chain of an entry says whose it is.
    """

    event: BreakGlassEvent
    entries: tuple[AuditEntry, ...]
    requests: tuple[Request, ...]
    places: Mapping[str, MessageRef]
    grants: tuple[Grant, ...] = ()
    activity: tuple[GrantActivity, ...] = ()
    page: PageLedger | None = None


@dataclass(frozen=True, slots=True)
class RequestTimeline:
    """`entries` are those of the request and of its access, oldest first; `places` say where its messages are."""

    request: Request
    entries: tuple[AuditEntry, ...]
    grants: tuple[Grant, ...]
    places: Mapping[str, MessageRef]
    activity: tuple[GrantActivity, ...] = ()
    page: PageLedger | None = None


def read_timeline(
    stores: Stores, policy: PolicySource, event_id: EventId, reader: Actor, directory: Directory, now: datetime
) -> Timeline:
    """The timeline, for the invoker and for those who may approve for the profile.

    Raises EventNotFound, NotAllowed, StoreError.
    """
    people = Judging(policy.current(), directory)
    event = people.noting(stores.break_glass.get_with_notes(event_id))
    # Those who may close an event may see it, before its end and after.
    people.judge_close(event, reader).require()
    requests = _linked(stores, event)
    grants = _read_grants(stores, (event, *requests))
    activity = read_activity(stores, people.policy, grants, now)
    entries = _merge(stores, (event, *requests), (*grants, *_sessions(activity)))
    places, page = stores.messages.get_messages(event.chain), _read_page(stores, people.policy, event)
    return Timeline(event, entries, requests, places, grants, activity, page)


def read_request_timeline(
    stores: Stores, policy: PolicySource, request_id: RequestId, reader: Actor, directory: Directory, now: datetime
) -> RequestTimeline:
    """The timeline, for the requester, for admins, and for those who may approve for the profile.

    For those, too, to whom the request escalated before it was decided. Raises RequestNotFound, NotAllowed, StoreError.
    """
    people = Judging(policy.current(), directory)
    request = people.noting(stores.requests.get_with_notes(request_id))
    if reader.id not in people.policy.ids_of(request.requester):
        decision = people.judge_live(reader, request.profile)
        until = request.decided_at or now
        if not (decision.is_allowed or people.judge_decider("deny", request, reader, until).is_allowed):
            decision.require()
    grants = _read_grants(stores, (request,))
    activity = read_activity(stores, people.policy, grants, now)
    entries = _merge(stores, (request,), (*grants, *_sessions(activity)))
    places, page = stores.messages.get_messages(request.chain), _read_page(stores, people.policy, request)
    return RequestTimeline(request, entries, grants, places, activity, page)


def read_event_activity(
    stores: Stores, policy: PolicySource, event_id: EventId, reader: Actor, directory: Directory, now: datetime
) -> tuple[GrantActivity, ...]:
    """Where to find what was done with the access of an event, for those who may see its timeline. Raises likewise."""
    people = Judging(policy.current(), directory)
    event = people.noting(stores.break_glass.get_with_notes(event_id))
    people.judge_close(event, reader).require()
    return read_activity(stores, people.policy, _read_grants(stores, (event,)), now)


def _read_page(stores: Stores, policy: Policy, record: Record) -> PageLedger | None:
    """The page about this record. A policy without a pager costs no read."""
    return Pages(stores.break_glass).find(record.chain) if policy.notifications.pager is not None else None


def _sessions(activity: Sequence[GrantActivity]) -> tuple[Session, ...]:
    return tuple(session for each in activity for session in each.sessions)


def _read_grants(stores: Stores, decisions: Sequence[Request | BreakGlassEvent]) -> tuple[Grant, ...]:
    """The grants that these decisions made, in the order of the decisions and of their rights."""
    ids = [each for decision in decisions for each in grant_ids_of(decision)][:MAX_GRANTS]
    found = {grant.id: grant for grant in stores.access.get_each(ids)} if ids else {}
    return tuple(found[each] for each in ids if each in found)


def _merge(stores: Stores, decisions: Sequence[Record], given: Sequence[Grant | Session]) -> tuple[AuditEntry, ...]:
    """The entries of decisions and of what they gave, oldest first; of one moment, those of decisions first."""
    entries = [entry for decision in decisions for entry in stores.audit.get_chain(decision.chain)]
    places = ((each.chain, number) for each in given for number in range(1, each.audit_length + 1))
    for batch in in_batches(places):
        found = stores.audit.get_entries(batch)
        steps = (found.get(place) for place in batch)
        entries += [step for step in steps if isinstance(step, AuditEntry)]
    decided_at = {entry.chain: entry.at for entry in entries if entry.event in _DECIDED}
    sources = {each.chain: each.source for each in given}

    def find_moment(entry: AuditEntry) -> datetime:
        # One change made the decision and its grants; the store's clock stamped them a tick apart.
        is_made = entry.event is AuditAction.GRANT_CREATED
        return max(entry.at, decided_at.get(sources[entry.chain], entry.at)) if is_made else entry.at

    return tuple(sorted(entries, key=find_moment))


def _linked(stores: Stores, event: BreakGlassEvent) -> tuple[Request, ...]:
    """The invoker's requests for the profile, from a day before the event to its end; the replaced one at any age."""
    page = stores.requests.list_by_requester(event.invoker, since=event.created_at - MAX_DECIDE_WITHIN)
    earliest = event.created_at - BEFORE
    ended_at = event.closed_at or event.expires_at
    linked = [
        request
        for request in page.items
        if request.id == event.instead_of
        or (request.profile == event.profile and earliest <= request.created_at <= ended_at)
    ]
    return tuple(reversed(linked[:MAX_REQUESTS]))
