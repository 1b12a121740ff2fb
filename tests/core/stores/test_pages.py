"""What became of pages, on every engine: sealed, the same for every instance, and no page that can't be read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.errors import BrokenSeal
from core.pagers.base import PageAcknowledgement
from core.pagers.page_ledger import PAGES_LEDGER, PageLedger
from core.pagers.pages import Pages
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from tests.core.stores.harness import StoreHarness

CHAIN: Final = "REQUEST#0123456789abcdef"
MINUTE: Final = timedelta(minutes=1)
BY_SAM: Final = PageAcknowledgement("Sam Example", A_MOMENT + MINUTE)


def paged(page: PageLedger) -> PageLedger:
    return page.page("PagerDuty", A_MOMENT)


def test_page_is_read_by_another_instance(harness: StoreHarness) -> None:
    Pages(harness.open().break_glass).change(CHAIN, paged)
    Pages(harness.open().break_glass).change(CHAIN, lambda page: page.acknowledge(BY_SAM))
    found = Pages(harness.open().break_glass).get(CHAIN)
    assert (found.is_open, found.pager, found.acknowledgement) == (True, "PagerDuty", BY_SAM)


def test_change_made_at_once_with_another_is_kept(harness: StoreHarness) -> None:
    pages, other, tries = Pages(harness.stores.break_glass), Pages(harness.open().break_glass), list[int]()
    pages.change(CHAIN, paged)

    def acknowledge(page: PageLedger) -> PageLedger:
        if not tries:
            other.change(CHAIN, lambda found: found.resolve(A_MOMENT + MINUTE))
        tries.append(1)
        return page.acknowledge(BY_SAM)

    pages.change(CHAIN, acknowledge)
    found = pages.get(CHAIN)
    assert (len(tries), found.is_open, found.acknowledgement) == (2, False, BY_SAM)


def test_damaged_page_is_none_until_the_next_one(harness: StoreHarness) -> None:
    store = harness.stores.break_glass
    Pages(store).change(CHAIN, lambda page: paged(page).acknowledge(BY_SAM))
    harness.spoil_ledger(f"{PAGES_LEDGER}#{CHAIN}", {"acknowledged_by": "Eve Example"})
    with pytest.raises(BrokenSeal):
        store.get_ledger(PageLedger.of(CHAIN))
    assert Pages(store).get(CHAIN).acknowledgement is None
    Pages(store).change(CHAIN, paged)
    assert Pages(store).get(CHAIN).is_open


def test_new_page_begins_without_an_acknowledgement() -> None:
    first = paged(PageLedger.of(CHAIN)).acknowledge(BY_SAM)
    assert first.page("PagerDuty", A_MOMENT + MINUTE) == first
    assert first.acknowledge(PageAcknowledgement("Kim Example", A_MOMENT)) == first
    again = first.resolve(A_MOMENT).page("PagerDuty", A_MOMENT + MINUTE)
    assert (again.is_open, again.acknowledgement) == (True, None)
    assert PageLedger.of(CHAIN).acknowledge(BY_SAM).acknowledgement is None
    assert PageLedger.of(CHAIN).resolve(A_MOMENT) == PageLedger.of(CHAIN)
