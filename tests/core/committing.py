"""A process that commits until it is killed.

Invariant: what it acknowledges was returned by the store before, as a bot acknowledges a click.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from multiprocessing.connection import Connection
from typing import Final

from core.audit.trail import AuditAction
from core.record import Record
from core.stores import Stores, open_stores
from tests.builders import APPROVER, a_draft, a_profile, a_request, a_user, an_event
from tests.core.changes import NOW, close_event
from tests.harness.clock import FrozenClock

THREADS: Final = 2


class Reporter:
    """Acknowledges what was committed: the record's chain, and its status."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def acknowledge(self, record: Record) -> None:
        """Say that this is stored."""
        with self._lock:
            self._pipe.send((record.chain, str(record.state)))


def commit_until_killed(path: str, pipe: Connection) -> None:
    """Make requests and approve them, break the glass and close it, in two threads, for ever."""
    reporter = Reporter(pipe)
    with closing(open_stores(f"sqlite:///{path}", clock=FrozenClock(NOW))) as stores, ThreadPoolExecutor() as threads:
        wait([threads.submit(_commit, stores, reporter) for _ in range(THREADS)], return_when=FIRST_COMPLETED)
        # A commit failed, which the test sees as the end of the pipe.
        os._exit(1)


def _commit(stores: Stores, reporter: Reporter) -> None:
    while True:
        request = stores.requests.create(a_request(now=NOW), a_draft())
        reporter.acknowledge(request)
        draft = a_draft(AuditAction.REQUEST_APPROVED, actor=APPROVER, outcome="approved")
        reporter.acknowledge(stores.requests.update(request.approve(APPROVER, NOW), draft))
        event = an_event(invoker=a_user(), profile=a_profile(), now=NOW)
        ledgers = [ledger.add(event) for ledger in stores.break_glass.get_ledgers(event.invoker, event.profile)]
        event = stores.break_glass.create(event, a_draft(AuditAction.BREAK_GLASS_INVOKED, outcome="active"), ledgers)
        reporter.acknowledge(event)
        closing_draft = a_draft(AuditAction.BREAK_GLASS_CLOSED, actor=event.invoker, outcome="closed")
        reporter.acknowledge(close_event(stores, event, closing_draft))
