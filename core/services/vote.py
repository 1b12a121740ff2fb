"""Approve a request: judge the approver, what came with the approval, and, at the deciding vote, everybody again.

Invariant: one read and one write. An approval is bound to what its form showed; the code that came with it is used up
in the transaction of the vote, and a wrong one is counted before anybody learns that it was wrong. The deciding vote
makes the grants in its own transaction, for the rights that the record has and the policy still gives.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from core.access.right import Permission, right_key
from core.actor import Actor
from core.audit.trail import AuditAction, EntryDraft
from core.duration import to_nanoseconds
from core.duty import Duty
from core.errors import CodeRefused, CountersignError, NotAllowed
from core.mfa import CodeLedger, MfaVerifier
from core.policy.decision import ApprovalNeeds, GivenWithVote
from core.request import Request, RequestId, RequestStatus
from core.request_bounds import find_shorter
from core.services.granting import grants_of_request, observe
from core.services.membership import Judging
from core.services.observer import Observer
from core.services.submit import window
from core.services.ticket_check import TicketCheck
from core.stores.base import Stores

NOT_AS_SHOWN = "the request isn't what the form showed; open the form again"
ACCESS_CHANGED = (
    "the policy has changed since the request was made, and {profile} no longer gives {right}; the request has to be "
    "denied or cancelled, and made again"
)
PERSON_CHANGED = (
    "the policy has changed since the request was made, and {requester} isn't {principal} at {target} any more; deny "
    "the request, or let {requester} cancel it and request access anew"
)


class ApprovalFormNeeded(CountersignError):
    """The rule wants more than a press: the approver has to see the request, and perhaps give a comment or a code.

    Nothing was decided, and nothing was refused. `needs` says what the form has to ask for.
    """

    def __init__(self, request: Request, needs: ApprovalNeeds) -> None:
        super().__init__(f"{request.chain} is approved in a form")
        self.request = request
        self.needs = needs


@dataclass(frozen=True, slots=True)
class Given:
    """What came with an approval: a comment, the digest of what the form showed, a code, and less time than was asked.

    None: it didn't come.
    """

    comment: str | None = None
    shown: str | None = None
    code: str | None = None
    duration: timedelta | None = None

    def to_policy(self, *, can_verify: bool) -> GivenWithVote:
        """What the policy judges. Whether the code is correct is judged on the ledger of codes."""
        return GivenWithVote(
            has_form=self.shown is not None,
            has_comment=self.comment is not None,
            has_code=self.code is not None and can_verify,
        )


class Voting:
    """One person's approval, in one use case. Not safe for threads."""

    def __init__(
        self,
        stores: Stores,
        people: Judging,
        mfa: MfaVerifier | None,
        approver: Actor,
        given: Given,
        observer: Observer,
        check: TicketCheck | None = None,
    ) -> None:
        self._check = check or TicketCheck()
        self._said_of_ticket: dict[str, JsonValue] = {}
        self._stores = stores
        self._observer = observer
        self._people = people
        self._mfa = mfa
        self._approver = approver
        self._given = given
        self._codes: CodeLedger | None = None
        self._used: tuple[CodeLedger, ...] = ()

    def get(self, request_id: RequestId) -> Request:
        """The request, with the notes of the directory and the approver's codes, in one read."""
        self._used = ()
        if self._given.code is None:
            return self._people.noting(self._stores.requests.get_with_notes(request_id))
        request, notes, self._codes = self._stores.requests.get_with_codes(request_id, self._approver.id)
        return self._people.noting((request, notes))

    def judge(self, request: Request, now: datetime) -> tuple[Request, EntryDraft]:
        """The request with this vote, and its entry. Raises like RequestService.approve."""
        if request.status is not RequestStatus.PENDING:
            # Everybody gets the decision as the answer, whatever their rights.
            return request.approve(self._approver.id, now), self._entry(request, request, {})
        if request.has_approval_by(voter := self._people.find_vote(request, self._approver.id)):
            # Delivered or pressed again: this vote counts already, and takes no form and no code.
            decision = self._people.judge_decider("approve", request, self._approver, now)
            decision.require()
            return request.approve(voter, now), self._entry(request, request, decision.to_details())
        request.require_confirmed("approve")
        find_shorter(self._given.duration, request.duration)
        self._require_form(request, now)
        given = self._given.to_policy(can_verify=self._mfa is not None)
        decision = self._people.judge_decider("approve", request, self._approver, now, given)
        decision.require()
        if self._given.shown is not None and not _is_same(self._given.shown, request.facts_digest()):
            raise NotAllowed("approve", (NOT_AS_SHOWN,), decision.rule, ("form",))
        details = decision.to_details()
        if self._people.policy.approval_needs(request.rule).code:
            self._use_code(now)
            details["mfa_method"] = self._mfa.method if self._mfa is not None else None
        self._said_of_ticket = {}
        voted = self._count(request, now, decision.duty)
        return voted, self._entry(request, voted, details | self._said_of_ticket)

    def update(self, request: Request, entry: EntryDraft) -> Request:
        """Store the vote, and with it the use of the code and the grants that it makes."""
        grants = grants_of_request(request) if entry.event is AuditAction.REQUEST_APPROVED else ()
        updated = self._stores.requests.update(request, entry, self._used, grants=grants)
        observe(grants, self._observer)
        return updated

    def _require_form(self, request: Request, now: datetime) -> None:
        needs = self._people.policy.approval_needs(request.rule)
        if self._given.shown is None and needs.any:
            # Only people with the right get the form.
            self._people.judge_decider("approve", request, self._approver, now).require()
            raise ApprovalFormNeeded(request, needs)

    def _use_code(self, now: datetime) -> None:
        codes = self._codes
        if codes is None or self._given.code is None or self._mfa is None:
            raise CodeRefused("wrong", 0)
        codes.refuse_locked(now)
        step = self._mfa.find_step(self._approver.id, self._given.code, now)
        if step is not None:
            self._used = (codes.accept(step),)
            return
        wrong = codes.count_wrong(now)
        self._stores.break_glass.put_codes(wrong)
        wrong.refuse_locked(now)
        raise CodeRefused("wrong", wrong.tries_left)

    def _count(self, request: Request, now: datetime, duty: Duty | None) -> Request:
        """The request with this vote. If it is the last one needed, everybody and everything is judged again first."""
        people, comment, duration = self._people, self._given.comment, self._given.duration
        voter, on_call = people.find_vote(request, self._approver.id), duty.name if duty is not None else None
        if len(request.counting_approvals) + 1 < request.quorum:
            return request.approve(voter, now, comment, duration=duration, on_call=on_call)
        decision = people.judge_waiting(request)
        decision.require()
        people.require_asker(request)
        self._require_rights(request)
        lapsed = people.find_lapsed(request, voter)
        # Last, because it can take a second: nothing is asked about what is refused anyway.
        requester = people.find_requester(request)
        checked = self._check.require(people.policy, "approve", request.rule, request.ticket, requester)
        quorum = decision.required_approvals
        voted = request.approve(voter, now, comment, duration=duration, quorum=quorum, lapsed=lapsed, on_call=on_call)
        if checked is None:
            return voted
        self._said_of_ticket = checked.to_details()
        return voted.replace(ticket_problem=checked.problem)

    def _require_rights(self, request: Request) -> None:
        """Raises NotAllowed when the policy no longer gives one of the rights of the request to this requester."""
        given = self._people.policy.access_of(request.profile)
        lost = [right for right in request.rights if Permission.in_right(right) not in given]
        if lost:
            right = right_key(lost[0])
            said = ACCESS_CHANGED.format(profile=request.profile, right=right)
            raise NotAllowed("approve", (said,), request.rule, ("access",))
        for each in request.rights:
            if self._people.policy.is_of_another(request.requester, each):
                who = {"requester": request.requester, "principal": each.principal, "target": each.target}
                raise NotAllowed("approve", (PERSON_CHANGED.format(**who),), request.rule, ("access",))

    def _less(self, request: Request) -> dict[str, JsonValue]:
        less = find_shorter(self._given.duration, request.duration)
        return {"duration": to_nanoseconds(less)} if less is not None else {}

    def _entry(self, before: Request, request: Request, details: dict[str, JsonValue]) -> EntryDraft:
        comment = self._given.comment
        votes: dict[str, JsonValue] = {
            **details,
            **({"comment": comment} if comment is not None else {}),
            **self._less(request),
            "approvals": len(request.counting_approvals),
            "required_approvals": request.required_approvals,
        }
        if request.raised_approvals is not None:
            votes["raised_approvals"] = request.raised_approvals
        changed = [vote for vote, was in zip(request.approvals, before.approvals, strict=False) if vote != was]
        if changed:
            votes["lapsed"] = [{"approver": vote.approver, "reason": vote.lapsed_reason} for vote in changed]
        if request.status is RequestStatus.PENDING:
            return EntryDraft.of(request, AuditAction.APPROVAL_ADDED, self._approver.id, votes)
        return EntryDraft.of(request, AuditAction.REQUEST_APPROVED, self._approver.id, {**votes, **window(request)})


def _is_same(shown: str, digest: str) -> bool:
    # What a form sends back may be any text, and compare_digest takes other text than ASCII only as bytes.
    return hmac.compare_digest(shown.encode(errors="replace"), digest.encode())
