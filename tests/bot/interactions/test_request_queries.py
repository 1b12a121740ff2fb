"""The requests one person may see: their own and those that wait for them, page by page, and no others."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from bot.interactions.request_queries import RequestQueries
from bot.views.home import MAX_ROWS
from bot.views.home_state import SectionKey
from bot.views.request.list import ListKind
from core.actor import Actor, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.directory import FixedDirectory
from core.policy import parse_policy
from core.request import RequestId
from core.services import RequestService
from core.stores.record_store import DEFAULT_LIMIT
from tests.builders import HOUR, PROD, a_request
from tests.end_to_end.harness import walk_text
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores import Stores
    from tests.harness.clock import FrozenClock

MOST: Final = DEFAULT_LIMIT + 1
"""More requests than one page of the store."""
ANN, LEAD, STRANGER = (Actor(id=UserId(each)) for each in ("U0ANN", "U0LEAD", "U0STRANGER"))
POLICY: Final = f"""\
version: 1
profiles: {{prod: {{description: Production, channel: C0PROD}}}}
approval:
  - name: prod
    profiles: [prod]
    requesters: [{ANN.id}, {LEAD.id}]
    approvers: [{LEAD.id}, {ANN.id}]
    max_duration: 1h
    decide_within: 1h
break_glass:
  - {{name: prod, profiles: [prod], users: [{LEAD.id}], max_duration: 1h}}
""".encode()
STEP: Final = f"""\
    escalate_after: 10m
    escalate_to: [{STRANGER.id}]
    approver_hours: {{hours: '{(A_MOMENT.hour + 2) % 24:02}:00-{(A_MOMENT.hour + 3) % 24:02}:00', timezone: UTC}}
""".encode()
MINE, PENDING = ListKind.MINE, ListKind.PENDING


@pytest.fixture
def service(stores: Stores, clock: FrozenClock) -> RequestService:
    return RequestService(stores, parse_policy(POLICY), clock, directory=FixedDirectory())


@pytest.fixture
def lists(stores: Stores, clock: FrozenClock) -> RequestQueries:
    return RequestQueries(
        stores.requests, parse_policy(POLICY), clock, FixedDirectory(), stores.access, stores.sessions
    )


def asked(stores: Stores, clock: FrozenClock, count: int, requester: Actor = ANN) -> list[RequestId]:
    """Pending requests, more than one person may make; each is later than the one before it."""
    made = list[RequestId]()
    for _ in range(count):
        clock.advance(timedelta(seconds=1))
        request = a_request(requester=requester.id, profile=PROD, now=clock.now(), decide_within=HOUR)
        draft = EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, requester.id)
        made.append(RequestId(stores.requests.create(request, draft).id))
    return made


def ids_on_all_pages(lists: RequestQueries, kind: ListKind, person: Actor) -> list[str]:
    """The requests on all pages, as they come when Older is pressed for as long as it is there."""
    found, page = list[str](), 0
    while True:
        page += 1
        text = " ".join(walk_text(list(lists.page(kind, person, page).blocks)))
        found += re.findall(r"`([0-9a-f]{16})`", text)
        if "Older" not in text:
            return found


def test_every_request_stands_on_one_page_the_newest_first(
    lists: RequestQueries, stores: Stores, clock: FrozenClock
) -> None:
    made = asked(stores, clock, MOST)

    assert ids_on_all_pages(lists, MINE, ANN) == made[::-1]
    assert sorted(ids_on_all_pages(lists, PENDING, LEAD)) == sorted(made)
    assert ids_on_all_pages(lists, PENDING, ANN) == []
    assert ids_on_all_pages(lists, MINE, LEAD) == []
    assert ids_on_all_pages(lists, PENDING, STRANGER) == []


def test_request_past_its_deadline_waits_for_nobody(lists: RequestQueries, stores: Stores, clock: FrozenClock) -> None:
    (made,) = asked(stores, clock, 1)
    clock.advance(HOUR - timedelta(seconds=1))
    assert ids_on_all_pages(lists, PENDING, LEAD) == [made]
    clock.advance(timedelta(seconds=1))

    assert ids_on_all_pages(lists, PENDING, LEAD) == []


def test_request_waits_for_a_step_from_its_moment(stores: Stores, clock: FrozenClock) -> None:
    policy = parse_policy(POLICY.replace(b"    max_duration: 1h\n", b"    max_duration: 1h\n" + STEP, 1))
    lists = RequestQueries(stores.requests, policy, clock, FixedDirectory(), stores.access, stores.sessions)
    (made,) = asked(stores, clock, 1)
    assert ids_on_all_pages(lists, PENDING, STRANGER) == []
    clock.advance(timedelta(minutes=10))
    assert ids_on_all_pages(lists, PENDING, STRANGER) == [made]
    assert [row.approve_from for row in lists.home_lists(STRANGER)[0].rows] == [None]
    # Outside of their hours, approvers see it, and that they can only deny it.
    (row,) = lists.home_lists(LEAD)[0].rows
    assert row.approve_from is not None
    assert row.approve_from.hour == (A_MOMENT.hour + 2) % 24
    shown = str(lists.page(PENDING, LEAD, 1).blocks)
    assert ("request:approve" in shown, "request:deny" in shown) == (False, True)
    assert "you can approve it from" in shown


def test_requester_reads_who_approves_until_the_hours_open(stores: Stores, clock: FrozenClock) -> None:
    def said(step: bytes) -> str:
        policy = parse_policy(POLICY.replace(b"    max_duration: 1h\n", b"    max_duration: 1h\n" + step, 1))
        lists = RequestQueries(stores.requests, policy, clock, FixedDirectory(), stores.access, stores.sessions)
        return lists.closed_hours(stores.requests.get(made))

    (made,) = asked(stores, clock, 1)
    assert f"Before that, it escalates to 1 person <!date^{int(clock.now().timestamp()) + 600}" in said(STEP)
    # The hours open only after its hour is over.
    assert "after its deadline. Request it again in these hours." in said(STEP[STEP.index(b"    approver_hours") :])
    clock.advance(timedelta(minutes=10))
    assert said(STEP).endswith(f"after its deadline. Until then, <@{STRANGER.id}> can approve it.")
    clock.set(A_MOMENT.replace(hour=(A_MOMENT.hour + 2) % 24, minute=30))
    assert said(STEP) == ""


def test_home_separates_pending_approved_and_other_requests(
    lists: RequestQueries, stores: Stores, service: RequestService, clock: FrozenClock
) -> None:
    live, denied, pending = asked(stores, clock, 3)
    service.approve(live, LEAD)
    service.deny(denied, LEAD, "not now")
    (mine,) = asked(stores, clock, 1, LEAD)
    shown = {each.key: [row.request.id for row in each.rows] for each in lists.home_lists(ANN)}

    assert shown == {SectionKey.DECIDE: [mine], SectionKey.ACCESS: [live], SectionKey.REQUESTS: [pending, denied]}


def test_home_has_all_that_a_person_can_turn_to(lists: RequestQueries, stores: Stores, clock: FrozenClock) -> None:
    made = asked(stores, clock, 2 * MAX_ROWS)
    decide, _, own = lists.home_lists(LEAD)
    assert sorted(row.record_id for row in decide.section(slice(0, 100)).rows) == sorted(made)
    assert (decide.section(slice(0, MAX_ROWS)).count, own.section(slice(0, MAX_ROWS)).rows) == (len(made), ())


def test_home_knows_who_can_request_nothing(lists: RequestQueries) -> None:
    assert lists.may_request(ANN)
    assert not lists.may_request(STRANGER)


def test_form_offers_allowed_profiles_and_names_the_approvers(lists: RequestQueries) -> None:
    form = str(lists.form(ANN))
    assert LEAD.id in form
    assert ANN.id not in form
    assert "checkout" not in form

    assert "There are no profiles you can request" in str(lists.form(STRANGER))


def test_break_glass_is_offered_only_to_those_it_is_allowed(
    lists: RequestQueries, stores: Stores, clock: FrozenClock
) -> None:
    for person in (ANN, LEAD):
        asked(stores, clock, 1, person)

    assert "Break the glass instead" in str(lists.page(MINE, LEAD, 1).blocks)
    assert "Break the glass instead" not in str(lists.page(MINE, ANN, 1).blocks)
