"""An access store, in memory or on an engine, and a way to make grants there, as decisions do.

Invariant: the tests that use it know nothing of what is behind it, so the model in memory, on which the reconciler is
tested, promises the same as the engines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.access.grant import Grant
from core.access.right import Right
from core.actor import ProfileName, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.stores.access import AccessStore, GrantWrite, RightState
from tests.builders import PROD, REQUESTER, a_draft, a_request
from tests.core.access.world import RIGHT, a_grant
from tests.harness.access_store import MemoryAccessStore
from tests.harness.clock import A_MOMENT, FrozenClock

if TYPE_CHECKING:
    from core.stores.base import Stores

HOUR: Final = timedelta(hours=1)
SECOND: Final = timedelta(seconds=1)
OTHER: Final = RIGHT.model_copy(update={"principal": "bob"})


@dataclass(slots=True)
class AccessBench:
    """`make` does what an approval does."""

    clock: FrozenClock
    store: AccessStore
    make: Callable[..., None]

    @classmethod
    def in_memory(cls, clock: FrozenClock) -> AccessBench:
        store = MemoryAccessStore(clock)
        return cls(clock, store, store.create)

    @classmethod
    def on(cls, stores: Stores, clock: FrozenClock) -> AccessBench:
        def make(*grants: Grant) -> None:
            writes = [created(grant) for grant in grants]
            stores.requests.create(a_request(now=clock.now()), a_draft(), grants=writes)

        return cls(clock, stores.access, make)

    def grant(self, number: int = 1, **facts: Any) -> Grant:  # noqa: ANN401 - those of `new_grant`
        """A grant that was made, as it is stored."""
        grant = new_grant(number, **facts)
        self.make(grant)
        return self.store.get_each([grant.id])[0]

    def state(self, right: Right = RIGHT) -> RightState:
        return self.store.get_right(right)

    def open(self, grant: Grant) -> Grant:
        """What the reconciler does when the right is there."""
        return self.move(grant.open(self.clock.now()), AuditAction.GRANT_OPENED)

    def close(self, grant: Grant) -> Grant:
        """What the reconciler does when the right is gone."""
        over = (
            grant if grant.ended_early is not None else self.move(grant.expire(grant.ends_at), AuditAction.GRANT_ENDING)
        )
        return self.move(over.close(self.clock.now()), AuditAction.GRANT_CLOSED)

    def move(self, grant: Grant, action: AuditAction, **holding: object) -> Grant:
        state = self.state(grant.right)
        later = self.store.commit(state, state.holding.change(**holding), grant, [drafted(grant, action)])
        return next(each for each in later.grants if each.id == grant.id)


def new_grant(
    number: int = 1,
    *,
    kind: str = "REQUEST",
    right: Right = RIGHT,
    length: timedelta = HOUR,
    age: timedelta = timedelta(0),
    grantee: UserId = REQUESTER,
    profile: ProfileName = PROD,
) -> Grant:
    """A grant that nobody has stored yet; `age` is how long before `A_MOMENT` it was decided."""
    at = A_MOMENT - age
    grant = a_grant(source=f"{kind}#{number:016x}", starts_at=at, ends_at=at + length, now=at, right=right)
    return grant.replace(grantee=grantee, profile=profile)


def created(grant: Grant) -> GrantWrite:
    return GrantWrite(grant, drafted(grant, AuditAction.GRANT_CREATED))


def ended(grant: Grant, by: str = "U0REQUESTER") -> GrantWrite:
    early = grant.end_early(UserId(by), grant.updated_at, "I'm done")  # type: ignore[arg-type]
    return GrantWrite(early, drafted(early, AuditAction.GRANT_ENDED_EARLY))


def drafted(grant: Grant, action: AuditAction) -> EntryDraft:
    return EntryDraft.of(grant, action, "U0APPROVER")
