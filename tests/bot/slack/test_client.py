"""The client of Slack's Web API: where its token goes, and what it learns from each answer."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError

from bot.doctor.slack_calls import PatientSlack
from bot.observability.clock_check import MIN_SAMPLES, ComparedClock
from bot.slack.client import like, open_client
from bot.slack.clock_watch import ClockWatch, ask_for_time
from core.clock import SystemClock
from tests.harness.certificate_reads import count_reads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


class Recorder(HTTPServer):
    """A server on this machine that redirects to `target`, or answers as Slack does, and notes the tokens it got."""

    target: str | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.tokens: list[str | None] = []
        self.ahead = timedelta()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/api/"


class Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by the server's clock."""
        assert isinstance(self.server, Recorder)
        now = SystemClock().now().timestamp() if timestamp is None else timestamp
        return super().date_time_string(int(now + self.server.ahead.total_seconds()))

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""

    def _answer(self) -> None:
        assert isinstance(self.server, Recorder)
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.tokens.append(self.headers["authorization"])
        body = b'{"ok": true}'
        self.send_response(302 if self.server.target else 200)
        if self.server.target:
            self.send_header("Location", self.server.target)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_token_follows_no_redirect() -> None:
    with serve() as slack, serve() as other:
        slack.target = other.url
        client = open_client(SecretStr("xoxb-1-a"), slack.url, 30)
        for each in (client, like(client, 30)):
            with pytest.raises(SlackApiError):
                each.auth_test()

        assert slack.tokens == ["Bearer xoxb-1-a"] * 2
        assert other.tokens == []


def test_calls_read_no_certificates_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, nobody = count_reads(monkeypatch), "https://127.0.0.1:1/api/"
    client = open_client(SecretStr("xoxb-1-a"), nobody, 1)
    patient = PatientSlack(SecretStr("xoxb-1-a"), nobody, SystemClock()).client
    for each in (client, like(client, 1), patient):
        with pytest.raises(URLError):
            each.auth_test()

    assert reads == []


class Ahead:
    """A clock that is a minute ahead."""

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(minutes=1)


def test_answers_show_that_the_clock_is_off() -> None:
    clock = ComparedClock(Ahead())
    with serve() as slack:
        client = open_client(SecretStr("xoxb-1-a"), slack.url, 30, compared_clock=clock)
        client.auth_test()
        like(client, 30).auth_test()
        assert not clock.is_known
        ClockWatch(client, clock).ask()

    assert clock.is_off
    assert clock.offset_seconds == pytest.approx(60, abs=5)


def test_slack_that_does_not_answer_changes_nothing() -> None:
    clock = ComparedClock()
    with serve() as slack:
        url = slack.url
    ClockWatch(open_client(SecretStr("xoxb-1-a"), url, 1, compared_clock=clock), clock).ask()

    assert not clock.is_known


def test_single_run_knows_the_time_before_it_begins() -> None:
    clock = ComparedClock()
    with serve() as slack:
        slack.ahead = timedelta(minutes=1)
        ask_for_time(open_client(SecretStr("xoxb-1-a"), slack.url, 30, compared_clock=clock), clock)

        assert len(slack.tokens) == MIN_SAMPLES
    assert clock.is_off


def test_single_run_trusts_its_clock_without_slack(caplog: pytest.LogCaptureFixture) -> None:
    clock = ComparedClock()
    with serve() as slack:
        url = slack.url
    ask_for_time(open_client(SecretStr("xoxb-1-a"), url, 1, compared_clock=clock), clock)

    assert not clock.is_off
    assert "clock was not checked" in caplog.text
