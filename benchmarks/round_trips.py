"""Database round trips of each use case, counted at the HTTP client, and the capacity that the engine reports.

Invariant: each HTTP request is counted when it is sent, retries included, however many calls the caller makes. A use
case's goal is defined only here: the benchmark prints it, and `tests/core/test_round_trips.py` checks that every engine
meets it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import (
    APPROVER,
    HOUR,
    JUSTIFICATION,
    PROFILES,
    SECOND_APPROVER,
    Call,
    ServiceHarness,
    dynamodb_harness,
    dynamodb_local,
    new_person,
)
from benchmarks.results import Goal, ResultTable, Section, Size
from core.actor import ProfileName, UserId
from core.break_glass import BreakGlassEvent, EventId
from core.clock import SystemClock
from core.errors import Refused
from core.request import Request, RequestId
from core.review import Verdict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_READS: Final = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"})
_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"})
PROD: Final = ProfileName(PROFILES[0])
NOTES: Final = "The runbook left no other way, see INC-12"


@dataclass(frozen=True, slots=True)
class Cost:
    """Round trips to the database."""

    reads: int = 0
    writes: int = 0
    others: int = 0
    units: float = field(default=0.0, compare=False)
    """Read and write capacity units, if the engine reports them."""

    def __str__(self) -> str:
        counted = ((self.reads, "read"), (self.writes, "write"), (self.others, "other call"))
        parts = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in counted if count]
        return " + ".join(parts) or "nothing"


class CallCounter:
    """Counts the HTTP requests of one client."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._operations: Counter[str] = Counter()
        self._units = 0.0
        events = client.meta.events
        # This event uses the arguments that its handler returns; the stubs don't allow a handler to return any.
        events.register("provide-client-params.dynamodb", self._ask_for_capacity)  # type: ignore[arg-type]
        events.register("before-send.dynamodb", self._count)
        events.register("after-call.dynamodb", self._add_capacity)

    def start(self) -> None:
        """Start counting from zero."""
        self._operations.clear()
        self._units = 0.0

    def cost(self) -> Cost:
        """What was sent since the start."""
        reads = sum(self._operations[name] for name in _READS)
        writes = sum(self._operations[name] for name in _WRITES)
        return Cost(reads, writes, self._operations.total() - reads - writes, self._units)

    def _count(self, event_name: str, **_: object) -> None:
        self._operations[event_name.rpartition(".")[2]] += 1

    @staticmethod
    def _ask_for_capacity(params: dict[str, Any], event_name: str, **_: object) -> dict[str, Any]:
        takes_it = event_name.rpartition(".")[2] in _READS | _WRITES
        return {**params, "ReturnConsumedCapacity": "TOTAL"} if takes_it else params

    def _add_capacity(self, parsed: dict[str, Any], **_: object) -> None:
        consumed = parsed.get("ConsumedCapacity") or []
        for each in consumed if isinstance(consumed, list) else [consumed]:
            self._units += float(each.get("CapacityUnits", 0))


@dataclass(frozen=True, slots=True)
class UseCase:
    """One use case: its goal, and how to prepare it."""

    name: str
    goal: Cost
    prepare: Callable[[ServiceHarness], Call]


def _submit(harness: ServiceHarness) -> Call:
    person = new_person()
    return lambda: harness.requests.submit(person, PROD, HOUR, JUSTIFICATION)


def _submit_again(harness: ServiceHarness) -> Call:
    person = new_person()
    harness.requests.submit(person, PROD, HOUR, JUSTIFICATION, idempotency_key="a form")
    return lambda: harness.requests.submit(person, PROD, HOUR, JUSTIFICATION, idempotency_key="a form")


def _submit_once_more(harness: ServiceHarness) -> Call:
    person = new_person()
    harness.requests.cancel(RequestId(harness.ask(requester=person).id), person)
    return lambda: harness.requests.submit(person, PROD, HOUR, JUSTIFICATION)


def _submit_beyond_the_limit(harness: ServiceHarness) -> Call:
    person = new_person()
    harness.ask(requester=person)
    return lambda: _refused(lambda: harness.requests.submit(person, PROD, HOUR, JUSTIFICATION))


def _submit_quick(harness: ServiceHarness) -> Call:
    person = new_person()
    return lambda: harness.requests.submit(person, "quick", HOUR, JUSTIFICATION)


def _approve(harness: ServiceHarness) -> Call:
    request = RequestId(harness.ask().id)
    return lambda: harness.requests.approve(request, APPROVER, "Go ahead")


def _vote(harness: ServiceHarness) -> Call:
    request = RequestId(harness.ask("quorum").id)
    return lambda: harness.requests.approve(request, APPROVER)


def _last_vote(harness: ServiceHarness) -> Call:
    request = RequestId(harness.ask("quorum").id)
    harness.requests.approve(request, APPROVER)
    return lambda: harness.requests.approve(request, SECOND_APPROVER)


def _approve_in_a_form(harness: ServiceHarness) -> Call:
    request = harness.ask("careful")
    shown = request.facts_digest()
    return lambda: harness.requests.approve(RequestId(request.id), APPROVER, "Go ahead", shown=shown, code="123456")


def _deny(harness: ServiceHarness) -> Call:
    request = RequestId(harness.ask().id)
    return lambda: harness.requests.deny(request, APPROVER, "Not before the weekend")


def _cancel(harness: ServiceHarness) -> Call:
    person = new_person()
    request = RequestId(harness.ask(requester=person).id)
    return lambda: harness.requests.cancel(request, person)


def _approve_late(harness: ServiceHarness) -> Call:
    request = _approved(harness)
    return lambda: _refused(lambda: harness.requests.approve(RequestId(request.id), SECOND_APPROVER))


def _approve_unauthorised(harness: ServiceHarness) -> Call:
    request, stranger = RequestId(harness.ask().id), new_person()
    return lambda: _refused(lambda: harness.requests.approve(request, stranger))


def _find_access(harness: ServiceHarness) -> Call:
    request = _approved(harness)
    return lambda: _found(harness.requests.find_access(request.requester, request.profile))


def _find_live_event(harness: ServiceHarness) -> Call:
    event = harness.invoke()
    return lambda: _found(harness.break_glass.find_access(event.invoker, event.profile))


def _invoke(harness: ServiceHarness) -> Call:
    person = new_person("S0ONCALL")
    return lambda: harness.invoke(invoker=person)


def _invoke_beyond_limits(harness: ServiceHarness) -> Call:
    person = new_person("S0ONCALL")
    harness.invoke(invoker=person)
    return lambda: _refused(lambda: harness.invoke(invoker=person))


def _invoke_after_a_close(harness: ServiceHarness) -> Call:
    person = new_person("S0ONCALL")
    harness.break_glass.close(EventId(harness.invoke(invoker=person).id), APPROVER, "That was not needed")
    return lambda: harness.invoke(invoker=person)


def _close(harness: ServiceHarness) -> Call:
    person = new_person("S0ONCALL")
    event = EventId(harness.invoke(invoker=person).id)
    return lambda: harness.break_glass.close(event, person, "The checkout is up again")


def _review(harness: ServiceHarness) -> Call:
    event = _closed(harness)
    return lambda: harness.break_glass.review(EventId(event.id), APPROVER, Verdict.JUSTIFIED, NOTES)


USE_CASES: Final = (
    UseCase("submit", Cost(reads=1, writes=1), _submit),
    UseCase("submit, approved by the policy at once", Cost(reads=1, writes=1), _submit_quick),
    UseCase("submit, the same form again", Cost(reads=2), _submit_again),
    UseCase("submit, after another one ended", Cost(reads=2, writes=1), _submit_once_more),
    UseCase("submit, while another one is open", Cost(reads=2), _submit_beyond_the_limit),
    UseCase("approve", Cost(reads=1, writes=1), _approve),
    UseCase("approve, one vote of two", Cost(reads=1, writes=1), _vote),
    UseCase("approve, the last vote of two", Cost(reads=1, writes=1), _last_vote),
    UseCase("approve, in a form with a code", Cost(reads=1, writes=1), _approve_in_a_form),
    UseCase("approve, too late", Cost(reads=1), _approve_late),
    UseCase("approve, not an approver", Cost(reads=1), _approve_unauthorised),
    UseCase("deny", Cost(reads=1, writes=1), _deny),
    UseCase("cancel", Cost(reads=1, writes=1), _cancel),
    UseCase("does this person have access: by a request", Cost(reads=1), _find_access),
    UseCase("does this person have access: by breaking the glass", Cost(reads=2), _find_live_event),
    UseCase("break the glass", Cost(reads=1, writes=1), _invoke),
    UseCase("break the glass, beyond a limit", Cost(reads=2), _invoke_beyond_limits),
    UseCase("break the glass, after somebody closed the last event", Cost(reads=2, writes=1), _invoke_after_a_close),
    UseCase("close an event", Cost(reads=1, writes=1), _close),
    UseCase("review an event", Cost(reads=1, writes=1), _review),
)


def count(use_case: UseCase, harness: ServiceHarness, counter: CallCounter) -> Cost:
    """The cost of the use case, without its preparation."""
    call = use_case.prepare(harness)
    # Refusals are recorded in the background, at most twice a second, however many there are: not part of a use case.
    harness.stores.refusals.flush()
    counter.start()
    call()
    return counter.cost()


def measure(_: Size) -> Section:
    """The costs of all use cases on DynamoDB Local."""
    with dynamodb_local() as url, dynamodb_harness(url, SystemClock()) as (harness, client, _prefix):
        counter = CallCounter(client)
        costs = [(use_case, count(use_case, harness, counter)) for use_case in USE_CASES]
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


def _approved(harness: ServiceHarness) -> Request:
    return harness.requests.approve(RequestId(harness.ask().id), APPROVER)


def _closed(harness: ServiceHarness) -> BreakGlassEvent:
    event = harness.invoke()
    invoker = new_person().model_copy(update={"id": UserId(event.invoker)})
    return harness.break_glass.close(EventId(event.id), invoker, "The checkout is up again")


def _found(answer: object) -> None:
    if answer is None:
        raise AssertionError("the granted access was not found")


def _refused(call: Call) -> None:
    try:
        call()
    except Refused:
        return
    raise AssertionError("a call that had to be refused was not")
