"""The pages for operators: /healthz, /readyz and /metrics.

Invariant: no page waits longer than the checks' two seconds, no page uses a thread meant for Slack's payloads, and no
page shows more than names and numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.observability.metrics import Metrics
from bot.settings import Address
from bot.transport.readiness import Readiness
from bot.transport.web_server import WebServer

_THREADS = 4


class HealthPages:
    """The pages, served by the HTTP transport or by a HealthServer."""

    def __init__(self, metrics: Metrics, readiness: Readiness) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="monitoring")

    def pages(self, *, metrics: bool = True) -> Sequence[BaseRoute]:
        """The routes; without `metrics`, only those a load balancer needs: the metrics have their own address."""
        routes: list[BaseRoute] = [Route("/healthz", _show_health), Route("/readyz", self._show_readiness)]
        return [*routes, Route("/metrics", self._show_metrics)] if metrics else routes

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


class HealthServer:
    """Serves the pages on a separate address: COUNTERSIGN_METRICS."""

    def __init__(self, monitoring: HealthPages, address: Address) -> None:
        self._server = WebServer(Starlette(routes=list(monitoring.pages())), address, "COUNTERSIGN_METRICS")

    @property
    def url(self) -> str:
        """The base URL of the pages, once the server listens."""
        return self._server.url

    def start(self) -> None:
        """Listen. Raises InvalidInput when it can't listen on the address."""
        self._server.start()

    def stop(self) -> None:
        """Stop. Idempotent."""
        self._server.stop()


async def _show_health(_request: Request) -> Response:
    return PlainTextResponse("ok\n")
