"""A calendar feed as a schedule: each event is a shift of the people that it names.

Invariant: the address may be a secret, so no error has more of it than its host. A feed is fetched up to a limit of
size, and read in a process of its own (`core/schedules/ical_process.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from threading import Lock
from typing import Final

from core.clock import Clock
from core.schedules.base import MAX_SOURCE_TEXT, ScheduleRefused, Shift, order_shifts
from core.schedules.ical_process import CalendarFormat, CalendarReport, CalendarTask, check_libraries, read_apart
from core.schedules.web import ScheduleWeb, WebAnswer, read_address
from core.targets.words import one_line

MAX_FEED_BYTES: Final = 5 * 1024 * 1024
BEFORE: Final = timedelta(days=1)
AHEAD: Final = timedelta(days=7)
"""How much more than was asked for is read at once, so that a feed that doesn't change is read once a week."""
FEED: Final = "the calendar feed"
_VALIDATORS: Final = (("etag", "if-none-match"), ("last-modified", "if-modified-since"))
_MAX_VALIDATOR: Final = 200
_WEBCAL: Final = "webcal://"
_STAMP: Final = re.compile(rb"^DTSTAMP[^\r\n]*", re.MULTILINE)
"""When the feed was made. Some calendars write a new one at each call."""


CalendarReader = Callable[[CalendarTask, bytes], CalendarReport]


@dataclass(frozen=True, slots=True)
class _FetchedFeed:
    """A feed as it was fetched. `digest` doesn't depend on when that was."""

    address: str
    body: bytes
    digest: bytes
    conditions: Mapping[str, str]
    """What to send, so that the same feed isn't sent again."""


@dataclass(frozen=True, slots=True)
class _ReadFeed:
    """What a feed says for some time."""

    digest: bytes
    since: datetime
    until: datetime
    report: CalendarReport

    def has(self, digest: bytes, since: datetime, until: datetime) -> bool:
        """Whether this is what such a feed says for that time."""
        return self.digest == digest and self.since <= since and until <= self.until


class IcalSource:
    """A `core.schedules.base.ScheduleSource`. Safe for threads."""

    kind: Final = "ical"

    def __init__(
        self,
        schedule: str,
        url: str,
        wanted: CalendarFormat,
        web: ScheduleWeb,
        clock: Clock,
        read: CalendarReader = read_apart,
    ) -> None:
        self.schedule: Final = schedule
        self._url = url
        self._wanted = wanted
        self._web = web
        self._clock = clock
        self._read_feed = read
        self._lock = Lock()
        self._fetched: _FetchedFeed | None = None
        self._read: _ReadFeed | None = None

    def find_shifts(self, since: datetime, until: datetime) -> tuple[Shift, ...]:
        """Every shift that overlaps [since, until), the earliest first."""
        return order_shifts(set(self._report(since, until).shifts), since, until)

    def check(self) -> str:
        """The calendar's own name, or what the schedule is called here."""
        now = self._clock.now()
        return one_line(self._report(now, now + AHEAD).title, MAX_SOURCE_TEXT) or self.schedule

    def close(self) -> None:
        """Forget the feed."""
        with self._lock:
            self._fetched = self._read = None

    def _report(self, since: datetime, until: datetime) -> CalendarReport:
        """What the feed says now. One thread reads it at a time; the next one finds what that read."""
        check_libraries()
        with self._lock:
            feed = self._fetch()
            known = self._read
            if known is None or not known.has(feed.digest, since, until):
                task = CalendarTask(since=since - BEFORE, until=until + AHEAD, format=self._wanted)
                known = self._read = _ReadFeed(feed.digest, task.since, task.until, self._read_feed(task, feed.body))
            return known.report

    def _fetch(self) -> _FetchedFeed:
        address = read_address(self._url, FEED)
        if address[: len(_WEBCAL)].lower() == _WEBCAL:
            fix = "Write the same address with https:// instead of webcal://."
            raise ScheduleRefused("The calendar feed's address begins with webcal://", fix)
        known = self._fetched if self._fetched is not None and self._fetched.address == address else None
        headers = {"accept": "text/calendar, */*;q=0.1", **(known.conditions if known else {})}
        answer = self._web.call(address, headers, max_bytes=MAX_FEED_BYTES)
        if known is not None and answer.status == HTTPStatus.NOT_MODIFIED:
            return known
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer.status)
        digest = sha256(_STAMP.sub(b"", answer.body)).digest()
        self._fetched = _FetchedFeed(address, answer.body, digest, _conditions(answer))
        return self._fetched


def _conditions(answer: WebAnswer) -> Mapping[str, str]:
    found = {asked: answer.headers.get(said, "") for said, asked in _VALIDATORS}
    return {
        name: text
        for name, text in found.items()
        if text and text.isascii() and text.isprintable() and len(text) <= _MAX_VALIDATOR
    }


def _refusal(status: int) -> ScheduleRefused:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        fix = "Use the secret address of the feed, which needs no login, and keep it in a variable: url: env:NAME."
        return ScheduleRefused(f"The calendar feed refused with {status}", fix)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        fix = "Copy the feed's address anew: it may have been reset, or the calendar deleted."
        return ScheduleRefused("There is no calendar feed at this address", fix)
    return ScheduleRefused(f"The calendar feed refused with {status}", "Check its address.")
