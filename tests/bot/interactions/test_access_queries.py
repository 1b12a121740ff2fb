"""The access that people have now: in the Home tab, in lists, and as what they can end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from bot.interactions.access_queries import AccessQueries
from bot.interactions.commands.open_access import NamedAccess
from bot.interactions.request_queries import RequestQueries
from core.actor import Actor, ProfileName, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.directory import FixedDirectory
from core.policy import parse_policy
from core.request import Request, RequestId
from core.services import GrantService, RequestService
from core.targets.opening import PolicyTargets
from tests.builders import HOUR

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

ANN, ANNS_OTHER, LEAD = (Actor(id=UserId(each)) for each in ("U0ANN", "U0ANNB", "U0LEAD"))
POLICY: Final = parse_policy(
    f"""\
version: 1
same_person: [[{ANN.id}, {ANNS_OTHER.id}]]
targets: {{box: {{type: webhook, url: "http://127.0.0.1:9/", secret: "env:NO_SECRET"}}}}
profiles:
  prod: {{channel: C0PROD, access: [{{target: box, resource: prod, level: admin}}]}}
  vault: {{channel: C0PROD, access: [{{target: box, resource: vault, level: admin}}]}}
approval: [{{name: all, profiles: [prod, vault], approvers: [{LEAD.id}], max_duration: 8h}}]
""".encode()
)


class Desk:
    """What people asked for, and what they see of it."""

    def __init__(self, stores: Stores, clock: FrozenClock) -> None:
        directory = FixedDirectory()
        self.stores = stores
        self.clock = clock
        self.grants = GrantService(stores, POLICY, clock, directory=directory)
        self.requests = RequestService(
            stores, POLICY, clock, directory=directory, principals=PolicyTargets(POLICY, clock)
        )
        self.access = AccessQueries(stores, self.grants, POLICY, clock, directory)
        self.lists = RequestQueries(stores.requests, POLICY, clock, directory, stores.access, stores.sessions)

    def approved(self, profile: str = "prod", person: Actor = ANN, hours: int = 1) -> Request:
        """A request of this person that was approved."""
        asked = self.requests.submit(person, profile, hours * HOUR, "Deploy the fix for INC-12")
        return self.requests.approve(RequestId(asked.id), LEAD)

    def take_away(self, request: Request) -> None:
        """What the reconciler does when its right is gone."""
        (grant,) = self.grants.find(request.chain)
        state = self.stores.access.get_right(grant.right)
        closed = grant.close(self.clock.now())
        entry = EntryDraft.of(closed, AuditAction.GRANT_CLOSED, "clock")
        self.stores.access.commit(state, state.holding, closed, [entry])

    def home(self, request: Request) -> str:
        """The section of Ann's Home tab that has this request."""
        lists = self.lists.home_lists(ANN)
        (found,) = [each.key for each in lists if request.id in [row.request.id for row in each.rows]]
        return found.heading


@pytest.fixture
def desk(stores: Stores, clock: FrozenClock) -> Desk:
    return Desk(stores, clock)


def test_home_shows_access_until_it_is_gone(desk: Desk) -> None:
    request = desk.approved()
    assert desk.home(request) == "Your access"
    desk.grants.end(request.chain, ANN)
    assert desk.home(request) == "Your access"
    desk.take_away(request)
    assert desk.home(request) == "Your requests"


def test_own_access_is_that_of_all_ids_of_a_person(desk: Desk) -> None:
    prod, vault = desk.approved(), desk.approved("vault", ANNS_OTHER)

    assert set(desk.access.own(ANN).sources) == {prod.chain, vault.chain}
    assert desk.access.own(LEAD).sources == ()


def test_own_access_is_found_by_its_profile_or_its_id(desk: Desk) -> None:
    prod, vault = desk.approved(), desk.approved("vault")
    own = desk.access.own(ANN)

    assert own.matching(NamedAccess(ProfileName("vault"))).sources == (vault.chain,)
    assert own.matching(NamedAccess(ProfileName(prod.id), (prod.chain,))).sources == (prod.chain,)
    assert set(own.matching(NamedAccess()).sources) == {prod.chain, vault.chain}


def test_longest_access_is_own_until_its_last_moment(desk: Desk) -> None:
    request = desk.approved(hours=8)
    desk.clock.advance(8 * HOUR - HOUR / 3600)
    assert desk.access.own(ANN).sources == (request.chain,)
    desk.clock.advance(HOUR / 3600)

    assert desk.access.own(ANN).sources == ()
