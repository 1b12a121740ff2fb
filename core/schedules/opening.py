"""Opens the schedules of the policy: from how one is configured to a source that can be asked.

Invariant: nothing is asked and no secret is read before the source is used, so that a variable that isn't set stops
nothing but the schedule that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from core.policy.on_call_config import DemoScheduleConfig, OnCallConfig
from core.schedules.base import ScheduleRefused, ScheduleSource

ScheduleOpener = Callable[[str, OnCallConfig], ScheduleSource]
"""Opens the schedule with this name in the policy."""
_NO_MORE: Final[Mapping[str, ScheduleOpener]] = MappingProxyType({})


def open_source(name: str, config: OnCallConfig, more: Mapping[str, ScheduleOpener] = _NO_MORE) -> ScheduleSource:
    """The source of the schedule that the policy calls `name`. `more` opens kinds that need more, by their names.

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
    raise NotImplementedError(name)
