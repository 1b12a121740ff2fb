"""The directory: turns a verified Slack user into an Actor.

Invariant: an Actor is an active full member of this workspace, confirmed by Slack at most ten minutes ago, and every
user group that the policy names was looked up. If Slack can't confirm any of this, the person is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack import client as slack_client
from bot.slack.coalescing_cache import CoalescingCache, TooManyLookups
from bot.slack.errors import (
    MAX_PAUSE,
    NO_SUCH_GROUP,
    NO_SUCH_PERSON,
    RATE_LIMITED,
    UNREADABLE,
    ErrorKind,
    SlackError,
    read_error,
)
from bot.slack.membership import Member, Outsider, read_membership
from bot.slack.retry_after import MIN_PAUSE
from core.actor import Actor, UserGroupId, UserId, check_user_id
from core.clock import Clock
from core.errors import InvalidInput, NotAllowed

Found = TypeVar("Found")
ANSWER_TIMEOUT_SECONDS: Final = 1.0
"""How long a click waits for Slack. The other two of Slack's three seconds are for the store."""
CALL_TIMEOUT_SECONDS: Final = 4
"""How long a call may take: an answer too late for this click is cached for the next one."""
WORKERS: Final = 8

TOO_SLOW: Final = "Slack didn't confirm who you are in time; please try again in a moment"
UNREACHABLE: Final = "Slack couldn't confirm who you are; please try again in a minute"
BUSY: Final = "Countersign is overloaded; please try again in a moment"
UNKNOWN: Final = "Slack doesn't know this account; only members of this workspace can act"
ELSEWHERE: Final = "only members of this workspace can act here; ask one of them to do it"
_OPERATOR: Final = "Slack doesn't let Countersign look people up ({}); ask its operator to run `countersign doctor`"
_PAUSED: Final = "Slack is rate-limiting user lookups; please try again in {} seconds"

_LOG = logging.getLogger("countersign.directory")


class SlackDirectory:
    """Looks people up in Slack. Thread-safe; calls Slack on its own threads, with its own client.

    `user_groups` returns the ids of all user groups that the current policy names. `enterprise_id` is the
    organisation on Enterprise Grid, as auth.test gives it.
    """

    def __init__(
        self,
        client: WebClient,
        team_id: str,
        clock: Clock,
        user_groups: Callable[[], frozenset[UserGroupId]],
        enterprise_id: str | None = None,
    ) -> None:
        self._client = slack_client.like(client, CALL_TIMEOUT_SECONDS)
        self._team_id = team_id
        self._enterprise_id = enterprise_id
        self._clock = clock
        self._user_groups = user_groups
        self._paused_until: dict[str, datetime] = {}
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="slack-directory")
        self._people = CoalescingCache[Member | Outsider](self._fetch_person, self._workers, clock)
        self._groups = CoalescingCache[frozenset[str]](self._fetch_group, self._workers, clock)

    def actor(self, user_id: str, team_id: str | None) -> Actor:
        """The person of a payload; `team_id` is the payload's, if it has one.

        Waits for Slack a second at most. Raises NotAllowed with one reason, written for the person.
        """
        person_id = _checked(user_id)
        # Outside Grid this needs no look-up, so strangers can't use up our rate limit.
        if self._enterprise_id is None and team_id not in {None, self._team_id}:
            raise _refused(ELSEWHERE)
        person = self._people.find(person_id)
        groups = {group: self._groups.find(group) for group in self._user_groups()}
        lookups: list[Future[Any]] = [person, *groups.values()]
        wait(lookups, timeout=ANSWER_TIMEOUT_SECONDS)
        member = _result_of(person)
        if isinstance(member, Outsider):
            raise _refused(member.reason)
        if team_id is not None and team_id not in member.teams:
            raise _refused(ELSEWHERE)
        # If a group can't be looked up, the person is refused. Treating them as a non-member would not be safe:
        # the first rule that covers somebody decides, and a later one may allow more.
        return _in_groups(member, {group: _result_of(members) for group, members in groups.items()})

    def known(self, user_id: str) -> Actor | None:
        """The same from the cache, up to a day old, or None; never waits. For opening forms, not for deciding."""
        try:
            member = self._people.get_stale(_checked(user_id))
        except NotAllowed:
            return None
        members: dict[UserGroupId, frozenset[str]] = {}
        for group in self._user_groups():
            if (found := self._groups.get_stale(group)) is None:
                return None
            members[group] = found
        return _in_groups(member, members) if isinstance(member, Member) else None

    def refresh_groups(self) -> None:
        """Refresh every stale user group in the background, so that no click has to wait for one."""
        for group in self._user_groups():
            self._groups.refresh(group)

    def forget(self, user_id: str) -> None:
        """A user_change event arrived: this person's next action is judged on a new answer."""
        self._people.forget(user_id)

    def forget_group(self, group_id: str) -> None:
        """A subteam_updated event arrived: the members are looked up again."""
        self._groups.forget(group_id)

    def close(self) -> None:
        """Make no more calls. Waits for calls in flight, which their time limit bounds."""
        self._workers.shutdown(cancel_futures=True)

    def _fetch_person(self, user_id: str) -> Member | Outsider:
        with self._calling("users.info"):
            answer = self._client.users_info(user=user_id)
            return read_membership(answer.get("user"), UserId(user_id), self._team_id, self._enterprise_id)

    def _fetch_group(self, group_id: str) -> frozenset[str]:
        # Only calls with an organisation-wide token have to name the workspace.
        where = self._team_id if self._enterprise_id is not None else None
        with self._calling("usergroups.users.list"):
            try:
                members = self._client.usergroups_users_list(usergroup=group_id, team_id=where).get("users")
            except SlackApiError as error:
                if read_error(error).code != NO_SUCH_GROUP:
                    raise
                # This is an answer: the group was disabled or never existed, so it has no members.
                _LOG.error("the policy names the user group %s, which Slack does not have", group_id)
                return frozenset()
            if not isinstance(members, list) or not all(isinstance(each, str) for each in members):
                raise ValueError("users is not a list of ids")
            return frozenset(members)

    @contextmanager
    def _calling(self, method: str) -> Iterator[None]:
        """Turns every failure of a call to Slack into NotAllowed."""
        pause = self._paused_until.get(method, self._clock.now()) - self._clock.now()
        if timedelta() < pause <= MAX_PAUSE:
            raise _refused(_PAUSED.format(max(1, round(pause.total_seconds()))))
        try:
            yield
        except UNREADABLE as error:
            raise self._explain(method, read_error(error, self._clock.now())) from error

    def _explain(self, method: str, error: SlackError) -> NotAllowed:
        if error.code in RATE_LIMITED:
            pause = error.retry_after or MIN_PAUSE
            self._paused_until[method] = self._clock.now() + pause
            _LOG.warning("%s is rate limited for %d s", method, pause.total_seconds())
            return _refused(_PAUSED.format(round(pause.total_seconds())))
        if error.code in NO_SUCH_PERSON:
            return _refused(UNKNOWN)
        if error.kind is ErrorKind.OPERATOR:
            _LOG.error("Slack refuses %s: %s. %s", method, error.label, error.fix)
            return _refused(_OPERATOR.format(error.label))
        _LOG.warning("%s failed: %s", method, error.label)
        return _refused(UNREACHABLE)


def _checked(user_id: str) -> UserId:
    try:
        return check_user_id(user_id)
    except InvalidInput as error:
        raise _refused(UNKNOWN) from error


def _in_groups(member: Member, members: dict[UserGroupId, frozenset[str]]) -> Actor:
    return member.actor.with_memberships({group: member.actor.id in ids for group, ids in members.items()})


def _result_of(lookup: Future[Found]) -> Found:
    if not lookup.done():
        raise _refused(TOO_SLOW)
    try:
        return lookup.result()
    except NotAllowed as error:
        # Every waiting caller gets a separate error: threads that raise the same one mix up its tracebacks.
        raise NotAllowed(error.action, error.reasons) from error
    except (TooManyLookups, CancelledError) as error:
        raise _refused(BUSY) from error


def _refused(reason: str) -> NotAllowed:
    return NotAllowed("act", (reason,))
