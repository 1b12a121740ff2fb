"""A small world in simulated time: a target that misbehaves, other writers, workers that freeze and die, and a judge.

Invariant: everything follows from the seed. Time passes only in `World.run_until` and in the effects of workers; a
worker that freezes inside an effect lets the others act meanwhile. The judge knows the truth, not what anybody says.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Final, Protocol, TypeVar

from core.access.due_rights import DueRights
from core.access.grant import Grant, GrantStatus
from core.access.holding import Holding, OperationKind
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.access.timing import FRESH, LAST_LOOK, LEASE, LOOK_EVERY, SETTLE
from core.actor import DeciderId, ProfileName, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock
from core.errors import InvalidStateTransition, StoreUnavailable
from core.stores.access import GrantWrite
from core.targets.base import Absent, Given, Held, InProgress, Later, OperationKey, Polled, Seen, Taken, TargetRefused
from tests.harness.access_store import MemoryAccessStore
from tests.harness.clock import A_MOMENT

T = TypeVar("T")
MakeStore = Callable[[Clock, Callable[[str], object]], MemoryAccessStore]
"""Makes the store of a world, which calls back at each boundary of an effect."""
RIGHT = Right(target="aws", resource="111122223333", level="admin", principal="ann")
MAX_OFFSET = timedelta(seconds=4)
BASE_SLACK = timedelta(seconds=100)
"""How long access may differ from what is wanted when nothing went wrong: one give or take, asynchronous."""
ACTIVE_PART = timedelta(hours=3)
QUIET_PART = timedelta(hours=4)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


class Killed(BaseException):
    """The worker's process is gone: nothing of it runs any more, not even an except clause for Exception."""


class Clockwork:
    """The clock of one worker, off by a few seconds."""

    def __init__(self, world: World, offset: timedelta) -> None:
        self._world = world
        self._offset = offset

    def now(self) -> datetime:
        return self._world.now + self._offset


@dataclass(slots=True)
class Odds:
    """What goes wrong in one history, and how often."""

    later: float = 0.0
    lost: float = 0.0
    failing: float = 0.0
    refused: float = 0.0
    kill: float = 0.0
    freeze: float = 0.0
    store_lost: float = 0.0
    lag: timedelta = timedelta(0)
    is_async: bool = False
    tells_standing: bool = False

    @classmethod
    def draw(cls, rng: random.Random) -> Odds:
        pick: Callable[..., float] = lambda *choices: rng.choice(choices)  # noqa: E731
        return cls(
            later=pick(0, 0, 0.1),
            lost=pick(0, 0, 0.1),
            failing=pick(0, 0.1, 0.1),
            refused=pick(0, 0, 0, 0.05),
            kill=pick(0, 0, 0.01, 0.03),
            freeze=pick(0, 0, 0.01, 0.03),
            store_lost=pick(0, 0, 0, 0.02),
            lag=seconds(pick(0, 0, 5, 30)),
            is_async=rng.random() < 0.5,
            tells_standing=rng.random() < 0.5,
        )


def quick_store(clock: Clock, boundary: Callable[[str], object]) -> MemoryAccessStore:
    """The model in memory, without writing and reading the stored form at each change."""
    return MemoryAccessStore(clock, boundary, is_strict=False)


@dataclass(slots=True)
class Row:
    """What the target has: who made it, and when."""

    owner: str
    since: datetime


class World:
    """Time, a store, a target, and the judge. An engine is what is judged."""

    def __init__(
        self,
        seed: int,
        odds: Odds | None = None,
        make_store: MakeStore | None = None,
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - not a secret
        self.odds = odds if odds is not None else Odds.draw(self.rng)
        self.now = A_MOMENT
        self.is_calm = False
        self.store = (make_store or quick_store)(Clockwork(self, timedelta(0)), self.boundary)
        self.target = UnreliableTarget(self)
        self.judge = Judge(self)
        self.store.watchers.append(self.judge.watch_commit)
        self.outage_until = A_MOMENT
        self.workers: list[Worker] = []
        self.acting: list[Worker] = []
        self._frozen: list[Worker] = []
        self._events: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = count()

    def at(self, moment: datetime, action: Callable[[], object]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), action))

    def run_until(self, end: datetime, wake: Callable[[], datetime | None]) -> None:
        """Let events happen, and workers act whenever something is due for them."""
        while True:
            due = wake()
            times = [each for each in (self._events[0][0] if self._events else None, due) if each is not None]
            moment = max(self.now, min(times)) if times else end
            if moment >= end:
                self.advance(end)
                return
            self.advance(moment)
            if due is not None and due <= self.now:
                idle = [worker for worker in self.workers if worker not in self.acting]
                if not idle or not self.rng.choice(idle).act():
                    self.advance(self.now + seconds(1))

    def advance(self, moment: datetime) -> None:
        """Let time pass, with what happens in it."""
        while self._events and self._events[0][0] <= moment:
            at, _, action = heapq.heappop(self._events)
            self.now = max(self.now, at)
            self.judge.look()
            action()
            self.judge.look()
        self.now = max(self.now, moment)
        self.judge.look()

    def boundary(self, name: str) -> None:
        """Between two effects of a worker: it may be killed here, or freeze while the world goes on."""
        if not self.acting or self.is_calm:
            return
        self.advance(self.now + seconds(self.rng.random() * 0.2))
        draw = self.rng.random()
        if draw < self.odds.kill:
            # A call that came after the lease, and of which nobody hears, is found by the last look.
            self.judge.disturb((LAST_LOOK if self.acting[-1] in self._frozen else timedelta(0)) + LEASE + BASE_SLACK)
            raise Killed
        if draw < self.odds.kill + self.odds.freeze and len(self.acting) < len(self.workers):
            self.freeze(seconds(self.rng.choice([5, 40, 90, 300, 1200])))
        if name == "after commit" and self.rng.random() < self.odds.store_lost:
            self.judge.disturb(LEASE + BASE_SLACK)
            raise StoreUnavailable("the reply was lost", is_outcome_unknown=True)

    def freeze(self, length: timedelta) -> None:
        worker = self.acting[-1]
        # Frozen again, it may hold back the news of a call that came after its lease.
        self.judge.disturb((length if worker in self._frozen else min(length, LEASE)) + LEASE + BASE_SLACK)
        self._frozen.append(worker)
        self.run_until(self.now + length, self.wake)
        self.judge.disturb(SETTLE + self.odds.lag + SETTLE + BASE_SLACK)

    def thaw(self, worker: Worker) -> None:
        """The worker has finished what it was about when it froze."""
        self._frozen = [each for each in self._frozen if each is not worker]

    def wake(self) -> datetime | None:
        return min((due_at for due_at, _ in self.store.due.values()), default=None)

    def calm_down(self) -> None:
        """From here on nothing goes wrong; lists still lag."""
        self.is_calm = True
        lag, is_async = self.odds.lag, self.odds.is_async
        self.odds = Odds(lag=lag, is_async=is_async, tells_standing=self.odds.tells_standing)
        self.outage_until = min(self.outage_until, self.now)


class Worker(Protocol):
    """Something that acts when it is due. True when it did something."""

    def act(self) -> bool: ...


class ReconcilingWorker:
    """One instance of the bot, with a clock of its own; another process takes its place when it is killed."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._lives = count()
        self._start()

    def _start(self) -> None:
        world = self._world
        offset = MAX_OFFSET * world.rng.uniform(-1, 1)
        clock = Clockwork(world, offset)
        reconciler = Reconciler(
            world.store,
            {"aws": world.target},
            clock,
            holder=f"{self._name}-{next(self._lives)}",
            jitter=world.rng.random,
        )
        self._due = DueRights(world.store, reconciler, clock)

    def act(self) -> bool:
        world = self._world
        before = world.store.writes
        world.acting.append(self)
        try:
            self._due.visit_due()
        except Killed:
            self._start()
            return True
        except StoreUnavailable:
            return True
        finally:
            world.acting.remove(self)
            world.thaw(self)
        return world.store.writes != before


@dataclass(slots=True)
class _Running:
    kind: OperationKind
    done_at: datetime
    is_refused: bool


class UnreliableTarget:
    """One right of a target, with conflicts, limits, lost and late answers, lagging lists and asynchronous work."""

    ends_sessions = False

    def __init__(self, world: World) -> None:
        self._world = world
        self.row: Row | None = None
        self.calls: list[str] = []
        self._past: list[tuple[datetime, bool]] = [(A_MOMENT - timedelta(days=1), False)]
        self._running: dict[str, _Running] = {}
        self._bad = 0

    def residual(self, right: Right) -> timedelta:
        _ = right
        return timedelta(hours=1)

    def inspect(self, right: Right) -> Seen:
        _ = right
        return self._call("inspect", lambda: Held() if self._listed() else Absent(), None)

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        _ = right, until
        answer = self._change("give", OperationKind.GIVE, key)
        assert not isinstance(answer, Absent)
        return answer

    def take(self, right: Right, key: OperationKey) -> Taken:
        _ = right
        answer = self._change("take", OperationKind.TAKE, key)
        assert not isinstance(answer, Held)
        return answer

    def poll(self, token: str) -> Polled:
        def answer() -> Polled:
            operation = self._running[token]
            if self._world.now < operation.done_at:
                return InProgress(token)
            if operation.is_refused:
                return TargetRefused("the account has no room for another role")
            return Held() if operation.kind is OperationKind.GIVE else Absent()

        return self._call("poll", answer, None)

    def apply(self, kind: OperationKind, owner: str = "ours") -> None:
        """Change what stands there, now."""
        world = self._world
        world.judge.look()
        if kind is OperationKind.GIVE:
            self.row = self.row or Row(owner, world.now)
        else:
            if self.row is not None and owner == "ours":
                world.judge.check_removal(self.row)
            self.row = None
        self._past.append((world.now, self.row is not None))
        world.judge.look()

    def _listed(self) -> bool:
        seen_at = self._world.now - self._world.odds.lag
        return next(is_there for at, is_there in reversed(self._past) if at <= seen_at)

    def _change(
        self, name: str, kind: OperationKind, key: OperationKey
    ) -> Held | Absent | InProgress | Later | TargetRefused:
        world = self._world

        def answer() -> Held | Absent | InProgress | Later | TargetRefused:
            if any(world.now < each.done_at for each in self._running.values()):
                self._disturb()
                return Later(seconds(5))
            if kind is OperationKind.GIVE and world.rng.random() < world.odds.refused:
                return TargetRefused("there is no such permission set")
            if world.odds.is_async and (kind is OperationKind.GIVE or self.row is not None):
                return self._start(kind, key)
            stood = self.row is not None and world.odds.tells_standing
            self.apply(kind)
            return Held(stood_before=stood) if kind is OperationKind.GIVE else Absent()

        return self._call(name, answer, kind)

    def _start(self, kind: OperationKind, key: OperationKey) -> InProgress:
        world = self._world
        is_refused = world.rng.random() < world.odds.refused
        done_at = world.now + seconds(world.rng.uniform(1, 20))
        self._running[str(key)] = _Running(kind, done_at, is_refused)
        if is_refused:
            self._disturb()
        else:
            world.at(done_at, lambda: self.apply(kind))
        return InProgress(str(key))

    def _call(self, name: str, answer: Callable[[], T], kind: OperationKind | None) -> T | Later:
        world, odds = self._world, self._world.odds
        world.boundary(f"before {name}")
        self.calls.append(name)
        draw = world.rng.random()
        if world.now < world.outage_until or draw < odds.failing:
            self._disturb()
            raise ConnectionError("no route")
        if draw < odds.failing + odds.later:
            self._disturb()
            return Later(seconds(world.rng.choice([0, 5, 20])), is_for_all=world.rng.random() < 0.3)
        if draw < odds.failing + odds.later + odds.lost:
            self._lose(kind)
            raise TimeoutError("no answer")
        self._bad = 0
        result = answer()
        world.boundary(f"after {name}")
        return result

    def _lose(self, kind: OperationKind | None) -> None:
        """The reply is lost; the effect comes now, or some seconds later, or never."""
        world = self._world
        self._disturb()
        if kind is None:
            return
        match world.rng.choice(["now", "late", "never"]):
            case "now":
                self.apply(kind)
            case "late":
                delay = seconds(world.rng.uniform(1, 40))
                world.judge.disturb(delay + SETTLE + world.odds.lag + BASE_SLACK)
                world.at(world.now + delay, lambda: self.apply(kind))

    def _disturb(self) -> None:
        self._bad += 1
        slack = seconds(min(300, 8 * 2**self._bad)) + seconds(30) + SETTLE + self._world.odds.lag + BASE_SLACK
        self._world.judge.disturb(slack)


class Judge:
    """Compares what the target has with what the grants want, at every moment, and keeps the verdicts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._mismatch: str | None = None
        self._since = world.now
        self._allowed_until = world.now
        self._claimed_at: datetime | None = None
        self._was_there_at: datetime | None = None
        self._generation = 0
        self.verdicts: list[str] = []

    def disturb(self, slack: timedelta) -> None:
        """Something went wrong just now; for so long access may differ from what is wanted."""
        self._allowed_until = max(self._allowed_until, self._world.now + slack)

    def look(self) -> None:
        """Judge the present moment."""
        world, row = self._world, self._world.target.row
        if row is not None:
            self._was_there_at = world.now
        wanted = any(grant.is_wanted(world.now) for grant in world.store.grants.values())
        mismatch = None
        if wanted and row is None:
            mismatch = "missing"
        elif not wanted and row is not None and row.owner == "ours":
            mismatch = "held"
        if mismatch != self._mismatch:
            self._mismatch, self._since = mismatch, world.now
        if mismatch is not None and world.now > max(self._allowed_until, self._since + BASE_SLACK):
            self._find(f"{mismatch} for longer than the slack")
            self._allowed_until = datetime.max.replace(tzinfo=world.now.tzinfo)

    def watch_commit(self, holding: Holding, grant: Grant | None) -> None:
        """Judge a change of a holding, and of a grant, at the moment of its commit."""
        world, operation = self._world, holding.operation
        if not holding.is_ours:
            self._claimed_at = None
        elif self._claimed_at is None:
            self._claimed_at = world.now
        is_new = operation is not None and operation.generation > self._generation
        self._generation = max(self._generation, holding.generation)
        if operation is not None and is_new and operation.kind is OperationKind.TAKE:
            for each in world.store.grants.values():
                if each.is_wanted(world.now - MAX_OFFSET) and each.is_wanted(world.now + MAX_OFFSET):
                    self._find("a live grant was about to be cut")
        if grant is not None:
            self._watch_grant(grant)

    def _watch_grant(self, grant: Grant) -> None:
        world, row = self._world, self._world.target.row
        is_disturbed = world.now <= self._allowed_until
        was_there = self._was_there_at is not None and self._was_there_at >= world.now - SETTLE
        if grant.status is GrantStatus.ACTIVE and not is_disturbed and not was_there:
            self._find("active, and the right is not there")
        is_over = grant.status is GrantStatus.ENDED and not grant.is_kept and not self._is_wanted()
        if is_over and not is_disturbed and row is not None and row.owner == "ours":
            self._find("ended, and the right is still there")

    def check_removal(self, row: Row) -> None:
        """Judge what we remove: what stood there before we gave anything is not ours to take."""
        before = self._claimed_at
        if row.owner == "other" and (before is None or row.since < before - self._world.odds.lag - FRESH - SETTLE / 2):
            self._find("standing access was removed")

    def finish(self, *, with_records: bool) -> Sequence[str]:
        """The verdicts, after a time in which nothing went wrong."""
        world = self._world
        if world.target.row is not None and world.target.row.owner == "ours":
            self._find("held for ever")
        if with_records:
            live = [grant.status for grant in world.store.grants.values() if grant.is_live]
            if live:
                self._find(f"grants are still {live}")
            if world.store.due:
                self._find(f"still due: {world.store.due}")
        return self.verdicts

    def _is_wanted(self) -> bool:
        return any(grant.is_wanted(self._world.now) for grant in self._world.store.grants.values())

    def _find(self, verdict: str) -> None:
        self.verdicts.append(f"{verdict} at {self._world.now - A_MOMENT}")


FAR_AHEAD: Final = 0.6
"""How many requests are made long before they start, in histories that have such."""
ENDED_BEFORE: Final = 0.3
"""How many of these are ended before they open."""


@dataclass(slots=True)
class Script:
    """What people, other writers and the weather do in one history.

    With `ahead`, requests are made as long before their start as it says, and some of them end before it.
    """

    world: World
    ahead: random.Random | None = None
    made: list[Grant] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def write(self) -> None:
        """Put everything into the world's future."""
        rng, world = self.world.rng, self.world
        moment = seconds(rng.uniform(0, 600))
        for _ in range(rng.randint(1, 4)):
            length = seconds(rng.choice([60, 120, 300, 900, 1800]))
            self._ask(moment, length)
            # The next one is nested, overlaps, touches to the tick, or comes after a gap.
            step = rng.choice(
                [length / 4, length * 0.75, length, length, length + seconds(rng.uniform(0, 20)), 2 * length]
            )
            moment += step
        if rng.random() < 0.15:
            begin = A_MOMENT + seconds(rng.uniform(0, 9000))
            world.at(begin, lambda: self._outage(seconds(rng.choice([120, 1200, 3600]))))
        if rng.random() < 0.3:
            for _ in range(rng.randint(1, 4)):
                kind = rng.choice(list(OperationKind))
                # A write by somebody else, also before the first grant.
                world.at(A_MOMENT + seconds(rng.uniform(-5, 9000)), partial(self._interfere, kind))

    def _ask(self, moment: timedelta, length: timedelta) -> None:
        rng, world = self.world.rng, self.world
        starts_at = A_MOMENT + moment
        asked_at = starts_at if rng.random() < 0.7 else starts_at - seconds(rng.uniform(0, 600))
        kind = "BREAKGLASS" if rng.random() < 0.2 else "REQUEST"
        source = f"{kind}#{next(self.numbers):016x}"
        if self.ahead is not None and kind == "REQUEST" and self.ahead.random() < FAR_AHEAD:
            # Any time before, also while the right is held for somebody's other grant.
            asked_at = A_MOMENT + moment * self.ahead.random()
            if self.ahead.random() < ENDED_BEFORE:
                not_needed_at = asked_at + (starts_at - asked_at) * self.ahead.random()
                world.at(not_needed_at, lambda: self._end_early(source))
        world.at(asked_at, lambda: self._grant(source, starts_at, length))
        if rng.random() < 0.3:
            early = starts_at + length * rng.random()
            world.at(early, lambda: self._end_early(source))

    def _grant(self, source: str, starts_at: datetime, length: timedelta) -> None:
        grant = a_grant(source=source, starts_at=starts_at, ends_at=starts_at + length, now=self.world.now)
        for edge in (grant.starts_at, grant.ends_at):
            # So that the judge looks there.
            self.world.at(edge, lambda: None)
        self.world.store.create(grant)
        self.made.append(grant)

    def _end_early(self, source: str) -> None:
        for grant in list(self.world.store.grants.values()):
            if grant.source == source:
                by = DeciderId("U0REQUESTER")
                with suppress(InvalidStateTransition):
                    ended = grant.end_early(by, self.world.now, "I'm done")
                    if ended is not grant:
                        self.world.store.end(
                            [GrantWrite(ended, EntryDraft.of(ended, AuditAction.GRANT_ENDED_EARLY, by))]
                        )

    def _outage(self, length: timedelta) -> None:
        self.world.outage_until = self.world.now + length
        self.world.judge.disturb(length + seconds(300 + 60) + SETTLE + self.world.odds.lag + BASE_SLACK)

    def _interfere(self, kind: OperationKind) -> None:
        world = self.world
        self.world.judge.disturb(LOOK_EVERY + SETTLE + world.odds.lag + BASE_SLACK)
        world.target.apply(kind, "other")


def a_grant(*, source: str, starts_at: datetime, ends_at: datetime, now: datetime, right: Right = RIGHT) -> Grant:
    """A grant that is valid as it stands."""
    return Grant.make(
        grantee=UserId("U0REQUESTER"),
        profile=ProfileName("prod"),
        right=right,
        source=source,
        decided_by=DeciderId("U0APPROVER"),
        justification="Rotate the certificates",
        starts_at=starts_at,
        ends_at=ends_at,
        now=now,
    )


def play(seed: int, make_store: MakeStore | None = None) -> tuple[World, Sequence[str]]:
    """One history with the reconciler: the verdicts of the judge, none if all is well."""
    world = World(seed, make_store=make_store)
    world.workers = [
        ReconcilingWorker(world, "first"),
        ReconcilingWorker(world, "second"),
        ReconcilingWorker(world, "third"),
    ]
    # A draw of its own: what the other histories have stays as it was.
    Script(world, random.Random(seed) if seed % 3 == 0 else None).write()  # noqa: S311 - not a secret
    world.run_until(A_MOMENT + ACTIVE_PART, world.wake)
    world.calm_down()
    world.run_until(A_MOMENT + ACTIVE_PART + QUIET_PART, world.wake)
    return world, world.judge.finish(with_records=True)
