"""The directory: who is an active member, and in which user groups; and the notes of what changed there lately.

Invariant: what is not known is never answered. A person who can't be confirmed is refused, a user group that can't be
asked about is left out, and an answer that is older than a noted change doesn't count. So is a schedule that can't be
asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, Self

from core.actor import Actor, UserGroupId, UserId
from core.clock import UtcTime
from core.errors import NotKnown
from core.ledger import Ledger
from core.on_call import Duty, NoRoster, OnCallName, Roster

NOTES_LEDGER: Final = "DIRECTORY"
MAX_ANSWER_AGE: Final = timedelta(minutes=10)
"""How long an answer may be used for a decision if nobody hears of a change."""
NOTES_KEPT: Final = timedelta(hours=1)
"""How long a change is remembered: longer than MAX_ANSWER_AGE, also when the clocks of two instances differ."""
MAX_CLOCK_DIFFERENCE: Final = timedelta(minutes=1)
"""An answer whose asker knew of no change counts only if it was asked for this much later than the change."""
MAX_NOTES: Final = 300
"""How many changes are remembered one by one: every decision reads them."""


class DirectoryNotes(Ledger):
    """When an instance last heard that a user or a user group changed. Answers that are older don't count.

    `forgotten_at` is the time of the newest change that is no longer remembered one by one: it counts for everybody.
    """

    owner: str = NOTES_LEDGER
    changes: Mapping[str, UtcTime] = {}
    forgotten_at: UtcTime | None = None

    @classmethod
    def everything_changed(cls, at: datetime) -> Self:
        """The notes to go by when the stored ones can't be read."""
        return cls(forgotten_at=at)

    def changed_at(self, subject: str) -> datetime | None:
        """When this user or user group last changed, as far as anybody heard; None for no change lately."""
        known = [at for at in (self.changes.get(subject), self.forgotten_at) if at is not None]
        return max(known, default=None)

    def add(self, subject: str, now: datetime) -> Self:
        """The notes with one more change. The same subject's earlier change is replaced."""
        changes = {each: at for each, at in self.changes.items() if at > now - NOTES_KEPT}
        changes[subject] = max(now, changes.get(subject, now))
        oldest_first = sorted(changes.items(), key=lambda change: change[1])
        forgotten = [at for _, at in oldest_first[:-MAX_NOTES]]
        if self.forgotten_at is not None and self.forgotten_at > now - NOTES_KEPT:
            forgotten.append(self.forgotten_at)
        return self.model_copy(
            update={"changes": dict(oldest_first[-MAX_NOTES:]), "forgotten_at": max(forgotten, default=None)}
        )

    def add_all(self, subjects: Iterable[str], now: datetime) -> Self:
        """The notes with all of these changes."""
        notes = self
        for subject in subjects:
            notes = notes.add(subject, now)
        return notes

    def kept_until(self) -> datetime:
        """When no answer can be older than what is noted here."""
        last = max(
            (at for at in (*self.changes.values(), self.forgotten_at) if at is not None),
            default=datetime.min.replace(tzinfo=UTC),
        )
        return last + NOTES_KEPT


def is_outdated(changed_at: datetime | None, asked_at: datetime, known_change: datetime | None) -> bool:
    """True when an answer may be from before a change.

    `changed_at` is the last change in the notes. The answer was asked for at `asked_at`, by an instance that knew of
    the change at `known_change`: if it knew of this one, it asked after it, whatever the clocks say.
    """
    if changed_at is None or (known_change is not None and known_change >= changed_at):
        return False
    return asked_at <= changed_at + MAX_CLOCK_DIFFERENCE


class Directory(Protocol):
    """Answers questions about people. Safe for threads."""

    def person(self, user_id: UserId, notes: DirectoryNotes) -> Actor:
        """This person, confirmed recently as an active full member, and later than `notes` says they changed.

        Raises NotAllowed for an outsider, and its subclass NotKnown when nobody could confirm it in time.
        """
        ...

    def memberships(
        self, user_id: UserId, groups: Collection[UserGroupId], notes: DirectoryNotes
    ) -> Mapping[UserGroupId, bool]:
        """For each of these user groups, whether the person is in it. A group that isn't known is left out.

        Never raises. No answer is older than the change that `notes` has for its group.
        """
        ...

    def duties(self, user_id: UserId, names: Collection[OnCallName]) -> Mapping[OnCallName, Duty]:
        """For each of these schedules, whether the person is on call. One that isn't known is left out.

        Never raises, and waits no longer than `memberships` does.
        """
        ...


class UnknownDirectory:
    """The directory of a process that decides on nobody, such as `countersign sweep`: it knows nobody."""

    def person(self, user_id: UserId, notes: DirectoryNotes) -> Actor:
        """Raises NotKnown."""
        del notes
        raise NotKnown("act", (f"this process can't look up {user_id}; decide in Slack",))

    def memberships(
        self, user_id: UserId, groups: Collection[UserGroupId], notes: DirectoryNotes
    ) -> Mapping[UserGroupId, bool]:
        """Nothing is known."""
        del user_id, groups, notes
        return {}

    def duties(self, user_id: UserId, names: Collection[OnCallName]) -> Mapping[OnCallName, Duty]:
        """Nothing is known."""
        del user_id, names
        return {}


class FixedDirectory:
    """A directory that somebody wrote down: `countersign policy explain`, demonstrations and tests.

    Everybody is an active member; nobody is in a user group unless `members` says so. `roster` says who is on call.
    """

    def __init__(
        self, members: Mapping[UserGroupId, Iterable[UserId]] | None = None, roster: Roster | None = None
    ) -> None:
        self._members = {group: frozenset(people) for group, people in (members or {}).items()}
        self._roster = roster or NoRoster()

    def person(self, user_id: UserId, notes: DirectoryNotes) -> Actor:
        """The person, about whose user groups nothing was asked yet."""
        del notes
        return Actor(id=user_id)

    def memberships(
        self, user_id: UserId, groups: Collection[UserGroupId], notes: DirectoryNotes
    ) -> Mapping[UserGroupId, bool]:
        """Every question has its answer."""
        del notes
        return {group: user_id in self._members.get(group, frozenset()) for group in groups}

    def duties(self, user_id: UserId, names: Collection[OnCallName]) -> Mapping[OnCallName, Duty]:
        """What the roster says."""
        return self._roster.duties(user_id, names)
