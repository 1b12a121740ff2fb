"""The requests that one person can see: their own, and those that are waiting for their decision.

Invariant: nobody is shown any other request: a profile's channel may be private.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from bot.interactions.abilities import find_abilities
from bot.interactions.list_pages import HomeList, cut_page, iterate_records, read_access, read_sessions
from bot.interactions.offers import first_offers, request_offers, search_profiles
from bot.views.block_kit import Block, Message
from bot.views.help import Abilities
from bot.views.home import MAX_COUNTED, HomeRow
from bot.views.home_state import SectionKey
from bot.views.mentions import mention_deciders
from bot.views.replies import NOTHING_TO_REQUEST, not_requestable, notice, reply
from bot.views.request.form import NOTHING_BEGUN, BegunRequest, request_form
from bot.views.request.list import ListKind, RequestRow, list_page, list_row
from bot.views.request.waiting import WaitingTerms, closed_hours
from core.actor import Actor
from core.clock import Clock
from core.directory import Directory
from core.policy import Policy, PolicySource
from core.policy.decision import ApprovalNeeds
from core.policy.rules import ApprovalRule
from core.request import Request, RequestId, RequestStatus
from core.services.membership import Judging
from core.stores.access import AccessStore
from core.stores.base import RequestStore
from core.stores.sessions import SessionStore


class RequestQueries:
    """Reads the store and the policy for one person. Safe for threads. Everything here may raise StoreError."""

    def __init__(
        self,
        store: RequestStore,
        policy: PolicySource,
        clock: Clock,
        directory: Directory,
        access: AccessStore,
        sessions: SessionStore,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._access = access
        self._policy = policy
        self._clock = clock
        self._directory = directory

    def page(self, kind: ListKind, person: Actor, number: int) -> Message:
        """One page of a list, counted from 1."""
        found = self._mine(person) if kind is ListKind.MINE else self._waiting_for(person)
        shown, has_more = cut_page(found, number)
        rows = self._with_access(shown)
        return list_page(kind, rows, page=number, has_more=has_more, now=self._clock.now())

    def home_lists(self, person: Actor) -> tuple[HomeList[RequestRow], ...]:
        """What the person's Home tab has of requests."""
        now = self._clock.now()
        waiting = list(islice(self._waiting_for(person), MAX_COUNTED))
        # What gives access now is among somebody's latest hundred requests.
        mine = list(islice(self._mine(person), MAX_COUNTED))
        granting = self._with_access([row for row in mine if row.request.has_time_left(now)])
        live = [row for row in granting if row.access is None or row.access.is_live]
        shown = {row.request.id for row in live}
        others = [row for row in mine if row.request.id not in shown]
        return (
            HomeList(SectionKey.DECIDE, waiting, self._draw),
            HomeList(SectionKey.ACCESS, live, self._draw),
            HomeList(SectionKey.REQUESTS, others, lambda rows: self._draw(self._with_access(rows))),
        )

    def profile_names(self) -> Collection[str]:
        """The names of all profiles."""
        return self._policy.current().document.profiles.keys()

    def is_ticket(self, word: str) -> bool:
        """True for what is a ticket by its form, where a rule asks for one."""
        return self._policy.current().tickets.is_ticket(word)

    def abilities(self, person: Actor) -> Abilities:
        """What this person can do here at all."""
        return find_abilities(self._policy, self._directory, person)

    def longest(self, person: Actor, profile: str) -> timedelta | None:
        """The longest time for which this person may request the profile; None: not at all."""
        terms = self._terms(person, profile)
        return terms.max_duration if terms is not None else None

    def starts_within(self, person: Actor, profile: str) -> timedelta | None:
        """How far ahead this person may request the profile; None: only from now on."""
        terms = self._terms(person, profile)
        return terms.starts_within if terms is not None else None

    def may_request(self, person: Actor) -> bool:
        """False when it is certain that no rule lets this person request anything."""
        people = self._judging()
        known = people.ask(person, people.policy.needed_to_request)
        return bool(people.policy.requestable_profiles(known) or people.policy.needed_to_request(known))

    def _terms(self, person: Actor, profile: str) -> ApprovalRule | None:
        people = self._judging()
        return people.policy.terms_for(profile, people.ask(person, people.policy.needed_to_request))

    def _draw(self, rows: Sequence[RequestRow]) -> list[HomeRow]:
        now = self._clock.now()
        return [HomeRow(row.request.id, list_row(row, now)) for row in rows]

    def may_declare(self, person: Actor, profile: str) -> bool:
        """True when this person can break the glass instead of waiting."""
        people = self._judging()
        return _may_declare(people.policy, people.ask(person, people.policy.needed_to_declare), profile)

    def closed_hours(self, request: Request) -> str:
        """That its approvers can't approve it yet, and who can until then; "" for one that doesn't wait for that."""
        if request.status is not RequestStatus.PENDING or request.awaits_confirmation:
            return ""
        policy, now = self._policy.current(), self._clock.now()
        waiting, about = policy.waiting, (request.rule, request.profile)
        anytime = policy.notifications.people.leaves(waiting.anytime(*about, waiting.urgent_since(request), now))
        steps = waiting.steps_of(request)
        terms = WaitingTerms(
            next_step=next((each for each in steps if now < each.at < request.expires_at), None),
            hours=waiting.hours(*about),
            anytime=mention_deciders(anytime, leave_out={request.requester}),
        )
        return closed_hours(terms, request, now)

    def form(self, person: Actor, begun: BegunRequest = NOTHING_BEGUN) -> Block:
        """The form to request access, with the profiles this person can request, or a notice that there are none.

        What is `begun` is filled in; to extend access, its profile is all that is offered. Raises NotKnown when Slack
        couldn't say whether there are any.
        """
        people = self._judging()
        known = people.ask(person, people.policy.needed_to_request)
        offers = request_offers(people.policy, known, search_profiles(people.policy, ""))
        if begun.extended is not None:
            offers = (offer for offer in offers if offer.profile in begun.profiles)
        if shown := first_offers(offers, begun.profiles):
            return request_form(shown, begun)
        people.require_known(known, people.policy.needed_to_request(known))
        return notice(reply(not_requestable(begun.profiles[0]) if begun.extended is not None else NOTHING_TO_REQUEST))

    def to_approve(self, request_id: RequestId, person: Actor) -> tuple[Request, ApprovalNeeds]:
        """A pending request as it is recorded, for its approver, and what the rule wants with an approval.

        Decides nothing. Raises RequestNotFound, NotAllowed and InvalidStateTransition, as approving would.
        """
        people = self._judging()
        request = people.noting(self._store.get_with_notes(request_id))
        # Everybody who is late learns who decided, whatever their rights.
        now = self._clock.now()
        request.approve(person.id, now)
        people.judge_decider("approve", request, person, now).require()
        return request, people.policy.approval_needs(request.rule)

    def _with_access(self, rows: Sequence[RequestRow]) -> list[RequestRow]:
        """The same rows with the access that each request gave, which is one read, and the sessions of what is live."""
        found = read_access(self._access, [row.request for row in rows], self._clock.now())
        sessions = read_sessions(self._sessions, [each for each in found.values() if each.is_live])
        return [
            replace(row, access=found.get(chain := row.request.chain), sessions=sessions.get(chain, ())) for row in rows
        ]

    def _mine(self, person: Actor) -> Iterator[RequestRow]:
        people = self._judging()
        known = people.ask(person, people.policy.needed_to_declare)
        for request in iterate_records(lambda cursor: self._store.list_by_requester(person.id, cursor=cursor)):
            # Break-glass opens now: it's nothing instead of access that starts later.
            may_declare = request.starts_at is None and _may_declare(people.policy, known, request.profile)
            yield RequestRow(request, may_cancel=True, may_declare=may_declare)

    def _waiting_for(self, person: Actor) -> Iterator[RequestRow]:
        people = self._judging()
        for request in iterate_records(lambda cursor: self._store.list_by_status(RequestStatus.PENDING, cursor=cursor)):
            if self._waits_for(people, request, person):
                yield RequestRow(
                    request, may_decide=True, approve_from=_find_opening(people, request, person, self._clock.now())
                )

    def _waits_for(self, people: Judging, request: Request, person: Actor) -> bool:
        if request.awaits_confirmation:
            return False
        now = self._clock.now()
        if request.is_overdue(now) or request.has_approval_by(people.find_vote(request, person.id)):
            return False
        # They may deny it at any hour.
        return people.judge_decider("deny", request, person, now).is_allowed

    def _judging(self) -> Judging:
        return Judging(self._policy.current(), self._directory)


def _find_opening(people: Judging, request: Request, person: Actor, now: datetime) -> datetime | None:
    """When the approver hours open for somebody who can't approve before then; None for everybody else."""
    hours = people.policy.waiting.hours(request.rule, request.profile)
    if hours is None or people.judge_decider("approve", request, person, now).is_allowed:
        return None
    return hours.next_opening(now)


def _may_declare(policy: Policy, person: Actor, profile: str) -> bool:
    return policy.break_glass_terms_for(profile, person) is not None
