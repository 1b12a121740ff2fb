"""What people did on the page, each with what went to the app, what came back, and which calls the app made.

Invariant: an act holds the interactions of the threads that did it, also when several people act at once. The app's
calls carry no word of what caused them, so an act lists those from its beginning to the beginning of the next one.
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

_MOST_ACTS: Final = 50
_MOST_CALLS: Final = 200
"""Of one act. Nobody reads more, and a bot in a loop must not fill the memory."""


@dataclass(slots=True)
class Act:
    """One thing that was done on the page. `number` counts them."""

    number: int
    at: datetime
    title: str
    people: tuple[str, ...]
    interactions: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)

    def as_json(self) -> Json:
        """As the page shows it."""
        told = {"number": self.number, "at": format_time(self.at), "title": self.title, "people": self.people}
        return {**told, "interactions": list(self.interactions), "calls": list(self.calls)}


class ActionLog:
    """Listens to the journal; keeps the last fifty acts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._acts: deque[Act] = deque(maxlen=_MOST_ACTS)
        self._count = 0
        self._mine = threading.local()
        journal.subscribe(self._hear)

    def begin(self, title: str, *people: str) -> Act:
        """Note that something is being done now."""
        with self._journal.lock:
            self._count += 1
            act = Act(self._count, self._journal.clock.now(), title, people)
            self._acts.append(act)
            return act

    @contextmanager
    def doing(self, act: Act) -> Iterator[Act]:
        """What this thread sends to the app meanwhile belongs to the act."""
        self._mine.act = act
        try:
            yield act
        finally:
            self._mine.act = None

    def find(self, number: int | None = None) -> tuple[Act, datetime | None] | None:
        """An act, the last one by default, and when the next one began; None when there is none."""
        with self._journal.lock:
            acts = list(self._acts)
        for act, following in pairwise([*acts, None]):
            if act is not None and (act.number == number or (number is None and following is None)):
                return act, following.at if following else None
        return None

    def copy(self, act: Act) -> Json:
        """The act as it stands."""
        with self._journal.lock:
            return act.as_json()

    def _hear(self, event: Json) -> None:
        # Called under the journal's lock, on the thread that made the change.
        if event["type"] == "interaction":
            own: Act | None = getattr(self._mine, "act", None)
            if own is not None:
                own.interactions.append({key: event[key] for key in event.keys() - {"type", "number"}})
        elif event["type"] == "api_call" and self._acts and len(self._acts[-1].calls) < _MOST_CALLS:
            self._acts[-1].calls.append({key: event[key] for key in event.keys() - {"type", "number"}})
