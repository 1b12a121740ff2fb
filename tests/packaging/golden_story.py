"""A story that writes every kind of record into a store, as a release leaves them behind.

Invariant: the same story gives the same records, whatever the store: its clock stands still between two lines, and it
asks nothing of the machine but ids, which tools/keep_release.py makes the same each time. `audit verify` finds nothing
wrong with it. tests/packaging/test_golden_stores.py names what is missing here.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue, SecretStr

from core.access.credentials import AssumeIntent, AwsCredentials
from core.access.pairing_bounds import PairingTries
from core.access.right import Right
from core.actor import OPERATOR, Actor, ServiceName, UserGroupId, UserId
from core.audit.checkpoint import Checkpointer
from core.audit.keyring import AuditKeyring
from core.audit.trail import PAGES, SUMMARIES, AuditAction
from core.break_glass import EventId, ReasonCode
from core.directory import FixedDirectory
from core.errors import CountersignError
from core.outbox.outbox import deliver_due
from core.pagers.page_ledger import PageLedger
from core.preferences import DmKind
from core.request import Request, RequestId
from core.review import Verdict
from core.services import DeviceService, PairingService, SessionService
from core.services.preferences import DmChoices
from core.stores.messages import MessageRef
from core.targets.base import InProgress, Later, TargetRefused
from core.targets.opening import PolicyTargets
from core.user_group import UserGroupMembers
from tests.builders import a_draft, a_refusal
from tests.core.access.harness import ScriptedTarget
from tests.core.access.office import AccessOffice, OnePolicy

if TYPE_CHECKING:
    from core.audit.trail import AuditEntry
    from core.policy.target_config import AwsRoleConfig
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

AUDIT_KEY: Final = "golden-4f7a1c9e2b8d6035-9b1d7e3f5a2c8046"
"""For these stores only. It has sealed nothing else."""
KEYRING: Final = AuditKeyring.from_text(AUDIT_KEY)
BEGIN: Final = datetime(2040, 1, 1, tzinfo=UTC)
"""Later than now, for DynamoDB Local deletes what is old by the machine's clock; each month in between is a query."""
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
RITA, ANN, BOB, EVE, ADA, ZOE = (
    Actor(id=UserId(f"U0{name}"), name=name.title()) for name in ("RITA", "ANN", "BOB", "EVE", "ADA", "ZOE")
)
WHY: Final = "Deploy the fix for INC-12"
OUTAGE: Final = "The checkout is down, INC-12"
POLICY: Final = """
version: 1
admins: [U0ADA]
groups: {sre: [U0ANN, U0BOB]}
people: {U0RITA: {box: rita}, U0ANN: {box: ann}, U0EVE: {box: eve}, U0ZOE: {box: zoe}}
targets:
  box: {type: demo}
  ops: {type: aws-role, role: "arn:aws:iam::111122223333:role/Ops", region: eu-west-1, lease: 1h}
services: {ci-deploy: {owner: U0RITA, may: [vault], max_duration: 1h}}
profiles:
  prod: {channel: C0ACCESS1, access: [{target: box, resource: prod, level: admin}]}
  ops: {channel: C0ACCESS1, access: [{target: ops}]}
  vault: {channel: C0ACCESS1}
  auto: {channel: C0ACCESS1}
approval:
  - {name: vault, profiles: [vault], approvers: [group:sre], required_approvals: 2, max_duration: 4h, max_pending: 20,
     remind_after: 1h, escalate_after: 2h, escalate_to: [U0EVE], ticket: {pattern: "INC-\\\\d+"}}
  - {name: auto, profiles: [auto], approvers: [group:sre], max_duration: 1h, auto_approve: {max_duration: 1h}}
  - {name: all, profiles: [prod, ops], approvers: [group:sre], max_duration: 8h, max_pending: 20, starts_within: 24h}
break_glass:
  - {name: on-call, profiles: [prod, vault], users: [U0EVE, U0ZOE], max_duration: 2h, review_within: 1h}
security_channel: C0SECURITY
"""


SYSTEM: Final = {
    "POLICY": (AuditAction.POLICY_IN_FORCE, AuditAction.POLICY_REFUSED),
    "MFA": (AuditAction.MFA_ENROLLED, AuditAction.MFA_REPLACED, AuditAction.MFA_REMOVED, AuditAction.MFA_UNLOCKED),
    "LEDGERS": (AuditAction.LEDGER_UNREADABLE, AuditAction.LEDGER_REBUILT),
    "DIRECTORY": (AuditAction.USER_GROUP_CHANGED,),
    PAGES: (AuditAction.PAGE_DUE, AuditAction.PAGE_ACKNOWLEDGED),
    SUMMARIES: (AuditAction.MONTHLY_SUMMARY,),
}
"""What belongs to no record, by its chain."""


@dataclass
class Issuer:
    """Credentials that open nothing."""

    clock: FrozenClock
    count: int = 0

    def assume(self, target: str, config: AwsRoleConfig, intent: AssumeIntent) -> AwsCredentials:
        """As AWS answers."""
        del target, intent
        self.count += 1
        dies_at = self.clock.now() + config.lease
        return AwsCredentials(f"ASIAFAKE{self.count:012}", SecretStr("none"), SecretStr("none"), dies_at)


@dataclass
class OneChannel:
    """A sink that takes everything."""

    name: str = "channel"
    got: list[AuditEntry] = field(default_factory=list)

    def deliver(self, entry: AuditEntry) -> None:
        """Take it."""
        self.got.append(entry)


class Story:
    """Everything that writes, on one store."""

    def __init__(self, stores: Stores, clock: FrozenClock) -> None:
        self.stores, self.clock = stores, clock
        source = OnePolicy(POLICY)
        self.box = ScriptedTarget(clock)
        targets = {"box": self.box, "ops": ScriptedTarget(clock)}
        self.office = AccessOffice(stores, clock, targets, source, PolicyTargets(source, clock))
        directory = FixedDirectory()
        given = stores, source, clock
        self.requests, self.events = self.office.requests, self.office.break_glass
        self.pairing = PairingService(*given, directory=directory)
        self.devices = DeviceService(*given, directory=directory)
        self.sessions = SessionService(*given, Issuer(clock), directory=directory)
        self.preferences = DmChoices(stores.preferences, clock)
        self.digest = source.current().digest
        self.checkpoints = Checkpointer(stores.audit, clock, lambda: self.digest)

    def tell(self) -> None:
        """All of it."""
        for part in (
            self.requests_of_each_kind,
            self.emergencies,
            self.access_of_each_kind,
            self.terminals,
            self.what_belongs_to_no_record,
            self.refused_attempts,
            self.deliveries,
            self.what_is_still_open,
        ):
            part()
            self.stores.refusals.flush()
            self.clock.advance(MINUTE)
        self.clock.advance(HOUR)
        self.checkpoints.seal_due(is_forced=True)

    def ask(self, who: Actor = RITA, profile: str = "vault", **more: object) -> Request:
        """Ask for an hour."""
        if profile == "vault":
            more = {"ticket": "INC-12", **more}
        return self.requests.submit(who, profile, HOUR, WHY, **more)  # type: ignore[arg-type]

    def requests_of_each_kind(self) -> None:
        """Votes, questions, less time, for a colleague, several at once, later, reminded, escalated, and each end."""
        voted = RequestId(self.ask().id)
        self.requests.ask(voted, ANN, "Which region is it?")
        self.requests.answer(voted, RITA, 1, "Frankfurt")
        self.requests.approve(voted, ANN, "go ahead", duration=30 * MINUTE)
        self.requests.approve(voted, BOB)
        self.requests.deny(RequestId(self.ask().id), ANN, "not today")
        self.requests.cancel(RequestId(self.ask().id), RITA)
        for_another = RequestId(self.ask(ZOE, on_behalf_of=RITA).id)
        self.requests.confirm(for_another, RITA)
        self.requests.submit_several(RITA, ["vault", "auto"], HOUR, WHY, ticket="INC-12")
        self.requests.approve(RequestId(self.ask(profile="prod", starts_at=self.clock.now() + 2 * HOUR).id), ANN)
        self.clock.advance(90 * MINUTE)
        self.requests.remind_due()
        self.clock.advance(HOUR)
        self.requests.escalate_due()
        self.clock.advance(DAY)
        self.requests.expire_due()
        self.office.pass_time(DAY)

    def emergencies(self) -> None:
        """One closed and reviewed, one expired and waiting for its review, one instead of a request, with questions."""
        closed = EventId(self.events.invoke(EVE, "vault", ReasonCode.INCIDENT, OUTAGE, HOUR).id)
        self.events.close(closed, EVE, "it is up again")
        self.events.review(closed, ANN, Verdict.JUSTIFIED, "the runbook left no other way")
        instead = RequestId(self.ask(ZOE).id)
        self.events.invoke(ZOE, "vault", ReasonCode.SECURITY, OUTAGE, HOUR, instead_of=instead, declared_in="C0ACCESS1")
        self.clock.advance(50 * MINUTE)
        self.events.ask_due()
        self.clock.advance(HOUR)
        self.events.expire_due()
        self.clock.advance(2 * HOUR)
        self.events.remind_due()

    def access_of_each_kind(self) -> None:
        """Grants that ended with their window, early, by a revoke, by a refusal of the target, and after a drift."""
        self.office.approve(RITA)
        self.office.pass_time(50 * MINUTE)
        self.office.grants.remind_due()
        self.office.pass_time(HOUR)
        ended = self.office.approve(RITA)
        self.office.pass_time(MINUTE)
        self.office.grants.end(ended.chain, RITA)
        self.office.pass_time(10 * MINUTE)
        revoked = self.office.approve(ZOE)
        self.office.pass_time(MINUTE)
        self.office.grants.revoke(revoked.chain, ADA, "not needed any more")
        self.office.pass_time(10 * MINUTE)
        self.office.approve(ZOE, 8 * HOUR)
        self.office.pass_time(MINUTE)
        # Somebody else takes it, and later nobody can.
        self.box.held.clear()
        self.office.pass_time(7 * HOUR)
        self.box.always["take"] = Later(timedelta(minutes=5))
        self.office.pass_time(2 * HOUR)
        self.box.always.clear()
        self.office.pass_time(HOUR)
        self.box.always["give"] = Later(timedelta(minutes=5))
        self.office.approve(RITA)
        self.office.pass_time(30 * MINUTE)
        self.box.always["give"] = TargetRefused("no such permission")
        self.office.approve(EVE)
        self.office.pass_time(3 * HOUR)
        self.box.always.clear()

    def terminals(self) -> None:
        """Devices and sessions in each status, and pairings on their way."""
        for name, end in (("lost", "revoked"), ("old", "expired"), ("laptop", "")):
            device = self.pair(name)
            self.office.approve(RITA, 8 * HOUR, "ops")
            self.office.pass_time(MINUTE)
            user = self.devices.authenticate(device)
            issued = self.sessions.issue(user, "ops")
            self.clock.advance(5 * MINUTE)
            if end == "revoked":
                self.sessions.revoke(issued.session.id, ADA, "the laptop is lost")
                self.devices.revoke(user.device.id, RITA, is_disowned=True)
            elif end == "expired":
                self.office.pass_time(13 * HOUR)
                self.sessions.expire_due()
                self.devices.expire_due()
        self.pairing.start("waiting", "countersign 0.2.0", "192.0.2.7")
        refused = self.pairing.start("refused", "countersign 0.2.0", "192.0.2.7").user_code
        self.pairing.confirm(refused, RITA)
        self.pairing.refuse(refused, RITA)
        self.stores.devices.put_tries(PairingTries.of(EVE.id).count_wrong(self.clock.now()))

    def pair(self, name: str) -> SecretStr:
        """A terminal; its token."""
        started = self.pairing.start(name, "countersign 0.2.0", "192.0.2.7")
        self.pairing.confirm(started.user_code, RITA)
        self.clock.advance(timedelta(seconds=5))
        return self.pairing.exchange(started.device_code, "192.0.2.7").token

    def what_belongs_to_no_record(self) -> None:
        """The system's chains, and what people chose."""
        details: dict[str, JsonValue] = {"digest": self.digest, "text": POLICY}
        append = self.stores.audit.append
        for chain, events in SYSTEM.items():
            for event in events:
                append(chain, a_draft(event, actor=OPERATOR, outcome="changed", details=details))
        self.preferences.choose(RITA, [DmKind.REVIEWS])
        self.stores.directory.note([RITA.id, "S0ENG"], self.clock.now())
        group = UserGroupMembers.unknown(UserGroupId("S0ENG"))
        self.stores.directory.put_group(group.model_copy(update={"users": (RITA.id,), "asked_at": self.clock.now()}))
        codes = self.stores.break_glass.get_codes(EVE.id)
        self.stores.break_glass.put_codes(codes.model_copy(update={"wrong_at": (self.clock.now(),)}))
        page = self.stores.break_glass.get_ledger(PageLedger.of("REQUEST#0123456789abcdef"))
        self.stores.break_glass.put_ledger(page.page("pagerduty", self.clock.now(), "pagerduty.com"))
        right = Right(target="ops", resource="Ops", level="role", principal="rita")
        door = self.stores.sessions.get_door(right).open("0123456789abcdef", 1, self.clock.now())
        self.stores.sessions.move_door(door)
        self.stores.messages.save_message("REQUEST#0123456789abcdef", "card", MessageRef(channel="C0ACCESS1", ts="1.2"))

    def refused_attempts(self) -> None:
        """An attempt of each kind, some by the services, the others as a service notes them."""
        with suppress(CountersignError):
            self.ask(profile="prod", who=BOB, on_behalf_of=BOB)
        for action in AuditAction:
            if action.value.endswith("_refused") and action is not AuditAction.POLICY_REFUSED:
                self.stores.refusals.note(a_refusal(action, actor=EVE.id))

    def deliveries(self) -> None:
        """Most of it is delivered, something is parked, and the rest waits."""
        deliver_due(self.stores.outbox, [OneChannel()], self.clock, threads=1)
        self.ask()
        (waiting,) = self.stores.outbox.iterate_due(self.clock.now())
        leased = self.stores.outbox.lease(waiting, "sweeper", self.clock.now(), self.clock.now() + MINUTE)
        assert leased is not None
        self.stores.outbox.park(leased.model_copy(update={"problem": "the channel is gone"}))

    def what_is_still_open(self) -> None:
        """Something in every status that isn't the last."""
        voted = RequestId(self.ask().id)
        self.requests.approve(voted, ANN)
        self.ask(Actor(id=RITA.id, service=ServiceName("ci-deploy")), device="runner")
        self.events.invoke(EVE, "prod", ReasonCode.RECOVERY, OUTAGE, HOUR)
        self.office.pass_time(MINUTE)
        self.box.always["take"] = Later(timedelta(minutes=5))
        ending = self.office.approve(ZOE)
        self.office.due.visit_due()
        self.office.grants.end(ending.chain, ZOE)
        self.office.due.visit_due()
        self.box.always["give"] = InProgress("token-of-the-target")
        self.box.always["poll"] = InProgress("token-of-the-target")
        self.office.approve(RITA)
        self.office.pass_time(MINUTE)
