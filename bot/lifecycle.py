"""The lifecycle of one instance: its components are started in order and stopped in reverse order.

Invariant: what was started is stopped, whatever failed in between. A component is stopped after those that need it, so
acknowledged work is finished while the stores are still open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_log = logging.getLogger("countersign.serve")


def _nothing() -> None:
    """The default for a component that needs no start or no stop."""


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the process. `start` may raise CountersignError; `stop` doesn't wait longer than necessary."""

    name: str
    start: Callable[[], object] = _nothing
    stop: Callable[[], object] = _nothing


class Lifecycle:
    """The components of this process, each one after those that it depends on."""

    def __init__(self, components: Sequence[Component]) -> None:
        self._components = tuple(components)
        self._started: list[Component] = []

    def start(self) -> None:
        """Start every component. If one fails, stop those that were started, and raise its error."""
        try:
            for component in self._components:
                # Before it starts: a component that fails halfway has resources to release.
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
            except Exception:  # noqa: BLE001 - the others are still stopped
                _log.exception("%s did not stop cleanly", component.name)
