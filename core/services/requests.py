"""The use cases of a request: load, decide by a pure function, commit.

Invariant: a click is decided from the stored record and the policy in force, and committed only if that record has not
changed since. The vote that would approve judges everybody again: the earlier voters, the requester, and the bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from core.access.principals import Principals
from core.actor import Actor, ProfileName, UserId, check_profile_name
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock
from core.directory import Directory, UnknownDirectory
from core.mfa import MfaVerifier
from core.open_requests import count_for
from core.policy import PolicySource
from core.request import COMMENT_LENGTH, JUSTIFICATION_LENGTH, Request, RequestId, RequestStatus
from core.services.asking import RequestDialogue
from core.services.bundle import Submitted, submit_each
from core.services.due import Rest, expires_at, no_rest
from core.services.membership import Judging
from core.services.observer import Observer, Unobserved
from core.services.open_access import find_granting
from core.services.pacing import PACING, Pacing
from core.services.rights import find_rights
from core.services.service_actors import refuse_other_service
from core.services.submit import Submission, SubmittedFrom, Submitting, find_requester
from core.services.ticket_check import TicketCheck, TicketChecks
from core.services.use_case import AuditedAttempt, ChangeRunner, acting_as, audit_refusals, id_from
from core.services.vote import Given, Voting
from core.services.waiting import WaitingRequests, watch_pending
from core.stores.base import Stores
from core.text import clean_optional_text, clean_text

REASON_LENGTH: Final = (3, COMMENT_LENGTH[1])
"""A denial needs a reason that the requester can understand: at least three characters, such as "dup"."""


class RequestService:
    """Make requests and decide on them. Safe for threads, and for any number of processes.

    `directory` says who is a member and in which user groups; without it, nothing is decided that needs to know.
    """

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        observer: Observer | None = None,
        *,
        directory: Directory | None = None,
        mfa: MfaVerifier | None = None,
        principals: Principals | None = None,
        pacing: Pacing = PACING,
        tickets: TicketChecks | None = None,
    ) -> None:
        self._tickets, self._pacing = tickets, pacing
        self._principals = principals
        self._stores = stores
        self._directory: Directory = directory or UnknownDirectory()
        self._policy = policy
        self._clock = clock
        self._observer = observer or Unobserved()
        self._mfa = mfa
        self._changes = self._changes_with(stores.requests.update)
        self._asking = RequestDialogue(stores, self._changes, self._judging)
        self._submitting = Submitting(stores, clock, self._observer, pacing, tickets)
        self._expiring = watch_pending(stores, policy, clock, expires_at)
        self._waiting = WaitingRequests(stores, policy, clock, self._changes, self._observer, pacing)

    def submit(  # noqa: PLR0913 - each is a fact of the request.
        self,
        asker: Actor,
        profile: str,
        duration: timedelta,
        justification: str,
        *,
        idempotency_key: str | None = None,
        device: str | None = None,
        device_id: str | None = None,
        on_behalf_of: Actor | None = None,
        bundle: str | None = None,
        starts_at: datetime | None = None,
        ticket: str | None = None,
    ) -> Request:
        """Request access. The request is pending, or approved at once if the policy approves it automatically.

        With `starts_at`, the access opens then, if it is approved by then; `ticket` is what it is for.
        `asker.service` asks for itself, and `device` is the name of the terminal it was asked on, `device_id` which
        one it was. With `on_behalf_of`, that person gets the access: their rules and limits count, the asker may ask
        for the profile too, and nobody decides before they confirm. `bundle` is what requests of one form share. The
        same `idempotency_key` from the same person or service gives the request that it gave the first time. Raises
        InvalidInput, NotAllowed, LimitReached, StoreError; PrincipalUnknown and PrincipalUnavailable when a target of
        the profile can't say which user the requester is.
        """
        name = check_profile_name(profile)
        least, most = JUSTIFICATION_LENGTH
        reason = clean_text("justification", justification, at_least=least, at_most=most)
        people = self._judging()
        subject = on_behalf_of.id if on_behalf_of is not None else asker.id
        attempt = AuditedAttempt(AuditAction.SUBMIT_REFUSED, asker, name, subject=subject)
        with audit_refusals(attempt, self._stores.refusals, self._observer):
            requester = find_requester(people, asker, on_behalf_of)
            asked_by = asker if requester is not asker else None
            rights = find_rights(people.policy, self._principals, requester, name)
            request_id = id_from(RequestId, count_for(asker.id, asker.service), idempotency_key)
            origin = SubmittedFrom(device, device_id, asked_by, bundle, ticket)
            submission = Submission(requester, name, duration, reason, rights, origin, request_id, starts_at)
            return self._submitting.submit(submission, people)

    def submit_several(
        self,
        asker: Actor,
        profiles: Sequence[str],
        duration: timedelta,
        justification: str,
        *,
        idempotency_key: str | None = None,
        on_behalf_of: Actor | None = None,
        starts_at: datetime | None = None,
        ticket: str | None = None,
    ) -> tuple[Submitted, ...]:
        """Request several profiles at once, each decided on its own: a request or the refusal for each, in order.

        Raises InvalidInput when there are none or too many. A single one is the same as `submit`.
        """

        def submit(profile: str, key: str | None, bundle: str | None) -> Request:
            return self.submit(
                asker, profile, duration, justification, idempotency_key=key, on_behalf_of=on_behalf_of, bundle=bundle,
                starts_at=starts_at, ticket=ticket,
            )  # fmt: skip

        return submit_each(asker.id, profiles, idempotency_key, submit)

    def approve(
        self,
        request_id: RequestId,
        approver: Actor,
        comment: str | None = None,
        *,
        duration: timedelta | None = None,
        shown: str | None = None,
        code: str | None = None,
    ) -> Request:
        """Count this approver's vote; the last one needed approves. A second vote by the same person changes nothing.

        `duration` is how much time this vote gives, if less than was asked: the shortest counts. `shown` is the digest
        of what the form showed, `Request.facts_digest`. An earlier vote whose approver lost the right lapses then.
        Raises ApprovalFormNeeded when the rule wants more than a press; NotKnown when nobody could say whether somebody
        still has their right; RequestNotFound, NotAllowed, CodeRefused, LimitReached, InvalidStateTransition (which
        says who decided), InvalidInput, StoreError.
        """
        said = clean_optional_text("comment", comment, at_least=COMMENT_LENGTH[0], at_most=COMMENT_LENGTH[1])
        given = Given(said, shown, code, duration)
        voting = Voting(
            self._stores, self._judging(), self._mfa, approver, given, self._observer, TicketCheck(self._tickets)
        )
        changes = self._changes_with(voting.update)
        attempt = AuditedAttempt(AuditAction.APPROVE_REFUSED, approver)
        return changes.run(attempt, lambda: voting.get(request_id), voting.judge)

    def deny(self, request_id: RequestId, approver: Actor, reason: str) -> Request:
        """Deny the request. Raises like `approve`."""
        why = clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])

        people = self._judging()

        def judge(request: Request, now: datetime) -> tuple[Request, EntryDraft]:
            details: dict[str, JsonValue] = {}
            if request.status is RequestStatus.PENDING:
                decision = people.judge_decider("deny", request, approver, now)
                decision.require()
                details = decision.to_details()
            denied = request.deny(approver.id, now, why)
            return denied, EntryDraft.of(denied, AuditAction.REQUEST_DENIED, approver.id, {**details, "reason": why})

        return self._decide(request_id, approver, AuditAction.DENY_REFUSED, people, judge)

    def cancel(self, request_id: RequestId, person: Actor) -> Request:
        """Cancel your own request, or what you asked for on behalf of somebody.

        Raises RequestNotFound, NotAllowed, InvalidStateTransition, StoreError.
        """
        ids = self._policy.current().ids_of(person.id)

        def judge(request: Request, now: datetime) -> tuple[Request, EntryDraft]:
            # No rule is asked: the requester may cancel it even if the rule no longer exists.
            refuse_other_service(person, request.service, "cancel")
            by = request.find_speaker(ids, "cancel")
            cancelled, using = request.cancel(by, now), acting_as(person.id, by)
            return cancelled, EntryDraft.of(cancelled, AuditAction.REQUEST_CANCELLED, by, using)

        attempt = AuditedAttempt(AuditAction.CANCEL_REFUSED, person)
        return self._changes.run(attempt, lambda: self._stores.requests.get(request_id), judge, ends=True)

    def confirm(self, request_id: RequestId, person: Actor) -> Request:
        """Confirm what somebody asked for on your behalf: from then on, people can decide."""
        return self._asking.confirm(request_id, person)

    def ask(self, request_id: RequestId, approver: Actor, text: str) -> Request:
        """Ask the requester something, while the request waits."""
        return self._asking.ask(request_id, approver, text)

    def answer(self, request_id: RequestId, person: Actor, number: int, text: str) -> Request:
        """Answer a question about your request."""
        return self._asking.answer(request_id, person, number, text)

    def expire_due(self, rest: Rest = no_rest) -> tuple[Request, ...]:
        """Record the end of every request whose deadline has passed. Returns those that this call recorded.

        Any number of instances may do this at once: each request is expired once. `rest` is taken
        between the pages of what is read. Raises StoreUnavailable.
        """
        return self._expiring.change(self._expire_if_overdue, rest)

    def remind_due(self, rest: Rest = no_rest) -> tuple[Request, ...]:
        """Record a reminder for every pending request that has waited for its rule's `remind_after`.

        Returns those that this call recorded. The outbox delivers the reminder, like every change. Any number of
        instances may do this at once: people are reminded of each request once. Raises StoreUnavailable.
        """
        return self._waiting.remind_due(rest)

    def escalate_due(self, rest: Rest = no_rest) -> tuple[Request, ...]:
        """Record every step of a pending request's escalation that has come: its people are notified, once.

        They may decide from the step's moment on, whether or not this was called. Returns those that this call
        recorded. Raises StoreUnavailable.
        """
        return self._waiting.escalate_due(rest)

    def find_access(self, person: UserId, profile: ProfileName) -> Request | None:
        """The approved request that gives this person access to the profile now; of several, the longest-lasting.

        Its access may still be opening. One read of an index, and one of the grants that it finds.
        """
        return find_granting(self._stores, person, profile, self._clock.now())

    def _expire_if_overdue(self, request: Request, now: datetime) -> Request | None:
        return self._changes.expire(request, now) if request.is_overdue(now) else None

    def _decide(
        self,
        request_id: RequestId,
        approver: Actor,
        refused: AuditAction,
        people: Judging,
        judge: Callable[[Request, datetime], tuple[Request, EntryDraft]],
    ) -> Request:
        def get() -> Request:
            return people.noting(self._stores.requests.get_with_notes(request_id))

        return self._changes.run(AuditedAttempt(refused, approver), get, judge)

    def _changes_with(self, update: Callable[[Request, EntryDraft], Request]) -> ChangeRunner[Request]:
        refusals, expired = self._stores.refusals, AuditAction.REQUEST_EXPIRED
        return ChangeRunner(update, expired, refusals, self._clock, self._observer, self._pacing)

    def _judging(self) -> Judging:
        return Judging(self._policy.current(), self._directory)
