"""LocalSlack: a strict Slack on a loopback port.

Invariant: one LocalSlack is one workspace with one app installed. `stop()` leaves no thread, socket or stalled call
behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute

from localslack import limits
from localslack.app_settings import AppSettings
from localslack.app_transport import AppTransport, HttpAppTransport, Reply, sign
from localslack.backend import Backend
from localslack.clock import Clock, SystemClock
from localslack.faults import Faults
from localslack.file_methods import FileAddresses
from localslack.http_server import LoopbackServer
from localslack.interactions import Interactions
from localslack.journal import ApiCall, Listener
from localslack.open_posts import OpenPosts
from localslack.records import SlackMessage, View
from localslack.response_urls import ResponseUrls
from localslack.socket_mode import SocketMode
from localslack.web_api import WebApi
from localslack.workspace import Workspace

_Seen = TypeVar("_Seen")


class LocalSlack:
    """A workspace, the server that the app talks to, and what people do and see.

    What people do (`run_command`, `press`, `submit`, …) is described in `Interactions`.

    `clock` sets message times and the age of triggers. `manifest` is the app's, as read from manifest.yml; without it
    the app may do everything. `rate_limits` turns Slack's rate limits on. `timeout_seconds` is how long to wait for an
    acknowledgement, in the machine's time; without it, Slack's three seconds. `routes` are served beside Slack's own.
    Raises OSError if `port` is taken.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        manifest: dict[str, Any] | None = None,
        app: AppSettings | None = None,
        rate_limits: bool = False,
        timeout_seconds: float | None = None,
        routes: Iterable[BaseRoute] = (),
        port: int = 0,
    ) -> None:
        app = app or AppSettings()
        installed = app if manifest is None else app.with_manifest(manifest)
        self._server = LoopbackServer(port)
        self.backend = Backend(clock or SystemClock(), installed, self._server.url)
        self.backend.limits.is_on = rate_limits
        self._timeout_seconds = limits.ACKNOWLEDGE_SECONDS if timeout_seconds is None else timeout_seconds
        self.socket_mode = SocketMode(self.backend, self._timeout_seconds)
        self._request_url: str | None = None
        self._options_url: str | None = None
        self._open_posts = OpenPosts()

        interactions = Interactions(self.backend, self._transport, self._options_transport, self._timeout_seconds)
        self.run_command = interactions.run_command
        self.shortcut = interactions.shortcut
        self.press = interactions.press
        self.search = interactions.search
        self.submit = interactions.submit
        self.close = interactions.close
        self.open_home = interactions.open_home
        self.edit_group = interactions.edit_group
        self.edit_person = interactions.edit_person
        self.send_event = interactions.send_event
        self.send_forged = interactions.send_forged
        self.redeliver = interactions.redeliver
        self.verify_request_url = interactions.verify_request_url

        self._server.start(Starlette(routes=[*self._slack_routes(), *routes]))

    def _slack_routes(self) -> list[BaseRoute]:
        drop_connection = self._server.drop_connection
        api = WebApi(self.backend, drop_connection, self.socket_mode.new_url)
        response_urls, files = ResponseUrls(self.backend, drop_connection), FileAddresses(self.backend)
        return [
            Route("/api/{method}", api.serve, methods=["POST"]),
            Route("/response/{key}", response_urls.serve, methods=["POST"]),
            Route("/upload/v1/{file}", files.upload, methods=["POST"]),
            Route("/files/{file}", files.show, methods=["GET"]),
            WebSocketRoute("/link/", self.socket_mode.serve),
        ]

    def stop(self) -> None:
        """Release every stalled call, close all connections, and wait until the server has ended. Idempotent."""
        self.backend.faults.release_all()
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What the app is started with ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The server's address."""
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

    def use_http(self, request_url: str, *, options_url: str | None = None) -> None:
        """From now on, send payloads to this URL instead of over Socket Mode.

        For example http://127.0.0.1:3000/slack/events. `options_url` is the manifest's `message_menu_options_url`:
        without it, menus with an external data source stay empty over HTTP.
        """
        self._request_url, self._options_url = request_url, options_url

    def cut_app(self) -> None:
        """Drop the connections of all requests that the app hasn't answered yet, as if it had died."""
        self._open_posts.cut()

    def post_raw(self, body: bytes, headers: dict[str, str]) -> Reply:
        """Post exactly these bytes to the app's URL, to try wrong, old and missing signatures; see `sign_body`."""
        return HttpAppTransport(self._request_url or "", self.signing_secret, self._timeout_seconds).post(body, headers)

    def sign_body(self, body: bytes, timestamp: int | str) -> dict[str, str]:
        """The signature headers for a body at a Unix time."""
        return sign(self.signing_secret, body, timestamp)

    def _transport(self) -> AppTransport:
        if self._request_url is None:
            return self.socket_mode
        return HttpAppTransport(self._request_url, self.signing_secret, self._timeout_seconds, self._open_posts)

    def _options_transport(self) -> AppTransport | None:
        if self._request_url is None:
            return self.socket_mode
        if self._options_url is None:
            return None
        return HttpAppTransport(self._options_url, self.signing_secret, self._timeout_seconds)

    # What can be seen ----------------------------------------------------------------------------------------------

    @property
    def workspace(self) -> Workspace:
        """People, groups and channels. `workspace.add(Person(…), Channel(…))` adds them, and changes them too."""
        return self.backend.workspace

    @property
    def faults(self) -> Faults:
        """Faults for the next calls of the Web API."""
        return self.backend.faults

    @property
    def calls(self) -> list[ApiCall]:
        """All calls of the Web API so far, oldest first."""
        return self.backend.journal.calls

    def calls_of(self, method: str) -> list[ApiCall]:
        """The calls of one method, oldest first."""
        return [call for call in self.calls if call.method == method]

    def messages(self, channel: str) -> list[SlackMessage]:
        """What everybody in the channel sees, oldest first."""
        return self.workspace.messages(channel)

    def ephemerals(self, user: str, channel: str | None = None) -> list[SlackMessage]:
        """What only this person sees, oldest first; in one channel, or everywhere."""
        return self.workspace.ephemerals(user, channel)

    def dm(self, user: str) -> list[SlackMessage]:
        """This person's direct messages with the bot, oldest first."""
        return self.workspace.messages(self.workspace.direct(user).id)

    def home(self, user: str) -> View | None:
        """The Home tab that was last published for this person."""
        return self.workspace.home(user)

    def modal(self, user: str) -> View | None:
        """The top modal on this person's screen."""
        return self.workspace.top_modal(user)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every change, as JSON with `number` and `type`. Returns a function that ends this.

        Types: message, message_changed, message_deleted, ephemeral, home, modals, directory, api_call, interaction.
        The listener must not wait for anything.
        """
        return self.backend.journal.subscribe(listener)

    def wait_until(self, check: Callable[[], _Seen], seconds: float = 60.0) -> _Seen:
        """What `check` returns as soon as that is truthy. Raises TimeoutError after `seconds` of the machine's time."""
        return self.backend.journal.wait_until(check, seconds)

    def save(self, path: Path) -> None:
        """Write the workspace to a JSON file."""
        self.workspace.save(path)

    def load(self, path: Path) -> None:
        """Read the workspace from a file that `save` wrote. Raises OSError, or ValueError for any other file.

        Buttons still work afterwards; trigger_ids and response_urls from before do not.
        """
        self.workspace.load(path)
