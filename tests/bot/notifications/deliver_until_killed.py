"""A process that delivers what is due until it is killed.

Invariant: it dies by SIGKILL, from outside or by its own hand, so nothing of it is tidied up.
"""

from __future__ import annotations

import os
import signal
from contextlib import closing
from datetime import datetime

from pydantic import SecretStr

from bot.notifications.slack_calls import open_client
from bot.notifications.slack_sink import SlackSink
from core.audit.trail import AuditEntry
from core.outbox.outbox import deliver_due
from core.stores import open_stores
from tests.core.services.harness import ChangingPolicy
from tests.harness.clock import FrozenClock


class _DyingSink:
    """Dies when an entry was delivered, before that is recorded."""

    name = "slack"

    def __init__(self, sink: SlackSink, dies_at: int) -> None:
        self._sink = sink
        self._dies_at = dies_at

    def deliver(self, entry: AuditEntry) -> None:
        self._sink.deliver(entry)
        if entry.seq == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


def tell(path: str, api_url: str, token: str, now: datetime, dies_at: int) -> None:
    """Tell what is due at `now`. `dies_at` is the entry after which it kills itself; 0: none."""
    clock = FrozenClock(now)
    with closing(open_stores(f"sqlite:///{path}", clock=clock)) as stores:
        sink = SlackSink(open_client(SecretStr(token), api_url), stores, ChangingPolicy(), clock)
        deliver_due(stores.outbox, [_DyingSink(sink, dies_at)], clock)
