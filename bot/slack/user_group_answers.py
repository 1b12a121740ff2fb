"""What Slack says about user groups, read from usergroups.list and from events.

Invariant: an answer that isn't whole is no answer. Slack leaves out members of large groups: then the count differs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from core.actor import UserGroupId
from core.user_group import UserGroupMembers

_MAX_HANDLE: Final = 80


class _Subteam(BaseModel):
    """https://docs.slack.dev/reference/objects/usergroup-object. Slack writes the count as a number or as text."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)

    id: str
    users: list[str] | None = None
    user_count: int | str | None = None
    date_update: int = 0
    date_delete: int = 0
    updated_by: str | None = None

    def members(self) -> frozenset[str] | None:
        """All members; None if Slack didn't name all. A disabled group has none."""
        if self.date_delete:
            return frozenset()
        if self.users is None or (self.user_count is not None and str(self.user_count) != str(len(self.users))):
            return None
        return frozenset(self.users)


@dataclass(frozen=True, slots=True)
class Asking:
    """One question to Slack: when it was asked, and the last change of each group that was known then."""

    at: datetime
    changes: Mapping[UserGroupId, datetime]

    def answer(
        self,
        group: UserGroupId,
        users: frozenset[str],
        *,
        version: int = 0,
        updated_by: str | None = None,
        handle: str | None = None,
    ) -> UserGroupMembers:
        """Slack's answer about a group."""
        return UserGroupMembers.of(
            group,
            users,
            self.at,
            known_change=self.changes.get(group),
            slack_version=version,
            updated_by=updated_by,
            handle=handle,
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """What usergroups.list says about the wanted groups.

    `cut` has the groups whose members aren't all there, with Slack's time of their last change, and `handles` what
    people call them; `missing` has those that are disabled or don't exist, which are also in `whole`, without members.
    """

    whole: Mapping[UserGroupId, UserGroupMembers]
    cut: Mapping[UserGroupId, int]
    handles: Mapping[UserGroupId, str | None]
    missing: frozenset[UserGroupId]


def read_listed(usergroups: object, wanted: Collection[UserGroupId], asking: Asking) -> Listed:
    """The wanted groups in an answer to usergroups.list. A malformed entry is about that group only.

    Raises ValueError if there is no list, or one in which it isn't clear which group is meant.
    """
    entries = usergroups if isinstance(usergroups, list) else [None]
    by_id = {each.get("id"): each for each in entries if isinstance(each, dict)}
    if len(by_id) != len(entries) or None in by_id:
        raise ValueError("usergroups is not a list of user groups with one id each")
    whole: dict[UserGroupId, UserGroupMembers] = {}
    cut: dict[UserGroupId, int] = {}
    missing = frozenset(wanted) - by_id.keys()
    for group in wanted:
        found = asking.answer(group, frozenset()) if group in missing else read_subteam(by_id[group], asking)
        if found is not None:
            whole[group] = found
        else:
            version = by_id[group].get("date_update")
            cut[group] = version if isinstance(version, int) else 0
    return Listed(whole, cut, {group: _handle_of(by_id[group]) for group in cut}, missing)


def read_subteam(subteam: object, asking: Asking) -> UserGroupMembers | None:
    """The members that Slack gives with a user group; None if it doesn't give all, or the entry is malformed."""
    try:
        read = _Subteam.model_validate(subteam)
    except ValidationError:
        return None
    members = read.members()
    if members is None:
        return None
    version, by, handle = read.date_update, read.updated_by, _handle_of(subteam)
    return asking.answer(UserGroupId(read.id), members, version=version, updated_by=by, handle=handle)


def _handle_of(subteam: object) -> str | None:
    """What people write after the @. Nothing is decided by it, so an entry without one is not malformed."""
    handle = subteam.get("handle") if isinstance(subteam, dict) else None
    return handle[:_MAX_HANDLE] or None if isinstance(handle, str) else None
