"""An office whose profiles give access at a target that does as the test says, with the reconciler beside the bot.

Invariant: services, stores, reconciler and sink are the real ones; only the target and the directory are scripted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from core.access.due_rights import DueRights
from core.access.grant import GrantId
from core.access.holding import Urgency
from core.access.principals import PrincipalUnknown
from core.access.reconciler import Reconciler
from core.audit.trail import AuditAction
from core.directory import FixedDirectory
from core.services import BreakGlassService, RequestService
from core.services.grants import GrantService
from tests.bot.notifications.harness import CHANNEL, HOUR, Office
from tests.core.access.harness import ScriptedTarget
from tests.core.services.harness import ANN, BOB, EVE, INCIDENT, OUTAGE, RITA, ChangingPolicy

if TYPE_CHECKING:
    from core.access.grant import Grant
    from core.access.principals import SoughtPerson
    from core.access.right import Right
    from core.actor import Actor
    from core.audit.trail import AuditEntry
    from core.break_glass import BreakGlassEvent
    from core.request import Request
    from core.stores.base import Stores
    from localslack.server import LocalSlack
    from tests.harness.clock import FrozenClock

SECURITY: Final = "C0SECURITY"
USER: Final = "90676a1b2c-11111111-2222-3333-4444-555555555555"
PORTAL: Final = "https://d-1234567890.awsapps.com/start"
_SET: Final = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcde"
TARGETS: Final = f"""
targets:
  aws:
    type: identity-center
    region: eu-west-1
    instance: arn:aws:sso:::instance/ssoins-0123456789abcdef
    identity_store: d-1234567890
    portal: {PORTAL}
people:
{{people}}
profiles:
"""
ONE: Final = f'[{{target: aws, account: "111122223333", permission_set: {_SET}1}}]'
TWO: Final = (
    f'[{{target: aws, account: "111122223333", permission_set: {_SET}1}}, '
    f'{{target: aws, account: "111122223333", permission_set: {_SET}2}}]'
)
_PEOPLE: Final = "".join(f"  {each.id}: {{aws: {each.id.lower()}}}\n" for each in (ANN, BOB, EVE, RITA))
EDITS: Final = {
    "\nprofiles:\n": TARGETS.format(people=_PEOPLE),
    "prod: {description: Production, channel: C0ACCESS1}": f"prod: {{channel: C0ACCESS1, access: {ONE}}}",
    "staging: {description: Staging, channel: C0ACCESS1}": f"staging: {{channel: C0ACCESS1, access: {TWO}}}",
    "    escalation_threshold: 2\n": "    fallback: Call the on-call manager\n",
}


class OneUser:
    """The only user that every target knows, unless there is a problem."""

    problem: str | None = None

    def find(self, target: str, sought: SoughtPerson, *, is_emergency: bool = False) -> str:
        """This user."""
        del sought, is_emergency
        if self.problem is not None:
            raise PrincipalUnknown(target, self.problem)
        return USER


class AccessOffice(Office):
    """An office with a target."""

    def __init__(self, slack: LocalSlack, stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> None:
        super().__init__(slack, stores, policy, clock)
        policy.edit(EDITS)
        self.users, directory = OneUser(), FixedDirectory()
        self.requests = RequestService(stores, policy, clock, directory=directory, principals=self.users)
        self.events = BreakGlassService(stores, policy, clock, directory=directory, principals=self.users)
        self.grants = GrantService(stores, policy, clock, directory=directory)
        self.target = ScriptedTarget(clock)
        reconciler = Reconciler(stores.access, {"aws": self.target}, clock, jitter=lambda: 1.0)
        self.due = DueRights(stores.access, reconciler, clock)

    def approved(self) -> Request:
        """A request for the profile with one right, approved by two."""
        request = self.submit()
        self.approve(request, ANN)
        return self.approve(request, BOB)

    def approved_with_two_rights(self) -> Request:
        """A request for the profile with two rights, approved by the policy."""
        return self.submit("staging", EVE)

    def declared(self, who: Actor = ANN) -> BreakGlassEvent:
        """An emergency, and a second passes."""
        event = self.events.invoke(who, "prod", INCIDENT, OUTAGE, duration=HOUR)
        self.clock.advance(timedelta(seconds=1))
        return event

    def reconcile(self, *, seconds: int = 10) -> None:
        """Visit what is due, again and again while time passes."""
        self.due.visit_due()
        for _ in range(0, seconds, 5):
            self.clock.advance(timedelta(seconds=5))
            self.due.visit_due()

    def reconcile_until_settled(self) -> None:
        """Long enough for lists to show what was done."""
        self.reconcile(seconds=70)

    def tell(self) -> None:
        """Reconcile what is due, and deliver what it said."""
        self.reconcile()
        self.deliver_all()

    def grant(self, entry: AuditEntry) -> Grant:
        """The grant that an entry is about, as it is now."""
        return self.stores.access.get(GrantId(entry.chain.partition("#")[2]))

    def first_rights(self) -> list[Right]:
        """The right for which the target is asked first."""
        return [self.stores.access.list_due(Urgency.GRANT, self.clock.now())[0].right]

    def opened(self) -> list[AuditEntry]:
        """The entries of the rights that opened, the one that announces them last."""
        found = [each.entry for each in self.waiting() if each.entry.event == AuditAction.GRANT_OPENED]
        return sorted(found, key=lambda entry: (self.grant(entry).opened_at, self.grant(entry).id))

    def security(self) -> list[str]:
        """What the security channel was told."""
        return [each.text for each in self.slack.messages(SECURITY)]

    def thread(self) -> list[str]:
        """What the thread of the one card says."""
        return [each.text for each in self.slack.messages(CHANNEL) if each.thread_ts is not None]
