"""What a store keeps for the directory: notes of changes, and the last answers about user groups.

Invariant: notes are read with what a decision rests on, in the same round trip. Notes that can't be read mean that
everything changed just now; an answer that can't be read is no answer.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, Protocol, TypeVar

from core.actor import UserGroupId
from core.directory import DirectoryNotes
from core.errors import ConcurrentModification, MalformedRecord, StoreUnavailable
from core.ledger import Ledger
from core.user_group import UserGroupMembers

L = TypeVar("L", bound=Ledger)
NOTE_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.05
_log = logging.getLogger("countersign.directory")


class DirectoryStore(Protocol):
    """Changes and answers that the instances share."""

    def notes(self) -> DirectoryNotes:
        """What changed lately, read consistently. Raises StoreUnavailable."""
        ...

    def note(self, ids: Iterable[str], at: datetime) -> DirectoryNotes:
        """Note that these people and user groups changed; returns the notes as stored. Raises StoreUnavailable."""
        ...

    def get_groups(self, groups: Iterable[UserGroupId]) -> Mapping[UserGroupId, UserGroupMembers]:
        """The last answers about these user groups; one that is missing or can't be read is left out.

        Raises StoreUnavailable.
        """
        ...

    def put_group(self, members: UserGroupMembers) -> UserGroupMembers:
        """Replace the answer that was read with `members.updated_at`; return it as stored.

        Raises ConcurrentModification, StoreUnavailable.
        """
        ...


def read_notes(read: Callable[[], DirectoryNotes], now: datetime) -> DirectoryNotes:
    """The notes that `read` returns, or, if they can't be read, notes that everything changed."""
    try:
        return read()
    except MalformedRecord as error:
        _log.error("the notes of directory changes can't be read, so Slack is asked for everything anew: %s", error)
        return DirectoryNotes.everything_changed(now)


def read_group(read: Callable[[], UserGroupMembers], group: UserGroupId) -> UserGroupMembers | None:
    """The answer that `read` returns; None if it can't be read, or is about another group."""
    try:
        found = read()
    except MalformedRecord as error:
        _log.warning("the stored members of the user group %s can't be read, so Slack is asked: %s", group, error)
        return None
    return found if found.group == group else None


def write_notes(change: Callable[[], DirectoryNotes]) -> DirectoryNotes:
    """Read, change and write the notes, again after each conflict. Raises StoreUnavailable."""
    for _ in range(NOTE_TRIES):
        try:
            return change()
        except ConcurrentModification:
            time.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - not a secret
    raise StoreUnavailable(f"the notes of directory changes were changed {NOTE_TRIES} times in the meantime")
