"""The channels of people's direct messages, for which Slack is asked once.

Invariant: only a channel that took a message is kept, and one that Slack no longer finds is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

from core.actor import UserId

MAX_KNOWN: Final = 10_000
"""People whose channels are remembered; the one who was sent a message longest ago is forgotten first."""


class DirectChannels:
    """Remembers the direct message channels of people. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[UserId, str] = OrderedDict()

    def known(self, user: UserId) -> str | None:
        """The channel with a person, if it took a message before."""
        with self._lock:
            return self._known.get(user)

    def note(self, user: UserId, channel: str) -> None:
        """It took a message."""
        with self._lock:
            self._known[user] = channel
            self._known.move_to_end(user)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)

    def forget(self, user: UserId) -> None:
        """It took none."""
        with self._lock:
            self._known.pop(user, None)
