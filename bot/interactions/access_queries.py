"""The access that people have now: one's own, and what a person may see of everybody's.

Invariant: nobody sees access that is neither their own nor theirs to revoke. What is shown of a decision is all of its
grants, read after its record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final

from bot.interactions.commands.open_access import NamedAccess
from bot.interactions.list_pages import MAX_READ, Source, cut_page, iterate_records, read_access, read_sessions
from bot.views.access.choice import which_access
from bot.views.access.list import AccessListKind, AccessRow, access_list_page
from bot.views.block_kit import Message, code
from bot.views.break_glass.list import EventRow
from core.access.grant import Grant
from core.access.summary import AccessSummary, summarize, summarize_each
from core.actor import Actor, UserId
from core.break_glass import MAX_DURATION as MAX_EVENT_DURATION
from core.break_glass import BreakGlassEvent, EventId
from core.clock import Clock
from core.directory import Directory
from core.errors import MalformedRecord, NotFound
from core.policy import PolicySource
from core.request import Request, RequestId
from core.request_bounds import OLDEST_LIVE
from core.services.grants import GrantService
from core.services.membership import Judging
from core.stores.base import Stores

CLOCKS_APART: Final = timedelta(minutes=5)
"""How far the clocks of the machines that write may be apart without a delay."""


@dataclass(frozen=True, slots=True)
class OpenAccess:
    """What one person has now: access that a decision gave, and active events for profiles without access."""

    accesses: tuple[AccessSummary, ...]
    events: tuple[BreakGlassEvent, ...]

    def matching(self, named: NamedAccess) -> OpenAccess:
        """What was named by its profile or its id; all of it if nothing was named."""
        if named.is_empty:
            return self
        return OpenAccess(
            tuple(each for each in self.accesses if each.source in named.sources or each.profile == named.profile),
            tuple(each for each in self.events if each.chain in named.sources or each.profile == named.profile),
        )

    def extendable(self) -> OpenAccess:
        """What a new request can follow without a gap."""
        return OpenAccess(tuple(each for each in self.accesses if each.may_extend), ())

    @property
    def sources(self) -> tuple[str, ...]:
        """The chains of the decisions."""
        return (*(each.source for each in self.accesses), *(each.chain for each in self.events))


class AccessQueries:
    """Reads the stores and the policy for one person. Safe for threads. Everything here may raise StoreError."""

    def __init__(
        self, stores: Stores, grants: GrantService, policy: PolicySource, clock: Clock, directory: Directory
    ) -> None:
        self._stores = stores
        self._grants = grants
        self._policy = policy
        self._clock = clock
        self._directory = directory

    def page(self, kind: AccessListKind, person: Actor, number: int) -> Message:
        """One page of who has what now, counted from 1."""
        sources, has_more = cut_page(self._live(person), number)
        rows = self._rows(sources, person)
        return access_list_page(kind, rows, page=number, has_more=has_more, now=self._clock.now())

    def own(self, person: Actor) -> OpenAccess:
        """What this person has now and can end. Two reads of indexes for each of their ids."""
        now, ids = self._clock.now(), self._policy.current().ids_of(person.id)
        grants = [grant for each in ids for grant in self._grants_of(each, now)]
        events = [event for each in ids for event in self._events_of(each, now)]
        accesses = summarize_each(grants, now)
        return OpenAccess(tuple(each for each in accesses if each.may_end), tuple(events))

    def which(self, question: str, choices: OpenAccess, command: str) -> Message:
        """Ask which of several is meant, with the buttons that say so. `command` names another by its profile."""
        events = [EventRow(each, each.expires_at, may_close=True) for each in choices.events]
        rows = [AccessRow(each, may_end=True) for each in choices.accesses]
        more = f"To name another one, add its profile or its id:\n{code(f'{command} prod')}"
        return which_access(question, rows, events, self._clock.now(), more=more)

    def ids_of(self, person: Actor) -> tuple[UserId, ...]:
        """All ids of this person."""
        return self._policy.current().ids_of(person.id)

    def find(self, sources: Sequence[str]) -> str | None:
        """The first of these chains whose record exists, whether it can be read or not; None if none does."""
        for source in sources:
            with suppress(NotFound):
                try:
                    return self.get(source).chain
                except MalformedRecord:
                    return source
        return None

    def get(self, source: str) -> Source:
        """The record of a chain. Raises RequestNotFound or EventNotFound."""
        kind, _, record_id = source.partition("#")
        if kind == BreakGlassEvent.KIND:
            return self._stores.break_glass.get(EventId(record_id))
        return self._stores.requests.get(RequestId(record_id))

    def summary(self, record: Source) -> AccessSummary | None:
        """The access that a decision gave; None for a profile without access."""
        return read_access(self._stores.access, [record], self._clock.now()).get(record.chain)

    def summarize(self, grants: Sequence[Grant]) -> AccessSummary | None:
        """What these grants of one decision are now; None if there are none. Reads nothing."""
        return summarize(grants, self._clock.now())

    def profiles(self, sources: Sequence[str]) -> Mapping[str, str]:
        """The profile of each of these decisions, as far as their records can be read."""
        return {chain: record.profile for chain, record in self._records(sources).items()}

    def _live(self, person: Actor) -> Iterator[str]:
        """The sources of live grants that this person may see, newest first."""
        grants = iterate_records(lambda cursor: self._grants.list_live(person, cursor=cursor))
        # The grants of one decision are made at one moment; those of another may be between them.
        for _, made in groupby(grants, key=attrgetter("created_at")):
            yield from dict.fromkeys(grant.source for grant in made)

    def _rows(self, sources: Sequence[str], person: Actor) -> list[AccessRow]:
        people, now = Judging(self._policy.current(), self._directory), self._clock.now()
        records, own = self._records(sources), people.policy.ids_of(person.id)
        found = read_access(self._stores.access, records.values(), now)

        def may_revoke(record: Source) -> bool:
            return people.judge(
                person,
                lambda known: people.policy.judge_revoke(
                    known, profile=record.profile, rule=record.rule, source_kind=record.KIND
                ),
            ).is_allowed

        sessions = read_sessions(self._stores.sessions, found.values())
        rows = [
            AccessRow(access, access.grantee in own, may_revoke(records[access.source]), sessions[access.source])
            for access in found.values()
        ]
        return sorted(rows, key=lambda row: (not row.access.is_overdue, sources.index(row.access.source)))

    def _records(self, sources: Sequence[str]) -> dict[str, Source]:
        ids: dict[str, list[str]] = {Request.KIND: [], BreakGlassEvent.KIND: []}
        for source in sources:
            kind, _, record_id = source.partition("#")
            ids[kind].append(record_id)
        found: list[Source] = []
        for start in range(0, len(sources), MAX_READ):
            some = slice(start, start + MAX_READ)
            if requests := ids[Request.KIND][some]:
                found += self._stores.requests.get_each(requests)
            if events := ids[BreakGlassEvent.KIND][some]:
                found += self._stores.break_glass.get_each(events)
        return {each.chain: each for each in found}

    def _grants_of(self, person: UserId, now: datetime) -> Iterator[Grant]:
        since = now - OLDEST_LIVE - CLOCKS_APART
        store = self._stores.access
        return iterate_records(lambda cursor: store.list_by_person(person, cursor=cursor, since=since))

    def _events_of(self, person: UserId, now: datetime) -> Iterator[BreakGlassEvent]:
        since = now - MAX_EVENT_DURATION - CLOCKS_APART
        store = self._stores.break_glass
        events = iterate_records(lambda cursor: store.list_by_invoker(person, cursor=cursor, since=since))
        return (each for each in events if each.is_granting(now) and not each.rights)
