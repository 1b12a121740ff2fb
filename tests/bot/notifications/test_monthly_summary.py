"""The monthly summary in the security channel: with its picture where that can be, and without a word about it else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from bot.notifications.slack_calls import open_client
from bot.notifications.slack_sink import SlackSink
from bot.notifications.summary_delivery import PATIENCE
from bot.slack.app_surface import PICTURE_SCOPE
from core.actor import CLOCK
from core.audit.trail import SUMMARIES, AuditAction, EntryDraft
from core.outbox.outbox import deliver_due
from core.policy import parse_policy
from core.report.monthly import SUMMARISED
from localslack.faults import Fault, RateLimited, Refuse, ServerError
from tests.bot.notifications.harness import CHANNEL, ELSEWHERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.stores.base import Stores
    from localslack.records import SlackMessage
    from localslack.server import LocalSlack
    from tests.harness.clock import FrozenClock

UPLOAD, COMPLETE, POST = "files.getUploadURLExternal", "files.completeUploadExternal", "chat.postMessage"
TEXT = f"""\
version: 1
security_channel: {CHANNEL}
summary: {{monthly: true}}
profiles: {{prod: {{channel: {ELSEWHERE}}}}}
approval: [{{name: main, profiles: [prod], approvers: [U0BOB], max_duration: 4h}}]
"""
DETAILS: dict[str, Any] = {
    "month": "2026-03", "timezone": "Europe/Berlin", "requests": 12, "outcomes": {"approved": 9, "denied": 3},
    "median_seconds": 300, "events": 1, "reviews_overdue": 2, "refusals": 4, "access_open": 1, "unusable": 1,
    "weeks": ["2 Mar", "9 Mar"], "series": {"approved": [5, 4], "denied": [0, 3], "of a newer version": [1, 1]},
}  # fmt: skip


@pytest.fixture
def deliver(slack: LocalSlack, stores: Stores, clock: FrozenClock) -> Callable[[str], list[SlackMessage]]:
    """Delivers a summary once, under this policy; what the channel has then."""

    def run(text: str = TEXT) -> list[SlackMessage]:
        client = open_client(SecretStr(slack.bot_token), slack.api_url)
        sink = SlackSink(client, stores, parse_policy(text.encode()), clock)
        if stores.audit.get_last(SUMMARIES) is None:
            draft = EntryDraft(event=AuditAction.MONTHLY_SUMMARY, actor=CLOCK, outcome=SUMMARISED, details=DETAILS)
            stores.audit.append(SUMMARIES, draft)
        deliver_due(stores.outbox, [sink], clock)
        return slack.messages(CHANNEL)

    return run


def allow_pictures(slack: LocalSlack) -> None:
    app = slack.backend.app
    slack.backend.app = replace(app, scopes=app.scopes | {PICTURE_SCOPE})


def picture_of(message: SlackMessage) -> dict[str, object] | None:
    return next((block for block in message.blocks if block["type"] == "image"), None)


def test_summary_has_a_picture_that_can_be_seen(
    slack: LocalSlack, deliver: Callable[[str], list[SlackMessage]]
) -> None:
    allow_pictures(slack)
    (message,) = deliver(TEXT)
    assert message.text == "March 2026: 12 requests, 1 break-glass event"
    picture = picture_of(message)
    assert picture is not None
    assert picture["alt_text"] == (
        "Requests and their outcomes by week: 9 approved, 3 denied. The most, 7, in the week \u201c9 Mar\u201d."
    )
    file = slack.backend.files.find(picture["slack_file"]["id"])  # type: ignore[index]
    assert file is not None
    assert file.name == "countersign-2026-03.png"
    assert file.length < 20_000


def test_without_the_scope_nothing_speaks_of_a_picture(deliver: Callable[[str], list[SlackMessage]]) -> None:
    (message,) = deliver(TEXT)
    assert picture_of(message) is None
    assert "picture" not in str(message.blocks)
    said = str(message.blocks)
    assert "*Requests:* 12 (9 approved, 3 denied)" in said
    assert "*Median time to decision:* 5m" in said
    assert "2 reviews are overdue" in said
    # With the same numbers as here.
    command = "countersign report --since 2026-03-01 --until 2026-04-01 --timezone Europe/Berlin --out report.html"
    assert f"`{command}`" in said
    assert "1 entry of the audit trail can't be used, and is not counted." in said


def test_policy_can_do_without_a_picture(slack: LocalSlack, deliver: Callable[[str], list[SlackMessage]]) -> None:
    allow_pictures(slack)
    (message,) = deliver(TEXT.replace("monthly: true", "monthly: true, picture: false"))
    assert picture_of(message) is None
    assert not slack.calls_of(UPLOAD)


@pytest.mark.parametrize("method", [UPLOAD, COMPLETE])
def test_refused_picture_is_left_out(
    slack: LocalSlack, deliver: Callable[[str], list[SlackMessage]], method: str
) -> None:
    allow_pictures(slack)
    slack.faults.next(Refuse("file_uploads_disabled"), method)
    (message,) = deliver(TEXT)
    assert picture_of(message) is None


@pytest.mark.parametrize("fault", [ServerError(), RateLimited(1)])
def test_slack_that_is_down_is_tried_again(
    slack: LocalSlack, clock: FrozenClock, deliver: Callable[[str], list[SlackMessage]], fault: Fault
) -> None:
    allow_pictures(slack)
    slack.faults.next(fault, UPLOAD)
    assert deliver(TEXT) == []
    clock.advance(timedelta(minutes=1))
    (message,) = deliver(TEXT)
    assert picture_of(message) is not None


def test_picture_that_slack_processes_is_waited_for(
    slack: LocalSlack, clock: FrozenClock, deliver: Callable[[str], list[SlackMessage]]
) -> None:
    allow_pictures(slack)
    slack.faults.next(Refuse("invalid_blocks"), POST)
    assert deliver(TEXT) == []
    clock.advance(timedelta(seconds=30))
    (message,) = deliver(TEXT)
    assert picture_of(message) is not None
    # It was uploaded once.
    assert len(slack.calls_of(UPLOAD)) == 1


def test_picture_that_never_shows_is_given_up(
    slack: LocalSlack, clock: FrozenClock, deliver: Callable[[str], list[SlackMessage]]
) -> None:
    allow_pictures(slack)
    slack.faults.next(Refuse("invalid_blocks"), POST)
    assert deliver(TEXT) == []
    clock.advance(PATIENCE)
    slack.faults.next(Refuse("invalid_blocks"), POST)
    (message,) = deliver(TEXT)
    assert picture_of(message) is None


def test_without_a_security_channel_nothing_is_posted(
    slack: LocalSlack, deliver: Callable[[str], list[SlackMessage]]
) -> None:
    without = "\n".join(line for line in TEXT.splitlines() if not line.startswith(("security", "summary")))
    assert deliver(without) == []
    assert not slack.messages(ELSEWHERE)
