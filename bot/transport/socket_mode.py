"""The Socket Mode transport: it keeps a websocket to Slack open.

Invariant: when Slack announces the end of a connection, the next one is open before the old one is closed, and what
arrived over the old one is acknowledged over it. A lost connection is reopened: at once, then with growing pauses.
`stop()` answers what was received, and returns within its time limit.

slack_sdk has two clients for Socket Mode. The built-in one acknowledges the first envelope after a reconnect three
seconds late. The one based on websocket-client takes ten seconds to close, and may leave a connection open without
reading from it. Both acknowledge over the newest connection, whichever one the envelope arrived on. So we use only
slack_sdk's Web API here, and run our own loop.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from slack_bolt import BoltRequest, BoltResponse
from slack_sdk import WebClient

from bot.interactions.interaction import RECEIVED_AT
from bot.observability.metrics import Metrics, Transport, TurnedAway
from bot.slack import client as slack_client
from bot.slack.errors import UNREACHABLE, ErrorKind, SlackToken, read_error, refuse_token
from bot.transport.dispatcher import ENVELOPE_ID, Answered, Dispatcher, NotTaken
from bot.transport.socket_connection import SocketConnection

API_TIMEOUT_SECONDS: Final = 10
"""How long Slack may take to return the URL to connect to."""
ANSWER_TIMEOUT_SECONDS: Final = 4.0
"""How long `stop()` waits for answers: two seconds for a decision, and two for the network."""
LINGER_SECONDS: Final = 15.0
"""How long an old connection is kept beside the new one; Slack closes it about ten seconds after its warning."""
RETRY_PAUSE_SECONDS: Final = 1.0
"""Before the second try to connect again; then it doubles."""
FIX_PAUSE_SECONDS: Final = 60.0
"""The pause while Slack refuses the token: nothing arrives until somebody fixes it, and Slack allows about one attempt
a minute."""
_MAX_PAUSE_SECONDS: Final = 30.0
_STEADY_SECONDS: Final = 10.0
"""A connection that lasted longer was healthy: the next one opens at once. Slack allows about one attempt a minute."""
_JOIN_TIMEOUT_SECONDS: Final = 2.0
_OK: Final = 200
_log = logging.getLogger("countersign.socket_mode")


class SocketModeTransport:
    """Stays connected to Slack. `client` provides Slack's address; its token isn't used."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        metrics: Metrics,
        client: WebClient,
        app_token: str,
        *,
        linger_seconds: float = LINGER_SECONDS,
        fix_pause_seconds: float = FIX_PAUSE_SECONDS,
        retry_pause_seconds: float = RETRY_PAUSE_SECONDS,
    ) -> None:
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._client = slack_client.like(client, API_TIMEOUT_SECONDS)
        self._app_token = app_token
        self._linger_seconds = linger_seconds
        self._fix_pause_seconds = fix_pause_seconds
        self._retry_pause_seconds = retry_pause_seconds
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: list[SocketConnection] = []
        self._first: SocketConnection | None = None
        self._thread = threading.Thread(target=self._stay_connected, name="socket-mode", daemon=True)
        metrics.watch(
            "countersign_socket_connections", "Open connections to Slack.", lambda: float(self.connection_count)
        )

    @property
    def connection_count(self) -> int:
        """How many connections Slack may send payloads over."""
        with self._lock:
            return sum(connection.is_open for connection in self._connections)

    def is_connected(self) -> bool:
        """True while Slack can reach this process."""
        return self.connection_count > 0

    def start(self) -> None:
        """Connect, and stay connected. Raises InvalidInput when Slack refuses the token.

        Temporary errors are retried in the background.
        """
        try:
            url = self._ask_for_url()
        except UNREACHABLE as error:
            failure = read_error(error, token=SlackToken.APP)
            if failure.kind is ErrorKind.OPERATOR:
                raise refuse_token(failure, SlackToken.APP) from error
            _log.warning("Socket Mode isn't connected yet: %s. %s", failure.label, failure.fix)
        else:
            self._first = self._open(url)
        self._thread.start()

    def stop(self) -> None:
        """Answer what was received, then disconnect. Idempotent."""
        self._stopping.set()
        self._dispatcher.wait_until_idle(ANSWER_TIMEOUT_SECONDS)
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.release()
            connection.close()
        if self._thread.is_alive():
            self._thread.join(_JOIN_TIMEOUT_SECONDS)

    # Staying connected -----------------------------------------------------------------------------------------------

    def _stay_connected(self) -> None:
        pauses, connection, min_pause = _pauses(self._retry_pause_seconds), self._first, 0.0
        while not self._stopping.is_set():
            if connection is not None:
                began = time.monotonic()
                self._close_old(connection)
                connection.wait_for_end()
                if time.monotonic() - began > _STEADY_SECONDS:
                    pauses = _pauses(self._retry_pause_seconds)
            if not self._stopping.wait(max(min_pause, next(pauses))):
                connection, min_pause = self._connect()

    def _close_old(self, newest: SocketConnection) -> None:
        with self._lock:
            self._connections = [connection for connection in self._connections if connection.is_open]
            old = [connection for connection in self._connections if connection is not newest]
        if old and not newest.wait_for_end(self._linger_seconds):
            for connection in old:
                connection.close()

    def _connect(self) -> tuple[SocketConnection | None, float]:
        """A new connection, or None, and the least number of seconds to wait before the next try."""
        try:
            url = self._ask_for_url()
        except UNREACHABLE as error:
            failure = read_error(error, token=SlackToken.APP)
            if failure.kind is ErrorKind.OPERATOR:
                _log.error("Slack refuses SLACK_APP_TOKEN: %s. %s", failure.label, failure.fix)
                return None, self._fix_pause_seconds
            _log.warning("Socket Mode can't connect: %s. %s", failure.label, failure.fix)
            return None, (failure.retry_after or timedelta()).total_seconds()
        return self._open(url), 0.0

    def _ask_for_url(self) -> str:
        url = self._client.apps_connections_open(app_token=self._app_token).get("url")
        if not isinstance(url, str):
            raise ValueError("Slack's answer contains no URL")  # noqa: TRY004 - Slack's answer is wrong, not a caller's type
        return url

    def _open(self, url: str) -> SocketConnection | None:
        connection = SocketConnection(url, self._client, self._on_envelope)
        with self._lock:
            self._connections.append(connection)
        # An earlier `stop()` did not see this connection, so it is closed here; a later `stop()` closes it itself.
        if self._stopping.is_set() or not connection.open():
            connection.close()
            return None
        _log.info("connected to Slack over Socket Mode")
        return connection

    # Envelopes -------------------------------------------------------------------------------------------------------

    def _on_envelope(self, connection: SocketConnection, envelope: dict[str, Any]) -> None:
        received_at = time.monotonic()

        def build() -> BoltRequest:
            return BoltRequest(
                mode="socket_mode",
                body=envelope["payload"],
                headers=_retry_headers(envelope),
                context={RECEIVED_AT: received_at, ENVELOPE_ID: envelope["envelope_id"]},
            )

        def answer(what: Answered | TurnedAway) -> None:
            # Without an acknowledgement, Slack shows a failure, and sends events again.
            if not isinstance(what, Answered) or what.response.status != _OK:
                return
            if connection.acknowledge(envelope["envelope_id"], _to_payload(what.response)):
                self._metrics.acknowledged(Transport.SOCKET_MODE, what.kind, time.monotonic() - received_at)
            else:
                self._metrics.turned_away(Transport.SOCKET_MODE, TurnedAway.FAILED)
                _log.warning("an acknowledgement could not be sent: its connection was lost")

        try:
            self._dispatcher.take(Transport.SOCKET_MODE, build, answer)
        except NotTaken as error:
            _log.warning("%s", error)


def _to_payload(response: BoltResponse) -> dict[str, Any] | None:
    if not response.body:
        return None
    if response.headers.get("content-type", [""])[0].startswith("application/json"):
        body = json.loads(response.body)
        return body if isinstance(body, dict) else None
    return {"text": response.body}


def _retry_headers(envelope: dict[str, Any]) -> dict[str, str | Sequence[str]]:
    """Over HTTP these two are headers, so that is where listeners look for them."""
    named = {"x-slack-retry-num": envelope.get("retry_attempt"), "x-slack-retry-reason": envelope.get("retry_reason")}
    return {name: str(value) for name, value in named.items() if value}


def _pauses(pause: float) -> Iterator[float]:
    """Seconds between tries: none first, because most losses are brief; then doubling each time, with jitter."""
    yield 0.0
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - so that instances don't all reconnect at once
        pause = min(2 * pause, _MAX_PAUSE_SECONDS)
