"""Runs the app for each payload on a pool thread, limits how many run at once, and counts those it turns away.

Invariant: every payload is either accepted, and then answered exactly once through its `answer`, or turned away at once
with NotTaken. Nothing waits here longer than the app's own two seconds: a stalled store blocks threads, never a
transport.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from slack_bolt import BoltRequest, BoltResponse

from bot.observability.metrics import Metrics, PayloadKind, Transport, TurnedAway
from bot.observability.tracing import ANSWER, NO_TRACER, PAYLOAD, SLACK_ID, TRANSPORT, Attributes, SpanKind, Tracer
from bot.slack.payloads import is_raised_by_bolt
from core.errors import CountersignError

THREADS: Final = 256
"""At 50 clicks a second, a stalled store holds each for 2 s: 100 at once, plus as many in reserve."""
MAX_IN_FLIGHT: Final = 1000
ENVELOPE_ID: Final = "countersign_envelope_id"
"""Where a transport puts the id of the envelope that a payload came in."""
_SLACK_ID: Final = re.compile(r"Ev[0-9A-Z]{6,30}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KINDS: Final = {
    "block_actions": PayloadKind.BUTTON,
    "view_submission": PayloadKind.FORM,
    "view_closed": PayloadKind.FORM,
    "shortcut": PayloadKind.SHORTCUT,
    "message_action": PayloadKind.SHORTCUT,
    "event_callback": PayloadKind.EVENT,
}
_log = logging.getLogger("countersign.transport")


class App(Protocol):
    """The part of a Bolt app that a transport needs."""

    def dispatch(self, req: BoltRequest) -> BoltResponse:
        """Answer one payload."""
        ...


class NotTaken(CountersignError):
    """A payload was not accepted. Nothing was started."""

    def __init__(self, reason: TurnedAway) -> None:
        super().__init__(f"a payload was turned away: {reason.value}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answered:
    """The app's response, and the kind of payload that it answers."""

    response: BoltResponse
    kind: PayloadKind


Answer: TypeAlias = Callable[[Answered | TurnedAway], None]
"""Receives the app's answer, or why there is none: MALFORMED, or FAILED for a bug. Doesn't raise."""


class Dispatcher:
    """Runs the app for the transports. Thread-safe."""

    def __init__(
        self,
        app: App,
        metrics: Metrics,
        *,
        threads: int = THREADS,
        max_in_flight: int = MAX_IN_FLIGHT,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._app = app
        self._tracer = tracer
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dispatch")
        self._max_in_flight = max_in_flight
        self._changed = threading.Condition()
        self._in_flight = 0
        self._is_closed = False

    @property
    def in_flight(self) -> int:
        """How many payloads were accepted and not yet answered."""
        return self._in_flight

    def take(self, transport: Transport, build: Callable[[], BoltRequest], answer: Answer) -> None:
        """Have the app answer the payload that `build` returns. Returns at once; a pool thread calls `answer`.

        Raises NotTaken when too many payloads are in flight, and after `close`.
        """
        with self._changed:
            if self._is_closed:
                raise self._turn_away(transport, TurnedAway.STOPPING)
            if self._in_flight >= self._max_in_flight:
                raise self._turn_away(transport, TurnedAway.TOO_BUSY)
            self._in_flight += 1
            self._pool.submit(self._serve, transport, build, answer)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until every accepted payload is answered; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._in_flight == 0, seconds)

    def close(self) -> None:
        """Accept nothing more. Accepted payloads are still answered; this doesn't wait for them. Idempotent."""
        with self._changed:
            self._is_closed = True
        self._pool.shutdown(wait=False)

    def _serve(self, transport: Transport, build: Callable[[], BoltRequest], answer: Answer) -> None:
        try:
            with self._tracer.trace("slack payload", SpanKind.SERVER, {TRANSPORT: transport.value}):
                answered = self._run_app(transport, build)
                answer(answered)
        except Exception:  # noqa: BLE001 - an answer that can't be sent must not count as in flight forever
            _log.exception("an acknowledgement could not be sent")
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def _run_app(self, transport: Transport, build: Callable[[], BoltRequest]) -> Answered | TurnedAway:
        try:
            request = build()
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            # Bolt parses Slack's JSON while it builds the request, and relies on its structure.
            _log.warning("a payload could not be read: %s", type(error).__name__)
            return self._count(transport, TurnedAway.MALFORMED)
        self._tracer.note({PAYLOAD: kind_of(request.body).value, **_id_of(request)})
        try:
            return Answered(self._app.dispatch(request), kind_of(request.body))
        except Exception as error:  # noqa: BLE001 - the app's own error handler failed, or code that runs before it
            if is_raised_by_bolt(error):
                _log.warning("a payload doesn't have Slack's format: %s", type(error).__name__)
                return self._count(transport, TurnedAway.MALFORMED)
            _log.exception("a payload could not be answered")
            return self._count(transport, TurnedAway.FAILED)

    def _turn_away(self, transport: Transport, reason: TurnedAway) -> NotTaken:
        return NotTaken(self._count(transport, reason))

    def _count(self, transport: Transport, reason: TurnedAway) -> TurnedAway:
        self._metrics.turned_away(transport, reason)
        self._tracer.note({ANSWER: reason.value})
        return reason


def _id_of(request: BoltRequest) -> Attributes:
    """The id of the event, which stays the same when Slack sends it again, or of the envelope."""
    # Whatever Slack puts there one day: nothing but an id comes through.
    for found in (request.body.get("event_id"), request.context.get(ENVELOPE_ID)):
        if isinstance(found, str) and _SLACK_ID.fullmatch(found):
            return {SLACK_ID: found}
    return {}


def kind_of(body: dict[str, object]) -> PayloadKind:
    """The kind of a payload: always one of a fixed few, whatever it contains."""
    kind = body.get("type")
    if isinstance(kind, str) and kind in _KINDS:
        return _KINDS[kind]
    return PayloadKind.COMMAND if "command" in body else PayloadKind.OTHER
