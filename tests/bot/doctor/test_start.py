"""`countersign doctor --start`: what keeps an instance from starting, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bot.doctor.conftest import ACCESS

if TYPE_CHECKING:
    from tests.bot.doctor.conftest import Installation


def test_trouble_that_serve_can_live_with_stops_no_start(installation: Installation) -> None:
    channel = installation.slack.workspace.channel(ACCESS)
    installation.slack.workspace.add(channel.model_copy(update={"members": ()}))
    installation.set("COUNTERSIGN_STORE", f"sqlite:///{installation.folder}/other.db")

    assert installation.run("doctor").exit_code == 1
    started = installation.run("doctor", "--start")
    assert (started.exit_code, "isn't there yet, and the first start makes it" in started.output) == (0, True)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("COUNTERSIGN_AUDIT_KEY", None, "COUNTERSIGN_AUDIT_KEY"),
        ("COUNTERSIGN_POLICY", "/nowhere/policy.yml", "policy: "),
        ("SLACK_BOT_TOKEN", "xoxb-of-nobody", "bot token: "),
        ("COUNTERSIGN_STORE", "sqlite:////proc/version", "store: "),
    ],
)
def test_what_serve_needs_stops_the_start(installation: Installation, name: str, value: str | None, said: str) -> None:
    installation.set(name, value)
    started = installation.run("doctor", "--start")

    assert started.exit_code == 1
    assert said in started.output
