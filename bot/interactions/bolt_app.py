"""The Bolt app: how a payload reaches one of our listeners, and what answers it when none does.

Invariant: building it calls Slack for nothing. Every payload is answered: one that isn't Slack's with 400, one of
another version of our app with a notice, and a bug with a notice where Slack can show one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from slack_bolt import Ack, App, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from bot.interactions.departures import Departures
from bot.interactions.interaction import read_interaction
from bot.interactions.lanes import Lanes
from bot.interactions.reply_sender import ReplySender
from bot.slack.change_writer import ChangeWriter
from bot.slack.directory import SlackDirectory
from bot.slack.installation import Installation
from bot.slack.payloads import Payload, is_raised_by_bolt
from bot.views.replies import BROKEN, OUT_OF_DATE, notice, reply
from core.actor import UserId
from core.errors import InvalidInput
from core.text import quoted

_ANY = re.compile(".*", re.DOTALL)
_log = logging.getLogger("countersign.bot")


@dataclass(frozen=True, slots=True)
class Bot:
    """What answers Slack: a transport hands its payloads to `app`."""

    app: App
    directory: SlackDirectory
    changes: ChangeWriter
    lanes: Lanes
    departures: Departures
    named_people: Callable[[], Iterable[UserId]]

    def warm(self) -> None:
        """Ask on the side who is in the user groups of the policy, and who the people are that it names by id.

        So neither the first click after a start waits for Slack, nor the first emergency.
        """
        self.directory.refresh_groups()
        self.directory.refresh_people(self.named_people())
        self.departures.start()

    def close(self) -> None:
        """Finish what was acknowledged, send its outcomes, then stop. Idempotent."""
        self.lanes.close()
        self.departures.close()
        self.directory.close()
        self.changes.close()


def build_app(client: WebClient, installation: Installation, signing_secret: str | None) -> App:
    """A Bolt app without listeners of ours. Without a `signing_secret` it doesn't verify requests: Socket Mode."""
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


def answer_unknown(app: App, replies: ReplySender) -> None:
    """Answer buttons and forms of another version. To be called after all listeners are registered."""

    def on_unknown_action(ack: Ack, body: Payload, context: Payload) -> None:
        ack()
        replies.reply(read_interaction(body, context), reply(OUT_OF_DATE))

    def on_unknown_view(ack: Ack) -> None:
        ack(response_action="update", view=notice(reply(OUT_OF_DATE)))

    app.action(_ANY)(on_unknown_action)
    app.view(_ANY)(on_unknown_view)


def _answer_broken(error: Exception, request: BoltRequest) -> BoltResponse:
    """Answer what went wrong before the responder: a payload that isn't Slack's, or a bug."""
    if isinstance(error, InvalidInput) or is_raised_by_bolt(error):
        _log.warning("a payload was refused: %s", quoted(f"{type(error).__name__}: {error}"))
        return BoltResponse(status=400)
    _log.error("a payload could not be answered", exc_info=error)
    if request.context.get("command") or "command" in request.body:
        return BoltResponse(status=200, body={"response_type": "ephemeral", "text": BROKEN})
    return BoltResponse(status=500)
