"""Fifty clicks a second against a served bot: a local Slack, requests that wait, and people who click.

Invariant: a click is sent when it is due, whether or not earlier ones were answered, and is timed from then; so if the
bot delays one click, the delay of those behind it counts too. The bot runs in its own process
(`python -m benchmarks.clicks`), wired as by `countersign serve`, from the same settings. The empty listener that it is
compared with uses the same transport, threads and Bolt app.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bot.observability.logs import configure_logging
from bot.settings import read_api_settings, read_settings, read_slack_settings, secrets_of
from bot.views.request.card import APPROVE, request_card
from bot.wiring.instance import open_instance
from core.actor import ProfileName, UserId
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, EntryDraft
from core.clock import SystemClock
from core.policy import Policy, parse_policy
from core.request import Request, RequestStatus
from core.stores.base import Stores
from core.stores.opening import open_stores
from localslack.answer import Answer
from localslack.faults import Stall
from localslack.records import Channel, Person, SlackMessage
from localslack.server import LocalSlack
from tests.harness.served_bot import AUDIT_KEY, environment, free_port

EMPTY: Final = "/empty"
UP: Final = "up"
MAX_WAITING: Final = "BENCHMARK_MOST_WAITING"

PER_SECOND: Final = 50
STALL_SECONDS: Final = 5.0
_TIMEOUT_SECONDS: Final = 60.0
_REQUESTER, _CHANNEL = "U0MIRA", "C0ACCESS"
_APPROVERS: Final = tuple(f"U0JON{number:02}" for number in range(50))
"""They click in turn: one person alone has few places in the bot's lanes."""
_POLICY: Final = f"""\
version: 1
profiles: {{prod: {{channel: {_CHANNEL}}}}}
approval: [{{name: prod, profiles: [prod], approvers: [{", ".join(_APPROVERS)}], max_duration: 4h}}]
""".encode()


def with_roles(more: str) -> bytes:
    """The policy, with a profile `role` whose target and rule are in `more`."""
    approvers = ", ".join(_APPROVERS)
    return f"""\
version: 1
profiles:
  prod: {{channel: {_CHANNEL}}}
  role: {{channel: {_CHANNEL}, access: [{{target: aws-prod}}]}}
approval:
  - {{name: prod, profiles: [prod], approvers: [{approvers}], max_duration: 4h}}{more}""".encode()


@dataclass(frozen=True, slots=True)
class TimedClick:
    """One click: the seconds from when it was due to its acknowledgement, or what Slack would have shown instead."""

    seconds: float
    failure: str | None


class ClickHarness:
    """A served bot and its Slack."""

    def __init__(self, slack: LocalSlack, stores: Stores, database: Path, policy: Policy) -> None:
        self.policy = policy
        self.slack = slack
        self.stores = stores
        self._database = database
        self._approvers = cycle(_APPROVERS)

    def ask(self, count: int) -> list[Request]:
        """Write this many new requests directly to the store: a person may submit only one at a time."""
        return [self._ask(number) for number in range(count)]

    def _ask(self, number: int) -> Request:
        request = Request.submit(
            requester=UserId(_REQUESTER),
            profile=ProfileName("prod"),
            justification=f"Deploy the fix for INC-{number}",
            rule="prod",
            now=SystemClock().now(),
        )
        submitted = EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, request.requester, {})
        return self.stores.requests.create(request, submitted)

    def empty(self) -> Answer:
        """A click on the empty listener."""
        return self.slack.run_command(_APPROVERS[0], _CHANNEL, EMPTY)

    def approval_of(self, request: Request) -> Callable[[], Answer]:
        """A click on Approve on this request's card, to be called later."""
        message = request_card(request, SystemClock().now())
        card = self.slack.workspace.post_message(
            SlackMessage(
                ts=self.slack.workspace.new_ts(),
                channel=_CHANNEL,
                user=self.slack.backend.app.bot_user,
                text=message.text,
                blocks=tuple(message.blocks),
            )
        )
        approver = next(self._approvers)
        return lambda: self.slack.press(approver, card, APPROVE)

    def click_all(self, clicks: Sequence[Callable[[], Answer]], per_second: float = PER_SECOND) -> list[TimedClick]:
        """Send all clicks, each when it is due."""
        with ThreadPoolExecutor(max(len(clicks), 1)) as people:
            begin = time.monotonic() + 0.1

            def click(number: int) -> TimedClick:
                due = begin + number / per_second
                time.sleep(max(0.0, due - time.monotonic()))
                answer = clicks[number]()
                return TimedClick(time.monotonic() - due, answer.failure)

            return list(people.map(click, range(len(clicks))))

    def approved(self, requests: Sequence[Request]) -> int:
        """How many of them are approved."""
        ids = {request.id for request in requests}
        return sum(each.status is RequestStatus.APPROVED for each in self.stores.requests.iterate() if each.id in ids)

    def count_replies(self, text: str) -> int:
        """How many replies with this text the approvers got."""
        return sum(text in message.text for each in _APPROVERS for message in self.slack.ephemerals(each))

    def settle(self) -> None:
        """Wait until everything that was committed is delivered."""
        self.slack.wait_until(lambda: not any(self.stores.outbox.iterate_due(SystemClock().now())), _TIMEOUT_SECONDS)

    @contextmanager
    def stalled_slack(self) -> Iterator[None]:
        """Slack answers no call until the block ends."""
        stall = Stall()
        self.slack.faults.next(stall, times=None)
        try:
            yield
        finally:
            self.slack.faults.clear()
            stall.release()

    @contextmanager
    def stalled_store(self) -> Iterator[None]:
        """Another transaction locks the database until the block ends."""
        with closing(sqlite3.connect(self._database, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")


@contextmanager
def click_harness(
    *, over_http: bool, max_waiting: int = 1000, more: Mapping[str, str] = MappingProxyType({}), add_to_policy: str = ""
) -> Iterator[ClickHarness]:
    """A harness with a running bot that already knows the approvers. `more` is set in the bot's environment."""
    # Next to the package and not in /tmp, which may be in memory: a commit has to reach a disk.
    policy = _POLICY if not add_to_policy else with_roles(add_to_policy)
    with (
        tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix="scratch-") as name,
        LocalSlack(timeout_seconds=10.0) as slack,
    ):
        folder = Path(name)
        slack.workspace.add(
            Person(id=_REQUESTER, name="mira"),
            *(Person(id=each, name=each.lower()) for each in _APPROVERS),
            Channel(id=_CHANNEL, name="access", members=(_REQUESTER, *_APPROVERS, slack.backend.app.bot_user)),
        )
        port = free_port()
        listen = {"COUNTERSIGN_LISTEN": f"127.0.0.1:{port}"} if over_http else {}
        variables = environment(slack, folder, **listen, **more, **{MAX_WAITING: str(max_waiting)})
        (folder / "policy.yml").write_bytes(policy)
        if over_http:
            slack.use_http(f"http://127.0.0.1:{port}/slack/events")
        keyring = AuditKeyring.from_text(AUDIT_KEY)
        with (
            closing(open_stores(variables["COUNTERSIGN_STORE"], keyring=keyring)) as stores,
            _served(variables),
        ):
            harness = ClickHarness(slack, stores, folder / "countersign.db", parse_policy(policy))
            harness.click_all([harness.approval_of(request) for request in harness.ask(len(_APPROVERS))])
            harness.settle()
            yield harness


@contextmanager
def _served(variables: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.clicks"]
    with subprocess.Popen(  # noqa: S603  Ours.
        command,
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        if process.stdin is None or process.stdout is None or process.stdout.readline().strip() != UP.encode():
            raise RuntimeError("the bot did not start")
        yield
        process.stdin.close()
        process.wait(_TIMEOUT_SECONDS)


def main() -> None:
    """Serve until the standard input ends."""
    settings = read_settings()
    slack = read_slack_settings().require_transport(settings.listen)
    configure_logging(settings.log, sys.stderr, secrets=secrets_of(settings, slack))
    instance = open_instance(settings, slack, read_api_settings(), max_waiting=int(os.environ[MAX_WAITING]))
    instance.bot.app.command(EMPTY)(lambda ack: ack())
    instance.lifecycle.start()
    print(UP, flush=True)
    sys.stdin.read()
    instance.lifecycle.stop()


if __name__ == "__main__":
    main()
