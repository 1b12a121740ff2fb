"""Threads that people share fairly: each person's work in its order, and the people in turn.

Invariant: nobody has more than `max_running_each` threads or `max_each` places, whatever they send. A thread that
becomes free takes the work of the person who has waited longest for a turn, so nobody waits behind another's backlog.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Condition
from typing import TypeAlias

Task: TypeAlias = Callable[[], None]
_log = logging.getLogger("countersign.bot")


@dataclass(frozen=True, slots=True)
class LaneBounds:
    """How many threads there are, and how much may be running or waiting: for each person, and for all together."""

    workers: int
    max_running_each: int
    max_each: int
    max_total: int


@dataclass(slots=True, eq=False)
class _Waiting:
    task: Task
    key: str | None


@dataclass(slots=True, eq=False)
class _Backlog:
    """What one person has here. `notice` runs after all that waits; it says that something was left out."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    notice: Task | None = None
    running: int = 0
    has_turn: bool = False

    @property
    def held(self) -> int:
        return self.running + len(self.waiting)

    def take(self) -> _Waiting | None:
        """The next of this person's work, or None."""
        if self.waiting:
            return self.waiting.popleft()
        notice, self.notice = self.notice, None
        return _Waiting(notice, None) if notice is not None else None


class FairExecutor:
    """Runs tasks on its own threads. Thread-safe. What a task raises is logged."""

    def __init__(self, name: str, bounds: LaneBounds) -> None:
        self._bounds = bounds
        self._pool = ThreadPoolExecutor(bounds.workers, thread_name_prefix=name)
        self._changed = Condition()
        self._backlogs: dict[str, _Backlog] = {}
        self._keyed: dict[str, _Waiting] = {}
        self._turns: deque[str] = deque()
        self._waiting = self._running = 0
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many tasks have not started yet."""
        return self._waiting

    def submit(self, person: str, task: Task, *, key: str | None = None, if_full: Task | None = None) -> bool:
        """Run this soon, in this person's turn. Never waits. False: there is no room, or this was closed.

        A task that waits with the same `key` is replaced by this one, in its place. When there is no room, `if_full`
        runs after this person's other tasks; only the last one of each person is kept.
        """
        with self._changed:
            if self._is_closed:
                return False
            if key is not None and (same := self._keyed.get(key)) is not None:
                same.task = task
                return True
            backlog = self._backlogs.get(person) or _Backlog()
            has_room = backlog.held < self._bounds.max_each and self._waiting + self._running < self._bounds.max_total
            if has_room:
                self._add(backlog, _Waiting(task, key))
            elif if_full is not None and len(self._backlogs) < self._bounds.max_total:
                backlog.notice = if_full
            else:
                return False
            self._backlogs[person] = backlog
            self._give_turn(person, backlog)
            return has_room

    def close(self) -> None:
        """Finish everything that was taken, then stop. Idempotent."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: not self._backlogs)
        self._pool.shutdown(wait=True)

    def _add(self, backlog: _Backlog, waiting: _Waiting) -> None:
        backlog.waiting.append(waiting)
        self._waiting += 1
        if waiting.key is not None:
            self._keyed[waiting.key] = waiting

    def _give_turn(self, person: str, backlog: _Backlog) -> None:
        has_work = bool(backlog.waiting) or backlog.notice is not None
        if has_work and not backlog.has_turn and backlog.running < self._bounds.max_running_each:
            backlog.has_turn = True
            self._turns.append(person)
            # One call for each turn: a free thread never looks for work, and never takes it out of turn.
            self._pool.submit(self._run_next)

    def _run_next(self) -> None:
        with self._changed:
            person, task = self._take()
        try:
            task()
        except Exception:  # noqa: BLE001 - a bug here ends no thread, and keeps no place
            _log.exception("what follows an interaction failed")
        finally:
            with self._changed:
                self._finish(person)

    def _take(self) -> tuple[str, Task]:
        person = self._turns.popleft()
        backlog = self._backlogs[person]
        backlog.has_turn = False
        is_counted = bool(backlog.waiting)
        waiting = backlog.take()
        self._waiting -= is_counted
        if waiting is None:  # pragma: no cover - a turn is given for something that waits
            raise RuntimeError("a turn without work")
        if waiting.key is not None:
            del self._keyed[waiting.key]
        backlog.running += 1
        self._running += 1
        self._give_turn(person, backlog)
        return person, waiting.task

    def _finish(self, person: str) -> None:
        backlog = self._backlogs[person]
        backlog.running -= 1
        self._running -= 1
        self._give_turn(person, backlog)
        if backlog.held == 0 and backlog.notice is None:
            del self._backlogs[person]
            self._changed.notify_all()
