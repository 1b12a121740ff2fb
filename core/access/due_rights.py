"""Visit what is due: emergencies first, then revokes, then grants, then looks; within each, what waits longest.

Invariant: the cost of a pass is that of what is due. A right that can't be reconciled holds up no other, and a target
that doesn't answer, or asks for a rest, is left alone for a while, save for emergencies; what waits for it stays due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from core.access.holding import Urgency
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.access.timing import FIRST_PAUSE
from core.clock import Clock, is_trusted
from core.errors import StoreUnavailable
from core.stores.access import AccessStore, DueRight
from core.targets.base import Answer, InProgress, Later, Unknown

MAX_TARGET_PAUSE: Final = timedelta(seconds=30)
CONFLICT_PAUSE: Final = timedelta(seconds=5)
PER_PAGE: Final = 50
URGENCIES: Final = (Urgency.EMERGENCY, Urgency.REVOKE, Urgency.GRANT, Urgency.LOOK)
_NO_ANSWER: Final = Unknown("it can't be reconciled")
_log = logging.getLogger("countersign.access")


@dataclass(frozen=True, slots=True)
class VisitCounts:
    """The result of a pass: how many rights were visited, left for later, and could not be reconciled.

    `is_cut`: more was due than the pass may visit.
    """

    visited: int = 0
    left: int = 0
    failed: int = 0
    is_cut: bool = False


NOTHING_VISITED: Final = VisitCounts()


class AnswerPauses:
    """Which targets, or broken rights, are left alone, and until when. Each answer that says nothing doubles it."""

    def __init__(self) -> None:
        self._pauses: dict[str, tuple[datetime, timedelta]] = {}

    def is_paused(self, name: str, now: datetime) -> bool:
        """True while it is left alone."""
        until, _ = self._pauses.get(name, (now, FIRST_PAUSE))
        return now < until

    def forget(self, name: str) -> None:
        """It is fine."""
        self._pauses.pop(name, None)

    def keep_only(self, names: set[str]) -> None:
        """All others are fine."""
        self._pauses = {name: pause for name, pause in self._pauses.items() if name in names}

    def note(self, name: str, answer: Answer, now: datetime) -> None:
        """Learn from an answer."""
        if isinstance(answer, Later) and answer.is_for_all:
            self._pauses[name] = now + min(max(answer.after, FIRST_PAUSE), MAX_TARGET_PAUSE), FIRST_PAUSE
        elif isinstance(answer, Unknown) and not answer.is_forgotten:
            _, pause = self._pauses.get(name, (now, FIRST_PAUSE / 2))
            pause = min(2 * pause, MAX_TARGET_PAUSE)
            self._pauses[name] = now + pause, pause
        else:
            self.forget(name)


class TargetPauses:
    """What is left alone, and until when: targets that say nothing, and rights that conflict with one in progress.

    Some targets, such as Identity Center, change one right of a resource and level at a time. After a conflict, only
    the one that is known to be in progress is called; the others needn't each find that out.
    """

    def __init__(self) -> None:
        self._targets = AnswerPauses()
        self._conflicts: dict[_Place, tuple[datetime, Right]] = {}
        self._in_progress: dict[_Place, Right] = {}

    def is_paused(self, right: Right, now: datetime) -> bool:
        """True while nothing but an emergency should call the target for this right."""
        if self._targets.is_paused(right.target, now):
            return True
        place = _place_of(right)
        until, met_by = self._conflicts.get(place, (now, right))
        # The one that met it has a pause of its own, which somebody's early end may shorten.
        return now < until and right not in (met_by, self._in_progress.get(place))

    def note(self, right: Right, answer: Answer | None, now: datetime) -> None:
        """Learn from an answer; None: the target was not called."""
        if answer is None:
            return
        self._targets.note(right.target, answer, now)
        place = _place_of(right)
        if isinstance(answer, InProgress):
            self._in_progress[place] = right
        elif isinstance(answer, Later):
            if not answer.is_for_all:
                self._conflicts[place] = now + CONFLICT_PAUSE, right
        else:
            if self._in_progress.get(place) == right:
                del self._in_progress[place]
            self._conflicts.pop(place, None)


class DueRights:
    """Reconciles what is due. For one caller at a time; any number of instances, or of urgencies, side by side."""

    def __init__(
        self, store: AccessStore, reconciler: Reconciler, clock: Clock, urgencies: Sequence[Urgency] = URGENCIES
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._clock = clock
        self._urgencies = tuple(urgencies)
        self._pauses = TargetPauses()
        self._broken = AnswerPauses()
        self._overdue = AnswerPauses()

    def visit_due(self, limit: int = 1000, *, is_stopped: Callable[[], bool] = lambda: False) -> VisitCounts:
        """Visit each right that is due now once, at most `limit` of each urgency. Raises StoreUnavailable.

        Rights that can't be reconciled don't count: however many there are, those behind them have their turn.
        `is_stopped` is asked before each visit.
        """
        visits = _Visits(limit)
        for urgency in self._urgencies:
            visits.begin()
            for due in self._iterate_due(urgency):
                if is_stopped():
                    return visits.counts
                if urgency is not Urgency.EMERGENCY and Urgency.EMERGENCY in self._urgencies:
                    # Glass that breaks during a long pass doesn't wait for its end.
                    for emergency in self._iterate_due(Urgency.EMERGENCY):
                        self._visit(emergency, visits, Urgency.EMERGENCY)
                if visits.is_over and due.right not in visits.tried:
                    visits.is_cut = True
                    break
                self._visit(due, visits, urgency)
        return visits.counts

    def _iterate_due(self, urgency: Urgency) -> Iterator[DueRight]:
        now = self._clock.now()
        if urgency is Urgency.REVOKE and is_trusted(self._clock):
            # By a clock that is off, nobody's time is over.
            yield from self._iterate_overdue(now)
        yield from _iterate_pages(lambda after: self._store.list_due(urgency, now, limit=PER_PAGE, after=after))

    def _iterate_overdue(self, now: datetime) -> Iterator[DueRight]:
        rows = _iterate_pages(lambda after: self._store.list_overdue(now, limit=PER_PAGE, after=after))
        still: set[str] = set()
        for due in rows:
            still.add(name := _name_of(due))
            if not self._overdue.is_paused(name, now):
                yield due
        # A visit takes a grant off this list at once, unless somebody else has its right, or it can't be read.
        self._overdue.keep_only(still)

    def _visit(self, due: DueRight, visits: _Visits, urgency: Urgency) -> None:
        right = due.right
        if right in visits.tried:
            return
        visits.tried.add(right)
        if urgency is not Urgency.EMERGENCY and self._pauses.is_paused(right, self._clock.now()):
            visits.left += 1
            return
        if self._broken.is_paused(str(right), self._clock.now()):
            visits.failed += 1
            return
        try:
            answer = self._reconciler.reconcile(right, due.grant)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - whatever is wrong with one right, the others are due, too
            visits.failed += 1
            self._broken.note(str(right), _NO_ANSWER, self._clock.now())
            _log.exception("%s is due and cannot be reconciled", right)
        else:
            visits.note_visit()
            if due.grant is not None:
                self._overdue.note(_name_of(due), _NO_ANSWER, self._clock.now())
            self._broken.forget(str(right))
            self._pauses.note(right, answer, self._clock.now())


_Place = tuple[str, str, str]


def _place_of(right: Right) -> _Place:
    """What conflicts are about: the same level of the same resource."""
    return right.target, right.resource, right.level


def _name_of(due: DueRight) -> str:
    return f"{due.right} {due.grant}"


def _iterate_pages(read_page: Callable[[DueRight | None], Sequence[DueRight]]) -> Iterator[DueRight]:
    after = None
    while page := read_page(after):
        yield from page
        if len(page) < PER_PAGE:
            return
        after = page[-1]


@dataclass(slots=True)
class _Visits:
    """One pass: the rights that were tried, and what came of them."""

    limit: int
    tried: set[Right] = field(default_factory=set)
    visited: int = 0
    left: int = 0
    failed: int = 0
    is_cut: bool = False
    _of_urgency: int = 0

    def begin(self) -> None:
        """From here on, the limit is that of the next urgency."""
        self._of_urgency = 0

    def note_visit(self) -> None:
        self.visited += 1
        self._of_urgency += 1

    @property
    def is_over(self) -> bool:
        return self._of_urgency >= self.limit

    @property
    def counts(self) -> VisitCounts:
        return VisitCounts(self.visited, self.left, self.failed, self.is_cut)
