"""Webhooks: signed as an independent implementation verifies, sent once each, and the result of every answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bot.notifications.webhook_sink import WebhookSink
from bot.slack.retry_after import FIX_PAUSE, MAX_PAUSE, MIN_PAUSE, read_retry_after
from core.errors import DeliveryFailed
from core.outbox.outbox import DeliveryCounts, deliver_due
from tests.bot.notifications.receiver import Receiver
from tests.builders import a_draft, a_request
from tests.harness.certificate_reads import count_reads
from tests.harness.clock import A_MOMENT, FrozenClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.audit.trail import AuditEntry
    from core.stores.base import Stores

SECRET = "whsec_" + "c2VjcmV0" * 6
SECOND = timedelta(seconds=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def entry(stores: Stores) -> AuditEntry:
    """A committed entry with text that JSON has to escape."""
    request = stores.requests.create(a_request(), a_draft(details={"justification": 'Fix "INC-12" für jetzt 😀\n'}))
    return stores.audit.get_chain(request.chain)[0]


@pytest.fixture
def sink(receiver: Receiver, clock: FrozenClock) -> WebhookSink:
    return WebhookSink(receiver.url, SecretStr(SECRET), clock, seconds=5.0)


def _failure(sink: WebhookSink, entry: AuditEntry) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        sink.deliver(entry)
    assert "of-the-receiver" not in caught.value.problem
    assert SECRET not in caught.value.problem
    return caught.value


def test_webhook_reads_no_certificates_again(entry: AuditEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = count_reads(monkeypatch)
    sink = WebhookSink("https://127.0.0.1:1/hook", SecretStr(SECRET), FrozenClock())
    with pytest.raises(DeliveryFailed):
        sink.deliver(entry)

    assert reads == []


def test_signature_is_verified_by_an_independent_library(receiver: Receiver, entry: AuditEntry) -> None:
    # The judge takes the machine's time and refuses what is older than five minutes.
    clock = FrozenClock(datetime.now(UTC))
    WebhookSink(receiver.url, SecretStr(SECRET), clock).deliver(entry)
    (received,) = receiver.received

    said = Webhook(SECRET).verify(received.body, received.headers)
    assert said == {"type": "request_submitted", "timestamp": "2026-01-15T03:53:45.120000Z", "data": entry.to_item()}
    assert received.headers["webhook-id"] == entry.id
    assert received.headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
    assert received.headers["content-type"] == "application/json"
    for spoilt in (received.body.replace(b"INC-12", b"INC-13"), received.body + b" "):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(spoilt, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "b3RoZXJz" * 6).verify(received.body, received.headers)


def test_retry_has_the_same_id_and_body_and_a_new_signature(
    receiver: Receiver, sink: WebhookSink, entry: AuditEntry, clock: FrozenClock
) -> None:
    receiver.script = [(500, {})]
    _failure(sink, entry)
    clock.advance(SECOND)
    sink.deliver(entry)
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == entry.id
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_taken(receiver: Receiver, sink: WebhookSink, entry: AuditEntry, status: int) -> None:
    receiver.script = [(status, {})]
    sink.deliver(entry)
    assert len(receiver.received) == 1


def test_gone_is_final(receiver: Receiver, sink: WebhookSink, entry: AuditEntry) -> None:
    receiver.script = [(410, {})]
    failure = _failure(sink, entry)
    assert failure.is_final
    assert "127.0.0.1 answered 410. It no longer accepts" in failure.problem


@pytest.mark.parametrize("status", [429, 503])
def test_receiver_that_asks_for_a_pause_gets_it(
    receiver: Receiver, sink: WebhookSink, entry: AuditEntry, status: int
) -> None:
    receiver.script = [(status, {"Retry-After": "90"}), (status, {})]
    assert _failure(sink, entry).retry_after == 90 * SECOND
    failure = _failure(sink, entry)
    assert (failure.retry_after, failure.is_final) == (None, False)


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500, 502, 504])
def test_every_other_refusal_is_tried_again(
    receiver: Receiver, sink: WebhookSink, entry: AuditEntry, status: int
) -> None:
    receiver.script = [(status, {"Retry-After": "90"})]
    failure = _failure(sink, entry)
    assert (failure.retry_after, failure.is_final) == (None, False)
    assert str(status) in failure.problem


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(receiver: Receiver, sink: WebhookSink, entry: AuditEntry, status: int) -> None:
    receiver.script = [(status, {"Location": receiver.url.replace("/hook", "/elsewhere")})]
    failure = _failure(sink, entry)
    assert [each.path.partition("?")[0] for each in receiver.received] == ["/hook"]
    assert failure.retry_after == FIX_PAUSE
    assert "Redirects aren't followed" in failure.problem


@pytest.mark.parametrize("status", [401, 403])
def test_refused_signature_points_to_the_secret(
    receiver: Receiver, sink: WebhookSink, entry: AuditEntry, status: int
) -> None:
    receiver.script = [(status, {})]
    failure = _failure(sink, entry)
    assert "COUNTERSIGN_WEBHOOK_SECRET" in failure.problem
    assert failure.retry_after == FIX_PAUSE


def test_connection_that_breaks_is_tried_again(receiver: Receiver, sink: WebhookSink, entry: AuditEntry) -> None:
    receiver.script = [None]
    failure = _failure(sink, entry)
    assert (failure.retry_after, failure.is_final) == (None, False)
    assert "didn't answer: RemoteDisconnected" in failure.problem


def test_receiver_that_never_answers_times_out_and_is_retried(
    receiver: Receiver, entry: AuditEntry, clock: FrozenClock
) -> None:
    receiver.script = ["wait"]
    failure = _failure(WebhookSink(receiver.url, SecretStr(SECRET), clock, seconds=0.05), entry)
    assert not failure.is_final
    assert "didn't answer: TimeoutError" in failure.problem


def test_host_that_is_not_there_is_tried_again(entry: AuditEntry, clock: FrozenClock) -> None:
    failure = _failure(WebhookSink("http://127.0.0.1:9/hook?t=of-the-receiver", SecretStr(SECRET), clock), entry)
    assert not failure.is_final


def test_outbox_delivers_once_and_parks_what_is_refused(
    receiver: Receiver, sink: WebhookSink, entry: AuditEntry, stores: Stores, clock: FrozenClock
) -> None:
    receiver.script = [(503, {"Retry-After": "30"}), (410, {})]
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts(postponed=1)
    clock.advance(30 * SECOND)
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts(parked=1)
    (parked,) = stores.outbox.iterate_parked()
    assert parked.entry == entry
    assert (parked.problem or "").startswith("webhook: the webhook of 127.0.0.1 answered 410.")
    assert deliver_due(stores.outbox, [sink], clock) == DeliveryCounts()


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("90", 90 * SECOND),
        (" 90 ", 90 * SECOND),
        ("0", MIN_PAUSE),
        ("99999999999999999999", MAX_PAUSE),
        (format_datetime(A_MOMENT + 40 * SECOND, usegmt=False), timedelta(seconds=39, microseconds=880_000)),
        (format_datetime(A_MOMENT - timedelta(days=9)), MIN_PAUSE),
        ("Wed, 21 Oct 2099 07:28:00 GMT", MAX_PAUSE),
        *((junk, None) for junk in (None, "", "soon", "-1", "1.5", "٣", "Wed, 99 Oct 2099 07:28:00 GMT")),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_within_bounds(header: str | None, pause: timedelta | None) -> None:
    assert read_retry_after(header, A_MOMENT) == pause


def test_body_is_ascii_json_in_one_line(receiver: Receiver, sink: WebhookSink, entry: AuditEntry) -> None:
    sink.deliver(entry)
    body = receiver.received[0].body
    assert body.isascii()
    assert b"\n" not in body
    assert json.loads(body)["data"]["details"]["justification"] == 'Fix "INC-12" für jetzt 😀\n'
