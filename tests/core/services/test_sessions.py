"""Who gets credentials for what, from which device, and what people read otherwise."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bot.api.refusals import to_problem
from core.access.credentials import AccessEnded, AssumeIntent, AwsCredentials, IssuerUnavailable, NothingOpen
from core.access.device import DeviceEnded, DeviceUser
from core.access.grant import Grant, GrantId, GrantStatus
from core.access.session import Session, SessionStatus
from core.actor import CLOCK, Actor, DeciderId, ServiceName, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.directory import FixedDirectory
from core.errors import InvalidInput, NotAllowed
from core.policy import parse_policy
from core.record import UNDERSTOOD, NewerRecord
from core.request import Request, RequestId
from core.services import SessionService
from core.stores.record_store import Page
from core.targets.opening import PolicyTargets
from tests.core.access.harness import ScriptedTarget
from tests.core.access.office import ANN, BOB, AccessOffice, OnePolicy
from tests.core.stores.device_bench import DeviceBench
from tests.core.targets.role_office import POLICY, RITA

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.policy.target_config import AwsRoleConfig
    from core.stores import Stores
    from tests.harness.clock import FrozenClock

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EVE = Actor(id=UserId("U0EVE"))
ADA = Actor(id=UserId("U0ADA"))


@dataclass
class CountingIssuer:
    """Issues what is asked for, and remembers it; `meanwhile` happens while AWS is asked."""

    clock: FrozenClock
    asked: list[AssumeIntent] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None
    late: timedelta = timedelta()
    refusal: IssuerUnavailable | None = None

    def assume(self, target: str, config: AwsRoleConfig, intent: AssumeIntent) -> AwsCredentials:
        del target
        self.asked.append(intent)
        if self.refusal is not None:
            raise self.refusal
        dies_at = self.clock.now() + config.lease + self.late
        issued = AwsCredentials(f"ASIAFAKE{len(self.asked):012}", SecretStr("hunter2"), SecretStr("hunter3"), dies_at)
        self.meanwhile()
        return issued


class Desk:
    """A session service, and the decisions that give what it issues for."""

    def __init__(self, stores: Stores, clock: FrozenClock) -> None:
        self.stores = stores
        self.clock = clock
        self.policy = OnePolicy(POLICY)
        self.targets = {"ops": ScriptedTarget(clock), "far": ScriptedTarget(clock)}
        self.office = AccessOffice(stores, clock, self.targets, self.policy, PolicyTargets(self.policy, clock))
        self.issuer = CountingIssuer(clock)
        self.directory = FixedDirectory()
        self.devices = DeviceBench(stores, clock)
        self.sessions = SessionService(stores, self.policy, clock, self.issuer, directory=self.directory)

    def open(self, person: Actor = RITA, duration: timedelta = 2 * HOUR, profile: str = "prod") -> str:
        source = self.office.approve(person, duration, profile).chain
        self.office.due.visit_due()
        return source

    def user(self, person: Actor = RITA, device: int = 1, service: str | None = None) -> DeviceUser:
        return self.devices.user(person, device, service)

    def read(self, session: Session) -> Session:
        return self.stores.sessions.get(session.id)  # type: ignore[arg-type]

    def events(self, session: Session) -> list[str]:
        return [entry.event.value for entry in self.stores.audit.get_chain(session.chain)]


@pytest.fixture
def desk(stores: Stores, clock: FrozenClock) -> Desk:
    return Desk(stores, clock)


def test_intent_is_stored_before_aws_is_asked(desk: Desk) -> None:
    desk.open()
    seen: list[Session] = []
    desk.issuer.meanwhile = lambda: seen.extend(desk.stores.sessions.list_by_person(RITA.id).items)
    issued = desk.sessions.issue(desk.user(), "prod")

    (before,) = seen
    assert before.credentials_until >= issued.expiration
    assert before.access_key_id is None
    stored = desk.read(issued.session)
    assert (stored.access_key_id, stored.issue_count) == (issued.access_key_id, 1)
    assert desk.events(stored) == ["credentials_issued", "credentials_issued"]
    assert "hunter" not in repr(issued)
    assert "hunter" not in str([entry.to_item() for entry in desk.stores.audit.get_chain(stored.chain)])


def test_intent_says_whose_access_it_is(desk: Desk) -> None:
    source = desk.open()
    issued = desk.sessions.issue(desk.user(), "prod")

    (intent,) = desk.issuer.asked
    assert issued.session.session_name == "Rita-Hayworth"
    assert intent.source_identity == f"countersign-{issued.session.grant}-U0RITA"
    assert (intent.request, intent.profile, intent.person_name) == (source, "prod", "Rita Hayworth")
    assert intent.rights_end_at == issued.access_ends_at == issued.session.expires_at


def test_same_device_touches_its_session(desk: Desk) -> None:
    desk.open()
    first = desk.sessions.issue(desk.user(), "prod")
    desk.clock.advance(20 * MINUTE)
    again = desk.sessions.issue(desk.user(), "prod")
    other = desk.sessions.issue(desk.user(device=2), "prod")

    assert again.session.id == first.session.id != other.session.id
    assert again.session.issue_count == 2
    assert again.session.credentials_until > first.session.credentials_until


def test_longest_lasting_access_is_issued_for(desk: Desk) -> None:
    desk.open(duration=HOUR)
    desk.open(duration=3 * HOUR)
    desk.open(duration=2 * HOUR)

    assert desk.sessions.issue(desk.user(), "prod").access_ends_at == desk.clock.now() + 3 * HOUR


def test_nothing_is_issued_for_what_needs_a_newer_version(desk: Desk) -> None:
    newer, plain = (desk.office.approve(RITA, length * HOUR) for length in (3, 2))
    desk.office.due.visit_due()
    asked_for = _need_more(desk, newer)
    assert desk.sessions.issue(desk.user(), "prod").access_ends_at == desk.clock.now() + 2 * HOUR
    desk.office.grants.end(plain.chain, RITA)
    with pytest.raises(NewerRecord, match="made this grant") as refused:
        desk.sessions.issue(desk.user(), "prod")
    assert refused.value.record == asked_for.chain
    problem = to_problem(refused.value, desk.clock.now())
    assert problem.detail is not None
    assert "Nothing was changed. Try again, or finish the upgrade." in problem.detail
    assert len(desk.issuer.asked) == 1
    desk.office.grants.end(newer.chain, RITA)
    assert desk.stores.access.get(GrantId(asked_for.id)).status is GrantStatus.ENDING


def _need_more(desk: Desk, source: Request) -> Grant:
    """A newer version changes the grant of this request, under a rule that this version doesn't know."""
    access, grant = desk.stores.access, desk.office.grant_of(source)
    changed = grant.tell_ending(desk.clock.now()).replace(needs=UNDERSTOOD + 1)
    state = access.get_right(grant.right)
    access.commit(state, state.holding, changed, [EntryDraft.of(changed, AuditAction.ACCESS_ENDING_SOON, CLOCK)])
    return changed


def test_nothing_is_issued_before_access_starts(desk: Desk) -> None:
    desk.policy.policy = parse_policy(
        POLICY.replace("max_duration: 4h", "max_duration: 4h, starts_within: 7d").encode()
    )
    start = desk.clock.now() + 3 * 24 * HOUR
    asked = desk.office.requests.submit(RITA, "prod", HOUR, "Deploy the fix for INC-12", starts_at=start)
    desk.office.requests.approve(RequestId(asked.id), ANN)
    desk.office.due.visit_due()
    with pytest.raises(NothingOpen, match=f"It opens at {start:%Y-%m-%d %H:%M} UTC") as nothing:
        desk.sessions.issue(desk.user(), "prod")
    assert not nothing.value.is_opening
    desk.clock.set(start)
    desk.office.due.visit_due()
    assert desk.sessions.issue(desk.user(device=2), "prod").access_ends_at == start + HOUR


def test_nothing_open_says_what_to_do(desk: Desk) -> None:
    with pytest.raises(NothingOpen, match="countersign request prod") as nothing:
        desk.sessions.issue(desk.user(), "prod")
    assert not nothing.value.is_opening

    desk.office.approve(RITA, HOUR)
    with pytest.raises(NothingOpen, match="still opening") as opening:
        desk.sessions.issue(desk.user(), "prod")
    assert opening.value.is_opening
    assert desk.issuer.asked == []


def test_profile_without_a_role_is_not_to_be_requested(desk: Desk) -> None:
    with pytest.raises(NothingOpen, match=r"^paper gives no AWS credentials: none of its targets is a role"):
        desk.sessions.issue(desk.user(), "paper")
    with pytest.raises(InvalidInput, match=r"there is no profile 'prd'.*prod"):
        desk.sessions.issue(desk.user(), "prd")


def test_end_is_said_with_its_time(desk: Desk) -> None:
    source = desk.open(duration=HOUR)
    desk.clock.advance(20 * MINUTE)
    ended_at = desk.clock.now()
    desk.office.grants.end(source, RITA)
    desk.clock.advance(MINUTE)
    with pytest.raises(AccessEnded) as ended:
        desk.sessions.issue(desk.user(), "prod")
    assert ended.value.ended_at == ended_at

    desk.open(duration=HOUR)
    desk.clock.advance(HOUR)
    with pytest.raises(AccessEnded) as ended:
        desk.sessions.issue(desk.user(), "prod")
    assert ended.value.ended_at == desk.clock.now()
    assert desk.issuer.asked == []


def test_nobody_gets_credentials_for_somebody_else(desk: Desk) -> None:
    desk.open()
    with pytest.raises(NothingOpen):
        desk.sessions.issue(desk.user(EVE), "prod")
    assert desk.issuer.asked == []


def test_device_of_a_service_gets_only_what_it_asked_for(desk: Desk) -> None:
    desk.open()
    robot = desk.user(service="ci-deploy", device=7)
    with pytest.raises(NothingOpen):
        desk.sessions.issue(robot, "prod")

    desk.office.approve(robot.actor, 30 * MINUTE)
    desk.office.due.visit_due()
    issued = desk.sessions.issue(robot, "prod")
    assert (issued.session.service, issued.session.user) == ("ci-deploy", "U0RITA")
    assert issued.session.right.principal == "service:ci-deploy"
    own = desk.sessions.issue(desk.user(), "prod")
    assert own.session.grant != issued.session.grant
    assert own.session.right.principal == "U0RITA"


def test_break_glass_gives_credentials(desk: Desk) -> None:
    event = desk.office.declare(ANN)
    desk.office.due.visit_due()

    issued = desk.sessions.issue(desk.user(ANN), "prod")
    assert issued.session.source == event.chain
    with pytest.raises(NothingOpen):
        desk.sessions.issue(desk.user(BOB), "prod")


def test_several_roles_need_a_name(desk: Desk) -> None:
    desk.open(profile="both")
    with pytest.raises(InvalidInput, match="far, ops"):
        desk.sessions.issue(desk.user(), "both")

    assert desk.sessions.issue(desk.user(), "both", target="far").session.right.target == "far"
    with pytest.raises(NothingOpen):
        desk.sessions.issue(desk.user(), "both", target="nowhere")


def test_role_that_left_the_policy_gives_nothing(desk: Desk) -> None:
    desk.open()
    desk.sessions = SessionService(
        desk.stores, OnePolicy(POLICY.replace(":role/tools-admin", ":role/another")), desk.clock, desk.issuer
    )
    with pytest.raises(NothingOpen, match="doesn't have its role"):
        desk.sessions.issue(desk.user(), "prod")


def test_person_who_left_gets_nothing(desk: Desk) -> None:
    desk.open()
    desk.stores.directory.note([RITA.id], desk.clock.now())
    gone = NotAllowed("act", ("you are no longer an active member of the workspace",))
    desk.sessions = SessionService(desk.stores, desk.policy, desk.clock, desk.issuer, directory=_Gone(gone))
    with pytest.raises(NotAllowed, match="no longer"):
        desk.sessions.issue(desk.user(), "prod")
    assert desk.issuer.asked == []


class _Gone(FixedDirectory):
    def __init__(self, refusal: NotAllowed) -> None:
        super().__init__()
        self._refusal = refusal

    def person(self, user_id: UserId, notes: object = None) -> Actor:
        del user_id, notes
        raise self._refusal


def test_failed_call_leaves_an_honest_session(desk: Desk) -> None:
    desk.open()
    desk.issuer.refusal = IssuerUnavailable("STS gave no answer: ReadTimeoutError", "Try again in a moment.")
    with pytest.raises(IssuerUnavailable):
        desk.sessions.issue(desk.user(), "prod")

    (session,) = desk.stores.sessions.list_by_person(RITA.id).items
    assert session.credentials_until > desk.clock.now() + HOUR
    assert session.access_key_id is None
    desk.issuer.refusal = None
    assert desk.sessions.issue(desk.user(), "prod").session.issue_count == 2


def test_credentials_that_live_too_long_are_kept_back(desk: Desk) -> None:
    desk.open()
    desk.issuer.late = 5 * MINUTE
    with pytest.raises(IssuerUnavailable, match="longer than Countersign recorded"):
        desk.sessions.issue(desk.user(), "prod")


def test_credentials_issued_under_a_revoke_are_kept_back(desk: Desk) -> None:
    desk.open()
    first = desk.sessions.issue(desk.user(), "prod")
    desk.issuer.meanwhile = lambda: desk.sessions.revoke(first.session.id, RITA, "lost laptop")
    with pytest.raises(AccessEnded):
        desk.sessions.issue(desk.user(), "prod")

    desk.issuer.meanwhile = lambda: None
    with pytest.raises(NotAllowed, match="revoked by U0RITA"):
        desk.sessions.issue(desk.user(), "prod")
    assert desk.sessions.issue(desk.user(device=2), "prod").session.id != first.session.id


def test_ten_processes_share_one_session(desk: Desk) -> None:
    desk.open()
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(desk.sessions.issue(desk.user(), "prod").session.id))
        for _ in range(10)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(found) == 10
    assert len(set(found)) == 1


def test_sessions_are_listed_to_those_who_may_see(desk: Desk) -> None:
    desk.open()
    desk.sessions.issue(desk.user(), "prod")

    seen = {who.id: len(desk.sessions.list_live(who).items) for who in (RITA, ANN, ADA, EVE)}
    assert seen == {"U0RITA": 1, "U0ANN": 1, "U0ADA": 1, "U0EVE": 0}
    robot = RITA.model_copy(update={"service": ServiceName("ci-deploy")})
    assert desk.sessions.list_live(robot).items == ()


def test_session_is_revoked_by_its_person_approvers_and_admins(desk: Desk) -> None:
    desk.open()
    for number, who in enumerate((RITA, ANN, ADA)):
        issued = desk.sessions.issue(desk.user(device=number), "prod")
        revoked = desk.sessions.revoke(issued.session.id, who, "not needed")
        assert revoked.status is SessionStatus.REVOKED
        assert str(revoked.revoked_by) == who.id
        assert desk.sessions.revoke(issued.session.id, who, "again") == revoked
    issued = desk.sessions.issue(desk.user(device=9), "prod")
    for who in (EVE, RITA.model_copy(update={"service": "ci-deploy"})):
        with pytest.raises(NotAllowed):
            desk.sessions.revoke(issued.session.id, who, "mine now")


def test_device_that_ended_takes_its_sessions_along(desk: Desk) -> None:
    desk.open()
    one, other = (desk.sessions.issue(desk.user(device=number), "prod").session for number in (1, 2))
    ended = desk.sessions.end_device(RITA.id, one.device, DeciderId(RITA.id))

    assert [each.id for each in ended] == [one.id]
    assert desk.read(other).status is SessionStatus.ACTIVE
    assert desk.sessions.end_device(RITA.id, one.device, CLOCK) == ()


def test_device_that_ended_meanwhile_gets_nothing(desk: Desk) -> None:
    desk.open()
    user = desk.user()
    desk.issuer.meanwhile = lambda: desk.devices.revoke(user.device)
    with pytest.raises(DeviceEnded):
        desk.sessions.issue(user, "prod")

    (made,) = desk.sessions.end_device(RITA.id, user.device.id, DeciderId(RITA.id))
    assert made.access_key_id is None


def test_session_that_no_list_shows_yet_ends_with_its_device(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open()
    made = desk.sessions.issue(desk.user(), "prod").session
    monkeypatch.setattr(desk.stores.sessions, "list_page", lambda *_, **__: Page(()))

    assert [each.id for each in desk.sessions.end_device(RITA.id, made.device, CLOCK)] == [made.id]


def test_background_ends_sessions_whose_access_is_over(desk: Desk) -> None:
    desk.open(duration=HOUR)
    expires = desk.sessions.issue(desk.user(), "prod").session
    source = desk.open(ANN.model_copy(update={"id": UserId("U0EVE")}), duration=3 * HOUR)
    revoked = desk.sessions.issue(desk.user(EVE, device=2), "prod").session
    desk.office.grants.end(source, EVE)
    assert [each.id for each in desk.sessions.expire_due()] == [revoked.id]
    assert desk.read(revoked).revoked_by == "U0EVE"

    desk.clock.advance(HOUR)
    assert [each.id for each in desk.sessions.expire_due()] == [expires.id]
    assert desk.sessions.expire_due() == ()
    assert desk.events(expires)[-1] == "session_expired"
