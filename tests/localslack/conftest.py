"""A local Slack with a few people in it, and a tiny Bolt app that talks to it over HTTP.

Invariant: each test has its own workspace, its own app and its own clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from slack_bolt import App
from slack_sdk import WebClient

from localslack.records import Channel, Person, UserGroup
from localslack.server import LocalSlack
from tests.localslack.bolt_over_http import BoltOverHttp
from tests.localslack.people import ACCESS, ANN, BEN, GUEST, OLD, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.clock import FrozenClock


@pytest.fixture
def slack(clock: FrozenClock) -> Iterator[LocalSlack]:
    with LocalSlack(clock) as slack:
        bot = slack.backend.app.bot_user
        slack.workspace.add(
            Person(id=ANN, name="ann", real_name="Ann A", email="ann@example.com"),
            Person(id=BEN, name="ben", real_name="Ben B", email="ben@example.com"),
            Person(id=GUEST, name="guest", is_restricted=True),
            UserGroup(id="S0SRE", handle="sre", users=(BEN,)),
            Channel(id=ACCESS, name="access-prod", members=(ANN, BEN, bot)),
            Channel(id=SECRET, name="secret", members=(ANN,), is_private=True),
            Channel(id=OLD, name="old", members=(ANN, bot), is_archived=True),
        )
        yield slack


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    """The real client with the bot's token. It retries nothing, so a test sees the first answer."""
    return WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])


@pytest.fixture
def app(slack: LocalSlack, client: WebClient) -> Iterator[App]:
    """A Bolt app without listeners, served over HTTP."""
    app = App(signing_secret=slack.signing_secret, client=client)
    with BoltOverHttp(app) as served:
        slack.use_http(served.url)
        yield app
    app.listener_runner.listener_executor.shutdown()
