"""The calls to Slack of one delivery: post a message, update it, and send a direct message.

Invariant: a call is sent once, and ends with its result or with SlackFailed; no slack_sdk type or error leaves this
module. No call starts after a general failure, or when the delivery's time is used up: a delivery ends before its lease
does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import SecretStr
from slack_sdk import WebClient

from bot.notifications.direct_channels import DirectChannels
from bot.notifications.slack_failed import SlackFailed, out_of_time, refused
from bot.slack import client as slack_client
from bot.slack.errors import CHANNEL_CLOSED, RATE_LIMITED, UNREADABLE, read_error
from bot.slack.picture_upload import PictureRefused, upload_picture
from bot.views.block_kit import Message
from bot.views.links import linked
from core.actor import UserId
from core.clock import Clock
from core.stores.messages import MessageRef

CALL_TIMEOUT_SECONDS: Final = 10
"""How long one call may take. Slack usually answers within a second; a call this slow has most likely failed."""
DELIVERY_TIMEOUT_SECONDS: Final = 15.0
"""After this, no new call starts. With the last call, this is less than half of the outbox's lease."""

_log = logging.getLogger("countersign.slack")


def open_client(token: SecretStr, api_url: str) -> WebClient:
    """A client for the sink alone. It never retries: the outbox does, and knows what was already posted."""
    return slack_client.open_client(token, api_url, CALL_TIMEOUT_SECONDS)


class SlackCalls:
    """The calls that one delivery makes. `chain` names the record in every problem.

    Links in people's text to the `link_hosts` can be clicked. `directs` are the direct message channels known so far.
    """

    def __init__(
        self,
        client: WebClient,
        clock: Clock,
        chain: str,
        seconds: float = DELIVERY_TIMEOUT_SECONDS,
        link_hosts: Collection[str] = (),
        directs: DirectChannels | None = None,
    ) -> None:
        self._directs = directs or DirectChannels()
        self._link_hosts = link_hosts
        self._client = client
        self._clock = clock
        self._chain = chain
        self._ends_at = time.monotonic() + seconds
        self._general_failure: SlackFailed | None = None

    def post(self, channel: str, message: Message, what: str, *, thread: MessageRef | None = None) -> MessageRef:
        """Post a message, in a thread if one is given. Returns its MessageRef. Raises SlackFailed."""
        message = linked(message, self._link_hosts)
        with self._calling(f"{what} cannot be posted in {channel}"):
            answer = self._client.chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=list(message.blocks),
                thread_ts=thread.ts if thread is not None else None,
                unfurl_links=False,
                unfurl_media=False,
            )
            return MessageRef(channel=str(answer["channel"]), ts=str(answer["ts"]))

    def rewrite(self, ref: MessageRef, message: Message, what: str) -> None:
        """Replace the content of a message. Raises SlackFailed."""
        message = linked(message, self._link_hosts)
        with self._calling(f"{what} cannot be rewritten in {ref.channel}"):
            self._client.chat_update(channel=ref.channel, ts=ref.ts, text=message.text, blocks=list(message.blocks))

    def post_direct(self, user: UserId, message: Message, what: str) -> MessageRef:
        """Send a person a direct message. Returns its MessageRef. Raises SlackFailed."""
        channel = self._directs.known(user)
        if channel is not None:
            try:
                return self.post(channel, message, what)
            except SlackFailed as failure:
                if failure.code not in CHANNEL_CLOSED:
                    raise
                # Nothing was posted there.
                self._directs.forget(user)
        channel = self._open_direct(user, what)
        posted = self.post(channel, message, what)
        self._directs.note(user, channel)
        return posted

    def _open_direct(self, user: UserId, what: str) -> str:
        with self._calling(f"{what} cannot be sent to {user}"):
            answer = self._client.conversations_open(users=user)
            return MessageRef(channel=str(answer["channel"]["id"]), ts="0").channel

    def upload(self, name: str, title: str, alt: str, content: bytes) -> str | None:
        """Upload a picture. Returns its id, or None when this app may not, or the picture isn't taken; it is logged.

        Raises SlackFailed when Slack itself can't be reached: then nothing else can be done either.
        """
        try:
            with self._calling("the picture cannot be uploaded"):
                return upload_picture(self._client, name, title, alt, content)
        except PictureRefused as refusal:
            _log.warning("%s goes without its picture: %s", self._chain, refusal)
        except SlackFailed as failure:
            if failure.is_general or failure.code in RATE_LIMITED:
                raise
            _log.warning("%s goes without its picture: %s", self._chain, failure.problem)
        return None

    def is_internal(self, channel: str) -> bool:
        """True when Slack says that nobody from another organization sees this channel, or is invited to.

        False when Slack doesn't say. Raises nothing, and fails no other step: this only decides about a copy.
        """
        if self._general_failure is not None or time.monotonic() >= self._ends_at:
            return False
        try:
            shown = self._client.conversations_info(channel=channel)["channel"]
            # A flag that is missing never counts as false.
            return all(shown[flag] is False for flag in ("is_ext_shared", "is_pending_ext_shared"))
        except UNREADABLE as error:
            _log.info("%s: Slack doesn't say who sees %s: %s", self._chain, channel, read_error(error).label)
            return False

    def find_permalink(self, ref: MessageRef) -> str | None:
        """The address of a message; None when Slack doesn't say. Raises nothing, and fails no other step."""
        if self._general_failure is not None or time.monotonic() >= self._ends_at:
            return None
        try:
            answer = self._client.chat_getPermalink(channel=ref.channel, message_ts=ref.ts)
            return str(answer["permalink"])
        except UNREADABLE as error:
            _log.info("%s: Slack doesn't say where its card is: %s", self._chain, read_error(error).label)
            return None

    @contextmanager
    def _calling(self, doing: str) -> Iterator[None]:
        doing = f"{self._chain}: {doing}"
        try:
            if self._general_failure is not None:
                raise self._general_failure
            if time.monotonic() >= self._ends_at:
                raise out_of_time(doing)
            with _translating(doing, self._clock):
                yield
        except SlackFailed as failure:
            self._general_failure = failure if failure.is_general else None
            raise


@contextmanager
def _translating(doing: str, clock: Clock) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise refused(doing, error, clock.now()) from error
