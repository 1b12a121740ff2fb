"""What Slack last said about a user group, as the store keeps it: who is in it, and since when that is known.

Invariant: an older answer never replaces a newer one. A change of members stays in the ledger until it is in the audit
trail, so no crash loses it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Self

from pydantic import JsonValue

from core.actor import UserGroupId
from core.clock import UtcTime
from core.ledger import Ledger
from core.stored import StoredModel

KEPT_FOR: Final = timedelta(days=31)
"""How long the members are kept after the last answer, so that a change is noticed even after a long outage."""
MAX_STORED_MEMBERS: Final = 8_000
"""A member takes about 20 bytes, and an item of DynamoDB holds 400 KB. A larger group is asked for after each start."""
MAX_NAMED: Final = 50
"""How many people an audit entry names on each side of a change; of the others, only the number."""

_ANSWER: Final = ("users", "asked_at", "known_change", "slack_version", "updated_by", "handle")


class GroupChange(StoredModel):
    """Who was added to a user group and who was removed. `was_known` is false when nothing was known before."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    was_known: bool = True
    noticed_at: UtcTime

    def merge(self, later: GroupChange) -> GroupChange:
        """Both changes as one, for the case that the earlier one isn't in the trail yet."""
        added = (set(self.added) | set(later.added)) - set(later.removed)
        removed = (set(self.removed) | set(later.removed)) - set(later.added)
        return GroupChange(
            added=tuple(sorted(added - set(self.removed))),
            removed=tuple(sorted(removed - set(self.added))),
            was_known=self.was_known,
            noticed_at=later.noticed_at,
        )


class UserGroupMembers(Ledger):
    """The members of one user group at `asked_at`.

    `known_change` is the last change in the directory's notes that the asker knew of. `slack_version` is Slack's own
    time of the group's last change, in Unix seconds, and `updated_by` whom Slack names for it. `handle` is what people
    call the group, for display. `unreported` is a change that is not in the audit trail yet.
    """

    group: UserGroupId
    users: tuple[str, ...] = ()
    asked_at: UtcTime
    known_change: UtcTime | None = None
    slack_version: int = 0
    updated_by: str | None = None
    handle: str | None = None
    unreported: GroupChange | None = None

    @classmethod
    def owner_of(cls, group: UserGroupId) -> str:
        """The ledger's owner."""
        return f"USERGROUP#{group}"

    @classmethod
    def unknown(cls, group: UserGroupId) -> Self:
        """A ledger for reading: it has the owner, and no answer."""
        return cls(owner=cls.owner_of(group), group=group, asked_at=datetime.min.replace(tzinfo=UTC))

    @classmethod
    def of(
        cls,
        group: UserGroupId,
        users: frozenset[str],
        asked_at: datetime,
        *,
        known_change: datetime | None = None,
        slack_version: int = 0,
        updated_by: str | None = None,
        handle: str | None = None,
    ) -> Self:
        """An answer of Slack, not stored yet."""
        return cls(
            owner=cls.owner_of(group),
            group=group,
            users=tuple(sorted(users)),
            asked_at=asked_at,
            known_change=known_change,
            slack_version=slack_version,
            updated_by=updated_by,
            handle=handle,
        )

    def is_newer_than(self, other: UserGroupMembers) -> bool:
        """True when this answer replaces the other one, which came earlier.

        Slack's own time decides where both have one, because Slack may answer from an outdated copy; else, when it was
        asked for.
        """
        if self.slack_version and other.slack_version and self.slack_version != other.slack_version:
            return self.slack_version > other.slack_version
        return self.asked_at >= other.asked_at

    def has_same_answer(self, answer: UserGroupMembers) -> bool:
        """True when a newer answer says nothing else, and knew of no later change."""
        is_same_name = answer.handle in {None, self.handle}
        return is_same_name and self.users == answer.users and self.known_change == answer.known_change

    def replace(self, stored: UserGroupMembers | None, *, is_change_certain: bool) -> UserGroupMembers:
        """This answer as the next version of what is stored, with the change that has to be reported.

        `is_change_certain`: Slack said that the members changed. Without it, the first answer about a group reports
        nothing, because there is nothing to compare it with.
        """
        if stored is None:
            change = GroupChange(was_known=False, noticed_at=self.asked_at) if is_change_certain else None
            return self.model_copy(update={"unreported": change})
        before, after = set(stored.users), set(self.users)
        unreported = stored.unreported
        if before != after:
            change = GroupChange(
                added=tuple(sorted(after - before)), removed=tuple(sorted(before - after)), noticed_at=self.asked_at
            )
            unreported = change if unreported is None else unreported.merge(change)
        # What is stored stays, with what a newer version wrote; only the answer is another one.
        answer = {name: getattr(self, name) for name in _ANSWER if name != "handle" or self.handle is not None}
        return stored.model_copy(update={**answer, "unreported": unreported})

    def report(self) -> Self:
        """The same without the change, which is in the audit trail now."""
        return self.model_copy(update={"unreported": None})

    def kept_until(self) -> datetime:
        """When nobody needs to know the earlier members any more."""
        return self.asked_at + KEPT_FOR

    def to_item(self) -> dict[str, JsonValue]:
        """The stored form, without empty values."""
        return {name: value for name, value in super().to_item().items() if value is not None}
