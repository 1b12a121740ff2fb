"""The timeline of a break-glass event, for its reviewers: what happened, who was notified, what else was requested.

Invariant: it is read from the audit trail and the records, and is shown only to those who may act on the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from core.actor import Actor
from core.audit.trail import AuditEntry
from core.break_glass import BreakGlassEvent, EventId
from core.directory import Directory
from core.policy import PolicySource
from core.request import MAX_DECIDE_WITHIN, Request
from core.services.membership import Judging
from core.stores.base import Stores
from core.stores.messages import MessageRef

BEFORE: Final = timedelta(hours=24)
"""How long before the event a request by the same person still counts as related."""
MAX_REQUESTS: Final = 10


@dataclass(frozen=True, slots=True)
class Timeline:
    """`entries` are those of the event and of its requests, oldest first; `places` say where its messages are."""

    event: BreakGlassEvent
    entries: tuple[AuditEntry, ...]
    requests: tuple[Request, ...]
    places: Mapping[str, MessageRef]


def read_timeline(
    stores: Stores, policy: PolicySource, event_id: EventId, reader: Actor, directory: Directory
) -> Timeline:
    """The timeline, for the invoker and for those who may approve for the profile.

    Raises EventNotFound, NotAllowed, StoreError.
    """
    people = Judging(policy.current(), directory)
    event = people.noting(stores.break_glass.get_with_notes(event_id))
    # Those who may close an event may see it, before its end and after.
    people.judge_close(event, reader).require()
    requests = _linked(stores, event)
    chains = [event.chain, *(request.chain for request in requests)]
    entries = sorted((entry for chain in chains for entry in stores.audit.get_chain(chain)), key=lambda each: each.at)
    return Timeline(event, tuple(entries), requests, stores.messages.get_messages(event.chain))


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
