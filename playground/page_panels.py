"""The panels beside the panes that try Countersign: each is one object that carries out what the page asks.

Invariant: a panel validates what it is asked as a whole. Its state is in the snapshot of every page, and each change of
it reaches every page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from localslack.journal import Journal
from localslack.records import Json
from localslack.refusals import NotOnScreen


class PagePanel(Protocol):
    """One panel."""

    def carry_out(self, body: object) -> Json:
        """Do what the page asks. Raises NotOnScreen, CountersignError, and pydantic's ValidationError."""
        ...

    def show(self) -> Json:
        """Its state, as every page knows it. Never waits."""
        ...


class PagePanels:
    """The panels by their names."""

    def __init__(self, panels: Mapping[str, PagePanel], begin_action: Callable[[], None]) -> None:
        """`begin_action` is called before each action of a person on the page, and mustn't wait for anything."""
        self._panels = panels
        self.begin_action = begin_action

    def carry_out(self, name: str, body: object) -> Json:
        """Do what the page asks of this panel. Raises the panel's errors, and NotOnScreen for an unknown one."""
        panel = self._panels.get(name)
        if panel is None:
            raise NotOnScreen("there is no such panel")
        return panel.carry_out(body)

    def show(self) -> Json:
        """The state of all panels."""
        return {name: panel.show() for name, panel in self._panels.items()}


def publisher(journal: Journal, name: str) -> Callable[[Json], None]:
    """A function that sends a panel's state to every page."""
    return lambda state: journal.publish("panel", {"name": name, "state": state})
