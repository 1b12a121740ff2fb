"""Socket Mode through both real clients: the built-in one and the one on websocket-client."""

from __future__ import annotations

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from slack_bolt import Ack, App
from slack_bolt.adapter.socket_mode.builtin import SocketModeHandler as BuiltinHandler
from slack_bolt.adapter.socket_mode.websocket_client import SocketModeHandler as WebsocketClientHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.localslack.people import ACCESS, ANN, Json, card, form, home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localslack.server import LocalSlack

_SHORT = 0.1
_LOOKS = 1
"""Seconds between the looks that a client takes at its connection. Under half a second, the one on websocket-client
takes a connection that it has not begun yet for a lost one, and opens another, without end."""


# websocket-client never closes the socket of a connection that the other side ended; the garbage collector does.
_LEAKS = pytest.mark.filterwarnings("ignore:.*socket.socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(
    params=[
        pytest.param(BuiltinHandler, id="builtin"),
        pytest.param(WebsocketClientHandler, id="websocket_client", marks=_LEAKS),
    ],
)
def app(request: pytest.FixtureRequest, slack: LocalSlack, client: WebClient) -> Iterator[App]:
    """A Bolt app connected by Socket Mode."""
    app = App(client=client)
    handler = request.param(app, slack.app_token, ping_interval=_LOOKS)
    handler.connect()
    slack.wait_until(lambda: slack.socket_mode.connection_count == 1)
    yield app
    # A client that still reads takes three seconds to close, or ten; one that saw its connection closed does not.
    handler.client.auto_reconnect_enabled = False
    slack.socket_mode.drop()
    slack.wait_until(lambda: not handler.client.is_connected())
    handler.close()
    app.listener_runner.listener_executor.shutdown()
    gc.collect()


def open_socket_url(slack: LocalSlack) -> str:
    return str(WebClient(base_url=slack.api_url).apps_connections_open(app_token=slack.app_token)["url"])


def test_commands_buttons_forms_and_events_go_both_ways(slack: LocalSlack, app: App, client: WebClient) -> None:
    @app.command("/access")
    def access(ack: Ack, command: Json, client: WebClient) -> None:
        client.views_open(trigger_id=command["trigger_id"], view=form())
        ack("Fill in the form.")

    @app.view("ask")
    def sent(ack: Ack) -> None:
        ack(response_action="errors", errors={"why": "Say more."})

    @app.action("approve")
    def approve(ack: Ack) -> None:
        ack()

    @app.event("app_home_opened")
    def opened(event: Json, client: WebClient) -> None:
        client.views_publish(user_id=event["user"], view=home())

    asked = slack.run_command(ANN, ACCESS, "/access")
    assert (asked.is_accepted, asked.text) == (True, "Fill in the form.")
    assert asked.view is not None
    typed = {"profile": {"pick": "prod"}, "why": {"text": "x"}}
    assert slack.submit(ANN, asked.view, typed).errors == {"why": "Say more."}
    client.chat_postMessage(channel=ACCESS, text="a card", blocks=card())
    assert slack.press(ANN, slack.messages(ACCESS)[0], "approve").is_accepted
    assert slack.open_home(ANN).is_accepted
    assert slack.wait_until(lambda: slack.home(ANN))


def test_app_without_a_listener_stays_silent(slack: LocalSlack, app: App) -> None:
    del app
    slack.socket_mode.timeout_seconds = _SHORT  # Three seconds of silence prove no more than a tenth.

    assert slack.run_command(ANN, ACCESS, "/nobody").was_late


def test_dropped_connection_is_opened_anew(slack: LocalSlack, app: App) -> None:
    @app.command("/access")
    def access(ack: Ack) -> None:
        ack("Still here.")

    slack.socket_mode.drop()
    slack.wait_until(lambda: slack.socket_mode.greeted_count >= 2)

    # The client on websocket-client may open a second new connection and leave the first, with what came over it.
    assert slack.wait_until(lambda: slack.run_command(ANN, ACCESS, "/access").text) == "Still here."


def test_refresh_gives_way_to_a_new_connection(slack: LocalSlack, app: App) -> None:
    @app.command("/access")
    def access(ack: Ack) -> None:
        ack("Still here.")

    slack.socket_mode.refresh()
    slack.wait_until(lambda: slack.socket_mode.greeted_count >= 2)

    # The client on websocket-client may open a second new connection and leave the first, with what came over it.
    assert slack.wait_until(lambda: slack.run_command(ANN, ACCESS, "/access").text) == "Still here."


def test_ticket_opens_one_connection(slack: LocalSlack) -> None:
    url = open_socket_url(slack)
    with connect(url) as first, connect(url) as second:
        hello = json.loads(first.recv())
        assert (hello["type"], hello["num_connections"]) == ("hello", 1)
        with pytest.raises(ConnectionClosed, match="4001"):
            second.recv()


def test_ten_connections_share_payloads_and_an_11th_is_refused(slack: LocalSlack) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(10) as people:
        sockets = [stack.enter_context(connect(open_socket_url(slack))) for _ in range(11)]
        greetings = [json.loads(socket.recv()) for socket in sockets]
        assert [greeting["type"] for greeting in greetings] == ["hello"] * 10 + ["disconnect"]
        assert greetings[10]["reason"] == "too_many_websockets"

        asked = [people.submit(slack.run_command, ANN, ACCESS, "/access", str(n)) for n in range(10)]
        for socket in sockets[:10]:
            envelope = json.loads(socket.recv())
            told = {"envelope_id": envelope["envelope_id"], "payload": {"text": envelope["payload"]["text"]}}
            socket.send(json.dumps(told))
        assert [answer.result().text for answer in asked] == [str(n) for n in range(10)]


def test_payload_unacknowledged_by_a_lost_connection_has_failed(slack: LocalSlack) -> None:
    with connect(open_socket_url(slack)) as socket, ThreadPoolExecutor(1) as people:
        socket.recv()
        asked = people.submit(slack.run_command, ANN, ACCESS, "/access")
        socket.recv()
        socket.close()
        assert asked.result().failure == "dispatch_failed"


def test_only_the_app_token_connects(slack: LocalSlack) -> None:
    with pytest.raises(SlackApiError, match="not_allowed_token_type"):
        WebClient(base_url=slack.api_url).apps_connections_open(app_token=slack.bot_token)
