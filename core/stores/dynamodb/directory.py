"""The directory's notes and answers in DynamoDB: ledgers, in the table of break-glass events.

Invariant: notes that can't be read are replaced by notes that everything changed, so a damaged item hides no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TypeVar

from core.actor import UserGroupId
from core.directory import DirectoryNotes
from core.errors import ConcurrentModification, MalformedRecord
from core.ledger import Ledger
from core.stores.commit import StoreSettings
from core.stores.directory import read_group, read_notes, write_notes
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.items import Item
from core.stores.dynamodb.ledgers import LEDGER_PREFIX, ledger_key, put_ledger, read_ledger
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.schema import BREAK_GLASS
from core.stores.seals import SealedLedger, as_written, seal_ledger
from core.user_group import UserGroupMembers

L = TypeVar("L", bound=Ledger)
_KEYS_PER_READ = 100
"""AWS reads at most this many items at once."""


def notes_key() -> Item:
    """The key of the notes."""
    return ledger_key(DirectoryNotes())


def find_notes(items: Iterable[Item], settings: StoreSettings) -> DirectoryNotes:
    """The notes among these items, or empty ones; if they can't be read, everything changed just now."""
    found = {item["pk"]["S"]: item for item in items}
    return read_notes(lambda: read_ledger(DirectoryNotes(), found, settings.keyring), settings.clock.now())


class DynamoDirectory:
    """The DirectoryStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._table = BREAK_GLASS.name(prefix)

    def notes(self) -> DirectoryNotes:
        """What changed lately."""
        item = self._connection.get(self._table, notes_key())
        return find_notes([item] if item is not None else [], self._settings)

    def note(self, ids: Iterable[str], at: datetime) -> DirectoryNotes:
        """Note that these people and user groups changed."""
        changed = tuple(ids)

        def change() -> DirectoryNotes:
            item = self._connection.get(self._table, notes_key())
            found = {item["pk"]["S"]: item} if item is not None else {}
            try:
                notes = read_ledger(DirectoryNotes(), found, self._settings.keyring)
            except MalformedRecord:
                # There is no version to write over, and "everything changed" hides nothing that was noted meanwhile.
                return self._put_over(DirectoryNotes.everything_changed(at).add_all(changed, at))
            return self._put(notes.add_all(changed, at))

        return write_notes(change)

    def get_groups(self, groups: Iterable[UserGroupId]) -> Mapping[UserGroupId, UserGroupMembers]:
        """The last answers about these user groups."""
        wanted, answers = sorted(set(groups)), {}
        for start in range(0, len(wanted), _KEYS_PER_READ):
            empty = {each: UserGroupMembers.unknown(each) for each in wanted[start : start + _KEYS_PER_READ]}
            items = self._connection.get_many(self._table, [ledger_key(each) for each in empty.values()])
            found = {item["pk"]["S"]: item for item in items}
            for group, ledger in empty.items():
                if ledger_key(ledger)["pk"]["S"] in found:
                    answers[group] = read_group(partial(read_ledger, ledger, found, self._settings.keyring), group)
        return {group: answer for group, answer in answers.items() if answer is not None}

    def put_group(self, members: UserGroupMembers) -> UserGroupMembers:
        """Replace the answer that was read with `members.updated_at`."""
        try:
            return self._put(members)
        except ConcurrentModification:
            if members.updated_at is not None or self.get_groups([members.group]):
                raise
            # What is there can't be read.
            return self._put_over(members)

    def _put(self, ledger: L) -> L:
        sealed = self._seal(ledger)
        try:
            self._connection.write("put_item", **put_ledger(self._table, sealed))
        except ConditionFailed as failure:
            raise ConcurrentModification(f"{LEDGER_PREFIX}{ledger.owner}") from failure
        return as_written(ledger, sealed)

    def _put_over(self, ledger: L) -> L:
        sealed = self._seal(ledger)
        arguments = put_ledger(self._table, sealed)
        self._connection.write("put_item", TableName=self._table, Item=arguments["Item"])
        return as_written(ledger, sealed)

    def _seal(self, ledger: Ledger) -> SealedLedger:
        return seal_ledger(ledger, self._settings.clock.now(), self._settings.keyring)
