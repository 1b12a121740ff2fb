"""LocalSlack: a small faithful Slack on a loopback port, in a thread of its own.

Invariant: it listens on the loopback only, answers no web page of another origin, and `stop()` leaves no thread,
socket or stalled call behind.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from core.clock import Clock, SystemClock
from localslack import limits
from localslack.acts import Acts
from localslack.app_settings import AppSettings
from localslack.backend import Backend
from localslack.delivery import Delivery, HttpDelivery, Reply, sign
from localslack.faults import Faults
from localslack.journal import ApiCall, Listener
from localslack.records import Message, View
from localslack.response_urls import ResponseUrls
from localslack.socket_mode import SocketMode
from localslack.web_api import WebApi
from localslack.workspace import Workspace

_Seen = TypeVar("_Seen")
_HOST = "127.0.0.1"
_OWN_NAMES = frozenset({_HOST, "localhost", "[::1]"})


class LocalSlack(Acts):
    """The whole of it: what people do (see Acts), what they see, and the server that the app talks to.

    `clock` tells ages and message times. `manifest` is the app's, as read from manifest.yml. `patience` is for how many
    seconds of the machine's time an acknowledgement is waited for. `routes` are served beside Slack's own.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        manifest: dict[str, Any] | None = None,
        app: AppSettings | None = None,
        rate_limits: bool = False,
        patience: float = limits.ACKNOWLEDGE_SECONDS,
        routes: Iterable[BaseRoute] = (),
        port: int = 0,
    ) -> None:
        app = app or AppSettings()
        self.backend = Backend(clock or SystemClock(), app.with_manifest(manifest) if manifest is not None else app)
        super().__init__(self.backend, self._way_to_app)
        self.backend.limits.is_on = rate_limits
        self.socket_mode = SocketMode(self.backend, patience)
        self._patience = patience
        self._request_url: str | None = None
        self._listener = socket.create_server((_HOST, port))
        self.backend.url = f"http://{_HOST}:{self._listener.getsockname()[1]}"
        api = WebApi(self.backend, self._hang_up, self.socket_mode.new_url)
        doors: list[BaseRoute] = [
            Route("/api/{method}", api.serve, methods=["POST"]),
            Route("/response/{key}", ResponseUrls(self.backend, self._hang_up).serve, methods=["POST"]),
            WebSocketRoute("/link/", self.socket_mode.serve),
        ]
        self._server = _start(_OwnPagesOnly(Starlette(routes=[*doors, *routes])), self._listener)

    def stop(self) -> None:
        """Let go of everything that is stalled, hang up, and wait until the server has ended."""
        self.backend.faults.release_all()
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # What the app is started with ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the server is."""
        return self.backend.url

    @property
    def api_url(self) -> str:
        """SLACK_API_URL: the base_url of the app's WebClient."""
        return f"{self.url}/api/"

    @property
    def bot_token(self) -> str:
        """SLACK_BOT_TOKEN."""
        return self.backend.app.bot_token

    @property
    def app_token(self) -> str:
        """SLACK_APP_TOKEN."""
        return self.backend.app.app_token

    @property
    def signing_secret(self) -> str:
        """SLACK_SIGNING_SECRET."""
        return self.backend.app.signing_secret

    def use_http(self, request_url: str) -> None:
        """Send everything to this URL from now on, say http://127.0.0.1:3000/slack/events, and not by Socket Mode."""
        self._request_url = request_url

    def post_raw(self, body: bytes, headers: dict[str, str]) -> Reply:
        """Post these very bytes to the app's URL, for wrong, old and missing signatures; see `sign_body`."""
        return HttpDelivery(self._request_url or "", self.signing_secret, self._patience).post(body, headers)

    def sign_body(self, body: bytes, timestamp: int | str) -> dict[str, str]:
        """The signature headers for a body, as of a Unix time."""
        return sign(self.signing_secret, body, timestamp)

    # What can be seen ----------------------------------------------------------------------------------------------

    @property
    def workspace(self) -> Workspace:
        """People, groups and channels: `workspace.add(Person(…), Channel(…))`, also to change them."""
        return self.backend.workspace

    @property
    def faults(self) -> Faults:
        """The script of faults for the Web API."""
        return self.backend.faults

    @property
    def calls(self) -> list[ApiCall]:
        """All calls of the Web API so far, oldest first."""
        return self.backend.journal.calls

    def calls_of(self, method: str) -> list[ApiCall]:
        """The calls of one method."""
        return [call for call in self.calls if call.method == method]

    def messages(self, channel: str) -> list[Message]:
        """What everybody in the channel sees, oldest first."""
        return self.workspace.messages(channel)

    def ephemerals(self, user: str, channel: str | None = None) -> list[Message]:
        """What this person alone sees, oldest first."""
        return self.workspace.ephemerals(user, channel)

    def dm(self, user: str) -> list[Message]:
        """The direct conversation of this person with the bot, oldest first."""
        return self.workspace.messages(self.workspace.direct(user).id)

    def home(self, user: str) -> View | None:
        """The Home tab as last published for this person."""
        return self.workspace.home(user)

    def modal(self, user: str) -> View | None:
        """The modal on top of this person's screen."""
        return self._top(user)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of every change, as JSON with `number` and `type`; returns what ends it. It must not wait.

        Types: message, message_changed, message_deleted, ephemeral, home, modals, directory, api_call, interaction.
        """
        return self.backend.journal.subscribe(listener)

    def wait_until(self, check: Callable[[], _Seen], seconds: float = 10.0) -> _Seen:
        """What `check` gives as soon as that is truthy. Raises TimeoutError after `seconds` of the machine's time."""
        return self.backend.journal.wait_until(check, seconds)

    def save(self, path: Path) -> None:
        """Write the workspace into a JSON file."""
        self.workspace.save(path)

    def load(self, path: Path) -> None:
        """Take the workspace from such a file. Buttons work on; old trigger_ids and response_urls do not."""
        self.workspace.load(path)

    def _way_to_app(self) -> Delivery:
        if self._request_url is None:
            return self.socket_mode
        return HttpDelivery(self._request_url, self.signing_secret, self._patience)

    async def _hang_up(self, request: Request) -> None:
        self._server.abort(request.scope["client"])
        # Until this message has come, the server would take the missing answer for our mistake.
        while (await request.receive())["type"] != "http.disconnect":
            pass


class _Server(uvicorn.Server):
    """uvicorn in a thread, which stops when told instead of when it next looks."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._listener = listener
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self.run, args=([listener],), name="local-slack", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._is_up.wait()

    async def main_loop(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._is_up.set()
        await self._end.wait()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
        self._listener.close()

    def abort(self, client: tuple[str, int]) -> None:
        """Drop the connection of this client; on the server's own thread."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == tuple(client):
                connection.transport.abort()


def _start(app: ASGIApp, listener: socket.socket) -> _Server:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config, listener)
    server.start()
    return server


class _OwnPagesOnly:
    """Refuses what a browser sends for a page of another origin, and names that were bent to the loopback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        is_own = urlsplit(f"//{host}").netloc.rpartition(":")[0] in _OWN_NAMES or host in _OWN_NAMES
        if is_own and (origin is None or urlsplit(origin).netloc == host):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("not from here", 403)(scope, receive, send)
