"""The HTTP transport: Slack sends signed requests to POST /slack/events.

Invariant: a request that Slack didn't sign within the last five minutes never reaches the app, uses one of its threads,
or gets into a log. A body is read only if its head could be Slack's. Every request gets an answer; it is 503 when there
are too many.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from slack_bolt import BoltRequest, BoltResponse
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.interactions.interaction import RECEIVED_AT
from bot.observability.metrics import Metrics, Transport, TurnedAway
from bot.settings.addresses import Address
from bot.transport.connections import ConnectionLimits
from bot.transport.dispatcher import Answered, Dispatcher, NotTaken
from bot.transport.guarded_protocol import GuardedProtocol
from bot.transport.web_server import WebServer

PATH: Final = "/slack/events"
MAX_BYTES: Final = 1_048_576
"""Slack's largest payload contains a view of 250 KB and the text that was typed into it."""
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")
_MAX_AGE_SECONDS: Final = 300
"""Slack's own rule: an older request may be a replay."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_STATUSES: Final = {
    TurnedAway.SIGNATURE: HTTPStatus.UNAUTHORIZED,
    TurnedAway.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    TurnedAway.TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    TurnedAway.MALFORMED: HTTPStatus.BAD_REQUEST,
    TurnedAway.TOO_BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    TurnedAway.STOPPING: HTTPStatus.SERVICE_UNAVAILABLE,
    TurnedAway.FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class HttpTransport:
    """Serves Slack's requests, and `pages` on the same address, such as those of bot.transport.health_pages."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        metrics: Metrics,
        signing_secret: str,
        address: Address,
        *,
        pages: Sequence[BaseRoute] = (),
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._verifier = SignatureVerifier(signing_secret)
        transport = Route(PATH, self._serve, methods=["POST"])
        app = Starlette(routes=[transport, *pages])
        self._server = WebServer(app, address, "COUNTERSIGN_LISTEN", limits=limits, on_refused=self._count)

    @property
    def url(self) -> str:
        """The URL for Slack's requests, once the server listens."""
        return f"{self._server.url}{PATH}"

    def start(self) -> None:
        """Listen. Raises InvalidInput when it can't listen on the address."""
        self._server.start()

    def stop(self) -> None:
        """Accept nothing more, and answer the requests that were received. Idempotent."""
        self._server.stop()

    async def _serve(self, request: Request) -> Response:
        received_at = time.monotonic()
        connection: GuardedProtocol = request.state.connection
        try:
            self._check_head(request)
            body = await self._read(request)
            self._verify(body, request)
            connection.mark_verified()
            answered = await self._dispatch(request, body.decode(), received_at)
        except NotTaken as error:
            return _turn_away(error.reason)
        except ClientDisconnect:
            # A connection that was refused has been counted.
            return _turn_away(TurnedAway.TOO_SLOW if connection.is_refused else self._count(TurnedAway.TOO_SLOW))
        self._metrics.acknowledged(Transport.HTTP, answered.kind, time.monotonic() - received_at)
        return _to_response(answered.response)

    def _check_head(self, request: Request) -> None:
        """Turns away what can't be Slack's, or is too large, before its body is read."""
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        if not (_SIGNATURE.fullmatch(signature) and _TIMESTAMP.fullmatch(timestamp)):
            raise NotTaken(self._count(TurnedAway.SIGNATURE))
        if abs(time.time() - int(timestamp)) > _MAX_AGE_SECONDS:
            raise NotTaken(self._count(TurnedAway.SIGNATURE))
        length = request.headers.get("content-length", "")
        # Of a chunked body, the length shows as it comes.
        if length and int(length) > MAX_BYTES:
            raise NotTaken(self._count(TurnedAway.TOO_LARGE))

    async def _read(self, request: Request) -> bytes:
        """The body. Turns away one that is larger than Slack's ever are. The connection limits the time."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                raise NotTaken(self._count(TurnedAway.TOO_LARGE))
        return bytes(body)

    def _verify(self, body: bytes, request: Request) -> None:
        """Bolt does this too, but answers 500 to a non-numeric timestamp, and 200 to an unsigned ssl_check."""
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        try:
            is_slacks = self._verifier.is_valid(body, timestamp, signature)
        except (UnicodeDecodeError, TypeError):
            # Slack's bodies are UTF-8 and its signatures ASCII.
            is_slacks = False
        if not is_slacks:
            raise NotTaken(self._count(TurnedAway.SIGNATURE))

    async def _dispatch(self, request: Request, body: str, received_at: float) -> Answered:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answered | TurnedAway] = loop.create_future()

        def build() -> BoltRequest:
            return BoltRequest(
                body=body, query=request.url.query, headers=dict(request.headers), context={RECEIVED_AT: received_at}
            )

        def answer(what: Answered | TurnedAway) -> None:
            loop.call_soon_threadsafe(_settle, answered, what)

        self._dispatcher.take(Transport.HTTP, build, answer)
        match await answered:
            case Answered() as known:
                return known
            case reason:
                raise NotTaken(reason)

    def _count(self, reason: TurnedAway) -> TurnedAway:
        self._metrics.turned_away(Transport.HTTP, reason)
        return reason


def _settle(future: asyncio.Future[Answered | TurnedAway], what: Answered | TurnedAway) -> None:
    # The server may have timed the request out already.
    if not future.done():
        future.set_result(what)


def _turn_away(reason: TurnedAway) -> Response:
    # On a kept connection, the unread rest of a body would be parsed as the next request.
    return JSONResponse({"error": reason.value}, _STATUSES[reason], headers={"Connection": "close"})


def _to_response(answer: BoltResponse) -> Response:
    response = Response(answer.body, answer.status)
    for name, values in answer.headers.items():
        for number, value in enumerate(values):
            if number == 0 and name != "set-cookie":
                response.headers[name] = value
            else:
                response.headers.append(name, value)
    return response
