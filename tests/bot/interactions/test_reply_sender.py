"""Answers go to Slack and nowhere else, and a form that Slack would not open is not tried."""

from __future__ import annotations

import socket
import time

import pytest
from pydantic import SecretStr
from slack_sdk import WebClient

from bot.interactions.interaction import TRIGGER_SECONDS, Interaction
from bot.interactions.lanes import Lanes
from bot.interactions.reply_sender import ReplySender
from bot.slack.client import open_client
from bot.views.replies import reply
from localslack.server import LocalSlack
from tests.end_to_end.harness import JON, new_slack, text_of
from tests.harness.certificate_reads import count_reads
from tests.harness.clock import FrozenClock


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/response/x", "https://slack.com.evil.example/x", "file:///etc/x"]
)
def test_forged_response_url_is_not_called_and_a_dm_is_sent(clock: FrozenClock, url: str) -> None:
    with new_slack(clock) as slack, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0)
        lanes = Lanes()
        replies = ReplySender(WebClient(slack.bot_token, base_url=slack.api_url), lanes)
        forged = url.format(port=elsewhere.getsockname()[1])
        replies.reply(Interaction(JON, None, time.monotonic(), response_url=forged), reply("Approved."))
        lanes.close()

        assert text_of(slack.dm(JON)[-1]) == "Approved."
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_answer_reads_no_certificates_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = count_reads(monkeypatch)
    client, lanes = open_client(SecretStr("xoxb-1-a"), "https://127.0.0.1:1/api/", 1), Lanes()
    here = Interaction(JON, None, time.monotonic(), response_url="https://127.0.0.1:1/response/x")
    ReplySender(client, lanes).reply(here, reply("Approved."))
    lanes.close()

    assert reads == []


@pytest.mark.parametrize(
    ("trigger_id", "age"), [("", 0.0), ("trigger", TRIGGER_SECONDS)], ids=["no trigger", "an old one"]
)
def test_form_that_slack_refuses_is_reported_and_not_retried(clock: FrozenClock, trigger_id: str, age: float) -> None:
    with new_slack(clock) as slack:
        lanes = Lanes()
        replies = ReplySender(WebClient(slack.bot_token, base_url=slack.api_url), lanes)
        interaction = Interaction(JON, None, time.monotonic() - age, trigger_id=trigger_id)
        replies.open_form(interaction, lambda: {"type": "modal"}, lambda _: None)
        lanes.close()

        assert_not_tried(slack)


def assert_not_tried(slack: LocalSlack) -> None:
    assert slack.calls_of("views.open") == []
    assert "The form didn't open" in text_of(slack.dm(JON)[-1])
