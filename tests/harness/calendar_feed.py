"""A calendar feed: events as RFC 5545 writes them, and a server that hands them out under a secret address."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from tests.harness.schedule_server import RosterPerson, ScheduleServer, ServedAnswer, ServedCall

SECRET_PATH: Final = "/private/0123456789abcdef/primary.ics"
_TIME: Final = "%Y%m%dT%H%M%SZ"


def event(uid: str, *lines: str) -> str:
    """An event with these lines of its own."""
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT", ""])


def calendar(events: Iterable[str], *lines: str) -> bytes:
    """A calendar of these events, with these lines of its own."""
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", *lines, ""]
    return ("\r\n".join(head) + "".join(events) + "END:VCALENDAR\r\n").encode()


def times(start: datetime, end: datetime) -> tuple[str, str]:
    """When an event is, in UTC."""
    return f"DTSTART:{start.astimezone(UTC):{_TIME}}", f"DTEND:{end.astimezone(UTC):{_TIME}}"


def attendee(person: RosterPerson) -> str:
    """A person as an attendee: with a name, and an address if they have one."""
    address = f"mailto:{person.email}" if person.email else "urn:uuid:8ad1b2c4-0000-4000-8000-000000000000"
    return f'ATTENDEE;CN="{person.name}";PARTSTAT=ACCEPTED:{address}'


class FakeFeed(ScheduleServer):
    """A feed. Each shift is a series of one event, so that an override has something to replace."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.exists = True
        self.says = "etag"
        """By what it knows that a feed is the same: etag, last-modified, or nothing."""
        self.unchanged = 0
        self._shifts: dict[datetime, str] = {}

    def add(self, person: RosterPerson, start: datetime, end: datetime) -> None:
        """A shift, for one day only."""
        uid = f"{len(self.events)}@example.com"
        self._shifts[start] = uid
        lines = f"SUMMARY:{person.name}", attendee(person), "RRULE:FREQ=DAILY;COUNT=1"
        self.events.append(event(uid, *times(start, end), *lines))

    def override(self, person: RosterPerson, start: datetime, end: datetime) -> None:
        """An event with the same UID and a RECURRENCE-ID replaces that one of the series."""
        replaced = f"RECURRENCE-ID:{start.astimezone(UTC):{_TIME}}"
        lines = *times(start, end), replaced, f"SUMMARY:{person.name}", attendee(person)
        self.events.append(event(self._shifts[start], *lines))

    def answer(self, call: ServedCall) -> ServedAnswer:
        if call.path != SECRET_PATH or not self.exists:
            return ServedAnswer(404)
        body = calendar(self.events, "X-WR-CALNAME:Primary")
        known = {"etag": f'"{sha256(body).hexdigest()[:16]}"', "last-modified": "Thu, 15 Jan 2026 08:00:00 GMT"}
        said = {name: value for name, value in known.items() if name == self.says}
        asked = call.headers.get("if-none-match"), call.headers.get("if-modified-since")
        if said and set(said.values()) & set(asked):
            self.unchanged += 1
            return ServedAnswer(304)
        return ServedAnswer(200, body, {"content-type": "text/calendar", **said})
