"""The questions that the directory asks Slack, and what their failures mean.

Invariant: a question ends in Slack's answer, or in NotKnown with a reason for the person who waits. While Slack
rate-limits a method, it isn't called.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack import client as slack_client
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
from bot.slack.user_group_answers import Asking, read_listed
from core.actor import UserGroupId, UserId
from core.clock import Clock
from core.errors import NotAllowed, NotKnown
from core.user_group import UserGroupMembers

CALL_TIMEOUT_SECONDS: Final = 4
"""How long a call may take: an answer too late for this click is cached for the next one."""

UNREACHABLE: Final = "Slack couldn't confirm who you are; please try again in a minute"
UNKNOWN: Final = "Slack doesn't know this account; only members of this workspace can act"
_OPERATOR: Final = "Slack doesn't let Countersign look people up ({}); ask its operator to run `countersign doctor`"
_PAUSED: Final = "Slack is rate-limiting user lookups; please try again in {} seconds"

_LOG = logging.getLogger("countersign.directory")


class SlackQuestions:
    """Asks Slack, with a client of its own. Safe for threads."""

    def __init__(self, client: WebClient, team_id: str, enterprise_id: str | None, clock: Clock) -> None:
        self._client = slack_client.like(client, CALL_TIMEOUT_SECONDS)
        self._team_id = team_id
        self._enterprise_id = enterprise_id
        self._clock = clock
        self._paused_until: dict[str, datetime] = {}

    def ask_person(self, user_id: str) -> Member | Outsider:
        """Who this is, by users.info. Raises NotKnown; NotAllowed if Slack has no such account."""
        with self._calling("users.info"):
            answer = self._client.users_info(user=user_id)
            return read_membership(answer.get("user"), UserId(user_id), self._team_id, self._enterprise_id)

    def ask_email(self, email: str) -> Member | Outsider:
        """Who has this e-mail address, by users.lookupByEmail. Raises NotKnown; NotAllowed if nobody has it.

        Slack finds no deactivated account: https://docs.slack.dev/reference/methods/users.lookupByEmail.
        """
        with self._calling("users.lookupByEmail"):
            user = self._client.users_lookupByEmail(email=email).get("user")
            user_id = UserId(str((user or {})["id"]))
            return read_membership(user, user_id, self._team_id, self._enterprise_id)

    def ask_groups(
        self, wanted: Collection[UserGroupId], changes: Mapping[UserGroupId, datetime]
    ) -> dict[UserGroupId, UserGroupMembers]:
        """The members of these user groups: one usergroups.list, and one more call for each that it cuts short.

        A group that can't be read is left out. Raises NotKnown.
        """
        asking = Asking(self._clock.now(), changes)
        with self._calling("usergroups.list"):
            answer = self._client.usergroups_list(include_users=True, include_count=True, team_id=self._where())
            listed = read_listed(answer.get("usergroups"), wanted, asking)
        for group in sorted(listed.missing):
            # This is an answer: the group was disabled or never existed, so it has no members.
            _LOG.error("the policy names the user group %s, which Slack does not have", group)
        whole = dict(listed.whole)
        for group, version in sorted(listed.cut.items()):
            # What failed was logged. What is about other groups is known all the same.
            with suppress(NotAllowed):
                members, handle = self._ask_members(group), listed.handles[group]
                whole[group] = asking.answer(group, members, version=version, handle=handle)
        return whole

    def _ask_members(self, group: UserGroupId) -> frozenset[str]:
        with self._calling("usergroups.users.list"):
            try:
                members = self._client.usergroups_users_list(usergroup=group, team_id=self._where()).get("users")
            except SlackApiError as error:
                if read_error(error).code != NO_SUCH_GROUP:
                    raise
                # It was disabled in between.
                return frozenset()
            if not isinstance(members, list) or not all(isinstance(each, str) for each in members):
                raise ValueError("users is not a list of ids")
            return frozenset(members)

    def _where(self) -> str | None:
        # Only calls with an organisation-wide token have to name the workspace.
        return self._team_id if self._enterprise_id is not None else None

    @contextmanager
    def _calling(self, method: str) -> Iterator[None]:
        """Turns every failure of a call to Slack into NotKnown; "no such account" into NotAllowed."""
        pause = self._paused_until.get(method, self._clock.now()) - self._clock.now()
        if timedelta() < pause <= MAX_PAUSE:
            raise not_known(_PAUSED.format(max(1, round(pause.total_seconds()))))
        try:
            yield
        except UNREADABLE as error:
            raise self._explain(method, read_error(error, self._clock.now())) from error

    def _explain(self, method: str, error: SlackError) -> NotAllowed:
        if error.code in RATE_LIMITED:
            pause = error.retry_after or MIN_PAUSE
            self._paused_until[method] = self._clock.now() + pause
            _LOG.warning("%s is rate limited for %d s", method, pause.total_seconds())
            return not_known(_PAUSED.format(round(pause.total_seconds())))
        if error.code in NO_SUCH_PERSON:
            return refused(UNKNOWN)
        if error.kind is ErrorKind.OPERATOR:
            _LOG.error("Slack refuses %s: %s. %s", method, error.label, error.fix)
            return not_known(_OPERATOR.format(error.label))
        _LOG.warning("%s failed: %s", method, error.label)
        return not_known(UNREACHABLE)


def refused(reason: str) -> NotAllowed:
    """Slack says that they may not act."""
    return NotAllowed("act", (reason,))


def not_known(reason: str) -> NotKnown:
    """Slack can't say."""
    return NotKnown("act", (reason,))
