"""One running instance: its parts, started in order and stopped in the opposite one.

Invariant: what was started is stopped, whatever failed in between; a part is stopped after those that need it. So what
was acknowledged is finished while the stores are still open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_log = logging.getLogger("countersign.serve")


def _nothing() -> None:
    """A part that needs no start, or no stop."""


@dataclass(frozen=True, slots=True)
class Component:
    """Something that runs. `start` may raise CountersignError; `stop` waits no longer than it has to."""

    name: str
    start: Callable[[], object] = _nothing
    stop: Callable[[], object] = _nothing


class Lifecycle:
    """The parts of this process, in the order in which one needs the other."""

    def __init__(self, components: Sequence[Component]) -> None:
        self._components = tuple(components)
        self._started: list[Component] = []

    def start(self) -> None:
        """Start every part. When one cannot be started, stop those that were, and raise what it raised."""
        try:
            for component in self._components:
                # Before it has started: a part that got halfway has something to let go of.
                self._started.append(component)
                component.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop what was started, the last one first. Idempotent."""
        while self._started:
            component = self._started.pop()
            try:
                component.stop()
            except Exception:  # noqa: BLE001 - the others are stopped all the same
                _log.exception("%s did not stop in good order", component.name)
