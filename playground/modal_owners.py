"""Which browser tab a person's modals are open in: a form that somebody opens in one tab doesn't cover the others.

Invariant: a modal belongs to the tab that its person last acted in when it opened. One that nobody opened on a page, as
a test does, belongs to no tab, and shows in all.
"""

from __future__ import annotations

from localslack.journal import Journal
from localslack.records import Json


class ModalOwners:
    """Listens to the journal, and publishes the owner before the modal. Safe for threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._last: dict[str, str | None] = {}
        self._roots: dict[str, str] = {}
        self._owners: dict[str, str | None] = {}
        journal.subscribe(self._on_event)

    def note(self, person: str, client: str | None) -> None:
        """This person acts in this tab now."""
        with self._journal.lock:
            self._last[person] = client

    def to_json(self) -> Json:
        """The owner of each person's modals. Hold the journal's lock to see it together with the modals."""
        with self._journal.lock:
            return dict(self._owners)

    def _on_event(self, event: Json) -> None:
        # Called under the journal's lock.
        if event["type"] != "modals" or not event["stack"]:
            return
        person, root = event["user"], event["stack"][0]["root_view_id"]
        if self._roots.get(person) == root:
            return
        self._roots[person] = root
        self._owners[person] = self._last.get(person)
        self._journal.publish("modal_owner", {"user": person, "client": self._owners[person]})
