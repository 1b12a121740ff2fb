"""Which access of a request is open, or still opening: what its grants say, where its profile gives rights.

Invariant: access that ended early, or that could not be opened, counts as none. A request without rights is a decision
only, and counts for its whole window.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue

from core.access.grant import Grant
from core.actor import ProfileName, UserId
from core.break_glass import BreakGlassEvent
from core.request import MAX_DECIDE_WITHIN, MAX_DURATION, Request
from core.services.granting import grant_ids_of, is_open
from core.stores.base import Stores
from core.stores.record_store import iterate_newest_first

_log = logging.getLogger("countersign.access")


def find_granting(stores: Stores, person: UserId, profile: ProfileName, now: datetime) -> Request | None:
    """The approved request that gives this person access to the profile now; of several, the longest-lasting."""
    longest = stores.requests.find_granting(person, profile, now)
    if longest is None or gives_access(stores, longest, now):
        return longest
    # It ended early, or never opened: an earlier one may still be open.
    since = now - MAX_DECIDE_WITHIN - MAX_DURATION
    mine = iterate_newest_first(stores.requests, "requester", person, since)
    granting = [each for each in mine if each.profile == profile and each.id != longest.id and each.is_granting(now)]
    granting.sort(key=lambda request: request.life_ends_at(), reverse=True)
    return next((each for each in granting if gives_access(stores, each, now)), None)


def gives_access(stores: Stores, request: Request, now: datetime) -> bool:
    """True while the approved request gives access. One read, if its profile gives rights."""
    if not request.is_granting(now):
        return False
    return not request.rights or any(is_open(grant, now) for grant in read_grants(stores, request))


def read_grants(stores: Stores, record: Request | BreakGlassEvent) -> tuple[Grant, ...]:
    """The grants that the record's decision made, as they are stored now, in the order of its rights. One read.

    Leaves out those that can't be read, of which the store raises the alarm. Raises StoreUnavailable.
    """
    ids = grant_ids_of(record)
    found = {grant.id: grant for grant in stores.access.get_each(ids)} if ids else {}
    return tuple(found[each] for each in ids if each in found)


def unread_details(record: Request | BreakGlassEvent, grants: Sequence[Grant]) -> dict[str, JsonValue]:
    """What an entry says of the record's grants that couldn't be read with the others; nothing if all could."""
    read = {grant.id for grant in grants}
    unread: list[JsonValue] = [each for each in grant_ids_of(record) if each not in read]
    if not unread:
        return {}
    _log.error(
        "the access that %s gave ends, but its grants %s can't be read: look at the target", record.chain, unread
    )
    return {"unread_grants": unread}
