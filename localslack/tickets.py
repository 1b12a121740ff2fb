"""What an interaction entitles the app to for a while: one modal by its trigger_id, five messages by its response_url.

Invariant: a trigger is exchanged once at most and not when older than 3 s; a response_url answers 5 times at most and
not when older than 30 minutes. Ages are told by the injected clock.
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
    """Leave to open one modal for this person; from inside a modal, `view_id` says which."""

    id: str
    user: str
    at: datetime
    view_id: str | None = None
    is_exchanged: bool = False


@dataclass(frozen=True, slots=True)
class ResponseUrl:
    """Leave to answer this person in this channel; `source` is the `ts` of the message whose button was pressed."""

    key: str
    user: str
    channel: str
    at: datetime
    source: str | None = None
    uses: int = 0


class Tickets:
    """All triggers and response_urls that were handed out."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._triggers: dict[str, Trigger] = {}
        self._response_urls: dict[str, ResponseUrl] = {}

    def new_trigger(self, user: str, view_id: str | None = None) -> str:
        """The trigger_id for an interaction."""
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        with self._journal.lock:
            self._triggers[trigger_id] = Trigger(trigger_id, user, self._journal.clock.now(), view_id)
        return trigger_id

    def look_at_trigger(self, trigger_id: str) -> Trigger:
        """The trigger, if it is good. Raises SlackRefusal invalid_, exchanged_ or expired_trigger_id."""
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
        """Use the trigger up."""
        with self._journal.lock:
            self._triggers[trigger.id] = replace(trigger, is_exchanged=True)

    def new_response_url(self, user: str, channel: str, source: str | None = None) -> str:
        """The last part of the response_url for an interaction; nobody can guess it."""
        key = secrets.token_urlsafe(18)
        with self._journal.lock:
            self._response_urls[key] = ResponseUrl(key, user, channel, self._journal.clock.now(), source)
        return key

    def look_at_response_url(self, key: str) -> ResponseUrl:
        """The response_url, if it is good. Raises SlackRefusal no_service, used_url or "Expired url"."""
        with self._journal.lock:
            found = self._response_urls.get(key)
            if found is None:
                raise SlackRefusal("no_service")
            if self._journal.clock.now() - found.at > limits.RESPONSE_URL_LIFETIME:
                # Slack writes this one as a sentence; others, Sentry for one, compare it letter by letter.
                raise SlackRefusal("Expired url")
            if found.uses >= limits.RESPONSE_URL_USES:
                raise SlackRefusal("used_url")
            return found

    def count_use(self, url: ResponseUrl) -> None:
        """Note that the response_url was used once more."""
        with self._journal.lock:
            self._response_urls[url.key] = replace(url, uses=self._response_urls[url.key].uses + 1)
