"""What was already posted, so that a retried delivery continues where it stopped.

Invariant: this process never posts the same message twice, even if the store couldn't save it at once; it knows what
another process posted as soon as that was saved.
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
    """The MessageRefs of what was posted. Thread-safe."""

    def __init__(self, store: MessageStore) -> None:
        self._store = store
        self._lock = Lock()
        self._unsaved: dict[tuple[str, str], _Unsaved] = {}

    def of(self, chain: str) -> Mapping[str, MessageRef]:
        """Every MessageRef of a chain, by its name. Raises StoreError."""
        refs = dict(self._store.get_messages(chain))
        with self._lock:
            unsaved = {name: each for (of_chain, name), each in self._unsaved.items() if of_chain == chain}
        for name, each in unsaved.items():
            # Another instance may have posted and saved a message of its own meanwhile. Then that one counts.
            if refs.get(name) == each.instead_of:
                self._store.save_message(chain, name, each.ref)
                refs[name] = each.ref
            with self._lock:
                self._unsaved.pop((chain, name), None)
        return refs

    def save(self, chain: str, name: str, ref: MessageRef, *, instead_of: MessageRef | None = None) -> None:
        """Save what was just posted, in place of the earlier message. Raises StoreError."""
        with self._lock:
            self._unsaved[chain, name] = _Unsaved(ref, instead_of)
        self._store.save_message(chain, name, ref)
        with self._lock:
            self._unsaved.pop((chain, name), None)
