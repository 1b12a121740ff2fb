"""Database round trips of each use case, counted at the HTTP client.

Invariant: a use case's goal stands here once; the benchmark shows it, and `tests/core/test_round_trips.py` holds every
engine to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.counting import CallCounter, Cost
from benchmarks.engine import dynamodb_local
from benchmarks.harness import (
    APPROVER,
    HOUR,
    PROFILES,
    SECOND_APPROVER,
    WHY,
    Call,
    Scene,
    a_person,
    dynamodb_scene,
)
from benchmarks.results import Goal, ResultTable, Section, Size
from core.actor import ProfileName, UserId
from core.break_glass import BreakGlassEvent, EventId
from core.clock import SystemClock
from core.errors import Refused
from core.request import Request, RequestId
from core.review import Verdict

PROD: Final = ProfileName(PROFILES[0])
NOTES: Final = "The runbook left no other way, see INC-12"


@dataclass(frozen=True, slots=True)
class UseCase:
    """One use case: what it may cost, and how to make everything ready for it."""

    name: str
    goal: Cost
    prepare: Callable[[Scene], Call]


def _submit(scene: Scene) -> Call:
    person = a_person()
    return lambda: scene.requests.submit(person, PROD, HOUR, WHY)


def _submit_again(scene: Scene) -> Call:
    person = a_person()
    scene.requests.submit(person, PROD, HOUR, WHY, idempotency_key="a form")
    return lambda: scene.requests.submit(person, PROD, HOUR, WHY, idempotency_key="a form")


def _submit_quick(scene: Scene) -> Call:
    person = a_person()
    return lambda: scene.requests.submit(person, "quick", HOUR, WHY)


def _approve(scene: Scene) -> Call:
    request = RequestId(scene.ask().id)
    return lambda: scene.requests.approve(request, APPROVER, "Go ahead")


def _vote(scene: Scene) -> Call:
    request = RequestId(scene.ask("quorum").id)
    return lambda: scene.requests.approve(request, APPROVER)


def _last_vote(scene: Scene) -> Call:
    request = RequestId(scene.ask("quorum").id)
    scene.requests.approve(request, APPROVER)
    return lambda: scene.requests.approve(request, SECOND_APPROVER)


def _deny(scene: Scene) -> Call:
    request = RequestId(scene.ask().id)
    return lambda: scene.requests.deny(request, APPROVER, "Not before the weekend")


def _cancel(scene: Scene) -> Call:
    person = a_person()
    request = RequestId(scene.ask(requester=person).id)
    return lambda: scene.requests.cancel(request, person)


def _approve_late(scene: Scene) -> Call:
    request = _approved(scene)
    return lambda: _refused(lambda: scene.requests.approve(RequestId(request.id), SECOND_APPROVER))


def _approve_unauthorised(scene: Scene) -> Call:
    request, stranger = RequestId(scene.ask().id), a_person()
    return lambda: _refused(lambda: scene.requests.approve(request, stranger))


def _find_access(scene: Scene) -> Call:
    request = _approved(scene)
    return lambda: _found(scene.requests.find_access(request.requester, request.profile))


def _find_live_event(scene: Scene) -> Call:
    event = scene.invoke()
    return lambda: _found(scene.break_glass.find_access(event.invoker, event.profile))


def _invoke(scene: Scene) -> Call:
    person = a_person("S0ONCALL")
    return lambda: scene.invoke(invoker=person)


def _invoke_beyond_limits(scene: Scene) -> Call:
    person = a_person("S0ONCALL")
    scene.invoke(invoker=person)
    return lambda: _refused(lambda: scene.invoke(invoker=person))


def _close(scene: Scene) -> Call:
    person = a_person("S0ONCALL")
    event = EventId(scene.invoke(invoker=person).id)
    return lambda: scene.break_glass.close(event, person, "The checkout is up again")


def _review(scene: Scene) -> Call:
    event = _closed(scene)
    return lambda: scene.break_glass.review(EventId(event.id), APPROVER, Verdict.JUSTIFIED, NOTES)


USE_CASES: Final = (
    UseCase("submit", Cost(writes=1), _submit),
    UseCase("submit, approved by the policy at once", Cost(writes=1), _submit_quick),
    UseCase("submit, the same form again", Cost(reads=1, writes=1), _submit_again),
    UseCase("approve", Cost(reads=1, writes=1), _approve),
    UseCase("approve, one vote of two", Cost(reads=1, writes=1), _vote),
    UseCase("approve, the last vote of two", Cost(reads=1, writes=1), _last_vote),
    UseCase("approve, too late", Cost(reads=1), _approve_late),
    UseCase("approve, not an approver", Cost(reads=1), _approve_unauthorised),
    UseCase("deny", Cost(reads=1, writes=1), _deny),
    UseCase("cancel", Cost(reads=1, writes=1), _cancel),
    UseCase("does this person have access: by a request", Cost(reads=1), _find_access),
    UseCase("does this person have access: by breaking the glass", Cost(reads=1), _find_live_event),
    UseCase("break the glass", Cost(reads=1, writes=1), _invoke),
    UseCase("break the glass, beyond a limit", Cost(reads=1), _invoke_beyond_limits),
    UseCase("close an event", Cost(reads=2, writes=1), _close),
    UseCase("review an event", Cost(reads=1, writes=1), _review),
)


def count(use_case: UseCase, scene: Scene, counter: CallCounter) -> Cost:
    """What the use case costs, once everything is ready for it."""
    call = use_case.prepare(scene)
    # A refusal is noted in the background, at most twice a second however many there are: not part of any use case.
    scene.stores.refusals.flush()
    counter.start()
    call()
    return counter.cost()


def measure(_: Size) -> Section:
    """The costs of all use cases on DynamoDB Local."""
    with dynamodb_local() as url, dynamodb_scene(url, SystemClock()) as (scene, client, _prefix):
        counter = CallCounter(client)
        costs = [(use_case, count(use_case, scene, counter)) for use_case in USE_CASES]
    rows = tuple((each.name, str(cost), str(each.goal), f"{cost.units:g}") for each, cost in costs)
    missed = tuple(each.name for each, cost in costs if cost != each.goal)
    return Section(
        "round-trips",
        "Round trips of each use case",
        (ResultTable(("use case", "counted", "goal", "capacity units"), rows),),
        (Goal("every use case makes exactly the round trips of its goal", "; ".join(missed) or "all do", not missed),),
        "Counted at botocore's HTTP client on DynamoDB Local. Capacity units are the engine's own count, with the "
        "indexes.",
    )


def _approved(scene: Scene) -> Request:
    return scene.requests.approve(RequestId(scene.ask().id), APPROVER)


def _closed(scene: Scene) -> BreakGlassEvent:
    event = scene.invoke()
    invoker = a_person().model_copy(update={"id": UserId(event.invoker)})
    return scene.break_glass.close(EventId(event.id), invoker, "The checkout is up again")


def _found(answer: object) -> None:
    if answer is None:
        raise AssertionError("the access that was given was not found")


def _refused(call: Call) -> None:
    try:
        call()
    except Refused:
        return
    raise AssertionError("what had to be refused was not")
