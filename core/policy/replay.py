"""Past decisions under another policy: which of them would have come out differently, and why.

Invariant: pure. What happened is judged by the functions that decide in Slack, for the moment at which it happened.
What depends on a user group whose members nobody knows, or on who was on call when nobody knows that, is not judged,
and is reported as that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from core.actor import Actor, Need, ServiceName, UserGroupId, UserId, is_person
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent, ReasonCode
from core.errors import InvalidInput
from core.on_call import Duty, FixedRoster, OnCallName, on_call_name
from core.policy.decision import Decision, RequestDecision
from core.policy.duty_words import kept_schedules
from core.policy.evaluator import Policy
from core.request import Request, RequestStatus

Groups = Mapping[UserGroupId, frozenset[UserId]]
"""Who is in each user group whose members are known."""
REPLAYED_REFUSALS: Final = (AuditAction.SUBMIT_REFUSED, AuditAction.INVOKE_REFUSED)
_SHORTEST: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KnownDuties:
    """Who was on call: in the schedules about which somebody says so, and as the trail recorded it of one decision."""

    said: Mapping[OnCallName, frozenset[UserId]] = field(default_factory=dict)
    recorded: frozenset[tuple[UserId, OnCallName]] = frozenset()

    def with_entries(self, entries: Iterable[AuditEntry], about: UserId) -> KnownDuties:
        """Also what the entries of one record keep. Where a rule or the clock acted, it was `about` this person."""
        found = {
            (_person_of(each, about), on_call_name(name)) for each in entries for name in kept_schedules(each.details)
        }
        return replace(self, recorded=self.recorded | found)

    def duties_of(self, person: UserId, names: Iterable[OnCallName], at: datetime) -> Mapping[OnCallName, Duty]:
        """What is known about the person; the other schedules are left out."""
        recorded = {name: (person,) for name in names if (person, name) in self.recorded}
        known = {**{name: self.said[name] for name in names if name in self.said}, **recorded}
        return FixedRoster(known, at).duties(person, known.keys())


NO_DUTIES: Final = KnownDuties()


@dataclass(frozen=True, slots=True)
class ReplayedDecision:
    """One past decision that would differ, or can't be judged: what it was, when, and what would be different.

    `problem` says what is wrong with its record; `at` is None when that isn't known either.
    """

    at: datetime | None
    record: str
    what: str
    differences: tuple[str, ...]
    unknown: frozenset[Need] = frozenset()
    problem: str = ""

    @property
    def is_known(self) -> bool:
        """False when it depends on user groups or schedules that nobody knows, or its record can't be used."""
        return not self.unknown and not self.problem


def unusable(record: str, problem: str, at: datetime | None = None) -> ReplayedDecision:
    """A decision that can't be judged, because its record isn't what Countersign wrote, or can't be read."""
    return ReplayedDecision(at, record, "can't be judged", (), problem=problem)


def replay_request(
    policy: Policy, request: Request, groups: Groups, duties: KnownDuties = NO_DUTIES
) -> ReplayedDecision | None:
    """What would be different of a request; None if nothing."""
    history = _History(policy, groups, duties, request.created_at)
    what = f"{request.requester} requested {request.profile}, {request.status}"
    person = history.actor(request.requester, request.service)
    try:
        decision = policy.judge_request(
            person, request.profile, request.duration, request.created_at, request.starts_at
        )
    except InvalidInput as error:
        return ReplayedDecision(request.created_at, request.chain, what, (error.problem,))
    votes = [*_votes(history, request, decision)] if decision.is_allowed else []
    needs = decision.needs.union(*(vote.needs for _, vote in votes))
    if needs:
        return ReplayedDecision(request.created_at, request.chain, what, (), needs)
    lost = [f"the decision of {who} would be refused: {_because(vote)}" for who, vote in votes if not vote.is_allowed]
    differences = (*_of_request(request, decision), *lost)
    return ReplayedDecision(request.created_at, request.chain, what, differences) if differences else None


def replay_event(
    policy: Policy, event: BreakGlassEvent, groups: Groups, duties: KnownDuties = NO_DUTIES
) -> ReplayedDecision | None:
    """What would be different of a break-glass event; None if nothing. Quotas and cooldowns aren't replayed."""
    what = f"{event.invoker} broke the glass for {event.profile}"
    person = _History(policy, groups, duties, event.created_at).actor(event.invoker)
    try:
        decision = policy.judge_break_glass(
            person, event.profile, event.reason_code, event.duration, event.created_at, has_mfa=event.mfa_verified
        )
    except InvalidInput as error:
        return ReplayedDecision(event.created_at, event.chain, what, (error.problem,))
    if decision.needs:
        return ReplayedDecision(event.created_at, event.chain, what, (), decision.needs)
    if decision.is_allowed:
        return None
    return ReplayedDecision(event.created_at, event.chain, what, (f"would be refused: {_because(decision)}",))


def replay_refusal(
    policy: Policy, entry: AuditEntry, groups: Groups, duties: KnownDuties = NO_DUTIES
) -> ReplayedDecision | None:
    """A refused attempt that the policy would allow; None if it wouldn't, or if something else refused it.

    How long was asked for isn't recorded, so it is judged for the shortest time.
    """
    if entry.event not in REPLAYED_REFUSALS or "unmet" not in entry.details or entry.profile is None:
        return None
    person = _History(policy, groups, duties, entry.at).actor(UserId(entry.actor))
    try:
        if entry.event is AuditAction.SUBMIT_REFUSED:
            decision: Decision = policy.judge_request(person, entry.profile, _SHORTEST, entry.at)
        else:
            decision = _best_event(policy, person, entry)
    except InvalidInput:
        return None
    asked = "request" if entry.event is AuditAction.SUBMIT_REFUSED else "break the glass for"
    what = f"{entry.actor} was refused to {asked} {entry.profile}"
    if decision.needs:
        return ReplayedDecision(entry.at, entry.chain, what, (), decision.needs)
    if not decision.is_allowed:
        return None
    return ReplayedDecision(entry.at, entry.chain, what, (f"might be allowed, by rule {decision.rule}",))


def _best_event(policy: Policy, person: Actor, entry: AuditEntry) -> Decision:
    """The decision on the attempt with a verified code and the first reason that is allowed."""
    terms = policy.break_glass_terms_for(str(entry.profile), person)
    reason = terms.allowed_reason_codes[0] if terms is not None else ReasonCode.INCIDENT
    return policy.judge_break_glass(person, str(entry.profile), reason, _SHORTEST, entry.at, has_mfa=True)


def _votes(history: _History, request: Request, decision: RequestDecision) -> Iterator[tuple[str, Decision]]:
    deciders = [(vote.approver, vote.on_call, vote.at) for vote in request.counting_approvals]
    if request.status is RequestStatus.DENIED and request.approver is not None:
        deciders.append((UserId(request.approver), None, request.decided_at or request.updated_at))
    for each, on_call, at in deciders:
        if is_person(each):
            voted = history if on_call is None else history.with_duty(each, on_call)
            yield (
                each,
                history.policy.judge_decider(
                    "approve",
                    voted.actor(each),
                    profile=request.profile,
                    rule=decision.rule or "",
                    requester=request.requester,
                    waits_since=history.policy.waiting.urgent_since(request),
                    now=at,
                ),
            )


def _of_request(request: Request, decision: RequestDecision) -> Iterator[str]:
    if not decision.is_allowed:
        yield f"would be refused: {_because(decision)}"
        return
    was_automatic = request.approver is not None and not is_person(request.approver)
    is_automatic = decision.auto_approval is not None and decision.auto_approval.is_allowed
    needed = _approvals(decision.required_approvals)
    if was_automatic and not is_automatic:
        yield f"was approved automatically, would need {needed}"
    elif is_automatic and not was_automatic:
        yield "would be approved automatically"
    elif not was_automatic and request.quorum != decision.required_approvals:
        yield f"needed {_approvals(request.quorum)}, would need {needed}"
    if decision.rule != request.rule:
        yield f"was decided by rule {request.rule}, would be by rule {decision.rule}"


def _approvals(number: int) -> str:
    return "1 approval" if number == 1 else f"{number} approvals"


def _because(decision: Decision) -> str:
    return "; ".join(decision.unmet)


@dataclass(frozen=True, slots=True)
class _History:
    """What is known of people at one moment of the past."""

    policy: Policy
    groups: Groups
    duties: KnownDuties
    at: datetime

    def actor(self, person: UserId, service: str | None = None) -> Actor:
        """The person as they were."""
        memberships = {group: person in members for group, members in self.groups.items()}
        duties = self.duties.duties_of(person, self.policy.document.require_schedules(), self.at)
        acting_for = ServiceName(service) if service is not None else None
        return Actor(id=person, service=acting_for, memberships=memberships, duties=duties)

    def with_duty(self, person: UserId, name: OnCallName) -> _History:
        """The same, where this person is known to have been on call."""
        return replace(self, duties=replace(self.duties, recorded=self.duties.recorded | {(person, name)}))


def _person_of(entry: AuditEntry, about: UserId) -> UserId:
    return UserId(entry.actor) if is_person(entry.actor) else about
