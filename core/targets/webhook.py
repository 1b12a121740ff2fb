"""A target behind a webhook: each order is a signed POST, as Standard Webhooks 1.0 defines it.

Invariant: an order is sent once per call, to the configured address and nowhere else. The address may contain a token
of the receiver, so problems name only its host; the key stands nowhere. An answer is read up to a limit and a deadline.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import SecretStr

from core.access.right import Right
from core.clock import Clock
from core.standard_webhooks import WebhookKey
from core.targets.base import Given, Later, OperationKey, Polled, Seen, Taken, TargetRefused, Unknown
from core.targets.exchange import (
    MAX_ANSWER_BYTES,
    PAUSE,
    Order,
    ReceiverReply,
    State,
    as_given,
    as_polled,
    as_seen,
    as_taken,
    read_reply,
    right_of_token,
)
from core.targets.timed_http import CALL_SECONDS, TimedHttp, TimedHttps, read_bounded
from core.targets.web_address import check_web_address

REPLY_SECONDS: Final = 8.0
"""How long each step of a call may take, such as connecting or one part of the answer."""
_MAX_PAUSE_SECONDS: Final = 3600
_BAD: Final = HTTPStatus.BAD_REQUEST
_SERVER_ERROR: Final = HTTPStatus.INTERNAL_SERVER_ERROR
_DID_NOTHING: Final = frozenset(
    {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}
)
_FIXES: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "Check that it uses the same secret as Countersign.",
    HTTPStatus.FORBIDDEN: "Check that it uses the same secret as Countersign.",
    HTTPStatus.NOT_FOUND: "Check the target's address.",
    HTTPStatus.GONE: "It no longer takes orders. Set another address for this target.",
}
_NEVER_SENT: Final = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)


class _SameAddressOnly(HTTPRedirectHandler):
    """Returns a redirect as the response."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """None: don't follow."""


class WebhookTarget:
    """A `core.targets.base.Target` of the operator's own making. Safe for threads.

    `ends_sessions` and `residual` are what its operator says about it. Raises InvalidInput for an address that isn't
    encrypted, unless it is on this machine, and for a secret that isn't one.
    """

    def __init__(
        self,
        url: str,
        secret: SecretStr,
        clock: Clock,
        *,
        ends_sessions: bool = False,
        residual: timedelta = timedelta(0),
        reply_seconds: float = REPLY_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._host = check_web_address(url)
        self._url = url
        self._key = WebhookKey(secret, "target's secret")
        self._clock = clock
        self._ends_sessions = ends_sessions
        self._residual = residual
        times = reply_seconds, call_seconds
        self._opener = build_opener(_SameAddressOnly, TimedHttp(*times), TimedHttps(*times))
        self._name = f"the webhook of {self._host}"

    @property
    def ends_sessions(self) -> bool:
        """What the operator says."""
        return self._ends_sessions

    def residual(self, right: Right) -> timedelta:
        """What the operator says."""
        del right
        return self._residual

    def inspect(self, right: Right) -> Seen:
        """Whether the receiver says that the right is held."""
        return self._look(Order.inspect(right), as_seen)

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        """Order it to give the right."""
        order = Order.give(right, until, key)
        reply = self._send(order)
        return as_given(reply, order, self._name) if isinstance(reply, ReceiverReply) else reply

    def take(self, right: Right, key: OperationKey) -> Taken:
        """Order it to take the right away."""
        order = Order.take(right, key)
        reply = self._send(order)
        return as_taken(reply, order, self._name) if isinstance(reply, ReceiverReply) else reply

    def poll(self, token: str) -> Polled:
        """Inspect what was pending."""
        right = right_of_token(token)
        if right is None:
            return TargetRefused("This isn't a token of a webhook.")
        order = Order.inspect(right)
        reply = self._send(order)
        return as_polled(reply, order, self._name) if isinstance(reply, ReceiverReply) else reply

    def _look(self, order: Order, read: Callable[[ReceiverReply, Order, str], Seen]) -> Seen:
        reply = self._send(order)
        return read(reply, order, self._name) if isinstance(reply, ReceiverReply) else reply

    def _send(self, order: Order) -> ReceiverReply | Later | TargetRefused | Unknown:
        body = order.body()
        headers = {"content-type": "application/json", "user-agent": "Countersign"}
        headers |= self._key.sign(order.id, self._clock.now(), body)
        request = Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310 - checked when it was made
        try:
            with self._opener.open(request) as answer:
                return self._read(answer.status, None, read_bounded(answer, MAX_ANSWER_BYTES))
        except HTTPError as error:
            with error:
                return self._read_failure(error)
        except (OSError, HTTPException, ValueError) as error:
            return self._unanswered(error)

    def _unanswered(self, error: Exception) -> Later | Unknown:
        # Only the type of the error: its text may quote the address.
        cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
        if isinstance(cause, _NEVER_SENT):
            return Later(PAUSE, is_for_all=True, problem=f"{self._name} can't be reached: {type(cause).__name__}")
        return Unknown(f"{self._name} gave no answer: {type(cause).__name__}")

    def _read_failure(self, error: HTTPError) -> ReceiverReply | Later | TargetRefused | Unknown:
        try:
            body = read_bounded(error, MAX_ANSWER_BYTES)
        except (OSError, HTTPException, ValueError):
            body = b""
        return self._read(error.code, _read_pause(error.headers.get("retry-after")), body)

    def _read(
        self, status: int, pause: timedelta | None, body: bytes
    ) -> ReceiverReply | Later | TargetRefused | Unknown:
        reply = read_reply(body)
        if status >= _BAD:
            return self._read_error(status, pause, reply)
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            return TargetRefused(f"{self._name} answered {status}. Redirects aren't followed: set the final address.")
        if status == HTTPStatus.ACCEPTED and (reply is None or reply.state is State.PENDING):
            return ReceiverReply(State.PENDING)
        if status == HTTPStatus.ACCEPTED or reply is None:
            return Unknown(f"{self._name} answered {status} without saying what is held")
        return reply

    def _read_error(
        self, status: int, pause: timedelta | None, reply: ReceiverReply | None
    ) -> ReceiverReply | Later | TargetRefused | Unknown:
        if status == HTTPStatus.CONFLICT:
            return ReceiverReply(State.SUPERSEDED)
        if status in _DID_NOTHING:
            pause = pause or (reply.retry_after if reply else None) or PAUSE
            return Later(pause, is_for_all=True, problem=f"{self._name} answered {status}")
        if status >= _SERVER_ERROR:
            # A gateway answers so, too, when the receiver behind it did what it was told.
            return Unknown(f"{self._name} answered {status}")
        if reply is not None and reply.reason:
            return TargetRefused(f"{self._name} refused with {status}: {reply.reason.rstrip('.')}.")
        return TargetRefused(f"{self._name} refused with {status}. {_FIXES.get(status, 'Look at its log.')}")


def _read_pause(header: str | None) -> timedelta | None:
    text = (header or "").strip()
    if not (text.isascii() and text.isdecimal()):
        # A date would rest on the receiver's clock; the usual pause will do.
        return None
    return timedelta(seconds=min(max(int(text[:9]), 1), _MAX_PAUSE_SECONDS))
