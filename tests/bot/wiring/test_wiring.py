"""What serve runs, instance in this process: its metrics are those that are described, and it leaves nothing."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from bot.settings import read_settings, read_slack_settings
from bot.wiring.instance import Instance, open_instance
from core.errors import InvalidInput
from localslack.faults import Refuse
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA, SAM, WHY
from tests.harness.served_bot import environment, free_port, new_slack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localslack.server import LocalSlack

PAGE = Path(__file__).parents[3] / "docs" / "operators.md"
ROW = re.compile(r"^\| `(countersign_\w+)` \|([^|]*)\|", re.MULTILINE)


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with new_slack() as slack:
        yield slack


def new_instance(slack: LocalSlack, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: str) -> Instance:
    for name, value in environment(slack, folder, **more).items():
        monkeypatch.setenv(name, value)
    return open_instance(read_settings(), read_slack_settings())


def described() -> dict[str, set[str]]:
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in ROW.findall(PAGE.read_text())}


def test_every_metric_is_documented_with_its_labels_and_no_other(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = new_instance(slack, tmp_path, monkeypatch)
    instance.lifecycle.start()
    shown: dict[str, set[str]] = {}
    for family in instance.metrics.registry.collect():
        if family.name.startswith("countersign_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            shown[name] = {label for each in family.samples for label in each.labels} - {"le"}
    instance.lifecycle.stop()

    # A histogram of acknowledgements shows its labels with the first one.
    shown["countersign_acknowledgement_seconds"] = {"transport", "payload"}
    # A counter of steps, with the first target; the gauges of access, with the first measurement.
    shown["countersign_access_steps_total"] = {"target", "step", "outcome"}
    shown |= {f"countersign_access_{each}": set() for each in ("live_grants", "oldest_due_revoke_seconds")}
    assert shown == described()


def test_whom_the_policy_names_is_known_before_the_first_click(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = new_instance(slack, tmp_path, monkeypatch)
    instance.lifecycle.start()
    slack.wait_until(
        lambda: {call.arguments["user"] for call in slack.calls_of("users.info")} == {SAM, MIRA, JON, AIKO}
    )
    instance.lifecycle.stop()


@pytest.mark.parametrize("over_http", [True, False])
def test_stopped_instance_listens_to_nobody_and_leaves_no_thread(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, over_http: bool
) -> None:
    before = set(threading.enumerate())
    port = free_port()
    health_port = free_port()
    listen = {"COUNTERSIGN_LISTEN": f"127.0.0.1:{port}", "COUNTERSIGN_METRICS": f"127.0.0.1:{health_port}"}
    more = listen if over_http else {}
    instance = new_instance(slack, tmp_path, monkeypatch, **more)
    instance.lifecycle.start()
    if over_http:
        slack.use_http(f"http://127.0.0.1:{port}/slack/events")
        with urlopen(f"http://127.0.0.1:{health_port}/readyz") as answer:
            assert answer.status == 200
        # The address that Slack uses is public.
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"http://127.0.0.1:{port}/readyz")
    assert slack.run_command(MIRA, ACCESS, "/access", f"prod 2h {WHY}").failure is None
    instance.lifecycle.stop()

    assert slack.run_command(MIRA, ACCESS, "/access", f"prod 2h {WHY}").failure == "dispatch_failed"
    slack.wait_until(lambda: not set(threading.enumerate()) - before)


def test_readiness_names_a_bot_token_that_was_revoked(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.token_check.INTERVAL_SECONDS", 0.0)
    port = free_port()
    instance = new_instance(slack, tmp_path, monkeypatch, COUNTERSIGN_METRICS=f"127.0.0.1:{port}")
    slack.faults.next(Refuse("token_revoked"), "auth.test", times=None)
    instance.lifecycle.start()

    def is_named() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                return b"slack token" in answer.read()
        except HTTPError as refusal:
            with refusal:
                return b"slack token" in refusal.read()

    slack.wait_until(is_named)
    instance.lifecycle.stop()


def test_refused_token_leaves_no_store_behind(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack.faults.next(Refuse("invalid_auth"), "auth.test")
    with pytest.raises(InvalidInput, match="SLACK_BOT_TOKEN"):
        new_instance(slack, tmp_path, monkeypatch)
    assert not list(tmp_path.glob("*.db*"))
