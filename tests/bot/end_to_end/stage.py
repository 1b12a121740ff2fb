"""The stage of end-to-end tests: a local Slack with a few people, the real bot behind a real door, real stores.

Invariant: nothing between Slack's wire and the store's file is replaced; only the clock stands still until it is moved.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from ruamel.yaml import YAML
from slack_sdk import WebClient

from bot.app import Bot, Installation, Services, build_bot, build_services
from bot.playground.slack.records import Channel, Message, Person, UserGroup
from bot.playground.slack.server import LocalSlack
from core.policy import parse_policy
from core.request import Request, RequestId, RequestStatus
from tests.bot.slack.bolt_over_http import BoltOverHttp

if TYPE_CHECKING:
    from types import TracebackType

    from bot.playground.slack.answer import Answer
    from core.stores.base import Stores
    from tests.engines.clock import FrozenClock

ROOT: Final = Path(__file__).parents[3]
MIRA, JON, AIKO, SAM, GUEST, ROBOT, STRANGER = (
    "U0MIRA", "U0JON", "U0AIKO", "U0SAM", "U0GUEST", "U0ROBOT", "U0STRANGER",
)  # fmt: skip
ACCESS, PAIRS = "C0ACCESS", "C0PAIRS"
WHY: Final = "deploy the fix for INC-12"
POLICY: Final = f"""\
version: 1
groups: {{leads: [{JON}, {AIKO}]}}
profiles:
  prod: {{description: Production account, channel: {ACCESS}}}
  vault: {{description: The vault, channel: {PAIRS}}}
  staging: {{description: Staging account, channel: {ACCESS}}}
approval:
  - {{name: prod, profiles: [prod], requesters: [S0ENG], approvers: [group:leads, {MIRA}], max_duration: 4h}}
  - {{name: vault, profiles: [vault], approvers: [group:leads, {SAM}], required_approvals: 2, max_duration: 1h}}
  - {{name: staging, profiles: [staging], approvers: [group:leads], max_duration: 8h, auto_approve: {{max_duration: 1h}}}}
""".encode()


class Stage:
    """The bot at work. `slack` is what people see and do; `stores` is what is true."""

    def __init__(self, stores: Stores, clock: FrozenClock) -> None:
        self.stores = stores
        self.clock = clock
        manifest: dict[str, Any] = YAML(typ="safe").load(ROOT / "manifest.yml")
        self.slack = LocalSlack(clock, manifest=manifest)
        everybody = (MIRA, JON, AIKO, SAM, GUEST, STRANGER, self.slack.backend.app.bot_user)
        self.slack.workspace.add(
            *(Person(id=each, name=each[2:].lower()) for each in (MIRA, JON, AIKO, SAM)),
            Person(id=GUEST, name="guest", is_restricted=True),
            Person(id=ROBOT, name="robot", is_bot=True),
            Person(id=STRANGER, name="stranger", team_id="T0ELSE", is_stranger=True),
            UserGroup(id="S0ENG", handle="eng", users=(MIRA, JON, AIKO)),
            Channel(id=ACCESS, name="access-prod", members=everybody),
            Channel(id=PAIRS, name="pairs", members=everybody),
        )
        self.client = WebClient(self.slack.bot_token, base_url=self.slack.api_url, retry_handlers=[])
        self.services: Services = build_services(stores, parse_policy(POLICY), clock)
        self.bot: Bot = build_bot(
            self.services, self.client, self.installation(), signing_secret=self.slack.signing_secret
        )
        self._door = BoltOverHttp(self.bot.app)
        self.slack.use_http(self._door.url)

    def installation(self) -> Installation:
        """Whom the bot's token belongs to, asked as `serve` does."""
        told = self.client.auth_test()
        return Installation(team_id=str(told["team_id"]), bot_id=str(told["bot_id"]), bot_user_id=str(told["user_id"]))

    def __enter__(self) -> Self:
        self._door.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._door.__exit__(kind, error, traceback)
        self.bot.close()
        self.slack.stop()

    def access(self, user: str, text: str, channel: str = ACCESS) -> Answer:
        """Type `/access text`."""
        return self.slack.run_command(user, channel, "/access", text)

    def ask(self, user: str = MIRA, profile: str = "prod", duration: str = "2h") -> Request:
        """Ask for access in one line; the request as it is stored."""
        before = {request.id for request in self.stores.requests.iterate()}
        answer = self.access(user, f"{profile} {duration} {WHY}")
        assert not answer.failure, answer.body
        (made,) = [each for each in self.stores.requests.iterate() if each.id not in before]
        return made

    def stored(self, request: Request) -> Request:
        """The request as it is now."""
        return self.stores.requests.get(RequestId(request.id))

    def status(self, request: Request) -> RequestStatus:
        """Where the request stands."""
        return self.stored(request).status

    def last_ephemeral(self, user: str) -> str:
        """What this person alone was told last."""
        return text_of(self.slack.ephemerals(user)[-1])


def text_of(message: Message) -> str:
    """All that a message says, in blocks or without."""
    return " ".join(walk_text(list(message.blocks)) or [message.text])


def walk_text(value: object) -> list[str]:
    """Every text in some blocks."""
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for each in value.values() for text in walk_text(each)]
    return [text for each in value for text in walk_text(each)] if isinstance(value, list | tuple) else []
