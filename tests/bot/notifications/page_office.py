"""An office that pages through a PagerDuty, with the services, the sink and the watch for acknowledgements.

Invariant: services, stores, outbox, sink and HTTP are the real ones; only PagerDuty is a fake, and a strict one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from bot.background.pages import PageWatch
from bot.notifications.pager_sink import PagerSink
from core.actor import UserId
from core.audit.trail import AuditAction
from core.directory import FixedDirectory
from core.outbox.outbox import deliver_due
from core.pagers.gate import PagerGate
from core.pagers.opening import Pagers
from core.pagers.pagerduty import PagerDuty
from core.pagers.pages import Pages
from core.request import RequestId
from core.services import BreakGlassService, RequestService
from tests.core.services.harness import ANN, BOB, DEPLOY, INCIDENT, OUTAGE, RITA, ChangingPolicy
from tests.harness.pagers import REST_KEY, ROUTING_KEY, FakePagerDuty

if TYPE_CHECKING:
    from core.actor import Actor
    from core.break_glass import BreakGlassEvent
    from core.outbox.outbox import DeliveryCounts, Sink
    from core.pagers.base import Pager
    from core.request import Request
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

HOUR: Final = timedelta(hours=1)
PAGER: Final = "pager: {pagerduty: {routing_key: env:PAGER_KEY, key: env:PAGER_REST}%s}\n"
WITH_PAGER: Final = {
    "\nversion: 1\n": f"\nversion: 1\n{PAGER % ''}",
    "    remind_after: 3h\n": "    remind_after: 3h\n    page: true\n",
    "    auto_approve: {requesters": "    page: true\n    auto_approve: {requesters",
}
NAMES: Final = {RITA.id: "Rita Example"}


@dataclass
class CountedPages:
    """An observer."""

    counts: list[tuple[str, str]] = field(default_factory=list)

    def called(self, action: str, outcome: str) -> None:
        self.counts.append((action, outcome))


class PageOffice:
    """One instance that pages."""

    def __init__(self, duty: FakePagerDuty, stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> None:
        policy.edit(WITH_PAGER)
        self.duty, self.stores, self.policy, self.clock = duty, stores, policy, clock
        directory = FixedDirectory()
        self.requests = RequestService(stores, policy, clock, directory=directory)
        self.events = BreakGlassService(stores, policy, clock, directory=directory)
        self.observer = CountedPages()
        self.pages = Pages(stores.break_glass)
        self.use(Pagers({"pagerduty": lambda _: self.open_pager()}))

    def use(self, pagers: Pagers, gate: PagerGate | None = None) -> None:
        """Page with these."""
        self.pagers = pagers
        self.sink = PagerSink(
            self.stores, self.policy, self.clock, pagers, self.pages,
            find_link=lambda chain: f"https://example.slack.com/archives/C0ACCESS1/{chain[-16:]}",
            find_name=lambda person: NAMES.get(UserId(person)), observer=self.observer, gate=gate,
        )  # fmt: skip
        self.watch = PageWatch(self.stores, self.policy, self.clock, pagers, self.pages)

    def open_pager(self) -> Pager:
        """The real pager, at the fake's address."""
        keys = SecretStr(ROUTING_KEY), SecretStr(REST_KEY)
        return PagerDuty(*keys, events_url=self.duty.url, rest_url=self.duty.url, call_seconds=2)

    def open_watch(self) -> PageWatch:
        """One more watch, as another instance has it."""
        return PageWatch(self.stores, self.policy, self.clock, self.pagers, Pages(self.stores.break_glass))

    def submit(self, profile: str = "prod", who: Actor = RITA) -> Request:
        """Somebody asks, and a second passes."""
        return self._later(self.requests.submit(who, profile, HOUR, DEPLOY))

    def deny(self, request: Request) -> Request:
        """Somebody denies, and a second passes."""
        return self._later(self.requests.deny(RequestId(request.id), BOB, "not today"))

    def declare(self) -> BreakGlassEvent:
        """Somebody breaks the glass, and a second passes."""
        event = self.events.invoke(ANN, "prod", INCIDENT, OUTAGE, duration=HOUR)
        self.clock.advance(timedelta(seconds=1))
        return event

    def deliver(self, *more: Sink) -> DeliveryCounts:
        """One round of the outbox, a second later."""
        self.clock.advance(timedelta(seconds=1))
        return deliver_due(self.stores.outbox, [self.sink, *more], self.clock, threads=2)

    def summaries(self) -> list[str]:
        """What people are paged for now."""
        return [each.summary for each in self.duty.open()]

    def acknowledged(self) -> list[str]:
        """The records whose acknowledgement is in the trail."""
        entries = self.stores.audit.get_chain("PAGES")
        assert all(each.event is AuditAction.PAGE_ACKNOWLEDGED for each in entries)
        return [str(each.record) for each in entries]

    def _later(self, request: Request) -> Request:
        self.clock.advance(timedelta(seconds=1))
        return request
