"""What people did on the page, each with what was sent to the app, what came back, and the API calls that followed.

Invariant: an action holds the interactions of the threads that did it, also if several people act at once. API calls
don't say what caused them, so an action lists those from its beginning to the beginning of the next one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final

from core.clock import format_time
from localslack.journal import Journal
from localslack.records import Json

_MAX_ACTIONS: Final = 50
_MAX_CALLS: Final = 200
"""For each action. Nobody reads more, and a bot in a loop must not fill the memory."""


@dataclass(slots=True)
class PageAction:
    """One thing that was done on the page. Actions are numbered from 1."""

    number: int
    at: datetime
    title: str
    people: tuple[str, ...]
    interactions: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)

    def to_json(self) -> Json:
        """The action as the page shows it."""
        return {
            "number": self.number,
            "at": format_time(self.at),
            "title": self.title,
            "people": self.people,
            "interactions": list(self.interactions),
            "calls": list(self.calls),
        }


class ActionLog:
    """Listens to the journal, and keeps the last fifty actions."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._actions: deque[PageAction] = deque(maxlen=_MAX_ACTIONS)
        self._count = 0
        self._current = threading.local()
        journal.subscribe(self._on_event)

    def begin(self, title: str, *people: str) -> PageAction:
        """Log that an action begins now."""
        with self._journal.lock:
            self._count += 1
            action = PageAction(self._count, self._journal.clock.now(), title, people)
            self._actions.append(action)
            return action

    @contextmanager
    def recording(self, action: PageAction) -> Iterator[PageAction]:
        """Add what this thread sends to the app in this context to the action."""
        self._current.action = action
        try:
            yield action
        finally:
            self._current.action = None

    def find(self, number: int | None = None) -> tuple[PageAction, datetime | None] | None:
        """An action, by default the last one, and when the next one began. None if there is no such action."""
        with self._journal.lock:
            actions = list(self._actions)
        for action, following in pairwise([*actions, None]):
            if action is not None and (action.number == number or (number is None and following is None)):
                return action, following.at if following else None
        return None

    def to_json(self, action: PageAction) -> Json:
        """The action as it is now, taken under the lock."""
        with self._journal.lock:
            return action.to_json()

    def _on_event(self, event: Json) -> None:
        # Called under the journal's lock, on the thread that made the change.
        if event["type"] == "interaction":
            current: PageAction | None = getattr(self._current, "action", None)
            if current is not None:
                current.interactions.append(_without_envelope(event))
        elif event["type"] == "api_call" and self._actions and len(self._actions[-1].calls) < _MAX_CALLS:
            self._actions[-1].calls.append(_without_envelope(event))


def _without_envelope(event: Json) -> Json:
    return {key: event[key] for key in event.keys() - {"type", "number"}}
