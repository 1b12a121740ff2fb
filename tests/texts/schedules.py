"""What sources of schedules say to operators, in `policy check`, in `doctor` and in the log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from unittest.mock import patch

from pydantic import ValidationError

from core.policy.on_call_config import OnCallConfig
from core.schedules.base import ScheduleRefused, ScheduleSource, ScheduleUnavailable
from core.schedules.ical import FEED, IcalSource
from core.schedules.ical_process import CalendarFormat, read_here
from core.schedules.opening import open_source
from core.schedules.web import ScheduleWeb
from tests.core.policy.test_on_call_config import MISTAKES
from tests.core.schedules.test_calendar import NO_CALENDARS, NO_ZONES
from tests.harness import incident_io_schedules, pagerduty_schedules
from tests.harness.calendar_feed import SECRET_PATH, FakeFeed, calendar, event
from tests.harness.clock import FrozenClock
from tests.harness.incident_io_schedules import FakeIncidentIo
from tests.harness.pagerduty_schedules import FakePagerDuty
from tests.harness.schedule_server import ServedAnswer
from tests.texts.writing import Text

_T0: Final = datetime(2026, 1, 15, 8, tzinfo=UTC)
_STATUSES: Final = (302, 400, 401, 403, 404, 429, 503)


def schedules() -> Iterator[Text]:
    """All of them."""
    keys = {"PAGERDUTY_KEY": pagerduty_schedules.KEY, "INCIDENT_IO_KEY": incident_io_schedules.KEY, "A_KEY": "a key"}
    with patch.dict(os.environ, keys):
        yield Text("Policy: where schedules come from", "all", _lines(_mistakes()))
        yield Text("On call: PagerDuty", "all", _lines(_pagerduty()))
        yield Text("On call: incident.io", "all", _lines(_incident_io()))
        yield Text("On call: calendar feeds", "all", _lines(_feeds()))


def _lines(found: Iterator[str]) -> str:
    return "\n".join(dict.fromkeys(found))


def _mistakes() -> Iterator[str]:
    for stated, _ in MISTAKES:
        try:
            OnCallConfig.model_validate(stated)
        except ValidationError as error:
            yield from (f"{each['msg']}. {each.get('ctx', {}).get('fix', '')}".strip() for each in error.errors())


def _said(act: Callable[[], object]) -> str:
    try:
        return f"({act()})"
    except (ScheduleRefused, ScheduleUnavailable) as error:
        return str(error)


def _asked(source: ScheduleSource) -> str:
    return _said(lambda: source.find_shifts(_T0, _T0 + timedelta(hours=1)))


def _open(kind: str, **stated: object) -> ScheduleSource:
    return open_source("primary", OnCallConfig.model_validate({kind: stated}))


def _pagerduty() -> Iterator[str]:
    with FakePagerDuty() as fake:
        stated = {"schedule": "PABC123", "url": fake.url}
        source = _open("pagerduty", **stated, key="env:PAGERDUTY_KEY")
        for status in _STATUSES:
            fake.faults.append(ServedAnswer(status))
            yield _asked(source)
        fake.faults.append(ServedAnswer(200, b"{}"))
        yield _asked(source)
        yield _asked(_open("pagerduty", **stated, key="env:NOT_SET"))
        yield _asked(_open("pagerduty", **stated, key="env:A_KEY"))
        fake.policies = {"P1": ((2, "PABC123"),)}
        fake.schedules["PABC123"] = []
        fake.add(pagerduty_schedules.SOMEBODY, None, None)
        yield _asked(source)
        fake.policies = {}
        yield _said(source.check)
        fake.schedules.clear()
        yield _said(source.check)


def _incident_io() -> Iterator[str]:
    with FakeIncidentIo() as fake:
        source = _open("incident_io", schedule=incident_io_schedules.SCHEDULE, key="env:INCIDENT_IO_KEY", url=fake.url)
        for status in _STATUSES:
            fake.faults.append(ServedAnswer(status))
            yield _asked(source)
        fake.faults.append(ServedAnswer(200, b"{}"))
        yield _asked(source)


def _feeds() -> Iterator[str]:
    with FakeFeed() as fake:
        url, web = f"{fake.url}{SECRET_PATH}", ScheduleWeb(FEED)
        source = IcalSource("night", url, CalendarFormat(), web, FrozenClock(), read_here)
        for status in (*_STATUSES, 410):
            fake.faults.append(ServedAnswer(status))
            yield _asked(source)
        zones = [calendar([event("1", *lines, "SUMMARY:Sam")], *own) for lines, own, _ in NO_ZONES]
        for body in (*(body for body, _ in NO_CALENDARS), *zones):
            fake.faults.append(ServedAnswer(200, body))
            yield _asked(source)
        webcal = IcalSource("night", "webcal://example.com/a", CalendarFormat(), web, FrozenClock(), read_here)
        yield _asked(webcal)
