"""What an answer of a target means for the holding: pure functions, one for each kind of call.

Invariant: only a confirmed answer or a look moves what is known. A lost answer leaves the operation in `lost` until a
look shows its effect, or until it can have none any more; a conflict or a limit changes nothing but the time of the
next call. The count of failures ends only with a success of the same direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from core.access.holding import MAX_PROBLEM_LENGTH, Holding, Observation, Operation, OperationKind, Pause, Refusal
from core.access.plan import Call, Look, Poll
from core.access.timing import FIRST_PAUSE, LOOK_PAUSE, MAX_PAUSE, MAX_POLL_PAUSE, OPERATION_TIMEOUT
from core.audit.trail import AuditAction
from core.clock import format_time
from core.targets.base import Absent, Answer, Held, InProgress, Later, TargetRefused, Unknown


@dataclass(frozen=True, slots=True)
class Hearing:
    """When an answer came, and whether the right was wanted then. `jitter`, from 0 to 1, varies pauses by half."""

    now: datetime
    is_wanted: bool
    jitter: float = 1.0

    def pause_for(self, after: timedelta) -> Pause:
        """A pause of exactly this length."""
        return Pause(since=self.now, until=self.now + after, is_wanted=self.is_wanted)

    def postpone(self, holding: Holding, answer: Later) -> Holding:
        """The holding with a pause as long as asked for, within the bounds; people can read why it takes long."""
        bounded = min(max(answer.after, LOOK_PAUSE), MAX_PAUSE)
        problem = answer.problem[:MAX_PROBLEM_LENGTH] or holding.problem
        return holding.change(problem=problem, pause=self.pause_for(bounded * (0.5 + self.jitter / 2)))

    def fail(self, holding: Holding, problem: str) -> Holding:
        """The holding with one more failure, and a pause that doubles with each."""
        failures = holding.failures + 1
        after = min(FIRST_PAUSE * 2 ** min(failures, 10), MAX_PAUSE) * (0.5 + self.jitter / 2)
        known = problem[:MAX_PROBLEM_LENGTH] or "the target gave no reason"
        return holding.change(failures=failures, problem=known, pause=self.pause_for(after))


def conclude(holding: Holding, call: Call, answer: Answer, hearing: Hearing) -> Holding:
    """The holding after an answer, without its lease."""
    free = holding.change(lease=None)
    if isinstance(call, Look):
        return _conclude_look(free, answer, hearing)
    operation = holding.operation
    if operation is None:
        return free
    if isinstance(call, Poll):
        return _conclude_poll(free, operation, answer, hearing)
    return _conclude_operation(free, operation, answer, hearing)


def _conclude_look(holding: Holding, answer: Answer, hearing: Hearing) -> Holding:
    match answer:
        case Held():
            return _see_held(holding, hearing)
        case Absent():
            return _see_absent(holding, hearing)
        case Later():
            return hearing.postpone(holding, answer)
        case _:
            return hearing.fail(holding, _problem(answer))


def _see_held(holding: Holding, hearing: Hearing) -> Holding:
    now, lost = hearing.now, holding.lost
    was_absent = holding.is_seen and holding.observed is Observation.ABSENT
    seen = holding.change(observed=Observation.HELD, seen_at=now, is_seen=True, must_look=False, pause=None)
    if not holding.is_touched:
        # Nothing of ours can have had this effect, as far as is known.
        known = seen.change(standing=hearing.is_wanted or holding.must_look, failures=0, problem=None)
        if not holding.must_look:
            return known
        return known.tell(AuditAction.DRIFT_FOUND, holding.last_grant, {"drift": "left"})
    if lost is not None and lost.kind is OperationKind.GIVE and holding.is_settled(holding.taken_at, now):
        # It had its effect, and cannot have it twice.
        seen = _confirm_given(seen.change(lost=None), lost, lost.since)
    elif lost is not None and holding.is_settled(lost.since, now):
        seen = seen.change(lost=None)
    if hearing.is_wanted:
        return seen.change(failures=0, problem=None)
    if was_absent and seen.lost is None and holding.is_settled(holding.changed_at, now):
        return seen.tell(AuditAction.DRIFT_FOUND, holding.last_grant, {"drift": "came back"})
    return seen


def _see_absent(holding: Holding, hearing: Hearing) -> Holding:
    now, lost = hearing.now, holding.lost
    was_held = holding.is_seen and holding.observed is Observation.HELD
    seen = holding.change(observed=Observation.ABSENT, seen_at=now, is_seen=True, must_look=False, pause=None)
    if lost is not None and lost.kind is OperationKind.TAKE and holding.is_settled(holding.given_at, now):
        seen = _confirm_taken(seen.change(lost=None), lost, now)
    elif lost is not None and holding.is_settled(lost.since, now):
        seen = seen.change(lost=None)
    if not hearing.is_wanted:
        return seen.change(failures=0, problem=None)
    if holding.standing and not holding.is_touched:
        # The target says of the same right that it was there already, and that it is not.
        seen = seen.change(pause=hearing.pause_for(LOOK_PAUSE))
    if was_held and lost is None and holding.is_settled(holding.changed_at, now):
        seen = seen.tell(AuditAction.DRIFT_FOUND, holding.last_grant, {"drift": "removed"})
        return seen.change(standing=False, confirmed=None)
    return seen


def _conclude_poll(holding: Holding, operation: Operation, answer: Answer, hearing: Hearing) -> Holding:
    is_give = operation.kind is OperationKind.GIVE
    is_done = isinstance(answer, Held) if is_give else isinstance(answer, Absent)
    if is_done or isinstance(answer, TargetRefused):
        return _conclude_operation(holding, operation, answer, hearing)
    is_forgotten = isinstance(answer, Unknown) and answer.is_forgotten
    if is_forgotten or isinstance(answer, Held | Absent) or hearing.now >= operation.since + OPERATION_TIMEOUT:
        return hearing.fail(holding.lose_operation(), "the target has lost the operation")
    if isinstance(answer, InProgress):
        after = min(max((hearing.now - operation.since) / 4, FIRST_PAUSE / 2), MAX_POLL_PAUSE)
        return holding.change(pause=hearing.pause_for(after))
    if isinstance(answer, Later):
        return hearing.postpone(holding, answer)
    return hearing.fail(holding, _problem(answer))


def _conclude_operation(  # noqa: PLR0911 - one for each answer
    holding: Holding, operation: Operation, answer: Answer, hearing: Hearing
) -> Holding:
    done = holding.change(operation=None)
    match answer:
        case Held() if operation.kind is OperationKind.GIVE:
            held = done.change(observed=Observation.HELD)
            if answer.stood_before and operation.is_first:
                return held.change(standing=True, is_ours=False, failures=0, problem=None, pause=None)
            return _confirm_given(held, operation, hearing.now)
        case Absent() if operation.kind is OperationKind.TAKE:
            return _confirm_taken(done.change(observed=Observation.ABSENT), operation, hearing.now)
        case InProgress():
            named = operation.model_copy(update={"token": answer.token})
            return holding.change(operation=named, pause=hearing.pause_for(FIRST_PAUSE / 2))
        case Later():
            # Nothing was changed: what was not ours before still isn't.
            is_ours = holding.is_ours and not operation.is_first
            return hearing.postpone(done.change(is_ours=is_ours), answer)
        case TargetRefused():
            return _conclude_refusal(done, operation, answer.reason, hearing)
    return hearing.fail(holding.lose_operation(), _problem(answer))


def _conclude_refusal(done: Holding, operation: Operation, reason: str, hearing: Hearing) -> Holding:
    failed = hearing.fail(done, reason)
    if operation.kind is OperationKind.TAKE:
        return failed
    # A refusal at once, of the first give, is a promise that nothing was given.
    is_ours = done.is_ours and not (operation.is_first and operation.token is None)
    refusal = Refusal(at=hearing.now, reason=failed.problem or reason)
    return failed.change(refused=refusal, is_seen=False, is_ours=is_ours, pause=None)


def _confirm_given(holding: Holding, operation: Operation, at: datetime) -> Holding:
    given = holding.change(given_at=at, confirmed=OperationKind.GIVE, failures=0, problem=None, pause=None)
    return given.tell(AuditAction.GRANT_GIVEN, operation.grant, _details(operation, "given_at", at))


def _confirm_taken(holding: Holding, operation: Operation, at: datetime) -> Holding:
    taken = holding.change(taken_at=at, confirmed=OperationKind.TAKE, failures=0, problem=None, pause=None)
    return taken.tell(AuditAction.GRANT_TAKEN, operation.grant, _details(operation, "taken_at", at))


def _details(operation: Operation, name: str, at: datetime) -> dict[str, JsonValue]:
    details: dict[str, JsonValue] = {"generation": operation.generation, name: format_time(at)}
    # What the target calls it: its own log can be searched for this.
    return details if operation.token is None else {**details, "token": operation.token}


def _problem(answer: Answer) -> str:
    match answer:
        case Unknown():
            return answer.problem
        case TargetRefused():
            return answer.reason
    return f"it answered {type(answer).__name__}, which makes no sense here"
