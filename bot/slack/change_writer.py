"""Writes what an instance hears about people and user groups into the store, where every instance reads it.

Invariant: a change that was heard is noted, however often that takes, until the process ends; the note comes before
everything else. Nobody waits for it: Slack has its acknowledgement already.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Final

from core.clock import Clock
from core.errors import CountersignError
from core.services.user_groups import UserGroupService
from core.stores.directory import DirectoryStore
from core.user_group import UserGroupMembers

FIRST_PAUSE_SECONDS: Final = 0.1
MAX_PAUSE_SECONDS: Final = 5.0
FINISH_TIMEOUT_SECONDS: Final = 5.0
"""How long `close` waits for what is still to be written."""

_LOG = logging.getLogger("countersign.directory")


class ChangeWriter:
    """Writes on a thread of its own. Safe for threads; starts with the first change.

    `on_failure` is called for each failed attempt.
    """

    def __init__(
        self,
        store: DirectoryStore,
        groups: UserGroupService,
        clock: Clock,
        *,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._groups = groups
        self._clock = clock
        self._wait = wait
        self._on_failure = on_failure
        self.on_newer: Callable[[Collection[UserGroupMembers]], None] = lambda _: None
        """Called with an answer of another instance that is newer than one that this instance learned."""
        self._lock = threading.Lock()
        self._changes: dict[str, datetime] = {}
        self._answers: dict[str, tuple[UserGroupMembers, bool]] = {}
        self._closing = threading.Event()
        self._needs_repair = False
        self._thread: threading.Thread | None = None

    def note(self, ids: Iterable[str], at: datetime) -> None:
        """Note that these people and user groups changed. Returns at once."""
        with self._lock:
            self._changes |= dict.fromkeys(ids, at)
            self._start()

    def learn(self, answers: Collection[UserGroupMembers], *, is_change_certain: bool = False) -> None:
        """Keep what Slack said about user groups. Returns at once."""
        with self._lock:
            for answer in answers:
                waiting = self._answers.get(answer.group)
                if waiting is None or answer.is_newer_than(waiting[0]):
                    was_certain = waiting is not None and waiting[1]
                    self._answers[answer.group] = (answer, is_change_certain or was_certain)
            self._start()

    def repair(self) -> None:
        """The notes in the store can't be read: replace them. Returns at once."""
        with self._lock:
            self._needs_repair = True
            self._start()

    def flush(self) -> None:
        """Wait until all that was heard is written, or the time for it is over."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(FINISH_TIMEOUT_SECONDS)

    def close(self) -> None:
        """Try once more what isn't written yet, then stop. What is lost then ends with the answers' age."""
        self._closing.set()
        self.flush()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="directory-notes", daemon=True)
            self._thread.start()

    def _write_all(self) -> None:
        pause, is_last = FIRST_PAUSE_SECONDS, False
        while True:
            with self._lock:
                if is_last or not self._has_work():
                    self._thread = None
                    return
            is_last = self._closing.is_set()
            try:
                self._write_notes()
                self._write_answers()
            except Exception as error:  # noqa: BLE001 - the note must get written, whatever was wrong
                self._on_failure()
                level = logging.WARNING if isinstance(error, CountersignError) else logging.ERROR
                _LOG.log(
                    level, "a change in the directory is not noted yet: %s", error, exc_info=level > logging.WARNING
                )
                self._wait(self._closing, pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)
            else:
                pause = FIRST_PAUSE_SECONDS

    def _has_work(self) -> bool:
        return bool(self._changes or self._answers or self._needs_repair)

    def _write_notes(self) -> None:
        with self._lock:
            changes, self._changes = self._changes, {}
            needs_repair, self._needs_repair = self._needs_repair, False
        try:
            by_time: dict[datetime, list[str]] = {}
            for changed_id, at in changes.items():
                by_time.setdefault(at, []).append(changed_id)
            for at, ids in sorted(by_time.items()):
                self._store.note(ids, at)
            if needs_repair and not changes:
                # Noting anything, even nothing, replaces notes that can't be read.
                self._store.note((), self._clock.now())
        except BaseException:
            with self._lock:
                self._changes = changes | self._changes
                self._needs_repair |= needs_repair
            raise

    def _write_answers(self) -> None:
        with self._lock:
            answers, self._answers = self._answers, {}
        left = dict(answers)
        try:
            for group, (answer, is_change_certain) in answers.items():
                if self._has_changes():
                    # A note never waits for answers.
                    break
                newer = self._groups.keep(answer, is_change_certain=is_change_certain)
                del left[group]
                if newer is not None:
                    self.on_newer([newer])
        finally:
            with self._lock:
                self._answers = left | self._answers

    def _has_changes(self) -> bool:
        with self._lock:
            return bool(self._changes)
