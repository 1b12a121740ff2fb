"""The address of a record's card, for replies that lead to it.

Invariant: nothing fails because an address isn't known.
"""

from __future__ import annotations

import logging

from bot.notifications.cards import CARD
from bot.slack.permalink import permalink
from core.errors import StoreError
from core.stores.messages import MessageStore

_log = logging.getLogger("countersign.slack")


class CardLinks:
    """Finds the addresses of cards. Safe for threads."""

    def __init__(self, messages: MessageStore, workspace_url: str | None) -> None:
        self._messages = messages
        self._workspace_url = workspace_url

    def find(self, chain: str) -> str | None:
        """The address of a record's card; None while there is no card, or it isn't known where. One read."""
        try:
            ref = self._messages.get_messages(chain).get(CARD)
        except StoreError as error:
            _log.warning("%s: where its card is could not be read: %s", chain, error)
            return None
        return permalink(self._workspace_url, ref) if ref is not None else None
