"""Asks for a page when a request becomes urgent by the clock: its access starts soon, and nobody decided yet.

Invariant: a request that was urgent when it was made is paged for from its own entry, and costs nothing here. What is
due is an entry like everything that is delivered, with the same id on every instance, so it is paged for once.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

from core.actor import CLOCK
from core.audit.trail import PAGES, AuditAction, EntryDraft, EntryId
from core.clock import Clock, format_time
from core.pagers.pages import Pages
from core.policy import PolicySource
from core.request import Request, RequestStatus
from core.services.due import Rest
from core.services.waiting import watch_pending
from core.stores.base import Stores

DUE: Final = "due"
MAX_DONE: Final = 10_000
"""How many requests are remembered as done; one that is forgotten costs a read."""


class UrgentPages:
    """Writes what is due. Safe for threads, and for any number of processes."""

    def __init__(self, stores: Stores, policy: PolicySource, clock: Clock) -> None:
        self._stores = stores
        self._policy = policy
        self._pages = Pages(stores.break_glass)
        self._done: set[str] = set()
        self._watch = watch_pending(stores, policy, clock, self._due_at)

    def page_due(self, rest: Rest) -> tuple[Request, ...]:
        """The requests that became urgent, whose page is due now. Raises StoreError.

        A policy without a pager costs no read.
        """
        if self._policy.current().notifications.pager is None:
            return ()
        return self._watch.change(lambda request, _: self._ask(request), rest)

    def _ask(self, request: Request) -> Request | None:
        due_at = self._due_at(request)
        if due_at is None or request.awaits_confirmation:
            return None
        if self._pages.get(request.chain).paged_at is None:
            # Instances that find the same one make the same id, so the trail takes it once.
            entry_id = sha256(f"due\0{request.chain}\0{format_time(due_at)}".encode()).hexdigest()[:16]
            draft = EntryDraft(
                id=EntryId(entry_id),
                event=AuditAction.PAGE_DUE,
                actor=CLOCK,
                outcome=DUE,
                record=request.chain,
                details={"rule": request.rule, "due_at": format_time(due_at)},
            )
            self._stores.audit.append(PAGES, draft)
        if len(self._done) >= MAX_DONE:
            self._done.clear()
        self._done.add(request.id)
        return request

    def _due_at(self, request: Request) -> datetime | None:
        """When it becomes urgent, unless it was so when it was made."""
        policy = self._policy.current()
        is_waiting = request.status is RequestStatus.PENDING and request.id not in self._done
        if request.starts_at is None or not is_waiting or not policy.notifications.pages_request(request.rule):
            return None
        since = policy.waiting.urgent_since(request)
        return since if since > request.waits_since else None
