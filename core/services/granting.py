"""The grants that a decision makes: one for each of its rights, in the window that was decided.

Invariant: a grant says what its decision said, with nothing added: the rights of the record, the person of the record,
the window that opens with the decision, or at the start that was asked for. They are written in the transaction of the
decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue

from core.access.grant import Grant, GrantId, GrantStatus, grant_id_for
from core.access.right import right_key
from core.actor import DeciderId
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import BreakGlassEvent
from core.clock import format_time
from core.duration import to_nanoseconds
from core.request import Request
from core.services.observer import Observer
from core.stores.access import GrantWrite


def grants_of_request(request: Request) -> tuple[GrantWrite, ...]:
    """The grants of a request that was approved just now; none for one that wasn't."""
    opens_at, ends_at, decided_by = request.access_opens_at, request.access_ends_at, request.approver
    if request.decided_at is None or opens_at is None or ends_at is None or decided_by is None:
        return ()
    return _make(request, decided_by, (opens_at, ends_at), request.decided_at)


def grants_of_event(event: BreakGlassEvent) -> tuple[GrantWrite, ...]:
    """The grants of an event that was declared just now."""
    return _make(event, DeciderId(event.invoker), (event.created_at, event.expires_at), event.created_at)


def grant_ids_of(record: Request | BreakGlassEvent) -> tuple[GrantId, ...]:
    """The ids of the grants that the record's decision makes or made, in the order of its rights."""
    return tuple(grant_id_for(record.chain, right) for right in record.rights)


def end_early(
    grants: Sequence[Grant], by: DeciderId, now: datetime, reason: str, details: dict[str, JsonValue] | None = None
) -> tuple[GrantWrite, ...]:
    """The early end of those of the grants that still have time."""
    said: dict[str, JsonValue] = {**(details or {}), "reason": reason}
    ended = (grant.end_early(by, now, reason) for grant in grants if is_open(grant, now))
    return tuple(
        GrantWrite(grant, EntryDraft.of(grant, AuditAction.GRANT_ENDED_EARLY, by, {"source": grant.source, **said}))
        for grant in ended
    )


def is_open(grant: Grant, now: datetime) -> bool:
    """True while there is something to end early: it is pending or active, and its window isn't over."""
    return grant.status in {GrantStatus.PENDING, GrantStatus.ACTIVE} and now < grant.ends_at


def observe(writes: Sequence[GrantWrite], observer: Observer) -> None:
    """Tell the observer of grants that were committed."""
    for each in writes:
        observer.committed(each.grant, each.entry.event)


def _make(
    record: Request | BreakGlassEvent, decided_by: DeciderId, window: tuple[datetime, datetime], now: datetime
) -> tuple[GrantWrite, ...]:
    service = record.service if isinstance(record, Request) else None
    made = (
        Grant.make(
            grantee=record.person,
            profile=record.profile,
            right=right,
            source=record.chain,
            decided_by=decided_by,
            rule=record.rule,
            justification=record.justification,
            starts_at=window[0],
            ends_at=window[1],
            now=now,
        )
        for right in record.rights
    )
    grants = (each if service is None else each.replace(service=service) for each in made)
    return tuple(
        GrantWrite(grant, EntryDraft.of(grant, AuditAction.GRANT_CREATED, decided_by, _details(grant)))
        for grant in grants
    )


def _details(grant: Grant) -> dict[str, JsonValue]:
    return {
        "right": right_key(grant.right),
        "source": grant.source,
        "rule": grant.rule,
        "duration": to_nanoseconds(grant.duration),
        "starts_at": format_time(grant.starts_at),
        "expires_at": format_time(grant.expires_at),
        **({"service": grant.service} if grant.service is not None else {}),
    }
