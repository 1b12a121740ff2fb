"""The directory: turns a verified Slack user into an Actor, and says in which user groups they are.

Invariant: an Actor is an active full member of this workspace, confirmed by Slack at most ten minutes ago and after any
change of them that is noted. What Slack cannot confirm in time is not known: a person is refused, a user group is left
out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from slack_sdk import WebClient

from bot.slack.coalescing_cache import CoalescingCache, TooManyLookups
from bot.slack.membership import Member, Outsider, read_membership
from bot.slack.pace import Pace
from bot.slack.questions import UNKNOWN, SlackQuestions, not_known, refused
from bot.slack.user_groups import BUSY, SharedAnswers, UserGroups
from core.actor import Actor, UserGroupId, UserId, check_user_id, is_user_group
from core.clock import Clock
from core.directory import DirectoryNotes
from core.errors import InvalidInput, NotAllowed, NotKnown
from core.on_call import Duty, NoRoster, OnCallName, Roster
from core.user_group import UserGroupMembers

Found = TypeVar("Found")
ANSWER_TIMEOUT_SECONDS: Final = 1.0
"""How long a click waits for Slack in total. The other two of Slack's three seconds are for the store."""
WORKERS: Final = 8
MAX_REFRESHED: Final = 3 * WORKERS
"""So few that the click of somebody else hardly waits behind them, and Slack's limit (100 a minute) isn't felt."""

TOO_SLOW: Final = "Slack didn't confirm who you are in time; please try again in a moment"
ELSEWHERE: Final = "only members of this workspace can act here; ask one of them to do it"


@dataclass(frozen=True, slots=True)
class NamedSchedules:
    """Who is on call, and the schedules that give somebody a right by the current policy."""

    roster: Roster
    named: Callable[[], frozenset[OnCallName]]


class SlackDirectory:
    """Looks people up in Slack. Thread-safe; calls Slack on its own threads, with its own client.

    `user_groups` returns the ids of all user groups that the current policy names. `enterprise_id` is the
    organisation on Enterprise Grid, as auth.test gives it. `shared` has what other instances learned, and `learn` is
    told what Slack said about user groups. `repair` is called when the notes in the store can't be read. `on_call` says
    who is on call; left out, that isn't known.
    """

    def __init__(
        self,
        client: WebClient,
        team_id: str,
        clock: Clock,
        user_groups: Callable[[], frozenset[UserGroupId]],
        enterprise_id: str | None = None,
        *,
        shared: SharedAnswers | None = None,
        learn: Callable[[Collection[UserGroupMembers]], None] = lambda _: None,
        repair: Callable[[], None] = lambda: None,
        pace: Pace | None = None,
        on_call: NamedSchedules | None = None,
    ) -> None:
        questions = SlackQuestions(client, team_id, enterprise_id, clock)
        self._team_id = team_id
        self._enterprise_id = enterprise_id
        self._repair = repair
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="slack-directory")
        self._people = CoalescingCache[Member | Outsider](questions.ask_person, self._workers, clock)
        self._groups = UserGroups(questions.ask_groups, clock, user_groups, shared=shared, learn=learn, pace=pace)
        self._patience = _Patience()
        self._on_call = on_call or NamedSchedules(NoRoster(), frozenset)

    def actor(self, user_id: str, team_id: str | None) -> Actor:
        """The person of a payload, without their user groups; `team_id` is the payload's, if it has one.

        Begins this thread's second of waiting for Slack, which `person` and `memberships` share. Raises NotAllowed with
        one reason, written for the person; NotKnown if Slack can't say.
        """
        person_id = _checked(user_id)
        # Outside Grid this needs no look-up, so strangers can't use up our rate limit.
        if self._enterprise_id is None and team_id not in {None, self._team_id}:
            raise refused(ELSEWHERE)
        self._patience.begin(ANSWER_TIMEOUT_SECONDS)
        person = self._people.find(person_id)
        # Meanwhile, so that nobody waits for them later.
        self._groups.refresh()
        member = self._wait_for(person)
        if isinstance(member, Outsider):
            raise refused(member.reason)
        if team_id is not None and team_id not in member.teams:
            raise refused(ELSEWHERE)
        return member.actor

    def person(self, user_id: UserId, notes: DirectoryNotes) -> Actor:
        """This person, confirmed later than `notes` says they changed. See core.directory."""
        self._check(notes)
        member = self._wait_for(self._people.find(_checked(user_id), notes.changed_at(user_id)))
        if isinstance(member, Outsider):
            raise refused(member.reason)
        return member.actor

    def memberships(
        self, user_id: UserId, groups: Collection[UserGroupId], notes: DirectoryNotes
    ) -> Mapping[UserGroupId, bool]:
        """For each user group that is known, whether the person is in it. See core.directory."""
        self._check(notes)
        known, look = self._groups.find(groups, notes.changed_at)
        if look is not None:
            wait([look], timeout=self._patience.left(ANSWER_TIMEOUT_SECONDS))
            known, _ = self._groups.find(groups, notes.changed_at)
        return _memberships(user_id, known)

    def duties(self, user_id: UserId, names: Collection[OnCallName]) -> Mapping[OnCallName, Duty]:
        """For each schedule that is known, whether the person is on call. See core.directory."""
        return self._on_call.roster.duties(user_id, names, timeout_seconds=self._patience.left(ANSWER_TIMEOUT_SECONDS))

    def known(self, user_id: str) -> Actor | None:
        """The same from the cache, up to a day old, or None; never waits. For opening forms, not for deciding.

        User groups and schedules about which nothing is known are left out.
        """
        try:
            member = self._people.get_stale(_checked(user_id))
        except NotAllowed:
            return None
        if not isinstance(member, Member):
            return None
        duties = self._on_call.roster.duties(member.actor.id, self._on_call.named())
        return member.actor.with_memberships(_memberships(member.actor.id, self._groups.get_stale())).with_duties(
            duties
        )

    def name_of(self, subject: str) -> str | None:
        """What people call this user, or `@sre` for a user group, from the cache; None if unknown. Never waits."""
        if is_user_group(subject):
            answer = self._groups.get_stale().get(UserGroupId(subject))
            return f"@{answer.handle}" if answer is not None and answer.handle is not None else None
        person = self.known(subject)
        return person.name or None if person is not None else None

    def refresh_groups(self) -> None:
        """Look at every stale user group in the background, so that no click has to wait for it."""
        self._groups.refresh()

    def refresh_people(self, people: Iterable[UserId]) -> None:
        """Look these people up in the background, at most MAX_REFRESHED of them: their first click finds an answer."""
        for person in islice(people, MAX_REFRESHED):
            self._people.refresh(person)

    def forget(self, user_id: str) -> None:
        """A person changed: their next action is judged on a new answer."""
        self._people.forget(user_id)

    def hear_group(self, group: UserGroupId, at: datetime, answer: UserGroupMembers | None) -> bool:
        """A user group changed: see UserGroups.hear. True when the policy names the group."""
        return self._groups.hear(group, at, answer)

    def accept(self, answers: Collection[UserGroupMembers]) -> None:
        """Take what another instance learned about user groups, if it is newer."""
        self._groups.accept(answers)

    def reflects(self, group: UserGroupId, version: int, added: frozenset[str], removed: frozenset[str]) -> bool:
        """True when the answer about a user group is from after this change: see UserGroups.reflects."""
        return self._groups.reflects(group, version, added, removed)

    def is_member(self, user_id: str, user: object) -> bool:
        """True when this user object of Slack's is an active full member's. False if it can't be read."""
        try:
            read = read_membership(user, UserId(user_id), self._team_id, self._enterprise_id)
        except ValueError:
            return False
        return isinstance(read, Member)

    def is_active(self, user_id: UserId) -> bool | None:
        """Whether this is an active full member, from the cache; None if it isn't known yet. Never waits."""
        member = self._people.get_stale(user_id)
        return isinstance(member, Member) if member is not None else None

    def get_email(self, user_id: str) -> str | None:
        """The e-mail address in the cached answer about a person, however old; None if there is none."""
        member = self._people.peek(user_id)
        return member.actor.email if isinstance(member, Member) else None

    def zone_of(self, user_id: str) -> ZoneInfo | None:
        """The time zone of a person's clock, from the cached answer, however old; None if it isn't known."""
        member = self._people.peek(user_id)
        return member.zone if isinstance(member, Member) else None

    def close(self) -> None:
        """Make no more calls. Waits for calls in flight, which their time limit bounds."""
        self._workers.shutdown(cancel_futures=True)
        self._groups.close()

    def _check(self, notes: DirectoryNotes) -> None:
        # Stored notes have a version. These were made because the stored ones can't be read.
        if notes.updated_at is None and notes.forgotten_at is not None:
            self._repair()

    def _wait_for(self, lookup: Future[Found]) -> Found:
        wait([lookup], timeout=self._patience.left(ANSWER_TIMEOUT_SECONDS))
        return _result_of(lookup)


class _Patience(threading.local):
    """How long this thread still waits for Slack. One click is decided on one thread."""

    _ends_at: float | None = None

    def begin(self, seconds: float) -> None:
        """A new click."""
        self._ends_at = time.monotonic() + seconds

    def left(self, seconds: float) -> float:
        """What is left, in seconds; all of it on a thread on which no click began."""
        return seconds if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())


def _checked(user_id: str) -> UserId:
    try:
        return check_user_id(user_id)
    except InvalidInput as error:
        raise refused(UNKNOWN) from error


def _memberships(user_id: UserId, known: Mapping[UserGroupId, UserGroupMembers]) -> dict[UserGroupId, bool]:
    return {group: user_id in answer.users for group, answer in known.items()}


def _result_of(lookup: Future[Found]) -> Found:
    if not lookup.done():
        raise not_known(TOO_SLOW)
    try:
        return lookup.result()
    except NotKnown as error:
        # Every waiting caller gets a separate error: threads that raise the same one mix up its tracebacks.
        raise NotKnown(error.action, error.reasons) from error
    except NotAllowed as error:
        raise NotAllowed(error.action, error.reasons) from error
    except (TooManyLookups, CancelledError) as error:
        raise not_known(BUSY) from error
