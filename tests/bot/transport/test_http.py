"""The HTTP transport with signed requests: who gets in, who does not, and what happens when there are too many."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_bolt import BoltResponse

from bot.interactions.interaction import RECEIVED_AT
from bot.observability.metrics import Metrics
from bot.settings.addresses import Address
from bot.transport.connections import ConnectionLimits
from bot.transport.http import MAX_BYTES, HttpTransport
from core.errors import InvalidInput
from tests.bot.transport.small_app import ACCESS, ANN, PATIENCE, SmallApp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localslack.app_transport import Reply
    from localslack.server import LocalSlack

_BODY = urlencode({"command": "/access", "user_id": ANN, "channel_id": ACCESS, "team_id": "T0LOCAL01"}).encode()
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
QUICK: Final = ConnectionLimits(20, 20, head_seconds=PATIENCE, request_seconds=0.05)


def unfinished(body: bytes, length: int = 100) -> bytes:
    """A request whose head could be Slack's, and less of the body than it announces."""
    return (
        b"POST /slack/events HTTP/1.1\r\nHost: x\r\nX-Slack-Signature: v0=%s\r\n"
        b"X-Slack-Request-Timestamp: %d\r\nContent-Length: %d\r\n\r\n%s" % (b"0" * 64, time.time(), length, body)
    )


@pytest.fixture
def transport(slack: LocalSlack, small_app: SmallApp, metrics: Metrics) -> Iterator[HttpTransport]:
    transport = HttpTransport(small_app.dispatcher, metrics, slack.signing_secret, Address("127.0.0.1", 0))
    transport.start()
    slack.use_http(transport.url)
    yield transport
    small_app.let_go.set()
    transport.stop()


def post(slack: LocalSlack, body: bytes, **headers: str) -> Reply:
    """Post a well-signed body."""
    return slack.post_raw(body, {**_FORM, **slack.sign_body(body, int(time.time())), **headers})


def counted(metrics: Metrics, why: str) -> float | None:
    return metrics.registry.get_sample_value("countersign_turned_away_total", {"transport": "http", "why": why})


@pytest.mark.usefixtures("transport")
class TestSignatures:
    def test_that_are_right_get_in_and_the_moment_is_noted(
        self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics
    ) -> None:
        before = time.monotonic()
        answer = slack.run_command(ANN, ACCESS, "/access")

        assert answer.text == "In."
        (context,) = small_app.contexts
        assert before <= context[RECEIVED_AT] <= time.monotonic()
        labels = {"transport": "http", "payload": "command"}
        assert metrics.registry.get_sample_value("countersign_acknowledgement_seconds_count", labels) == 1

    def test_that_are_wrong_old_odd_or_missing_are_refused_unlogged(
        self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics, caplog: pytest.LogCaptureFixture
    ) -> None:
        now = int(time.time())
        refused = [
            {**slack.sign_body(_BODY, now), "X-Slack-Signature": "v0=" + "0" * 64},
            {**slack.sign_body(_BODY, now), "X-Slack-Signature": ""},
            slack.sign_body(b"another body", now),
            slack.sign_body(_BODY, now - 301),
            # On a busy machine the limit, 300 seconds, comes nearer while the others are sent.
            slack.sign_body(_BODY, now + 600),
            slack.sign_body(_BODY, "soon"),
            slack.sign_body(_BODY, ""),
            slack.sign_body(_BODY, f"{now}.5"),
            slack.sign_body(_BODY, f"+{now}"),
            slack.sign_body(_BODY, "1" * 5000),
            {"X-Slack-Request-Timestamp": str(now)},
            {},
        ]
        caplog.set_level("DEBUG")
        assert [slack.post_raw(_BODY, {**_FORM, **headers}).status for headers in refused] == [401] * len(refused)

        assert small_app.contexts == []
        assert counted(metrics, "signature") == len(refused)
        assert [record for record in caplog.records if "channel_id" in record.getMessage()] == []

    def test_are_asked_of_a_check_of_the_certificate_too(self, slack: LocalSlack) -> None:
        body = b"ssl_check=1&token=x"

        assert slack.post_raw(body, _FORM).status == 401
        assert post(slack, body).status == 200

    def test_also_cover_the_challenge_for_the_url(self, slack: LocalSlack) -> None:
        assert slack.verify_request_url()


@pytest.mark.usefixtures("transport")
class TestBodies:
    def test_that_are_too_large_are_refused_whatever_they_claim(
        self, slack: LocalSlack, transport: HttpTransport, small_app: SmallApp, metrics: Metrics
    ) -> None:
        body = b"text=" + b"x" * MAX_BYTES
        connection = http.client.HTTPConnection(urlsplit(transport.url).netloc, timeout=PATIENCE)
        connection.request("POST", "/slack/events", body=iter([body]), encode_chunked=True, headers={
            **_FORM, "Transfer-Encoding": "chunked", **slack.sign_body(body, int(time.time()))
        })  # fmt: skip
        assert connection.getresponse().status == 413
        connection.close()
        assert post(slack, body).status in {413, None}

        assert small_app.contexts == []
        assert (counted(metrics, "too_large") or 0) >= 1

    def test_that_do_not_come_are_not_waited_for(
        self, slack: LocalSlack, small_app: SmallApp, metrics: Metrics
    ) -> None:
        transport = HttpTransport(
            small_app.dispatcher, metrics, slack.signing_secret, Address("127.0.0.1", 0), limits=QUICK
        )
        transport.start()
        where = urlsplit(transport.url)
        with socket.create_connection((where.hostname, where.port), timeout=PATIENCE) as client:
            client.sendall(unfinished(b"half"))
            assert client.recv(100).startswith(b"HTTP/1.1 408")
        transport.stop()

    @pytest.mark.parametrize(
        "body",
        [b"{", b"[]", b"[1]", b"null", b"1", b'"x"', b"payload=%7B", b"payload=[]", b"payload=null", b"{" * 100_000,
         b"[" * 100_000, b'{"a":' * 50_000, b"payload", b'{"authorizations": 3}', b'{"team": []}'],
    )  # fmt: skip
    def test_that_are_signed_and_make_no_sense_are_refused(
        self, slack: LocalSlack, small_app: SmallApp, body: bytes
    ) -> None:
        for kind in (_FORM, {"Content-Type": "application/json"}):
            assert post(slack, body, **kind).status in {400, 404}
        assert small_app.contexts == []

    def test_that_are_no_text_are_refused(self, slack: LocalSlack) -> None:
        assert post(slack, b"\xff\xfe\x00").status == 401

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        body=st.binary(max_size=200)
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["type", "user", "team", "authorizations", "payload", "event", "actions", "view"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    )
    def test_of_any_kind_are_answered_and_break_nothing(self, slack: LocalSlack, metrics: Metrics, body: bytes) -> None:
        # 500 is what Bolt's own middleware answers to an event of an odd shape.
        assert post(slack, body).status in {200, 400, 401, 404, 500}
        assert counted(metrics, "failed") == 0


@pytest.mark.usefixtures("transport")
def test_other_paths_and_methods_are_not_served(transport: HttpTransport) -> None:
    connection = http.client.HTTPConnection(urlsplit(transport.url).netloc, timeout=PATIENCE)
    statuses = []
    for method, path in (("GET", "/slack/events"), ("PUT", "/slack/events"), ("GET", "/"), ("POST", "/admin")):
        connection.request(method, path)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()

    assert statuses == [405, 405, 404, 404]


class TestOverload:
    def test_are_turned_away_at_once_and_those_inside_are_answered(
        self, slack: LocalSlack, small_app: SmallApp, transport: HttpTransport, metrics: Metrics
    ) -> None:
        del transport
        with ThreadPoolExecutor(8) as people:
            held = [people.submit(slack.run_command, ANN, ACCESS, "/hold") for _ in range(8)]
            small_app.wait_for_arrivals(8)
            assert slack.run_command(ANN, ACCESS, "/access").status == 503
            small_app.let_go.set()
            assert [answer.result(PATIENCE).text for answer in held] == ["Held, and answered."] * 8

        assert counted(metrics, "too_busy") == 1
        assert small_app.contexts == []
        assert slack.run_command(ANN, ACCESS, "/access").text == "In."


class TestEnding:
    def test_action_in_flight_is_answered_and_then_nobody_listens(
        self, slack: LocalSlack, small_app: SmallApp, transport: HttpTransport, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "uvicorn.error")
        with ThreadPoolExecutor(2) as people:
            held = people.submit(slack.run_command, ANN, ACCESS, "/hold")
            small_app.wait_for_arrivals(1)
            stopping = people.submit(transport.stop)
            slack.wait_until(lambda: "Waiting for connections to close" in caplog.text)
            assert slack.run_command(ANN, ACCESS, "/access").failure == "dispatch_failed"
            small_app.let_go.set()
            assert held.result(PATIENCE).text == "Held, and answered."
            stopping.result(PATIENCE)
        transport.stop()
        assert "web-server" not in {thread.name for thread in threading.enumerate()}

    def test_closed_dispatcher_turns_away(
        self, slack: LocalSlack, small_app: SmallApp, transport: HttpTransport
    ) -> None:
        del transport
        small_app.close()
        assert slack.run_command(ANN, ACCESS, "/access").status == 503


def test_address_that_is_taken_is_named_by_its_setting(
    slack: LocalSlack, small_app: SmallApp, metrics: Metrics
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(InvalidInput) as error:
            HttpTransport(small_app.dispatcher, metrics, slack.signing_secret, address).start()

    assert error.value.field == "COUNTERSIGN_LISTEN"


@pytest.mark.usefixtures("transport")
class TestAnswers:
    def test_keep_every_header_and_cookie(
        self, slack: LocalSlack, small_app: SmallApp, transport: HttpTransport
    ) -> None:
        headers = {"Content-Type": "text/html", "Set-Cookie": ["a=1", "b=2"], "X-Two": ["1", "2"]}
        small_app.app.command("/odd")(lambda: BoltResponse(status=202, body="<p>", headers=headers))
        body = _BODY.replace(b"access", b"odd")
        connection = http.client.HTTPConnection(urlsplit(transport.url).netloc, timeout=PATIENCE)
        connection.request("POST", "/slack/events", body, {**_FORM, **slack.sign_body(body, int(time.time()))})
        response = connection.getresponse()
        told = response.getheaders()
        assert (response.status, response.read()) == (202, b"<p>")
        connection.close()

        assert [value for name, value in told if name == "set-cookie"] == ["a=1", "b=2"]
        assert [value for name, value in told if name == "x-two"] == ["1", "2"]
        assert dict(told)["content-type"] == "text/html"

    def test_of_a_listener_that_breaks_say_so(self, slack: LocalSlack, small_app: SmallApp) -> None:
        @small_app.app.command("/broken")
        def broken() -> None:
            raise RuntimeError("no")

        assert slack.run_command(ANN, ACCESS, "/broken").status == 500
        assert slack.run_command(ANN, ACCESS, "/access").text == "In."
