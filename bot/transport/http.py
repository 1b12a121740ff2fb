"""The transport for Slack's HTTP requests: POST /slack/events, signed.

Invariant: nothing that Slack did not sign within the last five minutes reaches the app, takes one of its threads, or
is written into a log. Every request gets an answer, 503 when there are too many.
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
"""Slack's largest payload carries a view of 250 KB and what was typed into it."""
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
    """Serves Slack, and `pages` beside it, such as those of bot.transport.health_pages."""

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
        """Where Slack's requests go, once it listens."""
        return f"{self._server.url}{PATH}"

    def start(self) -> None:
        """Listen. Raises InvalidInput when the address cannot be listened on."""
        self._server.start()

    def stop(self) -> None:
        """Take in nothing more, and answer what came in. Idempotent."""
        self._server.stop()

    async def _serve(self, request: Request) -> Response:
        received_at = time.monotonic()
        try:
            body = await self._read(request)
            self._verify(body, request)
            answered = await self._ask(request, body.decode(), received_at)
        except NotTaken as error:
            return _turn_away(error.why)
        except ClientDisconnect:
            return _turn_away(self._count(TurnedAway.TOO_SLOW))
        self._metrics.acknowledged(Transport.HTTP, answered.kind, time.monotonic() - received_at)
        return _to_response(answered.response)

    async def _read(self, request: Request) -> bytes:
        """The body, unless it is larger or slower than Slack's ever is."""
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
        """Bolt does this too, but answers 500 to a timestamp that is no number, and 200 to an unsigned ssl_check."""
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        try:
            is_slacks = _TIMESTAMP.fullmatch(timestamp) and self._verifier.is_valid(body, timestamp, signature)
        except (UnicodeDecodeError, TypeError):
            # Slack writes UTF-8, and a signature in ASCII.
            is_slacks = False
        if not is_slacks:
            raise NotTaken(self._count(TurnedAway.SIGNATURE))

    async def _ask(self, request: Request, body: str, received_at: float) -> Answered:
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
            case why:
                raise NotTaken(why)

    def _count(self, why: TurnedAway) -> TurnedAway:
        self._metrics.turned_away(Transport.HTTP, why)
        return why


def _settle(future: asyncio.Future[Answered | TurnedAway], what: Answered | TurnedAway) -> None:
    # The server may have given the request up already, at the end of its patience.
    if not future.done():
        future.set_result(what)


def _turn_away(why: TurnedAway) -> Response:
    # What is left of a body that was not read would be taken for the next request.
    return JSONResponse({"error": why.value}, _STATUSES[why], headers={"Connection": "close"})


def _to_response(answer: BoltResponse) -> Response:
    response = Response(answer.body, answer.status)
    for name, values in answer.headers.items():
        for number, value in enumerate(values):
            if number == 0 and name != "set-cookie":
                response.headers[name] = value
            else:
                response.headers.append(name, value)
    return response
