"""An access store on a real engine, with the model in memory beside it: whatever the engine answers, the model answers.

Invariant: each call is made on both, at the same moment of the same clock, and a difference ends the test. What a test
looks at behind the protocol, it looks at in the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from core.access.grant import Grant
from core.access.holding import Holding, Urgency
from core.access.right import Right
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock
from core.errors import CountersignError
from core.stores.access import DueRight, GrantWrite, RightState
from core.stores.base import Stores
from tests.builders import a_draft, a_request
from tests.harness.access_store import MemoryAccessStore

T = TypeVar("T")


class MirroredAccessStore(MemoryAccessStore):
    """The store that a reconciler uses. Answers are those of the engine."""

    def __init__(self, stores: Stores, clock: Clock, boundary: Callable[[str], object] | None = None) -> None:
        super().__init__(clock, boundary)
        self._stores = stores

    def create(self, *grants: Grant) -> None:
        new = [grant for grant in grants if grant.id not in self.grants]
        super().create(*new)
        writes = [GrantWrite(grant, EntryDraft.of(grant, AuditAction.GRANT_CREATED, grant.decided_by)) for grant in new]
        self._stores.requests.create(a_request(now=self._clock.now()), a_draft(), grants=writes)
        self._keep(self._stores.access.get_each([grant.id for grant in new]))

    def _read_right(self, right: Right, also: Sequence[str] = ()) -> RightState:
        modelled = super()._read_right(right)
        return _same(lambda: self._stores.access.get_right(right, also), modelled)

    def _replace(
        self, state: RightState, holding: Holding, grant: Grant | None, entries: Sequence[EntryDraft]
    ) -> RightState:
        modelled = _try(lambda: super(MirroredAccessStore, self)._replace(state, holding, grant, entries))
        committed = _same(lambda: self._stores.access.commit(state, holding, grant, entries), modelled)
        self._keep(each for each in committed.grants if grant is not None and each.id == grant.id)
        return committed

    def find_rolled_back(self, grants: Sequence[Grant]) -> frozenset[str]:
        modelled = _try(lambda: super(MirroredAccessStore, self).find_rolled_back(grants))
        return _same(lambda: self._stores.access.find_rolled_back(grants), modelled)

    def end(self, writes: Sequence[GrantWrite]) -> tuple[Grant, ...]:
        modelled = _try(lambda: super(MirroredAccessStore, self).end(writes))
        ended = _same(lambda: self._stores.access.end(writes), modelled)
        self._keep(ended)
        return ended

    def _keep(self, grants: Iterable[Grant]) -> None:
        """What a test takes from the model is as the engine stores it, so that it can be changed there."""
        self.grants |= {grant.id: grant for grant in grants}

    def list_due(
        self, urgency: Urgency, now: datetime, *, limit: int = 100, after: DueRight | None = None
    ) -> tuple[DueRight, ...]:
        modelled = super().list_due(urgency, now, limit=limit, after=after)
        return _same(lambda: self._stores.access.list_due(urgency, now, limit=limit, after=after), modelled)

    def list_overdue(self, now: datetime, *, limit: int = 100, after: DueRight | None = None) -> tuple[DueRight, ...]:
        modelled = super().list_overdue(now, limit=limit, after=after)
        return _same(lambda: self._stores.access.list_overdue(now, limit=limit, after=after), modelled)

    def find_first_end(self) -> datetime | None:
        return _same(self._stores.access.find_first_end, super().find_first_end())


def _try(call: Callable[[], T]) -> T | CountersignError:
    try:
        return call()
    except CountersignError as error:
        return error


def _same(call: Callable[[], T], modelled: T | CountersignError) -> T:
    found = _try(call)
    if isinstance(found, CountersignError):
        assert type(found) is type(modelled), (found, modelled)
        raise found
    assert _without_chain(found) == _without_chain(modelled)
    return found


def _without_chain(answer: object) -> object:
    """The answer without what only an engine knows: the digests of the chains."""
    if isinstance(answer, RightState):
        return answer.holding, _without_chain(answer.grants), answer.nudge
    if isinstance(answer, tuple):
        return tuple(map(_without_chain, answer))
    return answer.model_copy(update={"audit_head": ""}) if isinstance(answer, Grant) else answer
