"""The routes of the page: its files, its event stream, and what it may request.

Invariant: only a page from this server may request anything, in JSON, and it shows only content of this server. The
local Slack serves these routes beside its own, after its check of Host and Origin.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, Strict, StrictInt, StrictStr, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.clock import format_time
from core.errors import CountersignError
from localslack.records import Json
from localslack.refusals import NotOnScreen, SlackRefusal
from localslack.server import LocalSlack
from playground.action_log import ActionLog
from playground.demo_page import carry_out
from playground.demo_target import DemoTarget
from playground.evidence import Evidence
from playground.modal_owners import ModalOwners
from playground.page_interactions import PageInteractions, PressElement
from playground.page_panels import PagePanels
from playground.race import Race
from playground.race_track import RaceTrack
from playground.stream import Stream
from playground.terminal import Terminals

_FILES: Final = Path(__file__).with_name("web")
_MAX_CLOCK_STEP: Final = timedelta(days=400)
"""Longer than every deadline and retention that a policy sets."""
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_FONT: Final = (b"content-type", b"font/woff2")
_MAX_BODY_BYTES: Final = 300_000
"""A view of 250 KB, the largest that Slack accepts, and the rest of the request."""

_RACERS: Final = TypeAdapter(Annotated[tuple[StrictStr, ...], Field(min_length=1, max_length=10)])
"""Each of them gets a thread."""
_COUNT: Final = TypeAdapter(StrictInt)
_SECONDS: Final = TypeAdapter(Annotated[float, Strict()])


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the routes work on."""

    slack: LocalSlack
    aws: DemoTarget
    terminals: Terminals
    stream: Stream
    evidence: Evidence
    panels: PagePanels
    owners: ModalOwners
    track: RaceTrack


class PlaygroundPage:
    """The routes, which a LocalSlack is created with. Call `connect` before anybody opens the page.

    `move_clock` moves the clock, and returns once everything that became due has been handled.
    """

    def __init__(self, move_clock: Callable[[timedelta], None]) -> None:
        self._move_clock = move_clock
        self.routes: list[BaseRoute] = [
            Route("/page/stream", _SameOriginPage(self._stream)),
            Route("/page/acts", self._perform, methods=["POST"]),
            Route("/page/acts/{number:int}", self._action),
            Route("/page/acts/last", self._action),
            Route("/page/race", self._race, methods=["POST"]),
            Route("/page/races", self._races, methods=["POST"]),
            Route("/page/clock", self._clock, methods=["POST"]),
            Route("/page/aws", self._aws_by_hand, methods=["POST"]),
            Route("/page/terminal", self._terminal, methods=["POST"]),
            Route("/page/panels/{name}", self._panel, methods=["POST"]),
            Route("/page/deadlines", self._deadlines),
            Mount("/", _WithSecurityHeaders(StaticFiles(directory=_FILES, html=True))),
        ]

    def connect(self, parts: PageParts) -> None:
        """Set what the routes work on."""
        self._parts = parts
        self._log = ActionLog(parts.slack.backend.journal)
        self._interactions = PageInteractions(parts.slack, self._log, parts.owners)
        self._race_runner = Race(parts.slack, self._log, self._interactions, parts.evidence)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._parts.stream(scope, receive, send)

    async def _perform(self, request: Request) -> Response:
        def perform(body: Json) -> Json:
            self._parts.panels.begin_action()
            return self._interactions.perform(body)

        return await _answer(request, perform)

    async def _race(self, request: Request) -> Response:
        def race(body: Json) -> Json:
            people = _RACERS.validate_python(body.pop("people", None))
            self._parts.panels.begin_action()
            return self._race_runner.run(
                PressElement.model_validate({**body, "act": "press", "person": people[0]}), people
            )

        return await _answer(request, race)

    async def _races(self, request: Request) -> Response:
        return await _answer(request, lambda body: self._parts.track.run(_COUNT.validate_python(body["count"])))

    async def _clock(self, request: Request) -> Response:
        def move(body: Json) -> Json:
            step = timedelta(seconds=_SECONDS.validate_python(body["seconds"]))
            if not timedelta() < step <= _MAX_CLOCK_STEP:
                raise NotOnScreen("the clock can only move forward, at most 400 days at once")
            action = self._log.begin("The clock moved")
            with self._log.recording(action):
                self._move_clock(step)
            now = format_time(self._parts.slack.backend.clock.now())
            self._parts.slack.backend.journal.publish("clock", {"now": now})
            return {"now": now, "act": action.number}

        return await _answer(request, move)

    async def _aws_by_hand(self, request: Request) -> Response:
        return await _answer(request, lambda body: carry_out(self._parts.aws, body))

    async def _terminal(self, request: Request) -> Response:
        return await _answer(request, self._parts.terminals.carry_out)

    async def _panel(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await _answer(request, lambda body: self._parts.panels.carry_out(name, body))

    async def _action(self, request: Request) -> Response:
        if not _is_own(request):
            return _problem("not from here", HTTPStatus.FORBIDDEN)

        def look() -> Json:
            found = self._log.find(request.path_params.get("number"))
            if found is None:
                return {}
            action, until = found
            return {**self._log.to_json(action), **self._parts.evidence.of(action, until)}

        return JSONResponse(await run_in_threadpool(look))

    async def _deadlines(self, request: Request) -> Response:
        if not _is_own(request):
            return _problem("not from here", HTTPStatus.FORBIDDEN)
        now = self._parts.slack.backend.clock.now()
        return JSONResponse({"deadlines": await run_in_threadpool(self._parts.evidence.deadlines, now)})


async def _answer(request: Request, perform: Callable[[Json], Json]) -> Response:
    """Perform what the page requests, if it's our page, or answer with the problem."""
    if (refused := _refuse(request)) is not None:
        return refused
    try:
        body = json.loads(await request.body())
        if not isinstance(body, dict):
            raise TypeError("the body must be an object")  # noqa: TRY301  Answered below, with the others.
        return JSONResponse(await run_in_threadpool(perform, body))
    except (ValidationError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        return _problem(f"invalid request: {error}", HTTPStatus.BAD_REQUEST)
    except (NotOnScreen, SlackRefusal, CountersignError) as problem:
        return _problem(str(problem), HTTPStatus.CONFLICT)


def _refuse(request: Request) -> Response | None:
    """The answer to a request that must not even be read, or None."""
    # A browser sends the origin with every POST, and asks first before it sends JSON to another one.
    if not _is_own(request) or request.headers.get("origin") is None:
        return _problem("not from here", HTTPStatus.FORBIDDEN)
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return _problem("send JSON", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if int(request.headers.get("content-length", _MAX_BODY_BYTES + 1)) > _MAX_BODY_BYTES:
        return _problem("the request is too large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return None


def _problem(text: str, status: int) -> Response:
    return JSONResponse({"problem": text}, status)


def _is_own(request: Request) -> bool:
    """Whether the browser says that our own page asks. The local Slack's server has checked Origin and Host already."""
    return request.headers.get("sec-fetch-site", "none") in {"same-origin", "none"}


class _SameOriginPage:
    """Serves our own page only."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_own(Request(scope)):
            await self._app(scope, receive, send)
        else:
            await _problem("not from here", HTTPStatus.FORBIDDEN)(scope, receive, send)


class _WithSecurityHeaders:
    """Sends files with the security headers, and always fresh."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if scope["path"].endswith(".woff2"):
                    # Whether Python knows this type depends on the files of the machine.
                    headers = [*((name, value) for name, value in headers if name != b"content-type"), _FONT]
                message["headers"] = [*headers, *_HEADERS, (b"cache-control", b"no-cache")]
            await send(message)

        await self._app(scope, receive, send_with_headers)
