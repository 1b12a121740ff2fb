"""Membership of a user in a group of the identity store.

Invariant: a membership that stood before is reported as such and is never made twice. AWS answers at once, and is
believed when a look agrees.
"""

from __future__ import annotations

from typing import Final

from core.access.right import Right
from core.targets.aws_calls import CallFailed, Trouble
from core.targets.aws_names import STORE_ID
from core.targets.base import Absent, Given, Held, InProgress, Later, Polled, Seen, Taken
from core.targets.identity_center.instance import SsoInstance
from core.targets.identity_center.settling import Settling

LEVEL: Final = "member"
JOINING: Final = "joining"
LEAVING: Final = "leaving"
_NO_DIRECTORY: Final = "IDENTITY_STORE"
_CONCURRENT: Final = "CONCURRENT_MODIFICATION"


def is_membership(right: Right) -> bool:
    """Whether the right is one for this module: a group and a user."""
    is_group = right.level == LEVEL and STORE_ID.fullmatch(right.resource) is not None
    return is_group and STORE_ID.fullmatch(right.principal) is not None


class Memberships:
    """Group memberships of one instance, for one step. What steps share is passed in."""

    def __init__(self, instance: SsoInstance, settling: Settling) -> None:
        self._instance = instance
        self._store = instance.store
        self._settling = settling

    def inspect(self, right: Right) -> Seen:
        """Whether the user is in the group now."""
        return self._inspect(right.resource, right.principal)

    def give(self, right: Right) -> Given:
        """Put the user into the group. Who is in it already stood there before."""
        try:
            self._store.write(
                "create_group_membership",
                IdentityStoreId=self._instance.identity_store_id,
                GroupId=right.resource,
                MemberId={"UserId": right.principal},
            )
        except CallFailed as failed:
            if failed.trouble is Trouble.CONFLICT:
                return self._conflict(right, failed)
            return failed.answer()
        token = f"{JOINING}:{right.resource}:{right.principal}"
        self._settling.forget(token)
        shown = self.poll(token)
        return InProgress(token) if isinstance(shown, Absent) else shown

    def take(self, right: Right) -> Taken:
        """Take the user out of the group."""
        try:
            membership_id = self._membership_id(right.resource, right.principal)
            if membership_id is None:
                return Absent()
            self._store.write(
                "delete_group_membership",
                IdentityStoreId=self._instance.identity_store_id,
                MembershipId=membership_id,
            )
        except CallFailed as failed:
            if failed.trouble is not Trouble.NOT_FOUND or failed.subject == _NO_DIRECTORY:
                return failed.answer()
        token = f"{LEAVING}:{right.resource}:{right.principal}"
        self._settling.forget(token)
        shown = self.poll(token)
        return InProgress(token) if isinstance(shown, Held) else shown

    def poll(self, token: str) -> Polled:
        """Whether what succeeded shows by now. The token names the group and the user."""
        kind, _, rest = token.partition(":")
        group, _, user = rest.partition(":")
        found = self._inspect(group, user)
        if isinstance(found, Later):
            return InProgress(token)
        if isinstance(found, Held if kind == JOINING else Absent):
            self._settling.forget(token)
        elif isinstance(found, Held | Absent) and not self._settling.is_over(token):
            return InProgress(token)
        return found

    def _conflict(self, right: Right, failed: CallFailed) -> Given:
        """AWS says that the membership exists, or that somebody else is changing the group: look which."""
        if failed.subject == _CONCURRENT:
            return failed.answer()
        found = self.inspect(right)
        return Held(stood_before=True) if isinstance(found, Held) else Later(failed.after, problem=failed.problem)

    def _inspect(self, group: str, user: str) -> Seen:
        try:
            return Absent() if self._membership_id(group, user) is None else Held()
        except CallFailed as failed:
            return failed.answer()

    def _membership_id(self, group: str, user: str) -> str | None:
        """The id, or None where there is none. Raises CallFailed; a missing directory is refused."""
        try:
            answer = self._store.read(
                "get_group_membership_id",
                IdentityStoreId=self._instance.identity_store_id,
                GroupId=group,
                MemberId={"UserId": user},
            )
        except CallFailed as failed:
            if failed.trouble is Trouble.NOT_FOUND and failed.subject != _NO_DIRECTORY:
                # No membership, group or user of this id: in each case, nobody holds it.
                return None
            raise
        return str(answer["MembershipId"])
