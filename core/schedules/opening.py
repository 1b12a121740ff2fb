"""Opens the schedules of the policy: from how one is configured to a source that can be asked.

Invariant: nothing is asked and no secret is read before the source is used, so that a variable that isn't set stops
nothing but the schedule that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from core.clock import Clock, SystemClock
from core.policy.on_call_config import (
    DemoScheduleConfig,
    IcalConfig,
    IncidentIoConfig,
    OnCallConfig,
    PagerDutyConfig,
)
from core.schedules.base import ScheduleRefused, ScheduleSource
from core.schedules.ical import FEED, IcalSource
from core.schedules.ical_process import CalendarFormat
from core.schedules.incident_io import HOST, IncidentIoSource
from core.schedules.incident_io import NAME as INCIDENT_IO_NAME
from core.schedules.pagerduty import HOSTS, PagerDutySource
from core.schedules.pagerduty import NAME as PAGERDUTY_NAME
from core.schedules.pagerduty_login import KeyLogin, OauthLogin, PagerDutyLogin
from core.schedules.web import ScheduleWeb

ScheduleOpener = Callable[[str, OnCallConfig], ScheduleSource]
"""Opens the schedule with this name in the policy."""
_NO_MORE: Final[Mapping[str, ScheduleOpener]] = MappingProxyType({})


def open_source(
    name: str, config: OnCallConfig, more: Mapping[str, ScheduleOpener] = _NO_MORE, clock: Clock | None = None
) -> ScheduleSource:
    """The source of the schedule that the policy calls `name`. `more` opens kinds that need more, by their names.

    The clock only says for which time a calendar is checked.

    Raises ScheduleRefused for a kind that only `more` could open.
    """
    opener = more.get(config.kind)
    if opener is not None:
        return opener(name, config)
    source = config.source
    match source:
        case DemoScheduleConfig():
            raise ScheduleRefused(
                "demo is only for the playground", "Use pagerduty, incident_io or ical in the policy."
            )
        case PagerDutyConfig():
            web = ScheduleWeb(PAGERDUTY_NAME)
            url = source.url or HOSTS[source.region]
            return PagerDutySource(source.schedule, source.level, url, _login(source, web), web)
        case IncidentIoConfig():
            return IncidentIoSource(source.schedule, source.key, source.url or HOST, ScheduleWeb(INCIDENT_IO_NAME))
        case IcalConfig():
            wanted = CalendarFormat(
                name_from=source.name_from, name_format=source.name_format, timezone=source.timezone
            )
            return IcalSource(config.schedule, source.url, wanted, ScheduleWeb(FEED), clock or SystemClock())


def _login(config: PagerDutyConfig, web: ScheduleWeb) -> PagerDutyLogin:
    if config.oauth is None:
        return KeyLogin(config.key or "")
    scope = f"as_account-{config.region}.{config.oauth.account}"
    return OauthLogin(scope, config.oauth.client_id, config.oauth.client_secret, web)
