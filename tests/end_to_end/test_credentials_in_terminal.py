"""From nothing to a command that uses AWS, and to the end of its rights: pair, ask, approve in Slack, run, end."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.terminal.client import ApiClient
from bot.views.request.card import APPROVE
from core.actor import Actor, UserId
from core.clock import SystemClock
from core.policy import load_policy
from core.services.pairing import PairingService
from playground.clock import ClockAhead
from tests.end_to_end.harness import ACCESS, JON, MIRA, POLICY
from tests.harness.paired_machine import PairedMachine
from tests.harness.policy_files import write_settled
from tests.harness.pretend_aws import BROKER, EXTERNAL_ID, PROD, REVOKER, serve_pretend_aws
from tests.harness.served_bot import PATIENCE, Serving, environment, free_port, new_slack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localslack.server import LocalSlack
    from playground.pretend_aws import PretendAws

TARGET = f"{{type: aws-role, role: '{PROD}', region: eu-west-1, external_id: {EXTERNAL_ID}, revoker: '{REVOKER}'}}"
LIST_BUCKETS = """
import boto3, botocore.exceptions
try:
    print("worked", boto3.client("s3", region_name="eu-west-1").list_buckets()["ResponseMetadata"]["HTTPStatusCode"])
except botocore.exceptions.ClientError as error:
    print("refused", error.response["Error"]["Code"])
"""


class Office:
    """Slack, the bot as a process of its own, an AWS, and Mira's machine."""

    def __init__(self, slack: LocalSlack, serving: Serving, machine: PairedMachine, policy: Path, api: str) -> None:
        self.slack = slack
        self.serving = serving
        self.machine = machine
        self._policy = policy
        self._api = api

    def pair(self) -> None:
        # As `countersign login` does, without its pause between the steps: test_terminal has it as it is.
        client = ApiClient(self._api)
        started = client.start_pairing("laptop")
        with closing(self.serving.open_stores()) as stores:
            services = PairingService(stores, load_policy(str(self._policy)), SystemClock())
            services.confirm(started.user_code, Actor(id=UserId(MIRA)))
        issued = client.exchange_token(started.device_code)
        self.machine.pair(self._api, issued.token.get_secret_value(), issued.device.id)

    def get_access(self) -> None:
        asked = self.machine.start("request", "prod", "5m", "deploy the fix for INC-12", "--wait")
        (card,) = self.slack.wait_until(lambda: self.slack.messages(ACCESS), PATIENCE)
        assert self.slack.press(JON, card, APPROVE).failure is None
        out, err = asked.communicate(timeout=PATIENCE)
        assert asked.returncode == 0, out + err

    def list_buckets(self) -> str:
        done = self.machine.run("exec", "prod", "--", sys.executable, "-c", LIST_BUCKETS)
        return done.stdout.strip() or done.stderr.strip()


@pytest.fixture
def clock() -> ClockAhead:
    return ClockAhead()


@pytest.fixture
def aws(clock: ClockAhead) -> Iterator[PretendAws]:
    with serve_pretend_aws(clock) as serving:
        yield serving


@pytest.fixture
def office(tmp_path: Path, aws: PretendAws) -> Iterator[Office]:
    listen, keys = f"127.0.0.1:{free_port()}", aws.add_role_session(BROKER, "serve")
    more = {
        "COUNTERSIGN_API_LISTEN": listen,
        "COUNTERSIGN_API_URL": f"http://{listen}",
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_SESSION_TOKEN": str(keys.session_token),
        "AWS_ENDPOINT_URL_STS": aws.url,
        "AWS_ENDPOINT_URL_IAM": aws.url,
    }
    machine, policy = PairedMachine(tmp_path), tmp_path / "policy.yml"
    machine.environment |= {"AWS_ENDPOINT_URL_S3": aws.url, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    with new_slack() as slack:
        settings = environment(slack, tmp_path, **more)
        text = POLICY.replace(b"Production account,", b"Production account, access: [{target: prod-role}],")
        write_settled(policy, text + f"targets: {{prod-role: {TARGET}}}\n".encode())
        with Serving(settings, tmp_path) as serving:
            serving.wait_until_up(slack)
            yield Office(slack, serving, machine, policy, f"http://{listen}")


def test_command_works_until_access_ends_and_not_after(office: Office, clock: ClockAhead) -> None:
    unpaired = office.machine.run("exec", "prod", "true")
    assert (unpaired.returncode, "countersign login" in unpaired.stderr) == (125, True)
    office.pair()
    nothing_open = office.machine.run("exec", "prod", "true")
    assert (nothing_open.returncode, nothing_open.stderr.count("\n")) == (125, 1)

    office.get_access()
    assert office.list_buckets() == "worked 200"
    # For AWS, the window of five minutes is over. The same cached credentials are worth nothing, though they live on.
    clock.advance(timedelta(minutes=5))
    assert office.list_buckets() == "refused AccessDenied"

    # Ended early at Countersign, too, there are no others, and what was cached is gone.
    ended = office.machine.run("access", "end", "prod")
    assert ended.returncode == 0, ended.stderr
    refused = office.machine.run("credentials", "prod")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "Your access to prod ended at " in refused.stderr
