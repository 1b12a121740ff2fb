"""Races for a request: who approves it, how it ends, how many votes count.

Invariant: each check compares three stories, of the record, of the audit trail, and of the answer to each contestant.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core.actor import CLOCK, ProfileName
from core.audit.trail import AuditAction
from core.request import DEFAULT_DECIDE_WITHIN, Request, RequestId, RequestStatus
from core.stores import Stores
from tests.core.races.attempts import (
    APPROVERS,
    ESCALATED_TO,
    OPEN_AT_ONCE,
    REMIND_AFTER,
    REQUESTER,
    Act,
    Attempt,
    carry_out,
    submit,
)
from tests.core.races.scenario import Line, Round, Scenario, Trail, expired_line, was_refused

_SUBMITTED: Final[Line] = (AuditAction.REQUEST_SUBMITTED, REQUESTER, "pending")


def _approve_at_once(stores: Stores, at: datetime) -> list[Attempt]:
    request = submit(stores, "one", at)
    return [Attempt(Act.APPROVE, who, at, request.id) for who in APPROVERS[:4]]


def _check_one_winner(done: Round, trail: Trail) -> None:
    request = trail.request(done.results[0])
    (winner,) = done.yes
    assert winner.records == (request,)
    assert _decided_by(request) == (RequestStatus.APPROVED, winner.attempt.who, f"approved by {winner.attempt.who}")
    assert [approval.approver for approval in request.approvals] == [winner.attempt.who]
    assert all(was_refused(each, request) for each in done.results if each is not winner)
    assert trail.story(request) == [_SUBMITTED, _approved_line(request)]


def _overwrite_at_once(stores: Stores, at: datetime) -> list[Attempt]:
    """Everybody has read already: three a pending request, two one that somebody approved before."""
    pending, approved = submit(stores, "one", at), submit(stores, "one", at)
    carry_out(stores, Attempt(Act.APPROVE, APPROVERS[-1], at, approved.id))
    approved = stores.requests.get(RequestId(approved.id))
    return [
        *(Attempt(Act.OVERWRITE, who, at, pending.id, read=pending) for who in APPROVERS[:3]),
        *(Attempt(Act.OVERWRITE, who, at, approved.id, read=approved) for who in APPROVERS[3:5]),
    ]


def _check_nobody_overwrites(done: Round, trail: Trail) -> None:
    for_pending = [each for each in done.results if each.attempt.who in APPROVERS[:3]]
    request = trail.request(for_pending[0])
    (winner,) = done.yes
    assert winner in for_pending
    assert winner.records == (request,)
    assert str(request.approver) == winner.attempt.who
    assert all(was_refused(each, request) for each in for_pending if each is not winner)
    assert trail.story(request) == [_SUBMITTED, _approved_line(request)]

    for_approved = [each for each in done.results if each not in for_pending]
    request = trail.request(for_approved[0])
    assert request == for_approved[0].attempt.read
    assert _decided_by(request) == (RequestStatus.APPROVED, APPROVERS[-1], f"approved by {APPROVERS[-1]}")
    assert all(was_refused(each, request) for each in for_approved)
    assert trail.story(request) == [_SUBMITTED, _approved_line(request)]


def _end_it_every_way(stores: Stores, at: datetime) -> list[Attempt]:
    """For some instances the deadline is a moment ahead, and for some it has passed."""
    request = submit(stores, "one", at)
    late = at + DEFAULT_DECIDE_WITHIN
    return [
        *(Attempt(Act.APPROVE, who, at, request.id) for who in APPROVERS[:2]),
        Attempt(Act.DENY, APPROVERS[2], at, request.id),
        Attempt(Act.CANCEL, REQUESTER, at, request.id),
        Attempt(Act.EXPIRE_REQUESTS, REQUESTER, late),
        Attempt(Act.APPROVE, APPROVERS[3], late, request.id),
    ]


def _check_one_outcome(done: Round, trail: Trail) -> None:
    pressed = done.of(Act.APPROVE, Act.DENY, Act.CANCEL)
    request = trail.request(pressed[0])
    (sweep,) = done.of(Act.EXPIRE_REQUESTS)
    winners = [each for each in pressed if each.is_yes]
    assert sweep.is_yes
    assert sweep.records in {(), (request,)}
    assert all(each.records == (request,) for each in winners)
    assert all(was_refused(each, request) for each in pressed if each not in winners)
    if request.status is RequestStatus.EXPIRED:
        # The sweep recorded it, or the approver who came too late did.
        assert not winners
        assert trail.story(request) == [_SUBMITTED, expired_line(AuditAction.REQUEST_EXPIRED)]
        return
    (winner,) = winners
    assert winner.attempt.at < request.expires_at
    assert not sweep.records
    outcome = {Act.APPROVE: "approved", Act.DENY: "denied", Act.CANCEL: "cancelled"}[winner.attempt.act]
    assert (request.status, request.ended_by[0]) == (outcome, winner.attempt.who)
    assert trail.story(request) == [_SUBMITTED, (AuditAction(f"request_{outcome}"), winner.attempt.who, outcome)]


def _vote_at_once(stores: Stores, at: datetime) -> list[Attempt]:
    """Ten approvers, of whom three press twice, and three are needed."""
    request = submit(stores, "three", at)
    return [Attempt(Act.APPROVE, who, at, request.id) for who in (*APPROVERS, *APPROVERS[:3])]


def _check_quorum(done: Round, trail: Trail) -> None:
    request = trail.request(done.results[0])
    voters = [approval.approver for approval in request.approvals]
    assert (request.status, len(voters), len(set(voters))) == (RequestStatus.APPROVED, 3, 3)
    assert str(request.approver) == voters[-1]
    for each in done.results:
        # Two attempts by one person get the same answer: a vote counts once, and repeating it is no mistake.
        assert each.is_yes if each.attempt.who in voters else was_refused(each, request)
        assert all(isinstance(record, Request) and record.has_approval_by(each.attempt.who) for record in each.records)
    added = [(AuditAction.APPROVAL_ADDED, who, "pending") for who in voters[:2]]
    assert trail.story(request) == [_SUBMITTED, *added, _approved_line(request)]


def _deliver_clicks_again(stores: Stores, at: datetime) -> list[Attempt]:
    """Three clicks, each on its own request and delivered three times."""
    approved, denied, cancelled = (submit(stores, "one", at) for _ in range(3))
    clicks = [
        Attempt(Act.APPROVE, APPROVERS[0], at, approved.id),
        Attempt(Act.DENY, APPROVERS[0], at, denied.id),
        Attempt(Act.CANCEL, REQUESTER, at, cancelled.id),
    ]
    return clicks * 3


def _check_deliveries_agree(done: Round, trail: Trail) -> None:
    for each in done.results:
        request = trail.request(each)
        assert each.records == (request,)
        assert len(trail.story(request)) == 2


def _submit_again_and_again(_: Stores, at: datetime) -> list[Attempt]:
    return [Attempt(Act.SUBMIT, REQUESTER, at, "one", key=f"view {at}")] * 4


def _check_one_request(done: Round, trail: Trail) -> None:
    (request,) = done.results[0].records
    assert all(each.records == (request,) for each in done.results)
    assert trail.records[request.chain] == request
    assert trail.story(request) == [_SUBMITTED]


def _ask_more_than_is_allowed(_: Stores, at: datetime) -> list[Attempt]:
    """Eight equal requests for a profile that allows three open ones, and four for one that allows one."""
    return [Attempt(Act.SUBMIT, REQUESTER, at, profile) for profile in ["one"] * 8 + ["three"] * 4]


def _check_open_requests(done: Round, trail: Trail) -> None:
    for profile, allowed, limit in (("one", OPEN_AT_ONCE, "open requests"), ("three", 1, "open request")):
        asked = [each for each in done.results if each.attempt.on == profile]
        made = {record.chain for each in asked for record in each.records}
        assert len(made) == len([each for each in asked if each.is_yes]) == allowed
        assert {(each.error, each.limit) for each in asked if not each.is_yes} == {("LimitReached", limit)}
        assert all(trail.stories[chain] == [_SUBMITTED] for chain in made)


def _notify_while_voting(stores: Stores, at: datetime) -> list[Attempt]:
    """Three instances remind and escalate: requests that nobody looks at, and some that get their votes meanwhile."""
    late = at + REMIND_AFTER
    alone_and_voted = [[submit(stores, profile, at) for _ in range(2)] for profile in ("slow", "stepped")]
    voters = {"slow": APPROVERS[:2], "stepped": (APPROVERS[0], ESCALATED_TO)}
    votes = [Attempt(Act.APPROVE, who, late, each.id) for _, each in alone_and_voted for who in voters[each.profile]]
    return [*votes, *[Attempt(act, REQUESTER, late) for act in (Act.REMIND, Act.ESCALATE)] * 3]


def _check_notified_once(done: Round, trail: Trail) -> None:
    # Who is of a step that has come may vote, whether or not the step was announced.
    assert len(done.yes) == len(done.results)
    voted_on = {request.profile: request for request in map(trail.request, done.of(Act.APPROVE))}
    for act, action, profile in (
        (Act.REMIND, AuditAction.REQUEST_REMINDED, "slow"),
        (Act.ESCALATE, AuditAction.REQUEST_ESCALATED, "stepped"),
    ):
        noted = [record.chain for each in done.of(act) for record in each.records]
        voted = voted_on[ProfileName(profile)]
        (alone,) = set(noted) - {voted.chain}
        assert len(set(noted)) == len(noted)
        line: Line = (action, CLOCK, "pending")
        assert trail.stories[alone] == [_SUBMITTED, line]
        # A vote that conflicted with it counts, and so does what conflicted with a vote if the request still waited.
        story, was_noted = trail.story(voted), voted.chain in noted
        assert (voted.reminded_at is not None or voted.escalated_steps == 1) == was_noted
        assert story.count(line) == was_noted
        added = (AuditAction.APPROVAL_ADDED, voted.approvals[0].approver, "pending")
        assert [each for each in story if each != line] == [_SUBMITTED, added, _approved_line(voted)]


def _approved_line(request: Request) -> Line:
    return AuditAction.REQUEST_APPROVED, str(request.approver), "approved"


def _decided_by(request: Request) -> tuple[RequestStatus, str | None, str | None]:
    return request.status, request.approver, request.approver_comment


SCENARIOS: Final = (
    Scenario("all approve", _approve_at_once, _check_one_winner),
    Scenario("all overwrite what they read", _overwrite_at_once, _check_nobody_overwrites),
    Scenario("approve deny cancel expire", _end_it_every_way, _check_one_outcome),
    Scenario("quorum of three", _vote_at_once, _check_quorum),
    Scenario("clicks delivered again", _deliver_clicks_again, _check_deliveries_agree, share=4),
    Scenario("remind and escalate while voting", _notify_while_voting, _check_notified_once, share=4),
    Scenario("more requests than are allowed", _ask_more_than_is_allowed, _check_open_requests, share=4),
    Scenario("one submission delivered again", _submit_again_and_again, _check_one_request, share=4),
)
