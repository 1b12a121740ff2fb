"""`countersign sweep`, as cron runs it."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.clock import SystemClock
from core.request import RequestId, RequestStatus
from localslack.faults import Refuse, ServerError
from tests.bot.slack.test_client import serve
from tests.builders import DAY
from tests.core.services.harness import RITA
from tests.harness.clock import FrozenClock
from tests.harness.otlp_receiver import OtlpReceiver

if TYPE_CHECKING:
    from core.request import Request
    from tests.bot.doctor.conftest import Installation

ACCESS = "C0ACCESS1"
NOTHING = """\
expired: 0 requests, 0 break-glass events
reminders: 0 requests, 0 reviews
escalated: 0 requests
asked before the end: 0 break-glass events
reminded before access ends: 0 requests
access: 0 rights visited
delivered: 0 notifications
"""
ONLY_THE_POLICY = NOTHING.replace("0 notifications", "1 notification")
"""The first sweep writes the policy's version into the trail, and delivers that."""


def _ago(past: timedelta) -> FrozenClock:
    return FrozenClock(SystemClock().now() - past)


def _stored(installation: Installation, request: Request) -> Request:
    with closing(installation.open()) as stores:
        return stores.requests.get(RequestId(request.id))


def test_sweep_expires_reminds_delivers_and_says_what_it_did(installation: Installation) -> None:
    overdue = installation.submit("prod", clock=_ago(2 * DAY))
    waiting = installation.submit("staging", clock=_ago(timedelta(hours=2)))
    result = installation.run("sweep")
    assert result.output == (
        "expired: 1 request, 0 break-glass events\n"
        "reminders: 1 request, 0 reviews\n"
        "escalated: 0 requests\n"
        "asked before the end: 0 break-glass events\n"
        "reminded before access ends: 0 requests\n"
        "access: 0 rights visited\n"
        "delivered: 6 notifications\n"
    )
    assert result.exit_code == 0
    assert _stored(installation, overdue).status is RequestStatus.EXPIRED
    assert _stored(installation, waiting).reminded_at is not None
    cards = [each for each in installation.slack.messages(ACCESS) if each.thread_ts is None]
    assert len(cards) == 2
    assert installation.slack.dm(RITA.id)


@pytest.mark.parametrize("ahead", [timedelta(minutes=-1), timedelta(minutes=1)])
def test_sweep_ends_nothing_by_a_clock_that_is_off(installation: Installation, ahead: timedelta) -> None:
    overdue = installation.submit("prod", clock=_ago(2 * DAY))
    with serve() as slack:
        slack.ahead = ahead
        installation.set("SLACK_API_URL", slack.url)
        result = installation.run("sweep")
    assert "expired: 0 requests" in result.output
    assert _stored(installation, overdue).status is RequestStatus.PENDING


def test_sweep_trusts_its_clock_while_slack_is_away(installation: Installation) -> None:
    overdue = installation.submit("prod", clock=_ago(2 * DAY))
    with serve() as slack:
        installation.set("SLACK_API_URL", slack.url)
    assert "expired: 1 request" in installation.run("sweep").output
    assert _stored(installation, overdue).status is RequestStatus.EXPIRED


def test_second_run_finds_nothing_left(installation: Installation) -> None:
    installation.submit()
    installation.run("sweep")
    assert installation.run("sweep").output == NOTHING
    assert len(installation.slack.messages(ACCESS)) == 1


def test_sweep_needs_no_access_to_mfa_secrets(installation: Installation) -> None:
    installation.set("COUNTERSIGN_MFA_SECRETS", "ssm://eu-west-1/countersign/mfa")
    installation.set("AWS_PROFILE", "nobody-has-this-one")
    result = installation.run("sweep")
    assert result.output == ONLY_THE_POLICY
    assert result.exit_code == 0


def test_undelivered_notifications_are_left_to_the_next_run(installation: Installation) -> None:
    installation.submit()
    installation.slack.faults.next(ServerError(503), times=None)
    result = installation.run("sweep")
    assert (
        "delivered: 1 notification\npostponed: 1 notification, to be retried by the next sweep or by serve\n"
        in result.output
    )
    assert result.exit_code == 0


def test_sweep_exports_traces_as_serve_does(installation: Installation) -> None:
    installation.submit()
    with OtlpReceiver() as collector:
        installation.set("COUNTERSIGN_TRACING", "otlp")
        installation.set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        assert "delivered: 2 notifications" in installation.run("sweep").output
    names = {span.name for span in collector.spans}
    assert names >= {"deliver", "sink slack deliver", "slack chat.postMessage", "store outbox finish"}
    assert collector.problems == []


def test_parked_entries_are_reported_and_retried_when_asked(installation: Installation) -> None:
    installation.submit()
    installation.slack.faults.next(Refuse("invalid_blocks"), "chat.postMessage")
    result = installation.run("sweep")
    assert "parked: 1 notification; `countersign doctor` shows the cause and the fix\n" in result.output
    assert result.exit_code == 1
    assert installation.run("sweep").output == NOTHING
    again = installation.run("sweep", "--retry-parked")
    assert again.output.startswith("retrying 1 failed notification\n")
    assert again.output.endswith("delivered: 1 notification\n")
    assert again.exit_code == 0
    assert len(installation.slack.messages(ACCESS)) == 1


@pytest.mark.parametrize(
    ("name", "value", "code", "said"),
    [
        ("SLACK_BOT_TOKEN", None, 2, "SLACK_BOT_TOKEN: it is not set"),
        ("COUNTERSIGN_AUDIT_KEY", None, 2, "COUNTERSIGN_AUDIT_KEY: it is not set"),
        ("COUNTERSIGN_POLICY", "/nowhere/policy.yml", 2, "policy: /nowhere/policy.yml has 1 mistake"),
        ("COUNTERSIGN_STORE", "sqlite:////nowhere/x.db", 2, "store: there is no file /nowhere/x.db"),
    ],
)
def test_missing_setting_is_named_and_nothing_is_done(
    installation: Installation, name: str, value: str | None, code: int, said: str
) -> None:
    installation.submit()
    installation.set(name, value)
    result = installation.run("sweep")
    assert result.exit_code == code
    assert said in result.output
    assert installation.slack.calls == []


def test_unknown_token_loses_nothing(installation: Installation) -> None:
    installation.submit()
    installation.set("SLACK_BOT_TOKEN", "xoxb-wrong")
    assert "postponed: 1 notification" in installation.run("sweep").output
    with closing(installation.open()) as stores:
        (waiting,) = stores.outbox.iterate_due(SystemClock().now() + DAY)
    assert "invalid_auth" in (waiting.problem or "")
