"""Delivers an acknowledgement at the pager to the card of its record, and finds the page that a card shows.

Invariant: the sealed entry is what counts: the ledger is made to agree with it before the card is drawn, so the card of
any instance shows it. A policy without a pager costs no read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from core.access.grant import Grant
from core.access.grant_status import GrantStatus
from core.access.session import Session, SessionId
from core.audit.trail import AuditEntry
from core.clock import parse_time
from core.pagers.base import PageAcknowledgement
from core.pagers.page_ledger import PageLedger
from core.pagers.pages import Pages
from core.policy import PolicySource
from core.record import Record
from core.stores.base import Stores

FindPage: TypeAlias = Callable[[Record, Sequence[Grant]], PageLedger | None]
"""The page that the card of a record shows, with these grants."""
WHO = "by"
WHEN = "acknowledged_at"


def no_page(_record: Record, _grants: Sequence[Grant]) -> PageLedger | None:
    """For cards without pages."""
    return None


class PageNews:
    """What is known of pages, for cards. Safe for threads and for any number of instances."""

    def __init__(self, stores: Stores, policy: PolicySource) -> None:
        self._stores = stores
        self._policy = policy
        self._pages = Pages(stores.break_glass)

    def find(self, record: Record, grants: Sequence[Grant]) -> PageLedger | None:
        """The acknowledged page of a record, or of one of its grants whose revoke is due. Raises StoreError."""
        if self._policy.current().notifications.pager is None:
            return None
        ending = (grant.chain for grant in grants if grant.status is GrantStatus.ENDING)
        found = (self._pages.get(chain) for chain in (*ending, record.chain))
        return next((page for page in found if page.acknowledgement is not None), None)

    def note(self, entry: AuditEntry) -> str | None:
        """Keep what the entry says; the chain of the record whose card shows it. Raises StoreError."""
        chain, at = entry.record, entry.details.get(WHEN)
        if chain is None or not isinstance(at, str):
            return None
        given = PageAcknowledgement(str(entry.details.get(WHO)), parse_time(at))
        self._pages.change(chain, lambda page: page.acknowledge(given))
        kind, _, record_id = chain.partition("#")
        if kind == Grant.KIND:
            return next((each.source for each in self._stores.access.get_each([record_id])), None)
        if kind == Session.KIND:
            return self._stores.sessions.get(SessionId(record_id)).source
        return chain
