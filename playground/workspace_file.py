"""Saves the workspace to a file while it changes.

Invariant: a change is in the file a moment later, and at the latest once `stop` returns. The file is always complete.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from localslack.records import Json
from localslack.server import LocalSlack

_PAUSE_SECONDS: Final = 0.5
"""Between two writes, however much happens."""
_WITHOUT_CHANGE: Final = frozenset({"api_call", "interaction", "clock", "aws", "modal_owner", "panel", "races"})


class WorkspaceFile:
    """Writes the workspace from a thread of its own, so that nothing waits for the disk."""

    def __init__(self, slack: LocalSlack, path: Path) -> None:
        self._slack = slack
        self._path = path
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._unsubscribe = slack.subscribe(self._on_event)
        self._thread = threading.Thread(target=self._write, name="workspace-file", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write once more, and end the thread."""
        self._unsubscribe()
        self._stopping.set()
        self._changed.set()
        self._thread.join()

    def _on_event(self, event: Json) -> None:
        if event["type"] not in _WITHOUT_CHANGE:
            self._changed.set()

    def _write(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait()
            self._changed.clear()
            self._slack.save(self._path)
            self._stopping.wait(_PAUSE_SECONDS)
        self._slack.save(self._path)
