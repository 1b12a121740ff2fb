"""The whole of access on a real store: services that decide, a reconciler, and a target, at a clock that a test moves.

Invariant: nothing here is pretended but the target and the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from core.access.due_rights import DueRights
from core.access.grant import Grant, grant_id_for
from core.access.holding import Urgency
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.actor import Actor, UserId
from core.break_glass import BreakGlassEvent, EventId, ReasonCode
from core.directory import FixedDirectory
from core.policy import Policy, parse_policy
from core.request import Request, RequestId
from core.services import BreakGlassService, GrantService, RequestService
from tests.core.access.harness import HOUR, ScriptedTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.access.principals import Principals, SoughtPerson
    from core.stores import Stores
    from core.targets.base import Target

POLICY: Final = """
version: 1
admins: [U0ADA]
groups:
  sre: [U0ANN, U0BOB]
targets:
  aws: {type: demo}
profiles:
  prod:
    description: Production
    channel: C0ACCESS1
    access: [{target: aws, resource: "111122223333", level: admin}]
approval:
  - {name: prod, profiles: [prod], approvers: [group:sre], max_duration: 4h, max_pending: 10}
break_glass:
  - name: on-call
    profiles: [prod]
    users: [group:sre]
    allowed_reason_codes: [incident]
    max_duration: 2h
security_channel: C0SECURITY
"""
ANN: Final = Actor(id=UserId("U0ANN"))
BOB: Final = Actor(id=UserId("U0BOB"))
RITA: Final = Actor(id=UserId("U0RITA"))
WHY: Final = "Deploy the fix for INC-12"
OUTAGE: Final = "The checkout is down, INC-12"
_ALWAYS: Final = datetime.max.replace(tzinfo=UTC)


class Movable(Protocol):
    """A clock that a test moves."""

    def now(self) -> datetime:
        """The moment."""
        ...

    def set(self, now: datetime) -> None:
        """Move it there."""
        ...


class NamedAlike:
    """Principals by their Slack id."""

    def find(self, target: str, sought: SoughtPerson, *, is_emergency: bool = False) -> str:
        _ = target, is_emergency
        return sought.slack_id.lower()


class OnePolicy:
    """A PolicySource with a policy that a test may replace."""

    def __init__(self, text: str = POLICY) -> None:
        self.policy = parse_policy(text.encode())

    def current(self) -> Policy:
        return self.policy


@dataclass
class AccessOffice:
    """One instance of everything. `targets` defaults to one scripted target called `aws`."""

    stores: Stores
    clock: Movable
    targets: Mapping[str, Target] = field(default_factory=dict)
    policy: OnePolicy = field(default_factory=OnePolicy)
    principals: Principals = field(default_factory=NamedAlike)

    def __post_init__(self) -> None:
        self.target = ScriptedTarget(self.clock)
        self.targets = self.targets or {"aws": self.target}
        names, directory = self.principals, FixedDirectory()
        given = self.stores, self.policy, self.clock
        self.requests = RequestService(*given, directory=directory, principals=names)
        self.break_glass = BreakGlassService(*given, directory=directory, principals=names)
        self.grants = GrantService(*given, directory=directory)
        self.due = self.start()

    def start(self, holder: str = "worker") -> DueRights:
        """A worker without any memory."""
        access = self.stores.access
        return DueRights(access, Reconciler(access, self.targets, self.clock, holder=holder), self.clock)

    def approve(self, requester: Actor = RITA, duration: timedelta = HOUR, profile: str = "prod") -> Request:
        """Asked for and approved."""
        asked = self.requests.submit(requester, profile, duration, WHY)
        return self.requests.approve(RequestId(asked.id), ANN)

    def declare(self, invoker: Actor = ANN, profile: str = "prod") -> BreakGlassEvent:
        """Break the glass."""
        return self.break_glass.invoke(invoker, profile, ReasonCode.INCIDENT, OUTAGE, HOUR)

    def close(self, event: BreakGlassEvent) -> BreakGlassEvent:
        """End an event before its time."""
        return self.break_glass.close(EventId(event.id), ANN, "it is up again")

    def grant_of(self, source: Request | BreakGlassEvent) -> Grant:
        """The one grant of a decision, as it is now."""
        return self.stores.access.get(grant_id_for(source.chain, source.rights[0]))

    def actions(self, grant: Grant) -> list[str]:
        """What the chain of a grant says, in order."""
        return [entry.event.value for entry in self.stores.audit.get_chain(grant.chain)]

    def find_next_due(self) -> datetime | None:
        """When the next right is due."""
        access = self.stores.access
        first = (access.list_due(urgency, _ALWAYS, limit=1) for urgency in Urgency)
        return min((each[0].due_at for each in first if each), default=None)

    def pass_time(self, length: timedelta) -> None:
        """Let time pass from one due time to the next."""
        end = self.clock.now() + length
        for _ in range(5_000):
            step = timedelta(seconds=10 if self.due.visit_due().left else 1)
            due = self.find_next_due()
            if due is None or due > end:
                break
            self.clock.set(max(due, self.clock.now() + step))
        else:
            raise AssertionError("it never comes to rest")
        if self.clock.now() < end:
            self.clock.set(end)


def right_of(person: Actor) -> Right:
    """What the profile prod gives to this person."""
    return Right(target="aws", resource="111122223333", level="admin", principal=person.id.lower())
