"""The composition root: services, listeners and their threads are put together here, and nowhere else.

Invariant: building does no I/O and starts no thread that works. What was acknowledged is finished by `close()`, in the
order in which one part needs the other.

The one error-to-reply table is `bot.views.replies.explain`; the desk calls it for what a service refuses, and
`_answer_broken` here answers what never reached the desk.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from slack_bolt import Ack, App, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from bot.interactions.break_glass import BreakGlassInteractions
from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.decision_queue import DecisionQueue
from bot.interactions.directory_events import DirectoryEvents
from bot.interactions.home import HomeInteractions
from bot.interactions.interaction import read_interaction
from bot.interactions.reply_sender import ReplySender
from bot.interactions.request_queries import RequestQueries
from bot.interactions.requests import RequestInteractions
from bot.interactions.responder import Responder
from bot.slack.directory import SlackDirectory
from bot.slack.installation import Installation
from bot.slack.payloads import Payload, is_raised_by_bolt
from bot.views.block_kit import Message
from bot.views.replies import BROKEN, OUT_OF_DATE, notice, reply
from core.clock import Clock
from core.errors import InvalidInput
from core.mfa import MfaVerifier
from core.policy import PolicySource
from core.services import BreakGlassService, RequestService
from core.services.observer import Observer
from core.stores.base import Stores
from core.stores.messages import MessageRef
from core.text import quoted

_ANY = re.compile(".*", re.DOTALL)
_log = logging.getLogger("countersign.bot")


@dataclass(frozen=True, slots=True)
class Services:
    """What is decided with, and on what."""

    stores: Stores
    policy: PolicySource
    clock: Clock
    requests: RequestService
    break_glass: BreakGlassService


def build_services(
    stores: Stores,
    policy: PolicySource,
    clock: Clock,
    observer: Observer | None = None,
    mfa: MfaVerifier | None = None,
) -> Services:
    """The use cases on these stores. `observer` hears what becomes of each; `second_factor` knows people's codes."""
    requests = RequestService(stores, policy, clock, observer)
    break_glass = BreakGlassService(stores, policy, clock, observer, mfa=mfa)
    return Services(stores, policy, clock, requests, break_glass)


@dataclass(frozen=True, slots=True)
class CommitHooks:
    """What the desk sets off beside its answers; see bot.interactions.responder.CommitHooks."""

    home: HomeInteractions
    replies: ReplySender
    nudge: Callable[[], None]
    refresh: Callable[[str, MessageRef | None], None]

    def committed(self) -> None:
        """Tell of it now."""
        self.nudge()

    def found_stale(self, record: str, message: MessageRef | None) -> None:
        """Show the card anew, on the threads of the replies."""
        self.replies.run(lambda: self.refresh(record, message))

    def acted_at_home(self, user_id: str, message: Message) -> None:
        """Draw the tab anew, with the outcome on top."""
        self.home.draw(user_id, message)


@dataclass(frozen=True, slots=True)
class Bot:
    """The bot, ready for a door that hands Slack's payloads to `app`."""

    app: App
    directory: SlackDirectory
    queue: DecisionQueue
    replies: ReplySender

    def warm(self) -> None:
        """Ask on the side who is in the user groups of the policy, so that no click waits for it."""
        self.directory.warm()

    def close(self) -> None:
        """Finish what was acknowledged, tell its outcomes, then stop. Idempotent."""
        self.queue.close()
        self.replies.close()
        self.directory.close()


def build_bot(
    services: Services,
    client: WebClient,
    installation: Installation,
    *,
    signing_secret: str | None,
    nudge: Callable[[], None] = lambda: None,
    refresh: Callable[[str, MessageRef | None], None] = lambda _record, _message: None,
    queue: DecisionQueue | None = None,
) -> Bot:
    """The bot on these services.

    `client` has the bot's token. `signing_secret` is what HTTP is verified by; None for Socket Mode, which Slack
    secures by the app-level token. `nudge` is called after each commit, `refresh` for a card that was stale. A `queue`
    of one's own has other bounds.
    """
    directory = SlackDirectory(
        client,
        installation.team_id,
        services.clock,
        lambda: services.policy.current().user_groups(),
        installation.enterprise_id,
    )
    queue, replies = queue or DecisionQueue(), ReplySender(client)
    lists = RequestQueries(services.stores.requests, services.policy, services.clock)
    events = BreakGlassQueries(services.stores.break_glass, services.policy, services.clock)
    home = HomeInteractions(replies, lists, events, directory, services.clock)
    responder = Responder(queue, replies, CommitHooks(home, replies, nudge, refresh), services.clock)
    app = build_app(client, installation, signing_secret)
    RequestInteractions(responder, services.requests, lists, directory).register(app)
    BreakGlassInteractions(
        responder, services.break_glass, services.stores, services.policy, events, directory
    ).register(app)
    home.register(app)
    DirectoryEvents(directory).register(app)
    _register_the_rest(app, replies)
    return Bot(app, directory, queue, replies)


def build_app(client: WebClient, installation: Installation, signing_secret: str | None) -> App:
    """A Bolt app without listeners of ours, which calls Slack for nothing."""
    authorized = AuthorizeResult(
        enterprise_id=installation.enterprise_id,
        team_id=installation.team_id,
        bot_id=installation.bot_id,
        bot_user_id=installation.bot_user_id,
        bot_token=client.token,
    )
    bolts_log = logging.getLogger("countersign.bolt")
    # Below this, Bolt quotes whole payloads, with what people typed and with their response_url.
    bolts_log.setLevel(logging.ERROR)
    app = App(
        client=client,
        # With a token alone, Bolt would call auth.test inside the first click.
        authorize=lambda: authorized,
        signing_secret=signing_secret or "",
        request_verification_enabled=signing_secret is not None,
        # Listeners answer in the thread that came in, and do nothing after their answer: Bolt's own way would take a
        # second thread for each click, and look for the acknowledgement every 10 ms.
        process_before_response=True,
        logger=bolts_log,
    )
    app.error(_answer_broken)
    return app


def _register_the_rest(app: App, replies: ReplySender) -> None:
    """What comes from messages and forms of another version is answered too, with words."""

    def on_unknown_action(ack: Ack, body: Payload, context: Payload) -> None:
        ack()
        replies.tell(read_interaction(body, context), reply(OUT_OF_DATE))

    def on_unknown_view(ack: Ack) -> None:
        ack(response_action="update", view=notice(reply(OUT_OF_DATE)))

    app.action(_ANY)(on_unknown_action)
    app.view(_ANY)(on_unknown_view)


def _answer_broken(error: Exception, request: BoltRequest) -> BoltResponse:
    """Answer what went wrong before the desk: a payload that is not Slack's, or a bug."""
    if isinstance(error, InvalidInput) or is_raised_by_bolt(error):
        _log.warning("a payload was refused: %s", quoted(f"{type(error).__name__}: {error}"))
        return BoltResponse(status=400)
    _log.error("a payload could not be answered", exc_info=error)
    if request.context.get("command") or "command" in request.body:
        return BoltResponse(status=200, body={"response_type": "ephemeral", "text": BROKEN})
    return BoltResponse(status=500)
