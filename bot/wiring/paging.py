"""Builds what pages people: the sink that every entry point has, and the watch for acknowledgements.

Invariant: building starts nothing and calls nothing. Without a pager in the policy, none of it reads or calls.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bot.background.pages import PageWatch
from bot.lifecycle import Component
from bot.notifications.card_links import CardLinks
from bot.notifications.page_plan import FindName
from bot.notifications.pager_sink import PagerSink
from bot.observability.page_metrics import PageMetrics
from bot.slack.installation import find_installation
from bot.wiring.ports import Ports
from core.errors import CountersignError
from core.pagers.opening import Pagers
from core.pagers.pages import Pages


@dataclass(frozen=True, slots=True)
class Paging:
    """What one process pages with."""

    ports: Ports
    pagers: Pagers
    pages: Pages
    sink: PagerSink
    metrics: PageMetrics | None

    def build_watch(self, nudge: Callable[[], None]) -> PageWatch:
        """What reads who acknowledged a page. `nudge` is called when something is to be delivered."""
        ports = self.ports
        return PageWatch(ports.stores, ports.policy, ports.clock, self.pagers, self.pages, nudge, self.metrics)

    def components(self, watch: PageWatch) -> list[Component]:
        """What is started and stopped with an instance."""
        return [
            Component("the pager", stop=self.pagers.close),
            Component("the watch for acknowledgements", watch.start, watch.stop),
        ]


def find_workspace(ports: Ports) -> str | None:
    """The workspace's address, for links in pages; None without a pager, or while Slack doesn't say."""
    if ports.policy.current().notifications.pager is None:
        return None
    with suppress(CountersignError):
        return (ports.installation or find_installation(ports.client)).url
    return None


def build_paging(
    ports: Ports,
    workspace_url: str | None = None,
    find_name: FindName = lambda _person: None,
    metrics: PageMetrics | None = None,
) -> Paging:
    """What pages people, between the ports. Without a workspace's address, a page has no link to its card."""
    pagers, pages = Pagers(ports.pagers), Pages(ports.stores.break_glass)
    links = CardLinks(ports.stores.messages, workspace_url)
    sink = PagerSink(
        ports.stores, ports.policy, ports.clock, pagers, pages,
        find_link=links.find, find_name=find_name, observer=metrics,
    )  # fmt: skip
    return Paging(ports, pagers, pages, sink, metrics)
