"""The addresses of messages, which Slack is asked for once.

Invariant: nothing waits or fails because an address isn't known. What Slack answers is kept only if it is an address of
Slack's own.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

from bot.notifications.slack_calls import SlackCalls
from bot.slack.permalink import is_slacks
from core.stores.messages import MessageRef

MAX_KNOWN: Final = 10_000
"""Cards whose addresses are remembered; the one that was asked for longest ago is forgotten first."""


class Permalinks:
    """Remembers the addresses of cards. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[MessageRef, str] = OrderedDict()

    def known(self, ref: MessageRef) -> str | None:
        """The address of a message, if Slack has given it before."""
        with self._lock:
            url = self._known.get(ref)
            if url is not None:
                self._known.move_to_end(ref)
            return url

    def find(self, calls: SlackCalls, ref: MessageRef) -> str | None:
        """The address of a message, from Slack the first time; None when Slack doesn't say."""
        url = self.known(ref)
        if url is not None:
            return url
        url = calls.find_permalink(ref)
        if url is None or not is_slacks(url):
            return None
        with self._lock:
            self._known[ref] = url
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return url
