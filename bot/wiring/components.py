"""Parts of an instance, each as the components that its lifecycle starts and stops.

Invariant: building them starts nothing.
"""

from __future__ import annotations

from bot.background.pages import PageWatch
from bot.lifecycle import Component
from bot.observability.clock_check import ComparedClock
from bot.settings.addresses import Address
from bot.slack.clock_watch import ClockWatch
from bot.slack.token_check import BotTokenCheck
from bot.transport.health_pages import HealthPages, HealthServer
from bot.transport.readiness import Readiness
from bot.wiring.paging import Paging
from bot.wiring.ports import Ports
from core.schedules.roster import ScheduleRoster


def on_call_components(paging: Paging, watch: PageWatch, roster: ScheduleRoster) -> list[Component]:
    """The schedules, and what pages people."""
    return [Component("the schedules", roster.start, roster.close), *paging.components(watch)]


def check_components(token_check: BotTokenCheck, readiness: Readiness) -> list[Component]:
    """The checks of the token and of readiness, which are stopped first."""
    return [Component("the token check", stop=token_check.close), Component("readiness", stop=readiness.stop)]


def page_components(pages: HealthPages, address: Address | None) -> list[Component]:
    """The pages of health and metrics, on an address of their own if there is one."""
    components = [Component("the health pages", stop=pages.close)]
    if address is not None:
        server = HealthServer(pages, address)
        components.append(Component("the health server", server.start, server.stop))
    return components


def clock_components(ports: Ports) -> list[Component]:
    """The watch of a clock that is compared with Slack's."""
    if not isinstance(ports.clock, ComparedClock):
        return []
    watch = ClockWatch(ports.client, ports.clock)
    return [Component("the clock watch", watch.start, watch.stop)]
