"""Replies after the acknowledgement, forms and Home tabs, each in a lane of its own.

Invariant: nobody waits for these calls, and what has a trigger waits for no reply. A reply that can't be delivered is
logged and lost, which costs no decision: the store has the decision, and the card and the direct messages come through
the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient

from bot.interactions.form_origin import OpenedForms, read_origin
from bot.interactions.interaction import Interaction
from bot.interactions.lanes import Lanes
from bot.observability.metrics import Lane
from bot.observability.tracing import STATUS, SpanKind
from bot.slack import client as slack_client
from bot.slack.errors import HASH_CONFLICT, UNREACHABLE, ErrorKind, read_error
from bot.views.block_kit import Block, Message
from bot.views.links import linked, linked_view
from bot.views.replies import NO_FORM, OVERLOADED, REPLIES_LEFT_OUT, notice, reply
from core.errors import CountersignError

TIMEOUT_SECONDS: Final = 10
FORM_TIMEOUT_SECONDS: Final = 5
"""A trigger lives for three seconds: a call that takes longer opens nothing, and keeps others waiting."""
_DOMAINS: Final = (".slack.com", ".slack-gov.com")
"""Where Slack's response_urls are; a local Slack's are where its API is."""

_log = logging.getLogger("countersign.replies")


class ReplySender:
    """Replies to people and opens forms. Safe for threads. Copies `client`, without retries: a late reply is noise.

    Links in people's text to the `link_hosts` can be clicked.
    """

    def __init__(self, client: WebClient, lanes: Lanes, link_hosts: Callable[[], Collection[str]] = tuple) -> None:
        self._link_hosts = link_hosts
        self._opened = OpenedForms()
        self._client = slack_client.like(client, TIMEOUT_SECONDS)
        self._form_client = slack_client.like(client, FORM_TIMEOUT_SECONDS)
        self._lanes = lanes
        self._tracer = slack_client.tracer_of(client)

    def reply(self, interaction: Interaction, message: Message, *, in_place: bool = False) -> None:
        """Reply to the person who clicked, where they clicked if Slack lets us, else in their direct messages.

        `in_place` replaces the ephemeral message whose button they clicked. When too many replies wait for this person,
        it is left out, and one notice after the others says so.
        """
        self._run_reply(interaction, lambda: self._reply(interaction, message, in_place=in_place))

    def reply_in_place(self, interaction: Interaction, make: Callable[[], Message], otherwise: Message) -> None:
        """Replace the ephemeral message whose button was clicked with what `make` returns.

        When that can't be made, reply `otherwise`, and leave the message as it is.
        """

        def redraw() -> None:
            try:
                message = make()
            except CountersignError as error:
                _log.warning("a list could not be drawn anew: %s", error)
                self._reply(interaction, otherwise)
                return
            self._reply(interaction, message, in_place=True)

        self._run_reply(interaction, redraw)

    def opener_of(self, interaction: Interaction) -> Interaction | None:
        """The interaction that opened this form, if it was here and lately; it says where to reply."""
        origin = read_origin(interaction.external_id)
        return self._opened.take(origin, interaction.user_id) if origin is not None else None

    def reply_beside(self, interaction: Interaction, message: Message) -> None:
        """Reply to a form that was closed: where it was opened, if Slack lets us, else by direct message."""
        origin = read_origin(interaction.external_id)

        def send() -> None:
            content = self._content(message)
            channel = origin.channel if origin is not None else None
            if channel is None or self._is_refused(
                lambda: self._client.chat_postEphemeral(channel=channel, user=interaction.user_id, **content)
            ):
                self._reply(interaction, message)

        self._run_reply(interaction, send)

    def shown(self, view: Block) -> Block:
        """A view as it is sent: the links in it that are trusted can be clicked."""
        return linked_view(view, self._link_hosts())

    def update_form(self, interaction: Interaction, message: Message, form: Block | None = None) -> None:
        """Show the outcome in the form that still says "not recorded yet", or by direct message if it was closed.

        With a `form`, that form takes its place, and the message is only for where it can't.
        """

        def update() -> None:
            view = self.shown(form or notice(message))
            if interaction.view_id is None or self._is_refused(
                lambda: self._client.views_update(view_id=interaction.view_id, view=view)
            ):
                self._reply(interaction, message)

        self._run_reply(interaction, update)

    def open_form(
        self, interaction: Interaction, make: Callable[[], Block], refuse: Callable[[CountersignError], None]
    ) -> None:
        """Open the form that `make` returns; `refuse` replies why there is none."""

        def open_it() -> None:
            try:
                view = self.shown(make())
            except CountersignError as error:
                refuse(error)
                return
            view = view | {"external_id": self._opened.note(interaction).write()}
            if not interaction.can_open_form or self._is_refused(
                lambda: self._form_client.views_open(trigger_id=interaction.trigger_id, view=view)
            ):
                # Said in the lane of replies: this thread is for what has a trigger.
                self.reply(interaction, reply(NO_FORM))

        lane = Lane.EMERGENCY_FORM if interaction.is_emergency else Lane.FORM
        if not self._lanes.submit(lane, interaction.user_id, lambda: _log_errors(open_it)):
            self.reply(interaction, reply(OVERLOADED))

    def redraw_form(self, interaction: Interaction, make: Callable[[], Block]) -> None:
        """Draw a form again that is being filled in, if it's still what the person sees.

        One is drawn at a time for each view; of those that wait meanwhile, only the last one is drawn.
        """

        def redraw() -> None:
            view, known = self.shown(make()), {"hash": interaction.view_hash} if interaction.view_hash else {}
            if interaction.external_id:
                # It says where the form was opened, and an update without it would forget that.
                view = view | {"external_id": interaction.external_id}
            self._is_refused(lambda: self._form_client.views_update(view_id=interaction.view_id, view=view, **known))

        lane = Lane.EMERGENCY_FORM if interaction.is_emergency else Lane.FORM
        self._lanes.submit(lane, interaction.user_id, lambda: _log_errors(redraw), key=interaction.view_id)

    def publish_home(
        self, user_id: str, make: Callable[[], Block], *, hash_: str | None = None, is_answer: bool = False
    ) -> None:
        """Draw a person's Home tab; with a `hash_`, only if it is still the one this was read from.

        The answer to a click is shown all the same, drawn anew over whatever came between. One is drawn at a time for
        each person; of those that wait meanwhile, only the last one is drawn.
        """

        def publish() -> None:
            view, known = self.shown(make()), {"hash": hash_} if hash_ else {}
            try:
                self._client.views_publish(user_id=user_id, view=view, **known)
            except UNREACHABLE as error:
                if not (known and read_error(error).code == HASH_CONFLICT):
                    self._note_refusal(error)
                elif is_answer:
                    # What was read before the other drawing may be older than it.
                    self._is_refused(lambda: self._client.views_publish(user_id=user_id, view=self.shown(make())))

        self._lanes.submit(Lane.HOME, user_id, lambda: _log_errors(publish), key=user_id)

    def _run_reply(self, interaction: Interaction, send: Callable[[], None]) -> None:
        lane = Lane.EMERGENCY_REPLY if interaction.is_emergency else Lane.REPLY

        def say_left_out() -> None:
            self._reply(interaction, reply(REPLIES_LEFT_OUT))

        self._lanes.submit(
            lane, interaction.user_id, lambda: _log_errors(send), if_full=lambda: _log_errors(say_left_out)
        )

    def _reply(self, interaction: Interaction, message: Message, *, in_place: bool = False) -> None:
        content = self._content(message) | {"unfurl_links": False, "unfurl_media": False}
        if not self._is_answered(interaction.response_url, content, in_place=in_place):
            self._is_refused(lambda: self._client.chat_postMessage(channel=interaction.user_id, **content))

    def _content(self, message: Message) -> dict[str, Any]:
        return {"text": message.text, "blocks": list(linked(message, self._link_hosts()).blocks)}

    def _is_answered(self, url: str | None, content: dict[str, Any], *, in_place: bool) -> bool:
        # A stolen signing secret must not make this process call other addresses of its network.
        if url is None or not _is_slacks(url, self._client.base_url):
            return False
        try:
            with self._tracer.span("slack response_url", {}, SpanKind.CLIENT):
                answer = WebhookClient(url, timeout=TIMEOUT_SECONDS, ssl=self._client.ssl, retry_handlers=[]).send(
                    **content, response_type="ephemeral", replace_original=in_place
                )
                self._tracer.note({STATUS: answer.status_code})
        except UNREACHABLE as error:
            _log.warning("a reply did not reach Slack: %s", read_error(error).label)
            return False
        if answer.status_code != HTTPStatus.OK:
            _log.warning("Slack refused a reply: HTTP %d", answer.status_code)
        return answer.status_code == HTTPStatus.OK

    @staticmethod
    def _is_refused(call: Callable[[], object]) -> bool:
        """True when Slack didn't do it; the log says why."""
        try:
            call()
        except UNREACHABLE as error:
            ReplySender._note_refusal(error)
            return True
        return False

    @staticmethod
    def _note_refusal(error: Exception) -> None:
        failure = read_error(error)
        # What only this person or channel meets is no alarm: a payload can name any id.
        is_alarm = failure.kind is ErrorKind.OPERATOR and failure.is_general
        level = logging.ERROR if is_alarm else logging.WARNING
        _log.log(level, "Slack did not take a reply: %s. %s", failure.label, failure.fix)


def _log_errors(send: Callable[[], None]) -> None:
    try:
        send()
    except CountersignError as error:
        _log.warning("a reply could not be made: %s", error)
    except Exception:  # noqa: BLE001 - see below
        # The app's error handler, for what happens after the acknowledgement: a bug here ends no thread.
        _log.exception("a reply could not be made")


def _is_slacks(url: str, base_url: str) -> bool:
    parts, own = urlsplit(url), urlsplit(base_url)
    is_own = (parts.scheme, parts.netloc) == (own.scheme, own.netloc)
    return is_own or (parts.scheme == "https" and (parts.hostname or "").endswith(_DOMAINS))
