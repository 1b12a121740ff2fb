"""What the tests of the services use: a policy that can change, people, and SQLite stores that can be disturbed.

Invariant: everything here is real. A DisturbedStores gives the real answer of a real store; it only lets somebody
else in first, or says that somebody was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from core.access.grant import Grant
from core.actor import Actor, DeciderId, UserGroupId, UserId
from core.audit.trail import REFUSALS_KIND, AuditEntry, EntryDraft
from core.break_glass import BreakGlassEvent, EventId, ReasonCode
from core.errors import ConcurrentModification, MalformedRecord
from core.ledger import Ledger
from core.mfa import CodeLedger
from core.open_requests import OpenRequests
from core.policy import Policy, parse_policy
from core.record import Record
from core.request import Request, RequestId
from core.services import BreakGlassService
from core.stores.access import AccessStore, GrantWrite
from core.stores.audit import AuditStore, RefusalLog
from core.stores.base import BreakGlassStore, Replaced, RequestStore, Stores
from core.stores.devices import DeviceStore
from core.stores.directory import DirectoryStore
from core.stores.messages import MessageStore
from core.stores.outbox import DeliveryStore
from core.stores.preferences import PreferenceStore
from core.stores.sessions import SessionStore
from tests.builders import HOUR

ENDLESS: Final = 10_000
"""More conflicts than a use case has the time to lose."""
MIN_TRIES: Final = 30
"""Fewer than any use case has the time for: its pauses double up to 250 ms, and it has 8 s."""
INCIDENT: Final = ReasonCode.INCIDENT
DEPLOY: Final = "Deploy the fix for INC-12"
OUTAGE: Final = "The checkout is down, INC-12"
NOTES: Final = "The runbook left no other way"
POLICY: Final = """
version: 1
groups:
  sre: [U0ANN, U0BOB, U0CLEO]
profiles:
  prod: {description: Production, channel: C0ACCESS1}
  staging: {description: Staging, channel: C0ACCESS1}
  vault: {description: Secrets, channel: C0ACCESS1}
approval:
  - name: staging
    profiles: [staging]
    approvers: [group:sre]
    max_duration: 8h
    decide_within: 2h
    auto_approve: {requesters: [S0ENGINEERS], max_duration: 1h}
  - name: prod
    profiles: [prod]
    requesters: [U0RITA, U0ANN]
    approvers: [group:sre]
    required_approvals: 2
    max_duration: 4h
    remind_after: 3h
  - name: vault
    profiles: [vault]
    requesters: [U0CLEO]
    approvers: [group:sre]
    max_duration: 1h
security_channel: C0SECURITY
break_glass:
  - name: on-call
    profiles: [prod, staging]
    users: [group:sre]
    allowed_reason_codes: [incident, recovery]
    max_duration: 2h
    cooldown: 30m
    max_per_user: 3
    max_per_profile: 4
    quota_window: 24h
    escalation_threshold: 2
  - name: guarded
    profiles: [vault]
    users: [group:sre]
    max_duration: 1h
    mfa: required
"""


EVERYBODY_ASKS: Final = {"    requesters: [U0RITA, U0ANN]\n": ""}
"""What lets everybody request prod: one person has one open request for it."""


def person(user_id: str, *user_groups: str) -> Actor:
    """A verified person."""
    return Actor(id=UserId(user_id), memberships={UserGroupId(each): True for each in user_groups})


def people(count: int) -> list[Actor]:
    """As many people as a test needs, each for a request of their own."""
    return [person(f"U0PERSON{number}") for number in range(count)]


def by(actor: Actor) -> DeciderId:
    """This person, as the one who decided."""
    return DeciderId(actor.id)


RITA: Final = person("U0RITA")
EVE: Final = person("U0EVE", "S0ENGINEERS")
ANN: Final = person("U0ANN")
BOB: Final = person("U0BOB")
CLEO: Final = person("U0CLEO")
STRANGER: Final = person("U0STRANGER")


class ChangingPolicy:
    """A PolicySource whose file somebody may edit at any time."""

    def __init__(self, text: str = POLICY) -> None:
        self.policy = parse_policy(text.encode())

    def edit(self, changes: dict[str, str]) -> None:
        """Put the original file into force again, with these pieces replaced. Each piece has to be there."""
        text = POLICY
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        self.policy = parse_policy(text.encode())

    def current(self) -> Policy:
        """The policy in force."""
        return self.policy


def noted(stores: Stores) -> list[AuditEntry]:
    """Every refusal that was noted so far, oldest first."""
    stores.refusals.flush()
    found: list[AuditEntry] = []
    for chain, entries in stores.audit.iterate_chains():
        assert not isinstance(entries, MalformedRecord)
        found += entries if chain.startswith(REFUSALS_KIND) else ()
    return found


@dataclass
class Disturbance:
    """What happens right before the next writes: one step for each write, until there is none left."""

    steps: list[Callable[[], object]] = field(default_factory=list)
    writes: int = 0

    def happen(self) -> None:
        """Let the next step happen, if there is one."""
        self.writes += 1
        if self.steps:
            self.steps.pop(0)()

    def conflicts(self, count: int) -> None:
        """Let the next writes fail as if somebody else had been quicker."""

        def fail() -> None:
            raise ConcurrentModification("REQUEST#0123456789abcdef")

        self.steps += [fail] * count


class DisturbedStores:
    """Stores in which somebody else is quicker: before a record is written, the disturbance happens."""

    def __init__(self, stores: Stores, disturbance: Disturbance) -> None:
        self._stores = stores
        self.requests: RequestStore = _Requests(stores.requests, disturbance)
        self.break_glass: BreakGlassStore = _BreakGlass(stores.break_glass, disturbance)
        self.access: AccessStore = _Access(stores.access, disturbance)

    @property
    def sessions(self) -> SessionStore:
        """The sessions."""
        return self._stores.sessions

    @property
    def devices(self) -> DeviceStore:
        """The paired terminals."""
        return self._stores.devices

    @property
    def audit(self) -> AuditStore:
        """The audit trail."""
        return self._stores.audit

    @property
    def directory(self) -> DirectoryStore:
        """Notes of changes in the directory."""
        return self._stores.directory

    @property
    def outbox(self) -> DeliveryStore:
        """What still has to be delivered."""
        return self._stores.outbox

    @property
    def messages(self) -> MessageStore:
        """Where the messages are."""
        return self._stores.messages

    @property
    def preferences(self) -> PreferenceStore:
        """What people chose."""
        return self._stores.preferences

    @property
    def refusals(self) -> RefusalLog:
        """The refused attempts."""
        return self._stores.refusals

    def reseal(self) -> int:
        """See Stores."""
        return self._stores.reseal()

    def close(self) -> None:
        """Close the stores."""
        self._stores.close()


class _Delegate:
    """Passes on whatever is not disturbed."""

    def __init__(self, store: object, disturbance: Disturbance) -> None:
        self._store = store
        self._disturbance = disturbance

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  Whatever the store has.
        return getattr(self._store, name)


class _Requests(_Delegate):
    _store: RequestStore

    def create(
        self,
        request: Request,
        *entries: EntryDraft,
        ledger: OpenRequests | None = None,
        grants: Sequence[GrantWrite] = (),
    ) -> Request:
        self._disturbance.happen()
        return self._store.create(request, *entries, ledger=ledger, grants=grants)

    def update(
        self,
        request: Request,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        grants: Sequence[GrantWrite] = (),
    ) -> Request:
        self._disturbance.happen()
        return self._store.update(request, entry, ledgers, grants)


class _Access(_Delegate):
    _store: AccessStore

    def end(self, writes: Sequence[GrantWrite]) -> tuple[Grant, ...]:
        self._disturbance.happen()
        return self._store.end(writes)


class _BreakGlass(_Delegate):
    _store: BreakGlassStore

    def create(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        replacing: Replaced | None = None,
        grants: Sequence[GrantWrite] = (),
    ) -> BreakGlassEvent:
        self._disturbance.happen()
        return self._store.create(event, entry, ledgers, replacing=replacing, grants=grants)

    def put_codes(self, codes: CodeLedger) -> None:
        self._disturbance.happen()
        self._store.put_codes(codes)

    def update(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        ended: Sequence[GrantWrite] = (),
    ) -> BreakGlassEvent:
        self._disturbance.happen()
        return self._store.update(event, entry, ledgers, ended=ended)


def trail(stores: Stores, record: Record) -> list[tuple[str, str]]:
    """The story of a record: what happened, and who did it."""
    return [(entry.event.value, entry.actor) for entry in stores.audit.get_chain(record.chain)]


def request_id_of(request: Request) -> RequestId:
    """The id as the services take it."""
    return RequestId(request.id)


def event_id_of(event: BreakGlassEvent) -> EventId:
    """The id as the services take it."""
    return EventId(event.id)


def invoke(
    service: BreakGlassService, invoker: Actor = ANN, profile: str = "prod", duration: timedelta = HOUR
) -> BreakGlassEvent:
    """Break the glass because of an outage."""
    return service.invoke(invoker, profile, INCIDENT, OUTAGE, duration)
