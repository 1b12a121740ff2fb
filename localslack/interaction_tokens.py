"""The short-lived tokens that an interaction gives the app: a trigger_id for one modal, a response_url for 5 messages.

Invariant: a trigger_id works once, within 3 seconds; a response_url works 5 times, within 30 minutes. The injected
clock measures both.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from localslack import limits
from localslack.journal import Journal
from localslack.refusals import SlackRefusal


@dataclass(frozen=True, slots=True)
class Trigger:
    """Permission to open one modal for this person. `view_id` is the modal that the interaction came from, if any."""

    id: str
    user: str
    at: datetime
    view_id: str | None = None
    is_exchanged: bool = False


@dataclass(frozen=True, slots=True)
class ResponseUrl:
    """Permission to respond to this person in this channel. `source` is the `ts` of the message that was acted on."""

    key: str
    user: str
    channel: str
    at: datetime
    source: str | None = None
    uses: int = 0


class InteractionTokens:
    """All triggers and response_urls that were issued."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._triggers: dict[str, Trigger] = {}
        self._response_urls: dict[str, ResponseUrl] = {}

    def new_trigger(self, user: str, view_id: str | None = None) -> str:
        """Issue a trigger_id."""
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        with self._journal.lock:
            self._triggers[trigger_id] = Trigger(trigger_id, user, self._journal.clock.now(), view_id)
        return trigger_id

    def check_trigger(self, trigger_id: str) -> Trigger:
        """The trigger, if it's valid. Raises SlackRefusal invalid_, exchanged_ or expired_trigger_id."""
        with self._journal.lock:
            trigger = self._triggers.get(trigger_id)
            if trigger is None:
                raise SlackRefusal("invalid_trigger_id")
            if trigger.is_exchanged:
                raise SlackRefusal("exchanged_trigger_id")
            if self._journal.clock.now() - trigger.at > limits.TRIGGER_LIFETIME:
                raise SlackRefusal("expired_trigger_id")
            return trigger

    def exchange(self, trigger: Trigger) -> None:
        """Mark the trigger as used."""
        with self._journal.lock:
            self._triggers[trigger.id] = replace(trigger, is_exchanged=True)

    def new_response_url(self, user: str, channel: str, source: str | None = None) -> str:
        """Issue a response_url. Returns the last part of its path, which can't be guessed."""
        key = secrets.token_urlsafe(18)
        with self._journal.lock:
            self._response_urls[key] = ResponseUrl(key, user, channel, self._journal.clock.now(), source)
        return key

    def check_response_url(self, key: str) -> ResponseUrl:
        """The response_url, if it's valid. Raises SlackRefusal no_service, used_url or "Expired url"."""
        with self._journal.lock:
            found = self._response_urls.get(key)
            if found is None:
                raise SlackRefusal("no_service")
            if self._journal.clock.now() - found.at > limits.RESPONSE_URL_LIFETIME:
                # Slack spells this one with a space; apps such as Sentry compare it literally.
                raise SlackRefusal("Expired url")
            if found.uses >= limits.RESPONSE_URL_USES:
                raise SlackRefusal("used_url")
            return found

    def count_use(self, url: ResponseUrl) -> None:
        """Count one more use of the response_url."""
        with self._journal.lock:
            self._response_urls[url.key] = replace(url, uses=self._response_urls[url.key].uses + 1)
