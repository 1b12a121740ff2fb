"""The lines that `countersign request` shows, and its JSON.

Invariant: other people's words stand on one line, after whose they are. Times are in the person's own zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from bot.api.models import AccessInfo, RequestInfo
from bot.commands.decider_words import name_decider
from bot.commands.terminal import Cell
from bot.terminal.local_times import local_time
from bot.terminal.waiting import Outcome, name_of, names_of, outcome_of
from core.access.grant_status import AccessPhase
from core.duration import format_duration
from core.targets.words import one_line

_ASSUME: Final = "assume"
"""The level of a right by which the server gives AWS credentials."""


def describe_request(request: RequestInfo, now: datetime) -> Iterator[str]:
    """Everything about a request."""
    duration = format_duration(timedelta(seconds=request.duration_seconds))
    whose = f" by {one_line(request.service)}" if request.service else ""
    start = f" from {local_time(request.starts_at, now)}" if request.starts_at is not None else ""
    yield f"request {one_line(request.id)}{whose}: {one_line(request.profile)} for {duration}{start}"
    asker = f" by {one_line(request.asked_by_name or request.asked_by)}" if request.asked_by else ""
    yield f"  asked {local_time(request.created_at, now)}{asker}: {one_line(request.justification)}"
    if request.ticket is not None:
        unchecked = f", which couldn't be checked: {one_line(request.ticket_problem)}" if request.ticket_problem else ""
        yield f"  ticket {one_line(request.ticket)}{unchecked}"
    for question in request.questions:
        yield f"  {name_of(question.asker)} asks: {one_line(question.text)}"
        yield f"  answer: {one_line(question.answer)}" if question.answer else "  not answered yet; answer it in Slack"
    for vote in request.approvals:
        comment = f": {one_line(vote.comment)}" if vote.comment else ""
        less = f" for {_length(vote.duration_seconds)}" if vote.duration_seconds is not None else ""
        yield f"  approved by {name_of(vote.approver)} at {local_time(vote.at, now)}{less}{comment}"
    yield from (f"  {line}" for line in describe_outcome(request, now))


def describe_outcome(request: RequestInfo, now: datetime) -> Iterator[str]:
    """What became of a request, and what to do next."""
    profile, outcome = one_line(request.profile), outcome_of(request)
    by = f" by {_decider(request)}" if request.decided_by else ""
    why = f": {one_line(request.comment)}" if request.comment else ""
    match outcome:
        case Outcome.WAITING:
            yield from _describe_waiting(request, now)
        case Outcome.GRANTED:
            yield f"Granted{_less(request)}{by}{why}"
            yield _describe_open(request, now)
        case Outcome.DENIED:
            yield f"Denied{by}{why}"
        case Outcome.EXPIRED:
            yield f"Expired: nobody decided until {local_time(request.expires_at, now)}. Ask again."
        case Outcome.CANCELLED:
            replaced = f"; replaced by {one_line(request.replaced_by)}" if request.replaced_by else ""
            yield f"Cancelled{by}{why}{replaced}"
        case Outcome.FAILED:
            yield f"Approved{by}, but access to {profile} could not be opened{_problems(request.access)}"
            yield "Ask a policy owner."
        case Outcome.ENDED:
            yield _describe_ended(request, now)


def next_step(request: RequestInfo) -> str | None:
    """The command that makes sense now; None if there is none."""
    match outcome_of(request):
        case Outcome.WAITING:
            return f"countersign request show {one_line(request.id)} --wait"
        case Outcome.GRANTED if has_credentials(request.access):
            return f"countersign exec {one_line(request.profile)} -- COMMAND"
    return None


def has_credentials(access: AccessInfo | None) -> bool:
    """Whether the server gives AWS credentials for this access."""
    return access is not None and any(right.level == _ASSUME for right in access.rights)


def as_json(request: RequestInfo, outcome: str | None = None) -> dict[str, Any]:
    """A request for scripts, with what became of it in one word."""
    found = {"outcome": outcome or outcome_of(request).value, "request": request.model_dump(mode="json")}
    step = next_step(request)
    return {**found, "next": step} if step is not None else found


def row_of(request: RequestInfo, now: datetime) -> list[Cell]:
    """One request in a list."""
    outcome = outcome_of(request)
    mood: Cell = (outcome.value, "good") if outcome is Outcome.GRANTED else outcome.value
    duration = format_duration(timedelta(seconds=request.duration_seconds))
    about = one_line(request.justification, 60)
    return [request.id, mood, one_line(request.profile), duration, local_time(request.created_at, now), about]


def _describe_waiting(request: RequestInfo, now: datetime) -> Iterator[str]:
    if request.access is not None or request.decided_by is not None:
        access, profile = request.access, one_line(request.profile)
        is_ahead = access is not None and access.phase is AccessPhase.SCHEDULED
        opens = f"opens {local_time(access.starts_at, now)}" if access is not None and is_ahead else "is opening"
        yield f"Approved; access to {profile} {opens}."
        return
    if request.awaits_confirmation:
        until = local_time(request.expires_at, now)
        yield f"Waiting for you to confirm in Slack that you want it, until {until}. Nobody can approve it before."
        return
    who = names_of(request.approvers)
    need = f"; {request.required_approvals} approvals needed" if request.required_approvals > 1 else ""
    yield f"Waiting for approval{f' by {who}' if who else ''}{need}, until {local_time(request.expires_at, now)}."


def _less(request: RequestInfo) -> str:
    given = request.granted_seconds
    return f" for {_length(given)}" if given is not None and given < request.duration_seconds else ""


def _length(seconds: int) -> str:
    return format_duration(timedelta(seconds=seconds))


def _describe_open(request: RequestInfo, now: datetime) -> str:
    access, profile = request.access, one_line(request.profile)
    until = access.until if access is not None else request.access_ends_at
    if access is None:
        starts = f" from {local_time(request.starts_at, now)}" if request.starts_at is not None else ""
        ends = f"{starts} until {local_time(until, now)}" if until is not None else ""
        return f"Approved for {profile}{ends}. Countersign opens nothing for this profile; use it as your team does."
    return f"Access to {profile} is open until {local_time(access.until, now)}."


def _describe_ended(request: RequestInfo, now: datetime) -> str:
    access, profile = request.access, one_line(request.profile)
    if access is None:
        return f"Access to {profile} is over."
    if (early := access.ended_early) is not None:
        reason = f": {one_line(early.reason)}" if early.reason else ""
        by = name_decider(early.by, early.by_name, request.requester)
        return f"Access to {profile} was ended by {by} at {local_time(early.at, now)}{reason}"
    return f"Access to {profile} ended at {local_time(access.until, now)}."


def _problems(access: AccessInfo | None) -> str:
    found = [one_line(right.problem) for right in access.rights if right.problem] if access is not None else []
    return f": {'; '.join(found)}" if found else "."


def _decider(request: RequestInfo) -> str:
    return name_decider(request.decided_by or "", request.decided_by_name, request.requester)
