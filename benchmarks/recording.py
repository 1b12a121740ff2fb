"""Decisions that are made but not written: what a service would have the store write, to be written later.

Invariant: a dry run reads and judges like the real thing, and changes nothing in the stores.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from benchmarks.harness import APPROVER, Scene
from core.audit.trail import EntryDraft
from core.break_glass import BreakGlassEvent
from core.request import Request, RequestId
from core.stores.base import Stores
from core.usage import UsageLedger


class Recorder:
    """Passes calls on to its target, save those of some names: these it only writes down."""

    def __init__(self, target: object, *names: str) -> None:
        self._target = target
        self._names = names
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the target has
        return self._record if name in self._names else getattr(self._target, name)

    def _record(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the caller gives
        self.calls.append((arguments, named))
        return arguments[0] if arguments else {}

    def take(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The last call that was written down."""
        return self.calls.pop()


class DryRun:
    """The services over stores that take no change."""

    def __init__(self, scene: Scene) -> None:
        stores = scene.stores
        self._updates = Recorder(stores.requests, "update")
        self._creations = Recorder(stores.break_glass, "create")
        parts = SimpleNamespace(
            requests=self._updates, break_glass=self._creations, audit=stores.audit, refusals=stores.refusals
        )
        self._scene = Scene(cast("Stores", parts), scene.clock)

    def approve(self, request_id: str) -> tuple[Request, EntryDraft]:
        """What approving this request would have the store write."""
        self._scene.requests.approve(RequestId(request_id), APPROVER, "Go ahead")
        (approved, entry), _ = self._updates.take()
        return approved, entry

    def invoke(self, profile: str) -> tuple[BreakGlassEvent, EntryDraft, tuple[UsageLedger, ...]]:
        """What breaking the glass would have the store write."""
        self._scene.invoke(profile)
        (event, entry, ledgers), _ = self._creations.take()
        return event, entry, ledgers
