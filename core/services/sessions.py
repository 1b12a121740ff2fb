"""The use cases of sessions: get credentials, list who has some, revoke them, and what ends in the background.

Invariant: credentials are issued for access that is open, to a device of the person or the service that has it, and to
nobody else. What is revoked stays revoked for this grant on this device.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from pydantic import JsonValue

from core.access.device import DeviceUser
from core.access.session import Session, SessionId, SessionNotFound, SessionStatus, session_id_for
from core.actor import Actor, DeciderId, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import REASON_LENGTH
from core.clock import Clock
from core.directory import Directory, UnknownDirectory
from core.errors import MalformedRecord
from core.policy import Decision, PolicySource
from core.record import check_record_id
from core.services.due import Rest, no_rest
from core.services.ending import read_source
from core.services.issuing import SINCE, CredentialIssuer, IssuedCredentials, Issuing
from core.services.membership import Judging
from core.services.observer import Observer, Unobserved
from core.services.pacing import PACING, Pacing
from core.services.session_ends import RoleEditor, SessionEnds
from core.services.use_case import (
    AuditedAttempt,
    acting_as,
    audit_refusals,
    reading_again_if_decided,
    retry_on_conflict,
)
from core.stores.base import Stores
from core.stores.record_store import DEFAULT_LIMIT, Page, iterate_newest_first
from core.text import clean_text

__all__ = ["CredentialIssuer", "IssuedCredentials", "RoleEditor", "SessionService"]

DEVICE_ENDED: Final = "The device was revoked"


class SessionService:
    """Credentials and their sessions. Safe for threads, and for any number of processes.

    Without an `editor`, as in `countersign broker`, nothing is denied at AWS from here.
    """

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        issuer: CredentialIssuer,
        observer: Observer | None = None,
        *,
        directory: Directory | None = None,
        editor: RoleEditor | None = None,
        pacing: Pacing = PACING,
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._observer = observer or Unobserved()
        self._directory: Directory = directory or UnknownDirectory()
        self._pacing = pacing
        self._issuing = Issuing(stores, policy, clock, issuer, self._observer, self._directory, pacing)
        self._ends = SessionEnds(stores, clock, self._observer, editor)
        self._is_deny_due = False

    def issue(self, user: DeviceUser, profile: str, *, target: str | None = None) -> IssuedCredentials:
        """Credentials for the profile's access that the user has open; of several grants, for the longest-lasting.

        Raises NothingOpen, which says whether it is only opening; AccessEnded, which says when; NotAllowed, also when
        the device's session was revoked; InvalidInput when the profile gives several roles and none was named;
        IssuerUnavailable when AWS issued none; StoreError.
        """
        return self._issuing.issue(user, profile, target)

    def list_live(self, viewer: Actor, *, cursor: str | None = None) -> Page[Session]:
        """The active sessions that this person may see, newest first.

        Admins see all, approvers those of their profiles, everybody their own, and a service only those for itself. A
        page may be empty and have a cursor.
        """
        people = self._judging()
        own = people.policy.ids_of(viewer.id)
        may_see = cache(lambda profile: people.judge_live(viewer, profile).is_allowed)

        def is_seen(session: Session) -> bool:
            if viewer.service is not None:
                return session.user in own and session.service == viewer.service
            return session.user in own or may_see(session.profile)

        page = self._stores.sessions.list_by_status(SessionStatus.ACTIVE, limit=DEFAULT_LIMIT, cursor=cursor)
        now = self._clock.now()
        seen = tuple(each for each in page.items if each.is_usable(now) and is_seen(each))
        return Page(seen, page.cursor, page.malformed)

    def revoke(self, session_id: str, by: Actor, reason: str) -> Session:
        """End a session on one device: their own, or, for approvers of its rule and admins, anybody's. Idempotent.

        The access itself goes on, on other devices too, after they fetched credentials anew. Raises NotAllowed,
        SessionNotFound, InvalidInput, InvalidStateTransition when it has expired, StoreError.
        """
        why = clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])
        people, attempt = self._judging(), AuditedAttempt(AuditAction.REVOKE_REFUSED, by)
        known = SessionId(check_record_id(session_id))

        def use_case() -> Session:
            session = self._stores.sessions.get(known)
            attempt.record = session
            details = self._judge_revoke(people, session, by)
            return self._revoke(session, DeciderId(by.id), why, details)

        with audit_refusals(attempt, self._stores.refusals, self._observer):
            return retry_on_conflict(use_case, self._observer, self._pacing)

    def end_device(
        self, person: UserId, device_id: str, by: DeciderId, reason: str = DEVICE_ENDED
    ) -> tuple[Session, ...]:
        """Revoke every session of a device that was ended. Who may end a device was judged before.

        Each is looked for where it would be, because a list may lag behind a session that was made just now. One that
        can't be read stops no other; raises MalformedRecord for it then.
        """
        now, unreadable, ended = self._clock.now(), list[MalformedRecord](), list[Session]()
        for grant in iterate_newest_first(self._stores.access, "grantee", person, now - SINCE):
            if now >= grant.ends_at:
                continue
            try:
                ended += self._end_one(session_id_for(grant.id, device_id), by, reason)
            except SessionNotFound:
                continue
            except MalformedRecord as error:
                unreadable.append(error)
        if unreadable:
            raise unreadable[0]
        return tuple(ended)

    def expire_due(self, rest: Rest = no_rest) -> tuple[Session, ...]:
        """Expire the sessions whose window has passed, and revoke those whose grant ended before its time."""
        return self._ends.expire_due(rest)

    def clean_up(self, rest: Rest = no_rest) -> tuple[Session, ...]:
        """Deny what was revoked and isn't denied yet, and remove the denies of credentials that are dead."""
        self._is_deny_due = False
        return self._ends.clean_up(rest)

    @property
    def is_deny_due(self) -> bool:
        """Whether something was revoked here since the last `clean_up`: AWS should hear of it now."""
        return self._is_deny_due

    def _judging(self) -> Judging:
        return Judging(self._policy.current(), self._directory)

    def _judge_revoke(self, people: Judging, session: Session, by: Actor) -> dict[str, JsonValue]:
        if by.service is None and session.user in people.policy.ids_of(by.id):
            return acting_as(by.id, session.user)
        decision: Decision = people.judge_revoke(read_source(self._stores, session.source, people), by)
        decision.require()
        return decision.to_details()

    def _revoke(self, session: Session, by: DeciderId, reason: str, details: dict[str, JsonValue]) -> Session:
        revoked = session.revoke(by, self._clock.now(), reason)
        if revoked is session:
            return session
        entry = EntryDraft.of(revoked, AuditAction.SESSION_REVOKED, by, {"reason": reason, **details})
        with reading_again_if_decided(session):
            stored = self._stores.sessions.update(revoked, entry)
        self._is_deny_due = True
        self._observer.committed(stored, AuditAction.SESSION_REVOKED)
        return stored

    def _end_one(self, session_id: SessionId, by: DeciderId, reason: str) -> tuple[Session, ...]:
        def use_case() -> tuple[Session, ...]:
            session = self._stores.sessions.get(session_id)
            is_over = session.status is not SessionStatus.ACTIVE
            return () if is_over else (self._revoke(session, by, reason, {}),)

        return retry_on_conflict(use_case, self._observer, self._pacing)
