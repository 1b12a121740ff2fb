"""The directory's notes and answers in SQLite: ledgers, in the table of ledgers.

Invariant: notes that can't be read are replaced by notes that everything changed, so a damaged row hides no change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from core.actor import UserGroupId
from core.directory import DirectoryNotes
from core.errors import MalformedRecord
from core.ledger import Ledger
from core.stores.commit import StoreSettings
from core.stores.directory import read_group, read_notes, write_notes
from core.stores.seals import as_written, seal_ledger
from core.stores.sqlite.database import Database
from core.stores.sqlite.ledgers import find_ledgers, read_ledger, write_ledgers
from core.user_group import UserGroupMembers

L = TypeVar("L", bound=Ledger)
_ROWS_PER_READ = 500


def notes_among(found: dict[str, str], settings: StoreSettings) -> DirectoryNotes:
    """The notes among these bodies, or empty ones; if they can't be read, everything changed just now."""
    return read_notes(lambda: read_ledger(DirectoryNotes(), found, settings.keyring), settings.clock.now())


def find_notes(connection: sqlite3.Connection, settings: StoreSettings) -> DirectoryNotes:
    """The same, read on the caller's connection."""
    return notes_among(find_ledgers(connection, DirectoryNotes()), settings)


class SqliteDirectory:
    """The DirectoryStore in SQLite."""

    def __init__(self, database: Database, settings: StoreSettings) -> None:
        self._database = database
        self._settings = settings

    def notes(self) -> DirectoryNotes:
        """What changed lately."""
        with self._database.read() as connection:
            return find_notes(connection, self._settings)

    def note(self, ids: Iterable[str], at: datetime) -> DirectoryNotes:
        """Note that these people and user groups changed."""
        changed = tuple(ids)

        def change() -> DirectoryNotes:
            with self._database.write() as connection:
                found = find_ledgers(connection, DirectoryNotes())
                try:
                    notes = read_ledger(DirectoryNotes(), found, self._settings.keyring)
                except MalformedRecord:
                    notes = DirectoryNotes.everything_changed(at)
                    _remove(connection, notes)
                return self._write(connection, notes.add_all(changed, at))

        return write_notes(change)

    def get_groups(self, groups: Iterable[UserGroupId]) -> Mapping[UserGroupId, UserGroupMembers]:
        """The last answers about these user groups."""
        wanted = sorted(set(groups))
        answers: dict[UserGroupId, UserGroupMembers] = {}
        for start in range(0, len(wanted), _ROWS_PER_READ):
            with self._database.read() as connection:
                answers |= self._find_groups(connection, wanted[start : start + _ROWS_PER_READ])
        return answers

    def put_group(self, members: UserGroupMembers) -> UserGroupMembers:
        """Replace the answer that was read with `members.updated_at`."""
        with self._database.write() as connection:
            if members.updated_at is None and not self._find_groups(connection, [members.group]):
                # Nothing is there, or nothing that can be read.
                _remove(connection, members)
            return self._write(connection, members)

    def _write(self, connection: sqlite3.Connection, ledger: L) -> L:
        sealed = seal_ledger(ledger, self._settings.clock.now(), self._settings.keyring)
        write_ledgers(connection, (sealed,))
        return as_written(ledger, sealed)

    def _find_groups(
        self, connection: sqlite3.Connection, groups: Sequence[UserGroupId]
    ) -> dict[UserGroupId, UserGroupMembers]:
        empty = {each: UserGroupMembers.unknown(each) for each in groups}
        found = find_ledgers(connection, *empty.values())
        read = {
            group: read_group(partial(read_ledger, ledger, found, self._settings.keyring), group)
            for group, ledger in empty.items()
            if ledger.owner in found
        }
        return {group: answer for group, answer in read.items() if answer is not None}


def _remove(connection: sqlite3.Connection, ledger: Ledger) -> None:
    connection.execute("DELETE FROM ledgers WHERE owner = ?", (ledger.owner,))
