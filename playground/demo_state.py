"""The playground's pretend AWS as a value: who holds what, which changes are under way, and what happened.

Invariant: a right is held at most once, and a change that is under way is done once. In an outage, none is done.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from core.access.holding import OperationKind
from core.access.right import Right, ValidRight
from core.clock import UtcTime

MAX_HAPPENINGS: Final = 30
MAX_DONE: Final = 100
"""How many operations are remembered after they are done."""


class _DemoModel(BaseModel):
    model_config = ConfigDict(frozen=True)


class DemoAssignment(_DemoModel):
    """A permission that somebody holds now. `is_by_hand`: Countersign didn't give it."""

    right: ValidRight
    since: UtcTime
    is_by_hand: bool = False


class DemoOperation(_DemoModel):
    """A change that Countersign asked for. It is done from `ready_at` on."""

    token: str
    kind: OperationKind
    right: ValidRight
    ready_at: UtcTime


class HappeningKind(StrEnum):
    """What can happen in the pretend AWS."""

    ADDED = "added"
    REMOVED = "removed"
    OUTAGE_BEGAN = "outage_began"
    OUTAGE_ENDED = "outage_ended"


class DemoHappening(_DemoModel):
    """Something that happened, for the page."""

    at: UtcTime
    kind: HappeningKind
    right: ValidRight | None = None
    is_by_hand: bool = False


class DemoState(_DemoModel):
    """The whole pretend AWS. What is done and what happened, newest first."""

    is_out: bool = False
    assignments: tuple[DemoAssignment, ...] = ()
    under_way: tuple[DemoOperation, ...] = ()
    done: tuple[DemoOperation, ...] = ()
    happened: tuple[DemoHappening, ...] = ()

    def find(self, right: Right) -> DemoAssignment | None:
        """The assignment of this right, None if nobody holds it."""
        return next((each for each in self.assignments if each.right == right), None)

    def find_under_way(self, right: Right) -> DemoOperation | None:
        """The change of this right that is under way."""
        return next((each for each in self.under_way if each.right == right), None)

    def add(self, right: Right, now: datetime, *, is_by_hand: bool) -> DemoState:
        """The state in which this right is held. One that is held already stays as it is."""
        if self.find(right) is not None:
            return self
        added = DemoAssignment(right=right, since=now, is_by_hand=is_by_hand)
        happening = DemoHappening(at=now, kind=HappeningKind.ADDED, right=right, is_by_hand=is_by_hand)
        return self._change(happening, assignments=(*self.assignments, added))

    def remove(self, right: Right, now: datetime, *, is_by_hand: bool) -> DemoState:
        """The state in which nobody holds this right."""
        if self.find(right) is None:
            return self
        left = tuple(each for each in self.assignments if each.right != right)
        happening = DemoHappening(at=now, kind=HappeningKind.REMOVED, right=right, is_by_hand=is_by_hand)
        return self._change(happening, assignments=left)

    def begin(self, operation: DemoOperation) -> DemoState:
        """The state with one more change under way."""
        return self.model_copy(update={"under_way": (*self.under_way, operation)})

    def finish_ready(self, now: datetime) -> DemoState:
        """The state after every change that is ready."""
        ready = () if self.is_out else tuple(each for each in self.under_way if each.ready_at <= now)
        if not ready:
            return self
        state = self
        for each in ready:
            change = state.add if each.kind is OperationKind.GIVE else state.remove
            state = change(each.right, now, is_by_hand=False)
        left = tuple(each for each in self.under_way if each not in ready)
        return state.model_copy(update={"under_way": left, "done": (*ready, *self.done)[:MAX_DONE]})

    def switch_outage(self, now: datetime, *, is_out: bool) -> DemoState:
        """The state with the outage switched on or off."""
        if self.is_out == is_out:
            return self
        kind = HappeningKind.OUTAGE_BEGAN if is_out else HappeningKind.OUTAGE_ENDED
        return self._change(DemoHappening(at=now, kind=kind), is_out=is_out)

    def _change(self, happening: DemoHappening, **changes: object) -> DemoState:
        happened = (happening, *self.happened)[:MAX_HAPPENINGS]
        return self.model_copy(update={**changes, "happened": happened})
