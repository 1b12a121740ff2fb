"""What a timeline tells of access: each step at the target, in order, for those who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.actor import Actor, UserId
from core.break_glass import EventId
from core.directory import FixedDirectory
from core.errors import NotAllowed
from core.request import RequestId
from core.services.timeline import read_request_timeline, read_timeline
from core.targets.base import Held, InProgress
from tests.core.access.harness import HOUR, MINUTE
from tests.core.access.office import ANN, BOB, RITA, AccessOffice
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores import Stores
    from tests.harness.clock import FrozenClock


@pytest.fixture
def office(stores: Stores, clock: FrozenClock) -> AccessOffice:
    return AccessOffice(stores, clock)


def test_request_tells_what_was_done_at_the_target(office: AccessOffice) -> None:
    office.target.script["poll"].append(Held())
    request = office.approve()
    right = office.grant_of(request).right

    def begin() -> InProgress:
        office.target.put(right)
        return InProgress("create-4711")

    office.target.script["give"].append(begin)
    office.pass_time(3 * HOUR)
    told = read_request_timeline(office.stores, office.policy, RequestId(request.id), RITA, FixedDirectory(), A_MOMENT)
    assert [entry.event.value for entry in told.entries] == [
        "request_submitted",
        "request_approved",
        "grant_created",
        "grant_given",
        "grant_opened",
        "grant_ending",
        "grant_taken",
        "grant_closed",
    ]
    given = told.entries[3]
    assert given.details["token"] == "create-4711"
    assert [grant.id for grant in told.grants] == [office.grant_of(request).id]


def test_event_tells_of_its_access_and_of_its_requests(office: AccessOffice) -> None:
    request = office.approve(BOB)
    office.pass_time(10 * MINUTE)
    event = office.declare(BOB)
    office.pass_time(MINUTE)
    office.close(event)
    office.pass_time(3 * HOUR)
    told = read_timeline(office.stores, office.policy, EventId(event.id), BOB, FixedDirectory(), A_MOMENT)
    chains = {office.grant_of(request).chain, office.grant_of(event).chain, request.chain, event.chain}
    assert {entry.chain for entry in told.entries} == chains


def test_only_those_who_may_act_see_a_request(office: AccessOffice) -> None:
    request = office.approve()
    for reader in (RITA, ANN, Actor(id=UserId("U0ADA"))):
        read_request_timeline(office.stores, office.policy, RequestId(request.id), reader, FixedDirectory(), A_MOMENT)
    stranger = Actor(id=UserId("U0STRANGER"))
    with pytest.raises(NotAllowed):
        read_request_timeline(office.stores, office.policy, RequestId(request.id), stranger, FixedDirectory(), A_MOMENT)
