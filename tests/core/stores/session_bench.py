"""Sessions on an engine, under grants that were made as decisions make them.

Invariant: a grant here was opened through the store, so that a session may be made under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.access.grant import Grant, GrantId
from core.access.session import Session, SessionId, session_id_for
from core.actor import UserId
from core.audit.trail import AuditAction, EntryDraft
from tests.core.stores.access_bench import AccessBench, ended

if TYPE_CHECKING:
    from core.stores.base import Stores
    from core.stores.sessions import SessionStore
    from tests.harness.clock import FrozenClock

LAPTOP: Final = "00000000000000d1"
DESKTOP: Final = "00000000000000d2"
LEASE: Final = timedelta(hours=1)


@dataclass(slots=True)
class SessionBench:
    """`access` makes and ends grants; `store` is the store under test."""

    clock: FrozenClock
    access: AccessBench
    store: SessionStore

    @classmethod
    def on(cls, stores: Stores, clock: FrozenClock) -> SessionBench:
        return cls(clock, AccessBench.on(stores, clock), stores.sessions)

    def open_grant(self, number: int = 1, **facts: Any) -> Grant:  # noqa: ANN401 - those of `new_grant`
        """A grant that is active, as it is stored."""
        return self.access.open(self.access.grant(number, **facts))

    def read_grant(self, grant: Grant) -> Grant:
        return self.access.store.get(GrantId(grant.id))

    def end(self, grant: Grant) -> Grant:
        (over,) = self.access.store.end([ended(grant)])
        return over

    def issue(self, grant: Grant, device: str = LAPTOP) -> Session:
        """What the broker does first: the intent is stored."""
        session = self.new(grant, device)
        return self.store.create(session, issued(session), grant=grant)

    def new(self, grant: Grant, device: str = LAPTOP) -> Session:
        now = self.clock.now()
        name = f"host-{device[-1]}"
        return Session.make(grant, device=device, device_name=name, lease=LEASE, now=now, service=grant.service)

    def touch(self, session: Session, grant: Grant) -> Session:
        later = session.touch(grant, LEASE, self.clock.now())
        return self.store.touch(later, issued(later), grant=grant)

    def revoke(self, session: Session) -> Session:
        over = session.revoke(UserId("U0APPROVER"), self.clock.now(), "The laptop is lost")
        return self.update(over, AuditAction.SESSION_REVOKED)

    def update(self, session: Session, action: AuditAction) -> Session:
        details = session.issue_details if action is AuditAction.CREDENTIALS_ISSUED else {}
        return self.store.update(session, EntryDraft.of(session, action, "U0APPROVER", details))

    def state(self, grant: Grant, device: str = LAPTOP) -> Any:  # noqa: ANN401
        return self.store.get_for_issue(SessionId(session_id_for(grant.id, device)), GrantId(grant.id))


def issued(session: Session) -> EntryDraft:
    return EntryDraft.of(session, AuditAction.CREDENTIALS_ISSUED, session.person, session.issue_details)
