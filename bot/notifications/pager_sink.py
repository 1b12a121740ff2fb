"""The pager sink: pages people for what needs them now, and takes the page back when it is done.

Invariant: a page is noted in the store before it is sent, so whatever happens, the end of its record takes it back,
where it was sent. A page is known by its record's id: sent again after a lost answer, it pages once. A policy without a
pager costs no read; an entry that neither pages nor ends a page costs none either. A pager that hangs holds up few
deliveries.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from bot.notifications.page_plan import FindName, PagePlanner, PageSubject, ends_page, may_page
from core.access.grant import Grant, GrantId
from core.access.session import Session, SessionId
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent, EventId
from core.clock import Clock
from core.errors import DeliveryFailed, NotFound, StoreError
from core.pagers.base import Pager
from core.pagers.gate import PagerGate
from core.pagers.opening import Pagers
from core.pagers.page_ledger import PageLedger
from core.pagers.pages import Pages
from core.policy import PolicySource
from core.policy.pager_config import PagerConfig, read_pager_address
from core.request import Request, RequestId
from core.stores.base import Stores

NAME: Final = "pager"
TRIGGER: Final = "trigger"
RESOLVE: Final = "resolve"
SENT: Final = "sent"
FAILED: Final = "failed"
REFUSED: Final = "refused"
_log = logging.getLogger("countersign.pager")


class PageObserver(Protocol):
    """Counts pages."""

    def called(self, action: str, outcome: str) -> None:
        """The pager was called: `trigger` or `resolve`, with what came of it."""
        ...


def _no_name(_person: str) -> str | None:
    return None


class PagerSink:
    """Delivers to the pager of the policy in force. Safe for threads and for any number of instances.

    `find_link` gives the address of a record's card, `find_name` what people call somebody; neither waits.
    """

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        pagers: Pagers,
        pages: Pages,
        *,
        find_link: Callable[[str], str | None] = _no_name,
        find_name: FindName = _no_name,
        observer: PageObserver | None = None,
        gate: PagerGate | None = None,
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._pagers = pagers
        self._pages = pages
        self._find_link = find_link
        self._planner = PagePlanner(find_name)
        self._observer = observer
        self._gate = gate or PagerGate()

    @property
    def name(self) -> str:
        """The sink's name."""
        return NAME

    def deliver(self, entry: AuditEntry) -> None:
        """Page people, or take a page back, if that is what the entry means. Raises DeliveryFailed."""
        config = self._policy.current().notifications.pager
        try:
            if entry.event is AuditAction.PAGE_DUE:
                self._trigger_due(entry, config)
            elif ends_page(entry.chain, entry.event):
                self._resolve(entry, config)
            elif config is not None and may_page(entry.chain, entry.event):
                self._trigger(entry, config)
        except NotFound:
            # Deleted after its retention: nobody has to do anything about it.
            return
        except StoreError as error:
            raise DeliveryFailed(f"{entry.chain}: {error}") from error

    def _trigger_due(self, entry: AuditEntry, config: PagerConfig | None) -> None:
        """Page for a record whose own chain this entry isn't in, so that its end may be delivered at the same time."""
        if config is None or entry.record is None:
            return
        about = entry.model_copy(update={"chain": entry.record})
        self._trigger(about, config)
        policy, now = self._policy.current(), self._clock.now()
        if self._planner.plan(self._load(about.chain), about.event, policy, now) is None:
            self._resolve(about, config)

    def _trigger(self, entry: AuditEntry, config: PagerConfig) -> None:
        record, now = self._load(entry.chain), self._clock.now()
        page = self._planner.plan(record, entry.event, self._policy.current(), now)
        if page is None:
            return
        pager, address = self._open(TRIGGER, entry, config), config.address
        if (before := self._pages.get(entry.chain)).is_elsewhere(address):
            self._take_back(entry, before, config)
        self._pages.change(entry.chain, lambda found: found.page(pager.name, now, address))
        shown_on = record.source if isinstance(record, Grant | Session) else entry.chain
        linked = replace(page, link=self._find_link(shown_on))
        try:
            self._gate.call(lambda: self._call(TRIGGER, entry, lambda: pager.trigger(linked)))
        except DeliveryFailed as failure:
            if failure.is_final:
                # Nobody was paged, so there is nothing to take back.
                self._pages.change(entry.chain, lambda found: found.resolve(now))
            raise

    def _resolve(self, entry: AuditEntry, config: PagerConfig | None) -> None:
        if config is None and entry.chain not in self._pages.opened_here:
            return
        page = self._pages.find(entry.chain)
        if page is not None and not page.is_open:
            return
        self._take_back(entry, page, config)
        now = self._clock.now()
        self._pages.change(entry.chain, lambda found: found.resolve(now))

    def _take_back(self, entry: AuditEntry, page: PageLedger | None, config: PagerConfig | None) -> None:
        """Resolve a page where it was sent. One that can't be read may have been sent: the pager drops what wasn't."""
        sent_to = (read_pager_address(page.sent_to) if page is not None else None) or config
        if sent_to is None:
            return
        try:
            pager = self._open(RESOLVE, entry, sent_to)
        except DeliveryFailed:
            if config is not None and config.address == sent_to.address:
                raise
            # The policy has another pager by now, and the keys of this one are gone.
            name = page.pager if page is not None else None
            _log.warning("%s: its page stays open in %s: resolve it there", entry.chain, name or "the earlier pager")
            return
        key = entry.chain.partition("#")[2]
        self._gate.call(lambda: self._call(RESOLVE, entry, lambda: pager.resolve(key)))

    def _open(self, action: str, entry: AuditEntry, config: PagerConfig) -> Pager:
        try:
            return self._pagers.get(config)
        except DeliveryFailed as failure:
            self._fail(action, entry, failure)
            raise

    def _call(self, action: str, entry: AuditEntry, call: Callable[[], None]) -> None:
        try:
            call()
        except DeliveryFailed as failure:
            self._fail(action, entry, failure)
            raise
        self._count(action, SENT)
        _log.info("%s: the pager took the %s", entry.chain, action)

    def _fail(self, action: str, entry: AuditEntry, failure: DeliveryFailed) -> None:
        self._count(action, REFUSED if failure.is_final else FAILED)
        _log.warning("%s: the %s was not taken: %s", entry.chain, action, failure.problem)

    def _count(self, action: str, outcome: str) -> None:
        if self._observer is not None:
            self._observer.called(action, outcome)

    def _load(self, chain: str) -> PageSubject:
        kind, _, record_id = chain.partition("#")
        match kind:
            case Request.KIND:
                return self._stores.requests.get(RequestId(record_id))
            case BreakGlassEvent.KIND:
                return self._stores.break_glass.get(EventId(record_id))
            case Grant.KIND:
                return self._stores.access.get(GrantId(record_id))
            case _:
                return self._stores.sessions.get(SessionId(record_id))
