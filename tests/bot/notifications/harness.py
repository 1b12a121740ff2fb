"""A channel, people, a store and the real sink, for the tests of what is posted where.

Invariant: everything is real: slack_sdk's client speaks HTTP to the local Slack, which refuses what Slack refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr
from ruamel.yaml import YAML

from bot.notifications.slack_calls import open_client
from bot.notifications.slack_sink import SlackSink
from core.audit.trail import AuditAction
from core.directory import FixedDirectory
from core.outbox.outbox import DeliveryCounts, deliver_due
from core.request import RequestId
from core.services import RequestService
from localslack.records import Channel, Person, UserGroup
from localslack.server import LocalSlack
from tests.builders import a_clock_draft
from tests.core.services.harness import ANN, BOB, CLEO, EVE, RITA, ChangingPolicy

if TYPE_CHECKING:
    from core.actor import Actor
    from core.audit.trail import AuditEntry
    from core.request import Request
    from core.stores.base import Stores
    from core.stores.outbox import Delivery
    from localslack.records import SlackMessage
    from tests.harness.clock import FrozenClock

CHANNEL: Final = "C0ACCESS1"
ELSEWHERE: Final = "C0ELSEWHERE"
HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
LATER: Final = timedelta(days=2)
_MANIFEST: Final = Path(__file__).parents[3] / "manifest.yml"


def a_workspace(clock: FrozenClock) -> LocalSlack:
    """A Slack with the channel, everybody in it, and the app as its manifest installs it."""
    slack = LocalSlack(clock, manifest=YAML(typ="safe").load(_MANIFEST))
    people = [each.id for each in (ANN, BOB, CLEO, EVE, RITA)]
    bot = slack.backend.app.bot_user
    slack.workspace.add(
        *(Person(id=each, name=each.lower()) for each in people),
        UserGroup(id="S0ENGINEERS", handle="engineers", users=(EVE.id,)),
        Channel(id=CHANNEL, name="access", members=(*people, bot)),
        Channel(id=ELSEWHERE, name="elsewhere", members=(*people, bot)),
    )
    return slack


@dataclass
class Office:
    """One running bot's half that tells, beside its service, and what can be seen of it in Slack."""

    slack: LocalSlack
    stores: Stores
    policy: ChangingPolicy
    clock: FrozenClock

    def __post_init__(self) -> None:
        self.requests = RequestService(self.stores, self.policy, self.clock, directory=FixedDirectory())
        self.sink = self.open_sink()

    def open_sink(self, *, seconds: float = 20.0) -> SlackSink:
        """One more sink, as a second instance has it."""
        client = open_client(SecretStr(self.slack.bot_token), self.slack.api_url)
        return SlackSink(client, self.stores, self.policy, self.clock, seconds=seconds)

    def submit(self, profile: str = "prod", who: Actor = RITA) -> Request:
        """Somebody asks, and a second passes."""
        return self._a_second_later(self.requests.submit(who, profile, HOUR, "Deploy the fix for INC-12"))

    def approve(self, request: Request, who: Actor, comment: str | None = None) -> Request:
        """Somebody votes, and a second passes."""
        return self._a_second_later(self.requests.approve(RequestId(request.id), who, comment))

    def deny(self, request: Request, who: Actor, reason: str = "not today") -> Request:
        """Somebody denies, and a second passes."""
        return self._a_second_later(self.requests.deny(RequestId(request.id), who, reason))

    def cancel(self, request: Request) -> Request:
        """The requester takes it back, and a second passes."""
        return self._a_second_later(self.requests.cancel(RequestId(request.id), RITA))

    def remind(self, request: Request) -> Request:
        """The approvers are to be reminded, and a second passes."""
        draft = a_clock_draft(AuditAction.REQUEST_REMINDED, outcome="pending")
        return self._a_second_later(self.stores.requests.update(request, draft))

    def _a_second_later(self, request: Request) -> Request:
        self.clock.advance(timedelta(seconds=1))
        return request

    def deliver(self, sink: SlackSink | None = None) -> DeliveryCounts:
        """One round of the outbox."""
        return deliver_due(self.stores.outbox, [sink or self.sink], self.clock)

    def deliver_all(self) -> None:
        """Rounds until nothing waits any more, each after the longest pause."""
        while self.waiting():
            self.deliver()
            self.clock.advance(timedelta(minutes=10))

    def waiting(self) -> list[Delivery]:
        """The deliveries that are still due."""
        return list(self.stores.outbox.iterate_due(self.clock.now() + LATER))

    def parked(self) -> list[Delivery]:
        """What was given up."""
        return list(self.stores.outbox.iterate_parked())

    def entries(self, request: Request) -> list[AuditEntry]:
        """The trail of a request."""
        return list(self.stores.audit.get_chain(request.chain))

    def cards(self, channel: str = CHANNEL) -> list[SlackMessage]:
        """The messages in the channel that are no replies."""
        return [each for each in self.slack.messages(channel) if each.thread_ts is None]

    def card(self) -> SlackMessage:
        """The one card."""
        (card,) = self.cards()
        return card

    def replies(self, card: SlackMessage | None = None) -> list[str]:
        """What the thread of a card says, oldest first."""
        thread = (card or self.card()).ts
        return [each.text for each in self.slack.messages(CHANNEL) if each.thread_ts == thread]

    def directs(self, user: str = RITA.id) -> list[str]:
        """The direct messages to somebody."""
        return [each.text for each in self.slack.dm(user)]


DECIDED = ["request:timeline"]
"""The buttons of a request's card once it is decided."""


def says(message: SlackMessage) -> str:
    """All the text of a message's blocks."""
    return str(message.blocks)


def buttons(message: SlackMessage) -> list[str]:
    """The actions that a message offers."""
    rows = [block for block in message.blocks if block["type"] == "actions"]
    return [element["action_id"] for row in rows for element in row["elements"]]
