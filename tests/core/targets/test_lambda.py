"""The Lambda target: what it invokes, and what each outcome means."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.targets.aws_lambda import LambdaTarget
from core.targets.base import InProgress, Later, OperationKey, TargetRefused, Unknown
from core.targets.exchange import MAX_ANSWER_BYTES
from tests.core.targets.harness import a_right
from tests.harness.aws import REGION
from tests.harness.target_receiver import FUNCTION, Fault, LambdaInvoke

if TYPE_CHECKING:
    from collections.abc import Iterator

RIGHT = a_right("database", "readers", "jon", "warehouse")
UNTIL = datetime(2026, 1, 15, 5, 0, tzinfo=UTC)
KEY = OperationKey("0123456789abcdef", 7)


@pytest.fixture
def function() -> Iterator[LambdaInvoke]:
    with LambdaInvoke() as served:
        yield served


@pytest.fixture
def target(function: LambdaInvoke, aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaTarget]:
    del aws_environment
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", function.url)
    with closing(LambdaTarget.open(REGION, FUNCTION)) as opened:
        yield opened


def error(status: int, code: str) -> Fault:
    return Fault("answer", status, b'{"Message": "scripted"}', (("x-amzn-ErrorType", code),))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("raised"), Unknown),
        (Fault("lost"), Unknown),
        (Fault("answer", 200, b"null"), Unknown),
        (Fault("answer", 200, b'{"state": "held"'), Unknown),
        (Fault("answer", 200, b'{"state": "held", "x": "' + b" " * MAX_ANSWER_BYTES + b'"}'), Unknown),
        (Fault("answer", 200, b'{"state": "absent"}'), Unknown),
        (Fault("answer", 200, b'{"state": "pending"}'), InProgress),
        (Fault("answer", 200, b'{"state": "superseded"}'), Later),
        (Fault("answer", 200, b'{"state": "later", "retry_after_seconds": 1e400}'), Later),
        (Fault("answer", 200, b'{"state": "later", "retry_after_seconds": NaN}'), Later),
        (Fault("answer", 200, b'{"state": "refused"}'), TargetRefused),
        (error(429, "TooManyRequestsException"), Later),
        (error(409, "ResourceConflictException"), Later),
        (error(403, "AccessDeniedException"), TargetRefused),
        (error(404, "ResourceNotFoundException"), TargetRefused),
        (error(500, "ServiceException"), Unknown),
        (error(502, "EC2ThrottledException"), Unknown),
    ],
)
def test_outcome_of_a_give(function: LambdaInvoke, target: LambdaTarget, fault: Fault, expected: type) -> None:
    function.fail("give", fault)

    assert isinstance(target.give(RIGHT, UNTIL, KEY), expected)
    # It was sent once: trying again is the reconciler's.
    assert len(function.orders) == 1


def test_pending_order_is_polled_by_invoking(function: LambdaInvoke, target: LambdaTarget) -> None:
    function.fail("take", Fault("answer", 200, b'{"state": "pending"}'))

    first = target.take(RIGHT, KEY)
    assert isinstance(first, InProgress)
    target.poll(first.token)
    assert [each["op"] for each in function.orders] == ["take", "inspect"]


def test_order_is_the_same_as_a_webhook_gets(function: LambdaInvoke, target: LambdaTarget) -> None:
    target.give(RIGHT, UNTIL, KEY)

    (order,) = function.orders
    assert order["id"] == "0123456789abcdef-7-give"
    assert set(order) == {"id", "op", "grant", "generation", "until", "right"}
