"""Compare grants with the decisions that made them: each was decided as it is, and each decision made all of its own.

Invariant: a decision makes its grants in its own transaction. So an approved request or an event without one of its
grants, and a grant without its decision, were changed behind the bot's back; each is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from core.access.grant import Grant, GrantStatus, grant_id_for
from core.access.right import Right, right_key
from core.access.session import Session
from core.audit.session_replay import chain_of_session_grant
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent
from core.clock import format_time
from core.record import Record
from core.request import Request, RequestStatus

_DECIDED: Final = {
    Request.KIND: AuditAction.REQUEST_APPROVED,
    BreakGlassEvent.KIND: AuditAction.BREAK_GLASS_INVOKED,
}
_OPEN: Final = frozenset({GrantStatus.PENDING, GrantStatus.ACTIVE})


def find_rights(record: Record) -> tuple[Right, ...]:
    """The rights of which a decision must have made grants."""
    if isinstance(record, Request):
        return record.rights if record.status is RequestStatus.APPROVED else ()
    return record.rights if isinstance(record, BreakGlassEvent) else ()


def find_related(record: Record) -> tuple[str, ...]:
    """The chains of the records that this one is compared with.

    Of a decision these are its grants, of a grant its decision, and of a session its grant.
    """
    if isinstance(record, Session):
        return (chain_of_session_grant(record),)
    if isinstance(record, Grant):
        return (record.source,)
    return tuple(chain_of_grant(record, right) for right in find_rights(record))


def chain_of_grant(source: Record, right: Right) -> str:
    """The chain of the grant of this right that the decision made."""
    return f"{Grant.KIND}#{grant_id_for(source.chain, right)}"


def compare_with_grants(source: Record, grants: Mapping[str, object], missing: Iterable[str]) -> Iterator[str]:
    """In what its grants contradict a decision. `missing` are the chains of grants that have no entries, either."""
    gone = set(missing)
    for right in find_rights(source):
        chain = chain_of_grant(source, right)
        grant = grants.get(chain)
        if chain in gone:
            yield f"it gives {right_key(right)}, and no grant was made of it ({chain})"
        is_closed = isinstance(source, BreakGlassEvent) and source.closed_at is not None
        if is_closed and isinstance(grant, Grant) and grant.status in _OPEN:
            yield f"it was closed, and its grant {chain} goes on"


def compare_with_source(grant: Grant, source: Record) -> Iterator[str]:
    """In what a grant is not what was decided."""
    if isinstance(source, Request):
        decider: object = source.approver
        window: object = source.access_opens_at, source.access_ends_at
        if source.status is not RequestStatus.APPROVED:
            yield f"{source.chain} is {source.status}, not approved"
            return
    elif isinstance(source, BreakGlassEvent):
        decider, window = source.invoker, (source.created_at, source.expires_at)
    else:
        yield f"{source.chain} decides nothing"
        return
    if grant.right not in source.rights:
        yield f"{source.chain} doesn't give this right"
    decided: tuple[tuple[str, object, object], ...] = (
        ("person", grant.grantee, source.person),
        ("profile", grant.profile, source.profile),
        ("justification", grant.justification, source.justification),
        ("decider", grant.decided_by, decider),
        ("service", grant.service, source.service if isinstance(source, Request) else None),
        ("window", (grant.starts_at, grant.ends_at), window),
    )
    for name, is_now, was in decided:
        if is_now != was:
            yield f"its {name} is not that of {source.chain}"


def compare_with_chain(grant: Grant, chain: str, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """The same, by the chain of a decision whose record is no longer kept."""
    decided = next((entry for entry in entries if entry.event is _DECIDED.get(chain.partition("#")[0])), None)
    if decided is None:
        yield f"{chain} doesn't exist" if not entries else f"{chain} was never approved"
        return
    if (grant.grantee, grant.profile) != (decided.subject, decided.profile):
        yield f"{chain} was decided for another person or profile"
    if grant.service != entries[0].details.get("service"):
        yield f"its service is not that of {chain}"
    if grant.decided_by != decided.actor:
        yield f"its decider is not that of {chain}"
    if right_key(grant.right) not in _as_list(entries[0].details.get("rights")):
        yield f"{chain} doesn't give this right"
    ends_at = decided.details.get("access_ends_at", decided.details.get("expires_at"))
    starts_at = entries[0].details.get("starts_at")
    is_early = isinstance(starts_at, str) and format_time(grant.starts_at) < starts_at
    if is_early or (isinstance(ends_at, str) and ends_at != format_time(grant.ends_at)):
        yield f"its window is not that of {chain}"


def _as_list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
