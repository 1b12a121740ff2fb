"""Who acknowledged a page: read back while it is open, written once, at a pace."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.background import pages
from core.break_glass import EventId
from tests.bot.notifications.page_office import WITH_PAGER, PageOffice
from tests.core.services.harness import ANN, EVERYBODY_ASKS, ChangingPolicy, people
from tests.harness.pagers import FakePagerDuty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock


@pytest.fixture
def office(stores: Stores, clock: FrozenClock) -> Iterator[PageOffice]:
    with FakePagerDuty() as duty:
        yield PageOffice(duty, stores, ChangingPolicy(), clock)


def asked(office: PageOffice) -> int:
    """How many questions PagerDuty was asked so far."""
    return sum(method == "GET" for method, _, _ in office.duty.calls)


def test_pager_is_not_asked_while_no_page_is_open(office: PageOffice) -> None:
    request = office.submit()
    office.watch.poll()
    office.deliver()
    office.deny(request)
    office.deliver()
    office.watch.poll()
    assert asked(office) == 0


def test_acknowledgement_is_written_once_for_all_instances(office: PageOffice) -> None:
    request, other = office.submit(), office.open_watch()
    office.deliver()
    assert office.watch.poll() == ()
    office.duty.acknowledge(request.id, "Sam Example", office.clock.now())
    (entry,) = office.watch.poll()
    other.poll()
    office.watch.poll()
    assert office.acknowledged() == [request.chain]
    assert (entry.details["by"], entry.details["pager"]) == ("Sam Example", "PagerDuty")
    page = office.pages.get(request.chain)
    assert page.acknowledgement is not None
    assert page.acknowledgement.by == "Sam Example"


def test_entry_is_not_written_again_before_its_page_shows_it(office: PageOffice) -> None:
    request = office.submit()
    office.deliver()
    office.duty.acknowledge(request.id, "Sam Example", office.clock.now())
    office.watch.poll()
    # As if the process had died before it noted the page.
    office.pages.change(
        request.chain, lambda page: page.resolve(office.clock.now()).page("PagerDuty", office.clock.now())
    )
    office.open_watch().poll()
    assert office.acknowledged() == [request.chain]


def test_overdue_review_is_acknowledged_anew(office: PageOffice) -> None:
    event = office.declare()
    office.deliver()
    office.duty.acknowledge(event.id, "Sam Example", office.clock.now())
    office.watch.poll()
    office.events.close(EventId(event.id), ANN, "it is over")
    office.clock.advance(timedelta(days=4))
    office.events.remind_due()
    office.deliver()
    assert office.pages.get(event.chain).acknowledgement is None
    office.duty.acknowledge(event.id, "Kim Example", office.clock.now())
    office.watch.poll()
    assert office.acknowledged() == [event.chain, event.chain]


def test_refusal_pauses_the_questions(office: PageOffice) -> None:
    office.submit()
    office.deliver()
    office.duty.faults.append((429, {"ratelimit-reset": "40"}))
    office.watch.poll()
    office.watch.poll()
    assert asked(office) == 1
    office.clock.advance(timedelta(seconds=41))
    office.watch.poll()
    assert asked(office) == 2


@pytest.mark.parametrize("bound", ["MAX_QUESTIONS", "MAX_LOOKED_AT"])
def test_every_page_has_its_turn(office: PageOffice, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(pages, bound, 2)
    office.policy.edit({**EVERYBODY_ASKS, **WITH_PAGER})
    for each in people(3):
        office.submit(who=each)
    office.deliver()
    for _ in range(3):
        assert office.watch.poll() == ()
    assert len({path for method, path, _ in office.duty.calls if method == "GET"}) == 3
    assert asked(office) == 6
