"""People who left the workspace lose their access and devices: as soon as Slack says so, and by a slow check of all.

Invariant: nobody's access ends because of an event alone: Slack is asked, and has to say that the person is no active
full member any more. What can't be known or written yet is tried again until it is; nobody's click waits for it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bot.slack.questions import UNKNOWN
from core.access.device import DeviceStatus
from core.actor import UserId
from core.clock import Clock
from core.directory import NOTES_KEPT, Directory, DirectoryNotes
from core.errors import CountersignError, NotAllowed, NotKnown
from core.request_bounds import OLDEST_LIVE
from core.services.devices import DeviceService
from core.services.grants import GrantService
from core.stores.base import Stores
from core.stores.record_store import iterate_newest_first

FIRST_PAUSE_SECONDS: Final = 0.2
MAX_PAUSE_SECONDS: Final = 30.0
FINISH_TIMEOUT_SECONDS: Final = 5.0
"""How long `close` waits; what isn't done then is found by the check."""
CHECK_SECONDS: Final = 60.0
MAX_ASKED: Final = 20
"""About how many people a check asks about: Slack takes about a hundred questions a minute, and clicks need some."""
MIN_ROUND: Final = timedelta(minutes=10)
"""How often everybody is asked about at most: an answer is used for ten minutes anyway."""
PER_PAGE: Final = 100
LISTED_SINCE: Final = OLDEST_LIVE + timedelta(days=1)
"""No access that could still be ended is older, whatever the clocks say."""

_LOG = logging.getLogger("countersign.directory")


class Departures:
    """Ends the access of those who left. Safe for threads; its own thread starts with the first departure.

    `flush_notes` waits until what was heard is noted in the store. `on_ended` is called when something was committed,
    and `wait` is replaced in tests.
    """

    def __init__(
        self,
        stores: Stores,
        grants: GrantService,
        devices: DeviceService,
        directory: Directory,
        clock: Clock,
        *,
        flush_notes: Callable[[], None] = lambda: None,
        on_ended: Callable[[], None] = lambda: None,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self._stores = stores
        self._grants = grants
        self._devices = devices
        self._directory = directory
        self._clock = clock
        self._flush_notes = flush_notes
        self._on_ended = on_ended
        self._wait = wait
        self._lock = threading.Lock()
        self._heard: dict[UserId, datetime] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._checker: threading.Thread | None = None
        self._checking = threading.Lock()
        self._to_check: deque[UserId] = deque()
        self._cursor: str | None = None
        self._is_reading_devices = False
        self._checked: set[UserId] = set()
        self._round_began_at: datetime | None = None

    def start(self) -> None:
        """Check from now on, in the background."""
        with self._lock:
            if self._checker is None:
                self._checker = threading.Thread(target=self._check_all, name="departure-check", daemon=True)
                self._checker.start()

    def hear(self, person: UserId, at: datetime) -> None:
        """An event of Slack says that this person left, or can't act any more. Returns at once."""
        with self._lock:
            self._heard[person] = at
            if self._thread is None:
                self._thread = threading.Thread(target=self._end_all, name="departures", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Wait until the access of all who were heard of has ended, or the time for it is over."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(FINISH_TIMEOUT_SECONDS)

    def close(self) -> None:
        """Try once more what isn't done yet, then stop."""
        self._closing.set()
        self.flush()
        if self._checker is not None:
            self._checker.join(FINISH_TIMEOUT_SECONDS)

    def check_some(self) -> int:
        """Ask about some of those who have access now, and end the access of those who left; how many these were.

        Slack may never deliver an event. Each call reads at most a page of what is live and asks about a few people, so
        that its cost doesn't follow how much is live. Raises StoreError.
        """
        with self._checking:
            people = self._next_people()
            notes = self._stores.directory.notes() if people else DirectoryNotes()
            return sum(not self._closing.is_set() and self._is_ended(person, notes) for person in people)

    def _end_all(self) -> None:
        pause, is_last = FIRST_PAUSE_SECONDS, False
        while True:
            with self._lock:
                if is_last or not self._heard:
                    self._thread = None
                    return
                heard = dict(self._heard)
            is_last = self._closing.is_set()
            self._flush_notes()
            done = [person for person, departure in heard.items() if self._is_done(person, departure)]
            with self._lock:
                # They may have been heard of again meanwhile.
                self._heard = {each: at for each, at in self._heard.items() if each not in done or at != heard[each]}
                has_more = bool(self._heard)
            if not has_more:
                pause = FIRST_PAUSE_SECONDS
            elif not is_last:
                self._wait(self._closing, pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _check_all(self) -> None:
        while not self._closing.wait(CHECK_SECONDS):
            try:
                self.check_some()
            except Exception as error:  # noqa: BLE001 - the check goes on, whatever was wrong
                level = logging.WARNING if isinstance(error, CountersignError) else logging.ERROR
                _LOG.log(level, "could not check who left: %s", error, exc_info=level > logging.WARNING)

    def _is_done(self, person: UserId, heard_at: datetime) -> bool:
        """True when nothing is left to do for this person; False: try again."""
        try:
            notes = self._stores.directory.notes()
            noted_at = notes.changed_at(person)
            if (noted_at is None or noted_at < heard_at) and self._clock.now() < heard_at + NOTES_KEPT:
                return False
            # A guest who changed their picture is no question for Slack.
            if self._has_access(person) or self._has_devices(person):
                self._end_if_departed(person, notes)
        except Exception as error:  # noqa: BLE001 - the access must end, whatever was wrong
            level = logging.WARNING if isinstance(error, CountersignError) else logging.ERROR
            _LOG.log(level, "the access of %s has not ended yet: %s", person, error, exc_info=level > logging.WARNING)
            return False
        return True

    def _has_access(self, person: UserId) -> bool:
        # All of it: quick requests, given back at once, must not hide what is open behind a page of them.
        since = self._clock.now() - LISTED_SINCE
        of_person = iterate_newest_first(self._stores.access, "grantee", person, since)
        return any(grant.is_live for grant in of_person)

    def _has_devices(self, person: UserId) -> bool:
        return any(each.status is DeviceStatus.ACTIVE for each in self._stores.devices.list_by_person(person).items)

    def _is_ended(self, person: UserId, notes: DirectoryNotes) -> bool:
        try:
            return self._end_if_departed(person, notes)
        except NotKnown as unknown:
            _LOG.info("%s has access, and Slack can't say whether they are a member: %s", person, unknown)
            return False

    def _end_if_departed(self, person: UserId, notes: DirectoryNotes) -> bool:
        """End the access of a person whom Slack doesn't call a member; True if it did. Raises NotKnown, StoreError."""
        try:
            self._directory.person(person, notes)
        except NotKnown:
            raise
        except NotAllowed as refusal:
            if UNKNOWN in refusal.reasons:
                # A token of another workspace knows nobody: that is no reason to end the access of everybody.
                _LOG.error("%s has access, and Slack doesn't know this account; revoke it if they left", person)
                return False
            # The devices first, so that none of them asks for more.
            devices = self._devices.end_departed(person)
            ends = self._grants.end_departed(person)
            self._on_ended()
            for device, problem in devices.failed:
                _LOG.error("%s left, and their device %s has not ended: %s", person, device, problem)
            for failure in ends.failed:
                _LOG.error("%s left, and the access by %s has not ended: %s", person, failure.source, failure.problem)
            return True
        return False

    def _next_people(self) -> list[UserId]:
        """Those to ask about now: the rest of the page that was read last, or of the next one."""
        if not self._to_check:
            self._read_more(self._clock.now())
        return [self._to_check.popleft() for _ in range(min(MAX_ASKED, len(self._to_check)))]

    def _read_more(self, now: datetime) -> None:
        if self._cursor is None and not self._is_reading_devices:
            if self._round_began_at is not None and now < self._round_began_at + MIN_ROUND:
                return
            self._round_began_at, self._checked = now, set()
        # Those who have access, then those who have only a device.
        read = self._stores.devices.list_active if self._is_reading_devices else self._stores.access.list_live
        page = read(limit=PER_PAGE, cursor=self._cursor)
        self._cursor = page.cursor
        if page.cursor is None:
            self._is_reading_devices = not self._is_reading_devices
        people = dict.fromkeys(each.person for each in page.items)
        self._to_check.extend(each for each in people if each not in self._checked)
        self._checked |= people.keys()
