"""The webhook target: what it sends, and what each answer of a receiver means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from core.clock import SystemClock
from core.errors import InvalidInput
from core.standard_webhooks import WebhookKey
from core.targets.base import Absent, Held, InProgress, Later, OperationKey, TargetRefused, Unknown
from core.targets.exchange import MAX_ANSWER_BYTES
from core.targets.webhook import WebhookTarget
from tests.core.targets.harness import a_right
from tests.harness.target_receiver import SECRET, DrippingReceiver, Fault, WebhookReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator

RIGHT = a_right("database", "readers", "jon", "warehouse")
UNTIL = datetime(2026, 1, 15, 5, 0, tzinfo=UTC)
KEY = OperationKey("0123456789abcdef", 7)
TOKEN = "of-the-receiver"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as served:
        yield served


@pytest.fixture
def target(receiver: WebhookReceiver) -> WebhookTarget:
    return WebhookTarget(f"{receiver.url}/hook?token={TOKEN}", SecretStr(SECRET), SystemClock())


def answer(status: int, body: object = b"", **headers: str) -> Fault:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Fault("answer", status, content, tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def test_order_names_right_grant_and_generation(receiver: WebhookReceiver, target: WebhookTarget) -> None:
    target.give(RIGHT, UNTIL, KEY)
    target.take(RIGHT, OperationKey("0123456789abcdef", 8))
    target.inspect(RIGHT)

    give, take, inspect = receiver.orders
    right = {"target": "warehouse", "resource": "database", "level": "readers", "principal": "jon"}
    assert give == {
        "id": "0123456789abcdef-7-give",
        "op": "give",
        "grant": "0123456789abcdef",
        "generation": 7,
        "until": "2026-01-15T05:00:00.000000Z",
        "right": right,
    }
    assert take == {
        "id": "0123456789abcdef-8-take",
        "op": "take",
        "grant": "0123456789abcdef",
        "generation": 8,
        "right": right,
    }
    assert inspect == {"id": inspect["id"], "op": "inspect", "right": right}


def test_id_is_the_same_when_an_order_is_sent_again(receiver: WebhookReceiver, target: WebhookTarget) -> None:
    for _ in range(2):
        target.give(RIGHT, UNTIL, KEY)
        target.inspect(RIGHT)

    ids = [each["webhook-id"] for each in receiver.headers]
    assert ids[0] == ids[2] == "0123456789abcdef-7-give"
    assert ids[1] != ids[3]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (answer(200, {"state": "held"}), Held()),
        (answer(200, {"state": "held", "stood_before": True}), Held(stood_before=True)),
        (answer(200, {"state": "held", "newer": [1]}), Held()),
        (answer(200, {"state": "absent"}), Unknown),
        (answer(200, {"state": "refused", "reason": "no such role"}), TargetRefused),
        (answer(200, {"state": "later", "retry_after_seconds": 30}), Later),
        (answer(200, {"state": "HELD"}), Unknown),
        (answer(200, {"state": ["held"]}), Unknown),
        (answer(200, b"ok"), Unknown),
        (answer(200, b""), Unknown),
        (answer(204), Unknown),
        (answer(200, b'{"state": "held"' + b" " * MAX_ANSWER_BYTES + b"}"), Unknown),
        (answer(200, b"[" * 60_000), Unknown),
        (answer(202), InProgress),
        (answer(202, {"state": "pending"}), InProgress),
        (answer(202, {"state": "held"}), Unknown),
        (answer(302, location="http://127.0.0.1:9/"), TargetRefused),
        (answer(307, location="http://127.0.0.1:9/"), TargetRefused),
        (answer(400, {"state": "refused", "reason": "no such role"}), TargetRefused),
        (answer(401), TargetRefused),
        (answer(404), TargetRefused),
        (answer(410), TargetRefused),
        (answer(499), TargetRefused),
        (answer(409), Later),
        (answer(429, retry_after="17"), Later),
        (answer(503), Later),
        (answer(500), Unknown),
        (answer(504), Unknown),
    ],
    ids=lambda each: f"{each.status}-{each.body[:24]!r}" if isinstance(each, Fault) else "",
)
def test_answer_to_a_give(receiver: WebhookReceiver, target: WebhookTarget, fault: Fault, expected: object) -> None:
    receiver.fail("give", fault)

    found = target.give(RIGHT, UNTIL, KEY)
    assert isinstance(found, expected) if isinstance(expected, type) else found == expected
    assert TOKEN not in repr(found)
    assert len(receiver.orders) == 1


def test_reason_of_the_receiver_is_passed_on(receiver: WebhookReceiver, target: WebhookTarget) -> None:
    receiver.fail("give", answer(422, {"state": "refused", "reason": "no role\n\u202e<!channel>"}), answer(401))

    assert target.give(RIGHT, UNTIL, KEY) == TargetRefused(
        "the webhook of 127.0.0.1 refused with 422: no role <!channel>."
    )
    refused = target.give(RIGHT, UNTIL, KEY)
    assert isinstance(refused, TargetRefused)
    assert "same secret" in refused.reason


@pytest.mark.parametrize(
    ("header", "seconds"), [("17", 17), ("0", 1), ("999999999999", 3600), ("tomorrow", 10), ("-5", 10)]
)
def test_retry_after_is_kept_within_an_hour(
    receiver: WebhookReceiver, target: WebhookTarget, header: str, seconds: int
) -> None:
    receiver.fail("take", answer(429, retry_after=header))

    found = target.take(RIGHT, KEY)
    assert isinstance(found, Later)
    assert found.after == timedelta(seconds=seconds)


def test_pending_is_polled_by_a_look(receiver: WebhookReceiver, target: WebhookTarget) -> None:
    receiver.fail("give", answer(202))
    receiver.fail("inspect", answer(202), answer(200, {"state": "held"}), answer(202))

    first = target.give(RIGHT, UNTIL, KEY)
    assert isinstance(first, InProgress)
    assert [target.poll(first.token) for _ in range(2)] == [first, Held()]
    # A look from outside has no token to wait with.
    assert isinstance(target.inspect(RIGHT), Later)
    assert [each["op"] for each in receiver.orders] == ["give", "inspect", "inspect", "inspect"]


def test_take_that_is_answered_with_held_is_unknown(receiver: WebhookReceiver, target: WebhookTarget) -> None:
    receiver.fail("take", answer(200, {"state": "held"}))

    assert isinstance(target.take(RIGHT, KEY), Unknown)


def test_receiver_that_is_away_is_later() -> None:
    with WebhookReceiver() as served:
        url = served.url
    target = WebhookTarget(url, SecretStr(SECRET), SystemClock())

    found = target.give(RIGHT, UNTIL, KEY)
    assert isinstance(found, Later)
    assert found.is_for_all


@pytest.mark.parametrize("begun", ["HTTP/1.1 200 OK\r\nx-slow: ", "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"])
def test_answer_that_drips_has_one_deadline(begun: str) -> None:
    with DrippingReceiver(begun.encode()) as dripping:
        target = WebhookTarget(dripping.url, SecretStr(SECRET), SystemClock(), call_seconds=0.2)
        assert isinstance(target.give(RIGHT, UNTIL, KEY), Unknown)
    assert dripping.was_hung_up_on


def test_nothing_is_sent_after_the_deadline(receiver: WebhookReceiver) -> None:
    late = WebhookTarget(receiver.url, SecretStr(SECRET), SystemClock(), call_seconds=0.0)
    assert isinstance(late.give(RIGHT, UNTIL, KEY), Unknown)
    assert receiver.orders == []


def test_redirect_is_never_followed(receiver: WebhookReceiver, target: WebhookTarget) -> None:
    with WebhookReceiver() as elsewhere:
        receiver.fail("give", answer(307, location=f"{elsewhere.url}/"), answer(302, location=f"{elsewhere.url}/"))
        target.give(RIGHT, UNTIL, KEY)
        target.give(RIGHT, UNTIL, KEY)
        assert elsewhere.orders == []


@pytest.mark.parametrize(
    "url",
    [
        "http://access.example.com/hook",
        "http://127.0.0.1.example.com/hook",
        "ftp://access.example.com/hook",
        "https://user:hunter2@access.example.com/hook",
        "https:///hook",
        "https://access.example.com:port/hunter2",
        "file:///etc/passwd",
    ],
)
def test_address_must_be_encrypted_and_plain(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        WebhookTarget(url, SecretStr(SECRET), SystemClock())
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["https://access.example.com/hook", "http://[::1]:8080/", "http://localhost:8080/"])
def test_address_may_be_encrypted_or_on_this_machine(url: str) -> None:
    WebhookTarget(url, SecretStr(SECRET), SystemClock())


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_hunter2", "whsec_aHVudGVyMg==", SECRET.removeprefix("whsec_")])
def test_secret_must_be_one_and_is_never_quoted(secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        WebhookTarget("https://access.example.com/", SecretStr(secret), SystemClock())
    assert not secret.removeprefix("whsec_") or secret not in str(refused.value)
    assert refused.value.__cause__ is None


def test_secret_and_address_stand_in_no_repr(target: WebhookTarget) -> None:
    key = WebhookKey(SecretStr(SECRET))
    shown = f"{target!r} {key!r}"

    assert SECRET not in shown
    assert "secret of the target" not in shown
    assert TOKEN not in shown


def test_token_of_nothing_is_refused(receiver: WebhookReceiver, target: WebhookTarget) -> None:
    assert isinstance(target.poll("pending:a|b|c"), TargetRefused)
    assert receiver.orders == []


def test_operator_says_what_becomes_of_sessions(receiver: WebhookReceiver) -> None:
    target = WebhookTarget(
        receiver.url, SecretStr(SECRET), SystemClock(), ends_sessions=True, residual=timedelta(minutes=5)
    )

    assert target.ends_sessions
    assert target.residual(RIGHT) == timedelta(minutes=5)
    assert target.inspect(RIGHT) == Absent()
