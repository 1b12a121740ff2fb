"""The pages for operators: /healthz, /readyz and /metrics.

Invariant: no page waits longer than the checks' two seconds, no page uses a thread meant for Slack's payloads, and no
page shows more than names and numbers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.observability.metrics import Metrics
from bot.settings.addresses import Address
from bot.transport.connections import ConnectionLimits
from bot.transport.readiness import Readiness
from bot.transport.web_server import WebServer
from core.errors import InvalidInput

_THREADS: Final = 4
_CONNECTIONS: Final = 64
_log = logging.getLogger("countersign.transport")


class HealthPages:
    """The pages, served by a HealthServer, or by the HTTP transport where there is only one port."""

    def __init__(self, metrics: Metrics, readiness: Readiness) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="monitoring")

    def pages(self) -> Sequence[BaseRoute]:
        """The routes of all pages."""
        return [*public_pages(), Route("/readyz", self._show_readiness), Route("/metrics", self._show_metrics)]

    def close(self) -> None:
        """Release the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _show_readiness(self, _request: Request) -> Response:
        missing = await asyncio.get_running_loop().run_in_executor(self._pool, self._readiness.find_missing)
        status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
        return JSONResponse({"ready": not missing, "missing": list(missing)}, status)

    async def _show_metrics(self, request: Request) -> Response:
        accept = request.headers.get("accept", "")
        written, content_type = await asyncio.get_running_loop().run_in_executor(
            self._pool, self._metrics.write, accept
        )
        return Response(written, headers={"Content-Type": content_type})


def public_pages() -> Sequence[BaseRoute]:
    """What anybody may see: that the process is alive, for a load balancer that can reach one port only."""
    return [Route("/healthz", _show_health)]


class HealthServer:
    """Serves the pages on a separate address, by a thread of its own: a flood of Slack's address can't silence them.

    A default address that is in use is logged, and doesn't keep the bot from starting.
    """

    def __init__(self, monitoring: HealthPages, address: Address) -> None:
        self._address = address
        app = Starlette(routes=list(monitoring.pages()))
        limits = ConnectionLimits(_CONNECTIONS, _CONNECTIONS)
        self._server = WebServer(app, address, "COUNTERSIGN_METRICS", limits=limits)

    @property
    def url(self) -> str:
        """The base URL of the pages, once the server listens."""
        return self._server.url

    def start(self) -> None:
        """Listen. Raises InvalidInput when it can't listen on an address that was set."""
        try:
            self._server.start()
        except InvalidInput as error:
            if not self._address.is_default:
                raise
            _log.warning(
                "metrics and readiness are not served: %s. Set COUNTERSIGN_METRICS to another address, or to off",
                error.problem,
            )

    def stop(self) -> None:
        """Stop. Idempotent."""
        self._server.stop()


async def _show_health(_request: Request) -> Response:
    return PlainTextResponse("ok\n")
