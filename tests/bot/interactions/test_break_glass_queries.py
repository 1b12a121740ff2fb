"""The break-glass events one person may see: all they can act on, page by page, and no others."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.views.break_glass.form import Origin
from bot.views.break_glass.list import BreakGlassListKind
from bot.views.home_state import SectionKey
from bot.views.pagination import PER_PAGE
from core.actor import Actor, UserId
from core.break_glass import EventId, ReasonCode
from core.directory import FixedDirectory
from core.policy import parse_policy
from core.services import BreakGlassService
from core.stores.record_store import DEFAULT_LIMIT
from tests.builders import HOUR
from tests.end_to_end.harness import walk_text

if TYPE_CHECKING:
    from core.stores import Stores
    from tests.harness.clock import FrozenClock

MOST: Final = DEFAULT_LIMIT + PER_PAGE
"""More events than one page of the store, and many pages of a list."""
INVOKERS: Final = [Actor(id=UserId(f"U0ANN{number:03d}")) for number in range(MOST)]
LEAD, STRANGER = Actor(id=UserId("U0LEAD")), Actor(id=UserId("U0STRANGER"))
POLICY: Final = f"""\
version: 1
profiles: {{prod: {{description: Production, channel: C0PROD}}, vault: {{description: Vault, channel: C0VAULT}}}}
approval:
  - {{name: all, profiles: [prod, vault], approvers: [U0LEAD], max_duration: 1h}}
break_glass:
  - {{name: prod, profiles: [prod], users: [{", ".join(each.id for each in INVOKERS)}], max_duration: 2h}}
  - {{name: vault, profiles: [vault], users: [{INVOKERS[0].id}], max_duration: 1h, mfa: required}}
""".encode()
ACTIVE, REVIEWS = BreakGlassListKind.ACTIVE, BreakGlassListKind.REVIEWS


@pytest.fixture
def service(stores: Stores, clock: FrozenClock) -> BreakGlassService:
    return BreakGlassService(stores, parse_policy(POLICY), clock, directory=FixedDirectory())


@pytest.fixture
def lists(stores: Stores, clock: FrozenClock) -> BreakGlassQueries:
    return BreakGlassQueries(stores.break_glass, parse_policy(POLICY), clock, FixedDirectory(), stores.access)


def broken(service: BreakGlassService, clock: FrozenClock, invoker: Actor, duration: timedelta = HOUR) -> EventId:
    """A live event; each is later than the one before it."""
    clock.advance(timedelta(seconds=1))
    event = service.invoke(invoker, "prod", ReasonCode.INCIDENT, "INC-13: the checkout does not answer", duration)
    return EventId(event.id)


def ids_on(lists: BreakGlassQueries, kind: BreakGlassListKind, person: Actor, page: int) -> list[str]:
    """The events on a page, in its order."""
    blocks = [str(block.get("block_id")) for block in lists.page(kind, person, page).blocks]
    return [each[-16:] for each in blocks if re.fullmatch("on:[a-z]+:[0-9]+:list:[0-9a-f]{16}", each)]


def ids_on_all_pages(lists: BreakGlassQueries, kind: BreakGlassListKind, person: Actor) -> list[str]:
    """The events on all pages, as they come when More is pressed for as long as it is there."""
    found, page = list[str](), 1
    while True:
        found += ids_on(lists, kind, person, page)
        if "More" not in text_of_page(lists, kind, person, page):
            return found
        page += 1


def text_of_page(lists: BreakGlassQueries, kind: BreakGlassListKind, person: Actor, page: int) -> str:
    return " ".join(walk_text(list(lists.page(kind, person, page).blocks)))


def test_every_live_event_stands_on_one_page(
    lists: BreakGlassQueries, service: BreakGlassService, clock: FrozenClock
) -> None:
    made = [broken(service, clock, invoker) for invoker in INVOKERS]

    assert len(ids_on(lists, ACTIVE, LEAD, 1)) == PER_PAGE
    assert sorted(ids_on_all_pages(lists, ACTIVE, LEAD)) == sorted(made)
    assert ids_on_all_pages(lists, ACTIVE, INVOKERS[0]) == made[:1]
    assert ids_on_all_pages(lists, ACTIVE, STRANGER) == []


def test_full_page_with_nothing_behind_it_has_no_more(
    lists: BreakGlassQueries, service: BreakGlassService, clock: FrozenClock
) -> None:
    for invoker in INVOKERS[:PER_PAGE]:
        broken(service, clock, invoker)

    assert "More" not in text_of_page(lists, ACTIVE, LEAD, 1)
    broken(service, clock, INVOKERS[-1])
    assert "More" in text_of_page(lists, ACTIVE, LEAD, 1)


def test_event_past_its_end_is_not_active_before_it_is_recorded(
    lists: BreakGlassQueries, service: BreakGlassService, clock: FrozenClock
) -> None:
    event = broken(service, clock, INVOKERS[0])
    clock.advance(HOUR - timedelta(seconds=1))
    assert ids_on(lists, ACTIVE, LEAD, 1) == [event]
    clock.advance(timedelta(seconds=1))

    assert ids_on(lists, ACTIVE, LEAD, 1) == []


def test_longest_waiting_review_comes_first(
    lists: BreakGlassQueries, service: BreakGlassService, clock: FrozenClock
) -> None:
    made = [broken(service, clock, invoker) for invoker in INVOKERS[: 2 * PER_PAGE]]
    closing = [*made[5:], *made[:5]]
    for event in closing:
        clock.advance(timedelta(minutes=1))
        service.close(event, LEAD, "it is up again")

    assert ids_on_all_pages(lists, REVIEWS, LEAD) == closing
    assert ids_on(lists, REVIEWS, INVOKERS[0], 1) == []


def test_home_has_events_of_invokers_and_approvers(
    lists: BreakGlassQueries, service: BreakGlassService, clock: FrozenClock
) -> None:
    made = [broken(service, clock, invoker) for invoker in INVOKERS[:2]]

    assert sorted(home_of(lists, LEAD)[SectionKey.EVENTS]) == sorted(made)
    assert home_of(lists, INVOKERS[0])[SectionKey.EVENTS] == made[:1]
    assert not any(home_of(lists, STRANGER).values())


def test_own_event_that_waits_for_others_is_in_home(
    lists: BreakGlassQueries, service: BreakGlassService, clock: FrozenClock
) -> None:
    mine, _ = [broken(service, clock, invoker) for invoker in INVOKERS[:2]]
    clock.advance(HOUR)
    shown = home_of(lists, INVOKERS[0])
    assert shown == {SectionKey.EVENTS: [], SectionKey.REVIEW: [], SectionKey.OWN_EVENTS: [mine]}
    (_, _, own) = lists.home_lists(INVOKERS[0])
    row = str(own.section(slice(0, 1)).rows)
    assert f"waiting for <@{LEAD.id}>" in row
    assert "break_glass:review" not in row


def home_of(lists: BreakGlassQueries, person: Actor) -> dict[SectionKey, list[str]]:
    """The events in a person's Home tab, by section."""
    return {each.key: [row.event.id for row in each.rows] for each in lists.home_lists(person)}


def test_form_offers_allowed_profiles_and_asks_for_a_needed_code(
    lists: BreakGlassQueries,
) -> None:
    both, one = str(lists.form(INVOKERS[0], Origin())), str(lists.form(INVOKERS[1], Origin()))

    assert "'vault'" in both
    assert "'code'" in both
    assert "'vault'" not in one
    assert "'code'" not in one
    assert "no break-glass rule covers you" in str(lists.form(STRANGER, Origin()))
    assert lists.needs_code(INVOKERS[0], "vault")
    assert not lists.needs_code(INVOKERS[0], "prod")
    assert not lists.needs_code(STRANGER, "vault")
