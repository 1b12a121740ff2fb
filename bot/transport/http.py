"""The HTTP transport: Slack sends signed requests to POST /slack/events.

Invariant: a request that Slack didn't sign within the last five minutes never reaches the app, uses one of its threads,
or gets into a log. Every request gets an answer; it is 503 when there are too many.
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
from bot.settings import Address
from bot.transport.dispatcher import Answered, Dispatcher, NotTaken
from bot.transport.web_server import WebServer

PATH: Final = "/slack/events"
MAX_BYTES: Final = 1_048_576
"""Slack's largest payload contains a view of 250 KB and the text that was typed into it."""
BODY_TIMEOUT_SECONDS: Final = 10.0
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
        body_seconds: float = BODY_TIMEOUT_SECONDS,
    ) -> None:
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._verifier = SignatureVerifier(signing_secret)
        self._body_seconds = body_seconds
        transport = Route(PATH, self._serve, methods=["POST"])
        self._server = WebServer(Starlette(routes=[transport, *pages]), address, "COUNTERSIGN_LISTEN")

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
        try:
            body = await self._read(request)
            self._verify(body, request)
            answered = await self._dispatch(request, body.decode(), received_at)
        except NotTaken as error:
            return _turn_away(error.reason)
        except ClientDisconnect:
            return _turn_away(self._count(TurnedAway.TOO_SLOW))
        self._metrics.acknowledged(Transport.HTTP, answered.kind, time.monotonic() - received_at)
        return _to_response(answered.response)

    async def _read(self, request: Request) -> bytes:
        """The body. Turns away one that is larger or slower than Slack's ever are."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise NotTaken(self._count(TurnedAway.TOO_LARGE))
        except TimeoutError as error:
            raise NotTaken(self._count(TurnedAway.TOO_SLOW)) from error
        return bytes(body)

    def _verify(self, body: bytes, request: Request) -> None:
        """Bolt does this too, but answers 500 to a non-numeric timestamp, and 200 to an unsigned ssl_check."""
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        try:
            is_slacks = _TIMESTAMP.fullmatch(timestamp) and self._verifier.is_valid(body, timestamp, signature)
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
