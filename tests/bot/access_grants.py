"""Grants as an approval or an event makes them, in the stores of a test, and a target that may stall.

Invariant: a grant is made with its record, in one transaction, as the services make it.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from core.access.right import Right
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import EventId
from core.request import RequestId
from core.stores.access import GrantWrite
from core.targets.base import Absent, Given, Held, OperationKey, Polled, Seen, Taken
from tests.builders import a_request, an_event
from tests.core.access.world import a_grant
from tests.core.sinks import PATIENCE_SECONDS

if TYPE_CHECKING:
    from core.access.grant import Grant
    from core.stores import Stores

HOUR = timedelta(hours=1)


def a_right(principal: str = "ann", target: str = "aws") -> Right:
    return Right(target=target, resource="111122223333", level="admin", principal=principal)


def make_grant(
    stores: Stores,
    now: datetime,
    number: int = 1,
    *,
    right: Right | None = None,
    is_emergency: bool = False,
    length: timedelta = HOUR,
) -> Grant:
    """Make the record of this number, with a grant."""
    right = right or a_right()
    kind = "BREAKGLASS" if is_emergency else "REQUEST"
    grant = a_grant(source=f"{kind}#{number:016x}", starts_at=now, ends_at=now + length, now=now, right=right)
    write = GrantWrite(grant, EntryDraft.of(grant, AuditAction.GRANT_CREATED, grant.decided_by))
    if is_emergency:
        event = an_event(now=now, event_id=EventId(f"{number:016x}"))
        draft = EntryDraft.of(event, AuditAction.BREAK_GLASS_INVOKED, event.invoker)
        stores.break_glass.create(event, draft, grants=[write])
    else:
        request = a_request(now=now, request_id=RequestId(f"{number:016x}"))
        draft = EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, request.requester)
        stores.requests.create(request, draft, grants=[write])
    return grant


class StallingTarget:
    """Holds rights at once, save for principals that begin with `slow`: their calls wait until they are released."""

    ends_sessions = True

    def __init__(self) -> None:
        self.held: set[Right] = set()
        self.calls: list[tuple[str, Right]] = []
        self.waiting = 0
        self._changed = threading.Condition()
        self._released = threading.Event()

    def residual(self, right: Right) -> timedelta:
        _ = right
        return timedelta()

    def inspect(self, right: Right) -> Seen:
        with self._changed:
            self.calls.append(("look", right))
            return Held() if right in self.held else Absent()

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        _ = until, key
        self._stall(right)
        with self._changed:
            self.calls.append(("give", right))
            self.held.add(right)
            self._changed.notify_all()
        return Held()

    def take(self, right: Right, key: OperationKey) -> Taken:
        _ = key
        with self._changed:
            self.calls.append(("take", right))
            self.held.discard(right)
            self._changed.notify_all()
        return Absent()

    def poll(self, token: str) -> Polled:
        raise AssertionError(token)

    def release(self) -> None:
        """Let every call that waits, and every later one, go on."""
        self._released.set()

    def wait_until_held(self, right: Right, *, is_held: bool = True) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: (right in self.held) is is_held, PATIENCE_SECONDS)

    def wait_until_stalled(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.waiting > 0, PATIENCE_SECONDS)

    def _stall(self, right: Right) -> None:
        if not right.principal.startswith("slow"):
            return
        with self._changed:
            self.waiting += 1
            self._changed.notify_all()
        assert self._released.wait(PATIENCE_SECONDS)
