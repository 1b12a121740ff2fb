"""What a new process costs until its first decision: Python, imports, settings, policy, clients, and one approval.

Invariant: each round is a process of its own, with its own Python and nothing loaded; what is counted is its processor
time, so other load on the machine changes it little. The network is this machine's: what Slack and AWS add is missing.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.harness import HOUR, JUSTIFICATION, dynamodb_harness, dynamodb_local, new_person
from benchmarks.results import ResultTable, Section, Size
from core.clock import SystemClock
from core.policy.loader import parse_policy
from core.services import RequestService
from tests.harness.aws import ENVIRONMENT, REGION
from tests.harness.keys import AUDIT_KEY

SLACK_SECONDS: Final = 3.0
"""How long Slack waits for the answer to a command or a click."""
FULL_CORE_MB: Final = 1769
"""AWS gives a function with so much memory one processor, and others their share."""
MEMORIES_MB: Final = (512, 1024, FULL_CORE_MB)
_APPROVER: Final = "U0COLDSTART"
_POLICY: Final = f"""\
version: 1
profiles:
  prod: {{channel: C0BENCH1}}
approval:
  - {{name: one, profiles: [prod], approvers: [{_APPROVER}], max_duration: 4h}}
"""
_CHILD: Final = f"""\
import json, sys, time
spent = [time.process_time()]
from bot.wiring.instance import open_instance
from core.services import RequestService
spent.append(time.process_time())
from bot.settings import settings_to_serve
from core.policy import PolicyFile
settings, slack, api = settings_to_serve()
policy = PolicyFile(settings.policy)
policy.current()
spent.append(time.process_time())
from bot.slack.client import open_client
from core.actor import Actor, UserId
from core.clock import SystemClock
from core.directory import FixedDirectory
from core.request import RequestId
from core.stores.opening import open_stores
client = open_client(slack.bot_token, slack.api_url, 3)
stores = open_stores(settings.store, keyring=settings.keyring)
spent.append(time.process_time())
approver = Actor(id=UserId({_APPROVER!r}), name="Ann")
requests = RequestService(stores, policy, SystemClock(), directory=FixedDirectory({{}}))
requests.approve(RequestId(sys.argv[1]), approver, "Go ahead")
spent.append(time.process_time())
print(json.dumps(spent))
"""
_STEPS: Final = ("Python itself", "imports", "settings and policy", "clients of Slack and DynamoDB", "first approval")


def measure(size: Size) -> Section:
    """Processor time of each step, and how long that takes with the share of a processor that a function gets."""
    rounds = size.pick(15, 2)
    with dynamodb_local() as url, tempfile.TemporaryDirectory() as folder:
        (policy := Path(folder, "policy.yml")).write_text(_POLICY, encoding="utf-8")
        with dynamodb_harness(url, SystemClock()) as (harness, _, prefix):
            requests = RequestService(harness.stores, parse_policy(_POLICY.encode()), harness.clock)
            environment = _environment(f"dynamodb://{REGION}/{prefix}?endpoint_url={url}", policy)
            spent = [
                _start(environment, requests.submit(new_person(), "prod", HOUR, JUSTIFICATION).id)
                for _ in range(rounds)
            ]
    totals = [statistics.median(each[step] for each in spent) for step in range(len(_STEPS))]
    steps = [after - before for before, after in zip([0.0, *totals], totals, strict=False)]
    whole = totals[-1]
    return Section(
        "cold-start",
        "A new process until its first decision",
        (
            ResultTable(
                ("step", "processor time"),
                (
                    *((step, f"{took:.2f} s") for step, took in zip(_STEPS, steps, strict=True)),
                    ("all", f"{whole:.2f} s"),
                ),
                f"The median of {rounds} processes:",
            ),
            ResultTable(
                ("memory of a function", "share of a processor", "at least"),
                tuple((f"{each} MB", f"{_share(each):.2f}", f"{whole / _share(each):.1f} s") for each in MEMORIES_MB),
                "By arithmetic: the processor time divided by the share. Calls of Slack, SSM and AWS come on top.",
            ),
        ),
        (),
        f"Slack waits {SLACK_SECONDS:g} s for the answer to a command or a click, and sends it once: this is why "
        "[Lambda](../docs/deploying/lambda.md) isn't a way to run Countersign.",
    )


def _share(memory: int) -> float:
    return memory / FULL_CORE_MB


def _start(environment: dict[str, str], request_id: str) -> list[float]:
    found = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", _CHILD, request_id], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    spent: list[float] = json.loads(found.stdout)
    return spent


def _environment(store: str, policy: Path) -> dict[str, str]:
    return {
        **os.environ,
        **ENVIRONMENT,
        "COUNTERSIGN_STORE": store,
        "COUNTERSIGN_POLICY": str(policy),
        "COUNTERSIGN_AUDIT_KEY": AUDIT_KEY,
        "SLACK_BOT_TOKEN": "xoxb-cold-start",
        "SLACK_SIGNING_SECRET": "0123456789abcdef0123456789abcdef",
        "COUNTERSIGN_LISTEN": "127.0.0.1:3000",
    }
