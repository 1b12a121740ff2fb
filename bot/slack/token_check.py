"""Checks that Slack still accepts the bot token while the bot runs.

Invariant: no caller waits for Slack. If Slack doesn't answer, nothing changes: the token counts as refused only after
Slack refused it, until Slack accepts it again.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from slack_sdk import WebClient

from bot.slack import client as slack_client
from bot.slack.errors import UNREACHABLE, ErrorKind, SlackToken, read_error

CALL_TIMEOUT_SECONDS: Final = 10
INTERVAL_SECONDS: Final = 60.0
"""Often enough for load balancers, and rarely enough not to fill the log while the token is refused."""
_log = logging.getLogger("countersign.readiness")


class BotTokenCheck:
    """Calls auth.test in the background when it is queried, at most once per interval. Thread-safe."""

    def __init__(self, client: WebClient, *, interval_seconds: float | None = None) -> None:
        self._client = slack_client.like(client, CALL_TIMEOUT_SECONDS)
        self._interval_seconds = INTERVAL_SECONDS if interval_seconds is None else interval_seconds
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="bot-token")
        self._lock = threading.Lock()
        # The bot only starts with a token that Slack has just accepted.
        self._asked_at = time.monotonic()
        self._is_asking = False
        self._is_closed = False
        self._is_accepted = True

    def is_accepted(self) -> bool:
        """Slack's last answer. Never waits."""
        with self._lock:
            is_due = time.monotonic() - self._asked_at >= self._interval_seconds
            if is_due and not self._is_asking and not self._is_closed:
                self._is_asking = True
                self._pool.submit(self._ask)
            return self._is_accepted

    def close(self) -> None:
        """Make no more calls. Idempotent; doesn't wait."""
        with self._lock:
            self._is_closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> None:
        is_accepted: bool | None = None
        try:
            self._client.auth_test()
            is_accepted = True
        except UNREACHABLE as error:
            failure = read_error(error)
            if failure.kind is ErrorKind.OPERATOR:
                is_accepted = False
                _log.error("Slack refuses %s: %s. %s", SlackToken.BOT.value, failure.label, failure.fix)
        finally:
            with self._lock:
                self._asked_at, self._is_asking = time.monotonic(), False
                if is_accepted is not None:
                    self._is_accepted = is_accepted
