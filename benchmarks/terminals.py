"""How long a click waits while 200 terminals wait for decisions and 50 calls a second ask for credentials.

Invariant: clicks with and without the load ran interleaved, on the same bot process. What counts is their ratio; a call
or a click that failed misses a goal.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, Any, Final

from benchmarks.acknowledgement import failed, quantile, row
from benchmarks.clicks import ClickHarness, TimedClick, click_harness
from benchmarks.results import Goal, ResultTable, Section, Size
from core.actor import Actor, UserId
from core.clock import SystemClock
from core.directory import FixedDirectory
from core.request import RequestId
from core.services import PairingService, RequestService
from tests.harness.pretend_aws import EXTERNAL_ID, PROD, REVOKER
from tests.harness.served_bot import free_port

POLLS: Final = 200
CREDENTIALS_PER_SECOND: Final = 50
CLICKS_PER_SECOND: Final = 10
"""A click costs about as much time of the processor as a call for credentials: fifty of each are more than one has."""
_DEVICES: Final = 25
_REQUESTER: Final = UserId("U0MIRA")
_APPROVER: Final = UserId("U0JON00")
_MAX_RATIO: Final = 3.0
_MAX_SECONDS: Final = 0.25
_HEADINGS: Final = ("over", "click", "clicks", "p50", "p99", "longest", "p50 / without terminals", "failed")
_POLICY: Final = f"""
  - {{name: role, profiles: [role], requesters: [{_REQUESTER}], approvers: [{_APPROVER}], max_duration: 4h,
     max_pending: 3}}
targets:
  aws-prod: {{type: aws-role, role: "{PROD}", lease: 1h, region: eu-west-1, external_id: {EXTERNAL_ID},
     revoker: "{REVOKER}"}}
"""


def measure(size: Size) -> Section:
    """Over HTTP."""
    with _load_process() as (lines, sent):
        url, key, secret, session = json.loads(lines.readline())
        port = free_port()
        more = {
            "COUNTERSIGN_API_LISTEN": f"127.0.0.1:{port}",
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": session or "",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }
        with click_harness(over_http=True, more=more, add_to_policy=_POLICY) as harness:
            return _measure(harness, f"127.0.0.1:{port}", lines, sent, size)


def _measure(harness: ClickHarness, where: str, lines: IO[str], sent: IO[str], size: Size) -> Section:
    tokens = _pair(harness)
    load = {"where": where, "tokens": tokens, "polls": POLLS, "per_second": CREDENTIALS_PER_SECOND}
    load |= _open_access(harness, where, tokens[0])
    blocks, in_each = size.pick(8, 2), CLICKS_PER_SECOND * size.pick(6, 4)
    approve = [harness.approval_of(request) for request in harness.ask(2 * blocks * in_each)]
    harness.settle()
    alone: list[TimedClick] = []
    beside: list[TimedClick] = []
    calls, medians = 0, list[float]()
    broken: Counter[str] = Counter()
    for block in range(2 * blocks):
        clicks = approve[block * in_each : (block + 1) * in_each]
        if block % 2 == 0:
            alone.extend(harness.click_all(clicks, CLICKS_PER_SECOND))
        else:
            _tell(sent, json.dumps(load))
            lines.readline()
            beside.extend(harness.click_all(clicks, CLICKS_PER_SECOND))
            _tell(sent, "stop")
            count, lost, median = json.loads(lines.readline())
            calls, medians = calls + count, [*medians, median]
            broken.update(lost)
        harness.settle()
    floor = quantile(alone, 0.5)
    ratio = quantile(beside, 0.5) / floor
    return Section(
        name="terminals",
        title=f"Clicks beside {POLLS} long polls and {CREDENTIALS_PER_SECOND} calls for credentials a second",
        tables=(
            ResultTable(
                _HEADINGS, (row("HTTP", "approve", alone, floor), row("HTTP", "approve, with terminals", beside, floor))
            ),
            ResultTable(
                ("calls for credentials", "failed", "p50"),
                ((str(calls), str(broken.total()), f"{sorted(medians)[len(medians) // 2] * 1000:.0f} ms"),),
            ),
        ),
        goals=(
            Goal(
                "no call of a terminal fails",
                ", ".join(f"{count} times {what}" for what, count in broken.items()) or "0",
                not broken and calls > 0,
            ),
            Goal("no click fails", str(failed(alone) + failed(beside)), not failed(alone) + failed(beside)),
            Goal(
                "with terminals, p99 of a click is under 250 ms",
                f"{quantile(beside, 0.99) * 1000:.1f} ms",
                quantile(beside, 0.99) < _MAX_SECONDS,
            ),
            Goal(f"a click takes at most {_MAX_RATIO:g} times as long (p50)", f"{ratio:.2f}", ratio <= _MAX_RATIO),
        ),
        note=(
            "The bot runs in one process; a local Slack and the people who click in another; the terminals and a "
            "pretend AWS, which checks each signature and policy, in a third: all on the same two cores."
        ),
    )


def _pair(harness: ClickHarness) -> list[str]:
    """Devices of one person, paired past HTTP, whose limits are for strangers."""
    pairing = PairingService(harness.stores, harness.policy, SystemClock(), directory=FixedDirectory())
    tokens = []
    for number in range(_DEVICES):
        started = pairing.start(f"laptop-{number}", "benchmark", f"192.0.2.{number}")
        pairing.confirm(started.user_code, Actor(id=_REQUESTER))
        tokens.append(pairing.exchange(started.device_code, f"192.0.2.{number}").token.get_secret_value())
    return tokens


def _open_access(harness: ClickHarness, where: str, token: str) -> dict[str, str]:
    """Access whose credentials are asked for, and a request that stays open while they wait for it."""
    body = {"profile": "role", "duration": "2h", "justification": "Load for the benchmark"}
    made = _ask(where, "POST", "/v1/requests", token, body)
    service = RequestService(harness.stores, harness.policy, SystemClock(), directory=FixedDirectory())
    service.approve(RequestId(made["id"]), Actor(id=_APPROVER))
    while _ask(where, "GET", f"/v1/requests/{made['id']}", token)["access"]["phase"] != "open":
        time.sleep(0.2)
    # The first call of every device makes its session, and boto3 loads its descriptions.
    _ask(where, "POST", "/v1/credentials/role", token)
    waiting = _ask(where, "POST", "/v1/requests", token, body)
    return {"request": waiting["id"], "version": waiting["version"]}


def _ask(where: str, method: str, path: str, token: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    with closing(http.client.HTTPConnection(where, timeout=60)) as connection:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        read = json.loads(answer.read())
        if answer.status >= 300:  # noqa: PLR2004
            raise RuntimeError(read)
        return read


@contextmanager
def _load_process() -> Iterator[tuple[IO[str], IO[str]]]:
    command = [sys.executable, "-m", "benchmarks.api_load"]
    with subprocess.Popen(  # noqa: S603  Ours.
        command, env=dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the load did not start")
        try:
            yield process.stdout, process.stdin
        finally:
            process.stdin.close()
            process.terminate()


def _tell(sent: IO[str], line: str) -> None:
    sent.write(f"{line}\n")
    sent.flush()
