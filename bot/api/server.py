"""The HTTP API of one process: its lanes, its long polls, its routes, and its own listener where it has one.

Invariant: stopping ends all long polls at once, answers what was received, and then ends the threads. The routes are
the same whether they are served alone or beside Slack's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from bot.api.app import ApiApp, Authenticate
from bot.api.callers import Network
from bot.api.calls import Call, Handler
from bot.api.endpoints import Endpoint
from bot.api.lanes import ApiLanes
from bot.api.models import Health, OpenApiDocument
from bot.api.openapi import build_document
from bot.api.rate_limits import CallRates
from bot.api.watching import ReadVersions, RequestWatch
from bot.observability.api_metrics import ApiMetrics
from bot.observability.tracing import NO_TRACER, Tracer
from bot.settings.addresses import Address
from bot.settings.api import API_LISTEN
from bot.transport.connections import REQUEST_TIMEOUT_SECONDS, ConnectionLimits
from bot.transport.file_limit import connections_for, raise_file_limit
from bot.transport.web_server import WebServer
from core.access.grant import Grant
from core.clock import Clock
from core.record import Record
from core.request import Request

REQUEST_SECONDS: Final = REQUEST_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """How it is served. `url` is what people use, `credentials_url` where they get credentials.

    `proxies` are the networks whose X-Forwarded-For counts.
    """

    url: str
    credentials_url: str
    proxies: tuple[Network, ...] = ()
    limits: CallRates | None = None


class Api:
    """The HTTP API of one process, ready to be served. `versions` reads what those that wait are compared with."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        handlers: Mapping[str, Handler],
        authenticate: Authenticate,
        versions: ReadVersions,
        clock: Clock,
        metrics: ApiMetrics,
        options: ApiOptions,
        version: str,
        *,
        nudge: Callable[[], None] = lambda: None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        document = OpenApiDocument.model_validate(build_document(endpoints, version, options.url))
        own: dict[str, Handler] = {"get_openapi": _always(document), "get_health": _always(Health())}
        limits = options.limits or CallRates()
        self._lanes, self._watch = ApiLanes(tracer=tracer), RequestWatch(versions, max_each=limits.waiting_each)
        metrics.watch_waiting(lambda: float(self._watch.waiting))
        self._app = ApiApp(
            endpoints,
            {**own, **handlers},
            authenticate,
            self._lanes,
            self._watch,
            clock,
            metrics,
            proxies=options.proxies,
            limits=limits,
            nudge=nudge,
        )

    def routes(self) -> list[BaseRoute]:
        """Its routes, for the server that serves them."""
        return self._app.routes()

    def committed(self, record: Record) -> None:
        """This process committed a change: those that wait for it are answered. Never waits. Safe for threads."""
        match record:
            case Request():
                self._watch.wake(record.id)
            case Grant():
                self._watch.wake(record.source.rpartition("#")[2])
            case _:
                return

    def end_waits(self) -> None:
        """Answer all long polls at once: the server is about to stop. Idempotent."""
        self._watch.close()

    def close(self) -> None:
        """Finish what was taken, and end the threads, after the server stopped. Idempotent."""
        self._watch.close()
        self._lanes.close()


class ApiServer:
    """Serves an Api on an address of its own, on a thread of its own."""

    def __init__(self, api: Api, address: Address, *, setting: str = API_LISTEN, behind_proxy: bool = False) -> None:
        self._api = api
        self._server = WebServer(
            Starlette(routes=api.routes()), address, setting, limits=_connection_limits(behind_proxy=behind_proxy)
        )

    @property
    def url(self) -> str:
        """The base URL, once the server listens."""
        return self._server.url

    def start(self) -> None:
        """Listen. Raises InvalidInput when it can't listen on the address."""
        self._server.start()

    def stop(self) -> None:
        """Accept nothing more, answer what was received, and end the threads. Idempotent."""
        self._api.end_waits()
        self._server.stop()
        self._api.close()


def _connection_limits(*, behind_proxy: bool) -> ConnectionLimits:
    # A terminal's connection is unverified for as long as its token is looked up: whole offices share an address.
    connections = connections_for(raise_file_limit())
    per_address = connections if behind_proxy else max(connections // 2, 1)
    return ConnectionLimits(connections, per_address, request_seconds=REQUEST_SECONDS)


def _always(answer: BaseModel) -> Handler:
    def handler(call: Call) -> BaseModel:
        del call
        return answer

    return handler
