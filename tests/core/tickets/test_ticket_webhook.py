"""Tickets behind a webhook: what it is asked, and what each of its answers means."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from core.access.principals import SoughtPerson
from core.clock import SystemClock
from core.errors import InvalidInput
from core.tickets.base import TicketAnswer, TicketFound, TicketUnchecked, TicketUnknown
from core.tickets.webhook import WebhookChecker
from tests.harness.target_receiver import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

RITA = SoughtPerson("U0RITA", email="rita@example.com", service="ci-deploy")


class TicketReceiver(ThreadingHTTPServer):
    """Answers each question with `says`, once the reference library has verified it."""

    def __init__(self) -> None:
        self.says: tuple[int, object] = (200, {"state": "open"})
        self.asked: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: TicketReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        Webhook(SECRET).verify(body.decode(), {name.lower(): value for name, value in self.headers.items()})
        self.server.asked.append(json.loads(body))
        status, says = self.server.says
        answer = says if isinstance(says, bytes) else json.dumps(says).encode()
        self.send_response_only(status)
        self.send_header("location", "https://example.com/elsewhere")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[TicketReceiver]:
    with TicketReceiver() as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def check(receiver: TicketReceiver) -> TicketFound:
    url = f"http://127.0.0.1:{receiver.server_port}/tickets?token=of-the-receiver"
    return WebhookChecker(url, SecretStr(SECRET), SystemClock(), seconds=5.0).check("INC-12", RITA)


def test_question_names_the_ticket_and_the_requester(receiver: TicketReceiver) -> None:
    receiver.says = (200, {"state": "open", "is_requesters": True, "title": "Down\n", "status": "New", "more": 1})

    assert check(receiver) == TicketAnswer(is_open=True, is_requesters=True, title="Down", status="New")
    (asked,) = receiver.asked
    assert asked == {
        "id": asked["id"],
        "op": "check_ticket",
        "ticket": "INC-12",
        "requester": {"slack_id": "U0RITA", "email": "rita@example.com", "service": "ci-deploy"},
    }


@pytest.mark.parametrize(
    ("status", "says", "found"),
    [
        (200, {"state": "open"}, TicketAnswer(is_open=True)),
        (200, {"state": "open", "is_requesters": "yes"}, TicketAnswer(is_open=True)),
        (200, {"state": "closed", "is_requesters": False}, TicketAnswer(is_open=False, is_requesters=False)),
        (200, {"state": "unknown"}, TicketUnknown()),
        (200, {"state": "pending"}, "didn't say whether it is open"),
        (200, {"is_open": True}, "didn't say whether it is open"),
        (200, [], "didn't say whether it is open"),
        (200, b"[" * 20_000, "didn't say whether it is open"),
        (200, b" " * 70_000, "gave no answer (ValueError)"),
        (404, {"state": "unknown"}, "answered 404"),
        (307, {"state": "open"}, "answered 307"),
        (500, {"state": "open"}, "answered 500"),
    ],
)
def test_answer_means_what_it_says(
    receiver: TicketReceiver, status: int, says: object, found: TicketFound | str
) -> None:
    receiver.says = (status, says)
    expected = TicketUnchecked(f"the webhook of 127.0.0.1 {found}") if isinstance(found, str) else found
    assert check(receiver) == expected


def test_address_and_secret_have_to_be_safe() -> None:
    with pytest.raises(InvalidInput, match="unencrypted"):
        WebhookChecker("http://tickets.example.com", SecretStr(SECRET), SystemClock())
    with pytest.raises(InvalidInput, match="not a secret of a webhook"):
        WebhookChecker("https://tickets.example.com", SecretStr("short"), SystemClock())
