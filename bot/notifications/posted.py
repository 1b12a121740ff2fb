"""What was posted already, so that a delivery that is tried again goes on where it stopped.

Invariant: what this process posted is never posted again by it, even where the store could not note it at once; what
another process posted is known as soon as it was noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from core.stores.messages import MessageRef, MessageStore


@dataclass(frozen=True, slots=True)
class _Unsaved:
    ref: MessageRef
    instead_of: MessageRef | None


class PostedMessages:
    """The places of what was posted. Safe for threads."""

    def __init__(self, store: MessageStore) -> None:
        self._store = store
        self._lock = Lock()
        self._unsaved: dict[tuple[str, str], _Unsaved] = {}

    def of(self, chain: str) -> Mapping[str, MessageRef]:
        """Every place of a chain, by its name. Raises StoreError."""
        refs = dict(self._store.get_messages(chain))
        with self._lock:
            unsaved = {name: each for (of_chain, name), each in self._unsaved.items() if of_chain == chain}
        for name, each in unsaved.items():
            # Another instance may have posted and noted one of its own meanwhile. Then that one goes on.
            if refs.get(name) == each.instead_of:
                self._store.save_message(chain, name, each.ref)
                refs[name] = each.ref
            with self._lock:
                self._unsaved.pop((chain, name), None)
        return refs

    def note(self, chain: str, name: str, ref: MessageRef, *, instead_of: MessageRef | None = None) -> None:
        """Remember what was just posted, in the place of what stood there before. Raises StoreError."""
        with self._lock:
            self._unsaved[chain, name] = _Unsaved(ref, instead_of)
        self._store.save_message(chain, name, ref)
        with self._lock:
            self._unsaved.pop((chain, name), None)
