"""Access that takes effect: from the approval until it is open, an idle deployment, and a thousand ends in one minute.

Invariant: both sides of the ratio make the same decision in the same transaction, and the same calls of the same
target. What is counted is counted at the store and at the strict Identity Center; its time is simulated.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

from benchmarks.harness import APPROVER, DIRECTORY, HOUR, JUSTIFICATION, KEYRING, Call, new_person
from benchmarks.results import Goal, Prepare, Ratio, ResultTable, Section, Size, time_interleaved
from core.access.due_rights import DueRights
from core.access.grant import GrantStatus, grant_id_for
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.clock import Clock, SystemClock
from core.policy.loader import parse_policy
from core.request import Request, RequestId
from core.services import RequestService
from core.stores import Stores, open_stores
from core.stores.access import AccessStore
from core.targets.base import OperationKey
from core.targets.identity_center.instance import InstanceSettings, SsoInstance
from core.targets.identity_center.target import IdentityCenter
from core.targets.opening import PolicyTargets
from tests.bot.access_grants import StallingTarget, make_grant
from tests.core.targets.harness import paced_by
from tests.harness.aws import ENVIRONMENT, REGION
from tests.harness.clock import FrozenClock
from tests.harness.identity_center import ACCOUNT, ADMIN, INSTANCE, STORE, IdentityCenterServer

BARE: Final = "bare calls"
WHOLE: Final = "approval until open"
AWS_CALLS_PER_SECOND: Final = 20
MAX_READS_OF_AN_IDLE_PASS: Final = 5
MAX_CALLS_OF_AN_END: Final = 8
"""Delete, poll, list, and those that meet another one in progress: here all are in one account, the worst case."""
_POLICY: Final = parse_policy(
    b"""
version: 1
targets: {box: {type: demo}}
profiles:
  prod: {channel: C0BENCH1, access: [{target: box, resource: prod, level: admin}]}
approval:
  - {name: one, profiles: [prod], approvers: [S0APPROVERS], max_duration: 4h}
"""
)


class CountedStore:
    """Counts the calls of a store of grants: each is one transaction, or one read."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store
        self.calls = Counter[str]()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        self.calls[name] += 1
        return getattr(self._store, name)


@dataclass(frozen=True)
class _Deployment:
    """A store, a target without delay, and what makes access take effect."""

    stores: Stores
    clock: Clock
    target: StallingTarget
    counted: CountedStore

    @classmethod
    def of(cls, stores: Stores, clock: Clock) -> _Deployment:
        return cls(stores, clock, StallingTarget(), CountedStore(stores.access))

    def ask(self) -> Request:
        return self._requests.submit(new_person(), "prod", HOUR, JUSTIFICATION)

    def approve(self, request: Request) -> Right:
        approved = self._requests.approve(RequestId(request.id), APPROVER)
        return approved.rights[0]

    def reconcile(self, right: Right) -> None:
        self._reconciler.reconcile(right)

    def call_bare(self, right: Right, until: datetime) -> None:
        """What nobody could do without: see what stood before, give, and see that it is there."""
        self.target.inspect(right)
        self.target.give(right, until, OperationKey("0" * 16, 1))
        self.target.inspect(right)

    def visit(self) -> None:
        DueRights(cast("AccessStore", self.counted), self._reconciler, self.clock).visit_due()

    @property
    def _reconciler(self) -> Reconciler:
        return Reconciler(cast("AccessStore", self.counted), {"box": self.target}, self.clock)

    @property
    def _requests(self) -> RequestService:
        targets = PolicyTargets(_POLICY, self.clock, {"demo": lambda _: self.target})
        return RequestService(self.stores, _POLICY, self.clock, directory=DIRECTORY, principals=targets)


def measure(size: Size) -> Section:
    """All three, on SQLite."""
    times, opening = _measure_opening(size)
    idle_reads, idle_calls = _measure_idle(size.pick(1_000, 50))
    ends = _measure_ends(size.pick(1_000, 20))
    ratio = Ratio.of(times[WHOLE], times[BARE])
    rows = (
        ("an approved request opens", f"{opening['commit']} commits, {opening['get_right']} read", "2 looks, 1 give"),
        ("a pass with nothing due", f"{idle_reads} reads", str(idle_calls)),
        (
            f"{ends.number} ends in one minute",
            "",
            f"{ends.calls / ends.number:.1f} each, {ends.per_second:.1f} a second",
        ),
    )
    return Section(
        "access",
        "Access that takes effect",
        (
            ResultTable((f"{WHOLE} / {BARE}",), ((str(ratio),),)),
            ResultTable(("what", "store", "calls of the target"), rows),
        ),
        (
            Goal("an idle deployment makes no call to a target", str(idle_calls), idle_calls == 0),
            Goal(
                f"an idle pass reads the store {MAX_READS_OF_AN_IDLE_PASS} times, whatever is live",
                str(idle_reads),
                idle_reads == MAX_READS_OF_AN_IDLE_PASS,
            ),
            Goal(
                f"{ends.number} ends stay within AWS's {AWS_CALLS_PER_SECOND} calls a second",
                f"{ends.per_second:.1f}",
                ends.per_second <= AWS_CALLS_PER_SECOND,
            ),
            Goal(
                f"each end takes at most {MAX_CALLS_OF_AN_END} calls, with its conflicts",
                f"{ends.calls / ends.number:.1f}",
                ends.calls <= MAX_CALLS_OF_AN_END * ends.number,
            ),
        ),
        f"{len(times[WHOLE])} rounds on SQLite, with a target that answers at once. The bare calls are the same "
        "approval, whose transaction makes the grant, and a look, a give and a look. The rest is what keeps the "
        "promise through a crash: the intent is durable before the call, and the result after it. "
        f"The ends are at a strict Identity Center, in simulated time: {ends.minutes:.0f} minutes until the last of "
        f"{ends.number} was gone, by Countersign's own share of five calls a second.",
    )


def _measure_opening(size: Size) -> tuple[dict[str, list[float]], Counter[str]]:
    with _stores(clock := SystemClock()) as stores:
        deployment = _Deployment.of(stores, clock)

        def bare(_: int) -> Call:
            request = deployment.ask()
            return lambda: deployment.call_bare(deployment.approve(request), clock.now())

        def whole(_: int) -> Call:
            request = deployment.ask()
            return lambda: deployment.reconcile(deployment.approve(request))

        ways: dict[str, Prepare] = {BARE: bare, WHOLE: whole}
        times = time_interleaved(ways, size.pick(300, 20), warm_up=size.pick(30, 3))
        deployment.counted.calls.clear()
        request = deployment.ask()
        right = deployment.approve(request)
        deployment.reconcile(right)
        (grant,) = stores.access.get_each([grant_id_for(request.chain, right)])
        if grant.status is not GrantStatus.ACTIVE:
            raise AssertionError("the measured way doesn't open access")
        return times, deployment.counted.calls


def _measure_idle(live: int) -> tuple[int, int]:
    """The reads of a pass, and the calls of the target, with this many live grants of which none is due."""
    clock = FrozenClock()
    with _stores(clock) as stores:
        deployment = _Deployment.of(stores, clock)
        for number in range(live):
            right = Right(target="box", resource="prod", level="admin", principal=f"p{number}")
            make_grant(stores, clock.now(), number, right=right, length=4 * HOUR)
        while stores.access.list_page("status", "pending", limit=1, cursor=None, since=None).items:
            deployment.visit()
            clock.advance(timedelta(minutes=1))
        deployment.visit()
        deployment.counted.calls.clear()
        calls = len(deployment.target.calls)
        deployment.visit()
        return deployment.counted.calls.total(), len(deployment.target.calls) - calls


@dataclass(frozen=True)
class _Ends:
    """What a thousand ends cost at Identity Center."""

    number: int
    calls: int
    minutes: float

    @property
    def per_second(self) -> float:
        return self.calls / max(self.minutes * 60, 1.0)


def _measure_ends(number: int) -> _Ends:
    clock = FrozenClock()
    with _stores(clock) as stores, IdentityCenterServer(clock) as server, _environment(server.url):
        instance = SsoInstance.open(InstanceSettings(REGION, INSTANCE, STORE), pace=paced_by(clock), clock=clock)
        with closing(instance):
            due = DueRights(stores.access, Reconciler(stores.access, {"aws": IdentityCenter(instance)}, clock), clock)
            begun_at = clock.now()
            for each in range(number):
                user = server.add_user(f"p{each}")
                right = Right(target="aws", resource=ACCOUNT, level=ADMIN, principal=user.id)
                make_grant(stores, clock.now(), each, right=right, length=4 * HOUR)
            _let_pass(due, clock, lambda: len(server.assignments) == number)
            clock.set(max(begun_at + 4 * HOUR, clock.now()))
            calls, ended_at = len(server.calls), clock.now()
            _let_pass(due, clock, lambda: not server.assignments)
            minutes = (clock.now() - ended_at) / timedelta(minutes=1)
            if server.violations:
                raise AssertionError(server.violations[0])
            return _Ends(number, len(server.calls) - calls, minutes)


def _let_pass(due: DueRights, clock: FrozenClock, is_done: Any) -> None:  # noqa: ANN401 - a question
    while not is_done():
        due.visit_due()
        clock.advance(timedelta(seconds=1))


@contextmanager
def _stores(clock: Clock) -> Iterator[Stores]:
    folder = TemporaryDirectory(dir=Path(__file__).parent)
    with folder as name, closing(open_stores(f"sqlite:///{name}/access.db", keyring=KEYRING, clock=clock)) as stores:
        yield stores


@contextmanager
def _environment(url: str) -> Iterator[None]:
    added = {**ENVIRONMENT, "AWS_ENDPOINT_URL_SSO_ADMIN": url, "AWS_ENDPOINT_URL_IDENTITYSTORE": url}
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
