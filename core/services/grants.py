"""The use cases of access that a decision gave: find it, end it early, list who has what, remind before the end.

Invariant: access ends for all rights of a decision at once. What is ended is judged on what is stored now; who ended it
first is named to those who come later. Ending somebody's access never waits for another's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from itertools import chain
from typing import Final

from core.access.grant import Grant, GrantStatus
from core.actor import Actor, UserId
from core.audit.trail import AuditAction
from core.break_glass import REASON_LENGTH, EventStatus
from core.clock import Clock, is_trusted
from core.directory import Directory, UnknownDirectory
from core.errors import CountersignError, InvalidStateTransition, NotAllowed
from core.policy import Decision, PolicySource
from core.request import Request
from core.request_bounds import MAX_STARTS_WITHIN, OLDEST_LIVE
from core.services.due import Rest, no_rest
from core.services.ending import EarlyEnds, Ending, GivesAccess, read_source
from core.services.ending_soon import EndingSoon
from core.services.left_open import LeftOpen
from core.services.membership import Judging
from core.services.observer import Observer, Unobserved
from core.services.open_access import read_grants
from core.services.pacing import PACING, Pacing
from core.services.service_actors import refuse_other_service, refuse_service
from core.services.use_case import AuditedAttempt, audit_refusals
from core.stores.base import Stores
from core.stores.record_store import DEFAULT_LIMIT, Page, iterate_newest_first
from core.text import clean_text

DONE: Final = "No longer needed"
"""The reason of an end by the person who has the access."""
DEPARTED: Final = "No longer an active member of the workspace"
MAX_PASSES: Final = 3
"""How often a person's access is listed again, for what was decided meanwhile."""
MAX_PAGES: Final = 20
"""How many pages are read for one that is shown, of which much may be hidden."""
FULL_ENOUGH: Final = 20
OWN_SINCE: Final = timedelta(days=7) + MAX_STARTS_WITHIN
"""How old access may be that a person sees in their own list: it has ended long before, or its revoke keeps failing."""
_LISTED_SINCE: Final = OLDEST_LIVE + timedelta(hours=1)
"""No grant that still has time is older, though it opens late; with room for clocks that differ."""
NOT_YOURS: Final = "only the person who has the access can give it back; approvers and admins can revoke it"
_log = logging.getLogger("countersign.access")


@dataclass(frozen=True, slots=True)
class EndFailure:
    """Access of a person that could not be ended: the chain of its decision, and why."""

    source: str
    problem: str


@dataclass(frozen=True, slots=True)
class AccessEnds:
    """What became of all access of a person: the chains of the decisions whose access ended, and those that failed."""

    ended: tuple[str, ...]
    failed: tuple[EndFailure, ...]


class GrantService:
    """End access early, and list it. Safe for threads, and for any number of processes.

    `source` is the chain of the decision that gave the access: `REQUEST#…` or `BREAKGLASS#…`.
    """

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        observer: Observer | None = None,
        *,
        directory: Directory | None = None,
        pacing: Pacing = PACING,
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._observer = observer or Unobserved()
        self._directory: Directory = directory or UnknownDirectory()
        self._ends = EarlyEnds(stores, clock, self._observer, pacing)
        self._left_open = LeftOpen(stores, clock, self._ends)
        self._ending_soon = EndingSoon(stores, policy, clock, self._observer)

    def find(self, source: str) -> tuple[Grant, ...]:
        """The grants of this decision, in the order of its rights; none for a profile without access.

        Raises RequestNotFound, EventNotFound, InvalidInput, MalformedRecord, StoreUnavailable.
        """
        return read_grants(self._stores, read_source(self._stores, source, self._judging()))

    def end(self, source: str, person: Actor) -> tuple[Grant, ...]:
        """End the person's own access: "I'm done". An active event is closed. Idempotent.

        Returns the grants as they are now: none for a decision that gave no rights. Raises NotAllowed,
        InvalidStateTransition (which says who ended it and when), RequestNotFound, EventNotFound, InvalidInput,
        StoreError.
        """
        people = self._judging()

        def judge(record: GivesAccess) -> None:
            # No rule is asked: giving access back is always allowed.
            refuse_other_service(person, record.service if isinstance(record, Request) else None, "end")
            if record.person not in people.policy.ids_of(person.id):
                raise NotAllowed("end", (NOT_YOURS,))

        attempt = AuditedAttempt(AuditAction.END_REFUSED, person)
        return self._ends.end(source, Ending(person, DONE, people, judge), attempt)

    def revoke(self, source: str, by: Actor, reason: str) -> tuple[Grant, ...]:
        """End somebody's access, or your own; for the approvers of its rule, and admins. Raises like `end`."""
        why, people = _clean(reason), self._judging()

        def judge(record: GivesAccess) -> Decision | None:
            refuse_service(by, "revoke")
            if record.person in people.policy.ids_of(by.id):
                return None
            return people.judge_revoke(record, by)

        attempt = AuditedAttempt(AuditAction.REVOKE_REFUSED, by)
        return self._ends.end(source, Ending(by, why, people, judge), attempt)

    def revoke_person(self, person: UserId, by: Actor, reason: str) -> AccessEnds:
        """End all access of a person, with all of their ids; for admins. One that fails stops no other.

        Raises NotAllowed, InvalidInput, StoreUnavailable when it can't be listed.
        """
        why, people = _clean(reason), self._judging()
        attempt = AuditedAttempt(AuditAction.REVOKE_REFUSED, by, subject=person)
        with audit_refusals(attempt, self._stores.refusals, self._observer):
            decision = people.judge(by, people.policy.judge_admin)
            decision.require()
        ending = Ending(by, why, people, lambda _record: decision)
        ids = people.policy.ids_of(person)
        return self._end_all(ids, ending, lambda: AuditedAttempt(AuditAction.REVOKE_REFUSED, by))

    def end_departed(self, person: UserId) -> AccessEnds:
        """End all access that this id got, because its account was deactivated in Slack. By the clock.

        What other ids of the same person got stays: a second account that is closed says nothing of the one in use.
        An event that gave the access stays as it is, because nobody closed it; what it gave ends.
        """
        ending = Ending(None, DEPARTED, self._judging(), lambda _record: None)
        return self._end_all((person,), ending, lambda: None)

    def list_live(self, viewer: Actor, *, cursor: str | None = None) -> Page[Grant]:
        """The grants that are not final and that this person may see, newest first.

        Admins see all, approvers those of their profiles, everybody their own. A page may be empty and have a cursor.
        """
        people = self._judging()
        own = people.policy.ids_of(viewer.id)
        if viewer.service is not None:
            mine = self._list_own(own)
            return replace(mine, items=tuple(grant for grant in mine.items if grant.service == viewer.service))
        may_see = cache(lambda profile: people.judge_live(viewer, profile).is_allowed)
        if not any(may_see(each) for each in people.policy.document.profiles):
            return self._list_own(own)
        found: list[Grant] = []
        malformed: list[str] = []
        for _ in range(MAX_PAGES):
            page = self._stores.access.list_live(limit=DEFAULT_LIMIT, cursor=cursor)
            found += [grant for grant in page.items if grant.grantee in own or may_see(grant.profile)]
            malformed += page.malformed
            cursor = page.cursor
            if cursor is None or len(found) >= FULL_ENOUGH:
                break
        return Page(tuple(found), cursor, tuple(malformed))

    def remind_due(self, rest: Rest = no_rest) -> tuple[Grant, ...]:
        """Record a reminder for every approved request whose access ends soon. Returns those that this call recorded.

        It is an entry ACCESS_ENDING_SOON in the chain of one of the request's grants (`GRANT#…`; details `source` and
        `ends_at`), once for each request, however many instances do this. Raises StoreUnavailable.
        """
        return self._ending_soon.remind(rest)

    def end_left_open(self, _rest: Rest = no_rest) -> tuple[Grant, ...]:
        """End the access of events that were closed without it, by an older version. Raises StoreUnavailable."""
        return self._left_open.end(self._judging())

    def _list_own(self, ids: Sequence[UserId]) -> Page[Grant]:
        since = self._clock.now() - OWN_SINCE
        mine = (grant for each in ids for grant in iterate_newest_first(self._stores.access, "grantee", each, since))
        live = (grant for grant in mine if grant.is_live)
        return Page(tuple(sorted(live, key=lambda grant: (grant.created_at, grant.id), reverse=True)))

    def _judging(self) -> Judging:
        return Judging(self._policy.current(), self._directory)

    def _end_all(
        self, ids: Sequence[UserId], ending: Ending, attempt: Callable[[], AuditedAttempt | None]
    ) -> AccessEnds:
        ended: list[str] = []
        failed: dict[str, str] = {}
        tried: set[str] = set()
        for _ in range(MAX_PASSES):
            # What is decided while this runs is found by the next pass.
            new = [each for each in self._find_sources(ids) if each not in tried]
            if not new:
                break
            for source in new:
                tried.add(source)
                try:
                    self._ends.end(source, ending, attempt())
                except InvalidStateTransition:
                    # Its time is over, or somebody else was quicker.
                    continue
                except CountersignError as error:
                    _log.exception("%s of %s could not be ended", source, ids[0])
                    failed[source] = str(error)
                else:
                    ended.append(source)
        return AccessEnds(tuple(ended), tuple(EndFailure(source, problem) for source, problem in failed.items()))

    def _find_sources(self, ids: Sequence[UserId]) -> tuple[str, ...]:
        """The chains of all decisions that give one of these ids access now, each once."""
        # By a clock that is off, nothing might seem open any more: then it is said of each that it can't be ended.
        since = self._clock.now() - _LISTED_SINCE if is_trusted(self._clock) else None
        grants = chain.from_iterable(iterate_newest_first(self._stores.access, "grantee", each, since) for each in ids)
        # Whether there is time left is judged when it is ended, by a clock that is trusted.
        found = [grant.source for grant in grants if grant.status in {GrantStatus.PENDING, GrantStatus.ACTIVE}]
        # An event without rights is closed too, because people act on it.
        events = chain.from_iterable(
            iterate_newest_first(self._stores.break_glass, "invoker", each, since) for each in ids
        )
        found += [event.chain for event in events if event.status is EventStatus.ACTIVE]
        return tuple(dict.fromkeys(found))


def _clean(reason: str) -> str:
    return clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])
