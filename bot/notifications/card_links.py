"""The address of a record's card, for replies that lead to it.

Invariant: nothing fails because an address isn't known, and no reply waits for Slack: an address that Slack hasn't
given yet is written as Slack writes it.
"""

from __future__ import annotations

import logging

from bot.notifications.cards import CARD
from bot.notifications.permalinks import Permalinks
from bot.slack.permalink import permalink
from core.errors import StoreError
from core.stores.messages import MessageStore

_log = logging.getLogger("countersign.slack")


class CardLinks:
    """Finds the addresses of cards. Safe for threads. `known` are those that Slack gave when the cards were posted."""

    def __init__(self, messages: MessageStore, workspace_url: str | None, known: Permalinks | None = None) -> None:
        self._messages = messages
        self._workspace_url = workspace_url
        self._known = known or Permalinks()

    def find(self, chain: str) -> str | None:
        """The address of a record's card; None while there is no card, or it isn't known where. One read."""
        try:
            ref = self._messages.get_messages(chain).get(CARD)
        except StoreError as error:
            _log.warning("%s: where its card is could not be read: %s", chain, error)
            return None
        if ref is None:
            return None
        return self._known.known(ref) or permalink(self._workspace_url, ref)
