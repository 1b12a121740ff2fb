"""The break-glass events that one person can see, and the profiles for which they can break the glass.

Invariant: a person sees an event only if it is their own or they can close or review it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from bot.interactions.list_pages import cut_page, home_section, iterate_records
from bot.slack.app_surface import BREAK_GLASS
from bot.views.block_kit import Block, Message
from bot.views.break_glass.form import BreakGlassDraft, BreakGlassOffer, Origin, break_glass_form
from bot.views.break_glass.list import NOTHING, BreakGlassListKind, EventRow, event_list_page, event_row
from bot.views.break_glass.replies import NOTHING_TO_DECLARE
from bot.views.home import MAX_ROWS, HomeSection
from bot.views.replies import notice, reply
from core.actor import Actor
from core.break_glass import BreakGlassEvent, EventStatus
from core.clock import Clock
from core.policy import PolicySource
from core.policy.rules import Mfa
from core.request import Request
from core.stores.base import BreakGlassStore


class BreakGlassQueries:
    """Reads the store and the policy for one person. Safe for threads. Everything here may raise StoreError."""

    def __init__(self, store: BreakGlassStore, policy: PolicySource, clock: Clock) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock

    def page(self, kind: BreakGlassListKind, person: Actor, number: int) -> Message:
        """One page of a list, counted from 1."""
        shown, has_more = cut_page(self._rows(kind, person), number)
        return event_list_page(kind, shown, page=number, has_more=has_more, now=self._clock.now())

    def sections(self, person: Actor) -> tuple[HomeSection, ...]:
        """The sections of the person's Home tab; none for a person who can neither declare, close nor review."""
        now, sections = self._clock.now(), list[HomeSection]()
        for kind in BreakGlassListKind:
            rows = list(islice(self._rows(kind, person), MAX_ROWS + 1))
            if rows or self.may_declare(person):
                command = f"{BREAK_GLASS} {kind}"
                sections.append(
                    home_section(
                        kind.heading, rows, NOTHING[kind], draw=lambda row: event_row(row, now), command=command
                    )
                )
        return tuple(sections)

    def may_declare(self, person: Actor, profile: str | None = None) -> bool:
        """True when a rule lets this person break the glass, for this profile or for any."""
        policy = self._policy.current()
        if profile is not None:
            return policy.break_glass_terms_for(profile, person) is not None
        return bool(policy.declarable_profiles(person))

    def needs_code(self, person: Actor, profile: str) -> bool:
        """True when this person has to enter an MFA code, for which only the form has a field."""
        terms = self._policy.current().break_glass_terms_for(profile, person)
        return terms is not None and terms.mfa is Mfa.REQUIRED

    def form(
        self, person: Actor, origin: Origin, *, begun: BreakGlassDraft | None = None, replaced: Request | None = None
    ) -> Block:
        """The form to break the glass, with the profiles this person can declare, or a notice that there are none."""
        offers = tuple(self._offers(person))
        if replaced is not None:
            offers = tuple(offer for offer in offers if offer.profile == replaced.profile)
        if not offers:
            return notice(reply(NOTHING_TO_DECLARE))
        return break_glass_form(offers, origin, begun=begun, replaced=replaced)

    def _offers(self, person: Actor) -> Iterator[BreakGlassOffer]:
        policy = self._policy.current()
        for profile in policy.declarable_profiles(person):
            terms = policy.break_glass_terms_for(profile.name, person)
            if terms is not None:
                yield BreakGlassOffer(
                    profile=profile.name,
                    description=profile.description,
                    reason_codes=terms.allowed_reason_codes,
                    max_duration=terms.max_duration,
                    needs_code=terms.mfa is Mfa.REQUIRED,
                )

    def _rows(self, kind: BreakGlassListKind, person: Actor) -> Iterator[EventRow]:
        if kind is BreakGlassListKind.ACTIVE:
            return self._live(person)
        # The longest overdue first.
        return iter(sorted(self._to_review(person), key=lambda row: row.review_due))

    def _live(self, person: Actor) -> Iterator[EventRow]:
        policy, now = self._policy.current(), self._clock.now()
        for event in iterate_records(lambda cursor: self._store.list_by_status(EventStatus.ACTIVE, cursor=cursor)):
            if not event.is_granting(now):
                continue
            if policy.judge_close(person, profile=event.profile, invoker=event.invoker).is_allowed:
                yield EventRow(event, self._due(event), may_close=True)

    def _to_review(self, person: Actor) -> Iterator[EventRow]:
        policy = self._policy.current()
        for event in iterate_records(lambda cursor: self._store.list_waiting_for_review(cursor=cursor)):
            if policy.judge_review(person, profile=event.profile, invoker=event.invoker).is_allowed:
                yield EventRow(event, self._due(event), may_review=True)

    def _due(self, event: BreakGlassEvent) -> datetime:
        return event.review_due_at(self._policy.current().notifications.times_of(event.rule).review_within)
