"""The HTTP transport under floods that nobody signed: half-sent heads and bodies, by the hundred."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pytest

from bot.observability.metrics import Metrics
from bot.settings.addresses import Address
from bot.transport.connections import ConnectionLimits
from bot.transport.health_pages import HealthPages, HealthServer
from bot.transport.http import MAX_BYTES, HttpTransport
from bot.transport.readiness import Readiness
from tests.bot.transport.small_app import ACCESS, ANN, PATIENCE, SmallApp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localslack.server import LocalSlack

CAP: Final = 20
ENOUGH: Final = 8
"""How many connections one address may have unverified."""
SMALL_BYTES: Final = 300_000
TRICKLED: Final = 6_000
"""So many bytes take longer than any test may."""
HALF_HEAD: Final = b"POST /slack/events HTTP/1.1\r\nHost: x\r\n"
_BODY = urlencode({"command": "/access", "user_id": ANN, "channel_id": ACCESS, "team_id": "T0LOCAL01"}).encode()


def half_sent(body: bytes, length: int = MAX_BYTES, signature: bytes = b"v0=" + b"0" * 64, age: int = 0) -> bytes:
    """A request with the beginning of its body."""
    head = b"X-Slack-Signature: %s\r\nX-Slack-Request-Timestamp: %d\r\nContent-Length: %d\r\n\r\n"
    return HALF_HEAD + head % (signature, time.time() - age, length) + body


class Flood:
    """Clients that stay connected. Each one ends with the test."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        parts = urlsplit(url)
        self.where = (str(parts.hostname), int(parts.port or 0))
        self._stack = stack

    def connect(self, sent: bytes = b"") -> socket.socket:
        client = self._stack.enter_context(socket.create_connection(self.where, timeout=PATIENCE))
        # The server may have closed it already.
        with contextlib.suppress(OSError):
            client.sendall(sent)
        return client


def read_to_the_end(client: socket.socket) -> bytes:
    """What the server sent before it closed the connection, which this waits for."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(4096):
            received += chunk
    return received


def counted(metrics: Metrics, why: str) -> float:
    labels = {"transport": "http", "why": why}
    return metrics.registry.get_sample_value("countersign_turned_away_total", labels) or 0.0


@pytest.fixture
def serve(slack: LocalSlack, small_app: SmallApp, metrics: Metrics) -> Iterator[Callable[..., Flood]]:
    """Serves within limits, and returns a flood that isn't sent yet."""
    with ExitStack() as stack:

        def start(*, per_address: int = CAP, head: float = PATIENCE, request: float = PATIENCE) -> Flood:
            limits = ConnectionLimits(CAP, per_address, SMALL_BYTES, head, request)
            address = Address("127.0.0.1", 0)
            transport = HttpTransport(small_app.dispatcher, metrics, slack.signing_secret, address, limits=limits)
            transport.start()
            stack.callback(transport.stop)
            stack.callback(small_app.let_go.set)
            slack.use_http(transport.url)
            return Flood(transport.url, stack)

        yield start


def send_signed(slack: LocalSlack, client: http.client.HTTPConnection) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", **slack.sign_body(_BODY, int(time.time()))}
    client.request("POST", "/slack/events", _BODY, headers)
    response = client.getresponse()
    assert (response.status, response.read()) == (200, b"In.")


@pytest.mark.parametrize(
    "sent",
    [b"", HALF_HEAD, half_sent(b"x" * 100), half_sent(b"x" * 20_000)],
    ids=["none", "head", "body", "large body"],
)
def test_signed_click_is_answered_while_hundreds_wait(
    slack: LocalSlack, serve: Callable[..., Flood], sent: bytes
) -> None:
    flood = serve()
    waiting = [flood.connect(sent) for _ in range(300)]

    assert slack.run_command(ANN, ACCESS, "/access").text == "In."
    # The oldest made room.
    read_to_the_end(waiting[0])


def test_verified_connection_outlives_a_flood(slack: LocalSlack, serve: Callable[..., Flood]) -> None:
    flood = serve()
    client = http.client.HTTPConnection(*flood.where, timeout=PATIENCE)
    send_signed(slack, client)
    kept = client.sock
    for _ in range(100):
        flood.connect(HALF_HEAD)
    send_signed(slack, client)

    assert client.sock is kept
    client.close()


def test_request_being_answered_outlives_a_flood(
    slack: LocalSlack, small_app: SmallApp, serve: Callable[..., Flood]
) -> None:
    flood = serve()
    body = _BODY.replace(b"access", b"hold")
    held = http.client.HTTPConnection(*flood.where, timeout=PATIENCE)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **slack.sign_body(body, int(time.time()))}
    held.request("POST", "/slack/events", body, headers)
    small_app.wait_for_arrivals(1)
    waiting = [flood.connect(HALF_HEAD) for _ in range(100)]
    read_to_the_end(waiting[0])
    small_app.let_go.set()

    assert held.getresponse().read() == b"Held, and answered."
    held.close()


def test_one_address_cannot_take_every_place(slack: LocalSlack, serve: Callable[..., Flood]) -> None:
    flood = serve(per_address=ENOUGH)
    waiting = [flood.connect(HALF_HEAD) for _ in range(ENOUGH + 1)]

    read_to_the_end(waiting[0])
    assert slack.run_command(ANN, ACCESS, "/access").text == "In."


class TestTimeLimits:
    @pytest.mark.parametrize("sent", [b"", b"P", HALF_HEAD])
    def test_of_a_head_close_the_connection(self, serve: Callable[..., Flood], metrics: Metrics, sent: bytes) -> None:
        answer = read_to_the_end(serve(head=0.05).connect(sent))

        assert answer.startswith(b"HTTP/1.1 408 ") if sent else answer == b""
        assert counted(metrics, "too_slow") == (1 if sent else 0)

    def test_of_a_request_hold_however_its_bytes_trickle(self, serve: Callable[..., Flood], metrics: Metrics) -> None:
        client = serve(request=0.3).connect(half_sent(b""))
        for _ in range(TRICKLED):
            client.sendall(b"x")
            if select.select([client], [], [], 0.01)[0]:
                break
        else:
            pytest.fail("each byte prolonged the time")
        assert read_to_the_end(client).startswith(b"HTTP/1.1 408 ")
        assert counted(metrics, "too_slow") == 1

    def test_of_the_next_head_on_a_kept_connection_too(self, slack: LocalSlack, serve: Callable[..., Flood]) -> None:
        flood = serve(head=0.2)
        client = http.client.HTTPConnection(*flood.where, timeout=PATIENCE)
        send_signed(slack, client)
        client.sock.sendall(HALF_HEAD)

        assert read_to_the_end(client.sock).startswith(b"HTTP/1.1 408 ")
        client.close()


class TestBodies:
    @pytest.mark.parametrize(
        "head",
        [
            half_sent(b"", signature=b""),
            half_sent(b"", signature=b"v0=" + b"0" * 63),
            half_sent(b"", signature=b"v1=" + b"0" * 64),
            half_sent(b"", age=3600),
            half_sent(b"", age=-3600),
        ],
        ids=["none", "short", "other version", "old", "early"],
    )
    def test_are_not_awaited_after_an_impossible_signature(
        self, serve: Callable[..., Flood], metrics: Metrics, head: bytes
    ) -> None:
        # Not one byte of the body is sent, so the answer can't have waited for it.
        assert read_to_the_end(serve().connect(head)).startswith(b"HTTP/1.1 401 ")
        assert counted(metrics, "signature") == 1

    def test_that_announce_too_much_are_not_awaited(self, serve: Callable[..., Flood], metrics: Metrics) -> None:
        head = half_sent(b"", length=MAX_BYTES + 1)

        assert read_to_the_end(serve().connect(head)).startswith(b"HTTP/1.1 413 ")
        assert counted(metrics, "too_large") == 1

    def test_are_bounded_all_together(self, slack: LocalSlack, serve: Callable[..., Flood], metrics: Metrics) -> None:
        flood = serve()
        small = flood.connect(half_sent(b"x" * 10_000, length=10_001))
        large = [flood.connect(half_sent(b"x" * 100_000)) for _ in range(3)]
        closed = select.select(large, [], [], PATIENCE)[0]

        # Slack's own are verified when they are complete, and wait for nobody.
        assert slack.run_command(ANN, ACCESS, "/access").text == "In."
        assert [read_to_the_end(client)[:12] for client in closed] == [b"HTTP/1.1 503"]
        assert counted(metrics, "too_busy") == 1
        # The smallest was kept: its last byte still gets an answer.
        small.sendall(b"x")
        assert read_to_the_end(small).startswith(b"HTTP/1.1 401 ")


def test_health_pages_answer_during_a_flood(serve: Callable[..., Flood], metrics: Metrics) -> None:
    flood = serve()
    monitoring = HealthPages(metrics, Readiness({}))
    health = HealthServer(monitoring, Address("127.0.0.1", 0))
    health.start()
    for _ in range(100):
        flood.connect(HALF_HEAD)
    statuses = []
    for page in ("healthz", "readyz", "metrics"):
        with urlopen(f"{health.url}/{page}", timeout=PATIENCE) as answer:  # noqa: S310  Ours.
            statuses.append(answer.status)
    health.stop()
    monitoring.close()

    assert statuses == [200] * 3


def test_connection_gets_one_answer_without_a_signature(serve: Callable[..., Flood]) -> None:
    pipelined = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 50
    received = read_to_the_end(serve().connect(pipelined))
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in received.lower()
