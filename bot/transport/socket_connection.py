"""One websocket to Slack: it receives envelopes and sends their acknowledgements.

Invariant: an envelope is acknowledged over the connection that it arrived on, or not at all. A connection never opens
another one: it signals that it needs a successor, and stays open beside it until it is closed.
"""

from __future__ import annotations

import json
import logging
import threading
from typing import Any, Final, Protocol

from slack_sdk import WebClient
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from bot.slack.errors import ErrorKind, read_disconnect
from bot.slack.payloads import get_str

OPEN_TIMEOUT_SECONDS: Final = 10.0
PING_SECONDS: Final = 10.0
"""A connection that doesn't answer a ping within the same time is dropped: a dead one is detected within 20 s."""
CLOSE_TIMEOUT_SECONDS: Final = 1.0
_MAX_BYTES: Final = 4 * 1_048_576
"""Slack's payloads are far smaller; a larger one ends the connection."""
_log = logging.getLogger("countersign.socket_mode")


class OnEnvelope(Protocol):
    """Receives an envelope and the connection to acknowledge it over. Must not wait, and must not raise."""

    def __call__(self, connection: SocketConnection, envelope: dict[str, Any]) -> None:
        """Handle one envelope."""
        ...


class SocketConnection:
    """A connection with its own thread. Thread-safe."""

    def __init__(self, url: str, client: WebClient, on_envelope: OnEnvelope) -> None:
        self._url = url
        self._client = client
        self._on_envelope = on_envelope
        self._websocket: ClientConnection | None = None
        self._is_closing = False
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._is_greeted = False
        self._needs_successor = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="socket-connection", daemon=True)

    def open(self) -> bool:
        """Connect. True when Slack said hello: it sends payloads from now on."""
        self._thread.start()
        self._settled.wait(2 * OPEN_TIMEOUT_SECONDS)
        return self._is_greeted

    @property
    def is_open(self) -> bool:
        """True from Slack's hello until the connection's end."""
        return self._is_greeted and not self._ended.is_set()

    def wait_for_end(self, seconds: float | None = None) -> bool:
        """Wait until this connection needs a successor; False when it doesn't within these seconds."""
        return self._needs_successor.wait(seconds)

    def release(self) -> None:
        """Wake every thread that is in `wait_for_end`."""
        self._needs_successor.set()

    def acknowledge(self, envelope_id: str, payload: dict[str, Any] | None) -> bool:
        """Acknowledge an envelope. False when the connection was lost with it, so that Slack shows a failure."""
        reply: dict[str, Any] = {"envelope_id": envelope_id}
        if payload is not None:
            reply["payload"] = payload
        websocket = self._websocket
        try:
            if websocket is None:
                return False
            websocket.send(json.dumps(reply))
        except (ConnectionClosed, OSError):
            return False
        return True

    def close(self) -> None:
        """Close the connection, and wait at most a second for Slack to close it too. Idempotent."""
        with self._lock:
            self._is_closing = True
            websocket = self._websocket
        if websocket is not None:
            websocket.close()
        self._ended.wait(CLOSE_TIMEOUT_SECONDS)

    def _run(self) -> None:
        try:
            with connect(
                self._url,
                # The same route as the Web API's: the proxy that the environment names, or none.
                proxy=self._client.proxy,
                ssl=self._client.ssl if self._url.startswith("wss:") else None,
                open_timeout=OPEN_TIMEOUT_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                close_timeout=CLOSE_TIMEOUT_SECONDS,
                max_size=_MAX_BYTES,
            ) as websocket:
                with self._lock:
                    self._websocket = websocket
                    is_wanted = not self._is_closing
                if is_wanted:
                    self._listen(websocket)
        except (WebSocketException, OSError, ValueError) as error:
            # The text of these errors may contain the URL, and with it the ticket.
            _log.warning("a connection to Slack was lost: %s", type(error).__name__)
        finally:
            self._ended.set()
            self._needs_successor.set()
            self._settled.set()

    def _listen(self, websocket: ClientConnection) -> None:
        for text in websocket:
            try:
                message = json.loads(text)
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict):
                _log.warning("Slack sent a message that isn't a JSON object")
                continue
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "hello":
                self._is_greeted = True
                self._settled.set()
            case "disconnect":
                reason = read_disconnect(get_str(message, "reason") or "")
                level = logging.ERROR if reason.kind is ErrorKind.OPERATOR else logging.INFO
                _log.log(level, "Slack is closing the connection: %s. %s", reason.code, reason.fix)
                self._needs_successor.set()
            case _ if get_str(message, "envelope_id"):
                self._on_envelope(self, message)
            case other:
                _log.info("Slack sent a message of a type that this version doesn't know: %.60r", other)
