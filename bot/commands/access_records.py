"""What an id on the command line means: a request, an event, a grant, a session or a device, and what belongs to it.

Invariant: nothing is guessed. An id of several kinds is the first kind that has a record of it, in a fixed order; with
its kind in front, it is that one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.commands.terminal import count_of
from core.access.device import DeviceId
from core.access.grant import Grant, GrantId, grant_id_for
from core.access.right import Right
from core.access.session import Session, SessionId
from core.break_glass import EventId
from core.errors import InvalidInput, NotFound
from core.request import RequestId
from core.services.activity import has_role
from core.stores.base import Stores
from core.stores.record_store import iterate_pages
from core.targets.words import one_line

_ID: Final = re.compile(r"(?:(GRANT|REQUEST|BREAKGLASS|SESSION|DEVICE)#)?([0-9a-f]{16})")
_FIX: Final = "Write the id of a request, an event, a grant, a session or a device."


@dataclass(frozen=True, slots=True)
class Found:
    """The chains to read, the grants that are meant, and a line about each record that is not a grant's."""

    chains: tuple[str, ...]
    grants: tuple[Grant, ...]
    titles: tuple[str, ...]


def find_records(stores: Stores, what: str) -> Found:
    """What this id means, with all that belongs to it. Raises InvalidInput when there is nothing."""
    match = _ID.fullmatch(what.strip())
    if match is None:
        raise InvalidInput("id", f"{what!r:.60} is not an id", _FIX)
    kind, number = match.groups()
    for each, find in _FINDERS.items():
        if kind in (None, each) and (found := _try(find, stores, number)) is not None:
            return found
    for each in _FINDERS:
        # A record is kept for a time; its entries are kept for good.
        if kind in (None, each) and stores.audit.get_chain(chain := f"{each}#{number}"):
            return Found((chain,), (), (f"{chain}: its record is no longer kept",))
    raise InvalidInput("id", f"nothing has the id {what!r:.60}", _FIX)


def made_by(stores: Stores, source: str, rights: Iterable[Right]) -> Sequence[Grant]:
    """The grants that a decision made for these rights, in the order of their keys."""
    ids = [grant_id_for(source, right) for right in rights]
    return sorted(stores.access.get_each(ids), key=lambda grant: str(grant.right)) if ids else ()


def _try(find: Callable[[Stores, str], Found], stores: Stores, number: str) -> Found | None:
    try:
        return find(stores, number)
    except NotFound:
        return None


def _of_request(stores: Stores, number: str) -> Found:
    request = stores.requests.get(RequestId(number))
    service = f" as {request.service}" if request.service is not None else ""
    device = f" from {one_line(request.device, 80)}" if request.device is not None else ""
    title = f"{request.chain}: {request.profile} for {request.requester}{service}{device}, {request.status.value}"
    return _with_grants(stores, request.chain, title, made_by(stores, request.chain, request.rights))


def _of_event(stores: Stores, number: str) -> Found:
    event = stores.break_glass.get(EventId(number))
    title = f"{event.chain}: {event.profile} for {event.invoker}, {event.status.value}"
    return _with_grants(stores, event.chain, title, made_by(stores, event.chain, event.rights))


def _of_grant(stores: Stores, number: str) -> Found:
    grant = stores.access.get(GrantId(number))
    return _with_grants(stores, "", f"{grant.chain}: {grant.profile} for {grant.grantee}, from {grant.source}", [grant])


def _of_session(stores: Stores, number: str) -> Found:
    session = stores.sessions.get(SessionId(number))
    grants = stores.access.get_each([session.grant])
    return Found((session.chain,), tuple(grants), (_describe_session(session),))


def _of_device(stores: Stores, number: str) -> Found:
    device = stores.devices.get(DeviceId(number))
    name, address = one_line(device.name, 80), one_line(device.address, 80) or "an unknown address"
    title = f"{device.chain}: {name} of {device.owner}, from {address}, {device.status.value}"
    pages = iterate_pages(
        lambda cursor: stores.sessions.list_by_person(device.owner, cursor=cursor, since=device.created_at)
    )
    sessions = [each for page in pages for each in page.items if each.device == device.id]
    grants = stores.access.get_each([each.grant for each in sessions[:100]]) if sessions else ()
    chains = (device.chain, *(each.chain for each in sessions))
    return Found(chains, tuple(grants), (title, *map(_describe_session, sessions)))


def _with_grants(stores: Stores, chain: str, title: str, grants: Sequence[Grant]) -> Found:
    sessions = [
        session
        for grant in grants
        if has_role(grant)
        for session in stores.sessions.list_of_grant(GrantId(grant.id)).sessions
    ]
    own = (chain,) if chain else ()
    chains = (*own, *(each.chain for each in grants), *(each.chain for each in sessions))
    return Found(chains, tuple(grants), (title, *map(_describe_session, sessions)))


def _describe_session(session: Session) -> str:
    service = f" as {session.service}" if session.service is not None else ""
    device = one_line(session.device_name, 80)
    often = count_of(session.issue_count, "time")
    return (
        f"{session.chain}: credentials for {session.profile} of {session.person}{service} on {device}, "
        f"issued {often}, {session.status.value}, source identity {session.source_identity}"
    )


_FINDERS: Final[Mapping[str, Callable[[Stores, str], Found]]] = {
    "REQUEST": _of_request,
    "BREAKGLASS": _of_event,
    "GRANT": _of_grant,
    "SESSION": _of_session,
    "DEVICE": _of_device,
}
