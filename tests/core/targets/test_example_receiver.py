"""The receiver that people copy from deploy/."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest
from pydantic import SecretStr

from core.clock import SystemClock
from core.standard_webhooks import WebhookKey
from core.targets.exchange import Order
from tests.core.targets.harness import a_right
from tests.harness.target_receiver import SECRET, WebhookReceiver, example

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

FILE = Path(__file__).parents[3] / "deploy" / "webhook-receiver" / "receiver.py"
ORDER = Order.inspect(a_right("database", "readers", "jon", "warehouse"))


@pytest.fixture
def url() -> Iterator[str]:
    with WebhookReceiver() as served:
        theirs = example().make_handler(served.receiver, SECRET)
        served._server.RequestHandlerClass = theirs  # noqa: SLF001 - without the harness's look before it
        yield served.url


def status_of(url: str, headers: dict[str, str], body: bytes) -> int:
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310  our own server
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def signed(body: bytes, *, secret: str = SECRET, at: datetime | None = None, name: str = ORDER.id) -> dict[str, str]:
    return WebhookKey(SecretStr(secret)).sign(name, at or SystemClock().now(), body)


def test_order_that_is_signed_is_answered(url: str) -> None:
    body = ORDER.body()

    assert status_of(url, signed(body), body) == 200
    # Two keys while a secret is being changed: one of them is enough.
    both = signed(body)
    both["webhook-signature"] = "v1,AAAA v1a,BBBB " + both["webhook-signature"]
    assert status_of(url, both, body) == 200


@pytest.mark.parametrize("fault", ["unsigned", "another key", "old", "from the future", "changed", "renamed", "v2"])
def test_order_that_is_not_genuine_is_refused(url: str, fault: str) -> None:
    body = ORDER.body()
    other_key = "whsec_" + base64.b64encode(b"x" * 24).decode()
    now = SystemClock().now()
    headers = {
        "unsigned": {},
        "another key": signed(body, secret=other_key),
        "old": signed(body, at=now - timedelta(minutes=6)),
        "from the future": signed(body, at=now + timedelta(minutes=6)),
        "changed": signed(body + b" "),
        "renamed": {**signed(body), "webhook-id": "another"},
        "v2": {name: value.replace("v1,", "v2,") for name, value in signed(body).items()},
    }[fault]

    assert status_of(url, headers, body) == 401


def test_signature_of_another_order_is_refused(url: str) -> None:
    body = ORDER.body()

    assert status_of(url, signed(body, name="another"), body) == 400


def test_body_that_is_too_long_or_no_order_is_refused(url: str) -> None:
    long = b" " * 65_537
    assert status_of(url, signed(long), long) == 413
    for body in (b"", b"[]", b"{}", b'{"id": 1}'):
        assert status_of(url, signed(body), body) == 400


def test_state_outlives_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "rights.json")
    order = {"id": "a-2-give", "op": "give", "generation": 2, "right": dict.fromkeys(example().RIGHT, "x")}
    assert example().Receiver(example().System(path)).answer(order)[1] == {"state": "held", "stood_before": False}

    again = example().Receiver(example().System(path))
    assert again.answer({**order, "op": "inspect"}) == (200, {"state": "held"})
    assert again.answer(order) == (200, {"state": "held", "stood_before": False})
    assert again.answer({**order, "id": "a-1-take", "op": "take", "generation": 1})[0] == 409


def test_example_needs_nothing_but_python() -> None:
    # -I and -S: no site-packages, no environment.
    command = [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({str(FILE)!r}, run_name='example')"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=dict(os.environ))  # noqa: S603
    assert done.stderr == ""
