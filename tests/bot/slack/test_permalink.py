"""The address of a message: Slack's own, or none."""

from __future__ import annotations

import pytest

from bot.slack.permalink import permalink
from core.stores.messages import MessageRef

WORKSPACE, TS = "https://acme.slack.com/", "1768449225.000100"


@pytest.mark.parametrize(
    "workspace", [WORKSPACE, "https://acme.slack.com", "https://acme.enterprise.slack.com/", "https://a.slack-gov.com/"]
)
def test_message_has_the_address_that_slack_copies(workspace: str) -> None:
    host = workspace.removeprefix("https://").rstrip("/")

    assert permalink(workspace, MessageRef(channel="C0ACCESS", ts=TS)) == (
        f"https://{host}/archives/C0ACCESS/p1768449225000100"
    )


@pytest.mark.parametrize(
    "workspace",
    [
        None,
        "",
        "acme",
        "http://acme.slack.com/",
        "https://slack.com.evil.example/",
        "https://evil.example/?.slack.com",
        "https://me@acme.slack.com/",
        "https://acme.slack.com:8443/",
        "https://[",
    ],
)
def test_workspace_that_is_not_slacks_has_no_addresses(workspace: str | None) -> None:
    assert permalink(workspace, MessageRef(channel="C0ACCESS", ts=TS)) is None


@pytest.mark.parametrize(
    ("channel", "ts"),
    [
        ("C0ACCESS/../..", TS),
        ("<!channel>", TS),
        ("C0ACCESS", "now"),
        ("C0ACCESS", f"{TS}|x>"),
        ("C0ACCESS", f"{TS}\n"),
    ],
)
def test_place_that_was_made_up_has_no_address(channel: str, ts: str) -> None:
    assert permalink(WORKSPACE, MessageRef(channel=channel, ts=ts)) is None
