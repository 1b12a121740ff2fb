"""A tiny real Bolt app, with a command that answers at once and one that can be held up.

Invariant: what it was asked is written down before it answers; a held command answers once it is let go.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from slack_bolt import Ack, App
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from bot.observability.metrics import Metrics
from bot.transport.dispatcher import Dispatcher
from localslack.server import LocalSlack

ANN: Final = "U0ANN"
ACCESS: Final = "C0ACCESS"
PATIENCE: Final = 60.0
"""Seconds after which a test is broken, not slow."""


class SmallApp:
    """The app, and the dispatcher over it. `contexts` holds the Bolt context of each command that came."""

    def __init__(self, slack: LocalSlack, metrics: Metrics, *, threads: int = 8, max_in_flight: int = 8) -> None:
        self.client = WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        self.app = App(
            client=self.client,
            authorize=lambda: AuthorizeResult(enterprise_id=None, team_id="T0", bot_token=slack.bot_token),
            signing_secret=slack.signing_secret,
            process_before_response=True,
        )
        self.dispatcher = Dispatcher(self.app, metrics, threads=threads, max_in_flight=max_in_flight)
        self.contexts: list[dict[str, Any]] = []
        self.arrived = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.app.command("/access")(self._access)
        self.app.command("/hold")(self._hold)

    def wait_for_arrivals(self, count: int) -> None:
        """Wait until so many more held commands are in the app's hands."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=PATIENCE)

    def close(self) -> None:
        """Let everything go, and take nothing more."""
        self.let_go.set()
        self.dispatcher.close()
        assert self.dispatcher.wait_until_idle(PATIENCE)

    def _access(self, ack: Ack, context: dict[str, Any]) -> None:
        self.contexts.append(dict(context))
        ack("In.")

    def _hold(self, ack: Ack) -> None:
        self.arrived.release()
        assert self.let_go.wait(PATIENCE)
        ack("Held, and answered.")
