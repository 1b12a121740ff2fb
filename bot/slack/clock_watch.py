"""Asks Slack for the time when nothing else does.

Invariant: in `serve`, nothing waits for these questions; an answer that doesn't come changes nothing.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.observability.clock_check import MIN_SAMPLES, ComparedClock
from bot.slack import client as slack_client
from bot.slack.errors import UNREACHABLE

INTERVAL_SECONDS: Final = 60.0
_SOON_SECONDS: Final = 5.0
"""While it isn't known whether the clock is off, and while it is off."""
_CALL_TIMEOUT_SECONDS: Final = 10


_log = logging.getLogger("countersign.clock")


def ask_for_time(client: WebClient, clock: ComparedClock) -> None:
    """Ask until the answers tell whether the clock is off, for a run that has no watch. Waits for them.

    If Slack can't be asked, the clock is trusted, as it is where nobody compares it.
    """
    watch = ClockWatch(client, clock)
    asked = 0
    while asked < MIN_SAMPLES and watch.ask():
        asked += 1
    if not clock.is_known:
        _log.warning("Slack could not be asked for the time, so this machine's clock was not checked")


class ClockWatch:
    """Asks on a thread of its own. The client passes each answer to the clock."""

    def __init__(self, client: WebClient, clock: ComparedClock, *, soon_seconds: float = _SOON_SECONDS) -> None:
        self._client = slack_client.like(client, _CALL_TIMEOUT_SECONDS)
        self._clock = clock
        self._soon_seconds = soon_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="clock-watch", daemon=True)

    def start(self) -> None:
        """Ask from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more. Idempotent; doesn't wait for an answer."""
        self._stopping.set()

    def ask(self) -> bool:
        """Ask once; False when Slack doesn't answer. An error is an answer, too, and has its Date."""
        try:
            self._client.api_test()
        except SlackApiError:
            return True
        except UNREACHABLE:
            return False
        return True

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self.ask()
            is_settled = self._clock.is_known and not self._clock.is_off
            self._stopping.wait(INTERVAL_SECONDS if is_settled else self._soon_seconds)
