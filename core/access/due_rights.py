"""Visit what is due: emergencies first, then revokes, then grants, then looks; within each, what waits longest.

Invariant: the cost of a pass is that of what is due. A right that can't be reconciled holds up no other, and a target
that doesn't answer, or asks for a rest, is left alone for a while, save for emergencies; what waits for it stays due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

from core.access.due_queue import ONE_AT_A_TIME, DueQueue, Room
from core.access.holding import Urgency
from core.access.pauses import URGENCIES, AnswerPauses, Visit
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.clock import Clock, is_trusted
from core.errors import StoreUnavailable
from core.stores.access import AccessStore, DueRight
from core.targets.base import Answer, Unknown

PER_PAGE: Final = 50
_NO_ANSWER: Final = Unknown("it can't be reconciled")
_log = logging.getLogger("countersign.access")


@dataclass(frozen=True, slots=True)
class VisitCounts:
    """The result of a pass: how many rights were visited, left for later, and could not be reconciled."""

    visited: int = 0
    left: int = 0
    failed: int = 0


NOTHING_VISITED: Final = VisitCounts()


class DueRights:
    """Reads what is due, and reconciles it. Any number of instances, or of urgencies, work side by side.

    One thread reads; as many as there is room for `take` and `visit`.
    """

    def __init__(
        self,
        store: AccessStore,
        reconciler: Reconciler,
        clock: Clock,
        urgencies: Sequence[Urgency] = URGENCIES,
        room: Room = ONE_AT_A_TIME,
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._clock = clock
        self._urgencies = tuple(urgencies)
        self._queue = DueQueue(room)
        self._broken = AnswerPauses()
        self._overdue = AnswerPauses()
        self._visited = 0
        self._failed: set[Right] = set()
        self._lock = Lock()

    def visit_due(self, *, is_stopped: Callable[[], bool] = lambda: False) -> VisitCounts:
        """Visit each right that is due now once, one after the other. Raises StoreUnavailable.

        `is_stopped` is asked before each visit.
        """
        self.forget_waiting()
        self._begin_pass()
        emergencies = [each for each in self._urgencies if each is Urgency.EMERGENCY]
        others = [each for each in self._urgencies if each is not Urgency.EMERGENCY]
        for urgencies in (emergencies, others):
            is_cut = True
            while is_cut:
                for urgency in urgencies:
                    self._read(urgency)
                is_cut = self._visit_waiting(is_stopped) and self._queue.is_cut
        return VisitCounts(self._visited, self._queue.left, len(self._failed))

    def read_due(self) -> int:
        """Read what is due, for `take`. Returns how much that is. Raises StoreUnavailable."""
        self._begin_pass()
        return sum(self._read(urgency) for urgency in self._urgencies)

    def take(self) -> Visit | None:
        """What is visited next, if there is something, and room. The caller visits it."""
        with self._lock:
            return self._queue.take(self._clock.now())

    def visit(self, visit: Visit) -> None:
        """Reconcile the right. Raises StoreUnavailable."""
        answer: Answer | None = None
        try:
            answer = self._reconciler.reconcile(visit.right, visit.grant)
            self._note_success(visit)
        except StoreUnavailable:
            # It may be about this right alone: the next pass begins with those behind it.
            self._note_failure(visit.right)
            raise
        except Exception:  # noqa: BLE001 - whatever is wrong with one right, the others are due, too
            self._note_failure(visit.right)
            _log.exception("%s is due and cannot be reconciled", visit.right)
        finally:
            self.put_down(visit, answer)

    def put_down(self, visit: Visit, answer: Answer | None = None) -> None:
        """It is in hand no longer; for one that was taken and is not visited."""
        with self._lock:
            self._queue.put_down(visit, answer, self._clock.now())

    def wants_more(self, visit: Visit) -> bool:
        """True when its lane has done all that there was room for, and more is due."""
        with self._lock:
            return self._queue.wants_more(visit.right.target)

    def forget_waiting(self) -> None:
        """Let nothing be taken until it is read again."""
        with self._lock:
            self._queue.clear()

    def _visit_waiting(self, is_stopped: Callable[[], bool]) -> bool:
        """Visit what waits. False if nothing was visited, or it was stopped."""
        is_any = False
        while not is_stopped():
            if (visit := self.take()) is None:
                return is_any
            is_any = True
            self.visit(visit)
            if visit.urgency is not Urgency.EMERGENCY and Urgency.EMERGENCY in self._urgencies:
                # Glass that breaks during a long pass doesn't wait for its end.
                self._read(Urgency.EMERGENCY)
        return False

    def _begin_pass(self) -> None:
        with self._lock:
            self._queue.begin_pass()
            self._visited = 0
            self._failed.clear()

    def _read(self, urgency: Urgency) -> int:
        self._queue.begin(urgency)
        number = 0
        for due in self._iterate_due(urgency):
            number += 1
            now = self._clock.now()
            with self._lock:
                if self._broken.is_paused(str(due.right), now):
                    self._failed.add(due.right)
                else:
                    self._queue.offer(due.right, now, due.grant)
        with self._lock:
            self._queue.finish()
        return number

    def _iterate_due(self, urgency: Urgency) -> Iterator[DueRight]:
        now = self._clock.now()
        if urgency is Urgency.REVOKE and is_trusted(self._clock):
            # By a clock that is off, nobody's time is over.
            yield from self._iterate_overdue(now)
        yield from _iterate_pages(lambda after: self._store.list_due(urgency, now, limit=PER_PAGE, after=after))

    def _iterate_overdue(self, now: datetime) -> Iterator[DueRight]:
        still: set[str] = set()
        for due in _iterate_pages(lambda after: self._store.list_overdue(now, limit=PER_PAGE, after=after)):
            still.add(name := _name_of(due.right, due.grant))
            with self._lock:
                is_paused = self._overdue.is_paused(name, now)
            if not is_paused:
                yield due
        with self._lock:
            # A visit takes a grant off this list at once, unless somebody else has its right, or it can't be read.
            self._overdue.keep_only(still)

    def _note_success(self, visit: Visit) -> None:
        with self._lock:
            self._visited += 1
            self._broken.forget(str(visit.right))
            if visit.grant is not None:
                self._overdue.note(_name_of(visit.right, visit.grant), _NO_ANSWER, self._clock.now())

    def _note_failure(self, right: Right) -> None:
        with self._lock:
            self._failed.add(right)
            self._broken.note(str(right), _NO_ANSWER, self._clock.now())


def _name_of(right: Right, grant: str | None) -> str:
    return f"{right} {grant}"


def _iterate_pages(read_page: Callable[[DueRight | None], Sequence[DueRight]]) -> Iterator[DueRight]:
    after = None
    while page := read_page(after):
        yield from page
        if len(page) < PER_PAGE:
            return
        after = page[-1]
