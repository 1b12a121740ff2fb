"""What is ended while credentials are issued never works, whatever comes first, is lost, or goes wrong."""

from __future__ import annotations

import os
import random
import threading
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.access.credentials import AccessEnded, AssumeIntent, AwsCredentials, NothingOpen
from core.access.grant import GrantId, GrantStatus
from core.actor import Actor, UserId
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from core.errors import CountersignError, Refused
from core.services import SessionService
from core.stores.sessions import FoundSessions
from core.targets.base import Absent, Held, Later, OperationKey
from playground.pretend_aws import PretendFault
from tests.core.access.office import ANN, OnePolicy
from tests.core.targets.role_office import POLICY, RITA, RoleOffice
from tests.harness.pretend_aws import LOCAL, PROD, REVOKER, serve_pretend_aws, trust_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from core.access.right import Right
    from core.access.session import Session
    from core.policy.target_config import AwsRoleConfig
    from core.services.issuing import IssuedCredentials
    from core.stores import Stores
    from core.targets.aws_role.roles import AwsRoles
    from tests.harness.clock import FrozenClock

ROUNDS: Final = int(os.environ.get("COUNTERSIGN_RACE_ROUNDS", "3"))
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
GLASS = ANN
"""Who breaks the glass."""
PEOPLE = (RITA, Actor(id=UserId("U0EVE")))


class Interrupted:
    """An issuer in whose call something else happens, before AWS is asked or after it answered."""

    def __init__(self, office: RoleOffice, *, is_before: bool) -> None:
        self.office = office
        self.is_before = is_before
        self.act: Callable[[], object] = lambda: None
        self.issued: list[AwsCredentials] = []

    def assume(self, target: str, config: AwsRoleConfig, intent: AssumeIntent) -> AwsCredentials:
        if self.is_before:
            self.act()
        self.issued.append(self.office.roles.assume(target, config, intent))
        if not self.is_before:
            self.act()
        return self.issued[-1]


@pytest.fixture
def office(stores: Stores, clock: FrozenClock, aws_environment: None) -> Iterator[RoleOffice]:
    del aws_environment
    with serve_pretend_aws(clock) as aws:
        yield RoleOffice(stores, clock, aws)


def status_of(office: RoleOffice, grant: str) -> GrantStatus:
    return office.stores.access.get(GrantId(grant)).status


@pytest.mark.parametrize("is_before", [True, False])
def test_end_within_an_issue_leaves_nothing_that_works(office: RoleOffice, *, is_before: bool) -> None:
    source = office.open()
    issuer = Interrupted(office, is_before=is_before)
    office.sessions = SessionService(office.stores, office.policy, office.clock, issuer, editor=office.roles)
    issuer.act = lambda: office.end(source)
    with pytest.raises(AccessEnded):
        office.issue()

    (issued,) = issuer.issued
    assert not office.works(issued)


def test_end_before_the_intent_is_stored_asks_nothing_of_aws(office: RoleOffice) -> None:
    source = office.open()
    read = office.stores.sessions.get_for_issue

    def end_after_the_read(*given: str) -> object:
        office.stores.sessions.get_for_issue = read  # type: ignore[method-assign]
        state = read(*given)  # type: ignore[arg-type]
        office.end(source)
        return state

    office.stores.sessions.get_for_issue = end_after_the_read  # type: ignore[method-assign, assignment]
    with pytest.raises(AccessEnded):
        office.issue()
    assert office.aws.find_events("AssumeRole") == ()


def test_take_that_wakes_up_late_spares_what_was_opened_since(office: RoleOffice) -> None:
    source, ended = office.open(), office.issue().session
    found: list[IssuedCredentials] = []
    list_sessions = office.stores.sessions.list_of_right
    key = OperationKey(ended.grant, office.stores.access.get_right(ended.right).holding.generation + 1)

    def go_on_meanwhile(asked: Right) -> object:
        office.stores.sessions.list_of_right = list_sessions  # type: ignore[method-assign]
        office.end(source)
        office.office.pass_time(2 * MINUTE)
        office.open()
        found.append(office.issue())
        return list_sessions(asked)

    office.stores.sessions.list_of_right = go_on_meanwhile  # type: ignore[method-assign, assignment]
    assert isinstance(office.targets["ops"].take(ended.right, key), Later)
    assert office.targets["ops"].inspect(ended.right) == Held()
    assert office.works(found[0])
    assert office.works(office.issue())


def test_state_of_a_right_that_was_put_back_stops_nobody(office: RoleOffice) -> None:
    office.end(office.open())
    right = office.stores.access.list_by_person(RITA.id).items[0].right
    door, now = office.stores.sessions.get_door(right), office.clock.now()
    # The door has seen steps that the right knows nothing of.
    office.stores.sessions.move_door(door.shut("0123456789abcdef", door.generation + 50, now))
    office.open()
    assert office.works(office.issue())


def test_session_that_cannot_be_read_is_not_overlooked(office: RoleOffice) -> None:
    source, issued = office.open(), office.issue()
    hidden = FoundSessions(unreadable=(issued.session.id,))
    office.stores.sessions.list_of_right = lambda right: hidden  # type: ignore[method-assign]  # noqa: ARG005
    office.office.grants.end(source, RITA)
    right, target = issued.session.right, office.targets["ops"]
    office.stores.sessions.move_door(
        office.stores.sessions.get_door(right).shut(issued.session.grant, 2, office.clock.now())
    )
    assert target.inspect(right) == Held()
    office.office.due.visit_due()
    assert not office.works(issued)
    assert target.inspect(right) == Absent()


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_revoke_racing_with_issues_leaves_nothing_that_works(office: RoleOffice, round_number: int) -> None:
    source = office.open()
    found: list[IssuedCredentials] = []
    begin = threading.Barrier(4)

    def issue(device: int) -> None:
        begin.wait()
        for _ in range(3):
            with suppress(Refused):
                found.append(office.issue(device=device))

    threads = [threading.Thread(target=issue, args=(device,)) for device in range(3)]
    for each in threads:
        each.start()
    begin.wait()
    for _ in range(round_number):
        office.clock.now()
    office.end(source)
    for each in threads:
        each.join()
    office.office.pass_time(2 * MINUTE)

    assert not any(map(office.works, found))
    with pytest.raises(AccessEnded):
        office.issue()


@pytest.mark.parametrize(
    "fault",
    [PretendFault("lost"), PretendFault("error", "ServiceFailure", "later", 500)],
    ids=["lost", "failed"],
)
def test_deny_is_put_whatever_goes_wrong_first(office: RoleOffice, fault: PretendFault) -> None:
    source = office.open()
    issued = office.issue()
    office.aws.fail("ListRolePolicies", PretendFault("error"))
    office.aws.fail("PutRolePolicy", fault, fault)
    office.end(source)
    office.office.pass_time(2 * MINUTE)

    assert not office.works(issued)
    assert status_of(office, issued.session.grant) is GrantStatus.ENDED


def test_grant_stays_open_to_the_eye_until_the_deny_is_put(office: RoleOffice) -> None:
    source = office.open()
    issued = office.issue()
    office.aws.fail("PutRolePolicy", *[PretendFault("error", "AccessDenied", "no", 403)] * 50)
    office.end(source)
    office.office.pass_time(5 * MINUTE)

    assert status_of(office, issued.session.grant) is GrantStatus.ENDING
    alarms = office.office.actions(office.stores.access.get(GrantId(issued.session.grant)))
    assert "revoke_failing" in alarms


def test_role_in_another_account_is_never_mistaken(office: RoleOffice) -> None:
    twin = LOCAL.replace(":role/tools-admin", ":role/prod-admin")
    office.aws.add_role(twin, trust=trust_policy(), policies={})
    office.policy.policy = OnePolicy(POLICY.replace(f', revoker: "{REVOKER}"', "")).policy
    source = office.open(profile="remote")
    issued = office.issue(profile="remote")
    office.end(source)
    office.office.pass_time(MINUTE)

    assert office.denies(twin) == office.denies(PROD) == []
    assert status_of(office, issued.session.grant) is GrantStatus.ENDING
    holding = office.stores.access.get_right(issued.session.right).holding
    assert holding.problem is not None
    assert "revoker" in holding.problem


def test_session_is_denied_alone_and_its_grant_goes_on(office: RoleOffice) -> None:
    office.open(duration=4 * HOUR)
    lost, kept = office.issue(device=1), office.issue(device=2)
    office.sessions.revoke(lost.session.id, RITA, "lost laptop")
    office.tend()
    assert office.denies() == [f"countersign-session-{lost.session.id}"]
    assert not office.works(lost)

    office.clock.advance(timedelta(seconds=16))
    again = office.issue(device=2)
    assert office.works(again)
    assert not office.works(kept)
    office.clock.advance(HOUR + 3 * MINUTE)
    office.issue(device=2)
    office.tend()
    assert office.denies() == []
    assert office.session(lost).cleaned_at is not None


def test_deny_of_a_session_that_keeps_failing_is_told(office: RoleOffice) -> None:
    office.open(duration=4 * HOUR)
    lost = office.issue()
    office.aws.fail("PutRolePolicy", *[PretendFault("error", "AccessDenied", "no", 403)] * 8)
    office.sessions.revoke(lost.session.id, RITA, "lost laptop")
    for _ in range(8):
        office.clock.advance(MINUTE)
        office.sessions.clean_up()
    told = [each for each in office.stores.audit.get_chain(lost.session.chain) if each.event == "deny_failing"]
    assert len(told) == 1
    assert "AccessDenied" in str(told[0].details["problem"])
    office.sessions.clean_up()
    assert not office.works(lost)
    assert list(verify_trail(office.stores, AuditKeyring(), office.clock.now())) == []


class LateEditor:
    """An editor before whose clean-up something else happens."""

    def __init__(self, roles: AwsRoles, act: Callable[[], object]) -> None:
        self.deny = roles.deny
        self._roles = roles
        self._act = act

    def clean(self, target: str, role: str, dead: Sequence[Session], over: frozenset[str]) -> object:
        self._act()
        return self._roles.clean(target, role, dead, over)


def test_deny_that_is_put_during_a_clean_up_stays(office: RoleOffice) -> None:
    source = office.open(duration=4 * HOUR)
    lost = office.issue(device=1)
    office.sessions.revoke(lost.session.id, RITA, "lost laptop")
    office.tend()
    office.clock.set(lost.session.credentials_until + 2 * MINUTE)
    late: list[IssuedCredentials] = []

    def issue_and_end() -> None:
        late.append(office.issue(device=2))
        office.end(source)

    editor = LateEditor(office.roles, issue_and_end)
    SessionService(office.stores, office.policy, office.clock, office.roles, editor=editor).clean_up()  # type: ignore[arg-type]

    assert office.denies() == [f"countersign-{lost.session.grant}"]
    assert not any(map(office.works, late))


class RandomHistory:
    """What two people do with their access, in any order, while AWS fails now and then."""

    def __init__(self, office: RoleOffice, seed: int) -> None:
        self.office = office
        self.chance = random.Random(seed)  # noqa: S311 - not a secret
        self.sources: list[tuple[str, Actor]] = []
        self.issued: list[IssuedCredentials] = []
        self.acts = (
            *(self.approve, self.approve, self.declare, self.end, self.fail),
            *(self.issue,) * 5,
            *(self.pass_time, office.tend),
        )

    def play(self, steps: int) -> None:
        for _ in range(steps):
            with suppress(CountersignError):
                self.chance.choice(self.acts)()

    def approve(self) -> None:
        who = self.chance.choice(PEOPLE)
        length = self.chance.choice([1, 2, 3]) * HOUR
        self.sources.append((self.office.office.approve(who, length).chain, who))

    def declare(self) -> None:
        self.sources.append((self.office.office.declare(GLASS).chain, GLASS))

    def end(self) -> None:
        self.office.office.grants.end(*self.chance.choice(self.sources or [("", RITA)]))

    def fail(self) -> None:
        self.office.aws.fail("PutRolePolicy", PretendFault(self.chance.choice(["lost", "error"])))

    def issue(self) -> None:
        if self.chance.random() < 0.8:
            self.office.office.due.visit_due()
        who = self.chance.choice((*PEOPLE, GLASS))
        self.issued.append(self.office.issue(who, device=self.chance.randrange(2)))

    def pass_time(self) -> None:
        self.office.office.pass_time(self.chance.randrange(25) * MINUTE)


@pytest.mark.parametrize("seed", range(ROUNDS - 1))
def test_random_histories_give_rights_exactly_while_wanted(office: RoleOffice, seed: int) -> None:
    history = RandomHistory(office, seed)
    history.play(40)
    for _ in range(10):
        # As many calls may still go wrong.
        office.office.pass_time(MINUTE)
        office.tend()

    for each in history.issued:
        grant = office.stores.access.get(GrantId(each.session.grant))
        is_wanted = grant.is_wanted(office.clock.now()) and office.clock.now() < each.expiration
        assert office.works(each) == is_wanted, each
    for who in PEOPLE:
        with suppress(NothingOpen, AccessEnded):
            assert office.works(office.issue(who, device=99))

    office.office.pass_time(6 * HOUR)
    office.tend()
    assert not any(map(office.works, history.issued))
    assert office.denies() == []
    assert list(verify_trail(office.stores, AuditKeyring(), office.clock.now())) == []
