"""What a card shows, read together: a record, the grants that it made, and how to use what they opened.

Invariant: the grants are read after the record that names them, so a card never shows access of a decision that it
doesn't know yet. A record without rights costs no further read.
"""

from __future__ import annotations

from typing import TypeVar

from bot.notifications.page_news import FindPage, no_page
from bot.notifications.plan import ShownRecord
from bot.views.access.target_words import find_way_in
from bot.views.access.way_in import WayIn
from bot.views.links import CardPlace
from core.access.grant import grant_id_for
from core.break_glass import BreakGlassEvent
from core.clock import Clock
from core.policy.evaluator import Policy
from core.request import Request, RequestStatus
from core.stores.base import Stores

S = TypeVar("S", Request, BreakGlassEvent)


def load_shown(record: S, stores: Stores, clock: Clock, find_page: FindPage = no_page) -> ShownRecord[S]:
    """The record with its grants, and the page about it, as they are now. Raises StoreError."""
    if not _has_grants(record):
        return ShownRecord(record, clock.now(), page=find_page(record, ()))
    grants = stores.access.get_each([grant_id_for(record.chain, right) for right in record.rights])
    return ShownRecord(record, clock.now(), grants, page=find_page(record, grants))


def _has_grants(record: Request | BreakGlassEvent) -> bool:
    is_decided = not isinstance(record, Request) or record.status is RequestStatus.APPROVED
    return is_decided and bool(record.rights)


def way_in_of(shown: ShownRecord[S], policy: Policy) -> WayIn | None:
    """How to use what is open of it."""
    return find_way_in(policy.targets, shown.access) if shown.access is not None else None


def place_of(shown: ShownRecord[S], policy: Policy) -> CardPlace:
    """Where its card is, as far as the policy and Slack say."""
    profile = policy.document.profiles.get(shown.record.profile)
    return CardPlace(profile.channel if profile is not None else None, shown.url)
