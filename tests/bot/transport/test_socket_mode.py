"""The Socket Mode transport against a local Slack's websockets: refreshes, losses, outages and a clean stop."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bot.observability.metrics import Metrics
from bot.slack.errors import ERRORS, ErrorKind, SlackToken
from bot.transport.readiness import Readiness
from bot.transport.socket_connection import SocketConnection
from bot.transport.socket_mode import SocketModeTransport
from core.errors import InvalidInput
from localslack.faults import RateLimited, Refuse, ServerError, Stall
from localslack.server import LocalSlack
from tests.bot.slack.documented_errors import BY_METHOD, COMMON
from tests.bot.slack.refusals import read_refusal
from tests.bot.transport.small_app import ACCESS, ANN, PATIENCE, SmallApp

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN = "apps.connections.open"
_AT_ONCE = 0.05
_OPERATORS_TASK = sorted(code for code in COMMON | BY_METHOD[_OPEN] if ERRORS[code].kind is ErrorKind.OPERATOR)


def new_transport(slack: LocalSlack, small_app: SmallApp, metrics: Metrics) -> SocketModeTransport:
    return SocketModeTransport(
        small_app.dispatcher, metrics, small_app.client, slack.app_token,
        linger_seconds=_AT_ONCE, retry_pause_seconds=_AT_ONCE,
    )  # fmt: skip


@pytest.fixture
def transport(slack: LocalSlack, small_app: SmallApp, metrics: Metrics) -> Iterator[SocketModeTransport]:
    transport = new_transport(slack, small_app, metrics)
    yield transport
    small_app.let_go.set()
    transport.stop()
    assert not {thread.name for thread in threading.enumerate()} & {"socket-mode", "socket-connection"}


@pytest.fixture
def connected(transport: SocketModeTransport) -> SocketModeTransport:
    transport.start()
    assert transport.is_connected()
    return transport


def is_greeted(slack: LocalSlack, count: int) -> bool:
    return slack.socket_mode.greeted_count == count


def say(slack: LocalSlack, text: str) -> None:
    """Send these very characters over every connection."""
    import asyncio  # noqa: PLC0415 - the local Slack's own loop is not for tests, save for what Slack never says

    for connection in slack.socket_mode._connections:  # noqa: SLF001 - see above
        asyncio.run_coroutine_threadsafe(connection.websocket.send_text(text), connection.loop).result(PATIENCE)


@pytest.mark.usefixtures("connected")
class TestPayloads:
    def test_are_acknowledged_with_what_the_app_says(
        self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics
    ) -> None:
        small_app.app.command("/rich")(lambda ack: ack(text="Said.", response_type="ephemeral"))

        assert slack.run_command(ANN, ACCESS, "/access").text == "In."
        assert slack.run_command(ANN, ACCESS, "/rich").text == "Said."
        labels = {"transport": "socket_mode", "payload": "command"}
        name = "countersign_acknowledgement_seconds_count"
        slack.wait_until(lambda: metrics.registry.get_sample_value(name, labels) == 2)

    def test_of_a_kind_without_words_are_acknowledged_too(self, slack: LocalSlack, small_app: SmallApp) -> None:
        heard: list[dict[str, Any]] = []
        small_app.app.event("app_home_opened")(lambda request: heard.append(dict(request.headers)))
        answer = slack.open_home(ANN)
        assert answer.is_accepted
        assert slack.redeliver(answer).is_accepted

        assert "x-slack-retry-num" not in heard[0]
        assert (heard[1]["x-slack-retry-num"], heard[1]["x-slack-retry-reason"]) == (["1"], ["http_error"])

    def test_that_the_app_refuses_are_met_with_silence(self, slack: LocalSlack, small_app: SmallApp) -> None:
        slack.socket_mode.timeout_seconds = _AT_ONCE  # Three seconds of silence prove no more.

        @small_app.app.command("/broken")
        def broken() -> None:
            raise RuntimeError("no")

        assert slack.run_command(ANN, ACCESS, "/broken").was_late

    def test_beyond_the_limit_are_met_with_silence_and_counted(
        self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics
    ) -> None:
        with ThreadPoolExecutor(8) as people:
            held = [people.submit(slack.run_command, ANN, ACCESS, "/hold") for _ in range(8)]
            small_app.wait_for_arrivals(8)
            slack.socket_mode.timeout_seconds = _AT_ONCE  # As above.
            assert slack.run_command(ANN, ACCESS, "/access").was_late
            small_app.let_go.set()
            assert [answer.result(PATIENCE).text for answer in held] == ["Held, and answered."] * 8
        labels = {"transport": "socket_mode", "why": "too_busy"}
        assert metrics.registry.get_sample_value("countersign_turned_away_total", labels) == 1

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", "null", "{}", '{"type": "new_thing"}', '{"envelope_id": 3}', '{"envelope_id": "1"}',
         '{"envelope_id": "1", "payload": []}', '{"envelope_id": "1", "payload": "x"}', "[" * 100_000],
    )  # fmt: skip
    def test_that_make_no_sense_end_nothing(self, slack: LocalSlack, text: str) -> None:
        say(slack, text)

        assert slack.run_command(ANN, ACCESS, "/access").text == "In."
        assert slack.socket_mode.greeted_count == 1


class TestConnections:
    @pytest.mark.parametrize("leave_open", [True, False])
    def test_that_slack_refreshes_give_way_to_new_ones(
        self, slack: LocalSlack, connected: SocketModeTransport, *, leave_open: bool
    ) -> None:
        slack.socket_mode.refresh(leave_open=leave_open)
        slack.wait_until(lambda: slack.socket_mode.greeted_count == 2 and slack.socket_mode.connection_count == 1)

        assert slack.run_command(ANN, ACCESS, "/access").text == "In."
        assert connected.connection_count == 1

    def test_are_opened_ahead_when_slack_warns(self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics) -> None:
        patient = SocketModeTransport(small_app.dispatcher, metrics, small_app.client, slack.app_token)
        patient.start()
        slack.socket_mode.warn()
        slack.wait_until(lambda: patient.connection_count == 2)

        assert [slack.run_command(ANN, ACCESS, "/access").text for _ in range(4)] == ["In."] * 4
        patient.stop()
        assert slack.wait_until(lambda: slack.socket_mode.connection_count == 0)

    def test_acknowledge_what_they_carried_though_a_new_one_is_open(
        self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics
    ) -> None:
        patient = SocketModeTransport(small_app.dispatcher, metrics, small_app.client, slack.app_token)
        patient.start()
        with ThreadPoolExecutor(1) as people:
            held = people.submit(slack.run_command, ANN, ACCESS, "/hold")
            small_app.wait_for_arrivals(1)
            slack.socket_mode.warn()
            slack.wait_until(lambda: slack.socket_mode.greeted_count == 2)
            small_app.let_go.set()
            assert held.result(PATIENCE).text == "Held, and answered."
        patient.stop()

    @pytest.mark.usefixtures("connected")
    def test_that_are_lost_are_opened_anew(self, slack: LocalSlack) -> None:
        for count in (2, 3):
            slack.socket_mode.drop()
            slack.wait_until(partial(is_greeted, slack, count))
            assert slack.run_command(ANN, ACCESS, "/access").text == "In."

    @pytest.mark.usefixtures("connected")
    def test_come_back_after_errors_of_slack(self, slack: LocalSlack) -> None:
        slack.faults.next(ServerError(), _OPEN)
        slack.faults.next(RateLimited(retry_after=0), _OPEN)
        slack.socket_mode.drop()

        assert slack.wait_until(lambda: slack.socket_mode.greeted_count == 2)
        assert slack.run_command(ANN, ACCESS, "/access").text == "In."

    @pytest.mark.parametrize("code", ["token_revoked", "team_access_not_granted"])
    def test_wait_until_a_refused_token_is_accepted(
        self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics, caplog: pytest.LogCaptureFixture, code: str
    ) -> None:
        transport = SocketModeTransport(
            small_app.dispatcher, metrics, small_app.client, slack.app_token,
            fix_pause_seconds=_AT_ONCE, retry_pause_seconds=_AT_ONCE,
        )  # fmt: skip
        readiness = Readiness({"slack": transport.is_connected}, fresh_seconds=0.0)
        transport.start()
        assert readiness.find_missing() == ()
        slack.faults.next(Refuse(code), _OPEN, times=None)
        slack.socket_mode.drop()

        assert slack.wait_until(lambda: len(slack.calls_of(_OPEN)) >= 4)
        assert readiness.find_missing() == ("slack",)
        error = read_refusal(code, SlackToken.APP)
        message = f"Slack refuses SLACK_APP_TOKEN: {code}. {error.fix}"
        assert (logging.ERROR, message) in [(each.levelno, each.getMessage()) for each in caplog.records]
        slack.faults.clear()
        assert slack.wait_until(lambda: readiness.find_missing() == ())
        transport.stop()
        readiness.stop()

    def test_ask_once_a_minute_while_the_token_is_refused(
        self, slack: LocalSlack, transport: SocketModeTransport
    ) -> None:
        slack.faults.next(Refuse("token_revoked"), _OPEN)

        assert transport._connect() == (None, 60.0)  # noqa: SLF001  Nobody waits for a minute here.

    def test_come_back_when_slack_was_gone(self, small_app: SmallApp, slack: LocalSlack, metrics: Metrics) -> None:
        first = LocalSlack()
        port = int(first.url.rpartition(":")[2])
        small_app.client.base_url = first.api_url
        transport = SocketModeTransport(small_app.dispatcher, metrics, small_app.client, first.app_token)
        transport.start()
        assert transport.is_connected()
        first.stop()
        slack.wait_until(lambda: not transport.is_connected())
        with LocalSlack(port=port) as again:
            assert again.wait_until(transport.is_connected)
            transport.stop()

    def test_are_not_more_than_one(self, slack: LocalSlack, connected: SocketModeTransport) -> None:
        for _ in range(3):
            slack.socket_mode.refresh()
        slack.wait_until(lambda: slack.socket_mode.greeted_count >= 2 and connected.connection_count == 1)
        slack.wait_until(lambda: slack.socket_mode.connection_count == 1)


class TestBeginning:
    def test_with_a_wrong_token_is_refused_with_the_settings_name(
        self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics
    ) -> None:
        transport = SocketModeTransport(small_app.dispatcher, metrics, small_app.client, slack.bot_token)
        with pytest.raises(InvalidInput) as error:
            transport.start()

        assert error.value.field == "SLACK_APP_TOKEN"
        assert slack.bot_token not in str(error.value)

    @pytest.mark.parametrize("code", _OPERATORS_TASK)
    def test_with_a_token_that_slack_refuses_ends_in_the_fix(
        self, slack: LocalSlack, transport: SocketModeTransport, code: str
    ) -> None:
        slack.faults.next(Refuse(code), _OPEN)
        with pytest.raises(InvalidInput) as error:
            transport.start()

        fix = read_refusal(code, SlackToken.APP).fix
        assert str(error.value) == f"SLACK_APP_TOKEN: Slack refuses it ({code}). {fix}"

    def test_without_slack_goes_on_in_the_background(self, slack: LocalSlack, transport: SocketModeTransport) -> None:
        slack.faults.next(ServerError(), _OPEN)
        transport.start()

        assert slack.wait_until(transport.is_connected)


class TestEnding:
    def test_action_in_flight_is_answered_before_closing(
        self, slack: LocalSlack, small_app: SmallApp, connected: SocketModeTransport
    ) -> None:
        with ThreadPoolExecutor(2) as people:
            held = people.submit(slack.run_command, ANN, ACCESS, "/hold")
            small_app.wait_for_arrivals(1)
            stopping = people.submit(connected.stop)
            small_app.let_go.set()
            assert held.result(PATIENCE).text == "Held, and answered."
            stopping.result(PATIENCE)
        assert slack.wait_until(lambda: slack.socket_mode.connection_count == 0)
        assert slack.run_command(ANN, ACCESS, "/access").failure == "dispatch_failed"

    def test_does_not_wait_for_a_slack_that_hangs(
        self, slack: LocalSlack, connected: SocketModeTransport, small_app: SmallApp
    ) -> None:
        del small_app
        stall = Stall()
        slack.faults.next(stall, _OPEN, times=None)
        slack.socket_mode.drop()
        assert stall.reached.wait(PATIENCE)
        connected.stop()
        stall.release()
        slack.wait_until(lambda: "socket-mode" not in {thread.name for thread in threading.enumerate()})

    def test_before_a_connection_is_open_keeps_it_from_opening(self, slack: LocalSlack, small_app: SmallApp) -> None:
        url = str(small_app.client.apps_connections_open(app_token=slack.app_token)["url"])
        connection = SocketConnection(url, small_app.client, lambda connection, envelope: None)  # noqa: ARG005 - nothing comes
        connection.release()
        connection.close()

        assert not connection.open()
        assert slack.wait_until(lambda: slack.socket_mode.connection_count == 0)

    def test_twice_or_before_the_beginning_is_harmless(
        self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics
    ) -> None:
        transport = new_transport(slack, small_app, metrics)
        transport.stop()
        transport.stop()


def test_no_secret_is_logged(
    slack: LocalSlack, connected: SocketModeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    slack.socket_mode.refresh()
    slack.wait_until(lambda: slack.socket_mode.greeted_count == 2)
    say(slack, json.dumps({"type": "disconnect", "reason": "link_disabled"}))
    slack.wait_until(lambda: slack.socket_mode.greeted_count == 3)
    connected.stop()

    assert "link_disabled. Turn on Socket Mode" in caplog.text
    assert "ticket" not in caplog.text
    assert slack.app_token not in caplog.text
