"""The app that serves the table of endpoints: refuse by the head, authenticate, read, decide, answer.

Invariant: a body is read only if its call may go on, and no work is begun for a caller who isn't known where one is
needed. Every call gets one answer; an error becomes a problem in one place. No answer is kept by any cache.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, SecretStr
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.api.bodies import RequestBody
from bot.api.callers import MAX_BODY_BYTES, CallerLimits, Network, address_of, check_head, read_token, too_large
from bot.api.calls import Call, Handler, read_body, read_parameters
from bot.api.endpoints import ApiLane, Endpoint
from bot.api.lanes import ApiLanes
from bot.api.models import PATH_PREFIX, RequestInfo
from bot.api.problems import CONTENT_TYPE, Problem, ProblemCode
from bot.api.rate_limits import CallRates
from bot.api.refusals import ApiRefusal, broken, busy, not_found, to_problem
from bot.api.watching import RequestWatch
from bot.observability.api_metrics import CLIENT_LEFT, ApiMetrics
from bot.observability.tracing import STATUS, SpanKind
from core.access.device import DeviceEnded, DeviceUser, TokenRefused
from core.clock import Clock
from core.errors import CountersignError, NotAllowed, NotKnown, StoreError

MAX_IN_FLIGHT: Final = 600
"""Calls that are being answered, those that wait included. A connection of Slack's always finds room beside them."""
MAX_STRANGERS: Final = 200
"""Calls without a device that are being answered: those that send slowly keep no device out."""
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_log = logging.getLogger("countersign.api")

Authenticate = Callable[[SecretStr], DeviceUser]


class ApiApp:
    """Serves endpoints. Used on the server's own thread, but for what runs in the lanes."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        handlers: Mapping[str, Handler],
        authenticate: Authenticate,
        lanes: ApiLanes,
        watch: RequestWatch,
        clock: Clock,
        metrics: ApiMetrics,
        *,
        proxies: Sequence[Network] = (),
        limits: CallRates | None = None,
        nudge: Callable[[], None] = lambda: None,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._handlers = {each.name: handlers[each.name] for each in endpoints}
        self._authenticate = authenticate
        self._lanes = lanes
        self._tracer = lanes.tracer
        self._watch = watch
        self._clock = clock
        self._metrics = metrics
        self._proxies = tuple(proxies)
        self._limits = CallerLimits(limits or CallRates())
        self._nudge = nudge
        self._in_flight: Counter[bool] = Counter()
        """How many are being answered: those that need a device, and the others."""

    def routes(self) -> list[BaseRoute]:
        """The routes: one for each path, and one for every other path below the prefix."""
        found: dict[str, dict[str, Endpoint]] = {}
        for each in self._endpoints:
            # A profile's name may contain slashes.
            found.setdefault(each.path.replace("{profile}", "{profile:path}"), {})[each.method] = each
        routes = [Route(path, _Resource(self, some)) for path, some in found.items()]
        # The prefix itself too: Starlette would redirect it, to whatever host the caller names.
        return [*routes, *(Route(path, _Resource(self, {})) for path in (PATH_PREFIX, f"{PATH_PREFIX}/{{rest:path}}"))]

    def build(self) -> ASGIApp:
        """An app with nothing but these routes."""
        return Starlette(routes=self.routes())

    async def answer(self, endpoint: Endpoint, request: Request) -> Response | None:
        """The answer to one call; None when the client went away. A caller's `traceparent` isn't read."""
        with self._tracer.trace(f"api {endpoint.name}", SpanKind.SERVER, {}):
            response = await self._answer(endpoint, request)
            self._tracer.note({STATUS: response.status_code if response is not None else CLIENT_LEFT})
            return response

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response | None:
        started, body = time.monotonic(), _Body(request)
        kind = endpoint.needs_device
        self._in_flight[kind] += 1
        try:
            if self._in_flight[kind] > (MAX_IN_FLIGHT if kind else MAX_STRANGERS):
                raise ApiRefusal(busy())  # noqa: TRY301 - it is answered like every other refusal
            response = _to_response(endpoint, await self._call(endpoint, request, body))
        except ClientDisconnect:
            self._metrics.answered(endpoint.name, CLIENT_LEFT, time.monotonic() - started)
            return None
        except CountersignError as error:
            response = self._refuse(error, is_read=body.is_read)
        except Exception:  # noqa: BLE001 - a bug is answered too
            _log.exception("a call of %s failed", endpoint.name)
            response = to_response(broken(), is_read=body.is_read)
        finally:
            self._in_flight[kind] -= 1
        self._metrics.answered(endpoint.name, response.status_code, time.monotonic() - started)
        return response

    async def _call(self, endpoint: Endpoint, request: Request, body: _Body) -> BaseModel:
        check_head(endpoint, request.headers)
        address = address_of(request, self._proxies)
        handler = self._handlers[endpoint.name]
        if not endpoint.needs_device:
            self._limits.admit_stranger(endpoint, address)
            call = Call(address, read_parameters(endpoint, request), await body.read(endpoint))
            return handler(call) if endpoint.lane is None else await self._run(endpoint, address, handler, call)
        caller = _Caller(read_token(request.headers), address)
        user = await self._admit(endpoint, caller)
        # From now on, the connection is kept, and no stranger's makes it close.
        if (connection := getattr(request.state, "connection", None)) is not None:
            connection.mark_verified()
        call = Call(address, read_parameters(endpoint, request), await body.read(endpoint), user)
        if call.get("wait") not in {None, "0"} and call.get("seen"):
            return await self._wait(endpoint, caller, call, request)
        return await self._run(endpoint, user.device.id, handler, call)

    async def _run(self, endpoint: Endpoint, caller: str, handler: Handler, call: Call) -> BaseModel:
        answer = await self._lanes.run(endpoint.lane or ApiLane.READ, caller, partial(handler, call))
        if endpoint.lane is not ApiLane.READ:
            # What was committed is delivered, and takes effect, now instead of in the next round.
            self._nudge()
        return answer

    async def _admit(self, endpoint: Endpoint, caller: _Caller) -> DeviceUser:
        token, address = caller.token, caller.address
        counted_for = self._limits.admit_token(token, address)
        work = partial(self._authenticate, token)
        try:
            user = await self._lanes.run(endpoint.lane or ApiLane.READ, counted_for, work)
        except DeviceEnded as ended:
            # The token was right: what counts is the device, not those who share its address.
            self._limits.note_valid(token, ended.device.id)
            raise
        except NotKnown:
            raise
        except (TokenRefused, NotAllowed):
            self._limits.note_invalid(token, address)
            raise
        finally:
            self._limits.note_looked_up(counted_for, address)
        self._limits.note_valid(token, user.device.id)
        return user

    async def _wait(self, endpoint: Endpoint, caller: _Caller, call: Call, request: Request) -> BaseModel:
        """The request as it is at its next change, or after the time; read and judged anew then."""
        handler, seen, device = self._handlers[endpoint.name], call.get("seen"), call.caller.device.id
        with self._watch.join(call.parameters["id"], device) as waiter:
            answer = await self._run(endpoint, device, handler, call)
            if not isinstance(answer, RequestInfo) or seen is None or answer.version != seen:
                return answer
            await _until(waiter.wait(seen, float(call.parameters["wait"])), request)

        def judge_again(call: Call) -> BaseModel:
            # While it waited, the device may have ended, or its person may have left.
            return handler(replace(call, user=self._authenticate(caller.token)))

        return await self._run(endpoint, device, judge_again, call)

    def _refuse(self, error: CountersignError, *, is_read: bool) -> Response:
        if isinstance(error, StoreError):
            _log.error("a call could not be answered: %s: %s", type(error).__name__, error)
        return to_response(to_problem(error, self._clock.now()), is_read=is_read)


@dataclass(frozen=True, slots=True)
class _Caller:
    token: SecretStr
    address: str


class _Body:
    """The body of one call, read once, and no further than its bound."""

    def __init__(self, request: Request) -> None:
        self._request = request
        headers = request.headers
        self.is_read = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers

    async def read(self, endpoint: Endpoint) -> RequestBody | None:
        """The body as the endpoint's model. The connection limits the time. Raises ApiRefusal, ClientDisconnect."""
        content = bytearray()
        async for chunk in self._request.stream():
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                raise ApiRefusal(too_large())
        self.is_read = True
        return read_body(endpoint, bytes(content))


class _Resource:
    """One path, as an ASGI app: every method that isn't in the table is refused."""

    def __init__(self, app: ApiApp, endpoints: Mapping[str, Endpoint]) -> None:
        self._app = app
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        endpoint = self._endpoints.get(request.method)
        response = self._no_such() if endpoint is None else await self._app.answer(endpoint, request)
        if response is not None:
            await response(scope, receive, send)

    def _no_such(self) -> Response:
        if not self._endpoints:
            return to_response(not_found(), is_read=False)
        detail = f"Use {' or '.join(sorted(self._endpoints))}. Nothing was changed."
        status = HTTPStatus.METHOD_NOT_ALLOWED
        problem = Problem.of(ProblemCode.INVALID_INPUT, "This method isn't for this path", detail, status=status)
        response = to_response(problem, is_read=False)
        response.headers["Allow"] = ", ".join(sorted(self._endpoints))
        return response


def to_response(problem: Problem, *, is_read: bool) -> Response:
    """A problem as an answer. On a kept connection, the unread rest of a body would be read as the next call."""
    headers = dict(_HEADERS)
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if not is_read:
        headers["Connection"] = "close"
    return Response(problem.to_json(), problem.status, headers, CONTENT_TYPE)


def _to_response(endpoint: Endpoint, answer: BaseModel) -> Response:
    headers = dict(_HEADERS)
    if isinstance(answer, RequestInfo):
        headers["ETag"] = f'"{answer.version}"'
    content = answer.model_dump_json(exclude_none=True, by_alias=True)
    return Response(content, endpoint.status, headers, "application/json")


async def _until(waiting: Coroutine[None, None, None], request: Request) -> None:
    """Wait, unless the client goes away. Raises ClientDisconnect."""
    done, gone = asyncio.ensure_future(waiting), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({done, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise ClientDisconnect
    finally:
        done.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
