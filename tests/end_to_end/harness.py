"""The harness of end-to-end tests: a local Slack with a few people, the real bot behind a real transport, real stores.

Invariant: nothing between Slack's wire and the store's file is replaced; only the clock stands still until it is moved.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import SecretStr
from ruamel.yaml import YAML

from bot.background import OutboxState
from bot.interactions.bolt_app import Bot
from bot.interactions.lanes import MAX_WAITING
from bot.observability.metrics import Transport
from bot.observability.traced_ports import trace_deliveries, trace_sinks
from bot.observability.tracing import NO_TRACER, Tracer
from bot.settings.addresses import Address
from bot.slack.client import open_client
from bot.transport.http import HttpTransport
from bot.views.block_kit import actions, button
from bot.views.request.card import CANCEL
from bot.wiring.instance import BuildBackground, Services, wire
from bot.wiring.ports import OverHttp, OverSocketMode, Ports, TargetsOpener
from core.actor import Actor
from core.break_glass import BreakGlassEvent, EventStatus
from core.clock import TICK
from core.outbox.outbox import Outbox
from core.policy import parse_policy
from core.request import Request, RequestId, RequestStatus
from localslack.records import Channel, Person, SlackMessage, UserGroup, View
from localslack.server import LocalSlack
from tests.harness.patience import SLACK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from core.mfa import MfaVerifier
    from core.outbox.outbox import Sink
    from core.stores.base import Stores
    from localslack.answer import Answer
    from tests.harness.clock import FrozenClock

ROOT: Final = Path(__file__).parents[2]
MIRA, JON, AIKO, SAM, GUEST, ROBOT, STRANGER = (
    "U0MIRA", "U0JON", "U0AIKO", "U0SAM", "U0GUEST", "U0ROBOT", "U0STRANGER",
)  # fmt: skip
ACCESS, PAIRS = "C0ACCESS", "C0PAIRS"
WHY: Final = "deploy the fix for INC-12"
EMERGENCY: Final = "INC-13: the checkout does not answer"
POLICY: Final = f"""\
version: 1
groups: {{leads: [{JON}, {AIKO}]}}
profiles:
  prod: {{description: Production account, channel: {ACCESS}}}
  vault: {{description: The vault, channel: {PAIRS}}}
  staging: {{description: Staging account, channel: {ACCESS}}}
approval:
  - name: prod
    profiles: [prod]
    requesters: [S0ENG]
    approvers: [group:leads, {MIRA}]
    max_duration: 4h
    max_pending: 20
  - {{name: vault, profiles: [vault], approvers: [group:leads, {SAM}], required_approvals: 2, max_duration: 1h}}
  - name: staging
    profiles: [staging]
    approvers: [group:leads]
    max_duration: 8h
    auto_approve: {{max_duration: 1h}}
security_channel: {PAIRS}
break_glass:
  - name: on-call
    profiles: [prod]
    users: [{SAM}, {MIRA}]
    allowed_reason_codes: [incident, security, recovery]
    max_duration: 2h
    cooldown: 30m
    fallback: Call the duty manager, who has the sealed envelope.
  - {{name: unguarded, profiles: [vault], users: [{JON}], max_duration: 1h}}
  - {{name: guarded, profiles: [vault], users: [{SAM}], max_duration: 1h, notify: [{MIRA}], mfa: required}}
""".encode()


def new_slack(clock: FrozenClock) -> LocalSlack:
    """A local Slack with everybody in it."""
    manifest: dict[str, Any] = YAML(typ="safe").load(ROOT / "manifest.yml")
    slack = LocalSlack(clock, manifest=manifest, timeout_seconds=SLACK_SECONDS)
    everybody = (MIRA, JON, AIKO, SAM, GUEST, STRANGER, slack.backend.app.bot_user)
    slack.workspace.add(
        *(Person(id=each, name=each[2:].lower()) for each in (MIRA, JON, AIKO, SAM)),
        Person(id=GUEST, name="guest", is_restricted=True),
        Person(id=ROBOT, name="robot", is_bot=True),
        Person(id=STRANGER, name="stranger", team_id="T0ELSE", is_stranger=True),
        UserGroup(id="S0ENG", handle="eng", users=(MIRA, JON, AIKO)),
        Channel(id=ACCESS, name="access-prod", members=everybody),
        Channel(id=PAIRS, name="pairs", members=everybody),
    )
    return slack


class DeliveryOnDemand:
    """Background work that only delivers, and only what was just committed: nothing expires on its own."""

    def __init__(self, services: Services, sinks: Sequence[Sink], clock: FrozenClock) -> None:
        self._services = services
        self._sinks = sinks
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="delivery")

    def nudge(self) -> None:
        # A version is strictly later than the one before it, and so may be ahead of a clock that stands still.
        self._clock.advance(10 * TICK)
        self._thread.submit(self.sweep)

    def sweep(self) -> object:
        tracer = self._services.tracer
        sinks, run = trace_sinks(self._sinks, tracer), trace_deliveries(tracer)
        outbox = Outbox(self._services.stores.outbox, sinks, self._clock, run=run)
        try:
            return outbox.deliver_due()
        finally:
            outbox.finish(0)

    def outbox_state(self) -> OutboxState | None:
        return None

    def start(self) -> None:
        """Nothing runs until something is committed."""

    def stop(self) -> None:
        self._thread.shutdown()


class Harness:
    """The bot at work. `slack` is what people see and do; `stores` is what is true.

    With the `slack` of another harness it is a second instance, which gets every click from then on.
    """

    def __init__(
        self,
        stores: Stores,
        clock: FrozenClock,
        max_waiting: int = MAX_WAITING,
        transport: Transport = Transport.HTTP,
        slack: LocalSlack | None = None,
        mfa: MfaVerifier | None = None,
        policy: bytes = POLICY,
        targets: TargetsOpener | None = None,
        build_background: BuildBackground | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self.stores = stores
        self.clock = clock
        self._seen: dict[str, int] = {}
        self._owns_slack = slack is None
        self.slack = slack if slack is not None else new_slack(clock)
        self.client = open_client(SecretStr(self.slack.bot_token), self.slack.api_url, 30, tracer=tracer)
        self._instance = wire(
            Ports(
                stores,
                parse_policy(policy),
                clock,
                self.client,
                mfa=mfa,
                targets=targets,
                ticket_seconds=10.0,
                tracer=tracer,
            ),
            OverHttp(SecretStr(self.slack.signing_secret), Address("127.0.0.1", 0))
            if transport is Transport.HTTP
            else OverSocketMode(SecretStr(self.slack.app_token), linger_seconds=0.05),
            build_background=build_background or (lambda services, sinks: DeliveryOnDemand(services, sinks, clock)),
            max_waiting=max_waiting,
        )
        self.services: Services = self._instance.services
        self.bot: Bot = self._instance.bot

    def get_clicks(self) -> None:
        """Of several instances over HTTP, this one gets every click and every event from now on."""
        assert isinstance(self._instance.transport, HttpTransport)
        url = self._instance.transport.url
        self.slack.use_http(url, options_url=url)

    def deliver(self) -> None:
        """Deliver soon what is due."""
        self._instance.background.nudge()

    def __enter__(self) -> Self:
        self._instance.lifecycle.start()
        if isinstance(self._instance.transport, HttpTransport):
            self.get_clicks()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._instance.lifecycle.stop()
        if self._owns_slack:
            self.slack.stop()

    def access(self, user: str, text: str, channel: str = ACCESS) -> Answer:
        """Type `/access text`."""
        return self.slack.run_command(user, channel, "/access", text)

    def actor(self, user: str) -> Actor:
        """This person, as Slack knows them."""
        return self.bot.directory.actor(user, None)

    def break_glass(self, user: str, text: str, channel: str = ACCESS) -> Answer:
        """Type `/breakglass text`."""
        return self.slack.run_command(user, channel, "/breakglass", text)

    def declare(self, user: str = SAM, channel: str = ACCESS) -> BreakGlassEvent:
        """Break the glass in one line; the event as it is stored."""
        answer = self.break_glass(user, f"prod incident 1h {EMERGENCY}", channel)
        assert answer.message is not None
        assert "You have `prod`" in text_of(answer.message), text_of(answer.message)
        self._seen[user] = len(self.slack.ephemerals(user))
        (event,) = [each for each in self.stores.break_glass.iterate() if each.status is EventStatus.ACTIVE]
        return event

    def ask(self, user: str = MIRA, profile: str = "prod", duration: str = "2h") -> Request:
        """Ask for access in one line; the request as it is stored."""
        before = {request.id for request in self.stores.requests.iterate()}
        answer = self.access(user, f"{profile} {duration} {WHY}")
        assert not answer.failure, answer.body
        self._seen[user] = len(self.slack.ephemerals(user))
        (made,) = [each for each in self.stores.requests.iterate() if each.id not in before]
        return made

    def modal(self, user: str) -> View:
        """The form on this person's screen, as soon as it is there."""
        return _there(self.slack.wait_until(lambda: self.slack.modal(user)))

    def home(self, user: str) -> View:
        """This person's Home tab, opened anew."""
        before = self.slack.home(user)
        self.slack.open_home(user)
        return _there(self.slack.wait_until(lambda: _if_new(self.slack.home(user), before)))

    def card(self, request: Request) -> SlackMessage:
        """The request's card as it is now, as soon as it is posted."""
        card = self.slack.wait_until(lambda: self._find_card(request))
        assert card is not None
        return card

    def _find_card(self, request: Request) -> SlackMessage | None:
        channel = self.services.policy.current().profile(request.profile).channel
        cards = [each for each in self.slack.messages(channel) if request.id in str(each.blocks) and not each.thread_ts]
        return cards[-1] if cards else None

    def next_reply(self, user: str) -> str:
        """The next text that only this person sees, new since the last call, as soon as it is there."""
        seen = self._seen.get(user, 0)
        self.slack.wait_until(lambda: len(self.slack.ephemerals(user)) > seen)
        self._seen[user] = len(self.slack.ephemerals(user))
        return text_of(self.slack.ephemerals(user)[-1])

    def reads(self, user: str, text: str) -> bool:
        """True as soon as this person reads this: beside a message, in a list, by direct message or in Home."""

        def shown() -> bool:
            home = self.slack.home(user)
            messages = [*self.slack.ephemerals(user), *self.slack.dm(user)]
            at_home = " ".join(walk_text(home.blocks)) if home is not None else ""
            return any(text in each for each in (*map(text_of, messages), at_home))

        self.slack.wait_until(shown)
        self._seen[user] = len(self.slack.ephemerals(user))
        return True

    def cancel(self, user: str, request: Request) -> None:
        """Press Cancel in the person's own list."""
        listed = self.access(user, "mine").message
        assert listed is not None
        self.slack.press(user, listed, CANCEL, value=request.id)

    def older_card(self, request: Request) -> SlackMessage:
        """A card as an older version posted it, with Cancel for everybody."""
        row = actions("old", button("Cancel", CANCEL, request.id))
        posted = self.client.chat_postMessage(channel=ACCESS, text="prod", blocks=[row])
        return next(each for each in self.slack.messages(ACCESS) if each.ts == posted["ts"])

    def stored(self, request: Request) -> Request:
        """The request as it is now."""
        return self.stores.requests.get(RequestId(request.id))

    def status(self, request: Request) -> RequestStatus:
        """Where the request stands."""
        return self.stored(request).status


def _there(view: View | None) -> View:
    assert view is not None
    return view


def _if_new(view: View | None, before: View | None) -> View | None:
    return view if view is not None and (before is None or view.hash != before.hash) else None


def text_of(message: SlackMessage) -> str:
    """All that a message says, in blocks or without."""
    return " ".join(walk_text(list(message.blocks)) or [message.text])


def said(answer: Answer) -> str:
    """What an acknowledgement shows, in a message or in a form."""
    if answer.message is not None:
        return text_of(answer.message)
    return " ".join(walk_text(list(answer.view.blocks) if answer.view is not None else []))


def walk_text(value: object) -> list[str]:
    """Every text in some blocks."""
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for each in value.values() for text in walk_text(each)]
    return [text for each in value for text in walk_text(each)] if isinstance(value, list | tuple) else []
