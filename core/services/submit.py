"""Submit a request: judge the person, the bounds and the limits, and commit the request with the ledger that lists it.

Invariant: a limit is judged on the ledger of the person's open requests, which moves in the transaction that creates
the request. The rights that approval will give are found before anything is written, and kept. One read and one write;
one read more when the ledger lists requests that may still be open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from core.access.right import Right, right_key
from core.actor import Actor, ProfileName, UserId, by_policy
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock, format_time
from core.directory import DirectoryNotes
from core.duration import to_nanoseconds
from core.errors import InvalidInput, LimitReached, MalformedRecord, NotAllowed, NotFound, RequestExists
from core.open_requests import OpenRequests, RequestLimits, count_for, find_request_limit
from core.policy import RequestDecision
from core.request import Request, RequestId
from core.services.granting import grants_of_request, observe
from core.services.ledger_recovery import alert_unreadable
from core.services.membership import Judging
from core.services.observer import Observer
from core.services.pacing import Pacing
from core.services.scheduling import find_start_mistake
from core.services.service_actors import refuse_service
from core.services.ticket_check import CheckedTicket, TicketCheck, TicketChecks, with_ticket
from core.services.use_case import find_own, retry_on_conflict
from core.stores.base import Stores

REQUEST_REFUSED: Final = "request_refused"
"""The outcome in the audit entry of a ledger that can't be read."""
_log = logging.getLogger("countersign.ledgers")


@dataclass(frozen=True, slots=True)
class SubmittedFrom:
    """Where a request comes from.

    `device` is the name of the terminal that it was asked on, `device_id` which one it was; `asked_by` asked for it on
    behalf of the requester; `bundle` is what the requests of one form have in common; `ticket` is what it is for.
    """

    device: str | None = None
    device_id: str | None = None
    asked_by: Actor | None = None
    bundle: str | None = None
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody requests, with its text checked. `find_rights` asks the targets who the requester is."""

    requester: Actor
    profile: ProfileName
    duration: timedelta
    justification: str
    find_rights: Callable[[], tuple[Right, ...]] = tuple
    origin: SubmittedFrom = SubmittedFrom()
    request_id: RequestId | None = None
    starts_at: datetime | None = None


def find_requester(people: Judging, asker: Actor, on_behalf_of: Actor | None) -> Actor:
    """Who gets the access: the asker, or somebody else whom they ask for. Raises InvalidInput, NotAllowed."""
    if on_behalf_of is None or on_behalf_of.id == asker.id:
        return asker
    refuse_service(asker, "ask for somebody else")
    if on_behalf_of.id in people.policy.ids_of(asker.id):
        problem = f"{on_behalf_of.id} and {asker.id} are one person"
        raise InvalidInput("on_behalf_of", problem, "Ask for yourself.")
    return on_behalf_of.owner


class Submitting:
    """Decides on submissions. Safe for threads."""

    def __init__(
        self, stores: Stores, clock: Clock, observer: Observer, pacing: Pacing, tickets: TicketChecks | None = None
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._observer = observer
        self._pacing = pacing
        self._tickets = tickets

    def submit(self, submission: Submission, people: Judging) -> Request:
        """Judge the submission and commit the request; again after each conflict. Raises like RequestService.submit."""
        check = TicketCheck(self._tickets)
        return retry_on_conflict(lambda: self._decide(submission, people, check), self._observer, self._pacing)

    def _decide(self, submission: Submission, people: Judging, check: TicketCheck) -> Request:
        """Judge the submission on what is stored now. Raises ConcurrentModification, too."""
        # All ids of one person have one ledger, so that a limit counts the person; a service has one of its own.
        person = people.policy.ids_of(submission.requester.id)
        counted = count_for(person[0], submission.requester.service)
        ledger = people.noting(self._read_ledger(counted, submission.profile))
        now = self._clock.now()
        decision = people.judge(
            submission.requester,
            lambda known: people.policy.judge_request(
                known, submission.profile, submission.duration, now, submission.starts_at
            ),
        )
        is_listed = submission.request_id is not None and ledger.has(submission.request_id)
        start = find_start_mistake(submission.starts_at, now)
        known = self._find_known(submission) if is_listed or start or not decision.is_allowed else None
        if known is not None:
            # The same request, delivered again: a policy that changed since then does not undo it.
            return known
        if start is not None:
            raise start
        decision.require()
        if (asker := submission.origin.asked_by) is not None:
            people.judge(asker, lambda known: people.policy.judge_asking(known, submission.profile)).require()
        try:
            ticket = _find_ticket(submission, decision, people, check)
            listed = self._refuse_at_limit(ledger, submission.requester, person, decision.limits, now)
            checked = check.require(people.policy, "request", decision.rule, ticket, submission.requester)
        except (LimitReached, NotAllowed, InvalidInput):
            # The same request, delivered again: what counts may be this very request, or one that came after it, and
            # its ticket may be closed by now.
            if (known := self._find_known(submission)) is not None:
                return known
            raise
        return self._create(submission, with_ticket(people.policy, decision, checked), ledger, listed, checked)

    def _read_ledger(self, owner: str, profile: ProfileName) -> tuple[OpenRequests, DirectoryNotes]:
        """The ledger, with the notes. One that can't be read refuses the request, loudly: this is no emergency."""
        try:
            return self._stores.requests.get_open(owner, profile)
        except MalformedRecord as damage:
            _log.error("a ledger can't be read, so the request is refused: %s", damage)
            ledger = OpenRequests.of(owner, profile).owner
            alert_unreadable(self._stores, self._observer, ledger, profile, damage, REQUEST_REFUSED)
            raise

    def _refuse_at_limit(
        self, ledger: OpenRequests, requester: Actor, person: Sequence[UserId], limits: RequestLimits, now: datetime
    ) -> tuple[Request, ...]:
        """The person's, or the service's, listed requests as they are now.

        Raises LimitReached, BrokenSeal, MalformedRecord.
        """
        ids = ledger.listed(now)
        found = self._stores.requests.get_each(ids) if ids else ()
        for missing in sorted(set(ids) - {each.id for each in found}):
            # One that can't be read may still be open: to damage it must make no room for another.
            with suppress(NotFound):
                found = (*found, self._stores.requests.get(RequestId(missing)))
        # A service that has a new owner is the same service.
        same = tuple(each for each in found if each.service == requester.service)
        listed = tuple(each for each in same if each.service is not None or each.requester in person)
        hit = find_request_limit(listed, limits, now)
        if hit is not None:
            raise LimitReached(hit.limit, hit.value, hit.ends_at)
        return listed

    def _create(
        self,
        submission: Submission,
        decision: RequestDecision,
        ledger: OpenRequests,
        listed: tuple[Request, ...],
        checked: CheckedTicket | None,
    ) -> Request:
        rights = submission.find_rights()
        # A target may have taken its time, which is not taken from the requester's.
        now = self._clock.now()
        request = _make(submission, decision, rights, now, checked)
        details = _details(request, decision) | (checked.to_details() if checked is not None else {})
        asker = request.asked_by or request.requester
        entries = [EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, asker, details)]
        moved: OpenRequests | None = ledger.add(request, listed, decision.limits, now)
        # What somebody else asks for, people decide, once the requester has confirmed it.
        automatic = decision.auto_approval if request.asked_by is None else None
        if automatic is not None and automatic.is_allowed:
            request = request.approve_by_policy(now)
            details = automatic.to_details() | window(request)
            entries.append(EntryDraft.of(request, AuditAction.REQUEST_APPROVED, by_policy(request.rule), details))
            # It was never open.
            moved = None
        grants = grants_of_request(request)
        try:
            created = self._stores.requests.create(request, *entries, ledger=moved, grants=grants)
        except RequestExists:
            existing = self._find_known(submission)
            if existing is None:
                raise
            return existing
        for entry in entries:
            self._observer.committed(created, entry.event)
        observe(grants, self._observer)
        return created

    def _find_known(self, submission: Submission) -> Request | None:
        known = find_own(self._stores.requests.get, submission.request_id, submission.requester.id)
        asker = submission.origin.asked_by.id if submission.origin.asked_by is not None else None
        is_same = known is not None and (known.service, known.asked_by) == (submission.requester.service, asker)
        return known if is_same else None


def _find_ticket(submission: Submission, decision: RequestDecision, people: Judging, check: TicketCheck) -> str | None:
    given, is_shared = submission.origin.ticket, submission.origin.bundle is not None
    return check.find(people.policy, decision.rule, given, submission.justification, is_shared=is_shared)


def _make(
    submission: Submission,
    decision: RequestDecision,
    rights: tuple[Right, ...],
    now: datetime,
    checked: CheckedTicket | None,
) -> Request:
    request = Request.submit(
        requester=submission.requester.id,
        profile=submission.profile,
        justification=submission.justification,
        duration=submission.duration,
        rule=decision.rule or "",
        required_approvals=decision.required_approvals,
        decide_within=decision.decide_within,
        rights=rights,
        now=now,
        request_id=submission.request_id,
    )
    if submission.starts_at is not None:
        request = request.schedule(submission.starts_at)
    origin = submission.origin
    said = {
        "service": submission.requester.service,
        "device": origin.device,
        "device_id": origin.device_id,
        "asked_by": origin.asked_by.id if origin.asked_by is not None else None,
        "bundle": origin.bundle,
        "ticket": checked.ticket if checked is not None else None,
        "ticket_problem": checked.problem if checked is not None else None,
    }
    return request.replace(**said) if any(said.values()) else request


def window(request: Request) -> dict[str, JsonValue]:
    """The details of an approval's entry that say when the access ends, and when it opens if that is later."""
    ends_at: dict[str, JsonValue] = {"access_ends_at": format_time(request.life_ends_at())}
    if request.starts_at is None or request.access_opens_at is None:
        return ends_at
    return {"access_opens_at": format_time(request.access_opens_at), **ends_at}


def _details(request: Request, decision: RequestDecision) -> dict[str, JsonValue]:
    rights: dict[str, JsonValue] = {"rights": [right_key(each) for each in request.rights]} if request.rights else {}
    return {
        **decision.to_details(),
        "justification": request.justification,
        "duration": to_nanoseconds(request.duration),
        "required_approvals": request.required_approvals,
        "expires_at": format_time(request.expires_at),
        **({"starts_at": format_time(request.starts_at)} if request.starts_at is not None else {}),
        **rights,
        **origin(request),
    }


def origin(request: Request) -> dict[str, JsonValue]:
    """The details of a first entry that say where it comes from: device, service, who asked, its form, its ticket."""
    said: dict[str, JsonValue] = {
        "service": request.service, "device": request.device, "device_id": request.device_id,
        "asked_by": request.asked_by, "bundle": request.bundle, "ticket": request.ticket,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}
