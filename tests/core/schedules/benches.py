"""Every source of schedules on a strict fake of its service, for one contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from core.schedules.ical import FEED, IcalSource
from core.schedules.ical_process import CalendarFormat, read_here
from core.schedules.incident_io import NAME as INCIDENT_IO
from core.schedules.incident_io import IncidentIoSource
from core.schedules.pagerduty import NAME as PAGERDUTY
from core.schedules.pagerduty import PagerDutySource
from core.schedules.pagerduty_login import KeyLogin
from core.schedules.web import ScheduleWeb
from tests.harness import incident_io_schedules, pagerduty_schedules
from tests.harness.calendar_feed import SECRET_PATH, FakeFeed
from tests.harness.clock import FrozenClock
from tests.harness.incident_io_schedules import FakeIncidentIo
from tests.harness.pagerduty_schedules import FakePagerDuty
from tests.harness.schedule_server import RosterPerson, ServedAnswer

if TYPE_CHECKING:
    import pytest

    from core.schedules.base import ScheduleSource

KEY_VARIABLE: Final = "SCHEDULE_KEY"
SOURCES: Final = ("pagerduty", "incident_io", "ical")
SAM: Final = pagerduty_schedules.SOMEBODY
JO: Final = RosterPerson("PJO", "Jo Example", "jo@example.com")


@dataclass
class SourceBench:
    """A source and what it asks."""

    source: ScheduleSource
    fake: FakePagerDuty | FakeIncidentIo | FakeFeed

    def add(self, person: RosterPerson, start: datetime, end: datetime) -> None:
        self.fake.add(person, start, end)

    def fail(self, *faults: ServedAnswer) -> None:
        """The next calls go wrong."""
        self.fake.faults.extend(faults)

    def remove_schedule(self) -> None:
        """There is no such schedule any more."""
        if isinstance(self.fake, FakePagerDuty):
            self.fake.schedules.clear()
        else:
            self.fake.exists = False


@contextmanager
def open_bench(
    name: str, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, step_seconds: float = 5.0
) -> Iterator[SourceBench]:
    """The source, as `core/schedules/opening.py` would open it, but for the addresses."""
    if name == "pagerduty":
        monkeypatch.setenv(KEY_VARIABLE, pagerduty_schedules.KEY)
        with FakePagerDuty() as pagerduty:
            web = ScheduleWeb(PAGERDUTY, step_seconds=step_seconds)
            login = KeyLogin(f"env:{KEY_VARIABLE}")
            yield SourceBench(PagerDutySource(pagerduty_schedules.SCHEDULE, 1, pagerduty.url, login, web), pagerduty)
    elif name == "incident_io":
        monkeypatch.setenv(KEY_VARIABLE, incident_io_schedules.KEY)
        with FakeIncidentIo() as incident_io:
            web = ScheduleWeb(INCIDENT_IO, step_seconds=step_seconds)
            key = f"env:{KEY_VARIABLE}"
            source = IncidentIoSource(incident_io_schedules.SCHEDULE, key, incident_io.url, web)
            yield SourceBench(source, incident_io)
    else:
        with FakeFeed() as feed:
            monkeypatch.setenv(KEY_VARIABLE, f"{feed.url}{SECRET_PATH}")
            web = ScheduleWeb(FEED, step_seconds=step_seconds)
            wanted = CalendarFormat(name_from="attendee")
            url = f"env:{KEY_VARIABLE}"
            yield SourceBench(IcalSource(url, url, wanted, web, clock, read_here), feed)
