"""A process that reconciles on command, at a clock that its parent moves.

Invariant: it remembers nothing that is not in the store, so it can be killed at any moment.
"""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import SecretStr

from core.access.due_rights import DueRights
from core.access.reconciler import Reconciler
from core.clock import SystemClock, format_time, parse_time
from core.stores import open_stores
from core.targets.webhook import WebhookTarget
from tests.harness.target_receiver import SECRET


class FileClock:
    """A clock that several processes read, and one moves."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        return parse_time(self._path.read_text())

    def set(self, now: datetime) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(format_time(now))
        new.replace(self._path)


def reconcile_on_demand(path: str, clock_path: str, url: str, holder: str, pipe: Connection) -> None:
    """Visit what is due each time that something arrives, and answer with how many rights were left for later."""
    clock = FileClock(Path(clock_path))
    with closing(open_stores(f"sqlite:///{path}", clock=clock)) as stores, suppress(EOFError):
        # The receiver judges signatures by its own clock.
        target = WebhookTarget(url, SecretStr(SECRET), SystemClock())
        access = stores.access
        due = DueRights(access, Reconciler(access, {"aws": target}, clock, holder=holder), clock)
        while True:
            pipe.recv()
            pipe.send(due.visit_due().left)
