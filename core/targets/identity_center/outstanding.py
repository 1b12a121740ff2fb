"""How many creations of assignments this process has under way: AWS runs ten at once, for everybody together.

Invariant: at most MAX_OUTSTANDING are counted, and each is forgotten when it ended, or after FORGET_AFTER because
another instance may have seen its end.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

MAX_OUTSTANDING: Final = 5
"""Half of AWS's limit, so that other tools and a second instance find room."""
FORGET_AFTER: Final = timedelta(minutes=10)


class Outstanding:
    """The creations under way. Safe for threads."""

    def __init__(self, at_most: int = MAX_OUTSTANDING) -> None:
        self._at_most = at_most
        self._lock = threading.Lock()
        self._since: dict[str, datetime] = {}

    def begin(self, what: str, now: datetime) -> bool:
        """Whether one more may begin; it is counted from now on. `what` is any name that is unique."""
        with self._lock:
            self._since = {name: since for name, since in self._since.items() if now - since < FORGET_AFTER}
            if what not in self._since and len(self._since) >= self._at_most:
                return False
            self._since[what] = now
            return True

    def rename(self, what: str, token: str) -> None:
        """The creation got a token, by which `end` will know it."""
        with self._lock:
            if what in self._since:
                self._since[token] = self._since.pop(what)

    def end(self, what: str) -> None:
        """It ended, or never began."""
        with self._lock:
            self._since.pop(what, None)
