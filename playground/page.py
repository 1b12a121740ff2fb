"""The page's side of the server: its files, what it is told, and what it may ask for.

Invariant: only a page that this server sent may ask for anything, in JSON, and what such a page shows comes from this
server alone. All of it stands beside the local Slack's own routes, behind the same check of who asks.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

from pydantic import ValidationError
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
from playground.evidence import Evidence
from playground.page_acts import PageActs, Press
from playground.race import Race
from playground.stream import Stream

_FILES: Final = Path(__file__).with_name("web")
_FURTHEST: Final = timedelta(days=400)
"""How far the clock can be moved at once: beyond every deadline and retention that a policy sets."""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_FONT: Final = (b"content-type", b"font/woff2")
_MOST_BODY: Final = 300_000
"""Bytes: a form's 250 KB, the largest that Slack takes, and what stands around it."""


class Page:
    """The routes for a LocalSlack that is made with them; `connect` it before anybody opens the page.

    `move_clock` lets time pass and returns once what fell due was dealt with.
    """

    def __init__(self, move_clock: Callable[[timedelta], None]) -> None:
        self._move_clock = move_clock
        self.routes: list[BaseRoute] = [
            Route("/page/stream", _Own(self._stream)),
            Route("/page/acts", self._do, methods=["POST"]),
            Route("/page/acts/{number:int}", self._act),
            Route("/page/acts/last", self._act),
            Route("/page/race", self._race, methods=["POST"]),
            Route("/page/clock", self._clock, methods=["POST"]),
            Route("/page/deadlines", self._deadlines),
            Mount("/", _Guarded(StaticFiles(directory=_FILES, html=True))),
        ]

    def connect(self, slack: LocalSlack, stream: Stream, evidence: Evidence) -> None:
        """Say what the routes act on."""
        self._slack = slack
        self.stream = stream
        self._evidence = evidence
        self._log = ActionLog(slack.backend.journal)
        self._acts = PageActs(slack, self._log)
        self._races = Race(slack, self._log, self._acts, evidence)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.stream(scope, receive, send)

    async def _do(self, request: Request) -> Response:
        return await _answer(request, self._acts.do)

    async def _race(self, request: Request) -> Response:
        def race(asked: Json) -> Json:
            people = tuple(str(person) for person in asked.pop("people", []))
            if not people:
                raise NotOnScreen("nobody is to press")
            return self._races.run(Press.model_validate({**asked, "act": "press", "person": people[0]}), people)

        return await _answer(request, race)

    async def _clock(self, request: Request) -> Response:
        def move(asked: Json) -> Json:
            step = timedelta(seconds=float(asked["seconds"]))
            if not timedelta() < step <= _FURTHEST:
                raise NotOnScreen("the clock only goes forward, by 400 days at most")
            act = self._log.begin("The clock moved")
            with self._log.doing(act):
                self._move_clock(step)
            now = format_time(self._slack.backend.clock.now())
            self._slack.backend.journal.publish("clock", {"now": now})
            return {"now": now, "act": act.number}

        return await _answer(request, move)

    async def _act(self, request: Request) -> Response:
        if not _is_own(request):
            return _problem("not from here", HTTPStatus.FORBIDDEN)

        def look() -> Json:
            found = self._log.find(request.path_params.get("number"))
            if found is None:
                return {}
            act, until = found
            return {**self._log.copy(act), **self._evidence.of(act, until)}

        return JSONResponse(await run_in_threadpool(look))

    async def _deadlines(self, request: Request) -> Response:
        if not _is_own(request):
            return _problem("not from here", HTTPStatus.FORBIDDEN)
        now = self._slack.backend.clock.now()
        return JSONResponse({"deadlines": await run_in_threadpool(self._evidence.deadlines, now)})


async def _answer(request: Request, act: Callable[[Json], Json]) -> Response:
    """Let the page have its way, if it is our page, and say in words what stands against it."""
    if (refused := _refuse(request)) is not None:
        return refused
    try:
        asked = json.loads(await request.body())
        if not isinstance(asked, dict):
            raise TypeError("an act is an object")  # noqa: TRY301 - said in the words that follow, with the others
        return JSONResponse(await run_in_threadpool(act, asked))
    except (ValidationError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        return _problem(f"not understood: {error}", HTTPStatus.BAD_REQUEST)
    except (NotOnScreen, SlackRefusal, CountersignError) as problem:
        return _problem(str(problem), HTTPStatus.CONFLICT)


def _refuse(request: Request) -> Response | None:
    """What keeps an act from being read at all."""
    # A browser names the origin of every POST, and asks before it sends JSON to another one.
    if not _is_own(request) or request.headers.get("origin") is None:
        return _problem("not from here", HTTPStatus.FORBIDDEN)
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return _problem("send JSON", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if int(request.headers.get("content-length", _MOST_BODY + 1)) > _MOST_BODY:
        return _problem("too much at once", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return None


def _problem(text: str, status: int) -> Response:
    return JSONResponse({"problem": text}, status)


def _is_own(request: Request) -> bool:
    """What a browser says of who asks. The Origin and the Host were judged by the local Slack's server already."""
    return request.headers.get("sec-fetch-site", "none") in {"same-origin", "none"}


class _Own:
    """Lets only our own page in."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_own(Request(scope)):
            await self._app(scope, receive, send)
        else:
            await _problem("not from here", HTTPStatus.FORBIDDEN)(scope, receive, send)


class _Guarded:
    """Sends files with the headers that keep a page to itself, and lets no old copy be shown."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if scope["path"].endswith(".woff2"):
                    # Whether Python knows this type depends on the files of the machine.
                    headers = [*((name, value) for name, value in headers if name != b"content-type"), _FONT]
                message["headers"] = [*headers, *_HEADERS, (b"cache-control", b"no-cache")]
            await send(message)

        await self._app(scope, receive, send_guarded)
