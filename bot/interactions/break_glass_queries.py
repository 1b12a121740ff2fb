"""The break-glass events that one person can see, and the profiles for which they can break the glass.

Invariant: a person sees an event only if it is their own or they can close or review it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from bot.interactions.list_pages import HomeList, cut_page, iterate_records, read_access
from bot.interactions.offers import break_glass_offers, first_offers, search_profiles
from bot.views.block_kit import Block, Message
from bot.views.break_glass.form import BegunBreakGlass, Origin, break_glass_form
from bot.views.break_glass.list import BreakGlassListKind, EventRow, event_list_page, event_row
from bot.views.break_glass.replies import NOTHING_TO_DECLARE
from bot.views.home import MAX_COUNTED, HomeRow
from bot.views.home_state import SectionKey
from bot.views.mentions import mention_deciders
from bot.views.replies import notice, reply
from core.actor import Actor, UserId
from core.break_glass import BreakGlassEvent, EventStatus
from core.clock import Clock
from core.directory import Directory
from core.policy import PolicySource
from core.policy.rules import Mfa
from core.request import Request
from core.services.membership import Judging
from core.stores.access import AccessStore
from core.stores.base import BreakGlassStore


class BreakGlassQueries:
    """Reads the store and the policy for one person. Safe for threads. Everything here may raise StoreError."""

    def __init__(
        self, store: BreakGlassStore, policy: PolicySource, clock: Clock, directory: Directory, access: AccessStore
    ) -> None:
        self._store = store
        self._access = access
        self._policy = policy
        self._clock = clock
        self._directory = directory

    def page(self, kind: BreakGlassListKind, person: Actor, number: int) -> Message:
        """One page of a list, counted from 1."""
        shown, has_more = cut_page(self._rows(kind, person), number)
        rows = self._with_access(shown)
        return event_list_page(kind, rows, page=number, has_more=has_more, now=self._clock.now())

    def home_lists(self, person: Actor) -> tuple[HomeList[EventRow], ...]:
        """What the person's Home tab has of events."""
        to_review = self._rows(BreakGlassListKind.REVIEWS, person)
        return (
            HomeList(SectionKey.EVENTS, list(islice(self._live(person), MAX_COUNTED)), self._draw),
            HomeList(SectionKey.REVIEW, list(islice(to_review, MAX_COUNTED)), self._draw),
            HomeList(SectionKey.OWN_EVENTS, list(islice(self._own_to_review(person), MAX_COUNTED)), self._draw),
        )

    def _draw(self, rows: Sequence[EventRow]) -> list[HomeRow]:
        now = self._clock.now()
        return [HomeRow(row.event.id, event_row(row, now)) for row in self._with_access(rows)]

    def _own_to_review(self, person: Actor) -> Iterator[EventRow]:
        """The person's own events that ended, and that others have to review."""
        policy, now = self._policy.current(), self._clock.now()
        for each in policy.ids_of(person.id):
            for event in islice(self._made_by(each), MAX_COUNTED):
                if event.review is None and not event.is_granting(now):
                    reviewers = policy.notifications.reviewers_of(event.profile)
                    waits_for = mention_deciders(reviewers, leave_out=policy.ids_of(event.invoker))
                    yield EventRow(event, self._due(event), waits_for=waits_for)

    def _made_by(self, invoker: UserId) -> Iterator[BreakGlassEvent]:
        return iterate_records(lambda cursor: self._store.list_by_invoker(invoker, cursor=cursor))

    def may_declare(self, person: Actor, profile: str | None = None) -> bool:
        """True when a rule lets this person break the glass, for this profile or for any."""
        people = self._judging()
        policy, known = people.policy, people.ask(person, people.policy.needed_to_declare)
        if profile is not None:
            return policy.break_glass_terms_for(profile, known) is not None
        return bool(policy.declarable_profiles(known))

    def longest(self, person: Actor, profile: str) -> timedelta | None:
        """The longest time for which this person may break the glass for the profile; None: not at all."""
        people = self._judging()
        known = people.ask(person, people.policy.needed_to_declare)
        terms = people.policy.break_glass_terms_for(profile, known)
        return terms.max_duration if terms is not None else None

    def needs_code(self, person: Actor, profile: str) -> bool:
        """True when this person has to enter an MFA code, for which only the form has a field.

        Never waits: while it isn't known which rule decides, it is True if any rule needs a code.
        """
        policy = self._policy.current()
        terms = policy.break_glass_terms_for(profile, person)
        if terms is None and policy.needed_to_declare(person):
            return policy.may_need_code(profile)
        return terms is not None and terms.mfa is Mfa.REQUIRED

    def form(
        self, person: Actor, origin: Origin, *, begun: BegunBreakGlass | None = None, replaced: Request | None = None
    ) -> Block:
        """The form to break the glass, with the profiles this person can declare, or a notice that there are none.

        Raises NotKnown when Slack couldn't say whether there are any.
        """
        people = self._judging()
        known = people.ask(person, people.policy.needed_to_declare)
        offers = break_glass_offers(people.policy, known, search_profiles(people.policy, ""))
        if replaced is not None:
            offers = (offer for offer in offers if offer.profile == replaced.profile)
        wanted = (begun.profile,) if begun is not None and begun.profile is not None else ()
        shown = first_offers(offers, wanted)
        if not shown:
            people.require_known(known, people.policy.needed_to_declare(known))
            return notice(reply(NOTHING_TO_DECLARE))
        return break_glass_form(shown, origin, begun=begun, replaced=replaced)

    def _with_access(self, rows: Sequence[EventRow]) -> list[EventRow]:
        """The same rows with the access that each event gave. One read, however many rows there are."""
        found = read_access(self._access, [row.event for row in rows], self._clock.now())
        return [replace(row, access=found.get(row.event.chain)) for row in rows]

    def _rows(self, kind: BreakGlassListKind, person: Actor) -> Iterator[EventRow]:
        if kind is BreakGlassListKind.ACTIVE:
            return self._live(person)
        # The longest overdue first.
        return iter(sorted(self._to_review(person), key=lambda row: row.review_due))

    def _live(self, person: Actor) -> Iterator[EventRow]:
        people, now = self._judging(), self._clock.now()
        for event in iterate_records(lambda cursor: self._store.list_by_status(EventStatus.ACTIVE, cursor=cursor)):
            if not event.is_granting(now):
                continue
            if people.judge_close(event, person).is_allowed:
                yield EventRow(event, self._due(event), may_close=True)

    def _to_review(self, person: Actor) -> Iterator[EventRow]:
        people = self._judging()
        for event in iterate_records(lambda cursor: self._store.list_waiting_for_review(cursor=cursor)):
            if people.judge_review(event, person).is_allowed:
                yield EventRow(event, self._due(event), may_review=True)

    def _due(self, event: BreakGlassEvent) -> datetime:
        return event.review_due_at(self._policy.current().notifications.times_of(event.rule).review_within)

    def _judging(self) -> Judging:
        return Judging(self._policy.current(), self._directory)
