"""A target that follows its script, and a reconciler, at a clock that a test moves from due time to due time.

Invariant: nothing happens between two due times, so a test that lets a day pass takes milliseconds.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timedelta

from core.access.due_rights import DueRights, VisitCounts
from core.access.grant import Grant, GrantStatus
from core.access.holding import Holding
from core.access.reconciler import Reconciler
from core.access.right import Right, right_key
from core.actor import DeciderId
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock
from core.stores.access import GrantWrite
from core.targets.base import Absent, Answer, Given, Held, OperationKey, Polled, Seen, Taken
from tests.core.access.world import RIGHT, a_grant
from tests.harness.access_store import MemoryAccessStore
from tests.harness.clock import A_MOMENT, FrozenClock

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
Scripted = Answer | Exception | Callable[[], Answer]


class ScriptedTarget:
    """Holds rights; answers what is scripted first, as often as it is, and then the truth."""

    ends_sessions = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.held: set[Right] = set()
        self.calls: list[tuple[str, datetime]] = []
        self.asked: list[tuple[str, Right, OperationKey]] = []
        self.untils: list[datetime] = []
        self.script: dict[str, deque[Scripted]] = defaultdict(deque)
        self.always: dict[str, Scripted] = {}

    def residual(self, right: Right) -> timedelta:
        _ = right
        return HOUR

    def inspect(self, right: Right) -> Seen:
        return self._answer("inspect", lambda: Held() if right in self.held else Absent())  # type: ignore[return-value]

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        self.asked.append(("give", right, key))
        self.untils.append(until)
        return self._answer("give", lambda: self.put(right))  # type: ignore[return-value]

    def take(self, right: Right, key: OperationKey) -> Taken:
        self.asked.append(("take", right, key))
        return self._answer("take", lambda: self.remove(right))  # type: ignore[return-value]

    def poll(self, token: str) -> Polled:
        _ = token
        return self._answer("poll", Absent)

    def put(self, right: Right = RIGHT) -> Held:
        self.held.add(right)
        return Held()

    def remove(self, right: Right = RIGHT) -> Absent:
        self.held.discard(right)
        return Absent()

    def count(self, name: str) -> int:
        return sum(each == name for each, _ in self.calls)

    def times(self, name: str) -> list[timedelta]:
        return [at - A_MOMENT for each, at in self.calls if each == name]

    def _answer(self, name: str, truth: Callable[[], Answer]) -> Answer:
        self.calls.append((name, self._clock.now()))
        scripted = self.script[name].popleft() if self.script[name] else self.always.get(name)
        if isinstance(scripted, Exception):
            raise scripted
        if callable(scripted):
            return scripted()
        return scripted if scripted is not None else truth()


class AccessHarness:
    """Grants of one person, and whatever a test needs to see what becomes of them."""

    def __init__(
        self,
        boundary: Callable[[str], object] | None = None,
        make_store: Callable[[Clock, Callable[[str], object] | None], MemoryAccessStore] = MemoryAccessStore,
    ) -> None:
        self.clock = FrozenClock()
        self.store = make_store(self.clock, boundary)
        self.target = ScriptedTarget(self.clock)
        self.targets: dict[str, ScriptedTarget] = {"aws": self.target}
        self.due = self.start()

    def start(self, holder: str = "worker") -> DueRights:
        """A worker without any memory."""
        reconciler = Reconciler(self.store, self.targets, self.clock, holder=holder, jitter=lambda: 1.0)
        return DueRights(self.store, reconciler, self.clock)

    def grant(
        self,
        number: int = 1,
        *,
        start: timedelta = timedelta(0),
        length: timedelta = HOUR,
        kind: str = "REQUEST",
        right: Right = RIGHT,
    ) -> Grant:
        """What an approval does."""
        starts_at = A_MOMENT + start
        now = min(self.clock.now(), starts_at)
        source = f"{kind}#{number:016x}"
        grant = a_grant(source=source, starts_at=starts_at, ends_at=starts_at + length, now=now, right=right)
        self.store.create(grant)
        return grant

    def now(self, grant: Grant) -> Grant:
        return self.store.grants[grant.id]

    def status(self, grant: Grant) -> GrantStatus:
        return self.now(grant).status

    def actions(self, grant: Grant) -> list[str]:
        return self.store.actions(grant)

    def holding(self, right: Right = RIGHT) -> Holding:
        return self.store.holdings[right_key(right)]

    def end_early(self, grant: Grant, by: str = "U0REQUESTER", reason: str = "I'm done") -> None:
        ended = self.now(grant).end_early(DeciderId(by), self.clock.now(), reason)
        self.store.end([GrantWrite(ended, EntryDraft.of(ended, AuditAction.GRANT_ENDED_EARLY, by))])

    def visit(self) -> VisitCounts:
        return self.due.visit_due()

    def pass_time(self, length: timedelta) -> None:
        """Let time pass from one due time to the next."""
        end = self.clock.now() + length
        for _ in range(20_000):
            step = timedelta(seconds=10 if self.visit().left else 1)
            due = min((due_at for due_at, _ in self.store.due.values()), default=None)
            if due is None or due > end:
                break
            self.clock.set(max(due, self.clock.now() + step))
        else:
            raise AssertionError("it never comes to rest")
        if self.clock.now() < end:
            self.clock.set(end)

    @property
    def is_held(self) -> bool:
        return RIGHT in self.target.held
