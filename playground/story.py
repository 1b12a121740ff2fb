"""The playground's story, on the embedded store: two racing approvers, access that opens and closes, and emergencies.

Invariant: nothing is faked but the time and AWS. Each outcome is a service's own; the two approvers are two threads,
and the store decides which of them wins. Who has access is what the pretend AWS says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from core.access.due_rights import DueRights
from core.access.reconciler import Reconciler
from core.actor import Actor, UserId
from core.break_glass import BreakGlassEvent, EventId, EventStatus, ReasonCode
from core.clock import TICK
from core.directory import FixedDirectory
from core.errors import InvalidStateTransition, LimitReached, NotAllowed, Refused
from core.policy import Policy, parse_policy
from core.request import Request, RequestId, RequestStatus
from core.review import Verdict
from core.services import BreakGlassService, RequestService
from core.services.grants import GrantService
from core.stores.base import Stores
from core.usage import LIVE_EVENT
from playground.demo_target import DemoTarget, open_demo_targets

MORNING: Final = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)
_MAX_SECONDS: Final = 10
"""How long opening and closing may take in the story."""
_NAMES: Final = {
    "U0MIRA": "Mira",
    "U0JON": "Jon",
    "U0AIKO": "Aiko",
    "U0SAM": "Sam",
    "clock": "the clock",
    "slack": "Slack",
}
MIRA, JON, AIKO, SAM = (Actor(id=UserId(each)) for each in ("U0MIRA", "U0JON", "U0AIKO", "U0SAM"))
_POLICY: Final = b"""\
version: 1
groups: {engineers: [U0MIRA, U0JON, U0AIKO, U0SAM], on-call: [U0SAM]}
targets:
  aws: {type: demo, residual: 1h}
profiles:
  prod:
    description: Production account
    channel: C0ACCESS1
    access: [{target: aws, resource: "111122223333", level: AdministratorAccess}]
  staging: {description: Staging account, channel: C0ACCESS1}
approval:
  - {name: engineers, profiles: [prod, staging], approvers: [group:engineers], max_duration: 4h}
break_glass:
  - {name: on-call, profiles: [prod], users: [group:on-call], max_duration: 2h, cooldown: 30m}
"""


class MovableClock:
    """A clock that the story moves. Each reading is a microsecond after the one before, so no two are equal.

    Thread-safe.
    """

    def __init__(self, now: datetime = MORNING) -> None:
        self._now = now
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """A microsecond after the reading before."""
        with self._lock:
            self._now += TICK
            return self._now

    def advance(self, step: timedelta) -> None:
        """Move the clock forward."""
        with self._lock:
            self._now += step


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One line of the story. An outcome has `is_yes`; a title begins a chapter."""

    at: datetime
    text: str
    is_yes: bool | None = None
    is_title: bool = False


class Story:
    """Plays the story on the given stores and the pretend AWS, which must be empty."""

    def __init__(self, stores: Stores, aws: DemoTarget, clock: MovableClock) -> None:
        policy: Policy = parse_policy(_POLICY, "the playground's policy")
        self._clock, self._aws = clock, aws
        people, targets = FixedDirectory(), open_demo_targets(aws, policy, clock)
        self._requests = RequestService(stores, policy, clock, directory=people, principals=targets)
        self._break_glass = BreakGlassService(stores, policy, clock, directory=people, principals=targets)
        self._grants = GrantService(stores, policy, clock, directory=people)
        self._due = DueRights(stores.access, Reconciler(stores.access, targets, clock), clock)

    def play(self) -> Iterator[StoryLine]:
        """The whole story, chapter by chapter. Each line is yielded once it has happened."""
        yield self._title("Two approvers, one decision")
        request = yield from self._race()
        yield self._title("Access takes effect, and ends early")
        yield from self._give_back(request)
        yield self._title("A deadline takes effect on its own")
        yield from self._expire()
        yield self._title("Break the glass, and have it reviewed")
        yield from self._break()

    def _race(self) -> Generator[StoryLine, None, Request]:
        yield self._narrate('Mira asks for prod for 1h: "Deploy the fix for INC-12"')
        request = self._requests.submit(MIRA, "prod", _HOUR, "Deploy the fix for INC-12")
        yield self._yes(f"pending, to be decided by {_day_and_time(request.expires_at)}")
        yield self._after(timedelta(minutes=1), "Mira, an approver herself, presses Approve on her own request")
        yield self._try(lambda: self._requests.approve(RequestId(request.id), MIRA))
        yield self._after(timedelta(minutes=1), "Jon and Aiko press Approve at the same moment, in two threads")
        yield from self._approve_together(RequestId(request.id), JON, AIKO)
        return request

    def _approve_together(self, request_id: RequestId, *approvers: Actor) -> Iterator[StoryLine]:
        start = threading.Barrier(len(approvers))

        def press(approver: Actor) -> StoryLine:
            start.wait()
            line = self._try(lambda: self._requests.approve(request_id, approver))
            return replace(line, text=f"{name_of(approver.id)}: {line.text}")

        with ThreadPoolExecutor(len(approvers)) as threads:
            # The winner's line first; who wins can differ each time.
            yield from sorted(threads.map(press, approvers), key=lambda line: not line.is_yes)

    def _give_back(self, request: Request) -> Iterator[StoryLine]:
        yield self._narrate("Countersign asks AWS (pretend) to give it, and checks that it's there")
        yield self._settle()
        yield self._after(timedelta(minutes=5), 'Mira is done, and presses "I\'m done"')
        self._grants.end(request.chain, MIRA)
        yield self._settle()

    def _expire(self) -> Iterator[StoryLine]:
        yield self._after(timedelta(minutes=3), 'Mira asks for staging for 2h: "Try the new index on real rows"')
        request = self._requests.submit(MIRA, "staging", 2 * _HOUR, "Try the new index on real rows")
        yield self._yes(f"pending, to be decided by {_day_and_time(request.expires_at)}")
        yield self._after(timedelta(hours=24), "A day passes without a decision. Then Jon presses Approve")
        yield self._try(lambda: self._requests.approve(RequestId(request.id), JON))

    def _break(self) -> Iterator[StoryLine]:
        why = "INC-13: the database does not answer"
        yield self._after(timedelta(hours=17), f'Sam, on call, breaks the glass for prod for 1h: "{why}"')
        event = self._invoke(why)
        yield self._yes(f"active at once, access until {_time(event.expires_at)}")
        yield self._settle()
        yield self._after(timedelta(minutes=1), "Sam breaks the glass again while the first event is active")
        yield self._try(lambda: self._invoke("INC-13: once more, to be sure of it"))
        yield self._after(timedelta(minutes=21), 'Sam closes it early: "The replica took over"')
        closed = self._break_glass.close(EventId(event.id), SAM, "The replica took over")
        yield self._yes(f"closed; the access ended early, before {_time(closed.expires_at)}")
        yield self._settle()
        yield self._after(timedelta(minutes=5), "Sam breaks the glass once more, during the cooldown")
        yield self._try(lambda: self._invoke("INC-13: look at the old primary again"))
        yield from self._answer(EventId(closed.id))

    def _answer(self, event_id: EventId) -> Iterator[StoryLine]:
        notes = "The runbook was followed; INC-13 has the details."
        yield self._after(timedelta(hours=6), "Sam reviews the event")
        yield self._try(lambda: self._review(event_id, SAM, notes))
        yield self._narrate(f'Aiko reviews it: "{notes}"')
        yield self._try(lambda: self._review(event_id, AIKO, notes))

    def _settle(self) -> StoryLine:
        """Let the access take effect, second by second. Says who has it then."""
        for _ in range(_MAX_SECONDS):
            self._due.visit_due()
            self._clock.advance(timedelta(seconds=1))
        held = [f"{name_of(each.right.principal)}, {each.right.level} in {each.right.resource}"
                for each in self._aws.state.assignments]  # fmt: skip
        return self._yes(f"AWS (pretend): {'; '.join(held) or 'nobody has access'}")

    def _invoke(self, why: str) -> BreakGlassEvent:
        return self._break_glass.invoke(SAM, "prod", ReasonCode.INCIDENT, why, _HOUR)

    def _review(self, event_id: EventId, reviewer: Actor, notes: str) -> BreakGlassEvent:
        return self._break_glass.review(event_id, reviewer, Verdict.JUSTIFIED, notes)

    def _try(self, attempt: Callable[[], Request | BreakGlassEvent]) -> StoryLine:
        try:
            return self._yes(_describe_outcome(attempt()))
        except Refused as refusal:
            return StoryLine(self._clock.now(), _describe_refusal(refusal), is_yes=False)

    def _after(self, step: timedelta, text: str) -> StoryLine:
        self._clock.advance(step)
        return self._narrate(text)

    def _narrate(self, text: str) -> StoryLine:
        return StoryLine(self._clock.now(), text)

    def _yes(self, text: str) -> StoryLine:
        return StoryLine(self._clock.now(), text, is_yes=True)

    def _title(self, text: str) -> StoryLine:
        return StoryLine(self._clock.now(), text, is_title=True)


def name_of(person: str) -> str:
    """The name of a person in the story, or the id of anybody else."""
    return _NAMES.get(person, person)


def _describe_outcome(record: Request | BreakGlassEvent) -> str:
    if isinstance(record, BreakGlassEvent):
        return f"reviewed, {record.review.verdict}" if record.review is not None else str(record.status)
    if record.status is RequestStatus.APPROVED and record.access_ends_at is not None:
        return f"approved, access until {_time(record.access_ends_at)}"
    return str(record.status)


def _describe_refusal(refusal: Refused) -> str:
    match refusal:
        case InvalidStateTransition(status=RequestStatus.EXPIRED | EventStatus.EXPIRED):
            return "too late: it has expired and can no longer be decided"
        case InvalidStateTransition(decided_by=str(decider)):
            return f"too late: already {refusal.status} by {name_of(decider)}"
        case LimitReached(limit=limit) if limit == LIVE_EVENT:
            return f"refused: one is already active, until {_time(refusal.ends_at)}"
        case LimitReached():
            return f"refused: {refusal.limit} ({refusal.value}) until {_time(refusal.ends_at)}"
        case NotAllowed():
            return f"refused: {'; '.join(map(_with_names, refusal.reasons))}"
    return f"refused: {refusal}"


def _with_names(text: str) -> str:
    for person, name in _NAMES.items():
        text = text.replace(person, name)
    return text


def _time(moment: datetime) -> str:
    return f"{moment:%H:%M}"


def _day_and_time(moment: datetime) -> str:
    return f"{moment:%a %H:%M}"
