"""What ends of sessions with nobody asking: expiry, what is left of grants that ended, and denies at AWS.

Invariant: a session that ended early is denied at AWS until its last credentials are dead, and no longer. One that
can't be changed now holds up no other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, Literal, Protocol

from pydantic import JsonValue

from core.access.grant import Grant, GrantId, GrantStatus
from core.access.session import Session
from core.access.timing import ALERT_AFTER, ALERT_EVERY
from core.actor import CLOCK, DeciderId
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock, is_trusted
from core.errors import BrokenChain, ConcurrentModification, InvalidStateTransition, MalformedRecord, NotFound
from core.services.due import Rest, no_rest
from core.services.observer import Observer
from core.stores.base import Stores
from core.stores.record_store import iterate_pages

AFTER_DEATH: Final = timedelta(minutes=1)
"""How long a deny stays after the credentials that it is for have died: clocks differ."""
_SURELY_DEAD: Final = timedelta(hours=2)
_log = logging.getLogger("countersign.access")


class RoleEditor(Protocol):
    """Edits roles, to deny sessions that were revoked. Safe for threads; nothing here raises for AWS's errors."""

    def deny(self, session: Session, *, has_grant_ended: bool) -> str | None:
        """Deny what was issued for this session, or all of its grant. What went wrong, or None."""
        ...

    def clean(
        self, target: str, role: str, dead: Sequence[Session], over: frozenset[str]
    ) -> tuple[frozenset[str], str | None]:
        """Remove what denies these sessions of a role, and what denies the grants that are `over`, by their ids.

        Returns the ids of the sessions of which nothing is left, and what went wrong.
        """
        ...


class SessionEnds:
    """The work. Safe for threads, and for any number of processes."""

    def __init__(self, stores: Stores, clock: Clock, observer: Observer, editor: RoleEditor | None) -> None:
        self._stores = stores
        self._clock = clock
        self._observer = observer
        self._editor = editor

    def expire_due(self, rest: Rest = no_rest) -> tuple[Session, ...]:
        """Expire the sessions whose window has passed, and revoke those whose grant ended before its time."""
        return tuple(each for page in self._pages("expiry", rest) for each in self._end_each(page))

    def clean_up(self, rest: Rest = no_rest) -> tuple[Session, ...]:
        """Deny what was revoked and isn't denied yet, and remove the denies of credentials that are dead."""
        if self._editor is None:
            return ()
        changed: list[Session] = []
        waiting: list[Session] = []
        for page in self._pages("cleanup", rest):
            changed += self._deny_each(self._editor, page)
            waiting += page
        if is_trusted(self._clock):
            # By a clock that is off, nothing is dead.
            changed += self._clean_each(self._editor, waiting)
        return tuple(changed)

    def _pages(self, what: Literal["expiry", "cleanup"], rest: Rest) -> Iterator[tuple[Session, ...]]:
        for page in iterate_pages(lambda cursor: self._stores.sessions.list_awaiting(what, cursor=cursor)):
            # An older version that was put back awaits something else than the list says.
            yield tuple(each for each in page.items if each.awaits == what)
            if page.cursor is not None:
                rest()

    def _end_each(self, sessions: Sequence[Session]) -> Iterator[Session]:
        now, grants = self._clock.now(), self._read_grants(sessions)
        for session in sessions:
            grant = grants.get(session.grant)
            if session.is_overdue(now):
                if is_trusted(self._clock):
                    yield from self._store(session.expire(now), AuditAction.SESSION_EXPIRED, CLOCK)
            elif grant is not None and grant.ended_early is not None:
                early = grant.ended_early
                yield from self._store(
                    session.revoke(early.by, now, early.reason), AuditAction.SESSION_REVOKED, early.by
                )

    def _deny_each(self, editor: RoleEditor, sessions: Sequence[Session]) -> Iterator[Session]:
        now = self._clock.now()
        due = [each for each in sessions if _must_be_denied(each, now)]
        grants = self._read_grants(due)
        for session in due:
            grant = grants.get(session.grant)
            problem = editor.deny(session, has_grant_ended=grant is None or grant.ended_early is not None)
            if problem is not None:
                _log.error("%s was revoked, and AWS doesn't deny it yet: %s", session.chain, problem)
                # Of access that is being taken, the alarm is the reconciler's.
                is_taken = grant is not None and grant.status is GrantStatus.ENDING
                if not is_taken and _is_alarm_due(session, now):
                    yield from self._store(session, AuditAction.DENY_FAILING, CLOCK, {"problem": problem})
                continue
            yield from self._store(session.note_deny(now), AuditAction.DENY_PUT, CLOCK)

    def _clean_each(self, editor: RoleEditor, sessions: Sequence[Session]) -> Iterator[Session]:
        now = self._clock.now()
        dead = sorted((each for each in sessions if _is_dead(each, now)), key=_role_of)
        over = self._find_over(dead, now)
        for (target, role), of_role in groupby(dead, key=_role_of):
            due = tuple(of_role)
            clean, problem = editor.clean(target, role, due, over)
            if problem is not None:
                _log.warning("%s still has policies that deny sessions that are over: %s", role, problem)
            for session in due:
                if session.id in clean:
                    yield from self._store(session.clean(now), AuditAction.DENY_REMOVED, CLOCK)

    def _find_over(self, dead: Sequence[Session], now: datetime) -> frozenset[str]:
        """The grants of these that have ended, and of which no credentials are left, whatever the device.

        A grant that goes on may still get a session, and its end a deny of its own, at any moment.
        """
        grants, over = self._read_grants(dead), set[str]()
        for grant_id in {each.grant for each in dead}:
            grant = grants.get(grant_id)
            if grant is not None and grant.is_wanted(now):
                continue
            found = self._stores.sessions.list_of_grant(GrantId(grant_id))
            # Of one that can't be read, nobody knows more than that its credentials live for an hour at most.
            is_unknown = bool(found.unreadable) and grant is not None and now < grant.ended_at + _SURELY_DEAD
            if not is_unknown and all(_is_dead(each, now) for each in found.sessions):
                over.add(grant_id)
        return frozenset(over)

    def _read_grants(self, sessions: Sequence[Session]) -> Mapping[str, Grant]:
        ids = tuple(dict.fromkeys(each.grant for each in sessions))
        return {grant.id: grant for grant in self._stores.access.get_each(ids)} if ids else {}

    def _store(
        self, session: Session, action: AuditAction, by: str, details: Mapping[str, JsonValue] | None = None
    ) -> Iterator[Session]:
        """The session as it is stored; nothing if somebody else changed it: the next pass reads it anew."""
        try:
            stored = self._stores.sessions.update(session, EntryDraft.of(session, action, DeciderId(by), details or {}))
        except (ConcurrentModification, InvalidStateTransition, NotFound):
            return
        except (BrokenChain, MalformedRecord):
            _log.exception("%s can't be changed", session.chain)
            return
        self._observer.committed(stored, action)
        yield stored


def _must_be_denied(session: Session, now: datetime) -> bool:
    return session.denied_at is None and now < min(session.expires_at, session.credentials_until)


def _is_alarm_due(session: Session, now: datetime) -> bool:
    """True when it has been failing for a while, and again after each hour. The last alarm was its last change."""
    first = (session.revoked_at or session.updated_at) + ALERT_AFTER
    return now >= (session.updated_at + ALERT_EVERY if session.updated_at >= first else first)


def _is_dead(session: Session, now: datetime) -> bool:
    return now >= session.credentials_until + AFTER_DEATH


def _role_of(session: Session) -> tuple[str, str]:
    return session.right.target, session.right.resource
