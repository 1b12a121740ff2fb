"""Keeps the workspace in a file while it changes.

Invariant: what was shown is in the file a moment later, whole, and at the latest when the keeper stops.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from localslack.records import Json
from localslack.server import LocalSlack

_PAUSE_SECONDS: Final = 0.5
"""Between two writings, however much happens."""
_NO_CHANGE: Final = frozenset({"api_call", "interaction", "clock"})


class Keeper:
    """Writes the workspace from a thread of its own, so that nobody waits for the disk."""

    def __init__(self, slack: LocalSlack, path: Path) -> None:
        self._slack = slack
        self._path = path
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._unsubscribe = slack.subscribe(self._hear)
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write for the last time."""
        self._unsubscribe()
        self._stopping.set()
        self._changed.set()
        self._thread.join()

    def _hear(self, event: Json) -> None:
        if event["type"] not in _NO_CHANGE:
            self._changed.set()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait()
            self._changed.clear()
            self._slack.save(self._path)
            self._stopping.wait(_PAUSE_SECONDS)
        self._slack.save(self._path)
