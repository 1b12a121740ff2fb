"""Menus with an external data source: asked in time, answered strictly, chosen from what was offered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from slack_bolt import Ack, App
from slack_bolt.adapter.socket_mode.builtin import SocketModeHandler

from localslack.refusals import NotOnScreen, SlackRefusal
from localslack.suggestions import read_suggestions
from localslack.views import Views
from tests.localslack.bolt_over_http import BoltOverHttp
from tests.localslack.people import ANN, BEN, Json

if TYPE_CHECKING:
    from slack_sdk import WebClient

    from localslack.records import View
    from localslack.server import LocalSlack


def option(value: str) -> Json:
    return {"text": {"type": "plain_text", "text": value}, "value": value}


def menu(**more: object) -> Json:
    return {"type": "external_select", "action_id": "pick", "min_query_length": 0, **more}


def show(slack: LocalSlack, element: Json, *, dispatch: bool = True) -> View:
    block = {"type": "input", "block_id": "what", "label": {"type": "plain_text", "text": "What?"}, "element": element}
    title = {"type": "plain_text", "text": "Ask"}
    content = {"type": "modal", "title": title, "submit": title, "blocks": [block | {"dispatch_action": dispatch}]}
    return Views(slack.workspace).open(ANN, content)


@pytest.fixture
def asked(app: App) -> list[Json]:
    """What the app is asked; it finds what begins with the query."""
    bodies: list[Json] = []

    @app.options("pick")
    def find(ack: Ack, body: Json) -> None:
        bodies.append(body)
        ack(options=[option(name) for name in ("prod", "prod-eu", "staging") if name.startswith(body["value"])])

    @app.action("pick")
    def picked(ack: Ack, body: Json) -> None:
        bodies.append(body)
        ack()

    return bodies


def test_query_reaches_the_app_and_its_options_can_be_chosen(slack: LocalSlack, app: App, asked: list[Json]) -> None:
    with BoltOverHttp(app) as served:
        slack.use_http(served.url, options_url=served.url)
        view = show(slack, menu())
        with pytest.raises(NotOnScreen):
            slack.press(ANN, view, "pick", "prod")
        found = slack.search(ANN, view, "pick", "pro")

        assert [each["value"] for each in found.options] == ["prod", "prod-eu"]
        # What Slack sends, and what it leaves out.
        assert (asked[0]["type"], asked[0]["value"], asked[0]["block_id"]) == ("block_suggestion", "pro", "what")
        assert asked[0]["view"]["state"] == {"values": {}}
        assert not {"trigger_id", "response_url", "actions"} & asked[0].keys()
        assert slack.press(ANN, view, "pick", "prod-eu").failure is None
        assert asked[1]["view"]["state"]["values"]["what"]["pick"]["selected_option"]["value"] == "prod-eu"
        with pytest.raises(NotOnScreen):
            slack.press(ANN, view, "pick", "staging")


def test_options_arrive_over_socket_mode_too(slack: LocalSlack, client: WebClient) -> None:
    app = App(client=client)

    @app.options("pick")
    def find(ack: Ack) -> None:
        ack(options=[option("prod")])

    handler = SocketModeHandler(app, slack.app_token, ping_interval=1)
    handler.connect()  # type: ignore[no-untyped-call]
    slack.wait_until(lambda: slack.socket_mode.connection_count == 1)

    assert [each["value"] for each in slack.search(ANN, show(slack, menu()), "pick").options] == ["prod"]

    handler.client.auto_reconnect_enabled = False
    slack.socket_mode.drop()
    slack.wait_until(lambda: not handler.client.is_connected())
    handler.close()  # type: ignore[no-untyped-call]
    app.listener_runner.listener_executor.shutdown()


def test_menu_stays_empty_over_http_without_an_options_url(slack: LocalSlack, asked: list[Json]) -> None:
    answer = slack.search(ANN, show(slack, menu()), "pick", "pro")

    assert (answer.failure, answer.options, asked) == ("no_options_load_url", (), [])


def test_menu_asks_from_its_shortest_query_on(slack: LocalSlack) -> None:
    with pytest.raises(NotOnScreen, match="from 3 characters"):
        slack.search(ANN, show(slack, {"type": "external_select", "action_id": "pick"}), "pick", "pr")


def test_field_sends_its_choice_only_with_dispatch_action(slack: LocalSlack) -> None:
    view = show(slack, menu(initial_option=option("prod")), dispatch=False)

    with pytest.raises(NotOnScreen, match="dispatch_action"):
        slack.press(ANN, view, "pick", "prod")


def test_no_more_can_be_selected_than_the_menu_takes(slack: LocalSlack, asked: list[Json]) -> None:
    several = {**menu(initial_options=[option("prod")]), "type": "multi_external_select", "max_selected_items": 1}

    with pytest.raises(NotOnScreen, match="only 1"):
        slack.press(ANN, show(slack, several), "pick", ["prod", "prod"])
    with pytest.raises(SlackRefusal):
        slack.press(BEN, show(slack, several).model_copy(update={"id": "V0GONE"}), "pick", ["prod"])
    assert asked == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("", ""),
        ("no json", "application/json"),
        ("{}", "application/json"),
        ('{"options": [], "option_groups": []}', "application/json"),
        (json.dumps({"options": [option(str(number)) for number in range(101)]}), "application/json"),
        (json.dumps({"options": [option("x" * 151)]}), "application/json"),
        (json.dumps({"options": [{"value": "prod"}]}), "application/json"),
        (json.dumps({"options": []}), "text/plain"),
    ],
)
def test_answer_that_slack_would_not_take_is_refused(body: str, kind: str) -> None:
    with pytest.raises(SlackRefusal):
        read_suggestions(body, kind)
