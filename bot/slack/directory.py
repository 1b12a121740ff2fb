"""People: a verified Slack user becomes an Actor.

Invariant: an Actor is an active full member of this workspace, by Slack's own word of at most ten minutes ago, with
every user group that the policy names looked up. When Slack cannot say any of this, the answer is no.
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
"""How long a click waits for Slack. The store gets two of Slack's three seconds."""
CALL_TIMEOUT_SECONDS: Final = 4
"""How long a call may take all the same: an answer that is late for this click is at hand for the next."""
WORKERS: Final = 8

TOO_SLOW: Final = "Slack did not say in time who you are; please try again in a moment"
UNREACHABLE: Final = "Slack could not say who you are; please try again in a minute"
BUSY: Final = "too much is going on at once; please try again in a moment"
UNKNOWN: Final = "Slack knows no such person here; only members of this workspace can act"
ELSEWHERE: Final = "only members of this workspace can act here; ask one of them to do it"
_OPERATOR: Final = "Slack doesn't let Countersign look people up ({}); ask its operator to run `countersign doctor`"
_PAUSED: Final = "Slack is rate-limiting user lookups; please try again in {} seconds"

_LOG = logging.getLogger("countersign.identity")


class SlackDirectory:
    """Knows who people are. Safe for threads; asks Slack on threads of its own, with a client of its own.

    `user_groups` gives the ids of all user groups that the policy of the moment names. `enterprise_id` is the
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
        self._people = CoalescingCache[Member | Outsider](self._ask_person, self._workers, clock)
        self._groups = CoalescingCache[frozenset[str]](self._ask_group, self._workers, clock)

    def actor(self, user_id: str, team_id: str | None) -> Actor:
        """The person of a payload, `team_id` being what the payload says, if it does.

        Waits for Slack at most a second. Raises NotAllowed with one reason that the person understands.
        """
        person_id = _checked(user_id)
        # Away from Grid this needs no question, so strangers cannot use up what Slack lets us ask.
        if self._enterprise_id is None and team_id not in {None, self._team_id}:
            raise _refused(ELSEWHERE)
        person = self._people.find(person_id)
        groups = {group: self._groups.find(group) for group in self._user_groups()}
        questions: list[Future[Any]] = [person, *groups.values()]
        wait(questions, timeout=ANSWER_TIMEOUT_SECONDS)
        member = _settled(person)
        if isinstance(member, Outsider):
            raise _refused(member.reason)
        if team_id is not None and team_id not in member.teams:
            raise _refused(ELSEWHERE)
        # A group that is not known refuses the person altogether. To count as no member of it would not be safe:
        # the first rule that covers somebody decides, and a later one may allow more.
        return _in_groups(member, {group: _settled(members) for group, members in groups.items()})

    def known(self, user_id: str) -> Actor | None:
        """The same from what is at hand, up to a day old, or None; never waits. For opening forms, not for deciding."""
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

    def warm(self) -> None:
        """Ask on the side for every user group that is not fresh, so that no click has to wait for one."""
        for group in self._user_groups():
            self._groups.warm(group)

    def forget(self, user_id: str) -> None:
        """A user_change event came: the next act of this person is judged on a new answer."""
        self._people.forget(user_id)

    def forget_group(self, group_id: str) -> None:
        """A subteam_updated event came: the members are looked up again."""
        self._groups.forget(group_id)

    def close(self) -> None:
        """Ask nothing more. A call that is under way is waited for, which its time limit bounds."""
        self._workers.shutdown(cancel_futures=True)

    def _ask_person(self, user_id: str) -> Member | Outsider:
        with self._asking("users.info"):
            answer = self._client.users_info(user=user_id)
            return read_membership(answer.get("user"), UserId(user_id), self._team_id, self._enterprise_id)

    def _ask_group(self, group_id: str) -> frozenset[str]:
        # Only a token of a whole organisation has to say which workspace it means.
        where = self._team_id if self._enterprise_id is not None else None
        with self._asking("usergroups.users.list"):
            try:
                members = self._client.usergroups_users_list(usergroup=group_id, team_id=where).get("users")
            except SlackApiError as error:
                if read_error(error).code != NO_SUCH_GROUP:
                    raise
                # Slack does know: the group was disabled or never was, so it has no members.
                _LOG.error("the policy names the user group %s, which Slack does not have", group_id)
                return frozenset()
            if not isinstance(members, list) or not all(isinstance(each, str) for each in members):
                raise ValueError("users is no list of ids")
            return frozenset(members)

    @contextmanager
    def _asking(self, method: str) -> Iterator[None]:
        """Turns every way in which Slack can fail to answer into NotAllowed."""
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
            _LOG.error("%s is refused: %s. %s", method, error.label, error.fix)
            return _refused(_OPERATOR.format(error.label))
        _LOG.warning("%s failed: %s", method, error.label)
        return _refused(UNREACHABLE)


def _checked(user_id: str) -> UserId:
    try:
        return check_user_id(user_id)
    except InvalidInput as error:
        raise _refused(UNKNOWN) from error


def _in_groups(member: Member, members: dict[UserGroupId, frozenset[str]]) -> Actor:
    groups = frozenset(group for group, ids in members.items() if member.actor.id in ids)
    return member.actor.model_copy(update={"user_groups": groups})


def _settled(question: Future[Found]) -> Found:
    if not question.done():
        raise _refused(TOO_SLOW)
    try:
        return question.result()
    except NotAllowed as error:
        # Everybody who waited gets an error of their own: threads that raise one together mix up their tracebacks.
        raise NotAllowed(error.action, error.reasons) from error
    except (TooManyLookups, CancelledError) as error:
        raise _refused(BUSY) from error


def _refused(reason: str) -> NotAllowed:
    return NotAllowed("act", (reason,))
