"""A directory that a test writes down: who is in which user group, who left, and what nobody can say.

Invariant: it answers like a real one: strictly what was asked, nothing about those of whom it knows nothing, and it
counts the questions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from core.actor import Actor, UserGroupId, UserId
from core.directory import DirectoryNotes
from core.errors import NotAllowed, NotKnown
from core.on_call import Duty, NoRoster, OnCallName, Roster

LEFT: Final = "this Slack account is deactivated; ask an admin of the workspace to activate it"


class OfficeDirectory:
    """Everybody is an active member until they `leave`; a person is in the user groups that they `join`."""

    def __init__(self, members: Mapping[str, Iterable[str]] | None = None, roster: Roster | None = None) -> None:
        self._members = {group: set(people) for group, people in (members or {}).items()}
        self.roster = roster or NoRoster()
        self._left: set[str] = set()
        self._silent_about: set[str] = set()
        self.questions: list[tuple[UserId, frozenset[UserGroupId]]] = []
        self.confirmed: list[UserId] = []
        self.notes: list[DirectoryNotes] = []

    def join(self, group: str, person: str) -> None:
        """The person is in the user group from now on."""
        self._members.setdefault(group, set()).add(person)

    def quit(self, group: str, person: str) -> None:
        """The person is no longer in the user group."""
        self._members.get(group, set()).discard(person)

    def leave(self, person: str) -> None:
        """The person's account is deactivated."""
        self._left.add(person)

    def fall_silent(self, *about: str) -> None:
        """From now on, nobody can say anything about these people and user groups."""
        self._silent_about |= set(about)

    def answer_again(self) -> None:
        """Everything can be asked again."""
        self._silent_about.clear()

    def person(self, user_id: UserId, notes: DirectoryNotes) -> Actor:
        """The person, about whose user groups nothing was asked yet."""
        self.confirmed.append(user_id)
        self.notes.append(notes)
        if user_id in self._silent_about:
            raise NotKnown("act", ("Slack didn't confirm who you are in time; please try again in a moment",))
        if user_id in self._left:
            raise NotAllowed("act", (LEFT,))
        return Actor(id=user_id)

    def memberships(
        self, user_id: UserId, groups: Collection[UserGroupId], notes: DirectoryNotes
    ) -> Mapping[UserGroupId, bool]:
        """Whether the person is in each of these user groups, but for those about which nobody can say."""
        self.questions.append((user_id, frozenset(groups)))
        self.notes.append(notes)
        known = set(groups) - self._silent_about
        return {group: user_id in self._members.get(group, set()) for group in known}

    def duties(self, user_id: UserId, names: Collection[OnCallName]) -> Mapping[OnCallName, Duty]:
        """What the roster says, but for the schedules about which nobody can say."""
        return self.roster.duties(user_id, set(names) - self._silent_about)
