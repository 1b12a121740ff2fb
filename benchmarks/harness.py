"""The set-up of every benchmark: a policy, people, the two services over given stores, and dry runs.

Invariant: the policy allows what a benchmark does, with every kind of limit in force, so the measured decision includes
all checks. A dry run reads and decides like a real one, and changes nothing in the stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from core.actor import Actor, UserGroupId, UserId
from core.audit.keyring import AuditKeyring
from core.audit.trail import EntryDraft
from core.break_glass import BreakGlassEvent, ReasonCode
from core.clock import Clock, new_id
from core.directory import FixedDirectory
from core.policy.loader import parse_policy
from core.request import Request, RequestId
from core.services import BreakGlassService, RequestService
from core.stores.base import Stores
from core.stores.commit import StoreSettings
from core.stores.dynamodb import DynamoStores
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.tables import create_tables
from core.usage import UsageLedger
from tests.harness.aws import dynamodb_client
from tests.harness.dynamodb_local import DynamoDbLocal, wait_until_ready
from tests.harness.keys import AUDIT_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Call = Callable[[], object]
"""The call to measure, with everything that it needs prepared."""

HOUR: Final = timedelta(hours=1)
JUSTIFICATION: Final = "The checkout is down since the last deployment, see INC-12"
PROFILES: Final = tuple(f"prod-{number:03d}" for number in range(100))
"""Many, because a profile's ledger grows with each break-glass event of a run."""
_LISTED: Final = "".join(f"  {name}: {{channel: C0BENCH1}}\n" for name in (*PROFILES, "quorum", "quick", "careful"))
POLICY: Final = parse_policy(
    f"""\
version: 1
profiles:
{_LISTED}
approval:
  - {{name: one, profiles: [prod-*], approvers: [S0APPROVERS], max_duration: 4h}}
  - {{name: two, profiles: [quorum], approvers: [S0APPROVERS], required_approvals: 2, max_duration: 4h}}
  - {{name: none, profiles: [quick], approvers: [S0APPROVERS], max_duration: 4h, auto_approve: {{max_duration: 2h}}}}
  - {{name: careful, profiles: [careful], approvers: [S0APPROVERS], max_duration: 4h, confirm: true, comment: required,
     approver_mfa: required}}
security_channel: C0BENCH2
break_glass:
  - name: on-call
    profiles: [prod-*]
    users: [S0ONCALL]
    max_duration: 2h
    cooldown: 30m
    max_per_user: 3
    max_per_profile: 500
    quota_window: 24h
    escalation_threshold: 400
    mfa: required
""".encode()
)
KEYRING: Final = AuditKeyring.from_text(AUDIT_KEY)


def new_person(*groups: str) -> Actor:
    """A new person, whom no other benchmark uses."""
    memberships = {UserGroupId(each): True for each in groups}
    return Actor(id=UserId(f"U{new_id().upper()}"), name="Somebody", memberships=memberships)


APPROVER: Final = new_person("S0APPROVERS")
SECOND_APPROVER: Final = new_person("S0APPROVERS")
DIRECTORY: Final = FixedDirectory({UserGroupId("S0APPROVERS"): [APPROVER.id, SECOND_APPROVER.id]})


class _AnyCode:
    """MFA that accepts any code, each time for a later step: the cost of checking one is not the database's."""

    @property
    def method(self) -> str:
        """The name of the real method."""
        return "totp"

    def find_step(self, person: UserId, code: str, now: datetime) -> int:
        """A step that is later at each call."""
        del person, code
        return int(now.timestamp() * 1_000_000)


@dataclass(frozen=True)
class ServiceHarness:
    """The stores, the services over them, and shortcuts to what a benchmark starts with."""

    stores: Stores
    clock: Clock

    @property
    def requests(self) -> RequestService:
        """The service for requests."""
        return RequestService(self.stores, POLICY, self.clock, mfa=_AnyCode(), directory=DIRECTORY)

    @property
    def break_glass(self) -> BreakGlassService:
        """The service for break-glass events."""
        return BreakGlassService(self.stores, POLICY, self.clock, mfa=_AnyCode(), directory=DIRECTORY)

    def ask(self, profile: str = PROFILES[0], requester: Actor | None = None) -> Request:
        """A new request."""
        return self.requests.submit(requester or new_person(), profile, HOUR, JUSTIFICATION)

    def invoke(self, profile: str = PROFILES[0], invoker: Actor | None = None) -> BreakGlassEvent:
        """A new break-glass event."""
        invoker = invoker or new_person("S0ONCALL")
        return self.break_glass.invoke(invoker, profile, ReasonCode.INCIDENT, JUSTIFICATION, HOUR, code="123456")


@contextmanager
def dynamodb_harness(url: str, clock: Clock) -> Iterator[tuple[ServiceHarness, DynamoDBClient, str]]:
    """A harness on new tables of a DynamoDB, with its client and the tables' prefix."""
    prefix = f"b-{new_id()}"
    with dynamodb_client(url) as client:
        create_tables(Connection(client), prefix)
        stores = DynamoStores(Connection(client), prefix, StoreSettings(keyring=KEYRING, clock=clock))
        try:
            yield ServiceHarness(stores, clock), client, prefix
        finally:
            stores.close()


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """The URL of a DynamoDB Local that runs until the block ends."""
    with DynamoDbLocal() as server:
        wait_until_ready(server.url, server.log)
        yield server.url


class Recorder:
    """Forwards calls to its target, except those with the given names: these are only recorded."""

    def __init__(self, target: object, *names: str) -> None:
        self._target = target
        self._names = names
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the target has
        return self._record if name in self._names else getattr(self._target, name)

    def _record(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the caller gives
        self.calls.append((arguments, named))
        return arguments[0] if arguments else {}

    def take(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Remove and return the last recorded call."""
        return self.calls.pop()


class DryRun:
    """The services over stores that are never changed."""

    def __init__(self, harness: ServiceHarness) -> None:
        stores = harness.stores
        self._updates = Recorder(stores.requests, "update")
        self._creations = Recorder(stores.break_glass, "create")
        parts = SimpleNamespace(
            requests=self._updates, break_glass=self._creations, audit=stores.audit, refusals=stores.refusals
        )
        self._harness = ServiceHarness(cast("Stores", parts), harness.clock)

    def approve(self, request_id: str) -> tuple[Request, EntryDraft]:
        """What approving this request would have the store write."""
        self._harness.requests.approve(RequestId(request_id), APPROVER, "Go ahead")
        (approved, entry, *_), _ = self._updates.take()
        return approved, entry

    def invoke(self, profile: str) -> tuple[BreakGlassEvent, EntryDraft, tuple[UsageLedger, ...]]:
        """What invoking break-glass would have the store write."""
        self._harness.invoke(profile)
        (event, entry, ledgers), _ = self._creations.take()
        return event, entry, ledgers
