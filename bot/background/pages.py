"""Reads who acknowledged a page at the pager, and writes it into the trail, from which the card gets it.

Invariant: the pager is only asked while pages are open, at a pace, and a bounded number of questions in one pass. An
acknowledgement is written once, however many instances ask; the first one of a page counts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Final

from bot.background.loops import Loop, Loops
from bot.notifications.page_news import WHEN, WHO
from bot.observability.page_metrics import PageMetrics
from core.actor import CLOCK
from core.audit.trail import PAGES, AuditAction, AuditEntry, EntryDraft, EntryId
from core.break_glass import AWAITS_REVIEW, EventStatus
from core.clock import Clock, format_time
from core.errors import DeliveryFailed
from core.pagers.base import PageAcknowledgement, Pager
from core.pagers.opening import Pagers
from core.pagers.pages import Pages
from core.policy import PolicySource
from core.request import RequestStatus
from core.stores.base import Stores
from core.stores.record_store import iterate_newest_first

POLL_SECONDS: Final = 15.0
MAX_QUESTIONS: Final = 40
"""In one pass. PagerDuty takes 960 questions a minute for all that use an account's keys."""
MAX_LOOKED_AT: Final = 200
"""How many records of each kind are looked at in one pass, the newest ones."""
MAX_WRITTEN: Final = 10_000
STOP_SECONDS: Final = 5.0
ACKNOWLEDGED: Final = "acknowledged"
PAUSE: Final = timedelta(seconds=30)
_log = logging.getLogger("countersign.pager")


class PageWatch:
    """Asks in the background until it is stopped, and when `poll` is called. Safe for threads.

    `nudge` is called when something was written.
    """

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        pagers: Pagers,
        pages: Pages,
        nudge: Callable[[], None] = lambda: None,
        metrics: PageMetrics | None = None,
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._pagers = pagers
        self._pages = pages
        self._nudge = nudge
        self._metrics = metrics
        self._written: set[str] = set()
        self._last_looked_at = ""
        self._paused_until: datetime | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._loops = Loops(self._stopping)

    def start(self) -> None:
        """Ask from now on."""
        self._loops.start([Loop("read acknowledgements", self.poll, POLL_SECONDS, self._stopping.wait)])

    def stop(self) -> bool:
        """Ask nothing more. A question that is open is given up; the next start asks it again."""
        self._stopping.set()
        return self._loops.join(time.monotonic() + STOP_SECONDS)

    def poll(self) -> tuple[AuditEntry, ...]:
        """Ask once about the open pages that nobody acknowledged yet; what was written. Raises StoreError."""
        with self._lock:
            return self._poll()

    def _poll(self) -> tuple[AuditEntry, ...]:
        config, now = self._policy.current().notifications.pager, self._clock.now()
        if config is None or self._is_paused(now):
            return ()
        try:
            pager = self._pagers.get(config)
            if not pager.reads_back:
                return ()
            asked = {record.partition("#")[2]: record for record in self._choose()}
            found = pager.find_acknowledged(list(asked)) if asked else {}
        except DeliveryFailed as failure:
            self._paused_until = now + (failure.retry_after or PAUSE)
            _log.warning("who acknowledged a page can't be read now: %s", failure.problem)
            return ()
        answers = ((asked[key], given) for key, given in found.items() if key in asked)
        written = tuple(filter(None, (self._write(record, given, pager) for record, given in answers)))
        if written:
            self._nudge()
        return written

    def _is_paused(self, now: datetime) -> bool:
        # A clock that was set back makes no long pause.
        return self._paused_until is not None and now < self._paused_until <= now + timedelta(hours=1)

    def _choose(self) -> list[str]:
        """The records to ask about now: those after the last one that was looked at, so that all have their turn."""
        candidates = sorted(set(self._candidates()))
        later = [each for each in candidates if each > self._last_looked_at]
        in_turn, chosen = [*later, *candidates[: len(candidates) - len(later)]], list[str]()
        for record in in_turn[:MAX_LOOKED_AT]:
            page = self._pages.get(record)
            self._last_looked_at = record
            if page.is_open and page.acknowledgement is None:
                chosen.append(record)
            if len(chosen) == MAX_QUESTIONS:
                break
        return chosen

    def _candidates(self) -> Iterator[str]:
        """The records whose page may be open. What is due is judged on the page itself."""
        rules, stores = self._policy.current().notifications, self._stores
        waiting = iterate_newest_first(stores.requests, "status", RequestStatus.PENDING, None)
        active = iterate_newest_first(stores.break_glass, "status", EventStatus.ACTIVE, None)
        unreviewed = iterate_newest_first(stores.break_glass, "awaits", AWAITS_REVIEW, None)
        yield from (each.chain for each in islice(waiting, MAX_LOOKED_AT) if rules.pages_request(each.rule))
        yield from (each.chain for each in islice(active, MAX_LOOKED_AT) if rules.pages_event(each.rule))
        yield from (each.chain for each in islice(unreviewed, MAX_LOOKED_AT) if each.reminded_at is not None)
        yield from self._pages.opened_here

    def _write(self, record: str, given: PageAcknowledgement, pager: Pager) -> AuditEntry | None:
        at = format_time(given.at)
        # Instances that read the same acknowledgement make the same id, so the trail takes it once.
        entry_id = sha256(f"page\0{record}\0{at}\0{given.by}".encode()).hexdigest()[:16]
        if entry_id in self._written:
            return None
        draft = EntryDraft(
            id=EntryId(entry_id),
            event=AuditAction.PAGE_ACKNOWLEDGED,
            actor=CLOCK,
            outcome=ACKNOWLEDGED,
            record=record,
            details={WHO: given.by, WHEN: at, "pager": pager.name},
        )
        entry = self._stores.audit.append(PAGES, draft)
        self._pages.change(record, lambda page: page.acknowledge(given))
        if len(self._written) >= MAX_WRITTEN:
            self._written.clear()
        self._written.add(entry_id)
        if self._metrics is not None:
            self._metrics.acknowledged()
        _log.info("%s: its page was acknowledged", record)
        return entry
